//! Questions about jobs, and orders to them.
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use icehaul_jobs::{
    Code, Error, JobId, Status,
    queue::{JobDocument, JobFilter, Stats},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    AppState, Result,
    extract::{Caller, JobPath, Params, Wait},
    problem::{set, table_parameter},
};

/// Jobs on a page when the caller does not say.
pub(super) const DEFAULT_LIMIT: u32 = 50;

/// Which jobs to list.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Filter {
    /// In this status.
    status: Option<Status>,
    /// Of this kind, such as `load.postgres`.
    kind: Option<String>,
    /// That write this table, `namespace.table`.
    table: Option<String>,
    /// Made by this job.
    batch: Option<JobId>,
    /// With this label, `name:value` or `name`.
    label: Option<String>,
    /// With this text in the request (secrets left out) or the error, letter case aside.
    q: Option<String>,
    /// Accepted at or after this time.
    created_after: Option<DateTime<Utc>>,
    /// Accepted before this time.
    created_before: Option<DateTime<Utc>>,
    /// How many at most; 50 if not given.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Where to go on: the `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The addresses of a job.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Links {
    /// The job's document.
    #[serde(rename = "self")]
    itself: String,
    /// Its events.
    events: String,
    /// `POST` here to stop it.
    cancel: String,
    /// `POST` here to run it again.
    retry: String,
    /// What a migration has proven, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<String>,
}

/// A job's address.
pub(super) fn link(id: JobId) -> String {
    format!("/api/v1/jobs/{id}")
}

impl Links {
    fn new(id: JobId, kind: &str) -> Self {
        let itself = link(id);
        let under = |name: &str| format!("{itself}/{name}");
        let report = reports(kind).then(|| super::migrations::address(&id.to_string()));
        Self { events: under("events"), cancel: under("cancel"), retry: under("retry"), itself, report }
    }
}

/// Whether jobs of a kind leave a report.
fn reports(kind: &str) -> bool {
    kind.starts_with("migrate.") || kind == "verify"
}

/// A job in short.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Summary {
    /// Its id.
    job_id: JobId,
    /// The same, of a migration.
    #[serde(skip_serializing_if = "Option::is_none")]
    migration_id: Option<JobId>,
    /// Its kind, such as `load.postgres`.
    kind: String,
    /// Where it is.
    status: Status,
    /// The table that it writes.
    table: Option<String>,
    /// When it was accepted.
    created_at: DateTime<Utc>,
    /// Its addresses.
    links: Links,
}

impl Summary {
    pub(super) fn new(id: JobId, kind: String, status: Status, table: Option<String>, at: DateTime<Utc>) -> Self {
        let (migration_id, links) = (reports(&kind).then_some(id), Links::new(id, &kind));
        Self { job_id: id, migration_id, kind, status, table, created_at: at, links }
    }
}

/// A job in full.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Job {
    /// What the queue knows.
    #[serde(flatten)]
    document: JobDocument,
    /// Its addresses.
    links: Links,
}

impl From<JobDocument> for Job {
    fn from(document: JobDocument) -> Self {
        Self { links: Links::new(document.job_id, &document.kind), document }
    }
}

/// A page of jobs.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Jobs {
    /// The jobs, newest first.
    jobs: Vec<Job>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

pub(crate) async fn list(State(state): State<AppState>, Params(filter): Params<Filter>) -> Result<Json<Jobs>> {
    let wanted = JobFilter {
        status: filter.status,
        kind: filter.kind,
        table: table_parameter(filter.table)?,
        batch: filter.batch,
        label: filter.label,
        text: filter.q,
        created_after: filter.created_after,
        created_before: filter.created_before,
    };
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT) as usize;
    let page = state.queue.list(&wanted, limit, filter.cursor.as_deref()).await?;
    Ok(Json(Jobs { jobs: page.jobs.into_iter().map(Job::from).collect(), next_cursor: page.next_cursor }))
}

pub(crate) async fn get(
    State(state): State<AppState>,
    JobPath(id): JobPath,
    Wait(wait): Wait,
    headers: HeaderMap,
) -> Result<Response> {
    let document = match wait {
        Some(time) => state.queue.wait(id, time).await?,
        None => state.queue.get(id).await?,
    };
    let body = serde_json::to_vec(&Job::from(document))
        .map_err(|e| Error::new(Code::Internal, "a job document cannot be written").caused_by(e))?;
    let tag = etag(&body);
    let mut response = if matches_tag(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    };
    set(&mut response, header::ETAG, &tag);
    // It may be kept, and must be asked for again each time.
    set(&mut response, header::CACHE_CONTROL, "private, no-cache");
    if let Some(time) = wait {
        set(&mut response, HeaderName::from_static("preference-applied"), &format!("wait={}", time.as_secs()));
    }
    Ok(response)
}

fn etag(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn matches_tag(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(','));
    tags.any(|one| one.trim() == "*" || one.trim().trim_start_matches("W/") == tag)
}

pub(crate) async fn cancel(
    State(mut state): State<AppState>,
    JobPath(id): JobPath,
    Caller(caller): Caller,
) -> Result<Response> {
    state.queue = state.queue.by(caller);
    state.queue.cancel(id).await?;
    cancel_tables(&state, id).await?;
    ordered(&state, id).await
}

/// Stops the jobs that a job has made.
async fn cancel_tables(state: &AppState, batch: JobId) -> Result<()> {
    let filter = JobFilter { batch: Some(batch), ..JobFilter::default() };
    let mut cursor: Option<String> = None;
    loop {
        let page = state.queue.list(&filter, 500, cursor.as_deref()).await?;
        for job in page.jobs.iter().filter(|job| !job.status.is_terminal()) {
            match state.queue.cancel(job.job_id).await {
                Err(error) if error.code() != Code::JobEnded => return Err(error.into()),
                _ => {}
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

pub(crate) async fn retry(
    State(state): State<AppState>,
    JobPath(id): JobPath,
    Caller(caller): Caller,
) -> Result<Response> {
    state.queue.by(caller).retry(id).await?;
    ordered(&state, id).await
}

/// 202 with the job in short, as it is after the order.
async fn ordered(state: &AppState, id: JobId) -> Result<Response> {
    let job = state.queue.get(id).await?;
    let summary = Summary::new(id, job.kind, job.status, job.table, job.created_at);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, link(id))], Json(summary)).into_response())
}

pub(crate) async fn stats(State(state): State<AppState>) -> Result<Json<Stats>> {
    Ok(Json(state.queue.stats().await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn tags_match_as_http_says() {
        let tag = etag(b"{}");
        for (text, matches) in
            [(tag.clone(), true), (format!("W/{tag}, \"x\""), true), ("*".into(), true), ("\"x\"".into(), false)]
        {
            let value = HeaderValue::from_str(&text).expect("value");
            assert_eq!(matches_tag(&HeaderMap::from_iter([(header::IF_NONE_MATCH, value)]), &tag), matches, "{text}");
        }
    }
}
