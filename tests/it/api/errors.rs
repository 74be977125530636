//! Every error body of the API, as a snapshot.
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use icehaul_api::ApiConfig;
use icehaul_jobs::queue::QueueConfig;
use serde_json::{Value, json};

use super::{Answer, Stand, load};

/// What of an answer must not change by accident. The request id is checked and left out.
fn shape(what: &str, answer: &Answer) -> String {
    let mut body = answer.json();
    assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
    assert_eq!(body["request_id"], answer.header("x-request-id"), "{what}");
    assert_eq!(body["status"], answer.status.as_u16(), "{what}");
    assert_eq!(body["type"], format!("/docs#{}", body["code"].as_str().expect("a code")), "{what}");
    body.as_object_mut().expect("an object").remove("request_id");
    let headers: Vec<String> = ["allow", "retry-after"]
        .into_iter()
        .filter(|name| answer.headers.contains_key(*name))
        .map(|name| format!("{name}: {}\n", answer.header(name)))
        .collect();
    format!("# {what}\n{}{:#}\n", headers.concat(), body)
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).expect("request")
}

#[tokio::test]
async fn bodies_that_are_no_requests() {
    let stand = Stand::new().await;
    let json = [("content-type", "application/json")];
    let post = |headers, body: Vec<u8>| request("POST", "/api/v1/load/postgres", headers, body);
    let mut seen = String::new();
    for (what, request) in [
        ("not JSON", post(&json, b"{\"host\": \"a\",\n}".to_vec())),
        ("an empty body", post(&json, Vec::new())),
        ("no content type", post(&[], b"{}".to_vec())),
        ("a form", post(&[("content-type", "application/x-www-form-urlencoded")], b"a=b".to_vec())),
        ("another charset", post(&[("content-type", "application/json; charset=latin1")], b"{}".to_vec())),
        ("a compressed body", post(&[json[0], ("content-encoding", "gzip")], vec![0x1f, 0x8b])),
        ("a body of 2 MiB", post(&json, vec![b' '; 2 << 20])),
        ("10,000 brackets", post(&json, "[".repeat(10_000).into_bytes())),
        ("no object", post(&json, b"[]".to_vec())),
        ("a name twice", post(&json, br#"{"host": "a", "host": "a"}"#.to_vec())),
        ("bytes that are no UTF-8", post(&json, b"{\"host\": \"\xff\"}".to_vec())),
        ("a lone surrogate", post(&json, br#"{"host": "\ud800"}"#.to_vec())),
        ("a number without end", post(&json, br#"{"port": 1e400}"#.to_vec())),
    ] {
        seen += &shape(what, &stand.send(request).await);
    }
    insta::assert_snapshot!(seen);
}

#[tokio::test]
async fn fields_that_are_wrong() {
    let stand = Stand::new().await;
    let mut seen = String::new();
    for (what, changes) in [
        ("everything at once", json!({"tabel": 1, "max_attempts": "ten", "table_name": null})),
        ("both spellings", json!({"tableName": "others"})),
        ("a namespace that climbs", json!({"namespace": "../../etc"})),
        ("a table that ends a statement", json!({"table_name": "x; DROP TABLE y"})),
        ("a control character", json!({"database": "a\u{0}b"})),
        ("a partition that is none", json!({"partition_by": ["months(at)"]})),
        ("an unknown mode", json!({"mode": "replace"})),
        ("a time that is none", json!({"run_at": "tomorrow"})),
        ("a cursor without a purpose", json!({"cursor": "id"})),
        (
            "numbers out of bounds",
            json!({"max_attempts": 0, "timeout_seconds": -1, "port": 18_446_744_073_709_551_615_u64}),
        ),
    ] {
        let mut body = load();
        for (name, value) in changes.as_object().expect("changes") {
            body[name] = value.clone();
        }
        seen += &shape(what, &stand.post("/api/v1/load/postgres", &body, &[]).await);
    }
    seen += &shape("nothing", &stand.post("/api/v1/load/postgres", &json!({}), &[]).await);
    insta::assert_snapshot!(seen);
}

#[tokio::test]
async fn addresses_parameters_and_headers_that_are_wrong() {
    let stand = Stand::new().await;
    let mut seen = String::new();
    for (method, path, headers) in [
        ("GET", "/nowhere", &[] as &[_]),
        ("POST", "/api/v1/load/dbase", &[]),
        ("DELETE", "/api/v1/jobs", &[]),
        ("GET", "/api/v1/load/postgres", &[]),
        ("GET", "/api/v1/jobs?limit=0", &[]),
        ("GET", "/api/v1/jobs?limit=501&status=done", &[]),
        ("GET", "/api/v1/jobs?limits=5", &[]),
        ("GET", "/api/v1/jobs?q=a&q=b", &[]),
        ("GET", "/api/v1/jobs?q=%ff", &[]),
        ("GET", "/api/v1/jobs?created_after=yesterday", &[]),
        ("GET", "/api/v1/jobs?batch=1", &[]),
        ("GET", "/api/v1/jobs?cursor=nonsense", &[]),
        ("GET", "/api/v1/stats?verbose=1", &[]),
        ("GET", "/api/v1/jobs/1", &[]),
        ("GET", "/api/v1/jobs/%ff", &[]),
        ("GET", "/api/v1/jobs/0197c2a0-0000-7000-8000-000000000000", &[]),
        ("GET", "/api/v1/jobs/ffffffff-ffff-7fff-bfff-ffffffffffff", &[]),
        ("GET", "/api/v1/jobs", &[("accept", "text/html")]),
        ("GET", "/api/v1/tables/a-b", &[]),
        ("GET", "/api/v1/tables/nowhere", &[]),
        ("GET", "/api/v1/tables/nowhere/nothing/metadata", &[]),
        ("GET", "/api/v1/tables/nowhere?catalog=other", &[]),
        ("GET", "/api/v1/tables/a/b/preview?snapshot_id=x", &[]),
        ("GET", "/api/v1/tables/a/b/preview?snapshot_id=1&as_of=2026-01-01T00:00:00Z", &[]),
    ] {
        let what = format!("{method} {path}{}", if headers.is_empty() { "" } else { " (with headers)" });
        seen += &shape(&what, &stand.send(request(method, path, headers, Body::empty())).await);
    }
    for (what, header) in
        [("a foreign name", ("host", "evil.test")), ("a foreign page", ("origin", "http://evil.test"))]
    {
        let path = "/api/v1/jobs/0197c2a0-0000-7000-8000-000000000000/cancel";
        seen += &shape(what, &stand.send(request("POST", path, &[header], Body::empty())).await);
    }
    let key = stand.post("/api/v1/load/postgres", &load(), &[("idempotency-key", "")]).await;
    seen += &shape("an empty idempotency key", &key);
    insta::assert_snapshot!(seen);
}

#[tokio::test]
async fn queries_that_are_wrong() {
    let stand = Stand::new().await;
    let mut seen = String::new();
    for body in [
        json!({}),
        json!({"sql": "SELEC 1"}),
        json!({"sql": "DROP TABLE raw.orders"}),
        json!({"sql": "SELECT 1; SELECT 2"}),
        json!({"sql": "SELECT * FROM raw.nothing"}),
        json!({"sql": "SELECT 1", "engine": "trino"}),
        json!({"sql": "SELECT 1", "limit": 10_001, "timeout_seconds": 0}),
    ] {
        seen += &shape(&body.to_string(), &stand.post("/api/v1/query", &body, &[]).await);
    }
    insta::assert_snapshot!(seen);
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let queue = QueueConfig { max_waiting: 1, ..QueueConfig::default() };
    let stand = Stand::with(ApiConfig::default(), queue).await;
    stand.submit(&load()).await;
    let answer = stand.post("/api/v1/load/postgres", &load(), &[]).await;
    insta::assert_snapshot!(shape("a full queue", &answer));
}

#[tokio::test]
async fn a_redis_that_is_away_is_never_a_202() {
    let mut stand = Stand::new().await;
    let id = stand.submit(&load()).await;
    stand.redis.kill().expect("kill");
    let submitted = stand.post("/api/v1/load/postgres", &load(), &[("prefer", "wait=1")]).await;
    insta::assert_snapshot!(shape("Redis away", &submitted));
    for path in [
        format!("/api/v1/jobs/{id}"),
        format!("/api/v1/jobs/{id}/events"),
        "/api/v1/jobs".into(),
        "/api/v1/stats".into(),
    ] {
        let answer = stand.get(&path).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (StatusCode::SERVICE_UNAVAILABLE, &json!("queue_unavailable")),
            "{path}"
        );
    }
    let health = stand.get("/health").await;
    assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        (&health.json()["status"], &health.json()["dependencies"]["redis"]["status"]),
        (&json!("unhealthy"), &json!("unhealthy"))
    );
    assert_eq!(stand.get("/health/live").await.json(), json!({"status": "alive"}));
    assert!(stand.get("/metrics").await.text().contains("\nicehaul_queue_up 0\n"));
    stand.redis.start_again().expect("redis");
    assert_eq!(stand.get(&format!("/api/v1/jobs/{id}")).await.json()["status"], Value::from("queued"));
}
