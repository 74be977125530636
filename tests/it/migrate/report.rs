//! The report as JSON and as a page, and the list of them.
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Stand, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_report_holds_what_an_auditor_asks_for() {
    let stand = Stand::new().await;
    stand.load("orders", "select g::int as id, case when g % 10 = 0 then null else g / 4.0 end as price, '<b>' || g as note from generate_series(1, 2000) g").await;
    let result = stand.icehaul.done("/migrate", &request("raw.orders", "kept.orders", json!({}))).await;
    let report = stand.report(&result["migration_id"]).await;
    assert_eq!((&report["verdict"], &report["status"]), (&json!("match"), &json!("success")), "{report:#}");
    for side in ["source", "destination"] {
        let table = &report[side];
        assert_eq!(table["catalog"], "default");
        for key in ["uuid", "snapshot_id", "snapshot_at", "location", "metadata_location"] {
            assert!(table[key].is_string(), "{side}.{key}: {table:#}");
        }
        assert_eq!((&table["format_version"], &table["files"]), (&json!(2), &json!(1)));
    }
    assert_ne!(report["source"]["uuid"], report["destination"]["uuid"]);
    assert_eq!(report["rows"], json!({"source": 2000, "destination": 2000}));
    let column =
        report["columns"].as_array().expect("columns").iter().find(|column| column["column"] == "id").expect("id");
    assert_eq!(
        column["source"],
        json!({"column": "id", "values": 2000, "nulls": 0, "nans": null, "min": "1", "max": "2000", "sum": "2001000"})
    );
    assert_eq!((&column["source"], &column["matches"]), (&column["destination"], &json!(true)));
    let price = report["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .find(|column| column["column"] == "price")
        .expect("price");
    assert_eq!((&price["source"]["nulls"], &price["source"]["values"]), (&json!(200), &json!(1800)));
    assert_eq!(report["fingerprints"]["source"], report["fingerprints"]["destination"]);
    assert_eq!(report["sample"]["rows"].as_array().map(Vec::len), Some(5));
    assert_eq!(report["sample_match"], true);
    let phases: Vec<_> = report["phases"].as_array().expect("phases").iter().map(|phase| &phase["name"]).collect();
    assert_eq!(phases, ["planning", "copying", "verifying", "committing"]);
    assert!(report["not_checked"].as_array().is_some_and(|all| all.len() > 2));
    let again = report["verify_again"].as_str().expect("a command");
    assert_eq!(again, format!("icehaul verify --report {}", result["migration_id"].as_str().expect("an id")));

    let schema = stand.icehaul.get("/../../openapi.json").await.1;
    assert!(schema["paths"]["/api/v1/migrate"]["post"].is_object(), "documented");
    let (_, list) = stand.icehaul.get("/migrations?limit=1").await;
    let first = &list["migrations"][0];
    assert_eq!((&first["migration_id"], &first["verdict"]), (&result["migration_id"], &json!("match")), "{list:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_stands_alone_and_shows_no_markup_of_the_data() {
    let stand = Stand::new().await;
    stand
        .load("orders", "select g::int as id, '<script>alert(1)</script>' || g as note from generate_series(1, 50) g")
        .await;
    let result = stand.icehaul.done("/migrate", &request("raw.orders", "kept.orders", json!({}))).await;
    let id = result["migration_id"].as_str().expect("an id");
    let http = reqwest::Client::new();
    let url = format!("{}/api/v1/migrations/{id}/report", stand.icehaul.url);
    let response = http.get(&url).header("accept", "text/html,*/*;q=0.8").send().await.expect("an answer");
    let headers = response.headers().clone();
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    let policy = headers["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("style-src 'sha256-"), "{policy}");
    let page = response.text().await.expect("a page");
    for part in [
        "✔ MATCH",
        "default.raw.orders → default.kept.orders",
        "&lt;script&gt;",
        "<svg",
        "Column figures",
        "icehaul verify",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for part in ["<script", "http://", "https://", " style=\"", "<link", "<img"] {
        assert!(!page.contains(part), "{part}");
    }
    let by_name = http.get(format!("{url}?format=html")).send().await.expect("an answer");
    assert_eq!(by_name.text().await.expect("a page"), page);
    let json: Value = http.get(&url).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(json["migration_id"], id);
    for wrong in ["..%2f..%2fcatalog", "0", &format!("{id}.x"), &id.to_uppercase()] {
        let (status, problem) = stand.icehaul.get(&format!("/migrations/{wrong}/report")).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_parameter")), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_who_asked_and_what_the_audit_trail_has() {
    let stand = Stand::with(&[("ICEHAUL_AUDIT__ENABLED", "true"), ("ICEHAUL_AUDIT__INTERVAL_SECONDS", "0.2")]).await;
    stand.load("orders", "select g::int as id from generate_series(1, 50) g").await;
    let body = json!({"tables": "*", "source_namespace": "raw", "dest_namespace": "kept"});
    let batch = stand.icehaul.run("/migrate/bulk", &body).await;
    let one = &stand.report(&batch["job_id"]).await["tables"][0]["job_id"];
    // Once written, the records have their place in the chain.
    let (mut report, mut over) = (stand.report(one).await, stand.report(&batch["job_id"]).await);
    while [&report, &over].iter().any(|report| report["audit"][1]["hash"].is_null()) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        (report, over) = (stand.report(one).await, stand.report(&batch["job_id"]).await);
    }
    for (report, requester, address) in [(&report, "icehaul", Value::Null), (&over, "anonymous", json!("127.0.0.1"))] {
        assert_eq!(
            (&report["asked_by"]["requester"], &report["asked_by"]["address"]),
            (&json!(requester), &address),
            "{report:#}"
        );
        let told: Vec<_> =
            report["audit"].as_array().expect("records").iter().map(|record| &record["action"]).collect();
        assert_eq!(told, ["submit", "migrate"], "{report:#}");
    }
    assert_eq!(report["audit"][0]["batch_id"], batch["job_id"]);
    // What has published nothing is not recorded as if it had.
    let plan = json!({"tables": "*", "source_namespace": "raw", "dest_namespace": "more", "dry_run": true});
    let single = json!({"source_namespace": "raw", "source_table": "orders", "dest_namespace": "more", "dest_table": "t", "dry_run": true});
    let check = json!({"source": "raw.orders", "destination": "kept.orders"});
    let nothing = json!({"source_namespace": "raw", "source_table": "orders", "dest_namespace": "kept", "dest_table": "orders", "mode": "incremental"});
    for (path, body) in [("/migrate/bulk", plan), ("/migrate", single), ("/migrate", nothing), ("/verify", check)] {
        let job = stand.icehaul.run(path, &body).await;
        assert_eq!(job["status"], "succeeded", "{job:#}");
        let (_, found) = stand.icehaul.get(&format!("/audit?job={}", job["job_id"].as_str().expect("an id"))).await;
        let end = &found["records"][0];
        assert_eq!((&end["action"], &end["status"]), (&json!("end"), &json!("succeeded")), "{path}: {end:#}");
        assert_eq!((&end["snapshot_id"], &end["rows"]), (&Value::Null, &Value::Null), "{path}: {end:#}");
    }
    assert_eq!(report["audit"][1]["snapshot_id"], report["destination"]["snapshot_id"]);
    let attempts = report["attempts"]["all"].as_array().expect("attempts");
    assert_eq!((attempts.len(), &attempts[0]["attempt"]), (1, &json!(1)));
    let (_, found) = stand.icehaul.get(&format!("/audit?job={}", one.as_str().expect("an id"))).await;
    assert_eq!(found["records"][0], report["audit"][1], "the same as the trail's own answer");
    for (id, who) in [(one, "icehaul at "), (&batch["job_id"], "anonymous at ")] {
        let url = format!("{}/api/v1/migrations/{}/report?format=html", stand.icehaul.url, id.as_str().expect("an id"));
        let page = reqwest::get(url).await.expect("an answer").text().await.expect("text");
        let hash =
            if who.starts_with("icehaul") { &report } else { &over }["audit"][1]["hash"].as_str().expect("a hash");
        assert!(page.contains(who) && page.contains(hash), "{page}");
    }
}

/// Overwrites the rows of a table on the disk, as someone with access to it might, and leaves its metadata as they are.
fn forge(path: &str) {
    let mut bytes = std::fs::read(path).expect("its bytes");
    let at = bytes.windows(6).position(|window| window == b"row 23").expect("the bytes are there");
    bytes[at..at + 6].copy_from_slice(b"row 99");
    std::fs::write(path, bytes).expect("changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_checked_again_later() {
    let stand = Stand::new().await;
    stand.load("orders", "select g::int as id, 'row ' || g as name from generate_series(1, 50) g").await;
    let kept = request("raw.orders", "kept.orders", json!({"compression": "none"}));
    let first = stand.icehaul.done("/migrate", &kept).await;
    let again = json!({"report": first["migration_id"]});
    // The tables go on; the snapshots of the report stay.
    for table in ["raw.orders", "kept.orders"] {
        let (namespace, table) = table.split_once('.').expect("a name");
        let mut body = crate::connection(&stand.database);
        for (name, value) in
            [("query", "select 51::int as id, 'new' as name"), ("table_name", table), ("namespace", namespace)]
        {
            body[name] = value.into();
        }
        body["lineage"] = false.into();
        stand.icehaul.loaded(&body).await;
    }
    let result = stand.icehaul.done("/verify", &again).await;
    assert_eq!(
        (&result["verdict"], &result["source_checksum"]),
        (&json!("match"), &first["source_checksum"]),
        "{result:#}"
    );
    let report = stand.report(&result["migration_id"]).await;
    let id = first["migration_id"].as_str().expect("an id");
    assert!(
        report["summary"].as_str().is_some_and(|text| text.ends_with(&format!("and as report {id} says"))),
        "{report:#}"
    );
    assert_eq!(report["request"], json!({"report": id, "level": "checksum", "max_attempts": 5, "priority": "normal"}));
    // A verification's report can be checked as well; the command line has it too.
    let output = tokio::process::Command::new(icehaul_tests::icehaul::binary())
        .args(["verify", "--report", result["migration_id"].as_str().expect("an id"), "--url", &stand.icehaul.url])
        .output()
        .await
        .expect("icehaul runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let file = stand
        .data_files()
        .into_iter()
        .find(|path| {
            path.contains("/kept/orders/")
                && std::fs::read(path).is_ok_and(|bytes| bytes.windows(6).any(|window| window == b"row 23"))
        })
        .expect("the copy");
    forge(&file);
    let job = stand.icehaul.run("/verify", &again).await;
    let message = job["error"]["message"].as_str().expect("a message");
    assert_eq!(job["error"]["code"], "verification_failed", "{job:#}");
    assert!(
        message.contains("the destination has changed since the report: at its snapshot")
            && !message.contains("the source has changed"),
        "{message}"
    );
    assert!(message.contains("`row 23`") && message.contains("`row 99`"), "{message}");

    let refused = async |body: Value| {
        let (status, problem) = stand.icehaul.post("/verify", &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        format!("{} {}", problem["errors"][0]["field"], problem["errors"][0]["code"]).replace('"', "")
    };
    assert_eq!(refused(json!({"report": id, "destination": "raw.orders"})).await, "destination conflicting_fields");
    assert_eq!(refused(json!({"report": "../x"})).await, "report invalid_field");
    let added = stand.icehaul.done("/migrate", &request("raw.orders", "kept.orders", json!({"mode": "append"}))).await;
    for (report, code) in
        [(added["migration_id"].clone(), "unsupported_feature"), (json!(uuid::Uuid::now_v7()), "report_not_found")]
    {
        assert_eq!(stand.icehaul.run("/verify", &json!({"report": report})).await["error"]["code"], code);
    }
}
