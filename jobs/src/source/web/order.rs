//! A request that is being done: its parts read, in one form for pages and APIs.
use std::{collections::BTreeMap, sync::Arc};

use sha2::{Digest, Sha256};
use url::Url;

use super::{Api, Content, Crawl, Nested, Page, Render, address};
use crate::{
    Code, Error, Result,
    crawl::{
        browser::Rendering,
        pages::{Pagination, Style},
    },
    extract::{FieldSelector, json, xml},
    secret::encode_hex,
    transform::infer::Kind,
};

/// Fields that change nothing of what is read.
const WITHOUT_EFFECT: [&str; 11] = [
    "delay_seconds",
    "connections",
    "respect_robots",
    "max_bytes",
    "page_seconds",
    "max_seconds",
    "keep_raw",
    "on_empty",
    "partial",
    "render_seconds",
    "since",
];

/// What is to be done. Cheap to clone.
#[derive(Clone)]
pub(super) struct Order(Arc<Inner>);

pub(super) struct Inner {
    pub crawl: Crawl,
    /// Where the first page is.
    pub first: Url,
    pub is_api: bool,
    /// How a browser renders the pages, if one does.
    pub rendering: Option<Rendering>,
    /// What a selector means in each kind of answer; a sentence where it means nothing.
    pub json: std::result::Result<json::Path, String>,
    pub xml: std::result::Result<xml::Path, String>,
    pub json_fields: std::result::Result<Vec<(String, json::Path)>, String>,
    /// Where the next page is told, in each kind of answer.
    pub next_html: Option<FieldSelector>,
    pub next_json: Option<json::Path>,
    pub next_xml: Option<xml::Path>,
    /// Types that the request gives.
    pub kinds: BTreeMap<String, Kind>,
    /// Tells the request from others that read something else.
    key: String,
}

impl std::ops::Deref for Order {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Order {
    pub(super) fn of_page(page: &Page) -> Result<Self> {
        let first = address::first(&page.crawl.url, &BTreeMap::new(), None)?;
        let rendering = (page.render == Render::Browser).then(|| page.rendering.clone());
        Ok(Self::new(&page.crawl, first, false, rendering, key(page)))
    }

    /// An API, asked for what comes after a cursor's value.
    pub(super) fn of_api(api: &Api, after: Option<&str>) -> Result<Self> {
        let since = api.since.as_ref().map(|since| since.parameter.as_str()).zip(after);
        let first = address::first(&api.crawl.url, &api.params, since)?;
        Ok(Self::new(&api.crawl, first, true, None, key(api)))
    }

    fn new(crawl: &Crawl, first: Url, is_api: bool, rendering: Option<Rendering>, key: String) -> Self {
        let selector = crawl.extraction.selector.as_deref().unwrap_or_default();
        let fields = crawl.extraction.fields.0.iter();
        let json_fields = fields.map(|(name, path)| Ok((name.clone(), json::Path::parse(path)?))).collect();
        let told = crawl.pagination.as_ref().filter(|p| p.style != Style::LinkHeader).and_then(|p| p.path.as_deref());
        let kinds = crawl.schema.iter().flatten();
        Self(Arc::new(Inner {
            first,
            is_api,
            rendering,
            json: json::Path::parse(selector),
            xml: xml::Path::parse(selector),
            json_fields,
            next_html: told.and_then(|path| FieldSelector::parse(path).ok()),
            next_json: told.and_then(|path| json::Path::parse(path).ok()),
            next_xml: told.and_then(|path| xml::Path::parse(path).ok()),
            kinds: kinds.filter_map(|(name, kind)| Some((name.clone(), kind.parse().ok()?))).collect(),
            crawl: crawl.clone(),
            key,
        }))
    }

    /// Where the rows come from, without parameters.
    pub(super) fn origin(&self) -> String {
        address::bare(&self.first)
    }

    /// Tells the request from others that read something else: 64 hexadecimal digits.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn pagination(&self) -> Option<&Pagination> {
        self.crawl.pagination.as_ref()
    }

    /// How many pages are asked for at once: one, unless their addresses are known beforehand and the request permits more.
    pub(super) fn ahead(&self) -> usize {
        let counted = self.pagination().is_some_and(Pagination::counts);
        match counted && self.rendering.is_none() {
            true => self.crawl.manners.connections.unwrap_or(1).clamp(1, 16) as usize,
            false => 1,
        }
    }

    /// Where a page is that may be asked for before those before it have come.
    pub(super) fn page_at(&self, number: u32) -> Option<Url> {
        let pagination = self.pagination()?;
        let wanted = pagination.max_pages.is_none_or(|most| number <= most);
        if wanted { pagination.address(&self.first, number) } else { None }
    }

    /// The type that the request gives a column, whose name may be in other letters.
    pub(super) fn given(&self, column: &str) -> Option<Kind> {
        let column = column.to_lowercase();
        self.kinds.iter().find(|(name, _)| name.to_lowercase() == column).map(|(_, kind)| *kind)
    }

    pub(super) fn nests(&self) -> bool {
        self.crawl.nested == Nested::Struct
    }

    /// Why a selector cannot be used for the answer that came.
    pub(super) fn unusable(content: Content, why: &str) -> Error {
        let what = match content {
            Content::Html => "a web page",
            Content::Json => "JSON",
            Content::Xml => "XML",
        };
        Error::new(Code::UnexpectedContentType, format!("the answer is {what}, and the selector {why}"))
    }
}

/// The digest of a request, as far as it says what is read. Secrets are not in it.
fn key<T: serde::Serialize>(request: &T) -> String {
    let mut value = serde_json::to_value(request).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, _| !WITHOUT_EFFECT.contains(&name.as_str()));
    }
    encode_hex(&Sha256::digest(value.to_string()))
}
