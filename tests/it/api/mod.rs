//! The HTTP contract, without a port: requests go straight to the router, behind which are a real Redis and a real lake.
mod errors;
mod jobs;
mod secrets;
mod server;
mod tables;
mod trino;

use std::{collections::BTreeMap, sync::Arc};

use arrow_array::{ArrayRef, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderValue, Request, StatusCode},
};
use icehaul_api::{ApiConfig, AppState, router};
use icehaul_jobs::{
    Sealer,
    config::FileRoots,
    queue::{Queue, QueueConfig},
};
use icehaul_lake::{CatalogConfig, Change, Guard, Lake, Lakes, SchemaMode, TableName, TableSpec};
use icehaul_tests::redis::RedisServer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

/// An answer, read to its end.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

/// The API before a Redis and a lake of its own.
struct Stand {
    app: Router,
    state: AppState,
    redis: RedisServer,
    _folder: TempDir,
}

impl Stand {
    async fn new() -> Self {
        Self::with(ApiConfig::default(), QueueConfig::default()).await
    }

    async fn with(config: ApiConfig, queue: QueueConfig) -> Self {
        let redis = RedisServer::start().expect("redis-server");
        let folder = tempfile::tempdir().expect("folder");
        let catalog = CatalogConfig::Sqlite {
            path: folder.path().join("catalog.db"),
            warehouse: folder.path().join("warehouse").display().to_string(),
            catalog_name: None,
            s3: None,
        };
        let lake = Lake::connect("default", &catalog).await.expect("lake");
        let lakes = Lakes::new(BTreeMap::from([("default".to_owned(), lake)]), "default".into());
        let queue = Queue::connect(&redis.url(), queue).await.expect("queue");
        let sealer = Sealer::from_hex(&"ab".repeat(32)).expect("key");
        let state =
            AppState::new(queue, sealer, lakes, Arc::default(), Arc::default(), prometheus::Registry::new(), config)
                .expect("state");
        Self { app: router(state.clone()), state, redis, _folder: folder }
    }

    /// Lets requests name files below these folders.
    fn reading(&mut self, roots: FileRoots) {
        self.state.file_roots = Arc::new(roots);
        self.app = router(self.state.clone());
    }

    async fn send(&self, mut request: Request<Body>) -> Answer {
        request.headers_mut().entry("host").or_insert(HeaderValue::from_static("localhost"));
        let response = self.app.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body").to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).expect("request")).await
    }

    async fn post(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::post(path).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_string())).expect("request")).await
    }

    /// Submits a load and gives its id.
    async fn submit(&self, body: &Value) -> String {
        let answer = self.post("/api/v1/load/postgres", body, &[]).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
        answer.json()["job_id"].as_str().expect("an id").to_owned()
    }

    /// Makes `raw.orders` with two snapshots of two rows each.
    async fn make_orders(&self) {
        for (job, first) in [("job-1", 1), ("job-2", 3)] {
            self.append("raw", "orders", &orders(first), job).await;
        }
    }

    async fn append(&self, namespace: &str, table: &str, rows: &RecordBatch, job: &str) {
        let lake = self.state.lakes.get(None).expect("lake");
        let spec = TableSpec {
            name: TableName::new(namespace, table).expect("name"),
            schema: rows.schema(),
            partition_by: vec!["city".parse().expect("partition")],
            schema_mode: SchemaMode::Evolve,
            compression: None,
            model: None,
        };
        let guard = Guard {
            operation: job.to_owned(),
            permission: Arc::new(|| Box::pin(async { true })),
            cursor: None,
            summary: BTreeMap::new(),
        };
        let target = lake.prepare(spec).await.expect("target");
        let mut writer = target.writer(&format!("{job}/1"), 0).await.expect("writer");
        writer.write(rows).await.expect("rows");
        let files = writer.close().await.expect("files");
        lake.commit(&target, files, Change::Append, &guard).await.expect("commit");
    }
}

/// Two orders with ids from `first`.
fn orders(first: i32) -> RecordBatch {
    let totals = Decimal128Array::from(vec![1250, -99]).with_precision_and_scale(10, 2).expect("decimal");
    let columns: [(&str, ArrayRef); 4] = [
        ("id", Arc::new(Int32Array::from(vec![first, first + 1]))),
        ("city", Arc::new(StringArray::from(vec![Some("Oslo"), Some("Oslo")]))),
        ("total", Arc::new(totals)),
        ("big", Arc::new(Int64Array::from(vec![None, Some(i64::MAX)]))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .expect("rows")
}

/// A load that is right.
fn load() -> Value {
    json!({
        "host": "db.example", "database": "shop", "user": "reader", "password": "hunter2",
        "query": "SELECT * FROM orders", "table_name": "orders", "namespace": "raw",
    })
}
