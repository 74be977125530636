//! Whole pages: saved structures of real sites (`tests/pages`), the findings' fixtures and the standard's examples, each
//! with the rows that are expected, and whether pandas gives the same.
use std::{fmt::Write as _, path::PathBuf};

use serde::Deserialize;
use url::Url;

use super::*;

/// What is expected of a page.
#[derive(Deserialize)]
struct Case {
    /// The page, where it has no file of its own.
    #[serde(default)]
    html: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    request: serde_json::Value,
    columns: Vec<String>,
    /// After the cleaning of numbers.
    rows: Vec<Vec<Option<String>>>,
    /// Parts of the notes, all in their order.
    #[serde(default)]
    notes: Vec<String>,
    /// `same`, or why not.
    pandas: String,
}

fn pages() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/pages"))
}

/// The rows of a page as a job would have them before types.
fn run(bytes: &[u8], request: &serde_json::Value) -> Result<Extracted> {
    let wish: Extraction = match request {
        serde_json::Value::Null => Extraction::default(),
        request => serde_json::from_value(request.clone()).expect("a request"),
    };
    assert!(wish.check().is_empty(), "{request}");
    let limits = Limits::default();
    let address = Url::parse("https://example.org/dir/page.html").ok();
    let page = encoding::decode(bytes, Some("text/html"));
    let document = Document::parse(&page.text, address.as_ref(), &limits)?;
    let mut extracted = extract(&document, &wish, &limits)?;
    if wish.infer_types {
        numbers::clean(&mut extracted.columns, wish.locale, &wish.units, &mut extracted.notes);
    }
    Ok(extracted)
}

fn rows(extracted: &Extracted) -> Vec<Vec<Option<String>>> {
    let cell = |column: &Column, n| column.cells.is_valid(n).then(|| column.cells.value(n).to_owned());
    (0..extracted.rows).map(|n| extracted.columns.iter().map(|column| cell(column, n)).collect()).collect()
}

/// Checks one case; an empty text if it holds.
fn check(name: &str, bytes: &[u8], case: &Case) -> String {
    let mut wrong = String::new();
    let extracted = match run(bytes, &case.request) {
        Ok(extracted) => extracted,
        Err(e) => return format!("{name}: {e}\n"),
    };
    let names: Vec<_> = extracted.columns.iter().map(|column| column.name.clone()).collect();
    let found = rows(&extracted);
    if names != case.columns || found != case.rows {
        let found = serde_json::json!({"columns": names, "rows": found});
        let _ = writeln!(wrong, "{name}: {found}");
    }
    let told: Vec<_> = extracted
        .notes
        .iter()
        .map(|note| note.column.as_ref().map(|name| format!("{name}: ")).unwrap_or_default() + &note.text)
        .collect();
    let holds = told.len() == case.notes.len() && told.iter().zip(&case.notes).all(|(told, part)| told.contains(part));
    if !holds {
        let _ = writeln!(wrong, "{name}: notes {}", serde_json::json!(told));
    }
    if case.pandas.is_empty() {
        let _ = writeln!(wrong, "{name}: say what pandas makes of it");
    }
    wrong
}

#[test]
fn saved_pages_give_the_expected_rows() {
    let mut wrong = String::new();
    let mut count = 0;
    let mut files: Vec<_> =
        std::fs::read_dir(pages()).expect("the pages").map(|file| file.expect("a file").path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|suffix| suffix == "html")) {
        let expected = std::fs::read(file.with_extension("json")).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let case: Case = serde_json::from_slice(&expected).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        wrong += &check(&name, &std::fs::read(file).expect("a page"), &case);
        count += 1;
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(count >= 20, "{count} pages");
}

#[test]
fn fixtures_and_the_standards_examples_give_the_expected_rows() {
    let mut wrong = String::new();
    for (file, least) in [("fixtures.json", 15), ("standard.json", 5)] {
        let cases = std::fs::read(pages().join(file)).expect("the cases");
        let cases: Vec<Case> = serde_json::from_slice(&cases).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(cases.len() >= least, "{file}: {}", cases.len());
        for case in &cases {
            let name = case.name.as_deref().unwrap_or(file);
            wrong += &check(name, case.html.as_deref().unwrap_or_default().as_bytes(), case);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn code(html: &str, request: serde_json::Value) -> (Option<Code>, String) {
    match run(html.as_bytes(), &request) {
        Ok(_) => (None, String::new()),
        Err(e) => (Some(e.code()), e.message().to_owned()),
    }
}

#[test]
fn tables_to_choose_from_are_listed() {
    let row = "<tr><td><table><tr><td>inner</table><td>2";
    let page = format!(
        "<table><caption>Ranks</caption><tr><th>Pos<th>{}</tr>{row}</table><table>{row}</table>",
        "x".repeat(50)
    );
    let listed = format!(
        "0: \"Ranks\" (Pos, {}…), 2 rows; 1: (inner), 1 row; 2: (inner, 2), 1 row; 3: (inner), 1 row",
        "x".repeat(40)
    );
    let found = run(page.as_bytes(), &serde_json::json!({})).expect("the first table");
    let texts: Vec<_> = found.notes.iter().map(|note| note.text.as_str()).collect();
    assert!(texts.iter().any(|text| text.contains("4 tables match") && text.ends_with(&listed)), "{texts:?}");
    let (found, message) = code(&page, serde_json::json!({"table_index": 4}));
    assert_eq!((found, message.contains(&listed)), (Some(Code::SelectorMatchedNothing), true), "{message}");
    let many = code(&"<table><tr><td>1</table>".repeat(30), serde_json::json!({"table_index": 30})).1;
    assert!(many.contains("19: (1), 1 row; and 10 more"), "{many}");
}

#[test]
fn nothing_matched_tells_the_pages_title() {
    let page = "<title>Please sign in</title><table class=x><tr><td>1</table><table></table>";
    let (found, message) = code(page, serde_json::json!({"selector": "table.wikitable"}));
    assert_eq!(found, Some(Code::SelectorMatchedNothing));
    assert!(message.contains("`table.wikitable`") && message.contains("\"Please sign in\""), "{message}");
    let (found, message) = code(page, serde_json::json!({"table_index": 5}));
    assert_eq!((found, message.contains("2 tables match")), (Some(Code::SelectorMatchedNothing), true), "{message}");
    assert_eq!(
        code(page, serde_json::json!({"table_index": 1})).0,
        Some(Code::SelectorMatchedNothing),
        "an empty table"
    );
    assert_eq!(code("", serde_json::json!({})).0, Some(Code::SelectorMatchedNothing));
}

#[test]
fn hostile_pages_end_soon() {
    let start = std::time::Instant::now();
    let wide = "<table><tr><td colspan=1000000>x</table>";
    assert_eq!(code(wide, serde_json::json!({})).0, None);
    let covering =
        format!("<table><tr><td colspan=1000 rowspan=65534>{}{}", "x".repeat(10_000), "<tr><td>y".repeat(60_000));
    assert_eq!(code(&covering, serde_json::json!({})).0, Some(Code::HtmlTooLarge));
    assert_eq!(code(&"<div>".repeat(50_000), serde_json::json!({})).0, Some(Code::HtmlTooDeep));
    let row = format!("<table><tr>{}", "<td>1".repeat(3000));
    assert_eq!(code(&row, serde_json::json!({})).0, Some(Code::TooManyColumns));
    let inner = "<table><tr><td>1</table>".repeat(20_000);
    let around = format!("<table><tr><td>{inner}{}", "<tr><td>2".repeat(20_000));
    assert_eq!(code(&around, serde_json::json!({"selector": "tr"})).0, None, "rows of one table around many");
    // Unoptimised, and on a machine that does other things.
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

#[test]
fn soup_of_tags_gives_a_rectangle() {
    use rand::{Rng, SeedableRng, rngs::StdRng};
    let tags = [
        "<table>",
        "</table>",
        "<tr>",
        "</tr>",
        "<td>",
        "</td>",
        "<th>",
        "<th scope=row>",
        "<thead>",
        "</thead>",
        "<tbody>",
        "<tfoot>",
        "<caption>",
        "</caption>",
        "<td rowspan=2>",
        "<td rowspan=0>",
        "<td colspan=3>",
        "<th colspan=2>",
        "<td rowspan=99 colspan=9>",
        "<div class=a>",
        "</div>",
        "<p>",
        "<b>",
        "</b>",
        "<a href=x>",
        "</a>",
        "<ul>",
        "<li>",
        "</ul>",
        "<select>",
        "<option>",
        "<svg>",
        "</svg>",
        "<template>",
        "</template>",
        "<math>",
        "<form>",
        "<input>",
        "<br>",
        "<script>",
        "</script>",
        "<!--",
        "-->",
        "<col>",
        "<frameset>",
        "</body>",
        "text ",
        "1,234",
        "&nbsp;",
        "<sup>",
        "[1]",
        "</sup>",
        "<td hidden>",
        "<tr style=display:none>",
        "é",
        "\0",
        "<noscript>",
        "</html>",
        "<body>",
        "<plaintext>",
    ];
    let requests = [
        serde_json::json!({"links": true, "include_footer": true}),
        serde_json::json!({"all_tables": true}),
        serde_json::json!({"selector": "tr", "header_rows": 1}),
        serde_json::json!({"selector": "div, li"}),
        serde_json::json!({"selector": "*", "fields": {"a": "a@href", "b": "td + td", "c": "."}}),
    ];
    let rounds: u64 = std::env::var("ICEHAUL_SOUP_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let seed: u64 = std::env::var("ICEHAUL_SOUP_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    for round in 0..rounds {
        let mut random = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(round));
        let length = random.random_range(1..120);
        let mut page: String = (0..length).map(|_| tags[random.random_range(0..tags.len())]).collect();
        // Cut anywhere.
        let end = page.floor_char_boundary(random.random_range(0..=page.len()));
        page.truncate(end);
        for request in &requests {
            match run(page.as_bytes(), request) {
                Ok(extracted) => {
                    let lengths = extracted.columns.iter().all(|column| column.cells.len() == extracted.rows);
                    let mut names: Vec<_> = extracted.columns.iter().map(|column| column.name.to_lowercase()).collect();
                    names.sort();
                    names.dedup();
                    assert!(lengths && names.len() == extracted.columns.len(), "round {round}: {page}");
                }
                Err(e) => assert_eq!(e.code(), Code::SelectorMatchedNothing, "round {round}: {page}: {e}"),
            }
        }
    }
}
