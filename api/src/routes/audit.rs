//! The audit trail.
use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use icehaul_jobs::{
    JobId,
    audit::{self, Question, Record, Trail, Verified},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::jobs::DEFAULT_LIMIT;
use crate::{AppState, Result, extract::Params, problem::table_parameter};

/// What is recorded.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// A job was accepted.
    Submit,
    /// Someone had an ended job run again.
    Retry,
    /// Someone asked for a job to be stopped.
    Cancel,
    /// A job has published a snapshot.
    Commit,
    /// A migration has succeeded.
    Migrate,
    /// A job has ended otherwise.
    End,
    /// A process has started with another configuration.
    Configure,
}

/// Which records to list.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Filter {
    /// With this action.
    action: Option<Action>,
    /// Of this job.
    job: Option<JobId>,
    /// Of jobs that write this table, `namespace.table`.
    table: Option<String>,
    /// At or after this time.
    since: Option<DateTime<Utc>>,
    /// Before this time.
    until: Option<DateTime<Utc>>,
    /// How many at most; 50 if not given.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Where to go on: the `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of records.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Records {
    /// The records, newest first; those that still wait to be written have no number and no hashes.
    records: Vec<Record>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

pub(crate) async fn list(State(state): State<AppState>, Params(filter): Params<Filter>) -> Result<Json<Records>> {
    let action = filter.action.and_then(|action| serde_json::to_value(action).ok());
    let question = Question {
        action: action.and_then(|action| action.as_str().map(str::to_owned)),
        job: filter.job,
        table: table_parameter(filter.table)?,
        since: filter.since,
        until: filter.until,
    };
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT) as usize;
    let page = audit::find(&trail(&state), &question, limit, filter.cursor.as_deref()).await?;
    Ok(Json(Records { records: page.records, next_cursor: page.next_cursor }))
}

pub(crate) async fn verify(State(state): State<AppState>) -> Result<Json<Verified>> {
    Ok(Json(audit::verify(&trail(&state)).await?))
}

fn trail(state: &AppState) -> Trail {
    Trail { queue: state.queue.clone(), lakes: state.lakes.clone() }
}
