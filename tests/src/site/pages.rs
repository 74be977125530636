//! 200 pages of 50 rows.
use std::{fmt::Write as _, io::Write as _, sync::Arc, sync::atomic::Ordering::SeqCst};

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{Asked, Shared, html, small_table};

/// How many pages there are.
pub const PAGES: usize = 200;
/// How many rows each of them has.
pub const ROWS: usize = 50;

const SINCE: &str = "Mon, 02 Sep 2024 10:00:00 GMT";

pub(super) fn answer(shared: &Arc<Shared>, asked: &Asked, first: &str, second: &str) -> Response {
    let version = shared.version.load(SeqCst);
    let number = match first {
        "" => return html("<!doctype html><title>A site</title><p><a href='/pages/1'>Pages</a>"),
        "private" => return html(small_table("private")),
        "list" => asked.number("page", 1),
        _ => second.parse().unwrap_or(0),
    };
    let exists = (1..=PAGES).contains(&number);
    if !exists && first != "list" {
        return (StatusCode::NOT_FOUND, "there is no such page").into_response();
    }
    let headers = headers(version, number);
    let etag = headers.get(header::ETAG).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let tags = asked.header(header::IF_NONE_MATCH);
    let unchanged = match tags.is_empty() {
        false => tags.split(',').any(|tag| tag.trim() == etag),
        true => version == 1 && asked.header(header::IF_MODIFIED_SINCE) == SINCE,
    };
    if unchanged {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let next = match first {
        "list" => format!("/list?page={}", number + 1),
        _ => format!("/{first}/{}", number + 1),
    };
    let text = page(version, number, (number < PAGES).then_some(&*next));
    if first == "zipped" {
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        to.write_all(text.as_bytes()).expect("memory");
        let encoding = [(header::CONTENT_ENCODING, "gzip"), (header::CONTENT_TYPE, "text/html; charset=utf-8")];
        return (encoding, to.finish().expect("memory")).into_response();
    }
    (headers, html(text)).into_response()
}

fn headers(version: usize, number: usize) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let tag = format!("\"v{version}-{number}\"");
    headers.insert(header::ETAG, HeaderValue::from_str(&tag).expect("a tag"));
    let since = if version == 1 { SINCE } else { "Tue, 03 Sep 2024 10:00:00 GMT" };
    headers.insert(header::LAST_MODIFIED, HeaderValue::from_static(since));
    headers
}

/// A page; rows have the ids from `(number - 1) * 50 + 1` on.
fn page(version: usize, number: usize, next: Option<&str>) -> String {
    let mut text = format!(
        "<!doctype html><html><head><title>Page {number}</title></head><body><h1>Page {number}</h1>\
         <table class=\"rows\"><thead><tr><th>id</th><th>name</th><th>price</th><th>city</th><th>added</th></tr></thead><tbody>\n"
    );
    let rows = if number <= PAGES { ROWS } else { 0 };
    for id in (number.saturating_sub(1) * ROWS + 1..).take(rows) {
        let (price, day) = (id * 125, id % 28 + 1);
        let _ = writeln!(
            text,
            "<tr><td>{id}</td><td>item {id} v{version}</td><td>{}.{:02}</td><td>{}</td><td>2024-03-{day:02}</td></tr>",
            price / 100,
            price % 100,
            ["Oslo", "Lima", "Bonn", "Pisa"][id % 4],
        );
    }
    text.push_str("</tbody></table>");
    if let Some(next) = next {
        let _ = write!(text, "<a rel=\"next\" href=\"{next}\">next</a>");
    }
    text.push_str("</body></html>");
    text
}
