//! Which page comes next, in all styles of pagination: pure.
use std::collections::{HashMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use crate::{Code, Error, FieldError, Result};

/// The most pages of a job that does not say how many it wants.
const MOST_PAGES: u32 = 10_000;
/// The rows of a page, where the request does not say.
const PAGE_SIZE: u64 = 100;

/// How one page leads to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// A parameter counts rows: `offset=200&limit=100`.
    Offset,
    /// A parameter counts pages: `page=3`.
    Page,
    /// The answer holds a token for the next request, at `path`.
    Cursor,
    /// The answer's `Link` header names the next page (RFC 8288).
    LinkHeader,
    /// The answer holds the next page's address, at `path`.
    NextUrl,
    /// The page holds a link to the next, found by `path` as a selector: `a[rel=next]@href`.
    NextSelector,
}

/// How several pages are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pagination {
    /// How one page leads to the next.
    pub style: Style,
    /// The parameter that counts or holds the token; default: `offset`, `page` or `cursor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The parameter for the rows of a page, which is sent if it is given; `limit` by default with `offset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_parameter: Option<String>,
    /// The rows of a page; default: 100 with `offset`, else unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The first value of the parameter; default: 0 with `offset`, 1 with `page`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<u64>,
    /// Where in the answer the token or the address stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How many pages are read; default: all, and more than 10,000 are an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pages: Option<u32>,
    /// Other hosts that the next page may lie on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

impl Pagination {
    /// Finds what is wrong without any I/O.
    #[must_use]
    pub fn check(&self) -> Vec<FieldError> {
        let mut wrong = Vec::new();
        let mut fault = |field: &str, code, detail: &str| {
            wrong.push(FieldError { field: format!("pagination.{field}"), code, detail: detail.to_owned() });
        };
        let needs_path = matches!(self.style, Style::Cursor | Style::NextUrl | Style::NextSelector);
        match (needs_path, &self.path) {
            (true, None) => fault("path", Code::MissingField, "says where in the answer the next page is told"),
            (false, Some(_)) => fault("path", Code::ConflictingFields, "goes not with this style"),
            _ => {}
        }
        if self.style == Style::NextSelector
            && let Some(Err(detail)) = self.path.as_deref().map(crate::extract::FieldSelector::parse)
        {
            fault("path", Code::InvalidSelector, &detail);
        }
        if !self.counts() && self.start.is_some() {
            fault("start", Code::ConflictingFields, "goes with `offset` and `page` only");
        }
        for (field, value) in [("size", self.size), ("max_pages", self.max_pages.map(u64::from))] {
            if value == Some(0) {
                fault(field, Code::InvalidField, "must be at least 1");
            }
        }
        wrong
    }

    /// Whether all addresses are known beforehand.
    #[must_use]
    pub const fn counts(&self) -> bool {
        matches!(self.style, Style::Offset | Style::Page)
    }

    fn size(&self) -> Option<u64> {
        self.size.or((self.style == Style::Offset).then_some(PAGE_SIZE))
    }

    /// The address of a page, from 1, where it can be counted; for reading pages side by side.
    #[must_use]
    pub fn address(&self, first: &Url, page: u32) -> Option<Url> {
        let nth = u64::from(page.checked_sub(1)?);
        let (name, value) = match self.style {
            Style::Offset => ("offset", self.start.unwrap_or(0).checked_add(nth.checked_mul(self.size()?)?)?),
            Style::Page => ("page", self.start.unwrap_or(1).checked_add(nth)?),
            _ => return (page == 1).then(|| self.sized(first.clone())),
        };
        Some(self.sized(with(first, self.parameter.as_deref().unwrap_or(name), &value.to_string())))
    }

    fn sized(&self, url: Url) -> Url {
        let by_default = (self.style == Style::Offset).then_some("limit");
        match (self.size_parameter.as_deref().or(by_default), self.size()) {
            (Some(name), Some(size)) => with(&url, name, &size.to_string()),
            _ => url,
        }
    }
}

/// An address with a parameter set, in place of one of the same name.
fn with(url: &Url, name: &str, value: &str) -> Url {
    let mut changed = url.clone();
    let others: Vec<_> = url.query_pairs().into_owned().filter(|(other, _)| other != name).collect();
    changed.query_pairs_mut().clear().extend_pairs(others).append_pair(name, value);
    changed
}

/// What an answer tells about the next page.
#[derive(Clone, Debug, Default)]
pub struct Answer<'a> {
    /// How many rows it has given.
    pub rows: u64,
    /// A digest of the rows: that of an earlier page means that it is the same page again.
    pub digest: [u8; 32],
    /// The token, the address or the link that stands where the request says; for `link_header` the header's value.
    pub next: Option<&'a str>,
}

/// A walk through pages.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The page under way, from 1.
    page: u32,
    url: Url,
    /// The addresses that were asked for, as digests.
    visited: HashSet<[u8; 8]>,
    /// The pages by digests of their rows.
    read: HashMap<[u8; 32], u32>,
}

impl Walk {
    /// Begins at the first page.
    #[must_use]
    pub fn new(pagination: &Pagination, first: &Url) -> Self {
        let url = pagination.address(first, 1).unwrap_or_else(|| first.clone());
        let visited = HashSet::from([digest(&url)]);
        Self { page: 1, url, visited, read: HashMap::new() }
    }

    /// The page to ask for: its number from 1, and its address.
    #[must_use]
    pub const fn current(&self) -> (u32, &Url) {
        (self.page, &self.url)
    }

    /// Whether a page had rows with this digest.
    #[must_use]
    pub fn has_read(&self, digest: &[u8; 32]) -> bool {
        self.read.contains_key(digest)
    }

    /// Goes on to the next page; `false` if there is none. `found_at` is where the answer came from in the end, and
    /// `first` the address of the request.
    ///
    /// # Errors
    /// [`Code::PaginationLoop`], [`Code::MaxPages`], [`Code::NextHostBlocked`].
    pub fn advance(
        &mut self,
        pagination: &Pagination,
        first: &Url,
        found_at: &Url,
        answer: &Answer<'_>,
    ) -> Result<bool> {
        if answer.rows == 0 {
            return Ok(false);
        }
        if let Some(before) = self.read.insert(answer.digest, self.page) {
            return Err(again(format!("pages {before} and {} have the same rows", self.page)));
        }
        let is_short = pagination.counts() && pagination.size().is_some_and(|size| answer.rows < size);
        let wanted = pagination.max_pages.is_some_and(|most| self.page >= most);
        if is_short || wanted {
            return Ok(false);
        }
        let Some(next) = self.next(pagination, first, found_at, answer)? else { return Ok(false) };
        if self.page >= MOST_PAGES {
            let message = format!("there are more than {MOST_PAGES} pages; set `max_pages` to take the first ones");
            return Err(Error::new(Code::MaxPages, message));
        }
        let is_same_host =
            next.host_str() == first.host_str() && next.port_or_known_default() == first.port_or_known_default();
        let is_upgrade = next.host_str() == first.host_str() && next.scheme() == "https" && first.scheme() == "http";
        let listed =
            next.host_str().is_some_and(|host| pagination.hosts.iter().any(|other| other.eq_ignore_ascii_case(host)));
        if !(is_same_host && next.scheme() == first.scheme() || is_upgrade || listed) {
            let host = next.host_str().unwrap_or_default();
            return Err(Error::new(
                Code::NextHostBlocked,
                format!("page {} leads to `{host}`, which is not in `pagination.hosts`", self.page),
            ));
        }
        if !self.visited.insert(digest(&next)) {
            return Err(again(format!("page {} leads back to a page that was read", self.page)));
        }
        self.page += 1;
        self.url = next;
        Ok(true)
    }

    fn next(&self, pagination: &Pagination, first: &Url, found_at: &Url, answer: &Answer<'_>) -> Result<Option<Url>> {
        let told = answer.next.map(str::trim).filter(|text| !text.is_empty());
        let link = match pagination.style {
            Style::Offset | Style::Page => return Ok(pagination.address(first, self.page + 1)),
            Style::Cursor => {
                let name = pagination.parameter.as_deref().unwrap_or("cursor");
                return Ok(told.map(|token| with(&pagination.sized(first.clone()), name, token)));
            }
            Style::LinkHeader => told.and_then(next_link),
            Style::NextUrl | Style::NextSelector => told.map(str::to_owned),
        };
        let Some(link) = link else { return Ok(None) };
        let mut next = found_at.join(&link).map_err(|e| {
            Error::new(Code::NextHostBlocked, format!("page {} names no address as the next", self.page)).caused_by(e)
        })?;
        next.set_fragment(None);
        Ok(Some(next))
    }
}

fn again(message: String) -> Error {
    Error::new(Code::PaginationLoop, format!("{message}; does the site know the parameters of `pagination`?"))
}

/// An address by its meaning: parameters in any order, no fragment.
fn digest(url: &Url) -> [u8; 8] {
    let mut url = url.clone();
    url.set_fragment(None);
    let mut pairs: Vec<_> = url.query_pairs().into_owned().collect();
    pairs.sort();
    url.set_query(None);
    let full = Sha256::digest(format!("{url}\n{pairs:?}"));
    full.first_chunk().copied().unwrap_or_default()
}

/// The target with `rel=next` of a `Link` header (RFC 8288).
#[must_use]
pub fn next_link(header: &str) -> Option<String> {
    let mut rest = header;
    while let Some(start) = rest.find('<') {
        let (target, after) = rest.get(start + 1..)?.split_once('>')?;
        // A link ends at the comma that is outside of quotes.
        let mut quoted = false;
        let end = after.find(|c: char| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        let (parameters, next) = after.split_at(end.unwrap_or(after.len()));
        let is_next = parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
            let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
            name.trim().eq_ignore_ascii_case("rel") && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(target.trim().to_owned());
        }
        rest = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("an address")
    }

    fn pagination(json: &str) -> Pagination {
        serde_json::from_str(json).expect("a pagination")
    }

    fn answer<'a>(rows: u64, number: u32, next: Option<&'a str>) -> Answer<'a> {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&number.to_le_bytes());
        Answer { rows, digest, next }
    }

    /// Walks over what a site answers; the addresses that were asked for, and how it ended.
    fn walk(
        json: &str,
        first: &str,
        site: impl Fn(&Url, u32) -> (u64, u32, Option<String>),
    ) -> (Vec<String>, Option<Code>) {
        let (pagination, first) = (pagination(json), url(first));
        let mut walk = Walk::new(&pagination, &first);
        let mut asked = Vec::new();
        loop {
            let (page, at) = walk.current();
            let at = at.clone();
            asked.push(at.to_string());
            let (rows, digest, next) = site(&at, page);
            match walk.advance(&pagination, &first, &at, &answer(rows, digest, next.as_deref())) {
                Ok(true) => {}
                Ok(false) => return (asked, None),
                Err(e) => return (asked, Some(e.code())),
            }
        }
    }

    #[test]
    fn offsets_are_counted_until_a_short_page() {
        let site = |at: &Url, page: u32| {
            let offset = at.query_pairs().find(|(name, _)| name == "offset").map(|(_, value)| value.parse::<u64>());
            let offset = offset.and_then(std::result::Result::ok).unwrap_or_default();
            (250_u64.saturating_sub(offset).min(100), page, None)
        };
        let (asked, end) = walk(r#"{"style": "offset"}"#, "https://x.org/items?a=1&offset=7", site);
        assert_eq!(end, None);
        assert_eq!(asked[0], "https://x.org/items?a=1&offset=0&limit=100");
        assert_eq!(asked[2], "https://x.org/items?a=1&offset=200&limit=100");
        assert_eq!(asked.len(), 3);
        // 50 pages of 100, as the older system's only example.
        let full = |_: &Url, page: u32| (100, page, None);
        let (asked, end) = walk(r#"{"style": "offset", "max_pages": 50}"#, "https://x.org/", full);
        assert_eq!((asked.len(), end), (50, None));
        assert!(asked[49].contains("offset=4900"));
    }

    #[test]
    fn pages_are_counted_until_an_empty_one() {
        let site = |_: &Url, page: u32| (u64::from(page < 4), page, None);
        let json = r#"{"style": "page", "parameter": "p", "start": 0, "size": 1, "size_parameter": "per_page"}"#;
        let (asked, end) = walk(json, "https://x.org/", site);
        assert_eq!(end, None);
        let expected: Vec<_> = (0..4).map(|page| format!("https://x.org/?p={page}&per_page=1")).collect();
        assert_eq!(asked, expected);
        let addresses = pagination(json);
        assert_eq!(
            addresses.address(&url("https://x.org/"), 3).map(String::from).as_deref(),
            Some("https://x.org/?p=2&per_page=1")
        );
        assert_eq!(addresses.address(&url("https://x.org/"), 0), None);
    }

    #[test]
    fn tokens_links_and_addresses_are_followed() {
        let cursor = |_: &Url, page: u32| (1, page, (page < 3).then(|| format!("t={page}&x")));
        let (asked, end) = walk(r#"{"style": "cursor", "path": "$.next"}"#, "https://x.org/?q=a", cursor);
        assert_eq!((asked[2].as_str(), asked.len(), end), ("https://x.org/?q=a&cursor=t%3D2%26x", 3, None));

        let link = |_: &Url, page: u32| {
            (
                1,
                page,
                Some(format!("</?p=0>; rel=\"first\", </?p={}>; title=\"a, b\"; rel=\"next last\"", page + 1))
                    .filter(|_| page < 3),
            )
        };
        let (asked, end) = walk(r#"{"style": "link_header"}"#, "https://x.org/", link);
        assert_eq!(
            (asked, end),
            (["https://x.org/", "https://x.org/?p=2", "https://x.org/?p=3"].map(String::from).to_vec(), None)
        );

        let next = |_: &Url, page: u32| (1, page, (page < 3).then(|| format!("../{page}#top")));
        let (asked, end) = walk(r#"{"style": "next_selector", "path": "a@href"}"#, "http://x.org/a/b", next);
        assert_eq!(
            (asked, end),
            (["http://x.org/a/b", "http://x.org/1", "http://x.org/2"].map(String::from).to_vec(), None)
        );
    }

    #[test]
    fn walks_in_circles_are_refused() {
        let same_rows = |_: &Url, _: u32| (100, 7, None);
        assert_eq!(
            walk(r#"{"style": "page"}"#, "https://x.org/", same_rows),
            (vec!["https://x.org/?page=1".into(), "https://x.org/?page=2".into()], Some(Code::PaginationLoop))
        );
        let two_in_turn = |_: &Url, page: u32| (100, page % 2, Some(format!("token{page}")));
        assert_eq!(walk(r#"{"style": "cursor", "path": "$.t"}"#, "https://x.org/", two_in_turn).0.len(), 3);
        let next = r#"{"style": "next_url", "path": "$.next"}"#;
        let circle = |_: &Url, page: u32| (1, page, Some(format!("?b={}&a=1#x", page % 3)));
        assert_eq!(walk(next, "https://x.org/", circle).1, Some(Code::PaginationLoop));
        let itself = |at: &Url, page: u32| (1, page, Some(at.to_string()));
        let (asked, end) = walk(next, "https://x.org/?a=1&b=2", itself);
        assert_eq!((asked.len(), end), (1, Some(Code::PaginationLoop)));
        let for_ever = |_: &Url, page: u32| (1, page, Some(format!("token{}", page % 256)));
        let (asked, end) = walk(r#"{"style": "cursor", "path": "$.next"}"#, "https://x.org/", for_ever);
        assert_eq!((asked.len(), end), (257, Some(Code::PaginationLoop)), "tokens that repeat");
        let full = |at: &Url, page: u32| (1, page, Some(format!("{}1", at.query().unwrap_or_default().len())));
        assert_eq!(
            walk(r#"{"style": "page"}"#, "https://x.org/", full),
            (walk(r#"{"style": "page", "max_pages": 10000}"#, "https://x.org/", full).0, Some(Code::MaxPages))
        );
    }

    #[test]
    fn other_hosts_are_asked_only_if_listed() {
        let json = r#"{"style": "next_url", "path": "$.next"}"#;
        let to = |next: &'static str| move |_: &Url, page: u32| (u64::from(page == 1), page, Some(next.to_owned()));
        for next in [
            "https://evil.example/",
            "//evil.example/",
            "http://x.org/2",
            "https://x.org:8443/",
            "ftp://x.org/",
            "https://",
            "javascript:x",
        ] {
            assert_eq!(walk(json, "https://x.org/", to(next)).1, Some(Code::NextHostBlocked), "{next}");
        }
        assert_eq!(walk(json, "http://x.org/", to("https://x.org/2")).1, None);
        let json = r#"{"style": "next_url", "path": "$.next", "hosts": ["CDN.example"]}"#;
        assert_eq!(walk(json, "https://x.org/", to("https://cdn.example/2")).1, None);
    }

    #[test]
    fn faults_are_found_before_anything_is_fetched() {
        let faults = |json: &str| pagination(json).check().into_iter().map(|fault| fault.field).collect::<Vec<_>>();
        assert!(faults(r#"{"style": "offset"}"#).is_empty() && faults(r#"{"style": "link_header"}"#).is_empty());
        assert_eq!(faults(r#"{"style": "cursor"}"#), ["pagination.path"]);
        assert_eq!(faults(r#"{"style": "next_selector", "path": "//a"}"#), ["pagination.path"]);
        assert_eq!(
            faults(r#"{"style": "page", "path": "$.x", "size": 0, "max_pages": 0}"#),
            ["pagination.path", "pagination.size", "pagination.max_pages"]
        );
        assert_eq!(faults(r#"{"style": "link_header", "start": 1}"#), ["pagination.start"]);
    }

    #[test]
    fn link_headers_are_read() {
        let headers = [
            ("<https://x/2>; rel=\"next\"", Some("https://x/2")),
            ("<a>;rel=prev,<b>;REL=next", Some("b")),
            ("<a,b>; title=\"rel=next\"; rel=last", None),
            ("<a>; rel=\"prev  NEXT\"", Some("a")),
            ("", None),
            ("<a", None),
            ("junk; rel=next", None),
        ];
        for (header, target) in headers {
            assert_eq!(next_link(header).as_deref(), target, "{header}");
        }
    }

    proptest! {
        #[test]
        fn every_walk_ends(nexts in prop::collection::vec(0_u8..20, 1..40), rows in prop::collection::vec(0_u64..3, 1..40)) {
            let site = |_: &Url, page: u32| {
                let at = page as usize;
                (rows[at % rows.len()], page, Some(format!("/{}", nexts[at % nexts.len()])))
            };
            let (asked, _) = walk(r#"{"style": "next_url", "path": "$.next"}"#, "https://x.org/", site);
            let distinct: HashSet<_> = asked.iter().collect();
            prop_assert!(asked.len() <= 22 && distinct.len() == asked.len());
        }

        #[test]
        fn counted_addresses_are_distinct(size in 1_u64..1000, start in 0_u64..10, page in 1_u32..10_000) {
            let pagination = Pagination { size: Some(size), start: Some(start), ..pagination(r#"{"style": "offset"}"#) };
            let first = url("https://x.org/?z=%20");
            let (one, two) = (pagination.address(&first, page), pagination.address(&first, page + 1));
            prop_assert!(one.is_some() && one != two);
        }
    }
}
