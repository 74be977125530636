//! A password goes in and is never seen again.
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

#[tokio::test]
async fn a_password_is_never_seen_again() {
    let stand = Stand::new().await;
    let mut body = load();
    body["password"] = CANARY.into();
    let key = [("idempotency-key", "once")];
    let accepted = stand.post("/api/v1/load/postgres", &body, &key).await;
    let path = accepted.header("location").to_owned();
    let mut seen = accepted.text();
    for path in [&path, &format!("{path}?"), "/api/v1/jobs", "/api/v1/stats", "/metrics", "/health", "/openapi.json"] {
        seen += &stand.get(path).await.text();
    }
    seen += &stand.post("/api/v1/load/postgres", &body, &key).await.text();
    for wrong in [json!({"tabel": 1}), json!({"password": [CANARY]}), json!({"password": {"value": CANARY}})] {
        let mut body = body.clone();
        wrong.as_object().into_iter().flatten().for_each(|(name, value)| body[name] = value.clone());
        seen += &stand.post("/api/v1/load/postgres", &body, &[]).await.text();
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
    assert_eq!(spec.secrets()[0].expose(), CANARY, "and the worker can open it");
}
