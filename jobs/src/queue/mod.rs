//! The queue: what it promises. `redis.rs` and the scripts in `lua/` keep the promises; `tests/it/queue` states them as
//! tests against a real Redis.
//!
//! A job that was accepted ends exactly once. Every move is one script on Redis' clock that checks the job's status and
//! the epoch of its lease.
mod audit;
mod connection;
mod document;
mod events;
mod hosts;
mod list;
mod redis;
mod script;
mod stats;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::{
    audit::{Event, Requester, sha256},
    connection::check_url,
    hosts::{Hosts, Kept, Turned, Wish},
    redis::Queue,
};
use crate::{Code, Error, JobId, ProgressSnapshot, Status, spec::Priority};

/// The queue's part of the configuration (`queue`).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueConfig {
    /// The hash tag under which all keys lie: two systems with different names share one Redis.
    pub name: String,
    /// How long a worker may be silent before another takes its jobs over, in seconds.
    pub lease_seconds: f64,
    /// How many jobs may wait before new ones are refused with `queue_full`.
    pub max_waiting: u64,
    /// How long an ended job is kept, in seconds.
    pub retention_seconds: f64,
    /// How long an idempotency key is kept, in seconds.
    pub idempotency_seconds: f64,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            name: "icehaul".into(),
            lease_seconds: 30.0,
            max_waiting: 100_000,
            retention_seconds: 7.0 * 86_400.0,
            idempotency_seconds: 86_400.0,
        }
    }
}

/// A job to be accepted.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// Its kind, such as `load.postgres`.
    pub kind: String,
    /// The table that it writes.
    pub table: Option<String>,
    /// What the worker reads; its secrets are sealed.
    pub payload: String,
    /// The request as it is shown.
    pub spec: Value,
    /// Its place among the waiting jobs.
    pub priority: Priority,
    /// Not before this time.
    pub run_at: Option<DateTime<Utc>>,
    /// How often it is tried.
    pub max_attempts: u32,
    /// To find it by.
    pub labels: BTreeMap<String, String>,
    /// The job that made it.
    pub batch: Option<JobId>,
    /// The caller's key, and a hash of the request that came with it.
    pub idempotency: Option<(String, String)>,
}

/// What became of an accepted request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// A new job, accepted at this time of Redis' clock.
    New(DateTime<Utc>),
    /// The same key came before with the same request: this is its job.
    Replayed(JobId),
}

/// The job document of the contract.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct JobDocument {
    /// The id.
    pub job_id: JobId,
    /// The kind, such as `load.postgres`.
    pub kind: String,
    /// Where it is.
    pub status: Status,
    /// The table that it writes.
    pub table: Option<String>,
    /// The attempt that runs or ran last; 0 before the first.
    pub attempt: u32,
    /// How often it is tried.
    pub max_attempts: u32,
    /// Its place among the waiting jobs.
    pub priority: Priority,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When its last attempt started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// When it is tried next, or runs first.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// How far its last attempt is or was.
    pub progress: Option<ProgressSnapshot>,
    /// What it gave.
    pub result: Option<Value>,
    /// Why it failed, or why its last attempt did.
    pub error: Option<JobError>,
    /// Its attempts, oldest first; the last 20.
    pub attempts: Vec<Attempt>,
    /// The request, secrets replaced by `***`.
    pub spec: Value,
    /// The job that made it.
    pub batch_id: Option<JobId>,
    /// To find it by.
    pub labels: BTreeMap<String, String>,
    /// Whether someone has asked a running job to stop.
    pub cancel_requested: bool,
}

/// An error as it stands in a job document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobError {
    /// The stable name.
    pub code: Code,
    /// What to do about it.
    pub message: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// The attempt that failed.
    pub attempt: u32,
    /// The field, row or column it concerns, and the like.
    pub details: Value,
}

impl JobError {
    /// The document's form of an error.
    #[must_use]
    pub fn of(error: &Error, attempt: u32) -> Self {
        Self {
            code: error.code(),
            message: error.message().to_owned(),
            retryable: error.retry() != crate::Retry::Never,
            attempt,
            details: if error.field_errors().is_empty() {
                Value::Null
            } else {
                serde_json::json!({"errors": error.field_errors()})
            },
        }
    }
}

/// One attempt of a job.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// Its number, from 1.
    pub attempt: u32,
    /// The worker.
    pub worker: String,
    /// When it was claimed.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why it failed.
    pub error: Option<JobError>,
}

/// Which jobs to list. All that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// In this status.
    pub status: Option<Status>,
    /// Of this kind.
    pub kind: Option<String>,
    /// That write this table.
    pub table: Option<String>,
    /// Made by this job.
    pub batch: Option<JobId>,
    /// With this label, `name:value` or `name`.
    pub label: Option<String>,
    /// With this text in the redacted request or the error, letter case aside.
    pub text: Option<String>,
    /// Accepted at or after this time.
    pub created_after: Option<DateTime<Utc>>,
    /// Accepted before this time.
    pub created_before: Option<DateTime<Utc>>,
}

/// A page of jobs, newest first.
#[derive(Clone, Debug)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<JobDocument>,
    /// Where the next page begins; `None` at the end.
    pub next_cursor: Option<String>,
}

/// The queue in numbers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    /// Jobs per status.
    pub statuses: BTreeMap<String, u64>,
    /// Jobs per kind and status.
    pub kinds: BTreeMap<String, BTreeMap<String, u64>>,
    /// Jobs that wait for a worker now.
    pub queue_depth: u64,
    /// The age of the oldest of them, in seconds.
    pub oldest_wait_seconds: f64,
    /// The workers that have been heard of within a lease.
    pub workers: Vec<WorkerInfo>,
}

/// A worker.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WorkerInfo {
    /// Its id.
    pub id: String,
    /// How many jobs it runs at once.
    pub slots: u32,
    /// Whether it can have pages made by a browser.
    #[serde(default)]
    pub has_browser: bool,
    /// The jobs that it runs.
    pub running: Vec<JobId>,
    /// When it was heard of last.
    pub heartbeat_at: DateTime<Utc>,
}

/// Something that happened to a job; `id` resumes the stream.
#[derive(Clone, Debug)]
pub struct JobEvent {
    /// The stream's id (`Last-Event-ID`).
    pub id: String,
    /// `status`, `progress` or `log`.
    pub event: String,
    /// What happened.
    pub data: Value,
}

/// A job that a worker has claimed.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The job.
    pub id: JobId,
    /// Its kind.
    pub kind: String,
    /// The lease: later moves must name it.
    pub epoch: u64,
    /// The attempt that begins.
    pub attempt: u32,
    /// How often it is tried.
    pub max_attempts: u32,
    /// What is to be done, its secrets sealed.
    pub payload: String,
}

/// What came of a claim.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// The jobs, at most as many as were asked for.
    pub jobs: Vec<Claimed>,
    /// In how many milliseconds something may fall due (a delayed job, a lease).
    pub next_due_ms: u64,
}

/// One running job's sign of life.
#[derive(Clone, Debug)]
pub struct Beat {
    /// The job.
    pub id: JobId,
    /// The lease.
    pub epoch: u64,
    /// How far it is; `None` if nothing has changed.
    pub progress: Option<ProgressSnapshot>,
}

/// What a sign of life brings back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// Renewed.
    Held,
    /// Renewed, and someone wants the job to stop.
    CancelRequested,
    /// Gone: the job has ended or another worker has it.
    Lost,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Done; the result.
    Succeeded(Value),
    /// Failed; again after this many milliseconds.
    Retry {
        /// Why.
        error: JobError,
        /// The wait.
        delay_ms: u64,
    },
    /// Failed for good.
    Failed(JobError),
    /// Handed back without spending the attempt; to be claimed again after this many milliseconds.
    HandBack {
        /// What it waits for, if that is worth to be told.
        reason: Option<JobError>,
        /// The wait.
        delay_ms: u64,
    },
    /// Stopped by a person.
    Cancelled,
}

/// What became of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// Written (or written before: the answer had been lost).
    Recorded,
    /// The lease was not ours any more; nothing was written.
    Fenced,
}
