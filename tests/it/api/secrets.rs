//! A password or key goes in and is never seen again.
use icehaul_jobs::{JobId, spec::JobSpec};
use serde_json::{Value, json};

use super::{Stand, load};

const CANARY: &str = "canary-7f3a9d";

/// All that Redis holds: every key with its value, in Redis' own dump format and as text where it has one.
fn dump(stand: &Stand) -> Vec<u8> {
    let mut to = stand.redis.connection().expect("redis");
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut to).expect("keys");
    assert!(!keys.is_empty());
    let mut all = Vec::new();
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query(&mut to).expect("type");
        let value: redis::Value = match kind.as_str() {
            "hash" => redis::cmd("HGETALL").arg(&key).query(&mut to),
            "stream" => redis::cmd("XRANGE").arg(&key).arg("-").arg("+").query(&mut to),
            _ => redis::cmd("DUMP").arg(&key).query(&mut to),
        }
        .expect("value");
        all.extend(key);
        collect(&value, &mut all);
    }
    all
}

fn collect(value: &redis::Value, all: &mut Vec<u8>) {
    match value {
        redis::Value::BulkString(bytes) => all.extend(bytes),
        redis::Value::SimpleString(text) => all.extend(text.as_bytes()),
        redis::Value::Array(items) | redis::Value::Set(items) => items.iter().for_each(|item| collect(item, all)),
        redis::Value::Map(pairs) => pairs.iter().for_each(|(key, value)| {
            collect(key, all);
            collect(value, all);
        }),
        _ => {}
    }
}

/// A request with a secret in it: where it goes, its body, and the secret's place (RFC 6901).
fn requests() -> [(&'static str, Value, &'static str); 7] {
    let keys = |more: Value| {
        let mut body =
            json!({"bucket": "datalake", "key": "a.csv", "endpoint": "http://s3.example", "access_key": "someone"});
        body["secret_key"] = "hunter2".into();
        more.as_object().expect("fields").iter().for_each(|(name, value)| body[name] = value.clone());
        body
    };
    let to_table = json!({"namespace": "raw", "table_name": "orders"});
    let file = json!({"file_path": "/data/a.csv"});
    let rows =
        json!({"host": "db.example", "database": "shop", "user": "reader", "table": "orders", "password": "hunter2"});
    let held = |kind: &str| json!({kind: rows, "destination": "raw.orders"});
    [
        ("/api/v1/load/postgres", load(), "/password"),
        ("/api/v1/load/mysql", load(), "/password"),
        ("/api/v1/load/s3", keys(to_table.clone()), "/secret_key"),
        ("/api/v1/load/s3", keys(to_table), "/session_token"),
        ("/api/v1/upload/s3", keys(file), "/secret_key"),
        ("/api/v1/verify", held("postgres"), "/postgres/password"),
        ("/api/v1/verify", held("mysql"), "/mysql/password"),
    ]
}

#[tokio::test]
async fn a_secret_is_never_seen_again() {
    for (path, body, field) in requests() {
        never_seen_again(path, body, field).await;
    }
}

/// Puts a value where a pointer says.
fn put(body: &mut Value, place: &str, value: Value) {
    let (parent, field) = place.rsplit_once('/').expect("a pointer");
    body.pointer_mut(parent).expect("its parent")[field] = value;
}

async fn never_seen_again(address: &str, mut body: Value, place: &str) {
    let mut stand = Stand::new().await;
    stand.reading(["/data".into()].into_iter().collect());
    put(&mut body, place, CANARY.into());
    let key = [("idempotency-key", "once")];
    let accepted = stand.post(address, &body, &key).await;
    let path = accepted.header("location").to_owned();
    let mut seen = accepted.text();
    for path in [&path, &format!("{path}?"), "/api/v1/jobs", "/api/v1/stats", "/metrics", "/health", "/openapi.json"] {
        seen += &stand.get(path).await.text();
    }
    seen += &stand.post(address, &body, &key).await.text();
    for (place, wrong) in [("/tabel", json!(1)), (place, json!([CANARY])), (place, json!({"value": CANARY}))] {
        let mut body = body.clone();
        put(&mut body, place, wrong);
        seen += &stand.post(address, &body, &[]).await.text();
    }
    assert!(!seen.contains(CANARY), "{seen}");
    let found = stand.get(&format!("/api/v1/jobs?q={CANARY}")).await.json();
    assert_eq!(found["jobs"], Value::Array(Vec::new()), "the search does not see it either");

    let claim = stand.state.queue.claim("worker-1", 1, &JobId::now_v7().to_string()).await.expect("claim");
    let job = &claim.jobs[0];
    let held = dump(&stand);
    assert!(!held.windows(CANARY.len()).any(|part| part == CANARY.as_bytes()));
    assert!(held.windows(10).any(|part| part == b"sealed:v1:"), "it is there, sealed");
    let mut spec = JobSpec::unseal(&job.payload, &stand.state.sealer, &job.id.to_string()).expect("spec");
    assert!(spec.secrets().iter().any(|secret| secret.expose() == CANARY), "and the worker can open it");
}
