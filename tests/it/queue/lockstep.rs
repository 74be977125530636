//! Random events drive one job in a real Redis and in the table of `status.rs` at once; both must agree at every step.
use icehaul_jobs::{
    Event, Status,
    queue::{Claimed, Finished, Outcome},
};
use proptest::prelude::*;
use serde_json::json;

use super::{Bed, bed, failure};

/// What the table does not hold: the counters, and a wish to stop.
struct Model {
    status: Status,
    attempt: u32,
    max: u32,
    cancel: bool,
    lease: Option<Claimed>,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    use Event::*;
    let event = prop_oneof![
        3 => Just(Due), 6 => Just(Claim), 1 => Just(Succeed), 4 => Just(Retry), 2 => Just(Fail), 2 => Just(HandBack),
        2 => Just(Snooze), 3 => Just(LeaseExpired), 1 => Just(Cancel), 3 => Just(RunAgain),
    ];
    proptest::collection::vec(event, 1..40)
}

impl Model {
    /// The event that the table sees: counters and wishes turn some into others.
    fn seen(&self, event: Event) -> Event {
        let ends = matches!(event, Event::Retry | Event::Fail | Event::HandBack | Event::Snooze | Event::LeaseExpired);
        match event {
            _ if ends && self.status == Status::Running && self.cancel => Event::Cancel,
            Event::Retry | Event::LeaseExpired if self.attempt >= self.max => Event::Fail,
            event => event,
        }
    }

    async fn step(&mut self, bed: &mut Bed, id: icehaul_jobs::JobId, event: Event) {
        let seen = self.seen(event);
        let next = self.status.after(seen);
        match event {
            Event::Due => {
                bed.due(id);
                assert!(bed.claim(0).await.is_empty());
            }
            Event::Claim => {
                let given = bed.claim(1).await.pop();
                assert_eq!(given.is_some(), next.is_some(), "claim of a {:?} job", self.status);
                if given.is_some() {
                    self.attempt += 1;
                    self.lease = given;
                }
            }
            Event::Cancel => {
                let answer = bed.queue.cancel(id).await;
                assert_eq!(answer.is_err(), self.status.is_terminal());
                // A running job is only asked; it ends when its worker says so.
                if self.status == Status::Running {
                    self.cancel = true;
                    assert_eq!(answer.expect("asked"), Status::Running);
                    return;
                }
            }
            Event::RunAgain => {
                assert_eq!(bed.queue.retry(id).await.is_ok(), next.is_some());
                if next.is_some() {
                    (self.cancel, self.max) = (false, self.attempt + 2);
                }
            }
            Event::LeaseExpired => {
                let Some(lease) = self.lease.clone() else { return };
                bed.expire(&lease);
                assert!(bed.claim(0).await.is_empty());
                let late = bed.queue.finish(id, lease.epoch, &Outcome::Succeeded(json!({}))).await.expect("late");
                // Only if it was lost: an attempt that has ended before is not ended again, and says so.
                assert_eq!(late == Finished::Fenced, self.status == Status::Running);
                if self.status == Status::Running {
                    self.lease = None;
                }
            }
            Event::Succeed | Event::Retry | Event::Fail | Event::HandBack | Event::Snooze => {
                let Some(lease) = self.lease.clone() else { return };
                let outcome = match event {
                    Event::Succeed => Outcome::Succeeded(json!({})),
                    Event::Retry => Outcome::Retry { error: failure(self.attempt), delay_ms: 3_600_000 },
                    Event::Fail => Outcome::Failed(failure(self.attempt)),
                    Event::HandBack => Outcome::HandBack { reason: None, delay_ms: 0 },
                    _ => Outcome::HandBack { reason: None, delay_ms: 3_600_000 },
                };
                assert_eq!(bed.queue.finish(id, lease.epoch, &outcome).await.expect("finish"), Finished::Recorded);
                if self.status == Status::Running && matches!(seen, Event::HandBack | Event::Snooze) {
                    self.attempt -= 1;
                }
            }
        }
        self.status = next.unwrap_or(self.status);
    }
}

async fn life(events: &[Event]) {
    let mut bed = bed().await;
    let id = bed.enqueue(|job| job.max_attempts = 2).await;
    let mut model = Model { status: Status::Queued, attempt: 0, max: 2, cancel: false, lease: None };
    for (step, event) in events.iter().enumerate() {
        let before = model.status;
        model.step(&mut bed, id, *event).await;
        let job = bed.queue.get(id).await.expect("job");
        let place = format!("step {step}: {event:?} of a {before:?} job, in {events:?}");
        assert_eq!(job.status, model.status, "{place}");
        assert_eq!((job.attempt, job.max_attempts), (model.attempt, model.max), "{place}");
        assert!(job.attempt <= job.max_attempts, "{place}");
        assert_eq!(job.finished_at.is_some(), job.status.is_terminal(), "{place}");
        assert_eq!(bed.counted().await, 1, "{place}");
        assert_eq!(
            bed.queue.stats().await.expect("stats").queue_depth,
            u64::from(job.status == Status::Queued),
            "{place}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn slow_redis_and_the_table_agree(events in events()) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(life(&events));
    }
}
