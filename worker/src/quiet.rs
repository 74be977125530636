//! Logging of what fails again and again: the first time, then once a minute.
use std::time::{Duration, Instant};

use icehaul_jobs::Error;

/// Remembers when it has spoken last.
#[derive(Default)]
pub(crate) struct Quiet {
    last: Option<Instant>,
    silent: u64,
}

impl Quiet {
    /// Logs, unless it has within the last minute.
    pub(crate) fn warn(&mut self, what: &str, error: &Error) {
        if self.last.is_some_and(|last| last.elapsed() < Duration::from_secs(60)) {
            self.silent += 1;
            return;
        }
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(error = %error, cause, repeated = self.silent, "{what}");
        *self = Self { last: Some(Instant::now()), silent: 0 };
    }
}
