//! The queue on Redis.
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{
    Accepted, Beat, Claim, Finished, JobDocument, JobEvent, JobFilter, JobPage, Lease, NewJob, Outcome, QueueConfig,
    Stats,
};
use crate::{JobId, Result, Status};

/// The queue. Cheap to clone; every call may be repeated after a lost answer.
#[derive(Clone)]
pub struct Queue {}

impl Queue {
    /// A queue on the Redis at `url`. Connects in the background: a Redis that is away gives
    /// [`crate::Code::QueueUnavailable`] until it is back.
    pub async fn connect(_url: &str, _config: QueueConfig) -> Result<Self> {
        unimplemented!()
    }
    /// The configuration it was made with.
    #[must_use]
    pub fn config(&self) -> &QueueConfig {
        unimplemented!()
    }
    /// Asks Redis for an answer; for `/health`. Warnings tell what weakens the promises (no append-only file, eviction).
    pub async fn ping(&self) -> Result<Vec<String>> {
        unimplemented!()
    }
    /// Accepts a job: record and queue entry in one script.
    /// `idempotency_conflict`, `queue_full`, `queue_unavailable`.
    pub async fn enqueue(&self, _job: &NewJob) -> Result<Accepted> {
        unimplemented!()
    }
    /// A job's document. `job_not_found`, or `job_expired` for an id whose time has passed beyond the retention.
    pub async fn get(&self, _id: JobId) -> Result<JobDocument> {
        unimplemented!()
    }
    /// Jobs that fit, newest first. `invalid_parameter` for a cursor that is not ours.
    pub async fn list(&self, _filter: &JobFilter, _limit: usize, _cursor: Option<&str>) -> Result<JobPage> {
        unimplemented!()
    }
    /// The queue in numbers.
    pub async fn stats(&self) -> Result<Stats> {
        unimplemented!()
    }
    /// A job's events after `after` (`None`: from the first kept one); waits up to `wait` for the first.
    pub async fn events(&self, _id: JobId, _after: Option<&str>, _wait: Duration) -> Result<Vec<JobEvent>> {
        unimplemented!()
    }
    /// Waits until the job has ended or the time is over, and gives its document.
    pub async fn wait(&self, _id: JobId, _time: Duration) -> Result<JobDocument> {
        unimplemented!()
    }
    /// Stops a job: one that waits ends at once, a running one is asked to. Gives the status after it. `job_ended`.
    pub async fn cancel(&self, _id: JobId) -> Result<Status> {
        unimplemented!()
    }
    /// Runs a failed or cancelled job again, attempts counted on. `job_not_ended`, `job_ended` (succeeded).
    pub async fn retry(&self, _id: JobId) -> Result<()> {
        unimplemented!()
    }
    /// Leases up to `limit` waiting jobs. `request` makes a repeated call give the same jobs, without counting twice.
    pub async fn claim(&self, _worker: &str, _limit: usize, _request: &str) -> Result<Claim> {
        unimplemented!()
    }
    /// Renews leases, writes progress, and makes the worker known.
    pub async fn heartbeat(&self, _worker: &str, _slots: u32, _beats: &[Beat]) -> Result<Vec<Lease>> {
        unimplemented!()
    }
    /// Whether the lease is still held; asked right before a commit. Redis away: `Err`, and the commit waits.
    pub async fn confirm(&self, _id: JobId, _epoch: u64) -> Result<bool> {
        unimplemented!()
    }
    /// Ends an attempt.
    pub async fn finish(&self, _id: JobId, _epoch: u64, _outcome: &Outcome) -> Result<Finished> {
        unimplemented!()
    }
    /// Waits for a sign that a job may be claimed, or until the time is over.
    pub async fn wake(&self, _time: Duration) -> Result<()> {
        unimplemented!()
    }
    /// Forgets jobs that ended before the retention; bounded work per call. Gives how many.
    pub async fn sweep(&self) -> Result<u64> {
        unimplemented!()
    }
    /// Writes a line to a job's event stream.
    pub async fn log(&self, _id: JobId, _line: &str) -> Result<()> {
        unimplemented!()
    }
    /// The time on Redis' clock.
    pub async fn now(&self) -> Result<DateTime<Utc>> {
        unimplemented!()
    }
}
