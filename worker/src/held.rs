//! The jobs that this worker holds, as all its parts see them.
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use icehaul_jobs::{JobId, Progress, ProgressSnapshot, Stop, StopReason, queue::Beat};
use tokio::sync::OwnedSemaphorePermit;

/// One held job: its lease as this worker knows it, and the ways to look at it and to stop it.
pub(crate) struct Held {
    /// The job.
    pub id: JobId,
    /// The lease's epoch.
    pub epoch: u64,
    /// The signal to end.
    pub stop: Stop,
    /// The attempt's counters.
    pub progress: Arc<Progress>,
    /// When the attempt began.
    pub started: Instant,
    /// Until when the lease is valid for sure, in milliseconds after `started`, on this machine's monotonic clock.
    valid_ms: AtomicU64,
    /// What the last heartbeat said, to send only news.
    told: Mutex<ProgressSnapshot>,
    /// Its place among the worker's slots, free again when this is dropped.
    _slot: OwnedSemaphorePermit,
}

impl Held {
    /// A job whose lease was asked for at `asked` and lasts `lease` from then on.
    pub(crate) fn new(id: JobId, epoch: u64, slot: OwnedSemaphorePermit, asked: Instant, lease: Duration) -> Self {
        let held = Self {
            id,
            epoch,
            stop: Stop::default(),
            progress: Arc::default(),
            started: Instant::now(),
            valid_ms: AtomicU64::new(0),
            told: Mutex::default(),
            _slot: slot,
        };
        held.renewed(asked, lease);
        held
    }

    /// Notes a renewal that was asked for at `asked`: Redis has counted from then on or later.
    pub(crate) fn renewed(&self, asked: Instant, lease: Duration) {
        let until = (asked + lease).saturating_duration_since(self.started);
        self.valid_ms.fetch_max(until.as_millis() as u64, Ordering::AcqRel);
    }

    /// The lease is gone.
    pub(crate) fn lost(&self) {
        self.valid_ms.store(0, Ordering::Release);
        self.stop.set(StopReason::LeaseLost);
    }

    /// How long the lease is valid for sure.
    pub(crate) fn valid_for(&self) -> Duration {
        Duration::from_millis(self.valid_ms.load(Ordering::Acquire)).saturating_sub(self.started.elapsed())
    }

    /// How far the attempt came; `None` if it never said.
    pub(crate) fn last_progress(&self) -> Option<ProgressSnapshot> {
        let progress = self.progress.snapshot(self.started.elapsed().as_secs_f64());
        (!progress.phase.is_empty() || progress.rows > 0).then_some(progress)
    }

    fn beat(&self) -> Beat {
        let progress = self.progress.snapshot(self.started.elapsed().as_secs_f64());
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // The speed alone changes with the clock; that is no news.
        let seen = ProgressSnapshot { rows_per_second: None, eta_seconds: None, ..progress.clone() };
        let news = *told != seen;
        *told = seen;
        Beat { id: self.id, epoch: self.epoch, progress: news.then_some(progress) }
    }
}

/// All held jobs, by id and epoch: one that was lost may be held again while its first run still ends.
#[derive(Clone, Default)]
pub(crate) struct HeldJobs(Arc<Mutex<ByLease>>);

/// Jobs by id and epoch.
type ByLease = HashMap<(JobId, u64), Arc<Held>>;

impl HeldJobs {
    fn map(&self) -> MutexGuard<'_, ByLease> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, held: Held) -> Arc<Held> {
        let held = Arc::new(held);
        self.map().insert((held.id, held.epoch), held.clone());
        held
    }

    pub(crate) fn remove(&self, held: &Held) {
        self.map().remove(&(held.id, held.epoch));
        held.valid_ms.store(0, Ordering::Release);
    }

    pub(crate) fn all(&self) -> Vec<Arc<Held>> {
        self.map().values().cloned().collect()
    }

    /// What the heartbeat says of each.
    pub(crate) fn beats(jobs: &[Arc<Held>]) -> Vec<Beat> {
        jobs.iter().map(|held| held.beat()).collect()
    }

    /// Asks every attempt to end.
    pub(crate) fn stop(&self, reason: StopReason) {
        self.all().iter().for_each(|held| held.stop.set(reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    fn held(asked: Instant, lease: Duration) -> Held {
        let slot = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("slot");
        Held::new(JobId::nil(), 1, slot, asked, lease)
    }

    #[test]
    fn a_lease_counts_from_the_question_and_ends_for_good_when_lost() {
        let Some(long_ago) = Instant::now().checked_sub(Duration::from_secs(20)) else { return };
        assert_eq!(held(long_ago, Duration::from_secs(10)).valid_for(), Duration::ZERO);
        let job = held(Instant::now(), Duration::from_secs(10));
        assert!(job.valid_for() > Duration::from_secs(9) && job.valid_for() <= Duration::from_secs(10));
        job.lost();
        assert_eq!((job.valid_for(), job.stop.reason()), (Duration::ZERO, Some(StopReason::LeaseLost)));
    }

    #[test]
    fn only_news_is_told() {
        let job = held(Instant::now(), Duration::from_secs(10));
        assert!(job.beat().progress.is_none());
        job.progress.add(5, 50);
        assert_eq!(job.beat().progress.map(|progress| progress.rows), Some(5));
        assert!(job.beat().progress.is_none());
    }
}
