//! What becomes of a destination that is there, and what is refused.
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Stand, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_there_is_refused_replaced_or_added_to() {
    let stand = Stand::new().await;
    stand.load("a", "select g::int as id, 'a' || g as name from generate_series(1, 300) g").await;
    stand.load("b", "select g::int as id, 'b' || g as name from generate_series(1, 200) g").await;
    let migrate = async |source: &str, mode: &str| {
        stand.icehaul.run("/migrate", &request(source, "kept.t", json!({"mode": mode}))).await
    };
    let count = async || stand.icehaul.rows("select count(*), count(distinct name) from kept.t").await;
    assert_eq!(migrate("raw.a", "create").await["status"], "succeeded");
    let again = migrate("raw.b", "create").await;
    assert_eq!((&again["status"], &again["error"]["code"]), (&json!("failed"), &json!("table_exists")), "{again:#}");
    assert_eq!(count().await, [json!([300, 300])]);
    let files = stand.data_files();
    let added = migrate("raw.b", "append").await["result"].clone();
    assert_eq!((&added["rows_migrated"], &added["checksum_match"]), (&json!(200), &json!(true)));
    assert_eq!(count().await, [json!([500, 500])]);
    assert_eq!(stand.data_files().len(), files.len() + 1);
    let report = stand.report(&added["migration_id"]).await;
    assert_eq!((&report["verify_again"], &report["transfer"]["mode"]), (&Value::Null, &json!("append")));
    let replaced = migrate("raw.b", "overwrite").await["result"].clone();
    assert_eq!(count().await, [json!([200, 200])]);
    assert_eq!(stand.fingerprint("kept.t", "default").await, replaced["source_checksum"]);
    let (_, metadata) = stand.icehaul.get("/tables/kept/t/metadata").await;
    assert_eq!(metadata["snapshots"], 3);

    let uncompared = request("raw.a", "kept.u", json!({"validate": false}));
    let result = stand.icehaul.done("/migrate", &uncompared).await;
    assert_eq!((&result["checksum_match"], &result["verdict"]), (&Value::Null, &json!("not_compared")));
    assert_eq!(result["row_count_match"], true);
    let report = stand.report(&result["migration_id"]).await;
    let not_checked = report["not_checked"].to_string();
    assert!(not_checked.contains("`validate` was false"), "{not_checked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_migrated_is_refused_by_name() {
    let stand = Stand::new().await;
    stand.load("a", "select 1::int as id").await;
    let refusal = async |body: &Value| {
        let (status, problem) = stand.icehaul.post("/migrate", body).await;
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        let told = errors.iter().map(|error| format!("{} {}", error["field"], error["code"]).replace('"', ""));
        (status, told.collect::<Vec<_>>())
    };
    let (status, told) = refusal(&request("raw.a", "raw.a", json!({}))).await;
    assert_eq!((status, told), (StatusCode::UNPROCESSABLE_ENTITY, vec!["dest_table same_table".to_owned()]));
    let wrong = json!({"mode": "upend", "partition_by": ["week(id)"], "dest_catalog": "nowhere", "sample_rows": 101, "copy": "moon"});
    let (_, told) = refusal(&request("raw.a", "kept.a-b", wrong)).await;
    for fault in ["mode invalid_field", "sample_rows invalid_field", "copy invalid_field"] {
        assert!(told.contains(&fault.to_owned()), "{fault}: {told:?}");
    }
    let wrong = json!({"partition_by": ["week(id)"], "source_catalog": "nowhere"});
    let (_, told) = refusal(&request("raw.a", "kept.a-b", wrong)).await;
    assert_eq!(told, ["partition_by.0 invalid_partition", "dest_table invalid_identifier"]);
    let (_, told) = refusal(&request("raw.a", "kept.a", json!({"source_catalog": "nowhere"}))).await;
    assert_eq!(told, ["source_catalog catalog_not_found"]);
    // The default catalog under its own name is the same one.
    let same = request("raw.a", "raw.a", json!({"dest_catalog": "default"}));
    assert_eq!(stand.icehaul.run("/migrate", &same).await["error"]["code"], "same_table");
    let gone = stand.icehaul.run("/migrate", &request("raw.gone", "kept.gone", json!({}))).await;
    assert_eq!(gone["error"]["code"], "table_not_found");
    let id = gone["job_id"].as_str().expect("an id");
    let (status, problem) = stand.icehaul.get(&format!("/migrations/{id}/report")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("report_not_found")), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("failed before it had compared")), "{problem}");
}

/// The older systems' spelling and their reply, waited for.
#[tokio::test(flavor = "multi_thread")]
async fn callers_of_the_older_systems_find_their_keys() {
    let stand = Stand::new().await;
    stand.load("customers", "select g::int as id from generate_series(1, 500) g").await;
    let body = json!({"sourceNamespace": "raw", "sourceTable": "customers", "destNamespace": "production",
                      "destTable": "customers", "validate": true});
    let http = reqwest::Client::new();
    let request = http.post(format!("{}/api/v1/migrate", stand.icehaul.url)).header("prefer", "wait=30").json(&body);
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let job: Value = response.json().await.expect("JSON");
    let result = &job["result"];
    assert_eq!((&result["status"], &result["rows_migrated"]), (&json!("success"), &json!(500)), "{job:#}");
    assert_eq!((&result["source"], &result["destination"]), (&json!("raw.customers"), &json!("production.customers")));
    assert!(result["duration_seconds"].is_f64() && result["migration_id"] == job["job_id"]);
    let (status, accepted) = stand.icehaul.post("/migrate", &body).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(accepted["migration_id"], accepted["job_id"]);
    assert_eq!(
        accepted["links"]["report"],
        format!("/api/v1/migrations/{}/report", accepted["job_id"].as_str().unwrap_or_default())
    );
    assert_eq!(accepted["table"], "production.customers");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_source_has_gained_is_copied() {
    let stand = Stand::new().await;
    let rows = |first: u32, last: u32| {
        format!("select g::int as id, 'n' || g as name from generate_series({first}, {last}) g")
    };
    stand.load("t", &rows(1, 300)).await;
    let incremental = request("raw.t", "kept.t", json!({"mode": "incremental"}));
    let first = stand.icehaul.done("/migrate", &incremental).await;
    assert_eq!((&first["rows_migrated"], &first["checksum_match"]), (&json!(300), &json!(true)), "{first:#}");
    let nothing = stand.icehaul.done("/migrate", &incremental).await;
    assert_eq!((&nothing["rows_migrated"], &nothing["snapshot_id"]), (&json!(0), &first["snapshot_id"]), "{nothing:#}");
    stand.load("t", &rows(301, 400)).await;
    stand.load("t", &rows(401, 450)).await;
    // Two at the same time: what one has brought, the other does not bring again.
    let (a, b) =
        tokio::join!(stand.icehaul.done("/migrate", &incremental), stand.icehaul.done("/migrate", &incremental));
    let brought = [&a, &b].map(|result| result["rows_migrated"].as_u64().unwrap_or_default());
    assert_eq!(brought.iter().sum::<u64>(), 150, "{a:#} {b:#}");
    let got = stand.icehaul.rows("select count(*), count(distinct id) from kept.t").await;
    assert_eq!(got, [json!([450, 450])]);
    assert_eq!(stand.fingerprint("kept.t", "default").await, stand.fingerprint("raw.t", "default").await);
    let brought = if a["rows_migrated"] == 150 { &a } else { &b };
    let report = stand.report(&brought["migration_id"]).await;
    assert_eq!((&report["source"]["since"], &report["rows"]["source"]), (&first["source_snapshot"], &json!(150)));

    // Rows that were replaced are not rows that were gained.
    let mut replaced = crate::connection(&stand.database);
    for (name, value) in
        [("query", rows(1, 10).as_str()), ("table_name", "t"), ("namespace", "raw"), ("mode", "overwrite")]
    {
        replaced[name] = value.into();
    }
    replaced["lineage"] = false.into();
    stand.icehaul.loaded(&replaced).await;
    let refused = stand.icehaul.run("/migrate", &incremental).await;
    assert_eq!(refused["error"]["code"], "source_rewritten", "{refused:#}");
    stand.icehaul.done("/migrate", &request("raw.t", "kept.t", json!({"mode": "overwrite"}))).await;
    stand.load("t", &rows(11, 15)).await;
    assert_eq!(stand.icehaul.done("/migrate", &incremental).await["rows_migrated"], 5);
    stand.load("other", &rows(1, 5)).await;
    let unknown = stand.icehaul.run("/migrate", &request("raw.other", "kept.t", json!({"mode": "incremental"}))).await;
    assert_eq!(unknown["error"]["code"], "cursor_unknown", "{unknown:#}");
}
