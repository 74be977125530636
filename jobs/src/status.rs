//! A job's life: its states and the moves between them. Pure; the queue's scripts and the tests follow this table.
use serde::{Deserialize, Serialize};

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Has a start in the future.
    Scheduled,
    /// Waits for a worker.
    Queued,
    /// A worker holds its lease.
    Running,
    /// Waits for its next attempt.
    Retrying,
    /// Ended: done.
    Succeeded,
    /// Ended: given up.
    Failed,
    /// Ended: stopped by a person.
    Cancelled,
}

/// What can happen to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its time has come (`run_at`, or the end of a backoff).
    Due,
    /// A worker takes it.
    Claim,
    /// Its attempt ended well.
    Succeed,
    /// Its attempt failed and another one follows.
    Retry,
    /// Its attempt failed for good, or no attempt is left.
    Fail,
    /// It is handed back without spending an attempt (drain).
    HandBack,
    /// It is handed back without spending an attempt, and waits for a time (rate limits).
    Snooze,
    /// Its worker's lease ran out and attempts are left.
    LeaseExpired,
    /// A person stops it.
    Cancel,
    /// A person runs it again.
    RunAgain,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 7] =
        [Self::Scheduled, Self::Queued, Self::Running, Self::Retrying, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The status' spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads a status' spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether the job has ended. It enters such a status once, unless a person runs it again.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// Where the event leads; `None` if it is not legal here.
    #[must_use]
    pub const fn after(self, event: Event) -> Option<Self> {
        use Event as E;
        use Status as S;
        Some(match (self, event) {
            (S::Scheduled | S::Retrying, E::Due) => S::Queued,
            (S::Queued, E::Claim) => S::Running,
            (S::Running, E::Succeed) => S::Succeeded,
            (S::Running, E::Retry | E::Snooze) => S::Retrying,
            (S::Running, E::Fail) => S::Failed,
            (S::Running, E::HandBack) => S::Queued,
            (S::Running, E::LeaseExpired) => S::Queued,
            (S::Scheduled | S::Queued | S::Running | S::Retrying, E::Cancel) => S::Cancelled,
            (S::Failed | S::Cancelled, E::RunAgain) => S::Queued,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event() -> impl Strategy<Value = Event> {
        use Event::*;
        proptest::sample::select(vec![
            Due,
            Claim,
            Succeed,
            Retry,
            Fail,
            HandBack,
            Snooze,
            LeaseExpired,
            Cancel,
            RunAgain,
        ])
    }

    proptest! {
        #[test]
        fn only_a_person_wakes_an_ended_job(events in proptest::collection::vec(event(), 0..60)) {
            let mut status = Status::Queued;
            for event in events {
                if let Some(next) = status.after(event) {
                    prop_assert!(!status.is_terminal() || event == Event::RunAgain);
                    prop_assert!(status != Status::Succeeded);
                    status = next;
                }
            }
        }
    }

    #[test]
    fn spelling_round_trips() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
            assert_eq!(serde_json::to_value(status).ok(), Some(status.as_str().into()));
        }
    }
}
