//! Workers that die or sleep at each step of a migration: one commit, no stray file, a complete report.
use std::path::Path;

use icehaul_tests::{
    icehaul::{Icehaul, Process},
    postgres::Database,
    redis::RedisServer,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::request;
use crate::{connection, files_below};

const ROWS: u64 = 20_000;

/// One Redis, one API, a table `raw.orders`, workers of the test's choice.
struct Cluster {
    redis: RedisServer,
    data: TempDir,
    icehaul: Icehaul,
}

impl Cluster {
    async fn start() -> Self {
        let (redis, database, data) =
            (RedisServer::start().expect("redis-server"), Database::new().await, TempDir::new().expect("folder"));
        let icehaul = Icehaul::serve(&["api", "--bind", "127.0.0.1:0"], &environment(&redis, data.path(), "")).await;
        let cluster = Self { redis, data, icehaul };
        let _worker = cluster.worker("").await;
        let mut body = connection(&database);
        let query = format!("select g::bigint as id, 'n' || g as name from generate_series(1, {ROWS}) g");
        for (name, value) in [("query", query.as_str()), ("table_name", "orders"), ("namespace", "raw")] {
            body[name] = value.into();
        }
        cluster.icehaul.loaded(&body).await;
        cluster
    }

    async fn worker(&self, failpoints: &str) -> Process {
        Process::start(&["worker"], &environment(&self.redis, self.data.path(), failpoints), false).await.0
    }

    /// The destination holds the rows once, in one snapshot, and nothing lies beside it; the report is there and whole.
    async fn check(&self, table: &str, job: &Value) {
        let (_, metadata) = self.icehaul.get(&format!("/tables/kept/{table}/metadata")).await;
        assert_eq!((&metadata["snapshots"], &metadata["row_count"]), (&json!(1), &json!(ROWS)), "{metadata:#}");
        let warehouse = self.data.path().join("warehouse");
        let files = files_below(&warehouse.join("kept").join(table));
        let parquet = files.iter().filter(|file| file.ends_with(".parquet")).count();
        assert_eq!(Some(parquet as u64), metadata["files"].as_u64(), "{files:#?}");
        let records = files_below(&warehouse.join(".icehaul"));
        assert!(!records.iter().any(|path| path.contains("pending")), "{records:#?}");
        let id = job["job_id"].as_str().expect("an id");
        let (_, report) = self.icehaul.get(&format!("/migrations/{id}/report")).await;
        assert_eq!((&report["verdict"], &report["rows"]["destination"]), (&json!("match"), &json!(ROWS)), "{report:#}");
        assert_eq!(report["destination"]["snapshot_id"], metadata["current_snapshot"]);
        assert_eq!((&report["transfer"]["published"], &report["checksum_match"]), (&json!(true), &json!(true)));
        assert_eq!(report["columns"].as_array().map(Vec::len), Some(4), "two columns and two of lineage");
        assert_eq!(report["phases"].as_array().map(Vec::len), Some(4), "{report:#}");
        assert_eq!(job["result"]["destination_checksum"], report["fingerprints"]["destination"]);
    }
}

fn environment(redis: &RedisServer, data: &Path, failpoints: &str) -> Vec<(&'static str, String)> {
    vec![
        ("ICEHAUL_REDIS_URL", redis.url()),
        ("ICEHAUL_DATA_DIR", data.display().to_string()),
        ("ICEHAUL_QUEUE__LEASE_SECONDS", "2".into()),
        ("ICEHAUL_FAILPOINTS", failpoints.to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_at_any_step_leaves_one_commit_and_a_whole_report() {
    let cluster = Cluster::start().await;
    let steps = ["write.file_closed", "migrate.copied", "commit.before_swap", "commit.after_swap", "migrate.reported"];
    for (n, step) in steps.iter().enumerate() {
        let table = format!("t{n}");
        let mut doomed = cluster.worker(&format!("{step}=exit")).await;
        let id =
            cluster.icehaul.submit_to("/migrate", &request("raw.orders", &format!("kept.{table}"), json!({}))).await;
        assert!(!doomed.ended().await.success(), "{step} was not reached");
        let heir = cluster.worker("").await;
        let job = cluster.icehaul.ended(&id).await;
        assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(2)), "{step}: {job:#}");
        assert_eq!(job["result"]["rows_migrated"], ROWS, "{step}");
        cluster.check(&table, &job).await;
        drop(heir);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_files_that_dies_leaves_one_commit_too() {
    let cluster = Cluster::start().await;
    for (n, step) in ["migrate.copied", "commit.before_swap", "commit.after_swap"].iter().enumerate() {
        let table = format!("f{n}");
        let mut doomed = cluster.worker(&format!("{step}=exit")).await;
        let body = request("raw.orders", &format!("kept.{table}"), json!({"copy": "files"}));
        let id = cluster.icehaul.submit_to("/migrate", &body).await;
        assert!(!doomed.ended().await.success(), "{step} was not reached");
        let heir = cluster.worker("").await;
        let job = cluster.icehaul.ended(&id).await;
        assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(2)), "{step}: {job:#}");
        let (_, metadata) = cluster.icehaul.get(&format!("/tables/kept/{table}/metadata")).await;
        assert_eq!((&metadata["snapshots"], &metadata["row_count"]), (&json!(1), &json!(ROWS)), "{metadata:#}");
        let files = files_below(&cluster.data.path().join("warehouse/kept").join(&table));
        let parquet = files.iter().filter(|file| file.ends_with(".parquet")).count();
        assert_eq!(Some(parquet as u64), metadata["files"].as_u64(), "{files:#?}");
        let (_, report) = cluster.icehaul.get(&format!("/migrations/{id}/report")).await;
        assert_eq!((&report["files"]["matches"], &report["transfer"]["published"]), (&json!(true), &json!(true)));
        drop(heir);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_sleeps_through_its_lease_publishes_nothing_when_it_wakes() {
    for step in ["migrate.copied", "commit.permitted"] {
        let cluster = Cluster::start().await;
        let sleeper = cluster.worker(&format!("{step}=stop")).await;
        let id = cluster.icehaul.submit_to("/migrate", &request("raw.orders", "kept.t", json!({}))).await;
        sleeper.stopped().await;
        let heir = cluster.worker("").await;
        let job = cluster.icehaul.ended(&id).await;
        assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(2)), "{step}: {job:#}");
        drop(heir);
        sleeper.signal("CONT");
        // Woken and alone, it takes the next job, after the old attempt, and stops there again.
        let next = cluster.icehaul.submit_to("/migrate", &request("raw.orders", "kept.u", json!({}))).await;
        cluster.icehaul.until(&next, |job| job["status"] == "running").await;
        sleeper.stopped().await;
        drop(sleeper);
        let _heir = cluster.worker("").await;
        assert_eq!(cluster.icehaul.ended(&next).await["status"], "succeeded");
        cluster.check("t", &job).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_workers_die_runs_no_table_twice_and_loses_none() {
    let cluster = Cluster::start().await;
    let entries: Vec<_> = (0..3).map(|n| json!({"source": "raw.orders", "dest": format!("kept.b{n}")})).collect();
    for (round, step) in ["write.file_closed", "commit.after_swap"].iter().enumerate() {
        let mut doomed = cluster.worker(&format!("{step}=exit")).await;
        let entries: Vec<_> = entries.iter().map(|entry| json!({"source": entry["source"], "dest": format!("{}r{round}", entry["dest"].as_str().unwrap_or_default())})).collect();
        let id = cluster.icehaul.submit_to("/migrate/bulk", &json!({"migrations": entries, "parallelism": 2})).await;
        assert!(!doomed.ended().await.success(), "{step} was not reached");
        let heir = cluster.worker("").await;
        let job = cluster.icehaul.ended(&id).await;
        assert_eq!((&job["status"], &job["result"]["succeeded"]), (&json!("succeeded"), &json!(3)), "{step}: {job:#}");
        let (_, children) = cluster.icehaul.get(&format!("/jobs?batch={id}")).await;
        let children = children["jobs"].as_array().expect("jobs").clone();
        assert_eq!(children.len(), 3, "{children:#?}");
        for child in children {
            let table =
                child["table"].as_str().and_then(|table| table.strip_prefix("kept.")).expect("a table").to_owned();
            cluster.check(&table, &child).await;
        }
        drop(heir);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_migration_leaves_the_destination_as_it_was() {
    let cluster = Cluster::start().await;
    let before = files_below(&cluster.data.path().join("warehouse"));
    let _worker = cluster.worker("migrate.copied=pause:20000").await;
    let id = cluster.icehaul.submit_to("/migrate", &request("raw.orders", "kept.t", json!({}))).await;
    cluster.icehaul.until(&id, |job| job["progress"]["rows"] == ROWS).await;
    cluster.icehaul.post(&format!("/jobs/{id}/cancel"), &json!({})).await;
    assert_eq!(cluster.icehaul.ended(&id).await["status"], "cancelled");
    assert_eq!(files_below(&cluster.data.path().join("warehouse")), before);
    assert_eq!(cluster.icehaul.get("/tables/kept/t/metadata").await.0, reqwest::StatusCode::NOT_FOUND);
}
