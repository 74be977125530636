//! The server itself: headers, pages, documents, and peers that behave badly.
use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use icehaul_api::{ApiConfig, serve};
use icehaul_jobs::queue::QueueConfig;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use super::{Stand, load};

#[tokio::test]
async fn every_answer_carries_an_id_and_guards() {
    let stand = Stand::new().await;
    for path in ["/", "/docs", "/openapi.json", "/health", "/nowhere", "/api/v1/jobs", "/metrics"] {
        let answer = stand.get(path).await;
        assert_eq!(answer.header("x-request-id").len(), 36, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"), "{path}");
    }
    for (given, kept) in [("trace-1.2:3_4", true), ("a b", false), ("", false), (&"x".repeat(129), false)] {
        let request = Request::get("/health/live").header("x-request-id", given).body(Body::empty());
        let answer = stand.send(request.expect("request")).await;
        assert_eq!(answer.header("x-request-id") == given, kept, "{given}");
    }
}

#[tokio::test]
async fn health_and_figures_tell_the_state() {
    let stand = Stand::new().await;
    stand.submit(&load()).await;
    for path in ["/health", "/api/v1/health"] {
        let health = stand.get(path).await;
        assert_eq!(health.status, StatusCode::OK, "{}", health.text());
        let health = health.json();
        assert_eq!(health["dependencies"]["catalog.default"]["status"], "healthy");
        assert_eq!(
            (&health["status"], &health["dependencies"]["workers"], &health["dependencies"]["browsers"]),
            (&json!("degraded"), &json!(0), &json!(0)),
            "{health}"
        );
        assert!(health["warnings"][0].as_str().is_some_and(|why| why.contains("no worker runs")), "{health}");
    }
    stand.state.queue.heartbeat("worker-1", 2, true, &[]).await.expect("a worker");
    let health = stand.get("/api/v1/health").await.json();
    assert_eq!((&health["status"], &health["dependencies"]["workers"]), (&json!("healthy"), &json!(1)), "{health}");
    assert_eq!((&health["warnings"], &health["dependencies"]["browsers"]), (&Value::Null, &json!(1)));
    let figures = stand.get("/metrics").await;
    assert!(figures.header("content-type").starts_with("text/plain; version=0.0.4"));
    let text = figures.text();
    for line in [
        "icehaul_queue_up 1",
        "icehaul_queue_depth 1",
        "icehaul_queue_jobs{status=\"queued\"} 1",
        "icehaul_http_requests_total{method=\"POST\",route=\"/api/v1/load/postgres\",status=\"202\"} 1",
        "icehaul_http_requests_total{method=\"GET\",route=\"/health\",status=\"200\"} 1",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn the_document_names_what_the_router_serves() {
    let stand = Stand::new().await;
    let document = stand.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let path = path.replace("{job_id}", "0197c2a0-0000-7000-8000-000000000000").replace(['{', '}'], "");
        let answer = stand.send(Request::delete(&path).body(Body::empty()).expect("request")).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path} is served");
        for method in methods.as_object().expect("methods").keys() {
            assert!(
                answer.header("allow").contains(&method.to_uppercase()),
                "{method} {path}: {}",
                answer.header("allow")
            );
        }
    }
    let docs = stand.get("/docs").await;
    assert_eq!((docs.status, docs.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    for file in ["/docs/docs.js", "/docs/page.css"] {
        assert!(docs.text().contains(file) && stand.get(file).await.status == StatusCode::OK, "{file}");
    }
}

/// A real server with short patience.
async fn server() -> (Stand, String, CancellationToken, tokio::task::JoinHandle<std::io::Result<()>>) {
    let config = ApiConfig {
        header_timeout_seconds: 0.3,
        body_timeout_seconds: 0.3,
        write_timeout_seconds: 0.3,
        ..ApiConfig::default()
    };
    let stand = Stand::with(config, QueueConfig::default()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let address = listener.local_addr().expect("address").to_string();
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, stand.state.clone(), shutdown.clone()));
    (stand, address, shutdown, serving)
}

async fn answer_to(address: &str, sent: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connection");
    stream.write_all(sent.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await;
    read.expect("the server ends the connection").expect("an answer");
    answer
}

#[tokio::test]
async fn peers_that_dawdle_are_shown_the_door() {
    let (_stand, address, shutdown, serving) = server().await;
    let head = "POST /api/v1/query HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 9\r\n";
    let slow_body = answer_to(&address, &format!("{head}\r\n{{\"sql")).await;
    assert!(slow_body.starts_with("HTTP/1.1 408 ") && slow_body.contains("request_timeout"), "{slow_body}");
    let slow_head = answer_to(&address, head).await;
    assert!(slow_head.is_empty() || slow_head.starts_with("HTTP/1.1 408 "), "{slow_head}");
    let fine = answer_to(&address, "GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(fine.starts_with("HTTP/1.1 200 "), "{fine}");
    shutdown.cancel();
    serving.await.expect("no panic").expect("served");
}

#[tokio::test]
async fn a_peer_that_takes_no_answer_is_left() {
    let (_stand, address, shutdown, serving) = server().await;
    let sql = format!("SELECT '{}' FROM generate_series(1, 10000)", "x".repeat(3000));
    let body = json!({"sql": sql, "limit": 10_000}).to_string();
    let mut stream = TcpStream::connect(&address).await.expect("connection");
    let head = format!(
        "POST /api/v1/query HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.expect("sent");
    assert_eq!(stream.peek(&mut [0]).await.expect("the start of an answer"), 1);
    // It waits for answers under way: this one only ends because its peer is given up.
    shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), serving).await;
    ended.expect("in time").expect("no panic").expect("served");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 ") && answer.len() < 30_000_000, "{} bytes", answer.len());
}

#[tokio::test]
async fn a_stopping_server_ends_its_streams() {
    let (stand, address, shutdown, serving) = server().await;
    let id = stand.submit(&load()).await;
    let request = format!("GET /api/v1/jobs/{id}/events HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let mut stream = TcpStream::connect(&address).await.expect("connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut begun = [0; 1];
    stream.read_exact(&mut begun).await.expect("the stream begins");
    shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(8), serving).await;
    ended.expect("in time").expect("no panic").expect("served");
}
