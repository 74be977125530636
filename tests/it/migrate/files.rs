//! Copies of files as they are: other catalogs, other storage, and other engines as judges.
use serde_json::{Value, json};

use super::{BUCKET, Stand, request};
use crate::pyiceberg::python;

#[tokio::test(flavor = "multi_thread")]
async fn files_arrive_byte_for_byte_with_ids_and_specs() {
    let stand = Stand::new().await;
    let (uri, warehouse) = (stand.sqlite(), stand.warehouse().display().to_string());
    let made = python(&["rich_table.py", "make", &uri, "raw.rich", &warehouse]).await;
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let body = request("raw.rich", "kept.rich", json!({"dest_catalog": "far", "copy": "files"}));
    let result = stand.icehaul.done("/migrate", &body).await;
    assert_eq!((&result["rows_migrated"], &result["verdict"]), (&made["rows"], &json!("match")), "{result:#}");
    assert_eq!(stand.fingerprint("raw.rich", "default").await, stand.fingerprint("kept.rich", "far").await);
    let report = stand.report(&result["migration_id"]).await;
    let files = &report["files"];
    assert_eq!((&files["matches"], &files["complete"], &files["rewritten"]), (&json!(true), &json!(true), &json!(0)));
    let list = files["list"].as_array().expect("files");
    assert!(list.len() > 3 && list.iter().all(|file| file["sha256"] == file["sha256_read_back"]), "{files:#}");
    let read = |location: &str| match location.strip_prefix("s3://far/") {
        Some(key) => std::fs::read(stand.store.bucket(BUCKET).join(key)).expect("an object"),
        None => std::fs::read(location.trim_start_matches("file://")).expect("a file"),
    };
    for file in list {
        let (from, to) = (file["source"].as_str().expect("a path"), file["destination"].as_str().expect("a path"));
        assert!(read(from) == read(to), "{from} and {to}");
    }
    // The ids that the files know are the table's, and PyIceberg reads both alike.
    stand.same_by_pyiceberg("raw.rich", "kept.rich").await;
    let columns = report["schema"]["columns"].as_array().expect("columns");
    assert!(columns.iter().all(|column| column["source"]["id"] == column["destination"]["id"]), "{columns:#?}");
    let again = json!({"source": "raw.rich", "destination": "far.kept.rich"});
    assert_eq!(stand.icehaul.run("/verify", &again).await["status"], "succeeded");
    // Rows can be added to it as to any other table.
    let more = request("raw.rich", "kept.rich", json!({"dest_catalog": "far", "mode": "append"}));
    let more = stand.icehaul.done("/migrate", &more).await;
    assert_eq!(more["checksum_match"], true);
    let count = stand.icehaul.rows("select count(*) from far.kept.rich").await;
    assert_eq!(count, [json!([made["rows"].as_u64().map(|rows| 2 * rows)])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_into_new_tables_only() {
    let stand = Stand::new().await;
    stand.load("a", "select g::int as id from generate_series(1, 100) g").await;
    let wrong = json!({"copy": "files", "mode": "overwrite", "partition_by": ["id"], "compression": "zstd"});
    let (_, problem) = stand.icehaul.post("/migrate", &request("raw.a", "kept.a", wrong)).await;
    let fields: Vec<_> =
        problem["errors"].as_array().expect("errors").iter().filter_map(|error| error["field"].as_str()).collect();
    assert_eq!((fields, &problem["code"]), (vec!["mode", "partition_by", "compression"], &json!("conflicting_fields")));
    let unchecked = request("raw.a", "kept.a", json!({"copy": "files", "validate": false}));
    let result = stand.icehaul.done("/migrate", &unchecked).await;
    assert_eq!((&result["verdict"], &result["rows_migrated"]), (&json!("not_compared"), &json!(100)));
    let there = stand.icehaul.run("/migrate", &request("raw.a", "kept.a", json!({"copy": "files"}))).await;
    assert_eq!(there["error"]["code"], "table_exists");
    stand.load("nothing", "select 1::int as id where false").await;
    let none = stand.icehaul.done("/migrate", &request("raw.nothing", "kept.nothing", json!({"copy": "files"}))).await;
    assert_eq!((&none["rows_migrated"], &none["verdict"]), (&json!(0), &json!("match")), "{none:#}");
}
