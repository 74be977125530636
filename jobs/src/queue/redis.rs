//! The queue on Redis: the moves of a job.
use std::{sync::Arc, time::Duration};

use ::redis::{Script, ScriptInvocation};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    Accepted, Beat, Claim, Claimed, Finished, Lease, NewJob, Outcome, QueueConfig,
    audit::{MAX_EVENTS, Requester, published, sha256},
    connection::{Connection, RESPONSE, may_have_run},
    document::Head,
    script,
};
use crate::{Code, Error, JobId, ProgressSnapshot, Result, Status};

/// How many leases one script renews, and how many ended jobs one forgets: a script must not hold Redis up.
const PER_SCRIPT: usize = 250;

/// The queue. Cheap to clone; every call may be repeated after a lost answer.
#[derive(Clone)]
pub struct Queue {
    pub(super) redis: Connection,
    config: Arc<QueueConfig>,
    prefix: Arc<str>,
    /// The stream that audit events go to, if they are kept.
    pub(super) audit: Option<Arc<str>>,
    pub(super) by: Arc<Requester>,
}

impl Queue {
    /// A queue on the Redis at `url`. Connects on first use: a Redis that is away gives
    /// [`Code::QueueUnavailable`] until it is back.
    pub async fn connect(url: &str, config: QueueConfig) -> Result<Self> {
        if config.name.is_empty()
            || config.name.contains(['{', '}'])
            || config.lease_seconds.is_nan()
            || config.lease_seconds < 0.1
        {
            let why = "queue.name must not be empty nor contain braces, queue.lease_seconds must be at least 0.1";
            return Err(Error::new(Code::InvalidParameter, why));
        }
        let prefix = format!("{{{}}}:", config.name).into();
        Ok(Self { redis: Connection::new(url)?, config: Arc::new(config), prefix, audit: None, by: Arc::default() })
    }

    /// The same queue over connections of its own: for a thread that must not wait for the others.
    /// To be called on the runtime that will use it.
    pub fn another(&self) -> Result<Self> {
        Ok(Self { redis: self.redis.another()?, ..self.clone() })
    }

    /// The configuration it was made with.
    #[must_use]
    pub fn config(&self) -> &QueueConfig {
        &self.config
    }

    /// The name of a key.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(super) fn call<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        call.key(&*self.prefix);
        if let Some(audit) = &self.audit {
            call.key(&**audit);
        }
        call
    }

    fn lease_ms(&self) -> u64 {
        millis(self.config.lease_seconds)
    }

    /// Asks Redis for an answer; for `/health`. Warnings tell what weakens the promises (no append-only file, eviction).
    pub async fn ping(&self) -> Result<Vec<String>> {
        let _: String = self.redis.command(&::redis::cmd("PING")).await?;
        let mut warnings = Vec::new();
        for (setting, good, why) in [
            ("appendonly", "yes", "accepted jobs are lost if Redis stops"),
            ("maxmemory-policy", "noeviction", "Redis may drop jobs when its memory is full"),
        ] {
            // Managed servers refuse CONFIG: nothing is known then, and nothing is said.
            let answer = self.redis.command::<Vec<String>>(::redis::cmd("CONFIG").arg("GET").arg(setting)).await;
            if let Some(value) = answer.unwrap_or_default().get(1).filter(|value| *value != good) {
                warnings.push(format!("Redis has {setting} {value}: {why}; set it to {good}"));
            }
        }
        Ok(warnings)
    }

    /// Accepts a job: record and queue entry in one script. A Redis that comes to it when the caller has given up refuses.
    /// `idempotency_conflict`, `queue_full`, `queue_unavailable`.
    pub async fn enqueue(&self, job: &NewJob) -> Result<Accepted> {
        let (seconds, micros): (i64, i64) = self.redis.command(&::redis::cmd("TIME")).await?;
        let given_up = seconds * 1000 + micros / 1000 + RESPONSE.as_millis() as i64;
        let (key, hash) = job.idempotency.as_ref().map_or(("", ""), |(key, hash)| (key, hash));
        let mut call = self.call(&script::ENQUEUE);
        call.arg(job.id.to_string())
            .arg(json!(Head::of(job)).to_string())
            .arg(job.spec.to_string())
            .arg(&job.payload)
            .arg(job.max_attempts)
            .arg(job.run_at.map_or(String::new(), |at| at.timestamp_millis().to_string()))
            .arg(self.config.max_waiting)
            .arg(key)
            .arg(hash)
            .arg(millis(self.config.idempotency_seconds).max(1))
            .arg(given_up);
        self.by.sign(&mut call).arg(sha256(job.spec.to_string().as_bytes())).arg(MAX_EVENTS);
        let answer: Vec<String> = self.redis.script(&call).await.map_err(|error| doubtful(error, job))?;
        let first = || answer.get(1).and_then(|id| id.parse().ok()).ok_or_else(unexpected);
        match answer.first().map(String::as_str) {
            Some("new") => {
                let ms = answer.get(1).and_then(|ms| ms.parse().ok());
                ms.and_then(DateTime::from_timestamp_millis).map(Accepted::New).ok_or_else(unexpected)
            }
            Some("replayed") => first().map(Accepted::Replayed),
            Some("conflict") => Err(Error::new(
                Code::IdempotencyConflict,
                format!("this Idempotency-Key came before with another request, for job {}", first()?),
            )),
            Some("full") => Err(Error::new(
                Code::QueueFull,
                format!("{} jobs wait already; try again later", self.config.max_waiting),
            )),
            Some("audit") => Err(Error::new(
                Code::QueueFull,
                format!("{MAX_EVENTS} audit records wait for the default catalog: they must be written first"),
            )),
            Some("late") => Err(Error::new(
                Code::QueueUnavailable,
                "Redis came to it too late, and nothing was accepted; the call may be repeated",
            )),
            _ => Err(unexpected()),
        }
    }

    /// Stops a job: one that waits ends at once, a running one is asked to. Gives the status after it. `job_ended`.
    pub async fn cancel(&self, id: JobId) -> Result<Status> {
        let mut call = self.call(&script::CANCEL);
        let answer: Vec<String> = self.redis.script(self.by.sign(call.arg(id.to_string()).arg(request()))).await?;
        let mut statuses = answer.iter().map(|status| Status::parse(status));
        match (statuses.next().flatten(), statuses.next().flatten()) {
            (Some(before), _) if before.is_terminal() => {
                Err(Error::new(Code::JobEnded, format!("the job has ended already: {}", before.as_str())))
            }
            (Some(_), Some(after)) => Ok(after),
            _ => Err(self.missing(id).await),
        }
    }

    /// Runs a failed or cancelled job again, attempts counted on. `job_not_ended`, `job_ended` (succeeded).
    pub async fn retry(&self, id: JobId) -> Result<()> {
        let mut call = self.call(&script::RETRY);
        let before: String = self.redis.script(self.by.sign(call.arg(id.to_string()).arg(request()))).await?;
        match Status::parse(&before) {
            Some(Status::Failed | Status::Cancelled) => Ok(()),
            Some(Status::Succeeded) => {
                Err(Error::new(Code::JobEnded, "the job has succeeded: there is nothing to run again"))
            }
            Some(_) => Err(Error::new(
                Code::JobNotEnded,
                format!("the job has not ended yet: it is {before}; cancel it first"),
            )),
            None => Err(self.missing(id).await),
        }
    }

    /// What tells a job's run from those before a person had it run again; `None` for the first.
    pub async fn run(&self, id: JobId) -> Result<Option<String>> {
        self.redis.command(::redis::cmd("HGET").arg(self.job(id)).arg("again")).await
    }

    /// Leases up to `limit` waiting jobs. `request` makes a repeated call give the same jobs, without counting twice.
    pub async fn claim(&self, worker: &str, limit: usize, request: &str) -> Result<Claim> {
        let mut call = self.call(&script::CLAIM);
        call.arg(worker).arg(limit.min(PER_SCRIPT)).arg(request).arg(self.lease_ms());
        type Row = (String, u64, u32, u32, String, String);
        let (next_due_ms, rows): (u64, Vec<Row>) = self.redis.script(&call).await?;
        let jobs = rows.into_iter().filter_map(|(id, epoch, attempt, max_attempts, kind, payload)| {
            let known = id.parse().inspect_err(|_| tracing::error!(id, "what was queued under this id is no job"));
            Some(Claimed { id: known.ok()?, kind, epoch, attempt, max_attempts, payload })
        });
        Ok(Claim { jobs: jobs.collect(), next_due_ms })
    }

    /// Renews leases, writes progress, and makes the worker known.
    pub async fn heartbeat(&self, worker: &str, slots: u32, has_browser: bool, beats: &[Beat]) -> Result<Vec<Lease>> {
        let running: Vec<JobId> = beats.iter().map(|beat| beat.id).collect();
        let known = json!({"slots": slots, "has_browser": has_browser, "running": running}).to_string();
        let mut leases = Vec::with_capacity(beats.len());
        let mut rest = beats;
        loop {
            let (now, later) = rest.split_at(rest.len().min(PER_SCRIPT));
            let mut call = self.call(&script::HEARTBEAT);
            call.arg(worker).arg(&known).arg(self.lease_ms());
            for beat in now {
                let progress = beat.progress.as_ref().map_or(String::new(), |progress| json!(progress).to_string());
                call.arg(beat.id.to_string()).arg(beat.epoch).arg(progress);
            }
            let answers: Vec<String> = self.redis.script(&call).await?;
            leases.extend(answers.iter().map(|answer| match answer.as_str() {
                "held" => Lease::Held,
                "cancel" => Lease::CancelRequested,
                _ => Lease::Lost,
            }));
            if later.is_empty() {
                return Ok(leases);
            }
            rest = later;
        }
    }

    /// Takes the worker off the list of those that run.
    pub async fn leave(&self, worker: &str) -> Result<()> {
        self.redis.command(::redis::cmd("HDEL").arg(self.key("workers")).arg(worker)).await
    }

    /// Whether the lease is still held and nobody wants the job to stop; asked right before a commit, and renews the
    /// lease. Redis away: `Err`, and the commit waits.
    pub async fn confirm(&self, id: JobId, epoch: u64) -> Result<bool> {
        let mut call = self.call(&script::CONFIRM);
        self.redis.script(call.arg(id.to_string()).arg(epoch).arg(self.lease_ms())).await
    }

    /// Ends an attempt.
    pub async fn finish(&self, id: JobId, epoch: u64, outcome: &Outcome) -> Result<Finished> {
        self.finish_at(id, epoch, outcome, None).await
    }

    /// Ends an attempt and notes how far it came.
    pub async fn finish_at(
        &self,
        id: JobId,
        epoch: u64,
        outcome: &Outcome,
        progress: Option<&ProgressSnapshot>,
    ) -> Result<Finished> {
        let (name, value, delay_ms) = match outcome {
            Outcome::Succeeded(result) => ("succeeded", result.to_string(), 0),
            Outcome::Retry { error, delay_ms } => ("retry", json!(error).to_string(), *delay_ms),
            Outcome::Failed(error) => ("failed", json!(error).to_string(), 0),
            Outcome::HandBack { reason, delay_ms } => {
                ("hand_back", reason.as_ref().map_or_else(String::new, |reason| json!(reason).to_string()), *delay_ms)
            }
            Outcome::Cancelled => ("cancelled", String::new(), 0),
        };
        let mut call = self.call(&script::FINISH);
        let progress = progress.map_or(String::new(), |progress| json!(progress).to_string());
        call.arg(id.to_string()).arg(epoch).arg(name).arg(value).arg(delay_ms).arg(progress);
        for published in published(outcome) {
            call.arg(published);
        }
        let recorded: bool = self.redis.script(&call).await?;
        Ok(if recorded { Finished::Recorded } else { Finished::Fenced })
    }

    /// Waits for a sign that a job may be claimed, or until the time is over.
    pub async fn wake(&self, time: Duration) -> Result<()> {
        let seconds = time.as_secs_f64().max(0.001);
        let mut command = ::redis::cmd("BLPOP");
        command.arg(self.key("wake")).arg(seconds);
        let _: Option<(String, String)> = self.redis.blocking(&command, time).await?;
        Ok(())
    }

    /// Forgets jobs that ended before the retention, and takes over lost ones; bounded work per call. Gives how many it forgot.
    pub async fn sweep(&self) -> Result<u64> {
        let mut call = self.call(&script::SWEEP);
        call.arg(self.lease_ms()).arg(millis(self.config.retention_seconds)).arg(PER_SCRIPT);
        self.redis.script(&call).await
    }

    /// Why a job is not there: it is too long ago, or it never was.
    pub(super) async fn missing(&self, id: JobId) -> Error {
        let made = id.get_timestamp().filter(|_| id.get_version_num() == 7).map(|time| time.to_unix().0);
        let kept = self.config.retention_seconds as i64;
        match (made, self.now().await) {
            (Some(made), Ok(now)) if (made as i64) < now.timestamp() - kept => Error::new(
                Code::JobExpired,
                format!("job {id} has ended and was kept for {kept} s only (`queue.retention_seconds`)"),
            ),
            (_, Err(error)) => error,
            _ => Error::new(Code::JobNotFound, format!("there is no job {id}")),
        }
    }

    /// The time on Redis' clock.
    pub async fn now(&self) -> Result<DateTime<Utc>> {
        let (seconds, micros): (i64, i64) = self.redis.command(&::redis::cmd("TIME")).await?;
        DateTime::from_timestamp_micros(seconds * 1_000_000 + micros).ok_or_else(unexpected)
    }
}

pub(super) fn unexpected() -> Error {
    Error::new(Code::Internal, "Redis gave an answer that the queue's scripts do not give")
}

/// A name for one request: a repeat after a lost answer is known by it.
/// A caller whose answer was lost must not submit the same job twice.
fn doubtful(error: Error, job: &NewJob) -> Error {
    if job.idempotency.is_some() || !may_have_run(&error) {
        return error;
    }
    let table = job.table.as_ref().map(|table| format!(" --table {table}")).unwrap_or_default();
    let message = format!(
        "Redis did not answer, and the job may have been accepted all the same: look with `icehaul jobs list{table}` before \
         the request is sent again; with an Idempotency-Key it may be sent again as it is"
    );
    Error::new(error.code(), message).caused_by(error)
}

fn request() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn millis(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

/// A record's JSON, for those who only show it.
pub(super) fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}
