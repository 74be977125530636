//! What follows an attempt that failed: a pure table, by which the worker acts and a job knows whether it is its last one.
use std::time::Duration;

use crate::{Code, Error, Retry, StopReason};

/// What follows an attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// Nothing: the job is another worker's now.
    Nothing,
    /// The job ends as cancelled.
    Cancel,
    /// The job waits so long, without an attempt spent; if no time is told, as after a first failure.
    HandBack(Option<Duration>),
    /// The job is tried again.
    Retry,
    /// The job ends as failed.
    Fail,
}

impl AfterFailure {
    /// By the error, why the attempt was asked to end, if it was, its number from 1, and how often the job is tried.
    #[must_use]
    pub fn of(error: &Error, stop: Option<StopReason>, attempt: u32, max_attempts: u32) -> Self {
        match (stop, error.retry()) {
            (Some(StopReason::LeaseLost), _) => Self::Nothing,
            (Some(StopReason::Cancelled), _) => Self::Cancel,
            (Some(StopReason::Stopping), _) => Self::HandBack(Some(Duration::ZERO)),
            // The commit was not permitted: the lease was in doubt, which is no fault of the job.
            _ if error.code() == Code::LeaseLost => Self::HandBack(None),
            (_, Retry::Snooze(time)) => Self::HandBack(Some(time)),
            (_, Retry::Backoff) if attempt < max_attempts => Self::Retry,
            (_, Retry::Backoff | Retry::Never) => Self::Fail,
        }
    }

    /// Whether the job ends so.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Cancel | Self::Fail)
    }
}
