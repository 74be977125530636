//! Pages: the parser, the table former, lists and cards, and types. The first byte chooses what is asked for.
#![no_main]
use icehaul_fuzz::{
    extract::{Document, Extraction, Limits, extract, typed},
    limits,
};
use libfuzzer_sys::fuzz_target;
use url::Url;

/// What is asked for: every way to read a page.
const WISHES: [&str; 8] = [
    "{}",
    r#"{"all_tables": true, "links": true, "include_footer": true}"#,
    r#"{"selector": "tr", "header_rows": 2}"#,
    r#"{"selector": "li"}"#,
    r#"{"selector": "div, p", "links": true}"#,
    r#"{"selector": "*", "fields": {"text": "*", "link": "a@href", "class": "@class"}}"#,
    r#"{"selector": "table table", "locale": "de", "units": ["km"]}"#,
    r#"{"header_rows": 0, "infer_types": false, "table_index": 1}"#,
];

fuzz_target!(|data: &[u8]| {
    let Some((choice, page)) = data.split_first() else { return };
    let page = String::from_utf8_lossy(page);
    let limits = limits();
    let address = Url::parse("https://example.org/a/b?c=d").ok();
    let Ok(document) = Document::parse(&page, address.as_ref(), &limits) else { return };
    let _ = document.title();
    let Ok(wish) = serde_json::from_str::<Extraction>(WISHES[usize::from(*choice) % WISHES.len()]) else { return };
    let Ok(found) = extract(&document, &wish, &limits) else { return };
    within(&found.columns, found.rows, &limits);
    if wish.infer_types {
        assert!(
            typed(found.columns, &wish, &mut Vec::new()).is_ok(),
            "cells that do not have the type that they decided on"
        );
    }
});

/// What holds for every page: columns of one length and distinct names, within the limits.
fn within(columns: &[icehaul_fuzz::extract::Column], rows: usize, limits: &Limits) {
    use arrow_array::Array;
    assert!(columns.iter().all(|column| column.cells.len() == rows), "columns of different lengths");
    assert!(columns.len() <= limits.columns + 2 && rows * columns.len() <= limits.cells * 2, "more cells than allowed");
    let mut names: Vec<_> = columns.iter().map(|column| column.name.to_lowercase()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), columns.len(), "columns of the same name");
}
