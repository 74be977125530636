//! Migrations that have ended, and what they have proven. The reports come from the warehouses, not from the queue.
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use icehaul_jobs::{
    Code, Error,
    audit::{self, Question, Record, Trail},
    report::{AnyReport, Store, Verdict},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::jobs::{DEFAULT_LIMIT, link};
use crate::{
    AppState, Result,
    extract::{MigrationPath, Params},
    operation::prefers,
    problem::parameter,
    report,
};

/// The most records of the audit trail that a report shows.
const MOST_RECORDS: usize = 100;

/// Which migrations to list.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Page {
    /// How many at most; 50 if not given.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Where to go on: the `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A migration in short.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Migration {
    /// Its id: that of its job; in a batch, with the number of the table after it.
    migration_id: String,
    /// The kind of job, such as `migrate.table`.
    kind: String,
    /// `success` or `failed`.
    status: String,
    /// What came out.
    verdict: Verdict,
    /// The same in a sentence.
    summary: String,
    /// The table that was read, `catalog.namespace.table`; of a batch the number of tables.
    source: String,
    /// The table that was written or compared with.
    destination: String,
    /// The rows that were read.
    rows: u64,
    /// When it was finished.
    finished_at: DateTime<Utc>,
    /// How long it took.
    duration_seconds: f64,
    /// The report's address.
    report: String,
}

impl From<AnyReport> for Migration {
    fn from(report: AnyReport) -> Self {
        match report {
            AnyReport::One(report) => Self {
                report: address(&report.migration_id),
                source: report.source.whole(),
                destination: report.destination.whole(),
                rows: report.rows.source,
                migration_id: report.migration_id,
                kind: report.kind,
                status: report.status,
                verdict: report.verdict,
                summary: report.summary,
                finished_at: report.finished_at,
                duration_seconds: report.duration_seconds,
            },
            AnyReport::Batch(report) => Self {
                report: address(&report.migration_id),
                source: format!("{} tables", report.tables.len()),
                destination: format!("{} tables", report.succeeded),
                rows: report.rows,
                migration_id: report.migration_id,
                kind: report.kind,
                status: report.status,
                verdict: report.verdict,
                summary: report.summary,
                finished_at: report.finished_at,
                duration_seconds: report.duration_seconds,
            },
        }
    }
}

/// Where a report is.
pub(super) fn address(id: &str) -> String {
    format!("/api/v1/migrations/{id}/report")
}

/// A page of migrations.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Migrations {
    /// The migrations, newest first. Those that have not ended are among the jobs.
    migrations: Vec<Migration>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

pub(crate) async fn list(State(state): State<AppState>, Params(page): Params<Page>) -> Result<Json<Migrations>> {
    let mut found = Vec::new();
    for (_, lake) in state.lakes.iter() {
        found.extend(Store(lake).ids().await?.into_iter().map(|id| (id, lake)));
    }
    // The ids begin with the time at which the job was accepted.
    found.sort_by(|(a, _), (b, _)| b.cmp(a));
    found.retain(|(id, _)| page.cursor.as_ref().is_none_or(|cursor| id < cursor));
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT) as usize;
    let next_cursor = (found.len() > limit).then(|| found[limit - 1].0.clone());
    let mut migrations = Vec::new();
    for (id, lake) in found.into_iter().take(limit) {
        migrations.extend(Store(lake).get(&id).await?.map(|stored| Migration::from(stored.report)));
    }
    Ok(Json(Migrations { migrations, next_cursor }))
}

/// In which form a report is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Form {
    /// For programs.
    Json,
    /// For people: a page of its own, to be read, kept and printed.
    Html,
    /// The tables of a batch, for spreadsheets.
    Csv,
}

/// In which form a report is wanted.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct WhichForm {
    /// The form; without it `Accept` decides.
    format: Option<Form>,
}

/// A report with what is known of its job by now.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Reported {
    /// The report as it lies beside the tables.
    #[serde(flatten)]
    report: AnyReport,
    /// Who asked for the job; null if no trail was kept, or it cannot be read now.
    asked_by: Option<Asked>,
    /// The job's records in the audit trail, oldest first; those that wait to be written have no number and no hashes.
    audit: Vec<Record>,
}

/// Who asked for a job.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Asked {
    /// `anonymous`, a caller of the API, which knows no users; `icehaul`, Icehaul itself, for a part of a batch.
    pub(crate) requester: Option<String>,
    /// The program that the caller says it is.
    pub(crate) client: Option<String>,
    /// The address that the caller's connection came from.
    pub(crate) address: Option<String>,
    /// When.
    pub(crate) at: DateTime<Utc>,
}

impl Asked {
    /// As the records of a job tell it.
    fn of(records: &[Record]) -> Option<Self> {
        let submitted = records.iter().find(|record| record.action.as_deref() == Some("submit"))?;
        let Record { requester, client, address, at, .. } = submitted.clone();
        Some(Self { requester, client, address, at })
    }
}

/// A job's records in the audit trail, oldest first. A report is there without them too.
async fn trail(state: &AppState, id: &str) -> Vec<Record> {
    let Ok(job) = id.parse() else { return Vec::new() };
    let trail = Trail { queue: state.queue.clone(), lakes: state.lakes.clone() };
    let question = Question { job: Some(job), ..Question::default() };
    match audit::find(&trail, &question, MOST_RECORDS, None).await {
        Ok(page) => page.records.into_iter().rev().collect(),
        Err(error) => {
            tracing::warn!(job_id = %job, error = error.message(), "a report goes without its audit records");
            Vec::new()
        }
    }
}

pub(crate) async fn report(
    State(state): State<AppState>,
    MigrationPath(id): MigrationPath,
    Params(which): Params<WhichForm>,
    headers: HeaderMap,
) -> Result<Response> {
    let stored = match Store::find(&state.lakes, &id).await {
        Err(error) if error.code() == Code::ReportNotFound => return Err(missing(&state, &id, error).await.into()),
        found => found?,
    };
    let records = trail(&state, &id).await;
    let asked = Asked::of(&records);
    let form = which.format.unwrap_or_else(|| match (prefers(&headers, "text/html"), prefers(&headers, "text/csv")) {
        (true, _) => Form::Html,
        (_, true) => Form::Csv,
        _ => Form::Json,
    });
    Ok(match form {
        Form::Json => {
            // What lies there is passed on whole, also if another release has written it.
            let mut report: Value = serde_json::from_slice(&stored.json).unwrap_or_default();
            (report["asked_by"], report["audit"]) = (json!(asked), json!(records));
            Json(report).into_response()
        }
        Form::Html => {
            const POLICY: HeaderName = header::CONTENT_SECURITY_POLICY;
            let headers = [(POLICY, report::policy()), (header::CONTENT_TYPE, "text/html; charset=utf-8")];
            let page = match &stored.report {
                AnyReport::One(one) => report::page(one, asked.as_ref(), &records),
                AnyReport::Batch(batch) => report::batch_page(batch, asked.as_ref(), &records),
            };
            (headers, page).into_response()
        }
        Form::Csv => match &stored.report {
            AnyReport::One(_) => return Err(parameter("format", "only reports over batches come as csv")),
            AnyReport::Batch(batch) => {
                ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], batch.csv()).into_response()
            }
        },
    })
}

/// Why there is no report: the job may not have ended, or may have failed before it compared anything.
async fn missing(state: &AppState, id: &str, error: Error) -> Error {
    let Ok(job) = id.parse() else { return error };
    let Ok(document) = state.queue.get(job).await else { return error };
    let status = document.status.as_str();
    let why = match document.status.is_terminal() {
        false => format!("job {id} has not ended: it is {status}"),
        true if document.result.as_ref().is_some_and(|result| result["dry_run"] == true) => {
            format!("job {id} has only planned")
        }
        true if document.kind == "migrate.batch" => {
            format!("batch {id} ended as {status} before all its tables had; /api/v1/jobs?batch={id} lists them")
        }
        true => format!("job {id} ended as {status} before it had compared anything"),
    };
    Error::new(Code::ReportNotFound, format!("{why}; {} tells more", link(job)))
}
