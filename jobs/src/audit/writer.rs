//! The writer: takes what waits on the stream, chains it, and commits it to the table. Any number may run.
use std::time::{Duration, Instant};

use icehaul_lake::failpoint;
use tokio::time::{MissedTickBehavior, interval};

use super::{AuditConfig, Record, Trail, table::Head};
use crate::{Code, Error, Result};

/// The most events in one snapshot; so many do not wait for the interval either.
const BATCH: usize = 5000;
/// How long a writer may take before another one tries too.
const TURN_MS: u64 = 3_000;

/// Writes the trail.
pub struct Writer {
    trail: Trail,
    pause: Duration,
}

impl Writer {
    /// A writer as configured.
    #[must_use]
    pub fn new(trail: Trail, config: &AuditConfig) -> Self {
        Self { trail, pause: Duration::from_secs_f64(config.interval_seconds.clamp(0.05, 86_400.0)) }
    }

    /// Writes whatever comes, for ever. Failures are logged, and tried again.
    pub async fn run(self) {
        let mut ticks = interval(self.pause.min(Duration::from_secs(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut last, mut told) = (Instant::now(), None);
        loop {
            ticks.tick().await;
            let due = last.elapsed() >= self.pause;
            let waiting = self.trail.queue.audit_waiting().await.unwrap_or(0);
            if waiting == 0 || !(due || waiting >= BATCH) {
                continue;
            }
            last = Instant::now();
            match self.drain().await {
                Ok(()) => told = None,
                // Once for each kind of failure: it is tried again every interval.
                Err(error) if told != Some(error.code()) => {
                    tracing::error!(code = error.code().as_str(), waiting, "the audit trail is not written: {error}");
                    told = Some(error.code());
                }
                Err(_) => {}
            }
        }
    }

    /// Writes all that waits.
    ///
    /// # Errors
    /// Redis or the catalog is away; [`Code::CommitConflict`] if the table lacks records that were written.
    pub async fn drain(&self) -> Result<()> {
        if !self.trail.queue.audit_turn(TURN_MS).await? {
            return Ok(());
        }
        let drained = self.drain_all().await;
        self.trail.queue.audit_turn_over().await?;
        drained
    }

    async fn drain_all(&self) -> Result<()> {
        let (queue, lake) = (&self.trail.queue, self.trail.lakes.get(None)?);
        let name = queue.audit_name().await?;
        loop {
            // Redis is asked first: what it knows of is in the table by the time that the table is looked at.
            let (known, _) = queue.audit_head().await?;
            let head = Head::load(lake).await?;
            if head.seq < known {
                return Err(behind(head.seq, known));
            }
            // A writer that was killed between its commit and this has left events that are in the table.
            queue.audit_written((head.seq, &head.hash), head.written(&name)).await?;
            failpoint::hit("audit.trimmed").await?;
            let events = queue.audit_events(head.written(&name), BATCH).await?;
            let mut records: Vec<Record> = Vec::with_capacity(events.len());
            for event in &events {
                let last = records.last().map_or((head.seq, &*head.hash), |last| {
                    (last.seq.unwrap_or_default(), last.hash.as_deref().unwrap_or_default())
                });
                records.push(Record::waiting(&name, event).chain(last));
            }
            if records.is_empty() {
                return Ok(());
            }
            if head.append(lake, &name, &records).await? {
                failpoint::hit("audit.committed").await?;
            }
        }
    }
}

fn behind(table: u64, known: u64) -> Error {
    let message = format!(
        "the newest record of `icehaul.audit` is {table}, but {known} were written: the table was dropped, replaced or set \
         back. Nothing more is written until it is restored, or a new chain is begun (docs/audit.md)"
    );
    Error::new(Code::CommitConflict, message)
}
