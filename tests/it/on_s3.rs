//! Everything at once on object storage: an S3 warehouse beside a catalog in PostgreSQL.
use icehaul_tests::{
    icehaul::{Icehaul, Process},
    postgres::{Database, OWNER, OWNER_PASSWORD},
    proxy::{Proxy, SLOW_DOWN},
    redis::RedisServer,
    s3::{ACCESS_KEY, S3Server, SECRET_KEY},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::connection;

const BUCKET: &str = "lakehouse";
const ROWS: u64 = 30_000;

/// Servers and a table `orders` to load.
struct Stand {
    store: S3Server,
    /// The catalog, and the table that is loaded.
    database: Database,
    data: TempDir,
}

impl Stand {
    async fn new(rows: u64) -> Self {
        let store = S3Server::with_bucket(BUCKET).expect("an S3 server");
        let database = Database::new().await;
        database
            .run(&format!(
                "create table orders as select g::bigint as id, md5(g::text) as name from generate_series(1, {rows}) g"
            ))
            .await;
        Self { store, database, data: TempDir::new().expect("folder") }
    }

    /// The configuration, with the store at an address.
    fn env(&self, endpoint: String) -> Vec<(&'static str, String)> {
        let Database { host, port, name } = &self.database;
        vec![
            ("ICEHAUL_DATA_DIR", self.data.path().display().to_string()),
            ("ICEHAUL_DEFAULT_CATALOG", "lake".into()),
            ("ICEHAUL_CATALOGS__LAKE__KIND", "postgres".into()),
            ("ICEHAUL_CATALOGS__LAKE__URI", format!("postgres://{OWNER}:{OWNER_PASSWORD}@{host}:{port}/{name}")),
            ("ICEHAUL_CATALOGS__LAKE__WAREHOUSE", format!("s3://{BUCKET}/warehouse")),
            ("ICEHAUL_CATALOGS__LAKE__S3__ENDPOINT", endpoint),
            ("ICEHAUL_CATALOGS__LAKE__S3__ACCESS_KEY", ACCESS_KEY.into()),
            ("ICEHAUL_CATALOGS__LAKE__S3__SECRET_KEY", SECRET_KEY.into()),
            ("ICEHAUL_QUEUE__LEASE_SECONDS", "2".into()),
        ]
    }

    async fn up(&self, endpoint: String) -> Icehaul {
        Icehaul::up(self.data.path(), &self.env(endpoint)).await
    }

    fn request(&self, fields: Value) -> Value {
        let mut body = connection(&self.database);
        for (name, value) in [("table", "orders"), ("table_name", "orders"), ("namespace", "raw")] {
            body[name] = value.into();
        }
        for (name, value) in fields.as_object().expect("fields") {
            body[name] = value.clone();
        }
        body
    }

    fn data_files(&self) -> usize {
        self.store.keys(BUCKET).iter().filter(|key| key.ends_with(".parquet")).count()
    }
}

/// The table holds the rows once for each load, and no data file lies beside it.
async fn check(icehaul: &Icehaul, stand: &Stand, loads: u64) {
    let rows = icehaul.rows("select count(*), count(distinct id) from raw.orders").await;
    assert_eq!(rows, [json!([ROWS * loads, ROWS])]);
    let (_, metadata) = icehaul.get("/tables/raw/orders/metadata").await;
    assert_eq!(metadata["snapshots"], loads, "{metadata:#}");
    assert_eq!(Some(stand.data_files() as u64), metadata["files"].as_u64(), "{:#?}", stand.store.keys(BUCKET));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_loaded_queried_replaced_and_cancelled() {
    let stand = Stand::new(ROWS).await;
    let icehaul = stand.up(stand.store.endpoint()).await;
    assert_eq!(icehaul.get("/health").await.0, StatusCode::OK);
    let result = icehaul.loaded(&stand.request(json!({"verify": "checksum"}))).await;
    assert_eq!((&result["rows_loaded"], &result["verification"]["match"]), (&json!(ROWS), &json!(true)), "{result:#}");
    check(&icehaul, &stand, 1).await;
    let (status, answer) = icehaul.get("/tables/raw/orders/fingerprint?source_columns=true").await;
    assert_eq!((status, &answer["fingerprint"]), (StatusCode::OK, &result["fingerprint"]), "{answer}");
    let few = icehaul.loaded(&stand.request(json!({"mode": "overwrite", "where": "id <= 10"}))).await;
    assert_eq!(icehaul.rows("select count(*) from raw.orders").await, [json!([10])]);
    let before = result["snapshot_id"].as_str().expect("an id");
    let then = icehaul.rows(&format!("select count(*) from raw.orders for version as of {before}")).await;
    assert_eq!(then, [json!([ROWS])]);
    assert_ne!(few["snapshot_id"], result["snapshot_id"]);
    let files = stand.data_files();
    // Rows that never end: the load is cancelled in their midst.
    let endless =
        "select a as id, md5(b::text) as name from generate_series(1, 100000) a, generate_series(1, 100000) b";
    let mut body = stand.request(json!({"query": endless}));
    body.as_object_mut().expect("an object").remove("table");
    let id = icehaul.submit(&body).await;
    icehaul.until(&id, |job| job["progress"]["rows"].as_u64().is_some_and(|rows| rows > 200_000)).await;
    assert_eq!(icehaul.post(&format!("/jobs/{id}/cancel"), &json!({})).await.0, StatusCode::ACCEPTED);
    assert_eq!(icehaul.ended(&id).await["status"], "cancelled");
    assert_eq!(icehaul.rows("select count(*) from raw.orders").await, [json!([10])]);
    let settled = async {
        while stand.data_files() > files || stand.store.open_parts(BUCKET) > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), settled).await.expect("what was cancelled leaves nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_at_any_step_leaves_the_bucket_right() {
    let stand = Stand::new(ROWS).await;
    let redis = RedisServer::start().expect("redis-server");
    let env = |failpoints: &str| {
        let more = [("ICEHAUL_REDIS_URL", redis.url()), ("ICEHAUL_FAILPOINTS", failpoints.to_owned())];
        let mut env = stand.env(stand.store.endpoint());
        env.extend(more);
        env
    };
    let icehaul = Icehaul::serve(&["api", "--bind", "127.0.0.1:0"], &env("")).await;
    for (load, failpoint) in ["write.file_closed", "commit.before_swap", "commit.after_swap"].iter().enumerate() {
        let (mut doomed, _) = Process::start(&["worker"], &env(&format!("{failpoint}=exit")), false).await;
        let id = icehaul.submit(&stand.request(json!({}))).await;
        assert!(!doomed.ended().await.success(), "{failpoint} was not reached");
        let (heir, _) = Process::start(&["worker"], &env(""), false).await;
        let job = icehaul.ended(&id).await;
        assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(2)), "{failpoint}: {job:#}");
        assert_eq!(job["result"]["rows_loaded"], ROWS, "{failpoint}");
        check(&icehaul, &stand, load as u64 + 1).await;
        drop(heir);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_stumbles_is_waited_for_and_wrong_access_is_told() {
    let stand = Stand::new(ROWS).await;
    let proxy = Proxy::before(stand.store.address()).await;
    let icehaul = stand.up(format!("http://{}", proxy.address)).await;
    for loads in 1..=3 {
        proxy.cut([SLOW_DOWN; 4]);
        icehaul.loaded(&stand.request(json!({}))).await;
        check(&icehaul, &stand, loads).await;
    }
    // The bucket goes away: a job says so at once, and no retry would help.
    let bucket = stand.store.bucket(BUCKET);
    let elsewhere = bucket.with_file_name("elsewhere");
    std::fs::rename(&bucket, &elsewhere).expect("moved");
    let job = icehaul.load(&stand.request(json!({}))).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("s3_not_found")), "{job:#}");
    assert!(job["error"]["message"].as_str().is_some_and(|text| text.contains("no bucket `lakehouse`")), "{job:#}");
    std::fs::rename(&elsewhere, &bucket).expect("moved back");
    icehaul.loaded(&stand.request(json!({}))).await;
    check(&icehaul, &stand, 4).await;
}
