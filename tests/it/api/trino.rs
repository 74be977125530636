//! Queries on another engine, before one that answers as it is told.
use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use icehaul_api::{Trino, TrinoConfig, router};
use icehaul_jobs::{Secret, config::SecretSource};
use icehaul_tests::free_port;
use serde_json::{Value, json};

use super::Stand;

/// What it was asked, and what it will answer, one after the other.
#[derive(Clone, Default)]
struct Played {
    asked: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<Vec<(u16, Value)>>>,
}

async fn play(State(played): State<Played>, method: Method, uri: Uri, headers: HeaderMap, body: String) -> Response {
    let of = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap_or_default()).to_owned();
    let line = format!("{method} {uri} {} {} {body}", of("x-trino-user"), of("authorization"));
    played.asked.lock().expect("free").push(line.trim_end().to_owned());
    if method == Method::DELETE {
        return StatusCode::NO_CONTENT.into_response();
    }
    let (status, body) = played.answers.lock().expect("free").remove(0);
    (StatusCode::from_u16(status).expect("a status"), Json(body)).into_response()
}

impl Played {
    async fn start(answers: Vec<(u16, Value)>) -> (Self, String) {
        let played = Self { answers: Arc::new(Mutex::new(answers)), ..Self::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let app = Router::new().fallback(play).with_state(played.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (played, url)
    }

    async fn asked(&self, count: usize) -> Vec<String> {
        loop {
            let asked = self.asked.lock().expect("free").clone();
            if asked.len() >= count {
                return asked;
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn query(url: &str, limit: u32) -> (u16, Value) {
    let mut stand = Stand::new().await;
    let password = Some(SecretSource::Value(Secret::new("hush")));
    let config = TrinoConfig { url: url.into(), user: "icehaul".into(), password, catalog: Some("lake".into()) };
    stand.state.trino = Some(Trino::new(config).expect("a client"));
    stand.app = router(stand.state.clone());
    let body = json!({"sql": "SELECT 1 AS n", "engine": "trino", "limit": limit, "timeout_seconds": 20});
    let answer = stand.post("/api/v1/query", &body, &[]).await;
    (answer.status.as_u16(), answer.json())
}

fn columns() -> Value {
    json!([{"name": "n", "type": "integer", "typeSignature": {"rawType": "integer", "arguments": []}}])
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_followed_on_the_configured_server_only() {
    let elsewhere = "http://203.0.113.1:1/v1/statement";
    let pages = vec![
        (503, json!({})),
        (200, json!({"nextUri": format!("{elsewhere}/queued/q/1")})),
        (503, json!({})),
        (200, json!({"nextUri": format!("{elsewhere}/executing/q/2"), "columns": columns(), "data": [[1], [2]]})),
        (200, json!({"columns": columns(), "data": [[3]]})),
    ];
    let (played, url) = Played::start(pages).await;
    let (status, answer) = query(&url, 10).await;
    assert_eq!(
        (status, &answer["rows"], &answer["truncated"]),
        (200, &json!([[1], [2], [3]]), &json!(false)),
        "{answer}"
    );
    let basic = "icehaul Basic aWNlaGF1bDpodXNo";
    let get = |path: &str| format!("GET /v1/statement/{path}?targetResultSize=1MB {basic}");
    let posted = format!("POST /v1/statement {basic} SELECT 1 AS n");
    assert_eq!(
        played.asked(5).await,
        [posted.clone(), posted, get("queued/q/1"), get("queued/q/1"), get("executing/q/2")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_with_more_rows_than_wanted_is_ended() {
    let more = json!({"nextUri": "http://trino/v1/statement/executing/q/2", "columns": columns(), "data": [[1], [2]]});
    let (played, url) = Played::start(vec![(200, more)]).await;
    let (status, answer) = query(&url, 1).await;
    assert_eq!((status, &answer["rows"], &answer["truncated"]), (200, &json!([[1]]), &json!(true)), "{answer}");
    let asked = played.asked(2).await;
    assert!(asked[1].starts_with("DELETE /v1/statement/executing/q/2"), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_apart() {
    let fault =
        |name: &str, kind: &str| json!({"error": {"message": "line 1:8: no", "errorName": name, "errorType": kind}});
    for (status, page, expected) in [
        (200, fault("COLUMN_NOT_FOUND", "USER_ERROR"), (422, "invalid_query")),
        (200, fault("EXCEEDED_TIME_LIMIT", "INSUFFICIENT_RESOURCES"), (422, "query_timeout")),
        (200, fault("SERVER_STARTING_UP", "INTERNAL_ERROR"), (503, "engine_unavailable")),
        (200, fault("GENERIC_INTERNAL_ERROR", "INTERNAL_ERROR"), (502, "engine_failed")),
        (401, json!({}), (502, "engine_failed")),
        (500, json!({}), (502, "engine_failed")),
    ] {
        let (_, url) = Played::start(vec![(status, page)]).await;
        let (status, problem) = query(&url, 1).await;
        assert_eq!((status, problem["code"].as_str()), (expected.0, Some(expected.1)), "{problem}");
        assert!(!problem.to_string().contains("hush"), "{problem}");
    }
    let (status, problem) = query(&format!("http://127.0.0.1:{}", free_port().expect("a port")), 1).await;
    assert_eq!((status, problem["code"].as_str()), (503, Some("engine_unavailable")), "{problem}");
    let stand = Stand::new().await;
    let answer = stand.post("/api/v1/query", &json!({"sql": "SELECT 1", "engine": "trino"}), &[]).await;
    assert_eq!((answer.status.as_u16(), answer.json()["code"].as_str()), (422, Some("engine_not_configured")));
}
