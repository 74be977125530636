//! Workers that die or sleep at each step of a migration, here and on S3: one commit, no stray file, a complete report.
use std::time::Duration;

use icehaul_tests::{
    icehaul::{Icehaul, Process},
    postgres::{Database, OWNER, OWNER_PASSWORD},
    proxy::{Proxy, SLOW_DOWN},
    redis::RedisServer,
    s3::{ACCESS_KEY, S3Server, SECRET_KEY},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use super::request;
use crate::{connection, files_below};

const ROWS: u64 = 20_000;
const BUCKET: &str = "lake";
/// The ways of copying: by rows, by files, and by files with all snapshots.
const COPIES: [&str; 3] = ["rows", "files", "all"];

/// One Redis, one API, a table `raw.orders`, workers of the test's choice.
struct Cluster {
    redis: RedisServer,
    /// The table's rows, and the catalog if the warehouse is on S3.
    database: Database,
    data: TempDir,
    store: Option<S3Server>,
    icehaul: Icehaul,
}

impl Cluster {
    /// A cluster whose catalog and warehouse are files here, or PostgreSQL and S3.
    async fn start(on_s3: bool) -> Self {
        let (redis, database, data) =
            (RedisServer::start().expect("redis-server"), Database::new().await, TempDir::new().expect("folder"));
        let store = on_s3.then(|| S3Server::with_bucket(BUCKET).expect("an S3 server"));
        let endpoint = store.as_ref().map(S3Server::endpoint);
        let env = environment(&redis, &database, &data, endpoint, "");
        let icehaul = Icehaul::serve(&["api", "--bind", "127.0.0.1:0"], &env).await;
        let cluster = Self { redis, database, data, store, icehaul };
        let _worker = cluster.worker("").await;
        let mut body = connection(&cluster.database);
        let query = format!("select g::bigint as id, 'n' || g as name from generate_series(1, {ROWS}) g");
        for (name, value) in [("query", query.as_str()), ("table_name", "orders"), ("namespace", "raw")] {
            body[name] = value.into();
        }
        cluster.icehaul.loaded(&body).await;
        cluster
    }

    async fn worker(&self, failpoints: &str) -> Process {
        self.worker_at(self.store.as_ref().map(S3Server::endpoint), failpoints).await
    }

    /// A worker that has the store at another address.
    async fn worker_at(&self, endpoint: Option<String>, failpoints: &str) -> Process {
        let env = environment(&self.redis, &self.database, &self.data, endpoint, failpoints);
        Process::start(&["worker"], &env, false).await.0
    }

    /// The locations of the files below a folder of the warehouse.
    fn files(&self, below: &str) -> Vec<String> {
        match &self.store {
            Some(store) => {
                let below = format!("warehouse/{below}/");
                store.keys(BUCKET).into_iter().filter(|key| below == "warehouse//" || key.starts_with(&below)).collect()
            }
            None => files_below(&self.data.path().join("warehouse").join(below)),
        }
    }

    async fn submit(&self, table: &str, copy: &str) -> String {
        let fields = match copy {
            "all" => json!({"copy": "files", "history": "all"}),
            copy => json!({"copy": copy}),
        };
        self.icehaul.submit_to("/migrate", &request("raw.orders", &format!("kept.{table}"), fields)).await
    }

    /// The destination holds the rows once, in one snapshot, and nothing lies beside it; the report is there and whole.
    async fn check(&self, table: &str, job: &Value, copy: &str) {
        let (_, metadata) = self.icehaul.get(&format!("/tables/kept/{table}/metadata")).await;
        assert_eq!((&metadata["snapshots"], &metadata["row_count"]), (&json!(1), &json!(ROWS)), "{metadata:#}");
        let files = self.files(&format!("kept/{table}"));
        let parquet = files.iter().filter(|file| file.ends_with(".parquet")).count();
        assert_eq!(Some(parquet as u64), metadata["files"].as_u64(), "{files:#?}");
        // A metadata file, a manifest list and a manifest.
        assert_eq!(files.len() - parquet, 3, "{files:#?}");
        let records = self.files(".icehaul");
        assert!(!records.iter().any(|path| path.contains("pending")), "{records:#?}");
        let id = job["job_id"].as_str().expect("an id");
        let (_, report) = self.icehaul.get(&format!("/migrations/{id}/report")).await;
        assert_eq!(
            (&report["verdict"], &report["transfer"]["published"]),
            (&json!("match"), &json!(true)),
            "{report:#}"
        );
        assert_eq!(report["destination"]["snapshot_id"], metadata["current_snapshot"]);
        assert_eq!(report["phases"].as_array().map(Vec::len), Some(4), "{report:#}");
        let tried = |all: &Value| {
            let all = all.as_array().expect("attempts").iter();
            all.map(|attempt| (attempt["attempt"].clone(), attempt["worker"].clone())).collect::<Vec<_>>()
        };
        assert_eq!(tried(&report["attempts"]["all"]), tried(&job["attempts"]), "of all attempts: {report:#}");
        if copy != "rows" {
            assert_eq!((&report["files"]["matches"], &report["files"]["files"]), (&json!(true), &metadata["files"]));
            return;
        }
        assert_eq!((&report["rows"]["destination"], &report["checksum_match"]), (&json!(ROWS), &json!(true)));
        assert_eq!(report["columns"].as_array().map(Vec::len), Some(4), "two columns and two of lineage");
        assert_eq!(job["result"]["destination_checksum"], report["fingerprints"]["destination"]);
    }

    /// A worker dies at a step, and another one comes: the job is done once.
    async fn dies_at(&self, table: &str, step: &str, copy: &str) {
        let mut doomed = self.worker(&format!("{step}=exit")).await;
        let id = self.submit(table, copy).await;
        assert!(!doomed.ended().await.success(), "{step} was not reached");
        let heir = self.worker("").await;
        let job = self.icehaul.ended(&id).await;
        assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(2)), "{copy}, {step}: {job:#}");
        assert_eq!(job["result"]["rows_migrated"], ROWS, "{copy}, {step}");
        self.check(table, &job, copy).await;
        drop(heir);
    }

    /// A worker sleeps at a step past its lease, and wakes when another one has done the job.
    async fn sleeps_at(&self, step: &str, copy: &str) {
        let sleeper = self.worker(&format!("{step}=stop")).await;
        let id = self.submit("t", copy).await;
        sleeper.stopped().await;
        let heir = self.worker("").await;
        let job = self.icehaul.ended(&id).await;
        assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(2)), "{copy}, {step}: {job:#}");
        drop(heir);
        sleeper.signal("CONT");
        // Woken and alone, it takes the next job, after the old attempt, and stops there again.
        let next = self.submit("u", copy).await;
        self.icehaul.until(&next, |job| job["status"] == "running").await;
        sleeper.stopped().await;
        drop(sleeper);
        let _heir = self.worker("").await;
        assert_eq!(self.icehaul.ended(&next).await["status"], "succeeded");
        self.check("t", &job, copy).await;
    }
}

/// The surroundings of a process.
fn environment(
    redis: &RedisServer,
    database: &Database,
    data: &TempDir,
    endpoint: Option<String>,
    failpoints: &str,
) -> Vec<(&'static str, String)> {
    let mut env = vec![
        ("ICEHAUL_REDIS_URL", redis.url()),
        ("ICEHAUL_DATA_DIR", data.path().display().to_string()),
        ("ICEHAUL_QUEUE__LEASE_SECONDS", "2".into()),
        ("ICEHAUL_FAILPOINTS", failpoints.to_owned()),
    ];
    if let Some(endpoint) = endpoint {
        let Database { host, port, name } = database;
        env.extend([
            ("ICEHAUL_CATALOGS__DEFAULT__KIND", "postgres".into()),
            ("ICEHAUL_CATALOGS__DEFAULT__URI", format!("postgres://{OWNER}:{OWNER_PASSWORD}@{host}:{port}/{name}")),
            ("ICEHAUL_CATALOGS__DEFAULT__WAREHOUSE", format!("s3://{BUCKET}/warehouse")),
            ("ICEHAUL_CATALOGS__DEFAULT__S3__ENDPOINT", endpoint),
            ("ICEHAUL_CATALOGS__DEFAULT__S3__ACCESS_KEY", ACCESS_KEY.into()),
            ("ICEHAUL_CATALOGS__DEFAULT__S3__SECRET_KEY", SECRET_KEY.into()),
        ]);
    }
    env
}

const STEPS: [&str; 5] =
    ["migrate.copied", "commit.before_swap", "commit.permitted", "commit.after_swap", "migrate.reported"];

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_at_any_step_leaves_one_commit_and_a_whole_report() {
    let cluster = Cluster::start(false).await;
    cluster.dies_at("first", "write.file_closed", "rows").await;
    for copy in COPIES {
        for (n, step) in STEPS.iter().enumerate() {
            cluster.dies_at(&format!("{copy}{n}"), step, copy).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_holds_on_s3() {
    let cluster = Cluster::start(true).await;
    cluster.dies_at("first", "write.file_closed", "rows").await;
    for copy in COPIES {
        for (n, step) in STEPS.iter().enumerate() {
            cluster.dies_at(&format!("{copy}{n}"), step, copy).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_sleeps_through_its_lease_publishes_nothing_when_it_wakes() {
    for (step, copy) in [("migrate.copied", "rows"), ("commit.permitted", "rows"), ("commit.permitted", "files")] {
        Cluster::start(false).await.sleeps_at(step, copy).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_it_on_s3() {
    for (step, copy) in [("migrate.copied", "files"), ("commit.permitted", "rows"), ("commit.permitted", "files")] {
        Cluster::start(true).await.sleeps_at(step, copy).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_migration_leaves_the_destination_as_it_was() {
    for on_s3 in [false, true] {
        let cluster = Cluster::start(on_s3).await;
        let before = cluster.files("");
        let _worker = cluster.worker("migrate.copied=pause:20000").await;
        for copy in COPIES {
            let id = cluster.submit("t", copy).await;
            let folder = "kept/t";
            let copied = async {
                while cluster.files(folder).is_empty() {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(std::time::Duration::from_secs(30), copied).await.expect("files are written");
            cluster.icehaul.post(&format!("/jobs/{id}/cancel"), &json!({})).await;
            assert_eq!(cluster.icehaul.ended(&id).await["status"], "cancelled");
            let gone = async {
                while cluster.files("") != before {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.expect("nothing is left");
            assert_eq!(cluster.icehaul.get("/tables/kept/t/metadata").await.0, reqwest::StatusCode::NOT_FOUND);
        }
    }
}

/// Connections to the store break again and again, in each phase; requests that meet a tired store are repeated.
#[tokio::test(flavor = "multi_thread")]
async fn lost_connections_cost_no_row_and_leave_no_file() {
    let cluster = Cluster::start(true).await;
    let proxy = Proxy::before(cluster.store.as_ref().expect("a store").address()).await;
    let endpoint = Some(format!("http://{}", proxy.address));
    let _worker = cluster.worker_at(endpoint, "migrate.copied=pause:700;commit.before_swap=pause:700").await;
    for copy in COPIES {
        proxy.cut_after(50_000);
        let id = cluster.submit(copy, copy).await;
        for _ in 0..6 {
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
            proxy.heal();
            proxy.cut([SLOW_DOWN; 2]);
        }
        let job = cluster.icehaul.ended(&id).await;
        assert_eq!(job["status"], "succeeded", "{copy}: {job:#}");
        cluster.check(copy, &job, copy).await;
    }
}

impl Cluster {
    /// Redis does not answer for longer than a lease lasts, while a worker is at a step.
    async fn loses_redis_at(&self, id: &str) {
        self.icehaul.until(id, |job| job["status"] != "queued").await;
        sleep(Duration::from_millis(1500)).await;
        self.redis.signal("STOP").expect("frozen");
        sleep(Duration::from_millis(3000)).await;
        self.redis.signal("CONT").expect("back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_for_longer_than_a_lease_nothing_is_done_twice() {
    let steps = STEPS
        .map(|step| (step, "rows"))
        .into_iter()
        .chain([("commit.permitted", "files"), ("migrate.reported", "all")]);
    let one = async |(step, copy): (&str, &str)| {
        let cluster = Cluster::start(false).await;
        let _worker = cluster.worker(&format!("{step}=pause:4000")).await;
        let id = cluster.submit("t", copy).await;
        cluster.loses_redis_at(&id).await;
        let job = cluster.icehaul.ended(&id).await;
        assert_eq!(job["status"], "succeeded", "{copy}, {step}: {job:#}");
        cluster.check("t", &job, copy).await;
    };
    futures::future::join_all(steps.map(one)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_is_a_table_of_a_batch() {
    let one = async |step: &str| {
        let cluster = Cluster::start(false).await;
        let _worker = cluster.worker(&format!("{step}=pause:4000")).await;
        let id = cluster.batch("b").await;
        cluster.loses_redis_at(&id).await;
        cluster.check_batch(&id, step).await;
    };
    futures::future::join_all(["batch.submitted", "batch.noted", "batch.reported", "commit.after_swap"].map(one)).await;
}

/// Connections to Redis break again and again, in each phase.
#[tokio::test(flavor = "multi_thread")]
async fn lost_connections_to_redis_cost_nothing() {
    let cluster = Cluster::start(false).await;
    let _worker =
        cluster.worker("migrate.copied=pause:500;commit.before_swap=pause:500;commit.after_swap=pause:500").await;
    for copy in COPIES {
        let id = cluster.submit(copy, copy).await;
        for _ in 0..25 {
            sleep(Duration::from_millis(100)).await;
            cluster.redis.cut_connections().expect("cut");
        }
        let job = cluster.icehaul.ended(&id).await;
        assert_eq!(job["status"], "succeeded", "{copy}: {job:#}");
        cluster.check(copy, &job, copy).await;
    }
    let id = cluster.batch("cut").await;
    for _ in 0..25 {
        sleep(Duration::from_millis(100)).await;
        cluster.redis.cut_connections().expect("cut");
    }
    cluster.check_batch(&id, "cut").await;
}

/// The same with those to the catalog, and its swaps among them.
#[tokio::test(flavor = "multi_thread")]
async fn lost_connections_to_the_catalog_cost_nothing() {
    let cluster = Cluster::start(true).await;
    let Database { host, port, name } = &cluster.database;
    let proxy = Proxy::before(format!("{host}:{port}")).await;
    let endpoint = cluster.store.as_ref().map(S3Server::endpoint);
    let pauses = "migrate.copied=pause:300;commit.before_swap=pause:300;commit.after_swap=pause:300";
    let mut env = environment(&cluster.redis, &cluster.database, &cluster.data, endpoint, pauses);
    let uri = format!("postgres://{OWNER}:{OWNER_PASSWORD}@{}/{name}", proxy.address);
    env.push(("ICEHAUL_CATALOGS__DEFAULT__URI", uri));
    let _worker = Process::start(&["worker"], &env, false).await.0;
    for copy in COPIES {
        let id = cluster.submit(copy, copy).await;
        for _ in 0..40 {
            sleep(Duration::from_millis(50)).await;
            proxy.cut([]);
        }
        let job = cluster.icehaul.ended(&id).await;
        assert_eq!(job["status"], "succeeded", "{copy}: {job:#}");
        cluster.check(copy, &job, copy).await;
    }
}

impl Cluster {
    async fn batch(&self, round: &str) -> String {
        let entry = |n: u32| json!({"source": "raw.orders", "dest": format!("kept.{round}{n}")});
        let body = json!({"migrations": [entry(0), entry(1), entry(2)], "parallelism": 2});
        self.icehaul.submit_to("/migrate/bulk", &body).await
    }

    /// The batch has done each of its tables once, and told of all.
    async fn check_batch(&self, id: &str, what: &str) {
        let job = self.icehaul.ended(id).await;
        assert_eq!((&job["status"], &job["result"]["succeeded"]), (&json!("succeeded"), &json!(3)), "{what}: {job:#}");
        let (_, children) = self.icehaul.get(&format!("/jobs?batch={id}")).await;
        let children = children["jobs"].as_array().expect("jobs").clone();
        assert_eq!(children.len(), 3, "{children:#?}");
        for child in children {
            let table = child["table"].as_str().and_then(|table| table.strip_prefix("kept.")).expect("a table");
            self.check(table, &child, "rows").await;
        }
        let (_, report) = self.icehaul.get(&format!("/migrations/{id}/report")).await;
        let told = ["succeeded", "failed", "cancelled", "rows"].map(|count| report[count].as_u64());
        assert_eq!(told, [3, 0, 0, 3 * ROWS].map(Some), "{what}: {report:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_workers_die_runs_no_table_twice_and_loses_none() {
    let steps = ["write.file_closed", "commit.after_swap", "batch.submitted", "batch.noted", "batch.reported"];
    for on_s3 in [false, true] {
        let cluster = Cluster::start(on_s3).await;
        for (round, step) in steps.iter().enumerate() {
            let mut doomed = cluster.worker(&format!("{step}=exit")).await;
            let id = cluster.batch(&format!("b{round}_")).await;
            assert!(!doomed.ended().await.success(), "{step} was not reached");
            let heir = cluster.worker("").await;
            cluster.check_batch(&id, step).await;
            drop(heir);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_sleeps_through_its_lease_does_nothing_twice_when_it_wakes() {
    for (on_s3, step) in
        [(false, "batch.submitted"), (true, "batch.submitted"), (true, "batch.noted"), (true, "batch.reported")]
    {
        let cluster = Cluster::start(on_s3).await;
        let sleeper = cluster.worker(&format!("{step}=stop")).await;
        let id = cluster.batch("s").await;
        sleeper.stopped().await;
        let heir = cluster.worker("").await;
        assert_eq!(cluster.icehaul.ended(&id).await["status"], "succeeded", "{step}");
        sleeper.signal("CONT");
        // It stops at the next step of this kind, or has given up the batch and waits for jobs.
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        cluster.check_batch(&id, step).await;
        drop((sleeper, heir));
    }
}

impl Cluster {
    /// Puts other rows in the place of the source's: one is gone, one is new, some are changed.
    async fn change(&self, round: usize) {
        let mut body = connection(&self.database);
        let (first, last) = (1 + round as u64, ROWS + round as u64);
        let query = format!(
            "select g::bigint as id, case when g % 100 = {round} then 'v{round}' else 'n' || g end as name from generate_series({first}, {last}) g"
        );
        let fields = [("query", query.as_str()), ("table_name", "orders"), ("namespace", "raw"), ("mode", "overwrite")];
        for (name, value) in fields {
            body[name] = value.into();
        }
        self.icehaul.loaded(&body).await;
    }

    async fn fingerprint(&self, table: &str) -> Value {
        self.icehaul.get(&format!("/tables/{}/fingerprint", table.replace('.', "/"))).await.1["fingerprint"].clone()
    }
}

fn changes() -> Value {
    request("raw.orders", "kept.t", json!({"mode": "incremental", "key": ["id"]}))
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_rows_come_once_whatever_dies() {
    let cluster = Cluster::start(true).await;
    let worker = cluster.worker("").await;
    cluster.icehaul.done("/migrate", &changes()).await;
    drop(worker);
    for (n, step) in STEPS.iter().enumerate() {
        let worker = cluster.worker("").await;
        cluster.change(n + 1).await;
        drop(worker);
        let mut doomed = cluster.worker(&format!("{step}=exit")).await;
        let id = cluster.icehaul.submit_to("/migrate", &changes()).await;
        assert!(!doomed.ended().await.success(), "{step} was not reached");
        let _heir = cluster.worker("").await;
        let job = cluster.icehaul.ended(&id).await;
        assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(2)), "{step}: {job:#}");
        let told = ["deleted", "added"].map(|what| job["result"]["changes"][what].as_u64());
        assert_eq!(told, [Some(1), Some(1)], "{step}: {job:#}");
        assert_eq!(cluster.fingerprint("kept.t").await, cluster.fingerprint("raw.orders").await, "{step}");
        let (_, metadata) = cluster.icehaul.get("/tables/kept/t/metadata").await;
        assert_eq!((&metadata["snapshots"], &metadata["row_count"]), (&json!(n + 2), &json!(ROWS)), "{step}");
        // One list and one metadata file for each commit, and the data files of one attempt.
        let files = cluster.files("kept/t");
        let count = |part: &str| files.iter().filter(|file| file.contains(part)).count();
        assert_eq!((count("/snap-"), count(".metadata.json")), (n + 2, n + 2), "{step}: {files:#?}");
        let attempts: std::collections::BTreeSet<_> =
            files.iter().filter_map(|file| file.split_once(&id)?.1.get(..3)).collect();
        assert_eq!(attempts.len(), 1, "{step}: {files:#?}");
        let (_, report) = cluster.icehaul.get(&format!("/migrations/{id}/report")).await;
        assert_eq!(
            (&report["verdict"], &report["transfer"]["published"]),
            (&json!("match"), &json!(true)),
            "{report:#}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_others_change_meanwhile_is_looked_at_again() {
    let cluster = Cluster::start(false).await;
    let worker = cluster.worker("").await;
    cluster.icehaul.done("/migrate", &changes()).await;
    cluster.change(1).await;
    drop(worker);
    let _slow = cluster.worker("commit.permitted=pause:20000").await;
    let id = cluster.icehaul.submit_to("/migrate", &changes()).await;
    cluster.icehaul.until(&id, |job| job["progress"]["phase"] == "committing").await;
    let uri = format!("sqlite:///{}", cluster.data.path().join("catalog.db").display());
    crate::pyiceberg::python(&["iceberg.py", &uri, "default", "delete", "kept.t", "id == 5"]).await;
    let theirs = cluster.icehaul.get("/tables/kept/t/metadata").await.1;
    assert_eq!(theirs["row_count"], ROWS - 1);
    let job = cluster.icehaul.ended(&id).await;
    assert_eq!(job["attempts"][0]["error"]["code"], "commit_conflict", "{job:#}");
    // The lineage columns have changed in all rows: so the one that was deleted here comes again.
    assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(2)), "{job:#}");
    assert_eq!(cluster.fingerprint("kept.t").await, cluster.fingerprint("raw.orders").await);
}
