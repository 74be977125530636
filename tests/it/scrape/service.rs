//! Icehaul that may ask sites of this machine, and a shelf of answers that are as a test wants them.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::State, http::Uri, response::IntoResponse};
use icehaul_tests::{icehaul::Icehaul, site::Site};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::AbortHandle};

/// A running Icehaul, and its folder.
pub struct Service {
    pub icehaul: Icehaul,
    pub data: TempDir,
}

impl Service {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(env: &[(&str, String)]) -> Self {
        let data = TempDir::new().expect("a folder");
        let icehaul = Icehaul::up(data.path(), &environment(env)).await;
        Self { icehaul, data }
    }

    /// Scrapes pages and gives the result.
    pub async fn scrape(&self, url: &str, table: &str, fields: Value) -> Value {
        self.icehaul.done("/scrape", &request(url, table, fields)).await
    }

    /// Scrapes an API and gives the result.
    pub async fn scrape_api(&self, url: &str, table: &str, fields: Value) -> Value {
        self.icehaul.done("/scrape-api", &request(url, table, fields)).await
    }

    /// The code and message of a scrape that must fail and leave nothing, not even a table.
    pub async fn failure(&self, path: &str, url: &str, fields: Value) -> (String, String) {
        let job = self.icehaul.run(path, &request(url, "failing", fields)).await;
        assert_eq!(job["status"], "failed", "{job:#}");
        let left = crate::files_below(&self.data.path().join("warehouse/web/failing"));
        assert!(left.is_empty() && self.spooled("failing").is_empty(), "{left:#?}");
        assert_eq!(self.icehaul.get("/tables/web/failing/metadata").await.0, StatusCode::NOT_FOUND);
        let text = |key: &str| job["error"][key].as_str().expect(key).to_owned();
        (text("code"), text("message"))
    }

    /// The fields that a request which is refused at once is refused for, with their codes.
    pub async fn refusal(&self, path: &str, body: &Value) -> Vec<(String, String)> {
        let (status, problem) = self.icehaul.post(path, body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        let text = |error: &Value, key: &str| error[key].as_str().expect(key).to_owned();
        let errors = problem["errors"].as_array().expect("errors");
        errors.iter().map(|error| (text(error, "field"), text(error, "code"))).collect()
    }

    /// The files of pages that were written down for a table, and not kept.
    pub fn spooled(&self, table: &str) -> Vec<String> {
        crate::files_below(&self.data.path().join(format!("warehouse/web/{table}.pages")))
    }

    /// How many snapshots a table has.
    pub async fn snapshots(&self, table: &str) -> u64 {
        let (status, metadata) = self.icehaul.get(&format!("/tables/web/{table}/metadata")).await;
        assert_eq!(status, StatusCode::OK, "{metadata}");
        metadata["snapshots"].as_u64().expect("a number")
    }

    /// The columns of a table with their types, as SQL spells them.
    pub async fn types(&self, table: &str) -> Vec<(String, String)> {
        let (_, schema) = self.icehaul.get(&format!("/tables/web/{table}/schema")).await;
        let text = |column: &Value, key: &str| column[key].as_str().unwrap_or_default().to_owned();
        let columns = schema["columns"].as_array().expect("columns");
        columns.iter().map(|column| (text(column, "name"), text(column, "type"))).collect()
    }
}

/// Variables of a process that may ask this machine, and leaves no time between two pages unless the request says so.
pub fn environment<'e>(more: &[(&'e str, String)]) -> Vec<(&'e str, String)> {
    let mut env = vec![("ICEHAUL_SCRAPE__ALLOW_NETWORKS", "127.0.0.1/32".to_owned())];
    env.extend(more.iter().cloned());
    env
}

/// A request for a table in `web`, without a delay unless `fields` has one.
pub fn request(url: &str, table: &str, fields: Value) -> Value {
    let mut body = json!({"url": url, "table_name": table, "namespace": "web", "delay_seconds": 0, "max_attempts": 1});
    for (name, value) in fields.as_object().expect("fields") {
        body[name] = value.clone();
    }
    body
}

/// Answers by path and query: content type and body.
pub struct Shelf {
    origin: String,
    books: Books,
    server: AbortHandle,
}

type Books = Arc<Mutex<HashMap<String, (String, Vec<u8>)>>>;

impl Shelf {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let books = Books::default();
        let app = Router::new().fallback(take).with_state(books.clone());
        let server = tokio::spawn(async move { axum::serve(listener, app).await }).abort_handle();
        Self { origin, books, server }
    }

    /// Puts an answer at a path with its query; gives the address.
    pub fn put(&self, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> String {
        self.books.lock().expect("books").insert(path.to_owned(), (content_type.to_owned(), body.into()));
        format!("{}{path}", self.origin)
    }

    pub fn html(&self, path: &str, body: &str) -> String {
        self.put(path, "text/html; charset=utf-8", body)
    }

    pub fn json(&self, path: &str, body: &Value) -> String {
        self.put(path, "application/json", body.to_string())
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(books): State<Books>, uri: Uri) -> axum::response::Response {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let found = books.lock().expect("books").get(path).cloned();
    match found {
        Some((content_type, body)) if content_type.is_empty() => body.into_response(),
        Some((content_type, body)) => ([("content-type", content_type)], body).into_response(),
        None => (axum::http::StatusCode::NOT_FOUND, "nothing here").into_response(),
    }
}

/// What the site was asked for, without robots.txt, sorted.
pub fn asked(site: &Site) -> Vec<String> {
    let mut paths = site.paths();
    paths.sort();
    paths
}
