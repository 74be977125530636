//! Batches: a job for each table, failures on their own, one report over all.
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::Stand;

/// Three small tables in `raw`, and one in `more` with the name of one of them.
async fn tables(stand: &Stand) {
    for (table, rows) in [("orders", 300), ("items", 200), ("notes", 100)] {
        stand.load(table, &format!("select g::int as id, 'x' || g as name from generate_series(1, {rows}) g")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_namespace_goes_over_with_one_report() {
    let stand = Stand::new().await;
    tables(&stand).await;
    let body = json!({"tables": "*", "source_namespace": "raw", "dest_catalog": "far", "dest_namespace": "copy_of_{namespace}", "parallelism": 2});
    let plan = stand
        .icehaul
        .done("/migrate/bulk", &{
            let mut body = body.clone();
            body["dry_run"] = true.into();
            body
        })
        .await;
    assert_eq!(plan["tables"].as_array().map(Vec::len), Some(3), "{plan:#}");
    assert_eq!((&plan["files"], &plan["tables"][0]["destination_exists"]), (&json!(3), &json!(false)));
    assert!(stand.store.keys(super::BUCKET).is_empty(), "a plan writes nothing");

    let job = stand.icehaul.run("/migrate/bulk", &body).await;
    assert_eq!(job["status"], "succeeded", "{job:#}");
    assert_eq!((&job["result"]["succeeded"], &job["result"]["rows_migrated"]), (&json!(3), &json!(600)));
    assert_eq!(job["attempt"], 1, "waiting spends no attempt");
    let id = job["job_id"].as_str().expect("an id");
    let (_, children) = stand.icehaul.get(&format!("/jobs?batch={id}")).await;
    let children = children["jobs"].as_array().expect("jobs").clone();
    assert_eq!(children.len(), 3);
    assert!(children.iter().all(|child| child["kind"] == "migrate.table" && child["batch_id"] == id), "{children:#?}");
    let report = stand.report(&job["job_id"]).await;
    assert_eq!((&report["verdict"], &report["rows"]), (&json!("match"), &json!(600)), "{report:#}");
    let names: Vec<_> =
        report["tables"].as_array().expect("tables").iter().map(|line| line["destination"].clone()).collect();
    assert_eq!(names, ["far.copy_of_raw.items", "far.copy_of_raw.notes", "far.copy_of_raw.orders"]);
    let one = &report["tables"][0];
    assert_eq!(stand.report(&one["job_id"]).await["verdict"], "match", "each table has its own");

    let url = format!("{}/api/v1/migrations/{id}/report", stand.icehaul.url);
    let csv = reqwest::get(format!("{url}?format=csv")).await.expect("an answer").text().await.expect("text");
    assert_eq!(csv.lines().count(), 4, "{csv}");
    assert!(csv.starts_with("source,destination,job_id,status,verdict,rows,"), "{csv}");
    let page = reqwest::get(format!("{url}?format=html")).await.expect("an answer").text().await.expect("text");
    assert!(page.contains("✔ ALL TABLES MATCH") && page.contains("far.copy_of_raw.items"));
    let (_, list) = stand.icehaul.get("/migrations").await;
    assert_eq!(list["migrations"].as_array().map(Vec::len), Some(4), "{list:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_catalog_is_meant_without_the_audit_trail() {
    let stand = Stand::with(&[("ICEHAUL_AUDIT__ENABLED", "true"), ("ICEHAUL_AUDIT__INTERVAL_SECONDS", "0.2")]).await;
    tables(&stand).await;
    crate::audit::written(&stand.icehaul).await;
    let job = stand.icehaul.run("/migrate/bulk", &json!({"tables": "*", "dest_catalog": "far"})).await;
    assert_eq!(job["status"], "succeeded", "{job:#}");
    let (_, there) = stand.icehaul.get("/tables/raw?catalog=far").await;
    assert_eq!(there["tables"].as_array().map(Vec::len), Some(3), "{there:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_stay_on_their_own_and_are_tried_again() {
    let stand = Stand::new().await;
    tables(&stand).await;
    stand.icehaul.done("/migrate", &super::request("raw.notes", "kept.items", json!({}))).await;
    let body = json!({"migrations": [
        {"source": "raw.orders", "dest": "kept.orders"},
        {"source": "raw.items", "dest": "kept.items"},
        {"source": "raw.notes", "dest": "kept.notes"},
    ]});
    let job = stand.icehaul.run("/migrate/bulk", &body).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("batch_incomplete")), "{job:#}");
    let report = stand.report(&job["job_id"]).await;
    assert_eq!((&report["succeeded"], &report["failed"]), (&json!(2), &json!(1)));
    let failed = &report["tables"][1];
    assert_eq!((&failed["status"], &failed["error_code"]), (&json!("failed"), &json!("table_exists")), "{report:#}");
    // Nothing has differed; the table that failed has no report, and none is named.
    assert_eq!(
        (&report["verdict"], &failed["verdict"], &failed["report"]),
        (&json!("not_compared"), &Value::Null, &Value::Null)
    );
    assert_eq!(stand.report(&report["tables"][0]["job_id"]).await["verdict"], "match");
    let ask = |accept: &'static str| {
        let url = format!("{}/api/v1/migrations/{}/report", stand.icehaul.url, job["job_id"].as_str().expect("an id"));
        let request = reqwest::Client::new().get(url).header("accept", accept);
        async { request.send().await.expect("an answer").text().await.expect("text") }
    };
    let (page, csv) = (ask("text/html").await, ask("text/csv").await);
    assert!(page.contains("✘ NOT ALL TABLES WERE MIGRATED"), "{page}");
    assert!(
        csv.lines().nth(2).is_some_and(|line| line.starts_with("default.raw.items,") && line.ends_with(',')),
        "{csv}"
    );
    assert_eq!(stand.icehaul.rows("select count(*) from kept.orders").await, [json!([300])]);
    // What was in the way goes, and what failed is tried again; what was done is not.
    let before = stand.icehaul.get("/tables/kept/orders/metadata").await.1["current_snapshot"].clone();
    let id = job["job_id"].as_str().expect("an id");
    drop_table(&stand, "kept", "items");
    let (status, _) = stand.icehaul.post(&format!("/jobs/{id}/retry"), &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let job = stand.icehaul.ended(id).await;
    assert_eq!(job["status"], "succeeded", "{job:#}");
    assert_eq!(stand.icehaul.rows("select count(*) from kept.items").await, [json!([200])]);
    assert_eq!(stand.icehaul.get("/tables/kept/orders/metadata").await.1["current_snapshot"], before);
    assert_eq!(stand.report(&job["job_id"]).await["verdict"], "match");
}

/// Another engine's names, which Icehaul does not take, fail on their own.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_names_stop_no_other_table() {
    let stand = Stand::new().await;
    tables(&stand).await;
    sql(&stand, "insert into iceberg_namespace_properties values ('default', 'my-ns', 'exists', 'true')");
    sql(&stand, "update iceberg_tables set table_name = 'Weird Name' where table_name = 'notes'");
    let body = json!({"tables": "*", "dest_catalog": "far"});
    let mut dry = body.clone();
    dry["dry_run"] = true.into();
    let plan = stand.icehaul.done("/migrate/bulk", &dry).await;
    let problems: Vec<_> =
        plan["tables"].as_array().expect("tables").iter().map(|line| line["problem"].clone()).collect();
    assert_eq!(json!(problems), json!(["invalid_identifier", "invalid_identifier", null, null]), "{plan:#}");
    let job = stand.icehaul.run("/migrate/bulk", &body).await;
    assert_eq!(job["error"]["code"], "batch_incomplete", "{job:#}");
    let ends = async || {
        let report = stand.report(&job["job_id"]).await;
        let lines = report["tables"].as_array().expect("tables").iter();
        lines.map(|line| json!([line["source"], line["status"], line["error_code"]])).collect::<Vec<_>>()
    };
    let expected = [
        json!(["default.my-ns.*", "failed", "invalid_identifier"]),
        json!(["default.raw.Weird Name", "failed", "invalid_identifier"]),
        json!(["default.raw.items", "succeeded", null]),
        json!(["default.raw.orders", "succeeded", null]),
    ];
    assert_eq!(ends().await, expected);
    let id = job["job_id"].as_str().expect("an id");
    assert_eq!(stand.icehaul.post(&format!("/jobs/{id}/retry"), &json!({})).await.0, StatusCode::ACCEPTED);
    assert_eq!(stand.icehaul.ended(id).await["error"]["code"], "batch_incomplete");
    assert_eq!(ends().await, expected);
}

/// As another engine drops a table: out of the catalog.
fn drop_table(stand: &Stand, namespace: &str, table: &str) {
    sql(stand, &format!("delete from iceberg_tables where table_namespace = '{namespace}' and table_name = '{table}'"));
}

/// A statement on the embedded catalog.
fn sql(stand: &Stand, statement: &str) {
    let script = format!(
        "import sqlite3; c = sqlite3.connect('{}'); c.execute(\"{statement}\"); c.commit()",
        stand.data.path().join("catalog.db").display()
    );
    let python = std::env::var("ICEHAUL_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let done = std::process::Command::new(python).args(["-c", &script]).status().expect("Python");
    assert!(done.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_meant_is_refused() {
    let stand = Stand::new().await;
    tables(&stand).await;
    let refused = async |body: Value| {
        let (status, answer) = stand.icehaul.post("/migrate/bulk", &body).await;
        match status {
            StatusCode::ACCEPTED => {
                stand.icehaul.ended(answer["job_id"].as_str().expect("an id")).await["error"]["code"].clone()
            }
            _ => answer["errors"][0]["code"].clone(),
        }
    };
    assert_eq!(refused(json!({})).await, "missing_field");
    assert_eq!(refused(json!({"tables": "*", "dest_namespace": "{nmespace}"})).await, "invalid_field");
    assert_eq!(refused(json!({"tables": "("})).await, "invalid_field");
    assert_eq!(refused(json!({"tables": "*", "source_namespace": "raw"})).await, "same_table");
    let one = json!({"tables": ["orders", "items"], "source_namespace": "raw", "dest_namespace": "kept", "dest_table": "all"});
    assert_eq!(refused(one).await, "name_clash");
    assert_eq!(
        refused(json!({"tables": ["gone"], "source_namespace": "raw", "dest_namespace": "kept"})).await,
        "table_not_found"
    );
    assert_eq!(refused(json!({"tables": "z.*", "dest_namespace": "kept"})).await, "table_not_found");
    // A name that is nowhere is not left out silently, wherever it is looked for.
    let one_gone = json!({"tables": ["orders", "gone"], "dest_catalog": "far"});
    assert_eq!(refused(one_gone).await, "table_not_found");
    let entries = json!({"migrations": [{"source": "raw.orders", "dest": "kept.a"}, {"source": "raw.items", "dest": "nope.kept.b"}]});
    assert_eq!(refused(entries).await, "catalog_not_found", "before anything is copied");
    let chain =
        json!({"migrations": [{"source": "raw.orders", "dest": "kept.a"}, {"source": "kept.a", "dest": "kept.b"}]});
    assert_eq!(refused(chain).await, "name_clash");
    assert_eq!(refused(json!({"tables": "*", "source_catalogs": ["default", "nowhere"]})).await, "catalog_not_found");
    // Two warehouses into one: their tables' names clash, unless a rule tells them apart.
    stand
        .icehaul
        .done("/migrate/bulk", &json!({"tables": "*", "source_namespace": "raw", "dest_catalog": "far"}))
        .await;
    let both = json!({"tables": "orders|items", "source_catalogs": ["default", "far"], "source_namespace": "raw", "dest_namespace": "central"});
    assert_eq!(refused(both.clone()).await, "name_clash");
    let mut told_apart = both;
    told_apart["dest_table"] = "{catalog}_{table}".into();
    let result = stand.icehaul.done("/migrate/bulk", &told_apart).await;
    assert_eq!(result["succeeded"], 4, "{result:#}");
    let (_, names) = stand.icehaul.get("/tables/central").await;
    assert_eq!(names["tables"], json!(["default_items", "default_orders", "far_items", "far_orders"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_batch_stops_its_tables() {
    let stand = Stand::new().await;
    stand.load("slow", "select g::bigint as id, md5(g::text) as name from generate_series(1, 3000) g").await;
    let entries: Vec<_> = (0..15).map(|n| json!({"source": "raw.slow", "dest": format!("kept.t{n}")})).collect();
    let id = stand.icehaul.submit_to("/migrate/bulk", &json!({"migrations": entries, "parallelism": 1})).await;
    let started = async {
        while stand.icehaul.get(&format!("/jobs?batch={id}&status=succeeded")).await.1["jobs"]
            .as_array()
            .is_none_or(Vec::is_empty)
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), started).await.expect("a table is done");
    assert_eq!(stand.icehaul.post(&format!("/jobs/{id}/cancel"), &json!({})).await.0, StatusCode::ACCEPTED);
    assert_eq!(stand.icehaul.ended(&id).await["status"], "cancelled");
    let settled = async {
        loop {
            let (_, jobs) = stand.icehaul.get(&format!("/jobs?batch={id}&limit=100")).await;
            let open = |job: &&Value| !["succeeded", "failed", "cancelled"].iter().any(|end| job["status"] == *end);
            let jobs = jobs["jobs"].as_array().expect("jobs").clone();
            if jobs.iter().find(open).is_none() {
                return jobs.len();
            }
        }
    };
    let jobs = tokio::time::timeout(std::time::Duration::from_secs(30), settled).await.expect("no table goes on");
    assert!(jobs < 15, "{jobs}");

    // Run again, it does what is not done, and nothing twice.
    let snapshots = async || {
        let (_, jobs) = stand.icehaul.get(&format!("/jobs?batch={id}&status=succeeded&limit=100")).await;
        let told = |job: &Value| (job["table"].clone(), job["result"]["snapshot_id"].clone(), job["attempt"].clone());
        jobs["jobs"].as_array().expect("jobs").iter().map(told).collect::<Vec<_>>()
    };
    let before = snapshots().await;
    assert!((1..15).contains(&before.len()), "{before:?}");
    assert_eq!(stand.icehaul.post(&format!("/jobs/{id}/retry"), &json!({})).await.0, StatusCode::ACCEPTED);
    let job = stand.icehaul.ended(&id).await;
    assert_eq!((&job["status"], &job["result"]["succeeded"]), (&json!("succeeded"), &json!(15)), "{job:#}");
    assert_eq!(job["result"]["rows_migrated"], 45_000);
    let after = snapshots().await;
    assert!(after.len() == 15 && before.iter().all(|one| after.contains(one)), "{before:?} {after:?}");
    let report = stand.report(&job["job_id"]).await;
    let counts = ["succeeded", "failed", "cancelled", "rows"].map(|what| report[what].as_u64());
    assert_eq!(counts, [15, 0, 0, 45_000].map(Some), "{report:#}");
    for n in 0..15 {
        let (_, metadata) = stand.icehaul.get(&format!("/tables/kept/t{n}/metadata")).await;
        assert_eq!((&metadata["snapshots"], &metadata["row_count"]), (&json!(1), &json!(3000)), "t{n}");
    }
}

/// The command line: the plan, both ways to name tables, and what became of each.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_does_batches_too() {
    let stand = Stand::new().await;
    tables(&stand).await;
    let run = async |args: &[&str]| {
        let mut command = tokio::process::Command::new(icehaul_tests::icehaul::binary());
        let output = command.args(args).args(["--url", &stand.icehaul.url]).output().await.expect("icehaul runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let chosen = [
        "migrate",
        "bulk",
        "--tables",
        "o.*|items",
        "--source-namespace",
        "raw",
        "--dest-catalog",
        "far",
        "--dest-namespace",
        "kept",
    ];
    let (code, plan, errors) = run(&[&chosen[..], &["--dry-run"]].concat()).await;
    assert_eq!(code, Some(0), "{errors}");
    let lines: Vec<Vec<&str>> = plan.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1][..4], ["default.raw.items", "far.kept.items", "new", "1"], "{plan}");
    assert!(plan.contains("2 tables, ") && plan.contains("500 rows; nothing was done"), "{plan}");
    let (code, told, errors) = run(&chosen).await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(told.contains("default.raw.orders  far.kept.orders  succeeded  match     300"), "{told}");
    assert!(told.contains("all 2 tables were migrated (500 rows)"), "{told}");
    // With an earlier migration, the plan has a time too. One of two tables is there already.
    let pairs = ["migrate", "bulk", "raw.orders=far.kept.orders", "raw.notes=far.kept.notes"];
    let (_, plan, _) = run(&[&pairs[..], &["--dry-run"]].concat()).await;
    assert!(plan.contains("exists: would fail") && plan.contains(" s one after the other"), "{plan}");
    let (code, told, errors) = run(&pairs).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("far.kept.notes   succeeded") && told.contains("far.kept.orders  failed"), "{told}");
    assert!(errors.contains("batch_incomplete") && errors.contains("/report\n"), "{errors}");
    assert!(errors.contains("`icehaul jobs retry "), "{errors}");
    let (code, json, _) = run(&[&pairs[..], &["--mode", "overwrite", "--json"]].concat()).await;
    let job: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, &job["result"]["succeeded"]), (Some(0), &json!(2)), "{job:#}");
    assert_eq!(run(&["migrate", "bulk", "raw.orders"]).await.0, Some(2));
    let (_, mark, _) = run(&["fingerprint", "far.kept.orders"]).await;
    assert_eq!(json!(mark.trim()), stand.fingerprint("kept.orders", "far").await);
}
