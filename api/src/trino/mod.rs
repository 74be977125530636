//! Read-only SQL on a Trino cluster, by its client protocol: a statement is posted, then page after page is fetched until none follows.
mod value;

use std::time::{Duration, Instant};

use axum::http::Method;
use icehaul_jobs::{
    Code, Error, Secret,
    http::{Answer, Http, NoAnswer, Request},
};
use icehaul_lake::sql;
use serde::Deserialize;
use serde_json::Value;

use crate::{Result, TrinoConfig, rows::ResultSet};
use value::Type;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The most bytes of a page; Trino is asked for pages of one MiB, and a single row may be larger.
const PAGE_BYTES: usize = 64 << 20;
/// How long to wait before a busy server is asked again.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a cancellation may take.
const CANCEL: Duration = Duration::from_secs(5);

/// A Trino cluster. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Trino {
    http: Http,
    config: TrinoConfig,
    password: Option<Secret>,
}

/// A page of an answer, as far as it is looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    next_uri: Option<String>,
    columns: Option<Vec<Column>>,
    data: Option<Vec<Vec<Value>>>,
    error: Option<Fault>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Column {
    name: String,
    type_signature: Type,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fault {
    message: String,
    error_name: Option<String>,
    error_type: Option<String>,
}

impl Trino {
    /// A cluster as configured; it is reached when it is first asked.
    ///
    /// # Errors
    /// A password that cannot be read, or certificates of the system that cannot be used.
    pub fn new(config: TrinoConfig) -> std::result::Result<Self, Error> {
        let password = config.password.as_ref().map(|source| source.resolve()).transpose()?;
        Ok(Self { http: Http::new(CONNECT)?, config, password })
    }

    /// Runs one statement that only reads, and takes rows until the limit, or until their JSON has `max_bytes`. Whatever ends it
    /// before the last row, the time or the caller, ends the query on the cluster too.
    ///
    /// # Errors
    /// [`Code::InvalidQuery`] with Trino's message, [`Code::QueryNotAllowed`], [`Code::QueryTimeout`], [`Code::EngineUnavailable`],
    /// [`Code::EngineFailed`].
    pub(crate) async fn query(
        &self,
        sql: &str,
        limit: usize,
        max_bytes: usize,
        timeout: Duration,
    ) -> Result<ResultSet> {
        let sql = sql::read_only(sql)?;
        let deadline = Instant::now() + timeout;
        let late = || Error::new(Code::QueryTimeout, format!("the query took longer than {} s", timeout.as_secs_f64()));
        let taken = tokio::time::timeout(timeout, self.take(sql, limit, max_bytes, deadline)).await;
        taken.unwrap_or_else(|_| Err(late())).map_err(Into::into)
    }

    async fn take(
        &self,
        sql: String,
        limit: usize,
        max_bytes: usize,
        deadline: Instant,
    ) -> std::result::Result<ResultSet, Error> {
        let (mut page, mut running) = self.start(sql, deadline).await?;
        let mut result: Option<value::Rows> = None;
        loop {
            if let Some(fault) = page.error {
                running.next = None; // It has ended.
                return Err(fault.error());
            }
            let columns = page.columns.take();
            if let (None, Some(columns)) = (&result, columns) {
                result = Some(value::Rows::new(
                    columns.into_iter().map(|column| (column.name, column.type_signature)).collect(),
                ));
            }
            for row in page.data.into_iter().flatten() {
                let Some(rows) = &mut result else {
                    return Err(Error::new(Code::EngineFailed, "Trino sent rows without columns"));
                };
                if rows.is_full(limit, max_bytes) {
                    return rows.finish(true);
                }
                rows.add(&row)?;
            }
            let Some(next) = page.next_uri else { break };
            running.next = Some(self.address(&next)?);
            page = running.fetch(deadline).await?;
        }
        running.next = None;
        match result {
            Some(mut rows) => rows.finish(false),
            None => Err(Error::new(Code::EngineFailed, "Trino gave neither rows nor an error")),
        }
    }

    /// Posts the statement. This goes on if the caller goes, so that whatever was started is known and ended.
    async fn start(&self, sql: String, deadline: Instant) -> std::result::Result<(Page, Running), Error> {
        let trino = self.clone();
        let posting = tokio::spawn(async move {
            let url = format!("{}/v1/statement", trino.config.base());
            loop {
                let answer = trino.send(Method::POST, &url, Some(sql.clone()), deadline).await?;
                if let Some(page) = read(&answer)? {
                    let next = page.next_uri.as_deref().map(|next| trino.address(next)).transpose()?;
                    return Ok((page, Running { trino, next }));
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        posting.await.unwrap_or_else(|cause| Err(Error::new(Code::Internal, "asking Trino panicked").caused_by(cause)))
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        body: Option<String>,
        deadline: Instant,
    ) -> std::result::Result<Answer, Error> {
        // A little more than is left: that the query's time is over is told by the query, not by a cluster that seems away.
        let timeout = deadline.saturating_duration_since(Instant::now()) + Duration::from_secs(1);
        let mut headers = vec![
            ("x-trino-user", self.config.user.as_str()),
            ("x-trino-source", "icehaul"),
            ("x-trino-time-zone", "UTC"),
            // Without it times are cut to milliseconds.
            ("x-trino-client-capabilities", "PARAMETRIC_DATETIME"),
        ];
        headers.extend(self.config.catalog.as_deref().map(|catalog| ("x-trino-catalog", catalog)));
        let basic = self.password.as_ref().map(|password| (self.config.user.as_str(), password));
        let request = Request { method, url, headers: &headers, basic, body, timeout, max_bytes: PAGE_BYTES };
        self.http.send(request).await.map_err(|none| match none {
            NoAnswer::Late => Error::new(Code::EngineUnavailable, "Trino did not answer in time"),
            NoAnswer::TooLarge => {
                Error::new(Code::EngineFailed, "Trino sent more than 64 MiB at once: select less per row")
            }
            NoAnswer::Broken(why) => Error::new(Code::EngineUnavailable, format!("Trino does not answer: {why}")),
        })
    }

    /// The address of the next page: its path on the configured server. Trino may know itself by another name, and whatever it
    /// says, the password goes nowhere else.
    fn address(&self, next: &str) -> std::result::Result<String, Error> {
        let unclear = |_| Error::new(Code::EngineFailed, "Trino sent an address that cannot be read");
        let mut next = url::Url::parse(next).map_err(unclear)?;
        // Pages small enough that few rows too many are fetched.
        next.query_pairs_mut().append_pair("targetResultSize", "1MB");
        Ok(format!("{}{}?{}", self.config.base(), next.path(), next.query().unwrap_or_default()))
    }
}

/// A page, or none if the server is too busy to answer and wants to be asked again.
fn read(answer: &Answer) -> std::result::Result<Option<Page>, Error> {
    match answer.status {
        200 => serde_json::from_slice(&answer.body)
            .map(Some)
            .map_err(|cause| Error::new(Code::EngineFailed, "Trino's answer cannot be read").caused_by(cause)),
        429 | 502 | 503 | 504 => Ok(None),
        401 | 403 => {
            Err(Error::new(Code::EngineFailed, "Trino refuses the user and password that Icehaul is configured with"))
        }
        404 | 410 => {
            Err(Error::new(Code::EngineFailed, "Trino has forgotten the query: it was restarted, or this is no Trino"))
        }
        status => Err(Error::new(Code::EngineFailed, format!("Trino answered with HTTP status {status}"))),
    }
}

/// A query that the cluster works on; dropped, it is ended there.
struct Running {
    trino: Trino,
    next: Option<String>,
}

impl Running {
    async fn fetch(&self, deadline: Instant) -> std::result::Result<Page, Error> {
        let url = self.next.as_deref().unwrap_or_default();
        loop {
            let answer = self.trino.send(Method::GET, url, None, deadline).await?;
            if let Some(page) = read(&answer)? {
                return Ok(page);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (Some(next), Ok(runtime)) = (self.next.take(), tokio::runtime::Handle::try_current()) else { return };
        let trino = self.trino.clone();
        runtime.spawn(async move {
            // Best effort: a query that nobody fetches is ended by Trino itself, after five minutes.
            let _ = trino.send(Method::DELETE, &next, None, Instant::now() + CANCEL).await;
        });
    }
}

impl Fault {
    fn error(self) -> Error {
        let (name, kind) = (self.error_name.unwrap_or_default(), self.error_type.unwrap_or_default());
        let code = match (name.as_str(), kind.as_str()) {
            ("EXCEEDED_TIME_LIMIT", _) => Code::QueryTimeout,
            ("QUERY_QUEUE_FULL", _) => Code::QueryBusy,
            ("SERVER_STARTING_UP" | "SERVER_SHUTTING_DOWN", _) => Code::EngineUnavailable,
            (_, "USER_ERROR") => Code::InvalidQuery,
            _ => Code::EngineFailed,
        };
        Error::new(code, format!("Trino: {}", self.message))
    }
}
