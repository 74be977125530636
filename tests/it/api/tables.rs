//! Tables over HTTP, with the keys of both older systems.
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, Stand, orders};

/// Its JSON, after a look at its status.
fn fine(answer: &Answer) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn tables_are_listed() {
    let stand = Stand::new().await;
    stand.make_orders().await;
    stand.append("raw", "clients", &orders(1), "job-3").await;
    stand.append("web", "pages", &orders(1), "job-4").await;
    let get = async |path: &str| fine(&stand.get(&format!("/api/v1/tables{path}")).await);
    let namespaces = get("").await;
    assert_eq!(namespaces["namespaces"], json!([{"namespace": "raw", "tables": 2}, {"namespace": "web", "tables": 1}]));
    assert_eq!(get("/all").await["tables"], json!(["raw.clients", "raw.orders", "web.pages"]));
    let raw = get("/raw").await;
    assert_eq!(
        raw,
        json!({"status": "success", "namespace": "raw", "tables": ["clients", "orders"], "count": 2, "next_cursor": null})
    );
    let page = get("/raw?limit=1").await;
    assert_eq!(
        (&page["tables"], &page["count"], &page["next_cursor"]),
        (&json!(["clients"]), &json!(2), &json!("after-clients"))
    );
    assert_eq!(get("/raw?limit=1&cursor=after-clients").await["tables"], json!(["orders"]));
    let wrong = stand.get("/api/v1/tables/raw?cursor=xx").await;
    assert_eq!((wrong.status, &wrong.json()["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_parameter")));
}

#[tokio::test]
async fn metadata_has_the_keys_of_both_older_systems() {
    let stand = Stand::new().await;
    stand.make_orders().await;
    let metadata = fine(&stand.get("/api/v1/tables/raw/orders/metadata").await);
    assert_eq!((&metadata["table_name"], &metadata["namespace"]), (&json!("orders"), &json!("raw")));
    assert_eq!(metadata["schema"], "id INT, city VARCHAR, total DECIMAL(10, 2), big BIGINT");
    assert_eq!(
        (&metadata["partition_spec"], &metadata["partitions"]),
        (&json!("PARTITION BY city"), &json!("PARTITION BY city"))
    );
    assert_eq!((&metadata["snapshots"], &metadata["row_count"], &metadata["files"]), (&json!(2), &json!(4), &json!(2)));
    assert!(metadata["current_snapshot"].as_str().is_some_and(|id| id.parse::<i64>().is_ok()));
    assert_eq!(metadata["current_snapshot"], metadata["current_snapshot_id"]);
    assert!(metadata["location"].as_str().is_some_and(|at| at.ends_with('/') && !at.ends_with("//")));
    assert!(metadata["size_bytes"].as_u64() > Some(100));
    assert_eq!(
        metadata["columns"][2],
        json!({"id": 3, "name": "total", "type": "DECIMAL(10, 2)", "nullable": true, "doc": null})
    );
    let history = metadata["snapshot_history"].as_array().expect("history");
    assert_eq!(history[0]["snapshot_id"], metadata["current_snapshot"]);
    assert_eq!(history[0]["parent_id"], history[1]["snapshot_id"]);
    assert_eq!(
        (&history[0]["operation"], &history[0]["summary"]["icehaul.job-id"]),
        (&json!("append"), &json!("job-2"))
    );

    let count = fine(&stand.get("/api/v1/tables/raw/orders/count").await);
    assert_eq!(count, json!({"status": "success", "table": "raw.orders", "row_count": 4}));
    let schema = fine(&stand.get("/api/v1/tables/raw/orders/schema").await);
    assert_eq!((&schema["schema"], &schema["columns"]), (&metadata["schema"], &metadata["columns"]));
    let first = fine(&stand.get("/api/v1/tables/raw/orders/snapshots?limit=1").await);
    assert_eq!((&first["snapshots"][0], &first["count"]), (&history[0], &json!(2)));
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    let second = fine(&stand.get(&format!("/api/v1/tables/raw/orders/snapshots?limit=1&cursor={cursor}")).await);
    assert_eq!((&second["snapshots"][0], &second["next_cursor"]), (&history[1], &Value::Null));
}

#[tokio::test]
async fn rows_are_shown_exactly_and_as_they_were() {
    let stand = Stand::new().await;
    stand.make_orders().await;
    let preview = async |query: &str| fine(&stand.get(&format!("/api/v1/tables/raw/orders/preview{query}")).await);
    let some = preview("?limit=3").await;
    assert_eq!((&some["row_count"], &some["truncated"]), (&json!(3), &json!(true)));
    let history = fine(&stand.get("/api/v1/tables/raw/orders/snapshots").await);
    let first = history["snapshots"][1].clone();
    let before = preview(&format!("?snapshot_id={}", first["snapshot_id"].as_str().expect("id"))).await;
    assert_eq!(before["rows"], json!([[1, "Oslo", "12.50", null], [2, "Oslo", "-0.99", "9223372036854775807"]]));
    assert_eq!(
        preview(&format!("?as_of={}", first["committed_at"].as_str().expect("time"))).await["rows"],
        before["rows"]
    );
    let missing = stand.get("/api/v1/tables/raw/orders/preview?snapshot_id=1").await;
    assert_eq!((missing.status, &missing.json()["code"]), (StatusCode::NOT_FOUND, &json!("snapshot_not_found")));
    let early = stand.get("/api/v1/tables/raw/orders/preview?as_of=2001-01-01T00:00:00Z").await;
    assert_eq!((early.status, &early.json()["code"]), (StatusCode::NOT_FOUND, &json!("snapshot_not_found")));
}

#[tokio::test]
async fn queries_and_fingerprints_are_answered() {
    let stand = Stand::new().await;
    stand.make_orders().await;
    let sql = "SELECT city, count(*) AS n, sum(total) AS total FROM raw.orders GROUP BY city";
    let answer = fine(&stand.post("/api/v1/query", &json!({"sql": sql}), &[]).await);
    assert_eq!(
        (&answer["rows"], &answer["row_count"], &answer["truncated"]),
        (&json!([["Oslo", 4, "23.02"]]), &json!(1), &json!(false))
    );
    let names: Vec<_> = answer["columns"].as_array().expect("columns").iter().map(|column| &column["name"]).collect();
    assert_eq!(names, ["city", "n", "total"]);
    let cut = fine(
        &stand.post("/api/v1/query", &json!({"sql": "SELECT id FROM raw.orders ORDER BY id", "limit": 2}), &[]).await,
    );
    assert_eq!((&cut["rows"], &cut["truncated"]), (&json!([[1], [2]]), &json!(true)));

    let print = async |query: &str| fine(&stand.get(&format!("/api/v1/tables/raw/orders/fingerprint{query}")).await);
    let now = print("").await;
    assert!(now["fingerprint"].as_str().is_some_and(|text| text.starts_with("icehaul-fp-1:4:")), "{now}");
    let first = fine(&stand.get("/api/v1/tables/raw/orders/snapshots").await)["snapshots"][1]["snapshot_id"].clone();
    let before = print(&format!("?snapshot_id={}&columns=id,city", first.as_str().expect("id"))).await;
    assert_eq!((&before["rows"], &before["snapshot_id"]), (&json!(2), &first));
    let wrong = stand.get("/api/v1/tables/raw/orders/fingerprint?columns=id,nothing").await;
    assert_eq!((wrong.status, &wrong.json()["code"]), (StatusCode::CONFLICT, &json!("schema_mismatch")));
}
