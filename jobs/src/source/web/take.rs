//! One page into columns of text: on a thread of its own, and nothing of the page is kept.
use arrow_array::{Array, StringArray};
use sha2::{Digest, Sha256};

use super::{Content, content, fetched::Fetched, order::Order};
use crate::{
    Code, Error, Result,
    crawl::pages::Style,
    extract::{self, Column, Document, Extracted, Limits, Note, encoding, json, xml},
};

/// What a page has given.
#[derive(Debug)]
pub(super) struct Taken {
    pub columns: Vec<Column>,
    pub rows: usize,
    /// Of the rows, in their order.
    pub digest: [u8; 32],
    /// What the page tells of the next one.
    pub next: Option<String>,
    pub notes: Vec<Note>,
    /// The columns' size in memory.
    pub bytes: usize,
    /// Why there are no rows, if nothing matched.
    pub nothing: Option<Error>,
}

/// Reads a page.
///
/// # Errors
/// Those of its content; that nothing matches is none.
pub(super) fn take(page: &Fetched, order: &Order) -> Result<Taken> {
    let limits = limits(order);
    let content = content::of(page, order.crawl.force, order.is_api)?;
    let header = page.header("content-type");
    let header = match content {
        Content::Xml => declared(&page.body, header),
        Content::Json if !header.is_some_and(|text| text.to_ascii_lowercase().contains("charset")) => {
            // JSON is UTF-8 unless someone says otherwise (RFC 8259).
            std::str::from_utf8(&page.body).is_ok().then(|| "application/json; charset=utf-8".to_owned())
        }
        _ => header.map(str::to_owned),
    };
    let decoded = encoding::decode(&page.body, header.as_deref());
    let mut notes = Vec::new();
    if decoded.invalid > 0 {
        let told = format!("{} places are no text in {}; U+FFFD stands there", decoded.invalid, decoded.encoding);
        notes.push(Note { column: None, text: told });
    }
    let (found, next) = match content {
        Content::Html => html(decoded.text, page, order, &limits)?,
        Content::Json => json(&decoded.text, order, &limits)?,
        Content::Xml => xml(&decoded.text, order, &limits)?,
    };
    let is_link = order.pagination().is_some_and(|pagination| pagination.style == Style::LinkHeader);
    let next = if is_link { page.joined("link") } else { next };
    Ok(match found {
        Ok(extracted) => {
            notes.extend(extracted.notes);
            let bytes = extracted.columns.iter().map(|column| column.cells.get_buffer_memory_size()).sum();
            let digest = digest(&extracted.columns);
            let nothing = None;
            Taken { columns: extracted.columns, rows: extracted.rows, digest, next, notes, bytes, nothing }
        }
        Err(nothing) => {
            Taken { columns: Vec::new(), rows: 0, digest: [0; 32], next, notes, bytes: 0, nothing: Some(nothing) }
        }
    })
}

/// Rows or that there is nothing; and what stands where the next page is told.
type Read = (Result<Extracted>, Option<String>);

fn limits(order: &Order) -> Limits {
    let limits = Limits::default();
    Limits { page_bytes: limits.page_bytes.max(order.crawl.manners.page_bytes()), ..limits }
}

/// That nothing matches is no failure here: on a later page it is the end.
fn found(extracted: Result<Extracted>) -> Result<Result<Extracted>> {
    match extracted {
        Err(e) if !matches!(e.code(), Code::SelectorMatchedNothing | Code::JsonPathEmpty) => Err(e),
        found => Ok(found),
    }
}

fn html(text: String, page: &Fetched, order: &Order, limits: &Limits) -> Result<Read> {
    let selector = order.crawl.extraction.selector.as_deref();
    if selector.is_some_and(|path| path.trim_start().starts_with('$') || path.contains('/')) {
        let css = extract::Selector::parse(selector.unwrap_or_default());
        if let Err(why) = css {
            return Err(Order::unusable(Content::Html, &why));
        }
    }
    let document = Document::parse(&text, Some(&page.url), limits)?;
    drop(text);
    let extracted = found(extract::extract(&document, &order.crawl.extraction, limits))?;
    let next = match &order.next_html {
        Some(field) => document.value(field, limits)?,
        None => None,
    };
    Ok((extracted, next))
}

fn json(text: &str, order: &Order, limits: &Limits) -> Result<Read> {
    let unusable = |why: &String| Order::unusable(Content::Json, why);
    let (path, fields) = (order.json.as_ref().map_err(unusable)?, order.json_fields.as_ref().map_err(unusable)?);
    let document = json::parse(text, limits)?;
    let rows = json::rows(limits, json::Strings::Meant, order.nests());
    let extracted = found(json::extract(&document, path, fields, rows))?;
    let next = match &order.next_json {
        Some(path) => json::value(&document, path)?,
        None => None,
    };
    Ok((extracted, next))
}

fn xml(text: &str, order: &Order, limits: &Limits) -> Result<Read> {
    let path = order.xml.as_ref().map_err(|why| Order::unusable(Content::Xml, why))?;
    let mut rows = json::rows(limits, json::Strings::Free, order.nests());
    let fields = &order.crawl.extraction.fields.0;
    let meant = xml::Meant { items: path, value: order.next_xml.as_ref() };
    let found = xml::read(text, &meant, limits, &mut |item| {
        if fields.is_empty() {
            return rows.push(&item);
        }
        let members = fields.iter().map(|(name, path)| (name.clone().into(), xml::within(&item, path)));
        rows.push(&json::Json::Object(members.collect()))
    })?;
    if found.items == 0 {
        let selector = order.crawl.extraction.selector.as_deref().unwrap_or_default();
        let message = format!("no element of the answer is at `{selector}`");
        return Ok((Err(Error::new(Code::SelectorMatchedNothing, message)), found.value));
    }
    Ok((rows.finish(), found.value))
}

/// The `Content-Type`, with the encoding that an XML declaration names, if the header names none.
fn declared(body: &[u8], header: Option<&str>) -> Option<String> {
    if header.is_some_and(|header| header.to_ascii_lowercase().contains("charset")) {
        return header.map(str::to_owned);
    }
    let begin = String::from_utf8_lossy(body.get(..200).unwrap_or(body));
    let named = begin.split_once("encoding=").filter(|_| begin.trim_start().starts_with("<?xml")).map(|(_, rest)| rest);
    let name = named.and_then(|rest| rest.get(1..)?.split(['"', '\'']).next()).unwrap_or("utf-8");
    Some(format!("application/xml; charset={name}"))
}

/// The digest of rows in their order: names, and cells with their lengths.
fn digest(columns: &[Column]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for column in columns {
        hash.update((column.name.len() as u64).to_le_bytes());
        hash.update(&column.name);
        hash.update((column.cells.len() as u64).to_le_bytes());
        cells(&mut hash, &column.cells);
    }
    hash.finalize().into()
}

fn cells(hash: &mut Sha256, cells: &StringArray) {
    let (offsets, from) = (cells.value_offsets(), cells.value_offsets().first().copied().unwrap_or_default());
    let mut lengths = Vec::with_capacity(offsets.len() * 4);
    for (n, offset) in offsets.iter().enumerate() {
        let is_null = n < cells.len() && cells.is_null(n);
        let mark = (offset - from) as u32 | (u32::from(is_null) << 31);
        lengths.extend_from_slice(&mark.to_le_bytes());
    }
    hash.update(&lengths);
    let end = offsets.last().copied().unwrap_or_default();
    let text = cells.value_data().get(from as usize..end as usize);
    hash.update(text.unwrap_or_default());
}
