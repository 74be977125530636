//! Processes that are killed, stopped and woken: each job ends once, its rows are in one snapshot.
use std::path::Path;

use icehaul_tests::{
    icehaul::{Icehaul, Process},
    postgres::Database,
    redis::RedisServer,
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{connection, files_below};

const ROWS: u64 = 30_000;

/// A cluster: one Redis, one API, workers of the test's choice.
struct Cluster {
    redis: RedisServer,
    database: Database,
    data: TempDir,
    icehaul: Icehaul,
}

impl Cluster {
    async fn start() -> Self {
        let redis = RedisServer::start().expect("redis-server");
        let database = Database::new().await;
        database
            .run(&format!(
                "create table orders as select g::bigint as id, 'n' || g as name from generate_series(1, {ROWS}) g"
            ))
            .await;
        let data = TempDir::new().expect("folder");
        let env = environment(&redis, data.path());
        let icehaul = Icehaul::serve(&["api", "--bind", "127.0.0.1:0"], &env).await;
        Self { redis, database, data, icehaul }
    }

    async fn worker(&self, failpoints: &str) -> Process {
        let mut env = environment(&self.redis, self.data.path());
        env.push(("ICEHAUL_FAILPOINTS", failpoints.to_owned()));
        Process::start(&["worker"], &env, false).await.0
    }

    fn request(&self) -> Value {
        let mut body = connection(&self.database);
        for (name, value) in [("table", "orders"), ("table_name", "orders"), ("namespace", "raw")] {
            body[name] = value.into();
        }
        body
    }

    /// The table holds the rows once, in as many snapshots as loads, and no data file lies beside it.
    async fn check(&self, loads: u64) {
        let rows = self.icehaul.rows("select count(*), count(distinct id) from raw.orders").await;
        assert_eq!(rows, [json!([ROWS * loads, ROWS])]);
        let (_, metadata) = self.icehaul.get("/tables/raw/orders/metadata").await;
        assert_eq!(metadata["snapshots"], loads, "{metadata:#}");
        let files = files_below(&self.data.path().join("warehouse"));
        let parquet = files.iter().filter(|file| file.ends_with(".parquet")).count();
        assert_eq!(Some(parquet as u64), metadata["files"].as_u64(), "{files:#?}");
    }
}

fn environment(redis: &RedisServer, data: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("ICEHAUL_REDIS_URL", redis.url()),
        ("ICEHAUL_DATA_DIR", data.display().to_string()),
        ("ICEHAUL_QUEUE__LEASE_SECONDS", "2".into()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_at_any_step_costs_no_row_and_doubles_none() {
    let cluster = Cluster::start().await;
    for (load, failpoint) in ["write.file_closed", "commit.before_swap", "commit.after_swap"].iter().enumerate() {
        let mut doomed = cluster.worker(&format!("{failpoint}=exit")).await;
        let id = cluster.icehaul.submit(&cluster.request()).await;
        assert!(!doomed.ended().await.success(), "{failpoint} was not reached");
        let heir = cluster.worker("").await;
        let job = cluster.icehaul.ended(&id).await;
        assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(2)), "{failpoint}: {job:#}");
        assert_eq!(job["result"]["rows_loaded"], ROWS, "{failpoint}");
        assert_eq!(job["attempts"][0]["error"]["code"], "worker_lost", "{failpoint}");
        cluster.check(load as u64 + 1).await;
        drop(heir);
    }
}

/// Stopped before it asks whether it may commit, or after it was told yes: both come too late.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_sleeps_through_its_lease_commits_nothing_when_it_wakes() {
    for failpoint in ["commit.before_swap", "commit.permitted"] {
        let cluster = Cluster::start().await;
        let sleeper = cluster.worker(&format!("{failpoint}=stop")).await;
        let id = cluster.icehaul.submit(&cluster.request()).await;
        sleeper.stopped().await;
        let heir = cluster.worker("").await;
        let job = cluster.icehaul.ended(&id).await;
        assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(2)), "{failpoint}: {job:#}");
        drop(heir);
        sleeper.signal("CONT");
        // The woken worker is alone, and done with the old attempt before it stops at the next one.
        let next = cluster.icehaul.submit(&cluster.request()).await;
        cluster.icehaul.until(&next, |job| job["status"] == "running").await;
        sleeper.stopped().await;
        drop(sleeper);
        let _heir = cluster.worker("").await;
        assert_eq!(cluster.icehaul.ended(&next).await["status"], "succeeded");
        let first = cluster.icehaul.get(&format!("/jobs/{id}")).await.1;
        assert_eq!((&first["status"], &first["result"]), (&json!("succeeded"), &job["result"]));
        cluster.check(2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_redis_that_dies_is_started_again() {
    let database = Database::new().await;
    database.run("create table orders as select g::bigint as id from generate_series(1, 1000) g").await;
    let data = TempDir::new().expect("folder");
    let icehaul = Icehaul::up(data.path(), &[]).await;
    let mut body = connection(&database);
    for (name, value) in [("table", "orders"), ("table_name", "orders"), ("namespace", "raw")] {
        body[name] = value.into();
    }
    let before = icehaul.loaded(&body).await;
    let socket = data.path().join("redis/redis.sock");
    let redis = pid_at(&socket);
    icehaul_tests::signal(redis, "KILL").expect("a signal");
    let again = async {
        while pid_at(&socket) == redis || icehaul.get("/health").await.0 != StatusCode::OK {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), again).await.expect("a new Redis");
    let after = icehaul.loaded(&body).await;
    assert_ne!(before["snapshot_id"], after["snapshot_id"]);
    let (_, jobs) = icehaul.get("/jobs?status=succeeded").await;
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(2), "the job before its death is known: {jobs:#}");
}

/// The process that `redis-server` of this socket says it is; 0 if none answers.
fn pid_at(socket: &std::path::Path) -> u32 {
    let info = std::process::Command::new("redis-cli").arg("-s").arg(socket).args(["info", "server"]).output();
    let text = info.map(|info| String::from_utf8_lossy(&info.stdout).into_owned()).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("process_id:")?.trim().parse().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn up_is_killed_and_its_redis_is_taken_up_again() {
    let database = Database::new().await;
    database.run("create table orders as select g::bigint as id from generate_series(1, 1000) g").await;
    let data = TempDir::new().expect("folder");
    let lease = ("ICEHAUL_QUEUE__LEASE_SECONDS", "2".to_owned());
    let failpoint = ("ICEHAUL_FAILPOINTS", "commit.before_swap=exit".to_owned());
    let mut first = Icehaul::up(data.path(), &[lease.clone(), failpoint]).await;
    let mut body = connection(&database);
    for (name, value) in [("table", "orders"), ("table_name", "orders"), ("namespace", "raw")] {
        body[name] = value.into();
    }
    let id = first.submit(&body).await;
    first.process.ended().await;
    let mut second = Icehaul::up(data.path(), &[lease]).await;
    let job = second.ended(&id).await;
    assert_eq!((&job["status"], &job["result"]["rows_loaded"]), (&json!("succeeded"), &json!(1000)), "{job:#}");
    second.process.signal("TERM");
    assert!(second.process.ended().await.success());
    assert!(!data.path().join("redis/redis.sock").exists(), "a stop in good order ends the private Redis");
}
