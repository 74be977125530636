//! What an answer is: by its header, then by its first bytes.
use super::{Content, fetched::Fetched};
use crate::{Code, Error, Result};

/// How many bytes are looked at.
const LOOK: usize = 512;

/// How files begin that are neither text nor anything that could be read.
const MAGIC: [(&[u8], &str); 8] = [
    (b"%PDF-", "a PDF"),
    (b"\x89PNG", "an image"),
    (b"GIF8", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"RIFF", "an image or a sound"),
    (b"PK\x03\x04", "a ZIP archive, or an office file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\xd0\xcf\x11\xe0", "an office file"),
];

/// Tells what a page is; `is_api` where JSON or XML are expected.
///
/// # Errors
/// [`Code::UnexpectedContentType`].
pub(super) fn of(page: &Fetched, force: Option<Content>, is_api: bool) -> Result<Content> {
    if let Some(forced) = force {
        return Ok(forced);
    }
    let header = page.header("content-type").unwrap_or_default();
    let mime = header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let found = by_magic(&page.body).map_or_else(|| by_name(&mime), |what| Err(what.to_owned()));
    let found = found.map(|named| match (named, by_bytes(&page.body)) {
        // No page begins so, and servers send JSON as whatever is their default.
        (Some(Content::Html) | None, Some(Content::Json)) => Some(Content::Json),
        (Some(named), _) => Some(named),
        (None, Some(Content::Html)) if is_api && !looks_like_html(&page.body) => Some(Content::Xml),
        (None, looks) => looks,
    });
    let refused = |what: &str| {
        let message = format!("the answer is {what}, which has no rows to read; `force` says what to take it for");
        Error::new(Code::UnexpectedContentType, message)
    };
    match found {
        Ok(Some(Content::Html)) if is_api => {
            let message = "the answer is a web page, not JSON or XML: perhaps a login or an error. POST /api/v1/scrape reads \
                           pages; `force`: `html` reads it here";
            Err(Error::new(Code::UnexpectedContentType, message))
        }
        Ok(Some(content)) => Ok(content),
        Ok(None) if page.body.is_empty() => Err(refused("empty")),
        Ok(None) if mime.is_empty() => Err(refused("of no known kind")),
        Ok(None) => Err(refused(&format!("`{mime}`"))),
        Err(what) => Err(refused(&what)),
    }
}

fn by_magic(body: &[u8]) -> Option<&'static str> {
    MAGIC.iter().find(|(begin, _)| body.starts_with(begin)).map(|(_, what)| *what)
}

/// By the header; `None` if it does not tell, an error if it tells of something else.
fn by_name(mime: &str) -> std::result::Result<Option<Content>, String> {
    let (family, name) = mime.split_once('/').unwrap_or_default();
    match (family, name) {
        (_, "html" | "xhtml+xml") => Ok(Some(Content::Html)),
        ("application" | "text", "json" | "x-json") => Ok(Some(Content::Json)),
        ("application" | "text", "xml") => Ok(Some(Content::Xml)),
        _ if name.ends_with("+json") => Ok(Some(Content::Json)),
        ("image" | "audio" | "video" | "font" | "model", _) => Err(format!("`{mime}`")),
        _ if name.ends_with("+xml") => Ok(Some(Content::Xml)),
        ("application", "pdf" | "zip" | "gzip" | "msword") => Err(format!("`{mime}`")),
        ("text", "csv" | "css" | "calendar") => Err(format!("`{mime}`")),
        _ => Ok(None),
    }
}

/// By its first bytes.
fn by_bytes(body: &[u8]) -> Option<Content> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    match body {
        [b'{' | b'[', ..] => Some(Content::Json),
        [b'<', b'?', b'x', b'm', b'l', ..] if !looks_like_html(body) => Some(Content::Xml),
        [b'<', ..] => Some(Content::Html),
        _ => None,
    }
}

fn looks_like_html(body: &[u8]) -> bool {
    let begin = body.get(..LOOK).unwrap_or(body).to_ascii_lowercase();
    let has = |word: &[u8]| begin.windows(word.len()).any(|window| window == word);
    has(b"<html") || has(b"<!doctype html") || has(b"<body") || has(b"<table")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(header: &str, body: &[u8], is_api: bool) -> Option<Content> {
        let headers = if header.is_empty() { vec![] } else { vec![("content-type".to_owned(), header.to_owned())] };
        let page = Fetched { headers, body: body.to_vec().into(), ..Fetched::empty() };
        of(&page, None, is_api).ok()
    }

    #[test]
    fn the_header_tells_and_then_the_bytes() {
        use Content::{Html, Json, Xml};
        for (header, body, page, api) in [
            ("text/html; charset=x", &b"<p>"[..], Some(Html), None),
            ("application/json", b"[]", Some(Json), Some(Json)),
            ("application/geo+json", b"<", Some(Json), Some(Json)),
            ("text/html", b" {\"a\": 1}", Some(Json), Some(Json)),
            ("text/plain", b"\xef\xbb\xbf\n[1]", Some(Json), Some(Json)),
            ("application/rss+xml", b"<rss/>", Some(Xml), Some(Xml)),
            ("", b"<?xml version='1.0'?><rows/>", Some(Xml), Some(Xml)),
            ("", b"<?xml version='1.0'?><!DOCTYPE html><html>", Some(Html), None),
            ("", b"<rows/>", Some(Html), Some(Xml)),
            ("", b"<!doctype html>", Some(Html), None),
            ("application/xhtml+xml", b"<html/>", Some(Html), None),
            ("application/octet-stream", b"{}", Some(Json), Some(Json)),
            ("application/pdf", b"<p>", None, None),
            ("text/html", b"%PDF-1.7", None, None),
            ("image/svg+xml", b"<svg/>", None, None),
            ("image/png", b"\x89PNG", None, None),
            ("text/plain", b"hello", None, None),
            ("text/html", b"hello", Some(Html), None),
            ("", b"", None, None),
        ] {
            assert_eq!(found(header, body, false), page, "{header} {body:?}");
            assert_eq!(found(header, body, true), api, "{header} {body:?}");
        }
        let pdf = Fetched { body: b"%PDF-".to_vec().into(), ..Fetched::empty() };
        assert_eq!(of(&pdf, Some(Html), false).ok(), Some(Html));
    }
}
