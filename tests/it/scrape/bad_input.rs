//! What sites answer when they do not answer well, and requests that mean nothing.
use icehaul_tests::site::Site;
use serde_json::{Value, json};

use super::service::{Service, Shelf, request};

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_mean_nothing_are_refused_at_once() {
    let service = Service::with(&[("ICEHAUL_SCRAPE__ALLOW_NETWORKS", "10.9.9.9/32".to_owned())]).await;
    let page = "https://example.org/";
    for (path, url, fields, field, code) in [
        ("/scrape", "http://127.0.0.1/", json!({}), "url", "egress_blocked"),
        ("/scrape", "http://2130706433/", json!({}), "url", "egress_blocked"),
        ("/scrape", "http://0x7f.1/", json!({}), "url", "egress_blocked"),
        ("/scrape-api", "http://[::ffff:169.254.169.254]/", json!({}), "url", "egress_blocked"),
        ("/scrape", "file:///etc/passwd", json!({}), "url", "egress_blocked"),
        ("/scrape", "https://", json!({}), "url", "invalid_field"),
        ("/scrape", "https://u:p@example.org/", json!({}), "url", "egress_blocked"),
        ("/scrape", "https://example.org:25/", json!({}), "url", "egress_blocked"),
        ("/scrape", page, json!({"selector": "div["}), "selector", "invalid_selector"),
        ("/scrape", page, json!({"selector": ""}), "selector", "invalid_selector"),
        ("/scrape", page, json!({"selector": "//div"}), "selector", "invalid_selector"),
        ("/scrape", page, json!({"selector": "p::text"}), "selector", "invalid_selector"),
        ("/scrape-api", page, json!({"selector": "$.a["}), "selector", "invalid_selector"),
        ("/scrape-api", page, json!({"params": {"a": [1]}}), "params.a", "invalid_field"),
        ("/scrape-api", page, json!({"render": "browser"}), "render", "unknown_field"),
        ("/scrape", page, json!({"wait_for": "p"}), "wait_for", "conflicting_fields"),
        ("/scrape", page, json!({"pagination": {"style": "cursor"}}), "pagination.path", "missing_field"),
        ("/scrape", page, json!({"mode": "incremental", "cursor": "a"}), "cursor", "conflicting_fields"),
    ] {
        let body = request(url, "t", fields);
        assert_eq!(service.refusal(path, &body).await, [(field.to_owned(), code.to_owned())], "{body}");
    }
    let long = request(&format!("https://example.org/{}", "x".repeat(10_000)), "t", json!({}));
    assert_eq!(service.refusal("/scrape", &long).await, [("url".to_owned(), "egress_blocked".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_cannot_be_read_are_told_by_their_codes() {
    let (service, site, shelf) = (Service::new().await, Site::start().await, Shelf::new().await);
    let table = "<title>Sign in</title><table><tr><th>a<tr><td>1</table>";
    let html = shelf.html("/html", table);
    let json = shelf.json("/json", &json!({"data": {"n": 1, "list": [], "rows": [{"a": 1}]}}));
    let xml = |path: &str, body: &str| shelf.put(path, "application/xml", body);
    let deep = shelf.html("/deep", &"<div>".repeat(50_000));
    for (path, url, fields, code) in [
        ("/scrape", site.url("/typed/pdf"), json!({}), "unexpected_content_type"),
        ("/scrape", site.url("/typed/image"), json!({}), "unexpected_content_type"),
        ("/scrape", json.clone(), json!({"selector": "ul > li"}), "unexpected_content_type"),
        ("/scrape-api", html.clone(), json!({}), "unexpected_content_type"),
        ("/scrape", site.url("/status/404"), json!({}), "http_404"),
        ("/scrape", site.url("/status/403"), json!({}), "http_403"),
        ("/scrape", site.url("/loop"), json!({}), "too_many_redirects"),
        ("/scrape", site.url("/private/1"), json!({}), "robots_disallowed"),
        ("/scrape", site.url("/large?mb=3"), json!({"max_bytes": 2_000_000}), "response_too_large"),
        ("/scrape", html.clone(), json!({"selector": "table.wikitable"}), "selector_matched_nothing"),
        ("/scrape", html.clone(), json!({"table_index": 1}), "selector_matched_nothing"),
        ("/scrape", deep, json!({}), "html_too_deep"),
        ("/scrape-api", json.clone(), json!({"selector": "data.nothing"}), "json_path_empty"),
        ("/scrape-api", json.clone(), json!({"selector": "data.n"}), "json_path_not_array"),
        ("/scrape-api", shelf.put("/cut", "application/json", "{\"a\": [1,"), json!({}), "json_invalid"),
        ("/scrape-api", xml("/cut.xml", "<r><i>1</i>"), json!({"selector": "//i"}), "xml_invalid"),
        ("/scrape-api", xml("/crossed.xml", "<r><i>1</r></i>"), json!({"selector": "//i"}), "xml_invalid"),
        ("/scrape-api", xml("/bomb.xml", "<!DOCTYPE r [<!ENTITY a \"b\">]><r>&a;</r>"), json!({}), "xml_entity"),
        ("/scrape-api", xml("/none.xml", "<r><i>1</i></r>"), json!({"selector": "//j"}), "selector_matched_nothing"),
        ("/scrape-api", site.url("/api/same"), paged("data.items", json!({"style": "page"})), "pagination_loop"),
        (
            "/scrape-api",
            site.url("/api/circle?page=1"),
            paged("data.items", json!({"style": "next_url", "path": "next"})),
            "pagination_loop",
        ),
        (
            "/scrape",
            shelf.html("/away", &format!("{table}<a rel=next href='http://example.org/'>")),
            paged("table", json!({"style": "next_selector", "path": "a@href"})),
            "next_host_blocked",
        ),
    ] {
        let (found, message) = service.failure(path, &url, fields.clone()).await;
        assert_eq!(found, code, "{url} {fields}: {message}");
    }
    let (_, message) = service.failure("/scrape", &html, json!({"selector": "#nothing"})).await;
    assert!(message.contains("Sign in"), "the page's title tells what came instead: {message}");
}

fn paged(selector: &str, pagination: Value) -> Value {
    json!({"selector": selector, "pagination": pagination})
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_before_one_that_cannot_be_had_can_be_kept() {
    let (service, site, shelf) = (Service::new().await, Site::start().await, Shelf::new().await);
    for page in 1..=2 {
        shelf.json(&format!("/gone?page={page}"), &json!([{"id": page * 10}, {"id": page * 10 + 1}]));
    }
    shelf.json("/odd?page=1", &json!([{"id": 10}]));
    shelf.put("/odd?page=2", "application/json", "[{");
    let gone = shelf.json("/gone", &json!([]));
    let (odd, away) =
        (shelf.json("/odd", &json!([])), shelf.json("/away", &json!([{"id": 1, "next": "http://example.org/"}])));
    let keep = |pagination: Value, more: Value| {
        let mut fields = json!({"partial": "keep", "pagination": pagination});
        more.as_object().into_iter().flatten().for_each(|(name, value)| fields[name] = value.clone());
        fields
    };
    let (page, next) = (json!({"style": "page"}), json!({"style": "next_url", "path": "next"}));
    let (again, circle) = (site.url("/api/same"), site.url("/api/circle?page=1"));
    let items = json!({"selector": "data.items"});
    for (name, url, fields, last_page, code, rows) in [
        ("gone", &gone, keep(page.clone(), json!({})), 2, "http_404", 4),
        ("beside", &gone, keep(page.clone(), json!({"connections": 4})), 2, "http_404", 4),
        ("odd", &odd, keep(page.clone(), json!({})), 1, "json_invalid", 1),
        ("same", &again, keep(page.clone(), items.clone()), 1, "pagination_loop", 100),
        ("circle", &circle, keep(next, items), 3, "pagination_loop", 300),
        ("away", &away, keep(json!({"style": "next_url", "path": "$[0].next"}), json!({})), 1, "next_host_blocked", 1),
    ] {
        let result = service.scrape_api(url, name, fields).await;
        assert_eq!(
            (&result["partial"]["last_page"], &result["partial"]["code"]),
            (&json!(last_page), &json!(code)),
            "{result:#}"
        );
        assert!(
            result["warnings"][0].as_str().is_some_and(|text| text.starts_with("not all pages were read: ")),
            "{result:#}"
        );
        assert_eq!((result["records"].as_u64(), service.snapshots(name).await), (Some(rows), 1), "{result:#}");
        assert!(service.spooled(name).is_empty(), "{name}");
    }
    let ids = service.icehaul.rows("select id, page_number from web.gone order by id").await;
    assert_eq!(ids, [json!([10, 1]), json!([11, 1]), json!([20, 2]), json!([21, 2])]);
    // What is complete says nothing of the kind, and without a first page there is nothing to keep.
    shelf.json("/gone?page=3", &json!([]));
    let whole = service.scrape_api(&gone, "whole", keep(page.clone(), json!({}))).await;
    assert_eq!((&whole["partial"], &whole["records"]), (&Value::Null, &json!(4)), "{whole:#}");
    let nowhere = gone.replace("/gone", "/nowhere");
    assert_eq!(service.failure("/scrape-api", &nowhere, keep(page.clone(), json!({}))).await.0, "http_404");
    // A cursor would pass over what is missing.
    let body =
        request(&gone, "t", keep(page, json!({"mode": "incremental", "cursor": "id", "since": {"parameter": "s"}})));
    let refused = service.refusal("/scrape-api", &body).await;
    assert_eq!(refused, [("partial".to_owned(), "conflicting_fields".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_empty_or_odd_can_be_accepted() {
    let (service, shelf) = (Service::new().await, Shelf::new().await);
    let html = shelf.html("/html", "<p>nothing");
    let result = service.scrape(&html, "empty", json!({"on_empty": "ok"})).await;
    assert_eq!((&result["rows_scraped"], &result["unchanged"]), (&json!(0), &json!(true)), "{result:#}");
    let list = shelf.json("/json", &json!({"data": []}));
    let result = service.scrape_api(&list, "empty", json!({"selector": "data"})).await;
    assert_eq!(result["records"], 0, "{result:#}");
    let forced = shelf.put("/forced", "application/pdf", "<table><tr><th>a<tr><td>1</table>");
    assert_eq!(service.scrape(&forced, "forced", json!({"force": "html"})).await["rows_scraped"], 1);
    // A column of the page has the name of a lineage column.
    let clash = shelf.html("/clash", "<table><tr><th>Source URL<tr><td>1</table>");
    assert_eq!(service.failure("/scrape", &clash, json!({})).await.0, "lineage_column_clash");
    assert_eq!(service.scrape(&clash, "clash", json!({"lineage": false})).await["columns"], json!(["Source_URL"]));
    let wide = shelf
        .html("/wide", "<table><tr><th>a<th>a<th>A<th><tr><td colspan=1000000>x<tr><td rowspan=65534>1<td>2</table>");
    let result = service.scrape(&wide, "wide", json!({})).await;
    let names = result["columns"].as_array().expect("columns");
    assert_eq!(names[..4], ["a", "a_2", "A_3", "column_4"].map(Value::from));
}
