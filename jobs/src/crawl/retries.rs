//! When a page is asked for again; pure, but for chance and the clock that dates are compared with.
use std::time::{Duration, SystemTime};

use super::retry_after;
use crate::{
    Code,
    http::{HeaderMap, header},
};

/// How often a fault is tried again, and how often we come back when told to.
const MOST_TRIES: u32 = 3;
const MOST_PAUSES: u32 = 6;
/// The longest wait before the first further try; it doubles.
const FIRST: Duration = Duration::from_millis(500);
/// The least and the most time for which a host is left alone when it asks for that.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(24 * 3600)];

/// What to do before the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Wait.
    After(Duration),
    /// Leave the host alone, all of us.
    Pause(Duration),
}

/// What was tried so far for one page.
#[derive(Debug, Default)]
pub(super) struct Retries {
    tries: u32,
    pauses: u32,
}

impl Retries {
    /// After a status other than success; `None` if coming again is of no use.
    pub(super) fn after_status(&mut self, status: u16, headers: &HeaderMap) -> Option<Again> {
        let told = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let told = told.and_then(|value| retry_after::parse(value, SystemTime::now()));
        match (status, told) {
            (429 | 503, Some(time)) => self.pause(time),
            (429, None) => {
                let time = FIRST.saturating_mul(4 << self.pauses.min(10));
                self.pause(time)
            }
            (408 | 500.., _) => self.wait(),
            _ => None,
        }
    }

    /// After a failure without an answer.
    pub(super) fn after_fault(&mut self, code: Code) -> Option<Again> {
        match code {
            Code::SourceUnreachable | Code::SourceInterrupted | Code::Truncated => self.wait(),
            _ => None,
        }
    }

    fn pause(&mut self, time: Duration) -> Option<Again> {
        self.pauses += 1;
        (self.pauses <= MOST_PAUSES).then(|| Again::Pause(time.clamp(PAUSES[0], PAUSES[1])))
    }

    /// Full jitter: those who failed together do not come back together.
    fn wait(&mut self) -> Option<Again> {
        self.tries += 1;
        let longest = FIRST * (1 << (self.tries - 1).min(10));
        (self.tries <= MOST_TRIES).then(|| Again::After(longest.mul_f64(rand::random())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(status: u16, retry_after: Option<&'static str>) -> Vec<Option<Again>> {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            crate::http::add_header(&mut headers, "retry-after", value);
        }
        let mut retries = Retries::default();
        (0..8).map(|_| retries.after_status(status, &headers)).collect()
    }

    #[test]
    fn a_site_says_when_to_come_again() {
        let seconds = |n| Some(Again::Pause(Duration::from_secs(n)));
        assert_eq!(after(429, Some("7"))[..7], [vec![seconds(7); 6], vec![None]].concat());
        assert_eq!(after(503, Some("0"))[0], Some(Again::Pause(PAUSES[0])));
        assert_eq!(after(429, Some("99999999999"))[0], Some(Again::Pause(PAUSES[1])));
        assert_eq!(after(503, Some("Sun, 06 Nov 1994 08:49:37 GMT"))[0], Some(Again::Pause(PAUSES[0])), "long ago");
        assert_eq!(after(429, None)[..3], [seconds(2), seconds(4), seconds(8)]);
    }

    #[test]
    fn failures_are_tried_again_a_few_times() {
        for waits in [after(500, None), after(503, None), after(408, Some("7")), after(599, None)] {
            let longest = [500, 1000, 2000].map(Duration::from_millis);
            for (wait, longest) in waits.iter().zip(longest) {
                assert!(matches!(wait, Some(Again::After(time)) if *time <= longest), "{waits:?}");
            }
            assert!(waits[3..].iter().all(Option::is_none), "{waits:?}");
        }
        for status in [400, 401, 403, 404, 418, 304, 302] {
            assert_eq!(after(status, Some("1"))[0], None, "{status}");
        }
        let mut retries = Retries::default();
        assert!(retries.after_fault(Code::SourceInterrupted).is_some());
        assert_eq!(retries.after_fault(Code::EgressBlocked), None);
        assert_eq!(retries.after_fault(Code::SourceTimeout), None, "it had all its time");
    }
}
