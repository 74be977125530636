//! Pages as tables, from the request to the committed snapshot.
use std::{fs, path::Path};

use chrono::{DateTime, Utc};
use icehaul_tests::site::{PAGES, ROWS, Site};
use serde::Deserialize;
use serde_json::{Value, json};

use super::service::{Service, Shelf, asked, request};

/// A page of `tests/pages`, and what it gives.
#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    request: Value,
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

/// Values of a query as the fixtures spell them: numbers are compared as such.
fn is_same(found: &Value, expected: Option<&str>) -> bool {
    let text = match found {
        Value::Null => return expected.is_none(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let Some(expected) = expected else { return false };
    let number = |text: &str| text.parse::<f64>().ok();
    let moment = |text: &str| text.parse::<DateTime<Utc>>().ok();
    let same_number = number(&text).is_some() && number(&text) == number(expected);
    text == expected || same_number || moment(&text).is_some() && moment(&text) == moment(expected)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_real_sites_become_tables() {
    let (service, shelf) = (Service::new().await, Shelf::new().await);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pages");
    let mut count = 0;
    for file in fs::read_dir(&folder).expect("pages").flatten() {
        let path = file.path();
        if path.extension().is_none_or(|ending| ending != "html") {
            continue;
        }
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let case = fs::read_to_string(path.with_extension("json")).expect("a case");
        let case: Case = serde_json::from_str(&case).expect("a case");
        let url = shelf.put("/dir/page.html", "text/html", fs::read(&path).expect("a page"));
        let origin = url.trim_end_matches("/dir/page.html");
        let fields = if case.request.is_null() { json!({}) } else { case.request.clone() };
        let result = service.scrape(&url, &name, fields).await;
        assert_eq!(result["columns"], json!(case.columns), "{name}");
        assert_eq!((&result["rows_scraped"], &result["source_url"]), (&json!(case.rows.len()), &json!(url)), "{name}");
        let columns: Vec<_> = case.columns.iter().map(|column| format!("\"{column}\"")).collect();
        let rows = service.icehaul.rows(&format!("select {} from web.{name}", columns.join(", "))).await;
        assert_eq!(rows.len(), case.rows.len(), "{name}");
        for (row, expected) in rows.iter().zip(&case.rows) {
            for (n, cell) in expected.iter().enumerate() {
                // Links lead to where the page lies.
                let cell = cell.as_ref().map(|cell| cell.replace("https://example.org", origin));
                assert!(is_same(&row[n], cell.as_deref()), "{name}: {} is not {cell:?}", row[n]);
            }
        }
        count += 1;
    }
    assert_eq!(count, 27);
}

#[tokio::test(flavor = "multi_thread")]
async fn types_are_decided_by_all_pages() {
    let (service, shelf) = (Service::new().await, Shelf::new().await);
    let page = |rows: &str, next: &str| format!("<table><tr><th>a<th>b<th>When{rows}</table>{next}");
    shelf.html("/2", &page("<tr><td>3.5<td>x<td>2024-01-03<tr><td>n/a<td>y<td>-", "<a rel=next href=/3>"));
    shelf.html("/3", "<table><tr><th>A<th>c<tr><td>4<td>007</table>");
    let url = shelf.html("/1", &page("<tr><td>1,000<td>1<td>2024-01-02", "<a rel=next href=2>"));
    let pagination = json!({"style": "next_selector", "path": "a[rel=next]@href"});
    let result = service.scrape(&url, "t", json!({"pagination": pagination, "body_sha256": true})).await;
    assert_eq!((&result["rows_scraped"], &result["pages"]), (&json!(4), &json!(3)), "{result:#}");
    let types = service.types("t").await;
    let expected = [
        ("a", "DECIMAL(5, 1)"),
        ("b", "VARCHAR"),
        ("When", "DATE"),
        ("c", "VARCHAR"),
        ("source_url", "VARCHAR"),
        ("scraped_timestamp", "TIMESTAMP WITH TIME ZONE"),
        ("page_number", "INT"),
        ("body_sha256", "VARCHAR"),
    ];
    assert_eq!(types, expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
    let rows = service.icehaul.rows("select cast(a as double), b, \"When\", c, page_number, length(body_sha256) from web.t order by page_number, b").await;
    assert_eq!(rows[0], json!([1000.0, "1", "2024-01-02", null, 1, 64]));
    assert_eq!(rows[2], json!([null, "y", null, null, 2, 64]));
    assert_eq!(rows[3], json!([4.0, null, null, "007", 3, 64]));
    let notes = result["type_notes"].to_string();
    for part in ["thousands signs", "leading zeros", "of 3 pages that lack it"] {
        assert!(notes.contains(part), "{part}: {notes}");
    }
    // The next run finds the table, and keeps its types where the values fit.
    let url = shelf.html("/4", "<table><tr><th>a<th>b<th>When<tr><td>7<td>8<td>-</table>");
    service.scrape(&url, "t", json!({"body_sha256": true})).await;
    assert_eq!(service.types("t").await.len(), 8);
    assert_eq!(service.icehaul.rows("select count(*) from web.t where a = 7 and b = '8'").await, [json!([1])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_pages_are_one_snapshot() {
    let (service, site) = (Service::new().await, Site::start().await);
    let pagination = json!({"style": "next_selector", "path": "a[rel=next]@href"});
    let body = request(&site.url("/pages/1"), "linked", json!({"selector": "table.rows", "pagination": pagination}));
    let result = service.icehaul.done("/scrape", &body).await;
    assert_eq!((&result["rows_loaded"], &result["pages"]), (&json!(PAGES * ROWS), &json!(PAGES)), "{result:#}");
    assert_eq!(asked(&site).len(), PAGES);
    assert_eq!(service.snapshots("linked").await, 1);
    // Side by side, where the page's number is in its address.
    let pagination = json!({"style": "page", "size": ROWS});
    let fields = json!({"selector": "table.rows", "pagination": pagination, "connections": 8});
    let result = service.scrape(&site.url("/list"), "counted", fields).await;
    assert_eq!(result["rows_loaded"], json!(PAGES * ROWS), "{result:#}");
    let sums = "select count(*), count(distinct id), sum(id), cast(sum(price) as double), min(added), max(page_number), count(distinct source_url)";
    let linked = service.icehaul.rows(&format!("{sums} from web.linked")).await;
    assert_eq!(linked, service.icehaul.rows(&format!("{sums} from web.counted")).await);
    assert_eq!(linked[0][1], json!(PAGES * ROWS));
    assert_eq!(linked[0][5], json!(PAGES));
    let places = "select count(*) from web.counted where page_number <> (id - 1) / 50 + 1 or source_url not like '%page=' || page_number";
    assert_eq!(service.icehaul.rows(places).await, [json!([0])]);
    assert!(service.spooled("linked").is_empty() && service.spooled("counted").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_of_the_request_wins() {
    let (service, shelf) = (Service::new().await, Shelf::new().await);
    let url = shelf.html("/t", "<table><tr><th>zip<th>n<tr><td>00501<td>1<tr><td>10001<td>-</table>");
    let schema = json!({"zip": "int", "n": "double"});
    service.scrape(&url, "given", json!({"schema": schema})).await;
    let rows = service.icehaul.rows("select zip, n from web.given").await;
    assert_eq!(rows, [json!([501, 1.0]), json!([10001, null])]);
    let (code, message) = service.failure("/scrape", &url, json!({"schema": {"n": "date"}})).await;
    assert_eq!(code, "type_mismatch", "{message}");
    assert!(message.contains("page 1, row 1") && message.contains("`1`"), "{message}");
    let (code, _) = service.failure("/scrape", &url, json!({"schema": {"m": "date"}})).await;
    assert_eq!(code, "source_column_not_found");
    let text = service.scrape(&url, "texts", json!({"infer_types": false})).await;
    assert_eq!(text["type_notes"], json!([]));
    assert_eq!(service.types("texts").await[1].1, "VARCHAR");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_do_not_fit_become_null_where_that_is_wished() {
    let kept = [vec![], vec![("ICEHAUL_LIMITS__MAX_KEPT_BYTES", "1".to_owned())]];
    for env in kept {
        let (service, shelf) = (Service::with(&env).await, Shelf::new().await);
        let page = |n: u32, next: &str, cells: [&str; 2]| {
            let rows = cells.map(|cell| format!("<tr><td>{n}<td>{cell}"));
            shelf.html(&format!("/{n}"), &format!("<table><tr><th>id<th>People{}</table>{next}", rows.concat()))
        };
        let url = page(1, "<a rel=next href=/2>", ["1,234", "unknown"]);
        page(2, "", ["5,678[1]", "n/a"]);
        let pagination = json!({"style": "next_selector", "path": "a[rel=next]@href"});
        let fields = json!({"schema": {"people": "int"}, "pagination": pagination});
        let (code, message) = service.failure("/scrape", &url, fields.clone()).await;
        assert_eq!(code, "type_mismatch");
        assert!(message.starts_with("page 1, row 2: `unknown` in the column `People`"), "{message}");
        let mut fields = fields;
        fields["on_bad_value"] = "null".into();
        let result = service.scrape(&url, "forgiving", fields.clone()).await;
        assert_eq!(result["bad_values"], json!({"People": 1}), "{result:#}");
        assert!(service.spooled("forgiving").is_empty());
        let rows = service.icehaul.rows("select id, \"People\" from web.forgiving order by 1, 2").await;
        assert_eq!(rows, [json!([1, 1234]), json!([1, null]), json!([2, 5678]), json!([2, null])]);
        fields["schema"] = Value::Null;
        let refused = service.refusal("/scrape", &request(&url, "t", fields)).await;
        assert_eq!(refused, [("on_bad_value".to_owned(), "conflicting_fields".to_owned())]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_in_cells_are_text() {
    let (service, shelf) = (Service::new().await, Shelf::new().await);
    let cell = "&lt;script&gt;alert(1)&lt;/script&gt;=cmd|' /C calc'!A0";
    let url = shelf.html("/x", &format!("<table><tr><th>a<tr><td>{cell}<script>no()</script></table>"));
    service.scrape(&url, "x", json!({})).await;
    let rows = service.icehaul.rows("select a from web.x").await;
    assert_eq!(rows, [json!(["<script>alert(1)</script>=cmd|' /C calc'!A0"])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_pages_made_by_scripts_become_tables() {
    let service = Service::with(&[("ICEHAUL_SCRAPE__BROWSER_SANDBOX", "false".to_owned())]).await;
    let site = Site::start().await;
    assert_eq!(service.icehaul.get("/health").await.1["dependencies"]["browsers"], 1);
    let plain = service.failure("/scrape", &site.url("/script/table"), json!({"selector": "#t"})).await;
    assert_eq!(plain.0, "selector_matched_nothing", "{}", plain.1);
    let fields = json!({"selector": "#t", "render": "browser", "wait_for": "#t tr"});
    assert_eq!(service.scrape(&site.url("/script/table"), "made", fields).await["rows_scraped"], 3);
    let fields = json!({"selector": "#t", "render": "browser", "wait_for": "#t", "click": "#more"});
    assert_eq!(service.scrape(&site.url("/script/more"), "more", fields).await["rows_scraped"], 40);
    let rows = service.icehaul.rows("select count(*), sum(n), max(name) from web.more").await;
    assert_eq!(rows, [json!([40, 820, "name 9"])]);
    let unchanged = json!({"selector": "#t", "render": "browser", "wait_for": "#t tr"});
    assert_eq!(service.scrape(&site.url("/script/table"), "made", unchanged).await["unchanged"], true);
}
