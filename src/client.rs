//! The client side of the HTTP API: the only door to `reqwest`.
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use uuid::Uuid;

/// Where Icehaul answers unless it is told otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// How long a submission is repeated while it is not answered.
const SUBMIT: Duration = Duration::from_secs(60);

/// How long a call waits before it is repeated, where the answer does not say.
const PAUSE: Duration = Duration::from_secs(3);

/// The least and the most that it waits, whatever the answer says.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

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
    /// 2 when the request was wrong, 3 when it is not known what became of the job, 130 after Ctrl-C, else 1.
    pub exit: u8,
    /// What went wrong may pass: after this time the call may be repeated.
    again: Option<Duration>,
    /// Nobody was there to receive the request.
    unsent: bool,
}

/// Bears with failures that may pass, for a time that begins with the first one.
pub struct Patience {
    time: Duration,
    ends: Option<Instant>,
}

impl Failure {
    /// A failure that is not the caller's fault.
    pub fn new(message: impl Into<String>) -> Self {
        Self::ending(1, message)
    }

    /// A failure with an exit code of its own.
    pub fn ending(exit: u8, message: impl Into<String>) -> Self {
        Self { message: message.into(), exit, again: None, unsent: false }
    }

    /// What went wrong may pass, and does so after some time.
    fn passing(self, after: Duration) -> Self {
        Self { again: Some(after), ..self }
    }

    /// A failure that leaves it open what became of the job says so; any other one stays as it is.
    pub fn or_unknown(self, advice: &str) -> Self {
        match self.again {
            Some(_) => Self::ending(3, format!("{}\n  {advice}", self.message)),
            None => self,
        }
    }

    /// Bad usage.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::ending(2, message)
    }
}

impl Patience {
    /// As long as `time`.
    pub const fn new(time: Duration) -> Self {
        Self { time, ends: None }
    }

    /// All is well again.
    pub fn renew(&mut self) {
        self.ends = None;
    }

    /// Waits until the call may be repeated; the first time it tells why.
    ///
    /// # Errors
    /// The failure itself, if it will not pass or has lasted too long.
    pub async fn bear(&mut self, failure: Failure, tell: impl FnOnce(String)) -> Result<(), Failure> {
        let Some(pause) = failure.again else { return Err(failure) };
        if self.ends.is_none() {
            tell(format!("{}; trying again for up to {} s", failure.message, self.time.as_secs()));
        }
        let ends = *self.ends.get_or_insert_with(|| Instant::now() + self.time);
        if Instant::now() + pause > ends {
            return Err(failure);
        }
        tokio::time::sleep(pause).await;
        Ok(())
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
        let http =
            reqwest::Client::builder().user_agent(concat!("icehaul/", env!("CARGO_PKG_VERSION"))).no_proxy().build();
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

    /// `POST` of a job. It carries a key of its own, by which a repeated request finds the job of the first one: so it is
    /// repeated for a while when no answer comes. `tell` says so.
    ///
    /// # Errors
    /// With [`Failure::or_unknown`] those after which the job may have been accepted.
    pub async fn submit(&self, path: &str, body: &Value, tell: impl Fn(String)) -> Result<Value, Failure> {
        let key = Uuid::new_v4().to_string();
        let (mut patience, mut first) = (Patience::new(SUBMIT), true);
        loop {
            let request = self.http.request(Method::POST, self.url(path)).json(body);
            let failure = match self.send(request.header("idempotency-key", &key)).await {
                Ok(answer) if answer["job_id"].is_string() => return Ok(answer),
                Ok(_) => self.foreign("the answer"),
                Err(failure) => failure,
            };
            if first && failure.unsent {
                // No Icehaul there at all, rather than one that is away for a moment; and no doubt about the job.
                return Err(Failure::new(failure.message));
            }
            first = false;
            patience.bear(failure, &tell).await?;
        }
    }

    /// Says that it is not Icehaul who answers.
    pub fn foreign(&self, what: &str) -> Failure {
        Failure::new(format!("{what} from {} is not Icehaul's: does Icehaul answer there? See --url", self.base))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let response = request.send().await.map_err(|e| {
            let advice = if e.is_connect() { "; is it running (`icehaul up`), and is --url right?" } else { "" };
            let failure = Failure::new(format!("no answer from {}{advice}", self.base)).passing(PAUSE);
            Failure { unsent: e.is_connect(), ..failure }
        })?;
        let (status, pause) = (response.status(), pause(response.headers()));
        let broken = |_| Failure::new(format!("the answer from {} broke off", self.base)).passing(PAUSE);
        let text = response.text().await.map_err(broken)?;
        let failure = match serde_json::from_str::<Value>(&text) {
            Ok(body) if status.is_success() => return Ok(body),
            Ok(body) if body["code"].is_string() => problem(status, &body),
            _ => self.foreign(&format!("the answer (HTTP status {status})")),
        };
        // Those of a proxy too, whose Icehaul is away.
        Err(if matches!(status.as_u16(), 502..=504) { failure.passing(pause) } else { failure })
    }
}

/// How long to wait before the next try.
fn pause(headers: &header::HeaderMap) -> Duration {
    let seconds = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    seconds.map_or(PAUSE, Duration::from_secs).clamp(PAUSES.0, PAUSES.1)
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
    Failure::ending(if wrong_request { 2 } else { 1 }, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn patience_ends_and_is_for_what_passes_only() {
        let passes = || Failure::new("away").passing(Duration::from_millis(1));
        let (mut told, mut patience) = (Vec::new(), Patience::new(Duration::from_secs(10)));
        assert!(patience.bear(passes(), |text| told.push(text)).await.is_ok());
        assert!(patience.bear(passes(), |text| told.push(text)).await.is_ok());
        assert_eq!(told, ["away; trying again for up to 10 s"]);
        let long = passes().passing(Duration::from_secs(60));
        let failure = patience.bear(long, |_| ()).await.expect_err("too long").or_unknown("look there");
        assert_eq!((failure.exit, failure.message.as_str()), (3, "away\n  look there"));
        let failure = patience.bear(Failure::new("no"), |_| ()).await.expect_err("for ever").or_unknown("look there");
        assert_eq!((failure.exit, failure.message.as_str()), (1, "no"));
    }

    #[test]
    fn an_answer_says_when_to_come_back() {
        let of = |value: &str| pause(&[(header::RETRY_AFTER, value.parse().expect("value"))].into_iter().collect());
        assert_eq!((of("5"), of("0"), of("86400")), (Duration::from_secs(5), PAUSES.0, PAUSES.1));
        assert_eq!(of("Thu, 26 Nov 2026 00:00:00 GMT"), PAUSE);
    }
}
