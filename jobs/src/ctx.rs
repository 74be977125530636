//! What every running job is given.
use std::sync::{
    Arc, OnceLock, RwLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use icehaul_lake::{Lake, Lakes};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    AfterFailure, Code, Error, JobId, Result, Sealer,
    config::{Connections, FileRoots, Limits},
    crawl::Sites,
    queue::{Attempt, JobDocument, Queue},
    spec::JobSpec,
};

/// The surroundings of one attempt. Cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    /// The job.
    pub job: JobId,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How often the job is tried.
    pub max_attempts: u32,
    /// The lease's epoch: grows with every claim, names this attempt's files.
    pub epoch: u64,
    /// The catalogs.
    pub lakes: Lakes,
    /// The named connections.
    pub connections: Arc<Connections>,
    /// The folders below which requests may name files.
    pub file_roots: Arc<FileRoots>,
    /// The bounds.
    pub limits: Arc<Limits>,
    /// How sites are asked.
    pub sites: Arc<Sites>,
    /// Where the attempt says how far it is.
    pub progress: Arc<Progress>,
    /// Set when the attempt must end.
    pub stop: Stop,
    /// Asks the queue whether the lease is still held; asked right before a commit.
    pub permission: icehaul_lake::Permission,
    /// How a job has other jobs done; `None` where there is no queue.
    pub children: Option<Children>,
}

/// How a job has other jobs done: they lie in the queue like all others, and name it as their batch.
#[derive(Clone)]
pub struct Children {
    queue: Queue,
    sealer: Sealer,
}

impl Children {
    /// Children in this queue.
    #[must_use]
    pub const fn new(queue: Queue, sealer: Sealer) -> Self {
        Self { queue, sealer }
    }

    /// Submits a job; one of this id that is there already stays as it is.
    ///
    /// # Errors
    /// [`Code::QueueUnavailable`], [`Code::QueueFull`].
    pub async fn submit(&self, parent: JobId, id: JobId, spec: JobSpec) -> Result<()> {
        self.queue.enqueue(&spec.into_job(id, &self.sealer, Some(parent))?).await.map(drop)
    }

    /// A job as it is.
    ///
    /// # Errors
    /// [`Code::JobNotFound`], [`Code::JobExpired`], [`Code::QueueUnavailable`].
    pub async fn get(&self, id: JobId) -> Result<JobDocument> {
        self.queue.get(id).await
    }

    /// Which run of a job this is, told apart from those before a person had it run again; `None` for the first.
    ///
    /// # Errors
    /// [`Code::QueueUnavailable`].
    pub async fn run(&self, id: JobId) -> Result<Option<String>> {
        self.queue.run(id).await
    }

    /// Runs a failed or cancelled job again; one that runs again already goes on.
    ///
    /// # Errors
    /// [`Code::QueueUnavailable`].
    pub async fn retry(&self, id: JobId) -> Result<()> {
        match self.queue.retry(id).await {
            Err(error)
                if !matches!(
                    error.code(),
                    Code::JobNotEnded | Code::JobEnded | Code::JobNotFound | Code::JobExpired
                ) =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Stops a job; one that has ended stays as it is.
    ///
    /// # Errors
    /// [`Code::QueueUnavailable`].
    pub async fn cancel(&self, id: JobId) -> Result<()> {
        match self.queue.cancel(id).await {
            Err(error) if !matches!(error.code(), Code::JobEnded | Code::JobNotFound | Code::JobExpired) => Err(error),
            _ => Ok(()),
        }
    }
}

impl Ctx {
    /// The named catalog, or the default one.
    ///
    /// # Errors
    /// [`Code::CatalogNotFound`].
    pub fn lake(&self, catalog: Option<&str>) -> Result<&Lake> {
        Ok(self.lakes.get(catalog)?)
    }

    /// Which run of the job this is; see [`Children::run`].
    ///
    /// # Errors
    /// [`Code::QueueUnavailable`].
    pub async fn run(&self) -> Result<Option<String>> {
        match &self.children {
            Some(children) => children.run(self.job).await,
            None => Ok(None),
        }
    }

    /// The job's attempts up to this one, for its report; none where there is no queue, or it does not answer.
    pub async fn attempts(&self) -> Vec<Attempt> {
        match &self.children {
            Some(children) => children.get(self.job).await.map(|document| document.attempts).unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// Whether the job ends with this error, so that no other attempt follows.
    #[must_use]
    pub fn ends_with(&self, error: &Error) -> bool {
        AfterFailure::of(error, self.stop.reason(), self.attempt, self.max_attempts).is_end()
    }
}

/// Why an attempt must end before its work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// A person cancelled the job.
    Cancelled,
    /// Another worker holds the job now, or may.
    LeaseLost,
    /// The worker is stopping and hands the job back.
    Stopping,
    /// The job's `timeout_seconds` are over.
    Timeout,
}

/// A signal to end, with its reason. The first reason stays.
#[derive(Clone, Default)]
pub struct Stop {
    token: CancellationToken,
    reason: Arc<OnceLock<StopReason>>,
}

impl Stop {
    /// Asks the attempt to end.
    pub fn set(&self, reason: StopReason) {
        let _ = self.reason.set(reason);
        self.token.cancel();
    }

    /// The reason, once set.
    #[must_use]
    pub fn reason(&self) -> Option<StopReason> {
        self.reason.get().copied()
    }

    /// The error that an attempt ends with because of it.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.reason().map(|reason| match reason {
            StopReason::Cancelled => Error::new(Code::Cancelled, "the job was cancelled"),
            StopReason::LeaseLost => Error::new(Code::LeaseLost, "the job's lease ran out; another worker may hold it"),
            StopReason::Stopping => Error::new(Code::WorkerStopping, "the worker is stopping"),
            StopReason::Timeout => {
                Error::new(Code::Timeout, "the attempt took longer than `timeout_seconds`; raise it, or leave it out")
            }
        })
    }

    /// `Err` as soon as the attempt must end.
    ///
    /// # Errors
    /// The reason's error.
    pub fn check(&self) -> Result<()> {
        self.error().map_or(Ok(()), Err)
    }

    /// Runs `work` until it ends or the attempt must end, whichever comes first.
    ///
    /// # Errors
    /// Those of `work`, and the reason's error.
    pub async fn or<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.token.cancelled() => Err(self.error().unwrap_or_else(|| Error::new(Code::Cancelled, "stopped"))),
            done = work => done,
        }
    }

    /// Waits until it is set.
    pub async fn wait(&self) {
        self.token.cancelled().await;
    }
}

/// Counters of a running attempt; the heartbeat reads them.
#[derive(Default)]
pub struct Progress {
    rows: AtomicU64,
    bytes: AtomicU64,
    splits_done: AtomicU64,
    pages: AtomicU64,
    plan: RwLock<Planned>,
}

#[derive(Clone, Default)]
struct Planned {
    phase: String,
    rows_total: Option<u64>,
    splits_total: u64,
}

/// How far an attempt is, as it stands in the job document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProgressSnapshot {
    /// What it is doing: `planning`, `fetching`, `reading`, `verifying`, `committing`.
    pub phase: String,
    /// Rows read so far.
    pub rows: u64,
    /// All rows, where the source tells.
    pub rows_total: Option<u64>,
    /// Bytes read so far: of an upload those of its file, of a load the values of its rows as they lie in memory, which are
    /// neither the source's nor the table's compressed bytes.
    pub bytes: u64,
    /// Pages fetched so far, of a scrape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<u64>,
    /// Finished splits.
    pub splits_done: u64,
    /// All splits.
    pub splits_total: u64,
    /// Rows per second of this attempt.
    pub rows_per_second: Option<f64>,
    /// Seconds left at this speed, where the total is known.
    pub eta_seconds: Option<f64>,
}

impl Progress {
    /// Counts rows and bytes read.
    pub fn add(&self, rows: u64, bytes: u64) {
        self.rows.fetch_add(rows, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// Counts a page.
    pub fn add_page(&self) {
        self.pages.fetch_add(1, Relaxed);
    }

    /// Counts a finished split.
    pub fn split_done(&self) {
        self.splits_done.fetch_add(1, Relaxed);
    }

    /// Enters a phase.
    pub fn phase(&self, phase: &str) {
        if let Ok(mut plan) = self.plan.write() {
            phase.clone_into(&mut plan.phase);
        }
    }

    /// Says how much there is.
    pub fn planned(&self, splits: u64, rows: Option<u64>) {
        if let Ok(mut plan) = self.plan.write() {
            plan.splits_total = splits;
            plan.rows_total = rows;
        }
    }

    /// The state now; `seconds` is the age of the attempt.
    #[must_use]
    pub fn snapshot(&self, seconds: f64) -> ProgressSnapshot {
        let plan = self.plan.read().map(|plan| plan.clone()).unwrap_or_default();
        let rows = self.rows.load(Relaxed);
        let rate = (seconds > 0.0).then(|| rows as f64 / seconds);
        ProgressSnapshot {
            phase: plan.phase,
            rows,
            rows_total: plan.rows_total,
            bytes: self.bytes.load(Relaxed),
            pages: Some(self.pages.load(Relaxed)).filter(|pages| *pages > 0),
            splits_done: self.splits_done.load(Relaxed),
            splits_total: plan.splits_total,
            rows_per_second: rate.map(f64::round),
            eta_seconds: match (rate, plan.rows_total) {
                (Some(rate), Some(total)) if rate > 0.0 => Some((total.saturating_sub(rows) as f64 / rate).round()),
                _ => None,
            },
        }
    }
}
