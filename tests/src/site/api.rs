//! 5,000 records, from id 1 on, in every style of pagination.
//!
//! `/api/offset?offset=&limit=`, `/api/page?page=&size=`, `/api/cursor?cursor=`, `/api/link?page=` (a `Link` header),
//! `/api/next?page=` (`next` in the answer); a page has 100 records unless `limit` or `size` says otherwise. JSON is
//! `{"data": {"items": […]}, "next": …, "cursor": …, "total": 5000}`; `/api/link` is the list alone. With `format=xml` it is
//! `<answer><items><item id="1"><name>…</name>…</item></items><next>…</next></answer>`. `since=` leaves out records whose
//! `updated_at` is not later. `/api/same?page=` gives the first page whatever is asked, `/api/circle?page=` leads back to the first.
use std::fmt::Write;

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::Asked;

/// How many records there are.
pub const RECORDS: usize = 5000;
/// How many of them a page has.
pub const PAGE: usize = 100;

pub(super) fn answer(asked: &Asked, style: &str) -> Response {
    let size = asked.number("limit", asked.number("size", PAGE)).clamp(1, 1000);
    let page = asked.number("page", 1).max(1);
    let first = match style {
        "offset" => asked.number("offset", 0),
        "cursor" => match asked.query.get("cursor").map(|token| token.strip_prefix("after-")) {
            None => 0,
            Some(Some(id)) if id.parse::<usize>().is_ok() => id.parse().unwrap_or(0),
            Some(_) => return (StatusCode::BAD_REQUEST, "no such cursor").into_response(),
        },
        "same" => 0,
        "page" | "link" | "next" | "circle" => (page - 1) * size,
        _ => return (StatusCode::NOT_FOUND, "no such style").into_response(),
    };
    let since = asked.query.get("since").cloned().unwrap_or_default();
    let all: Vec<usize> = (1..=RECORDS).filter(|id| updated_at(*id) > since).collect();
    let ids: Vec<usize> = all.iter().copied().skip(first).take(size).collect();
    let more = first + ids.len() < all.len();
    let is_xml = asked.query.get("format").is_some_and(|format| format == "xml");
    let kept = if is_xml { format!("&size={size}&format=xml") } else { format!("&size={size}") };
    let next = match style {
        "circle" => Some(format!("/api/circle?page={}{kept}", page % 3 + 1)),
        "next" | "link" if more => Some(format!("/api/{style}?page={}{kept}", page + 1)),
        _ => None,
    };
    let cursor = (style == "cursor" && more).then(|| format!("after-{}", first + ids.len()));
    let body = if is_xml { xml(&ids, next.as_deref()) } else { json(style, &ids, next.as_deref(), cursor.as_deref()) };
    let kind = if is_xml { "application/xml" } else { "application/json" };
    let link = next.filter(|_| style == "link").map(|next| format!("<{}{next}>; rel=\"next\"", asked.origin));
    match link {
        Some(link) => ([(header::CONTENT_TYPE, kind.to_owned()), (header::LINK, link)], body).into_response(),
        None => ([(header::CONTENT_TYPE, kind)], body).into_response(),
    }
}

fn updated_at(id: usize) -> String {
    format!("2024-{:02}-{:02}T{:02}:{:02}:00Z", id / 420 + 1, id % 28 + 1, id % 24, id % 60)
}

/// A record. Its `account` is too long for a float, its `price` must stay exact, its `note` is missing now and then.
fn record(id: usize) -> String {
    let note = if id.is_multiple_of(3) { format!(",\"note\":\"note {id} é <b>\"") } else { String::new() };
    format!(
        "{{\"id\":{id},\"name\":\"record {id}\",\"price\":{}.{:02},\"account\":{},\"active\":{},\"updated_at\":\"{}\",\
         \"owner\":{{\"name\":\"owner {}\",\"city\":null}},\"tags\":[\"a\",\"b{}\"]{note}}}",
        id / 4,
        id % 4 * 25,
        account(id),
        id.is_multiple_of(2),
        updated_at(id),
        id % 10,
        id % 3,
    )
}

fn account(id: usize) -> String {
    format!("12345678901234567{id:04}")
}

fn json(style: &str, ids: &[usize], next: Option<&str>, cursor: Option<&str>) -> String {
    let items = ids.iter().map(|id| record(*id)).collect::<Vec<_>>().join(",");
    if style == "link" {
        return format!("[{items}]");
    }
    let quoted = |text: Option<&str>| text.map_or("null".to_owned(), |text| format!("\"{text}\""));
    format!(
        "{{\"total\":{RECORDS},\"next\":{},\"cursor\":{},\"data\":{{\"items\":[{items}]}}}}",
        quoted(next),
        quoted(cursor)
    )
}

fn xml(ids: &[usize], next: Option<&str>) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<answer><items>");
    for id in ids {
        let note = if id.is_multiple_of(3) { format!("<note>note {id} é &lt;b&gt;</note>") } else { String::new() };
        let _ = write!(
            text,
            "<item id=\"{id}\"><name>record {id}</name><price>{}.{:02}</price><account>{}</account><active>{}</active>\
             <updated_at>{}</updated_at><owner><name>owner {}</name><city/></owner>{note}</item>",
            id / 4,
            id % 4 * 25,
            account(*id),
            id.is_multiple_of(2),
            updated_at(*id),
            id % 10,
        );
    }
    text.push_str("</items>");
    if let Some(next) = next {
        let _ = write!(text, "<next>{}</next>", next.replace('&', "&amp;"));
    }
    text + "</answer>"
}
