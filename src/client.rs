//! The client side of the HTTP API: the only door to `reqwest`.
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// Where Icehaul answers unless it is told otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// A running Icehaul.
pub struct Client {
    base: String,
    http: reqwest::Client,
}

/// Why a call failed, and the exit code that says so.
#[derive(Debug)]
pub struct Failure {
    /// A sentence.
    pub message: String,
    /// 2 when the request was wrong, 130 after Ctrl-C, else 1.
    pub exit: u8,
}

impl Failure {
    /// A failure that is not the caller's fault.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit: 1 }
    }

    /// Bad usage.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit: 2 }
    }
}

impl Client {
    /// A client of the Icehaul at `url`, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// Bad usage: it is no such URL.
    pub fn new(url: &str) -> Result<Self, Failure> {
        let fine = |parsed: &reqwest::Url| matches!(parsed.scheme(), "http" | "https") && parsed.has_host();
        if !reqwest::Url::parse(url).is_ok_and(|parsed| fine(&parsed)) {
            let message =
                format!("--url: `{url}` must be such as {DEFAULT_URL}, with http:// or https:// before the host");
            return Err(Failure::usage(message));
        }
        // Requests hold passwords: they go to Icehaul itself, never through a proxy that the environment names.
        let http = reqwest::Client::builder().no_proxy().build();
        let http = http.map_err(|e| Failure::new(format!("no HTTP client: {e}")))?;
        Ok(Self { base: format!("{}/api/v1", url.trim_end_matches('/')), http })
    }

    /// The options that make another command talk to the same Icehaul, with a space before them.
    pub fn options(&self) -> String {
        match self.base.trim_end_matches("/api/v1") {
            DEFAULT_URL => String::new(),
            url => format!(" --url {url}"),
        }
    }

    /// `GET`; `query` pairs without a value are left out.
    pub async fn get(&self, path: &str, query: &[(&str, Option<String>)]) -> Result<Value, Failure> {
        let given: Vec<(&str, &String)> = query.iter().filter_map(|(k, v)| Some((*k, v.as_ref()?))).collect();
        self.send(self.http.request(Method::GET, self.url(path)).query(&given)).await
    }

    /// `GET` that is answered when the job has ended, or after so many seconds (RFC 7240).
    pub async fn get_when_ended(&self, path: &str, seconds: u32) -> Result<Value, Failure> {
        let request = self.http.request(Method::GET, self.url(path));
        self.send(request.header("prefer", format!("wait={seconds}"))).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(self.http.request(Method::POST, self.url(path)).json(body)).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let response = request.send().await.map_err(|e| {
            let advice = if e.is_connect() { "; is it running (`icehaul up`), and is --url right?" } else { "" };
            Failure::new(format!("no answer from {}{advice}", self.base))
        })?;
        let status = response.status();
        let text = response.text().await.map_err(|_| Failure::new("the answer broke off"))?;
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        if status.is_success() { Ok(body) } else { Err(problem(status, &body)) }
    }
}

/// The sentence of a problem document (RFC 9457).
fn problem(status: StatusCode, body: &Value) -> Failure {
    let code = body["code"].as_str().unwrap_or_default();
    let mut message = body["detail"].as_str().map_or_else(|| format!("HTTP status {status}"), str::to_owned);
    let fields = body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    if fields.len() > 1 {
        message = "the request is wrong:".into();
        for field in fields {
            let text = |key: &str| field[key].as_str().unwrap_or_default();
            message.push_str(&format!("\n  {}: {} ({})", text("field"), text("detail"), text("code")));
        }
    } else if !code.is_empty() {
        message.push_str(&format!(" ({code})"));
    }
    let wrong_request = matches!(status.as_u16(), 400 | 413 | 415 | 422);
    Failure { message, exit: if wrong_request { 2 } else { 1 } }
}
