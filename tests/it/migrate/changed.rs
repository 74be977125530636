//! Migrations of what has changed since the last one: rows deleted, replaced and added, told apart by a key.
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Stand, request};
use crate::pyiceberg::python;

fn rows(first: u32, last: u32, name: &str) -> String {
    format!(
        "select g::int as id, {name} as name, (g / 4.0)::numeric(10,2) as price from generate_series({first}, {last}) g"
    )
}

impl Stand {
    /// Loads rows in the place of those that are there.
    async fn replace(&self, table: &str, query: &str) {
        let mut body = crate::connection(&self.database);
        for (name, value) in [("query", query), ("table_name", table), ("namespace", "raw"), ("mode", "overwrite")] {
            body[name] = value.into();
        }
        body["lineage"] = false.into();
        self.icehaul.loaded(&body).await;
    }

    async fn by_pyiceberg(&self, arguments: &[&str]) -> Value {
        let uri = self.sqlite();
        let all = [&["iceberg.py", &uri, "default"], arguments].concat();
        serde_json::from_str(&python(&all).await).expect("JSON")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_changed_are_taken_over_by_their_key() {
    let stand = Stand::new().await;
    stand.load("t", &rows(1, 1000, "'n' || g")).await;
    stand.load("t", &rows(1001, 1500, "'n' || g")).await;
    let fields =
        json!({"mode": "incremental", "key": ["id"], "dest_catalog": "far", "partition_by": ["bucket(8, id)"]});
    let incremental = request("raw.t", "kept.t", fields);
    let first = stand.icehaul.done("/migrate", &incremental).await;
    assert_eq!((&first["rows_migrated"], &first["changes"]), (&json!(1500), &Value::Null), "{first:#}");
    let mut snapshots = 1;
    let mut took = async |deleted: u64, replaced: u64, added: u64| {
        let mut dry = incremental.clone();
        dry["dry_run"] = true.into();
        let plan = stand.icehaul.done("/migrate", &dry).await;
        let result = stand.icehaul.done("/migrate", &incremental).await;
        let changes = &result["changes"];
        let told = ["deleted", "replaced", "added"].map(|what| changes[what].as_u64());
        assert_eq!(told, [deleted, replaced, added].map(Some), "{result:#}");
        assert_eq!(plan["changes"]["replaced"], changes["replaced"], "{plan:#}");
        assert_eq!((&result["rows_migrated"], &result["checksum_match"]), (&json!(replaced + added), &json!(true)));
        let (here, there) = (stand.fingerprint("raw.t", "default").await, stand.fingerprint("kept.t", "far").await);
        assert_eq!((&here, &here), (&there, &result["source_checksum"]));
        snapshots += 1;
        let (_, metadata) = stand.icehaul.get("/tables/kept/t/metadata?catalog=far").await;
        assert_eq!(metadata["snapshots"], snapshots, "one commit");
        result
    };
    // Another content in the same place: some rows gone, some other, some new, and all files.
    stand.replace("t", &rows(11, 1510, "case when g % 100 = 0 then 'new' else 'n' || g end")).await;
    let result = took(10, 15, 10).await;
    let report = stand.report(&result["migration_id"]).await;
    assert_eq!((&report["source"]["since"], &report["rows"]["source"]), (&first["source_snapshot"], &json!(1500)));
    let (changes, summary) = (&report["transfer"]["changes"], report["summary"].to_string());
    assert!(changes["files_rewritten"].as_u64().is_some_and(|files| files > 0), "{changes:#}");
    assert!(summary.contains("10 rows deleted, 15 replaced and 10 added"), "{summary}");
    let again = stand.icehaul.done("/verify", &json!({"report": report["migration_id"]})).await;
    assert_eq!(again["verdict"], "match", "{again:#}");
    // PyIceberg deletes by writing files anew, and adds.
    stand.by_pyiceberg(&["delete", "raw.t", "id >= 500 and id < 520"]).await;
    took(20, 0, 0).await;
    stand.by_pyiceberg(&["delete", "raw.t", "id == 700"]).await;
    stand.load("t", &rows(2001, 2100, "'late' || g")).await;
    took(1, 0, 100).await;
    let summary = stand.icehaul.get("/tables/kept/t/snapshots?catalog=far").await.1["snapshots"][0]["summary"].clone();
    assert_eq!(
        summary["icehaul.source-snapshot"],
        stand.icehaul.get("/tables/raw/t/metadata").await.1["current_snapshot"]
    );
    // Only added rows need no comparison with the whole; and nothing new makes no snapshot.
    stand.load("t", &rows(3001, 3010, "'last' || g")).await;
    let added = stand.icehaul.done("/migrate", &incremental).await;
    assert_eq!(
        (&added["rows_migrated"], &added["unchanged"], &added["changes"]),
        (&json!(10), &json!(false), &Value::Null)
    );
    let nothing = stand.icehaul.done("/migrate", &incremental).await;
    assert_eq!((&nothing["unchanged"], &nothing["snapshot_id"]), (&json!(true), &added["snapshot_id"]), "{nothing:#}");
    let report = stand.report(&nothing["migration_id"]).await;
    let summary = report["summary"].as_str().expect("a summary");
    assert!(summary.starts_with("there was nothing to copy, so no snapshot was made"), "{summary}");
    let (far, options) = stand.postgres();
    let seen =
        crate::pyiceberg::python_with(&["iceberg.py", &far, "far", "show", "kept.t"], &[("ICEBERG_OPTIONS", options)])
            .await;
    let seen: Value = serde_json::from_str(&seen).expect("JSON");
    assert_eq!((&seen["rows"], &seen["records_in_files"], &seen["bounds"]), (&json!(1589), &json!(1589), &json!("ok")));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_were_only_written_anew_move_no_row() {
    let stand = Stand::new().await;
    stand.load("t", &rows(1, 400, "'n' || g")).await;
    let incremental = request("raw.t", "kept.t", json!({"mode": "incremental"}));
    stand.icehaul.done("/migrate", &incremental).await;
    let files = stand.data_files().len();
    stand.replace("t", &format!("{} order by 1 desc", rows(1, 400, "'n' || g"))).await;
    let none = stand.icehaul.done("/migrate", &incremental).await;
    assert_eq!(
        (&none["rows_migrated"], &none["unchanged"]),
        (&json!(0), &json!(false)),
        "how far it is was noted: {none:#}"
    );
    assert_eq!(stand.data_files().len(), files + 1, "the source's new file");
    // Rows that were added since need no key, whatever files they lie in now.
    stand.replace("t", &rows(1, 420, "'n' || g")).await;
    let some = stand.icehaul.done("/migrate", &incremental).await;
    assert_eq!((&some["rows_migrated"], &some["checksum_match"]), (&json!(20), &json!(true)), "{some:#}");
    assert_eq!(stand.fingerprint("kept.t", "default").await, stand.fingerprint("raw.t", "default").await);
    assert_eq!(stand.icehaul.done("/migrate", &incremental).await["unchanged"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_the_source_got_come_with_its_changes() {
    let stand = Stand::new().await;
    stand.load("t", "select g::int as id, 'n' || g as name from generate_series(1, 300) g").await;
    let incremental = request("raw.t", "kept.t", json!({"mode": "incremental", "key": ["id", "name"]}));
    stand.icehaul.done("/migrate", &incremental).await;
    stand
        .replace(
            "t",
            "select g::bigint as id, 'n' || g as name, nullif(g % 50, 0) as more from generate_series(2, 300) g",
        )
        .await;
    let result = stand.icehaul.done("/migrate", &incremental).await;
    assert_eq!((&result["changes"]["deleted"], &result["changes"]["replaced"]), (&json!(1), &json!(293)), "{result:#}");
    assert_eq!(stand.fingerprint("kept.t", "default").await, stand.fingerprint("raw.t", "default").await);
    assert_eq!(stand.icehaul.rows("select count(*), count(more) from kept.t").await, [json!([299, 293])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_are_called_otherwise_are_not_mixed_with_others() {
    let stand = Stand::new().await;
    stand.load("t", "select g::int as id, g * 2 as x, g * 3 as y from generate_series(1, 300) g").await;
    let incremental = request("raw.t", "kept.t", json!({"mode": "incremental", "key": ["id"]}));
    stand.icehaul.done("/migrate", &incremental).await;
    for (old, new) in [("x", "z"), ("y", "x"), ("z", "y")] {
        stand.by_pyiceberg(&["rename", "raw.t", old, new]).await;
    }
    let refused = async || stand.icehaul.run("/migrate", &incremental).await["error"].clone();
    let error = refused().await;
    assert_eq!(error["code"], "source_rewritten", "not even when no row is new: {error:#}");
    assert!(error["message"].to_string().contains("`x` was renamed to `y`"), "{error:#}");
    stand.load("t", "select 301 as id, 2 as x, 3 as y").await;
    assert_eq!(refused().await["code"], "source_rewritten");
    let whole = request("raw.t", "kept.t", json!({"mode": "overwrite"}));
    stand.icehaul.done("/migrate", &whole).await;
    // From there on it goes on.
    stand.load("t", "select 302 as id, 2 as x, 3 as y").await;
    assert_eq!(stand.icehaul.done("/migrate", &incremental).await["rows_migrated"], 1);
    let sums = |table: &str| format!("select count(*), sum(x), sum(y) from {table}");
    assert_eq!(stand.icehaul.rows(&sums("kept.t")).await, stand.icehaul.rows(&sums("raw.t")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_transformation_is_not_mixed_with_the_one_before() {
    let stand = Stand::new().await;
    stand.load("t", "select g::int as id from generate_series(1, 100) g").await;
    let taken =
        |filter: Value| request("raw.t", "kept.t", json!({"mode": "incremental", "transform": {"where": filter}}));
    stand.icehaul.done("/migrate", &taken(json!("id <= 50"))).await;
    stand.load("t", "select g::int as id from generate_series(101, 200) g").await;
    let plain = request("raw.t", "kept.t", json!({"mode": "incremental"}));
    for other in [&taken(json!("id <= 150")), &plain] {
        let error = stand.icehaul.run("/migrate", other).await["error"].clone();
        assert_eq!(error["code"], "source_rewritten", "{error:#}");
        assert!(error["message"].to_string().contains("transform: "), "{error:#}");
    }
    assert_eq!(stand.icehaul.done("/migrate", &taken(json!("id <= 50"))).await["rows_migrated"], 0);
    assert_eq!(stand.icehaul.rows("select count(*) from kept.t").await, [json!([50])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_not_be_the_source_is_not_published() {
    let stand = Stand::new().await;
    for table in ["t", "other"] {
        stand.load(table, &rows(if table == "t" { 1 } else { 900 }, 1000, "'n' || g")).await;
    }
    let keyed = |key: Value| request("raw.t", "kept.t", json!({"mode": "incremental", "key": key}));
    stand.icehaul.done("/migrate", &keyed(json!(["id"]))).await;
    stand.icehaul.done("/migrate", &request("raw.other", "kept.t", json!({"mode": "append"}))).await;
    stand.replace("t", &rows(11, 1000, "'n' || g")).await;
    let before = stand.icehaul.get("/tables/kept/t/metadata").await.1;
    let files = stand.data_files();
    let failed = stand.icehaul.run("/migrate", &keyed(json!(["id"]))).await;
    assert_eq!(
        (&failed["status"], &failed["error"]["code"]),
        (&json!("failed"), &json!("verification_failed")),
        "{failed:#}"
    );
    let message = failed["error"]["message"].as_str().expect("a message");
    assert!(
        message.contains("990 rows in the source, 1091 in the destination") && message.contains("`mode` `overwrite`"),
        "{message}"
    );
    assert!(
        message.contains("first differing row: (") && message.contains("1 in the source, 2 in the destination"),
        "{message}"
    );
    let differences = &stand.report(&failed["job_id"]).await["differences"];
    assert_eq!(
        (&differences["differing_rows"], &differences["complete"]),
        (&json!(101), &json!(false)),
        "{differences:#}"
    );
    assert_eq!((stand.icehaul.get("/tables/kept/t/metadata").await.1, stand.data_files()), (before, files));
    assert_eq!(stand.report(&failed["job_id"]).await["transfer"]["published"], false);

    let refused = async |body: Value| {
        let (status, answer) = stand.icehaul.post("/migrate", &body).await;
        match status {
            StatusCode::ACCEPTED => {
                stand.icehaul.ended(answer["job_id"].as_str().expect("an id")).await["error"].clone()
            }
            _ => answer["errors"][0].clone(),
        }
    };
    let without = refused(keyed(json!([]))).await;
    assert_eq!(without["code"], "source_rewritten");
    assert!(without["message"].as_str().is_some_and(|text| text.contains("name by `key`")), "{without}");
    assert_eq!(refused(keyed(json!(["gone"]))).await["code"], "source_column_not_found");
    assert_eq!(refused(keyed(json!(["id", "id"]))).await["code"], "duplicate_field");
    let other = request("raw.t", "kept.t", json!({"mode": "overwrite", "key": ["id"]}));
    assert_eq!(refused(other).await["code"], "conflicting_fields");
    stand.replace("t", &rows(11, 1000, "'m' || g % 10")).await;
    let many = refused(keyed(json!(["name"]))).await;
    assert!(many["message"].as_str().is_some_and(|text| text.contains("have the same key")), "{many}");
}
