//! `load.s3`: objects by key, prefix and pattern.
use icehaul_tests::s3::{ACCESS_KEY, SECRET_KEY};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Stand, connection, csv, into_things, put, store};

const ALL: &str = "select count(*), count(distinct id), min(id), max(id) from raw.things";

#[tokio::test(flavor = "multi_thread")]
async fn an_object_arrives_and_says_whence() {
    let server = store();
    put(&server, "datalake", "input/sales 2024 ü.csv", csv(1, 1000));
    let stand = Stand::beside(&server, &[]).await;
    let body = into_things(json!({"bucket": "datalake", "key": "input/sales 2024 ü.csv", "verify": "checksum"}));
    let result = stand.icehaul.done("/load/s3", &body).await;
    assert_eq!(result["message"], "Data loaded from S3");
    assert_eq!(
        (&result["rows_loaded"], &result["rows"], &result["files_read"]),
        (&json!(1000), &json!(1000), &json!(1))
    );
    assert_eq!(result["s3_source"], "s3://datalake/input/sales 2024 ü.csv");
    assert_eq!(result["s3_path"], "s3a://datalake/input/sales 2024 ü.csv");
    let rows = stand.icehaul.rows("select count(*), min(source_bucket), max(source_key) from raw.things").await;
    assert_eq!(rows, [json!([1000, "datalake", "input/sales 2024 ü.csv"])]);
    let path = "s3://datalake/input/sales 2024 ü.csv";
    let keys =
        json!({"s3_path": path, "endpoint": server.endpoint(), "access_key": ACCESS_KEY, "secret_key": SECRET_KEY});
    let result = stand.icehaul.done("/load/s3", &into_things(keys)).await;
    assert_eq!((&result["s3_path"], &result["rows"]), (&json!(path), &json!(1000)));
    assert_eq!(stand.icehaul.rows(ALL).await, [json!([2000, 1000, 1, 1000])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_objects_below_a_prefix_and_by_pattern() {
    let server = store();
    for n in 0..1000 {
        put(&server, "datalake", &format!("in/day={}/{n:04}.csv", n % 10), csv(n * 2, 2));
    }
    for beside in ["in/_SUCCESS", "in/_temporary/0/x.csv", "in/.hidden.csv", "input.csv"] {
        put(&server, "datalake", beside, "id,name\n-1,beside\n");
    }
    let stand = Stand::beside(&server, &[]).await;
    for (key, files, rows) in [("in/", 1000, 2000), ("in/day=3/*.csv", 100, 200), ("in/day=[12]/00*.csv", 20, 40)] {
        let body = into_things(json!({"bucket": "datalake", "key": key, "mode": "overwrite"}));
        let result = stand.icehaul.done("/load/s3", &body).await;
        assert_eq!((&result["files_read"], &result["rows_loaded"]), (&json!(files), &json!(rows)), "{key}");
        let found = stand
            .icehaul
            .rows("select count(*), count(distinct id), count(distinct source_key), min(id) >= 0 from raw.things")
            .await;
        assert_eq!(found, [json!([rows, rows, files, true])], "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_a_store_that_comes_back_is_asked_again() {
    let mut server = store();
    put(&server, "datalake", "in/a.csv", csv(1, 10));
    let stand = Stand::beside(&server, &[("ICEHAUL_WORKER__BACKOFF__BASE_SECONDS", "0.1".into())]).await;
    server.kill().expect("killed");
    let mut body = into_things(json!({"bucket": "datalake", "key": "in/a.csv"}));
    body["max_attempts"] = 3.into();
    let id = stand.icehaul.submit_to("/load/s3", &body).await;
    stand.icehaul.until(&id, |job| !job["attempts"][0]["ended_at"].is_null()).await;
    let job = stand.icehaul.get(&format!("/jobs/{id}")).await.1;
    assert_eq!(job["attempts"][0]["error"]["code"], "source_unreachable", "{job:#}");
    server.start_again().expect("started");
    let job = stand.icehaul.ended(&id).await;
    assert_eq!((&job["status"], &job["result"]["rows_loaded"]), (&json!("succeeded"), &json!(10)), "{job:#}");
}

/// Keys of requests and of connections, right and wrong: nobody sees them again.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_never_seen_again() {
    const CANARY: &str = "canary-5d1e77";
    let server = store();
    put(&server, "datalake", "in/a.csv", csv(1, 3));
    let data = TempDir::new().expect("folder");
    let log = data.path().join("log");
    let mut env = connection(&server);
    env.push(("ICEHAUL_LOG_LEVEL", "debug".into()));
    env.push(("ICEHAUL_CONNECTIONS__OTHER__KIND", "s3".into()));
    env.push(("ICEHAUL_CONNECTIONS__OTHER__ENDPOINT", server.endpoint()));
    env.push(("ICEHAUL_CONNECTIONS__OTHER__ACCESS_KEY", "someone".into()));
    env.push(("ICEHAUL_CONNECTIONS__OTHER__SECRET_KEY", CANARY.into()));
    let icehaul = icehaul_tests::icehaul::Icehaul::up_logging(data.path(), &env, &log).await;
    let mut seen = String::new();
    let keys = |secret: &str| json!({"endpoint": server.endpoint(), "access_key": ACCESS_KEY, "secret_key": secret, "session_token": CANARY});
    for (fields, status) in [
        (json!({"connection": "other"}), "failed"),
        (keys(CANARY), "failed"),
        (
            json!({"endpoint": "http://127.0.0.1:1", "access_key": "a", "secret_key": CANARY, "timeout_seconds": 2}),
            "failed",
        ),
    ] {
        let mut body = into_things(json!({"bucket": "datalake", "key": "in/a.csv"}));
        fields.as_object().expect("fields").iter().for_each(|(name, value)| body[name] = value.clone());
        let job = icehaul.run("/load/s3", &body).await;
        assert_eq!(job["status"], status, "{job:#}");
        seen += &job.to_string();
    }
    let body = into_things(json!({"bucket": "datalake", "key": "in/a.csv"}));
    seen += &icehaul.done("/load/s3", &body).await.to_string();
    for path in ["/jobs", "/stats", "/health", "/tables/raw/things/metadata", "/tables/raw/things/snapshots"] {
        seen += &icehaul.get(path).await.1.to_string();
    }
    let shown = icehaul.get("/jobs").await.1["jobs"][1].to_string();
    assert!(shown.contains("\"secret_key\":\"***\""), "{shown}");
    for file in crate::files_below(data.path()) {
        let content = std::fs::read(&file).unwrap_or_default();
        for secret in [CANARY, SECRET_KEY] {
            assert!(!content.windows(secret.len()).any(|part| part == secret.as_bytes()), "{file} holds {secret}");
        }
    }
    assert!(std::fs::metadata(&log).expect("a log").len() > 0);
    assert!(!seen.contains(CANARY) && !seen.contains(SECRET_KEY), "{seen}");
    assert_ne!(icehaul.get("/jobs").await.1["jobs"], Value::Null);
}
