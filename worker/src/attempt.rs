//! One attempt: run the job on a task of its own, watch over it, tell the queue how it ended.
use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use icehaul_jobs::{
    Code, Error, JobId, Permission, Progress, Result, Stop, StopReason,
    queue::{Claimed, Finished, Outcome, Queue},
};
use serde_json::Value;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use crate::{
    held::{Held, HeldJobs},
    metrics::Metrics,
    outcome::{Backoff, Ended, outcome},
    quiet::Quiet,
};

/// What a runner is given.
pub struct Attempt {
    /// The job, its payload still sealed.
    pub claimed: Claimed,
    /// Set when the attempt must end.
    pub stop: Stop,
    /// Where the attempt says how far it is.
    pub progress: Arc<Progress>,
    /// Says whether the lease is still held; asked right before a commit.
    pub permission: Permission,
}

/// Does a job's work. The real one runs [`icehaul_jobs::job::run`]; tests and benchmarks bring their own.
pub trait Runner: Send + Sync + 'static {
    /// Runs one attempt. It should end soon after `stop` is set; it is dropped if it does not.
    fn run(&self, attempt: Attempt) -> BoxFuture<'static, Result<Value>>;

    /// Whether there is a browser now for pages that scripts make.
    fn has_browser(&self) -> bool {
        false
    }
}

impl<F> Runner for F
where
    F: Fn(Attempt) -> BoxFuture<'static, Result<Value>> + Send + Sync + 'static,
{
    fn run(&self, attempt: Attempt) -> BoxFuture<'static, Result<Value>> {
        self(attempt)
    }
}

/// What all attempts of a worker share.
pub(crate) struct Desk {
    pub queue: Queue,
    pub held: HeldJobs,
    pub runner: Arc<dyn Runner>,
    pub metrics: Metrics,
    pub backoff: Backoff,
    /// How long an attempt may go on after it was asked to end.
    pub grace: Duration,
}

impl Desk {
    /// Runs a claimed job to its end and tells the queue. Its slot is free again afterwards.
    pub(crate) async fn work(&self, claimed: Claimed, held: Arc<Held>) {
        self.metrics.running.inc();
        let (id, kind) = (claimed.id, claimed.kind.clone());
        let (attempt, max_attempts) = (claimed.attempt, claimed.max_attempts);
        info!(job_id = %id, kind, attempt, "job started");
        let result = self.run(claimed, &held).await;
        let ended = Ended { result: &result, stop: held.stop.reason(), attempt, max_attempts };
        let told = match outcome(&ended, &self.backoff, rand::random()) {
            Some(outcome) => Some((self.tell(&held, &outcome).await, outcome)),
            None => None,
        };
        self.held.remove(&held);
        self.metrics.running.dec();
        let seconds = held.started.elapsed().as_secs_f64();
        self.metrics.ended(&kind, seconds, told.as_ref().map(|(finished, outcome)| (outcome, *finished)));
        log_end(id, &kind, attempt, seconds, &result, told.as_ref());
    }

    async fn run(&self, claimed: Claimed, held: &Arc<Held>) -> Result<Value> {
        let attempt = Attempt {
            claimed,
            stop: held.stop.clone(),
            progress: held.progress.clone(),
            permission: permission(self.queue.clone(), held.clone()),
        };
        let mut task = tokio::spawn(self.runner.run(attempt));
        let stopped = async {
            held.stop.wait().await;
            sleep(self.grace).await;
        };
        tokio::select! {
            ended = &mut task => ended.unwrap_or_else(|e| Err(broken(&e))),
            () = stopped => {
                // Dropped at its next await; a thread that blocks is left behind, and may not commit: it has no lease.
                task.abort();
                warn!(job_id = %held.id, "job did not end when asked to; it was dropped");
                Err(held.stop.error().unwrap_or_else(|| Error::new(Code::Internal, "dropped")))
            }
        }
    }

    /// Tells the queue, however long it takes: an answer of Redis is the only way to know that the job has ended.
    pub(crate) async fn tell(&self, held: &Held, outcome: &Outcome) -> Finished {
        let mut log = Quiet::default();
        let mut pause = Duration::from_millis(20);
        let progress = held.last_progress();
        loop {
            match self.queue.finish_at(held.id, held.epoch, outcome, progress.as_ref()).await {
                Ok(finished) => return finished,
                Err(error) => {
                    self.metrics.queue_errors.with_label_values(&["finish"]).inc();
                    log.warn("the end of a job cannot be recorded yet", &error);
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
    }
}

/// Whether the job may commit: its lease is valid by this machine's clock, and Redis says so too. While Redis is away
/// the answer waits, but not beyond the lease.
fn permission(queue: Queue, held: Arc<Held>) -> Permission {
    Arc::new(move || {
        let (queue, held) = (queue.clone(), held.clone());
        Box::pin(async move {
            loop {
                let left = held.valid_for();
                if left.is_zero() || held.stop.reason().is_some_and(|reason| reason != StopReason::Stopping) {
                    return false;
                }
                match timeout(left, queue.confirm(held.id, held.epoch)).await {
                    Ok(Ok(confirmed)) => return confirmed && !held.valid_for().is_zero(),
                    Ok(Err(_)) => sleep(Duration::from_millis(50)).await,
                    Err(_) => return false,
                }
            }
        })
    })
}

fn broken(ended: &tokio::task::JoinError) -> Error {
    let what = if ended.is_panic() {
        "panicked: this is a defect of Icehaul, the worker's log says where"
    } else {
        "was dropped"
    };
    Error::new(Code::Panicked, format!("the job's code {what}"))
}

fn log_end(
    id: JobId,
    kind: &str,
    attempt: u32,
    seconds: f64,
    result: &Result<Value>,
    told: Option<&(Finished, Outcome)>,
) {
    let code = result.as_ref().err().map(|e| e.code().as_str());
    // The sentence of a failed comparison quotes rows, which are for those who may see the job.
    let told_here = |error: &Error| match error.code() {
        Code::VerificationFailed => "what was compared differs: the job and its report say how".to_owned(),
        _ => error.to_string(),
    };
    let error = result.as_ref().err().map(told_here);
    let cause = result.as_ref().err().and_then(std::error::Error::source).map(ToString::to_string);
    match told {
        Some((Finished::Recorded, Outcome::Succeeded(_))) => {
            info!(job_id = %id, kind, attempt, seconds, "job succeeded")
        }
        Some((Finished::Recorded, Outcome::Failed(_))) => {
            error!(job_id = %id, kind, attempt, seconds, code, error, cause, "job failed");
        }
        Some((Finished::Recorded, Outcome::Retry { delay_ms, .. })) => {
            warn!(job_id = %id, kind, attempt, seconds, code, error, cause, delay_ms, "attempt failed, another follows");
        }
        Some((Finished::Recorded, Outcome::HandBack { delay_ms, .. })) => {
            info!(job_id = %id, kind, attempt, seconds, code, delay_ms, "job handed back");
        }
        Some((Finished::Recorded, Outcome::Cancelled)) => info!(job_id = %id, kind, attempt, seconds, "job cancelled"),
        Some((Finished::Fenced, _)) | None => {
            warn!(job_id = %id, kind, attempt, seconds, "the job is another worker's: its end here is void");
        }
    }
}
