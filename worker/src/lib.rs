//! The worker: claims jobs, runs them, and tells the queue how they ended.
//!
//! [`runner`] is the frame (apalis), [`attempt`] one attempt, [`outcome`] the table of what follows from its end,
//! [`beats`] the signs of life, [`held`] what they all share.
mod attempt;
mod beats;
mod held;
mod metrics;
mod outcome;
mod quiet;
mod runner;

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use icehaul_jobs::{
    Children, Code, Ctx, Error, Lakes, Result, Sealer, StopReason,
    audit::{AuditConfig, Trail, Writer},
    config::{Connections, FileRoots, Limits},
    crawl::Sites,
    queue::Queue,
    spec::JobSpec,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use attempt::{Attempt, Runner};
pub use metrics::Metrics;
pub use outcome::Backoff;
pub use prometheus::Registry;

/// The worker's part of the configuration (`worker`).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// How many jobs run at once.
    pub slots: usize,
    /// How long running jobs may go on once the worker is told to stop, in seconds; then they are handed back.
    pub drain_seconds: f64,
    /// How long a job may take to end once it is asked to, in seconds; then it is dropped.
    pub stop_grace_seconds: f64,
    /// The worker's name in documents and statistics; made from the host's when absent. No two may share one.
    pub id: Option<String>,
    /// The wait between a job's attempts.
    pub backoff: Backoff,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self { slots: 4, drain_seconds: 30.0, stop_grace_seconds: 10.0, id: None, backoff: Backoff::default() }
    }
}

/// What the jobs of a worker work with.
pub struct Setup {
    /// The queue.
    pub queue: Queue,
    /// Opens the secrets of the requests.
    pub sealer: Sealer,
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
    /// Where the metrics go.
    pub registry: Registry,
    /// How the audit trail is written.
    pub audit: AuditConfig,
}

/// Runs jobs until `shutdown`, and returns when the worker has drained. Redis being away does not end it.
///
/// # Errors
/// [`Code::Internal`] if the metrics' names are taken or the thread for the leases cannot be started.
pub async fn run(config: WorkerConfig, setup: Setup, shutdown: CancellationToken) -> Result<()> {
    let (queue, registry) = (setup.queue.clone(), setup.registry.clone());
    let end = CancellationToken::new();
    let _end = end.clone().drop_guard();
    if queue.is_audited() {
        let trail = Trail { queue: queue.clone(), lakes: setup.lakes.clone() };
        tokio::spawn(end.run_until_cancelled_owned(Writer::new(trail, &setup.audit).run()));
    }
    run_with(config, queue, &registry, Arc::new(Jobs(Arc::new(setup))), shutdown).await
}

/// The same with a runner of the caller's: what tests and benchmarks use.
///
/// # Errors
/// See [`run`].
pub async fn run_with(
    config: WorkerConfig,
    queue: Queue,
    registry: &Registry,
    runner: Arc<dyn Runner>,
    shutdown: CancellationToken,
) -> Result<()> {
    let defect = |what: &str, e: &dyn std::fmt::Display| Error::new(Code::Internal, format!("{what}: {e}"));
    let metrics = Metrics::new(registry).map_err(|e| defect("the worker's metrics cannot be registered", &e))?;
    let worker = config.id.clone().unwrap_or_else(made_up_name);
    let seconds = Duration::from_secs_f64;
    let (drain, grace) = (seconds(config.drain_seconds), seconds(config.stop_grace_seconds));
    let held = held::HeldJobs::default();
    let end = CancellationToken::new();
    // However this function is left, the helpers end.
    let _end = end.clone().drop_guard();

    let beats = beats::Beats {
        queue: queue.clone(),
        worker: worker.clone(),
        slots: u32::try_from(config.slots).unwrap_or(u32::MAX),
        runner: runner.clone(),
        held: held.clone(),
        metrics: metrics.clone(),
        end: end.clone(),
    };
    let beats = beats.start().map_err(|e| defect("the thread that renews leases cannot be started", &e))?;
    tokio::spawn(end.clone().run_until_cancelled_owned(sweep(queue.clone())));
    tokio::spawn(end.clone().run_until_cancelled_owned(runner::drain(held.clone(), shutdown.clone(), drain)));

    info!(worker, slots = config.slots, "worker started");
    let desk = attempt::Desk { queue, held: held.clone(), runner, metrics, backoff: config.backoff, grace };
    let fetcher = runner::Fetcher {
        desk: Arc::new(desk),
        worker: worker.clone(),
        slots: config.slots.max(1),
        shutdown: shutdown.clone(),
    };
    let given_up = async {
        shutdown.cancelled().await;
        // Drained, asked to end, dropped: what is still here cannot reach Redis to hand its job back.
        sleep(drain + grace + seconds(5.0)).await;
    };
    tokio::select! {
        () = runner::run(fetcher) => info!(worker, "worker drained"),
        () = given_up => warn!(worker, jobs = held.all().len(), "worker ends with jobs that will be taken over"),
    }
    held.stop(StopReason::LeaseLost);
    end.cancel();
    let _ = timeout(seconds(2.0), tokio::task::spawn_blocking(move || beats.join())).await;
    Ok(())
}

fn made_up_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{}-{}-{}", host.trim(), std::process::id(), &random[..8])
}

/// Forgets old jobs and takes over lost ones, whatever the slots do.
async fn sweep(queue: Queue) {
    let lease = Duration::from_secs_f64(queue.config().lease_seconds);
    let mut ticks = interval((lease / 3).min(Duration::from_secs(5)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut log = quiet::Quiet::default();
    loop {
        ticks.tick().await;
        if let Err(error) = queue.sweep().await {
            log.warn("ended jobs cannot be forgotten", &error);
        }
    }
}

/// The runner of the binary.
struct Jobs(Arc<Setup>);

impl Runner for Jobs {
    fn has_browser(&self) -> bool {
        self.0.sites.browsers().check().is_ok()
    }

    fn run(&self, attempt: Attempt) -> BoxFuture<'static, Result<Value>> {
        let setup = self.0.clone();
        Box::pin(async move {
            let Attempt { claimed, stop, progress, permission } = attempt;
            let spec = JobSpec::unseal(&claimed.payload, &setup.sealer, &claimed.id.to_string())?;
            let ctx = Ctx {
                job: claimed.id,
                attempt: claimed.attempt,
                max_attempts: claimed.max_attempts,
                epoch: claimed.epoch,
                lakes: setup.lakes.clone(),
                connections: setup.connections.clone(),
                file_roots: setup.file_roots.clone(),
                limits: setup.limits.clone(),
                sites: setup.sites.clone(),
                progress,
                stop: stop.clone(),
                permission,
                children: Some(Children::new(setup.queue.clone(), setup.sealer.clone())),
            };
            let over = async {
                match spec.options().timeout_seconds {
                    Some(seconds) => sleep(Duration::from_secs_f64(seconds)).await,
                    None => std::future::pending().await,
                }
                stop.set(StopReason::Timeout);
                // The job ends itself now; it is not this branch that ends it.
                std::future::pending::<Infallible>().await
            };
            tokio::select! { result = spec.run(&ctx) => result, never = over => match never {} }
        })
    }
}
