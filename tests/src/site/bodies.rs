//! Bodies that are not what they seem.
//!
//! `/bomb?mb=200` is so many megabytes of zeros in gzip, `/endless` is 1 GB without a length, `/large?mb=60` has one.
//! `/typed/pdf|image|json|text|none` have those content types (`none`: no header; the body is a table). `/charset/…`: `header`
//! (Latin-1 by the header), `meta` (by a `<meta>`), `bom` (UTF-16), `none` (windows-1252 without a word), `utf8` (without a word),
//! `lie` (says UTF-8 and is Latin-1); each is a table with `Käse` and `12,50 €` where the charset has it.
use std::io::Write;

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use futures::stream;

use super::{Asked, html, small_table};

const MEGABYTE: usize = 1 << 20;

pub(super) fn answer(asked: &Asked, first: &str, second: &str) -> Response {
    match first {
        "bomb" => bomb(asked.number("mb", 200)),
        "endless" => html(zeros(1000)),
        "large" => {
            let length = asked.number("mb", 60);
            ([(header::CONTENT_LENGTH, (length * MEGABYTE).to_string())], html(zeros(length))).into_response()
        }
        "typed" => typed(second),
        _ => charset(second),
    }
}

fn zeros(megabytes: usize) -> Body {
    static ZEROS: [u8; MEGABYTE] = [b' '; MEGABYTE];
    Body::from_stream(stream::iter(
        (0..megabytes).map(|_| Ok::<_, std::convert::Infallible>(Bytes::from_static(&ZEROS))),
    ))
}

fn bomb(megabytes: usize) -> Response {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; MEGABYTE];
    (0..megabytes).for_each(|_| to.write_all(&zeros).expect("memory"));
    ([(header::CONTENT_ENCODING, "gzip")], html(to.finish().expect("memory"))).into_response()
}

fn typed(kind: &str) -> Response {
    let body = match kind {
        "pdf" => "%PDF-1.7\n%\u{e2}\n".to_owned(),
        "image" => "\u{89}PNG\r\n".to_owned(),
        "json" => r#"{"rows": [{"a": 1}]}"#.to_owned(),
        _ => small_table("typed"),
    };
    let name = match kind {
        "pdf" => "application/pdf",
        "image" => "image/png",
        "json" => "application/json",
        "text" => "text/plain",
        _ => return Response::new(body.into()),
    };
    ([(header::CONTENT_TYPE, name)], body).into_response()
}

fn charset(which: &str) -> Response {
    let page = |head: &str, word: &str| {
        format!(
            "<!doctype html><head>{head}<title>x</title></head><table><tr><th>name<th>price</tr><tr><td>{word}</tr></table>"
        )
    };
    let single = |text: String| text.chars().map(|c| if c == '€' { 0x80 } else { c as u8 }).collect::<Vec<u8>>();
    let (kind, bytes) = match which {
        "header" => ("text/html; charset=iso-8859-1", single(page("", "Käse<td>12,50"))),
        "meta" => ("text/html", single(page("<meta charset=latin1>", "Käse<td>12,50"))),
        "bom" => {
            let text = format!("\u{feff}{}", page("", "Käse<td>12,50 €"));
            ("text/html; charset=utf-8", text.encode_utf16().flat_map(u16::to_le_bytes).collect())
        }
        "lie" => ("text/html; charset=utf-8", single(page("", "Käse<td>12,50"))),
        "utf8" => ("text/html", page("", "Käse<td>12,50 €").into_bytes()),
        _ => ("text/html", single(page("", "Käse<td>12,50 €"))),
    };
    ([(header::CONTENT_TYPE, kind)], bytes).into_response()
}
