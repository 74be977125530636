//! Copies by rows, judged by PyIceberg and by the fingerprint's implementation in Python.
use serde_json::{Value, json};

use super::{BUCKET, Stand, request};
use crate::pyiceberg::python;

#[tokio::test(flavor = "multi_thread")]
async fn a_table_arrives_in_another_catalog_as_it_was() {
    let stand = Stand::new().await;
    let (uri, warehouse) = (stand.sqlite(), stand.warehouse().display().to_string());
    let made: Value =
        serde_json::from_str(&python(&["rich_table.py", "make", &uri, "raw.rich", &warehouse]).await).expect("JSON");
    let body = request("raw.rich", "kept.rich", json!({"dest_catalog": "far"}));
    let result = stand.icehaul.done("/migrate", &body).await;
    assert_eq!((&result["status"], &result["rows_migrated"]), (&json!("success"), &made["rows"]), "{result:#}");
    assert_eq!((&result["source"], &result["destination"]), (&json!("raw.rich"), &json!("kept.rich")));
    assert_eq!((&result["checksum_match"], &result["row_count_match"]), (&json!(true), &json!(true)));
    assert_eq!(result["source_snapshot"], made["snapshot"], "the snapshot that was read");

    // Icehaul, and an implementation that shares no line with it, see the same rows on both sides.
    let (here, there) = (stand.fingerprint("raw.rich", "default").await, stand.fingerprint("kept.rich", "far").await);
    assert_eq!((&here, &there), (&result["source_checksum"], &result["destination_checksum"]));
    assert_eq!(here, there);
    let theirs = python(&["fingerprint.py", "iceberg", "--catalog-uri", &uri, "--table", "raw.rich"]).await;
    assert_eq!(theirs, here);

    // Whatever a table has but its rows.
    let (source, copy) = stand.same_by_pyiceberg("raw.rich", "kept.rich").await;
    assert_eq!(copy["snapshots"], 1);
    assert!(source["rows"].as_u64() < Some(400) && copy["properties"]["comment"] == "everything");
    let keys = stand.store.keys(BUCKET);
    assert!(keys.iter().any(|key| key.starts_with("wh/.icehaul/migrations/")), "{keys:#?}");
    assert!(!keys.iter().any(|key| key.contains("pending")), "{keys:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_snapshot_can_be_asked_for_and_the_newest_is_pinned() {
    let stand = Stand::new().await;
    let first = stand.load("orders", "select g::bigint as id, 'n' || g as name from generate_series(1, 1000) g").await;
    let second = stand.load("orders", "select g::bigint as id, 'm' || g as name from generate_series(1, 500) g").await;
    let body = request("raw.orders", "kept.old", json!({"source_snapshot": first["snapshot_id"]}));
    let old = stand.icehaul.done("/migrate", &body).await;
    assert_eq!((&old["rows_migrated"], &old["source_snapshot"]), (&json!(1000), &first["snapshot_id"]));
    let new = stand.icehaul.done("/migrate", &request("raw.orders", "kept.new", json!({}))).await;
    assert_eq!((&new["rows_migrated"], &new["source_snapshot"]), (&json!(1500), &second["snapshot_id"]));
    let missing = request("raw.orders", "kept.none", json!({"source_snapshot": "42"}));
    assert_eq!(stand.icehaul.run("/migrate", &missing).await["error"]["code"], "snapshot_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_partitioning_and_compression_can_be_asked_for_and_no_rows_are_rows_too() {
    let stand = Stand::new().await;
    stand
        .load("orders", "select g::int as id, date '2024-01-01' + g % 90 as day from generate_series(1, 5000) g")
        .await;
    let by = json!({"partition_by": ["month(day)", "bucket(2, id)"], "compression": "none"});
    let result = stand.icehaul.done("/migrate", &request("raw.orders", "kept.orders", by)).await;
    assert_eq!(result["checksum_match"], true);
    let (_, metadata) = stand.icehaul.get("/tables/kept/orders/metadata").await;
    assert_eq!(metadata["partition_spec"], "PARTITION BY day MONTH, BUCKET(2, id)");
    assert_eq!(metadata["properties"]["write.parquet.compression-codec"], "uncompressed");
    let report = stand.report(&result["migration_id"]).await;
    assert_eq!(report["schema"]["partitioning"]["matches"], false, "the report tells that it differs");
    assert_eq!(report["verdict"], "match");

    stand.load("nothing", "select 1::int as id where false").await;
    let none = stand.icehaul.done("/migrate", &request("raw.nothing", "kept.nothing", json!({}))).await;
    assert_eq!((&none["rows_migrated"], &none["checksum_match"]), (&json!(0), &json!(true)), "{none:#}");
    assert!(none["destination_snapshot"].is_string(), "made with a snapshot: by it the job is known again");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_changed_on_their_way_and_the_change_is_proven() {
    let stand = Stand::new().await;
    let query = "select g::int as id, 'name ' || g as name, (g / 4.0)::numeric(10,2) as amount, date '2024-01-01' + g % 400 as day, \
                 case when g % 2 = 0 then g::text else 'x' end as text from generate_series(1, 1000) g";
    stand.load("orders", query).await;
    let transform = json!({
        "select": ["id", "amount", "day"], "rename": {"amount": "price"}, "cast": {"id": "BIGINT"},
        "computed": {"upper": "upper(name) -- shouted", "year": "date_part('year', day)"}, "where": "amount >= 50",
    });
    let body = request("raw.orders", "kept.orders", json!({"transform": transform, "partition_by": ["month(day)"]}));
    let mut dry = body.clone();
    dry["dry_run"] = true.into();
    let plan = stand.icehaul.done("/migrate", &dry).await;
    assert_eq!(
        (&plan["dry_run"], &plan["files"], &plan["creates"]),
        (&json!(true), &json!(1), &json!(true)),
        "{plan:#}"
    );
    let result = stand.icehaul.done("/migrate", &body).await;
    assert_eq!((&result["rows_migrated"], &result["checksum_match"]), (&json!(801), &json!(true)), "{result:#}");
    let got = "select count(*), min(price), max(id), min(upper), max(year) from kept.orders";
    assert_eq!(stand.icehaul.rows(got).await, [json!([801, "50.00", 1000, "NAME 1000", 2025])]);
    assert_eq!(stand.fingerprint("kept.orders", "default").await, result["destination_checksum"]);
    let report = stand.report(&result["migration_id"]).await;
    let names: Vec<_> =
        report["schema"]["columns"].as_array().expect("columns").iter().map(|c| c["name"].clone()).collect();
    assert_eq!(names, ["id", "price", "day", "upper", "year"]);
    assert_eq!((&report["transfer"]["transform"], &report["verify_again"]), (&transform, &Value::Null));
    assert!(report["not_checked"].to_string().contains("Whether the transformation gives what is meant"));

    let refused = async |transform: Value| {
        let body = request("raw.orders", "kept.other", json!({"transform": transform}));
        let (status, answer) = stand.icehaul.post("/migrate", &body).await;
        match status {
            reqwest::StatusCode::ACCEPTED => {
                stand.icehaul.ended(answer["job_id"].as_str().expect("an id")).await["error"]["code"].clone()
            }
            _ => answer["errors"][0]["code"].clone(),
        }
    };
    assert_eq!(refused(json!({"where": "id >"})).await, "invalid_query");
    assert_eq!(refused(json!({"computed": {"n": "(select count(*) from raw.orders)"}})).await, "query_not_allowed");
    assert_eq!(refused(json!({"computed": {"n": "row_number() over (order by id)"}})).await, "query_not_allowed");
    assert_eq!(refused(json!({"computed": {"n": "sum(id)"}})).await, "query_not_allowed");
    assert_eq!(refused(json!({"select": ["gone"]})).await, "source_column_not_found");
    assert_eq!(refused(json!({"cast": {"text": "INT"}})).await, "invalid_query", "`x` is no number");
    assert_eq!(refused(json!({"selects": []})).await, "unknown_field");
    // Which expression it is, in the user's own words.
    for (transform, says) in [
        (json!({"computed": {"fine": "id + 1", "n": "nmae || 'x'"}}), "transform.computed.n: No field named nmae"),
        (json!({"where": "price > 1"}), "transform.where: No field named price"),
        (json!({"computed": {"name": "id"}}), "transform.computed.name: there is another column `name`"),
    ] {
        let job =
            stand.icehaul.run("/migrate", &request("raw.orders", "kept.other", json!({"transform": transform}))).await;
        let message = job["error"]["message"].as_str().expect("a message");
        assert!(message.starts_with(says) && !message.contains("rows.source"), "{message}");
    }
}
