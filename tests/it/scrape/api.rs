//! Answers of APIs as tables.
use icehaul_tests::site::{Site, api::RECORDS};
use serde_json::json;

use super::service::{Service, Shelf, asked};

/// The records that are not as the site's are, or not of the page on which they stand there.
const WRONG: &str = "select count(*) from web.{table} where name <> 'record ' || {id} or price <> cast({id} as decimal(8, 2)) / 4 \
    or cast(account as varchar) <> '12345678901234567' || lpad(cast({id} as varchar), 4, '0') or active <> ({id} % 2 = 0) \
    or coalesce(note, '') <> case when {id} % 3 = 0 then 'note ' || {id} || ' é <b>' else '' end or page_number <> ({id} - 1) / 100 + 1";

#[tokio::test(flavor = "multi_thread")]
async fn all_styles_of_pagination_give_the_same_records() {
    let (service, site) = (Service::new().await, Site::start().await);
    for (name, path, selector, pagination, connections) in [
        ("off_set", "/api/offset", "data.items", json!({"style": "offset"}), 1),
        ("beside", "/api/offset", "$.data.items[*]", json!({"style": "offset", "size": 100}), 4),
        ("page", "/api/page", "data.items", json!({"style": "page", "size": 100}), 1),
        ("cursors", "/api/cursor", "data.items", json!({"style": "cursor", "path": "cursor"}), 1),
        ("link", "/api/link", "", json!({"style": "link_header"}), 1),
        ("next", "/api/next", "data.items", json!({"style": "next_url", "path": "$.next"}), 1),
        ("xml", "/api/next?format=xml", "items/item", json!({"style": "next_url", "path": "next"}), 1),
    ] {
        site.forget();
        let fields = json!({"selector": selector, "pagination": pagination, "connections": connections});
        let result = service.scrape_api(&site.url(path), name, fields).await;
        assert_eq!(
            (&result["records"], &result["rows_loaded"]),
            (&json!(RECORDS), &json!(RECORDS)),
            "{name}: {result:#}"
        );
        assert_eq!(result["source_url"], json!(site.url(path)), "{name}");
        let mut paths = asked(&site);
        assert!((50..=54).contains(&paths.len()), "{name}: {paths:?}");
        paths.dedup();
        assert!(paths.len() >= 50, "{name}: no page is asked twice");
        assert_eq!(service.snapshots(name).await, 1, "{name}");
        let id = if name == "xml" { "\"@id\"" } else { "id" };
        let query = |sql: &str| sql.replace("{id}", id).replace("{table}", name);
        let count =
            "select count(*), count(distinct {id}), min({id}), max({id}), count(distinct source_url) from web.{table}";
        let counted = service.icehaul.rows(&query(count)).await;
        assert_eq!(counted, [json!([RECORDS, RECORDS, 1, RECORDS, 50])], "{name}");
        assert_eq!(service.icehaul.rows(&query(WRONG)).await, [json!([0])], "{name}");
        let moments = "select count(*) from ((select {id}, cast(updated_at as varchar), page_number from web.{table}) \
             except (select id, cast(updated_at as varchar), page_number from web.off_set))";
        assert_eq!(service.icehaul.rows(&query(moments)).await, [json!([0])], "{name}");
        let pages =
            service.icehaul.rows(&query("select distinct page_number, source_url from web.{table} order by 1")).await;
        let second = pages[1][1].as_str().expect("an address");
        assert!(
            pages.len() == 50 && second.starts_with(&site.url(path.split('?').next().expect("a path"))),
            "{name}: {second}"
        );
    }
    let types = service.types("page").await;
    let kind = |name: &str| types.iter().find(|(own, _)| own == name).map(|(_, kind)| kind.as_str());
    assert_eq!(kind("account"), Some("DECIMAL(21, 0)"), "{types:?}");
    assert_eq!(kind("price"), Some("DECIMAL(6, 2)"));
    assert_eq!(
        (kind("updated_at"), kind("active"), kind("owner")),
        (Some("TIMESTAMP WITH TIME ZONE"), Some("BOOLEAN"), Some("VARCHAR"))
    );
    let owner = service.icehaul.rows("select owner, tags from web.page where id = 11").await;
    assert_eq!(owner, [json!([r#"{"name":"owner 1","city":null}"#, r#"["a","b2"]"#])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_values_become_structs_and_pages_may_differ() {
    let (service, shelf) = (Service::new().await, Shelf::new().await);
    shelf.json("/a?page=2", &json!([{"id": 2, "who": {"name": "y", "age": 2.5}, "x": "text"}, {"id": 3, "tags": []}]));
    shelf.json("/a?page=3", &json!([]));
    shelf.json("/a?page=1", &json!([{"id": 1, "who": {"name": "x"}, "tags": ["p", "q"], "x": 1}]));
    let url = shelf.json("/a", &json!([]));
    let fields = json!({"pagination": {"style": "page"}, "nested": "struct"});
    let result = service.scrape_api(&url, "nested", fields).await;
    assert_eq!((&result["records"], &result["pages"]), (&json!(3), &json!(2)), "{result:#}");
    let types = service.types("nested").await;
    assert!(types[1].1.starts_with("ROW(") && types[2].1.starts_with("ARRAY("), "{types:?}");
    let rows = service.icehaul.rows("select id, who['name'], tags[1], x from web.nested order by id").await;
    assert_eq!(rows, [json!([1, "x", "p", "1"]), json!([2, "y", null, "text"]), json!([3, null, null, null])]);
    assert!(result["type_notes"].to_string().contains("numbers and texts"), "{result:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_new_is_taken() {
    let (service, site) = (Service::new().await, Site::start().await);
    let body = json!({
        "selector": "data.items", "params": {"limit": 1000, "state": "open"}, "mode": "incremental", "cursor": "updated_at",
        "since": {"parameter": "since"}, "pagination": {"style": "offset", "size": 1000, "max_pages": 2},
    });
    let first = service.scrape_api(&site.url("/api/offset"), "new", body.clone()).await;
    assert_eq!(first["records"], 2000, "{first:#}");
    let newest = first["cursor"]["to"].as_str().expect("a value").to_owned();
    assert!(asked(&site).iter().all(|path| path.contains("state=open") && !path.contains("since=")));
    site.forget();
    let second = service.scrape_api(&site.url("/api/offset"), "new", body.clone()).await;
    assert_eq!(second["cursor"]["from"], json!(newest), "{second:#}");
    assert!(asked(&site)[0].contains(&format!("since={}", newest.replace(':', "%3A"))), "{:?}", asked(&site));
    let rows = service.icehaul.rows("select count(*) - count(distinct id) from web.new").await;
    assert_eq!(rows, [json!([0])], "no record twice");
    let mut lagging = body;
    lagging["lag"] = json!(5);
    let refused =
        service.refusal("/scrape-api", &super::service::request(&site.url("/api/offset"), "new", lagging)).await;
    assert_eq!(refused, [("lag".to_owned(), "conflicting_fields".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_and_xml_work_through_scrape_too() {
    let (service, shelf) = (Service::new().await, Shelf::new().await);
    let url = shelf.put("/j", "text/plain", r#" {"data": [{"a": 12345678901234567890123}]}"#);
    assert_eq!(service.scrape(&url, "j", json!({"selector": "data"})).await["rows_scraped"], 1);
    assert_eq!(service.types("j").await[0].1, "DECIMAL(23, 0)");
    let url = shelf.put(
        "/x",
        "text/xml",
        "<?xml version='1.0' encoding='iso-8859-1'?><r><i n='1'><a>caf\u{e9}</a></i></r>"
            .chars()
            .map(|c| c as u8)
            .collect::<Vec<_>>(),
    );
    assert_eq!(service.scrape(&url, "x", json!({"selector": "r/i"})).await["columns"], json!(["@n", "a"]));
    assert_eq!(service.icehaul.rows("select a, \"@n\" from web.x").await, [json!(["café", 1])]);
    let url = shelf.json("/f", &json!({"items": [{"user": {"login": "ann"}, "n": 1}]}));
    let fields = json!({"selector": "items", "fields": {"login": "user.login", "n": "n"}});
    assert_eq!(service.scrape_api(&url, "f", fields).await["columns"], json!(["login", "n"]));
}
