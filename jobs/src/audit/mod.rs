//! The audit trail: what was done, by whom and with what outcome, as hash-chained rows of the table `icehaul.audit`.
//!
//! The queue's scripts note events on a stream of Redis; the [`Writer`] chains them and commits them to the table;
//! [`verify`] checks the chain, [`find`] answers questions. `docs/audit.md` is the specification.
mod find;
mod record;
mod table;
mod verify;
mod writer;

use icehaul_lake::Lakes;
use serde::{Deserialize, Serialize};

pub use find::{Page, Question, find};
pub use record::{Record, START};
pub use verify::{Verified, verify};
pub use writer::Writer;

use crate::queue::Queue;

/// The namespace that no job may write to.
pub const NAMESPACE: &str = "icehaul";

/// The audit's part of the configuration (`audit`).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// Whether a trail is kept.
    pub enabled: bool,
    /// How long events wait in Redis before they are written to the table, in seconds; every time makes a snapshot.
    pub interval_seconds: f64,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { enabled: true, interval_seconds: 60.0 }
    }
}

/// Where the trail is: the events that wait, and the default catalog with the table.
#[derive(Clone)]
pub struct Trail {
    /// The queue.
    pub queue: Queue,
    /// The catalogs.
    pub lakes: Lakes,
}
