//! What follows from how an attempt ended: a pure table.
use std::time::Duration;

use icehaul_jobs::{
    AfterFailure, Error, Result, StopReason,
    queue::{JobError, Outcome},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// So long a wait is told with its reason.
const LONG: Duration = Duration::from_secs(10);

/// The wait before the next attempt: exponential with full jitter, so that jobs which failed together do not come back
/// together.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backoff {
    /// The longest wait after the first attempt, in seconds; it doubles with each further one.
    pub base_seconds: f64,
    /// The longest wait of all, in seconds.
    pub cap_seconds: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base_seconds: 1.0, cap_seconds: 300.0 }
    }
}

impl Backoff {
    /// The wait in milliseconds; `random` is from 0 to 1.
    #[must_use]
    pub fn delay_ms(&self, attempt: u32, random: f64) -> u64 {
        let doublings = attempt.saturating_sub(1).min(60);
        let longest = (self.base_seconds * 2f64.powi(doublings as i32)).min(self.cap_seconds);
        (longest * random.clamp(0.0, 1.0) * 1000.0) as u64
    }
}

/// How an attempt ended, and in which place.
pub struct Ended<'a> {
    /// What the job gave.
    pub result: &'a Result<Value>,
    /// Why it was asked to end, if it was.
    pub stop: Option<StopReason>,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// How often the job is tried.
    pub max_attempts: u32,
}

/// What the queue is told; `None` for nothing, because the job is another worker's now.
#[must_use]
pub fn outcome(ended: &Ended<'_>, backoff: &Backoff, random: f64) -> Option<Outcome> {
    // What is done is done, whatever was asked meanwhile; a lost lease is for the queue to see.
    let error = match ended.result {
        Ok(result) => return Some(Outcome::Succeeded(result.clone())),
        Err(error) => error,
    };
    Some(match AfterFailure::of(error, ended.stop, ended.attempt, ended.max_attempts) {
        AfterFailure::Nothing => return None,
        AfterFailure::Cancel => Outcome::Cancelled,
        AfterFailure::HandBack(time) => {
            // Why it waits, where a person could wonder.
            let reason = time.filter(|time| *time >= LONG).map(|_| of(error, ended));
            Outcome::HandBack { reason, delay_ms: time.map_or_else(|| backoff.delay_ms(1, random), millis) }
        }
        AfterFailure::Retry => {
            Outcome::Retry { error: of(error, ended), delay_ms: backoff.delay_ms(ended.attempt, random) }
        }
        AfterFailure::Fail => Outcome::Failed(of(error, ended)),
    })
}

fn of(error: &Error, ended: &Ended<'_>) -> JobError {
    JobError::of(error, ended.attempt)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use icehaul_jobs::{Code, Retry};

    use super::*;

    const BACKOFF: Backoff = Backoff { base_seconds: 1.0, cap_seconds: 10.0 };

    fn told(result: Result<Value>, stop: Option<StopReason>, attempt: u32) -> String {
        match outcome(&Ended { result: &result, stop, attempt, max_attempts: 3 }, &BACKOFF, 1.0) {
            None => "nothing".into(),
            Some(Outcome::Succeeded(value)) => format!("succeeded {value}"),
            Some(Outcome::Retry { error, delay_ms }) => format!("retry {} in {delay_ms}", error.code.as_str()),
            Some(Outcome::Failed(error)) => format!("failed {} at {}", error.code.as_str(), error.attempt),
            Some(Outcome::HandBack { reason, delay_ms }) => {
                format!(
                    "hand back for {delay_ms}{}",
                    reason.map_or(String::new(), |reason| format!(" {}", reason.code.as_str()))
                )
            }
            Some(Outcome::Cancelled) => "cancelled".into(),
        }
    }

    #[test]
    fn the_table() {
        use StopReason::*;
        let error = |code| Err(Error::new(code, "why"));
        let snooze = |seconds| {
            let retry = Retry::Snooze(Duration::from_secs(seconds));
            Err(Error::new(Code::SourceUnreachable, "busy").with_retry(retry))
        };
        for (result, stop, attempt, expected) in [
            (Ok(1.into()), None, 1, "succeeded 1"),
            (Ok(1.into()), Some(Cancelled), 1, "succeeded 1"),
            (Ok(1.into()), Some(LeaseLost), 1, "succeeded 1"),
            (error(Code::SourceUnreachable), None, 1, "retry source_unreachable in 1000"),
            (error(Code::SourceUnreachable), None, 2, "retry source_unreachable in 2000"),
            (error(Code::SourceUnreachable), None, 3, "failed source_unreachable at 3"),
            (error(Code::QueryError), None, 1, "failed query_error at 1"),
            (error(Code::UnreadablePayload), None, 1, "failed unreadable_payload at 1"),
            (error(Code::Panicked), None, 1, "retry panicked in 1000"),
            (error(Code::Timeout), Some(Timeout), 1, "retry timeout in 1000"),
            (error(Code::Timeout), Some(Timeout), 3, "failed timeout at 3"),
            (error(Code::WorkerStopping), Some(Stopping), 3, "hand back for 0"),
            (error(Code::SourceInterrupted), Some(Stopping), 3, "hand back for 0"),
            (error(Code::Cancelled), Some(Cancelled), 1, "cancelled"),
            (error(Code::SourceInterrupted), Some(Cancelled), 1, "cancelled"),
            (error(Code::LeaseLost), Some(LeaseLost), 1, "nothing"),
            (error(Code::LeaseLost), None, 3, "hand back for 1000"),
            (snooze(2), None, 3, "hand back for 2000"),
            (snooze(60), None, 3, "hand back for 60000 source_unreachable"),
        ] {
            let case = format!("{result:?} {stop:?} {attempt}");
            assert_eq!(told(result, stop, attempt), expected, "{case}");
        }
    }

    #[test]
    fn the_wait_doubles_up_to_the_cap_and_is_spread() {
        let waits: Vec<_> = (1..7).map(|attempt| BACKOFF.delay_ms(attempt, 1.0)).collect();
        assert_eq!(waits, [1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(BACKOFF.delay_ms(3, 0.25), 1000);
        assert_eq!(BACKOFF.delay_ms(u32::MAX, 1.0), 10_000);
        assert_eq!(BACKOFF.delay_ms(1, 0.0), 0);
    }
}
