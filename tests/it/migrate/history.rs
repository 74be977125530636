//! All snapshots of a table into another catalog, judged by PyIceberg and by the fingerprint of each; and which formats migrate.
use serde_json::{Value, json};

use super::{BUCKET, Stand, request};
use crate::pyiceberg::{python, python_with};

impl Stand {
    /// A table by `snapshots.py`.
    async fn make(&self, kind: &str) -> Value {
        let (uri, warehouse) = (self.sqlite(), self.warehouse().display().to_string());
        let made = python(&["snapshots.py", &uri, "make", kind, &format!("raw.{kind}"), &warehouse]).await;
        serde_json::from_str(&made).expect("JSON")
    }

    /// All snapshots of a table of the default catalog, and of one of `far`, as PyIceberg sees them.
    async fn snapshots_of(&self, table: &str, copy: &str) -> (Value, Value) {
        let (far, options) = self.postgres();
        let here = python(&["snapshots.py", &self.sqlite(), "show", table]).await;
        let there = python_with(&["snapshots.py", &far, "show", copy, "far"], &[("ICEBERG_OPTIONS", options)]).await;
        (serde_json::from_str(&here).expect("JSON"), serde_json::from_str(&there).expect("JSON"))
    }

    async fn fingerprint_at(&self, table: &str, catalog: &str, snapshot: &Value) -> Value {
        let (path, id) = (table.replace('.', "/"), snapshot.as_str().expect("an id"));
        let (status, seen) =
            self.icehaul.get(&format!("/tables/{path}/fingerprint?catalog={catalog}&snapshot_id={id}")).await;
        assert!(status.is_success(), "{seen}");
        seen["fingerprint"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_snapshots_arrive_with_their_ids_names_and_statistics() {
    let stand = Stand::new().await;
    let made = stand.make("named").await;
    let body = request("raw.named", "kept.named", json!({"dest_catalog": "far", "copy": "files", "history": "all"}));
    let result = stand.icehaul.done("/migrate", &body).await;
    assert_eq!((&result["snapshots"], &result["verdict"]), (&made["snapshots"], &json!("match")), "{result:#}");
    let (mut here, mut there) = stand.snapshots_of("raw.named", "kept.named").await;
    let (old, new) = (here["statistics_files"].take(), there["statistics_files"].take());
    assert_eq!(
        there, here,
        "ids, parents, sequence numbers, times, summaries, files, rows, branches, tags and statistics"
    );
    for snapshot in here["snapshots"].as_array().expect("snapshots") {
        let id = &snapshot["id"];
        let at_home = stand.fingerprint_at("raw.named", "default", id).await;
        assert_eq!(stand.fingerprint_at("kept.named", "far", id).await, at_home, "{id}");
    }
    // Each file once, with its hash; the statistics byte for byte.
    let report = stand.report(&result["migration_id"]).await;
    let list = report["files"]["list"].as_array().expect("files");
    let contents: Vec<_> = list.iter().filter_map(|file| file["content"].as_str()).collect();
    assert_eq!(contents.iter().filter(|content| **content == "rows").count(), 4, "{contents:?}");
    assert_eq!(contents.iter().filter(|content| **content == "statistics").count(), 1, "{contents:?}");
    assert!(list.iter().all(|file| file["sha256"] == file["sha256_read_back"]), "{list:#?}");
    let bytes = |path: &Value| match path.as_str().expect("a path").strip_prefix("s3://far/") {
        Some(key) => std::fs::read(stand.store.bucket(BUCKET).join(key)).expect("an object"),
        None => std::fs::read(path.as_str().expect("a path").trim_start_matches("file://")).expect("a file"),
    };
    assert_eq!(bytes(&new[0]), bytes(&old[0]));
    let objects = stand.store.keys(BUCKET);
    let data = objects.iter().filter(|key| key.contains("/data/")).count();
    assert_eq!(data, 5, "{objects:#?}");
    assert!(!report["not_checked"].to_string().contains("Earlier snapshots"), "{report:#}");
    // It goes on as any other table: what the source gains comes by rows.
    stand.load("named", "select g::bigint as id, 'late' || g as name from generate_series(1000, 1009) g").await;
    let more = request("raw.named", "kept.named", json!({"dest_catalog": "far", "mode": "incremental"}));
    let more = stand.icehaul.done("/migrate", &more).await;
    assert_eq!(more["rows_migrated"], 10, "{more:#}");
    assert_eq!(stand.fingerprint("kept.named", "far").await, stand.fingerprint("raw.named", "default").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_version_1_migrate_in_every_way() {
    let stand = Stand::new().await;
    let made = stand.make("v1").await;
    let home = stand.fingerprint("raw.v1", "default").await;
    for (way, fields) in
        [("rows", json!({})), ("files", json!({"copy": "files"})), ("all", json!({"copy": "files", "history": "all"}))]
    {
        let mut body = request("raw.v1", &format!("kept.{way}"), fields);
        body["dest_catalog"] = "far".into();
        let result = stand.icehaul.done("/migrate", &body).await;
        assert_eq!((&result["verdict"], &result["rows_migrated"]), (&json!("match"), &json!(40)), "{way}: {result:#}");
        assert_eq!(stand.fingerprint(&format!("kept.{way}"), "far").await, home, "{way}");
        let report = stand.report(&result["migration_id"]).await;
        let versions = (&report["source"]["format_version"], &report["destination"]["format_version"]);
        assert_eq!(versions, (&json!(1), &json!(2)), "{way}");
    }
    let (here, there) = stand.snapshots_of("raw.v1", "kept.all").await;
    assert_eq!(there["snapshots"].as_array().map(Vec::len), made["snapshots"].as_u64().map(|count| count as usize));
    for (old, new) in here["snapshots"].as_array().expect("old").iter().zip(there["snapshots"].as_array().expect("new"))
    {
        for what in ["id", "parent", "at", "operation", "rows", "read", "summary"] {
            assert_eq!(new[what], old[what], "{what}");
        }
        let (id, home) = (&old["id"], stand.fingerprint_at("raw.v1", "default", &old["id"]).await);
        assert_eq!(stand.fingerprint_at("kept.all", "far", id).await, home, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_copied_wrongly_is_refused_by_name() {
    let stand = Stand::new().await;
    for (kind, code, told) in [
        ("v3", "unsupported_feature", "format version 3"),
        ("v9", "unsupported_feature", "format version 9"),
        ("orc", "unsupported_feature", "a data file in orc"),
        ("avro", "unsupported_feature", "a data file in avro"),
        ("encrypted", "unsupported_feature", "encryption"),
    ] {
        stand.make(kind).await;
        for fields in [json!({}), json!({"copy": "files"}), json!({"copy": "files", "history": "all"})] {
            let job = stand.icehaul.run("/migrate", &request(&format!("raw.{kind}"), "kept.t", fields.clone())).await;
            let message = job["error"]["message"].as_str().unwrap_or_default();
            assert_eq!(
                (&job["status"], &job["error"]["code"]),
                (&json!("failed"), &json!(code)),
                "{kind} {fields}: {job:#}"
            );
            assert!(message.contains(told), "{kind} {fields}: {message}");
            assert_eq!(stand.icehaul.get("/tables/kept/t/metadata").await.0, reqwest::StatusCode::NOT_FOUND, "{kind}");
        }
    }
    // One snapshot has all it needs, all of them do not.
    stand.make("gone").await;
    let latest = request("raw.gone", "kept.latest", json!({"copy": "files"}));
    assert_eq!(stand.icehaul.done("/migrate", &latest).await["verdict"], "match");
    let all = request("raw.gone", "kept.all", json!({"copy": "files", "history": "all"}));
    assert_eq!(stand.icehaul.run("/migrate", &all).await["error"]["code"], "source_file_missing");
    for (fields, field) in [
        (json!({"history": "all"}), "history"),
        (json!({"history": "all", "copy": "files", "source_snapshot": "42"}), "source_snapshot"),
    ] {
        let (_, problem) = stand.icehaul.post("/migrate", &request("raw.gone", "kept.none", fields)).await;
        assert_eq!((&problem["code"], &problem["errors"][0]["field"]), (&json!("conflicting_fields"), &json!(field)));
    }
}
