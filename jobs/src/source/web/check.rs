//! What is wrong with a request, found without any I/O.
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::Url;

use super::{super::Names, Api, Content, Crawl, OnBadValue, Page, Partial, Render};
use crate::{
    Code, FieldError,
    crawl::egress::Egress,
    extract::{json, xml},
    transform::infer::Kind,
};

/// Why `partial` is not for loads by a cursor.
pub(super) const NOT_INCREMENTAL: &str =
    "`keep` goes not with a cursor: what is missing would never be asked for again";
/// The most parameters.
const MOST_PARAMS: usize = 200;

fn fault(field: impl Into<String>, code: Code, detail: impl Into<String>) -> FieldError {
    FieldError { field: field.into(), code, detail: detail.into() }
}

/// What pages and APIs have in common.
fn common(crawl: &Crawl) -> Vec<FieldError> {
    let mut wrong: Vec<_> = address(&crawl.url).into_iter().collect();
    wrong.extend(crawl.manners.check());
    wrong.extend(crawl.pagination.iter().flat_map(crate::crawl::pages::Pagination::check));
    if crawl.partial == Partial::Keep && crawl.pagination.is_none() {
        wrong.push(fault("partial", Code::ConflictingFields, "`keep` goes with `pagination` only"));
    }
    if crawl.on_bad_value == OnBadValue::Null && crawl.schema.is_none() {
        wrong.push(fault("on_bad_value", Code::ConflictingFields, "`null` goes with `schema` only"));
    }
    for (column, kind) in crawl.schema.iter().flatten() {
        if kind.parse::<Kind>().is_err() {
            let column: String = column.chars().take(60).collect();
            let detail = format!("`{kind}` is not a type: {}", Kind::NAMES);
            wrong.push(fault(format!("schema.{column}"), Code::InvalidField, detail));
        }
    }
    wrong
}

/// What is wrong with an address by itself; whether its network may be asked, only the configuration tells.
fn address(text: &str) -> Option<FieldError> {
    let Ok(url) = Url::parse(text) else {
        return Some(fault("url", Code::InvalidField, "is no address such as https://example.org/page"));
    };
    refused(&url, &Egress::new(vec![IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())]))
}

fn refused(url: &Url, egress: &Egress) -> Option<FieldError> {
    egress.check(url).err().map(|error| fault("url", error.code(), error.message()))
}

/// Whether the configuration lets the address be asked, as far as that is said without DNS.
pub(super) fn names(crawl: &Crawl, names: &Names<'_>) -> Vec<FieldError> {
    let url = Url::parse(&crawl.url).ok();
    url.and_then(|url| refused(&url, names.egress)).into_iter().collect()
}

pub(super) fn page(page: &Page) -> Vec<FieldError> {
    let crawl = &page.crawl;
    let mut wrong = common(crawl);
    match crawl.extraction.selector.as_deref() {
        Some(path) if path.trim_start().starts_with('$') => {
            wrong.extend(json::Path::parse(path).err().map(|why| fault("selector", Code::InvalidSelector, why)));
            wrong.extend(without_selector(crawl).check());
        }
        Some(path) if is_xml_path(path) => wrong.extend(without_selector(crawl).check()),
        _ => wrong.extend(crawl.extraction.check()),
    }
    wrong.extend(page.rendering.check());
    if page.render != Render::Browser {
        let given = page.rendering.given();
        wrong.extend(given.map(|field| fault(field, Code::ConflictingFields, "goes with `render` `browser` only")));
    }
    wrong
}

/// `channel/item`: nothing that CSS could mean.
fn is_xml_path(path: &str) -> bool {
    path.contains('/') && !path.trim_start().starts_with('/') && xml::Path::parse(path).is_ok()
}

fn without_selector(crawl: &Crawl) -> crate::extract::Extraction {
    crate::extract::Extraction { selector: None, ..crawl.extraction.clone() }
}

pub(super) fn api(api: &Api) -> Vec<FieldError> {
    let crawl = &api.crawl;
    let mut wrong = common(crawl);
    if crawl.force == Some(Content::Html) {
        wrong.extend(crawl.extraction.check());
    } else {
        wrong.extend(paths(crawl));
    }
    if api.params.len() > MOST_PARAMS {
        wrong.push(fault("params", Code::InvalidField, format!("must be at most {MOST_PARAMS}")));
    }
    if api.since.as_ref().is_some_and(|since| since.parameter.trim().is_empty()) {
        wrong.push(fault("since.parameter", Code::InvalidField, "must not be empty"));
    }
    if api.since.is_some() && crawl.partial == Partial::Keep {
        wrong.push(fault("partial", Code::ConflictingFields, NOT_INCREMENTAL));
    }
    wrong
}

/// Paths of JSON or XML, in place of CSS.
fn paths(crawl: &Crawl) -> Vec<FieldError> {
    let mut wrong = Vec::new();
    let given = &crawl.extraction;
    if let Some(Err(why)) = given.selector.as_deref().map(either_path) {
        wrong.push(fault("selector", Code::InvalidSelector, why));
    }
    for (name, path) in &given.fields.0 {
        let field = format!("fields.{name}");
        if name.trim().is_empty() {
            wrong.push(fault(field, Code::InvalidField, "a column's name has at least one character"));
        } else if let Err(why) = either_path(path) {
            wrong.push(fault(field, Code::InvalidSelector, why));
        }
    }
    let of_pages = [
        ("table_index", given.table_index.is_some()),
        ("all_tables", given.all_tables),
        ("include_footer", given.include_footer),
        ("header_rows", given.header_rows.is_some()),
        ("links", given.links),
    ];
    for (field, _) in of_pages.into_iter().filter(|(_, given)| *given) {
        wrong.push(fault(field, Code::ConflictingFields, "is for pages; use POST /api/v1/scrape"));
    }
    // Units, locale and the like, whose rules are the same.
    let rest = crate::extract::Extraction { units: given.units.clone(), ..crate::extract::Extraction::default() };
    wrong.extend(rest.check());
    wrong
}

/// A path of JSON or of XML: which it is, only the answer tells.
fn either_path(path: &str) -> Result<(), String> {
    let json = json::Path::parse(path).map(drop);
    match path.trim_start().starts_with('$') {
        true => json,
        false => json.or_else(|why| xml::Path::parse(path).map(drop).map_err(|_| why)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn faults<T: serde::de::DeserializeOwned>(
        check: impl Fn(&T) -> Vec<FieldError>,
        body: Value,
    ) -> Vec<(String, Code)> {
        let request = serde_json::from_value(body).expect("a request");
        check(&request).into_iter().map(|fault| (fault.field, fault.code)).collect()
    }

    #[test]
    fn pages_take_css_and_paths_of_answers() {
        for (selector, right) in [
            ("table.wikitable", true),
            ("data.issues", true),
            ("$.data[*]", true),
            ("channel/item", true),
            ("div[", false),
            ("", false),
            ("//div", false),
            ("a::text", false),
            ("$.data[", false),
        ] {
            let found = faults(page, json!({"url": "https://example.org/", "selector": selector}));
            let expected = if right { vec![] } else { vec![("selector".to_owned(), Code::InvalidSelector)] };
            assert_eq!(found, expected, "{selector}");
        }
    }

    #[test]
    fn apis_take_paths() {
        for (selector, right) in [
            ("data.issues", true),
            ("data.issues[0]", true),
            ("", true),
            ("//item", true),
            ("channel/item", true),
            ("$.a[?@.b]", true),
            ("$.a[", false),
            ("div[", false),
        ] {
            let found = faults(api, json!({"url": "https://example.org/", "selector": selector}));
            let expected = if right { vec![] } else { vec![("selector".to_owned(), Code::InvalidSelector)] };
            assert_eq!(found, expected, "{selector}");
        }
        let partial = json!({"url": "https://example.org/", "partial": "keep", "since": {"parameter": "s"}});
        assert_eq!(faults(api, partial), [(); 2].map(|()| ("partial".to_owned(), Code::ConflictingFields)));
        let body = json!({"url": "https://example.org/", "table_index": 0, "fields": {"a": "b[", "@id": "@id"}, "since": {"parameter": " "}});
        let expected = [
            ("fields.a", Code::InvalidSelector),
            ("table_index", Code::ConflictingFields),
            ("since.parameter", Code::InvalidField),
        ];
        assert_eq!(faults(api, body), expected.map(|(field, code)| (field.to_owned(), code)));
    }

    #[test]
    fn addresses_that_cannot_be_are_refused() {
        let long = format!("https://example.org/{}", "x".repeat(10_000));
        for (url, code) in [
            ("example.org", Code::InvalidField),
            ("https://", Code::InvalidField),
            ("https://u:p@example.org/", Code::EgressBlocked),
            ("https://example.org:25/", Code::EgressBlocked),
            ("file:///etc/passwd", Code::EgressBlocked),
            (&long, Code::EgressBlocked),
        ] {
            assert_eq!(faults(page, json!({"url": url})), [("url".to_owned(), code)], "{url}");
        }
        assert_eq!(faults(page, json!({"url": "http://127.0.0.1/"})), [], "an operator may have listed it");
    }
}
