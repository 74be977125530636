//! The worker's signs of life. They have a thread, a runtime and a connection of their own: whatever the jobs do to
//! theirs (a handler that blocks, a connection that is busy), the leases are renewed.
use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use icehaul_jobs::{
    StopReason,
    queue::{Lease, Queue},
};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::{Runner, held::HeldJobs, metrics::Metrics, quiet::Quiet};

/// What the thread needs to know.
pub(crate) struct Beats {
    pub queue: Queue,
    pub worker: String,
    pub slots: u32,
    pub runner: Arc<dyn Runner>,
    pub held: HeldJobs,
    pub metrics: Metrics,
    /// Ends the thread.
    pub end: CancellationToken,
}

impl Beats {
    /// Starts the thread. It ends when `end` is cancelled.
    pub(crate) fn start(self) -> io::Result<thread::JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("icehaul-leases".into()).spawn(move || runtime.block_on(self.run()))
    }

    async fn run(self) {
        let queue = match self.queue.another() {
            Ok(queue) => queue,
            // The queue has been opened with the same settings before; its shared connection still works.
            Err(_) => self.queue.clone(),
        };
        let lease = Duration::from_secs_f64(queue.config().lease_seconds);
        // Also what a cancel waits for: well below its promise of five seconds.
        let mut ticks = interval((lease / 3).min(Duration::from_secs(2)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut log = Quiet::default();
        while !self.end.is_cancelled() {
            tokio::select! { _ = ticks.tick() => {}, () = self.end.cancelled() => break }
            let mut pause = Duration::from_millis(20);
            // A beat that failed is repeated at once: the next one may come after the lease's end.
            while let Err(error) = self.beat(&queue, lease).await {
                self.metrics.queue_errors.with_label_values(&["heartbeat"]).inc();
                log.warn("leases cannot be renewed", &error);
                tokio::select! { () = sleep(pause) => {}, () = self.end.cancelled() => break }
                pause = (pause * 2).min(Duration::from_millis(500));
            }
        }
        // The list of workers drops silent ones by itself; this only makes it sooner.
        let _ = tokio::time::timeout(Duration::from_secs(1), queue.leave(&self.worker)).await;
    }

    async fn beat(&self, queue: &Queue, lease: Duration) -> icehaul_jobs::Result<()> {
        let jobs = self.held.all();
        let asked = Instant::now();
        let answers =
            queue.heartbeat(&self.worker, self.slots, self.runner.has_browser(), &HeldJobs::beats(&jobs)).await?;
        for (held, answer) in jobs.iter().zip(answers) {
            match answer {
                Lease::Held => held.renewed(asked, lease),
                Lease::CancelRequested => {
                    held.renewed(asked, lease);
                    held.stop.set(StopReason::Cancelled);
                }
                Lease::Lost => held.lost(),
            }
        }
        Ok(())
    }
}
