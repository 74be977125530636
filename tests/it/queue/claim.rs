//! Who gets which job, when, and what becomes of a lease.
use std::time::{Duration, Instant};

use chrono::Utc;
use icehaul_jobs::{
    Code, Status,
    queue::{Beat, Finished, JobFilter, Lease, Outcome},
    spec::Priority,
};
use serde_json::json;

use super::{bed, failure, key};

#[tokio::test]
async fn priority_first_then_first_in_first_out() {
    let bed = bed().await;
    let mut expected = Vec::new();
    for priority in [Priority::Low, Priority::Normal, Priority::High] {
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(bed.enqueue(|job| job.priority = priority).await);
        }
        ids.append(&mut expected);
        expected = ids;
    }
    let mut given = Vec::new();
    for _ in 0..12 {
        given.extend(bed.claim(5).await.iter().map(|job| job.id));
    }
    assert_eq!(given, expected);
    assert!(bed.claim(5).await.is_empty());
}

#[tokio::test]
async fn a_claim_counts_the_attempt_and_names_the_worker() {
    let bed = bed().await;
    let id = bed.enqueue(|job| job.payload = "what to do".into()).await;
    let job = bed.claim_as("worker-7", 1).await.remove(0);
    assert_eq!((job.id, job.epoch, job.attempt, job.max_attempts), (id, 1, 1, 3));
    assert_eq!((job.kind.as_str(), job.payload.as_str()), ("test", "what to do"));
    let document = bed.queue.get(id).await.expect("job");
    assert_eq!((document.status, document.attempt), (Status::Running, 1));
    assert_eq!(document.attempts[0].worker, "worker-7");
    assert_eq!(document.started_at, Some(document.attempts[0].started_at));
}

#[tokio::test]
async fn a_repeated_claim_gives_the_same_jobs_and_counts_once() {
    let bed = bed().await;
    for _ in 0..5 {
        bed.enqueue(|_| ()).await;
    }
    let ids =
        |claim: &icehaul_jobs::queue::Claim| claim.jobs.iter().map(|j| (j.id, j.epoch, j.attempt)).collect::<Vec<_>>();
    let first = bed.queue.claim("w", 3, "request-1").await.expect("claim");
    let again = bed.queue.claim("w", 3, "request-1").await.expect("claim");
    assert_eq!((ids(&first).len(), ids(&first)), (3, ids(&again)));
    assert_eq!(
        bed.queue.finish(first.jobs[0].id, 1, &Outcome::Succeeded(json!(null))).await.expect("end"),
        Finished::Recorded
    );
    let rest = bed.queue.claim("w", 3, "request-1").await.expect("claim");
    assert_eq!(ids(&rest), ids(&first)[1..]);
    assert_eq!(bed.queue.claim("w", 3, "request-2").await.expect("claim").jobs.len(), 2);
}

#[tokio::test]
async fn a_delayed_job_starts_when_its_time_comes() {
    let mut bed = bed().await;
    let soon = bed.enqueue(|job| job.run_at = Some(Utc::now() + chrono::Duration::milliseconds(150))).await;
    let later = bed.enqueue(|job| job.run_at = Some(Utc::now() + chrono::Duration::hours(1))).await;
    let past = bed.enqueue(|job| job.run_at = Some(Utc::now() - chrono::Duration::hours(1))).await;
    assert_eq!(bed.status(soon).await, Status::Scheduled);
    assert!(bed.queue.get(later).await.expect("job").next_attempt_at.is_some());
    assert_eq!(bed.claim(10).await[0].id, past);
    let claim = bed.queue.claim("w", 1, "r").await.expect("claim");
    assert!(claim.jobs.is_empty() && claim.next_due_ms <= 150, "{}", claim.next_due_ms);
    let started = Instant::now();
    let job = loop {
        if let Some(job) = bed.claim(1).await.pop() {
            break job;
        }
        assert!(started.elapsed() < Duration::from_secs(5));
        bed.queue.wake(Duration::from_millis(20)).await.expect("wake");
    };
    assert_eq!(job.id, soon);
    bed.due(later);
    assert_eq!(bed.claim_one().await.id, later);
    assert_eq!(bed.queue.get(later).await.expect("job").next_attempt_at, None);
}

#[tokio::test]
async fn a_silent_worker_loses_its_job_and_its_late_words_are_void() {
    let mut bed = bed().await;
    let id = bed.enqueue(|_| ()).await;
    bed.enqueue(|_| ()).await;
    let lost = bed.claim(1).await.remove(0);
    bed.expire(&lost);
    let taken = bed.claim_as("v", 1).await.remove(0);
    assert_eq!((taken.id, taken.attempt), (id, 2), "taken over before those that wait");
    assert!(taken.epoch > lost.epoch);
    let beat = |epoch| [Beat { id, epoch, progress: None }];
    assert_eq!(bed.queue.heartbeat("w", 1, false, &beat(lost.epoch)).await.expect("beat"), [Lease::Lost]);
    assert!(!bed.queue.confirm(id, lost.epoch).await.expect("confirm"));
    for outcome in
        [Outcome::Succeeded(json!(1)), Outcome::Failed(failure(1)), Outcome::HandBack { reason: None, delay_ms: 0 }]
    {
        assert_eq!(bed.queue.finish(id, lost.epoch, &outcome).await.expect("finish"), Finished::Fenced);
    }
    assert!(bed.queue.confirm(id, taken.epoch).await.expect("confirm"));
    assert_eq!(bed.queue.heartbeat("v", 1, false, &beat(taken.epoch)).await.expect("beat"), [Lease::Held]);
    let job = bed.queue.get(id).await.expect("job");
    assert_eq!(job.attempts[0].error.as_ref().map(|e| e.code), Some(Code::WorkerLost));
    assert!(job.attempts[0].ended_at.is_some() && job.attempts[1].ended_at.is_none());
}

#[tokio::test]
async fn a_job_that_kills_its_workers_fails_once_its_attempts_are_used_up() {
    let mut bed = bed().await;
    let id = bed.enqueue(|job| job.max_attempts = 3).await;
    for attempt in 1..=3 {
        let job = bed.claim_one().await;
        assert_eq!(job.attempt, attempt);
        bed.expire(&job);
    }
    assert!(bed.claim(1).await.is_empty());
    let job = bed.queue.get(id).await.expect("job");
    assert_eq!((job.status, job.attempt), (Status::Failed, 3));
    assert_eq!(job.error.map(|e| (e.code, e.attempt)), Some((Code::WorkerLost, 3)));
    let events = bed.queue.events(id, None, Duration::ZERO).await.expect("events");
    assert_eq!(events.iter().filter(|e| e.data["status"] == "failed").count(), 1);
}

#[tokio::test]
async fn the_sweeper_takes_over_while_all_workers_are_busy() {
    let mut bed = bed().await;
    let id = bed.enqueue(|job| job.max_attempts = 1).await;
    let job = bed.claim_one().await;
    bed.expire(&job);
    bed.queue.sweep().await.expect("sweep");
    assert_eq!(bed.status(id).await, Status::Failed);
}

#[tokio::test]
async fn after_redis_was_away_every_lease_is_held_for_one_more() {
    let mut bed = bed().await;
    let id = bed.enqueue(|_| ()).await;
    let job = bed.claim_one().await;
    // Nobody has reached Redis for longer than a lease: that was Redis, not the worker.
    bed.expire(&job);
    redis::cmd("HSET").arg(key("seen")).arg("at").arg(1000).exec(&mut bed.raw).expect("seen");
    assert!(bed.claim_as("v", 1).await.is_empty());
    assert_eq!(bed.queue.cancel(id).await.expect("cancel"), Status::Running, "held: asked to stop, not ended");
    let beat = [Beat { id, epoch: job.epoch, progress: None }];
    assert_eq!(bed.queue.heartbeat("w", 1, false, &beat).await.expect("beat"), [Lease::CancelRequested]);
}

#[tokio::test]
async fn a_heartbeat_renews_tells_progress_and_makes_the_worker_known() {
    let mut bed = bed().await;
    let id = bed.enqueue(|_| ()).await;
    let job = bed.claim_one().await;
    let member = format!("{id}:{}", job.epoch);
    let before = bed.score("leases", &member).expect("lease");
    let progress = icehaul_jobs::ProgressSnapshot { phase: "reading".into(), rows: 12, ..Default::default() };
    let beats = [Beat { id, epoch: job.epoch, progress: Some(progress.clone()) }];
    while bed.score("leases", &member).expect("lease") <= before {
        assert_eq!(bed.queue.heartbeat("w", 4, false, &beats).await.expect("beat"), [Lease::Held]);
    }
    assert_eq!(bed.queue.get(id).await.expect("job").progress, Some(progress));
    let workers = bed.queue.stats().await.expect("stats").workers;
    assert_eq!((workers[0].id.as_str(), workers[0].slots, workers[0].running.as_slice()), ("w", 4, [id].as_slice()));
    bed.queue.leave("w").await.expect("leave");
    assert!(bed.queue.stats().await.expect("stats").workers.is_empty());
}

#[tokio::test]
async fn heartbeats_of_a_thousand_jobs_answer_in_order() {
    let bed = bed().await;
    let mut beats = Vec::new();
    for _ in 0..1000 {
        bed.enqueue(|_| ()).await;
    }
    while let Some(job) = bed.claim(100).await.into_iter().next_back() {
        beats.push(Beat { id: job.id, epoch: job.epoch, progress: None });
        beats.extend((0..99).map(|_| Beat { id: uuid::Uuid::now_v7(), epoch: 1, progress: None }));
    }
    let leases = bed.queue.heartbeat("w", 1000, false, &beats).await.expect("beat");
    assert_eq!(leases.len(), 1000);
    assert!(leases.iter().enumerate().all(|(i, lease)| (*lease == Lease::Held) == (i % 100 == 0)));
}

#[tokio::test]
async fn slow_twenty_thousand_waiting_and_as_many_due_at_once_do_no_harm() {
    let bed = bed().await;
    let at = Utc::now() + chrono::Duration::seconds(3);
    let calls = (0..16).map(|part| {
        let queue = bed.queue.clone();
        tokio::spawn(async move {
            for i in 0..2500 {
                let mut job = super::new_job();
                job.run_at = (i % 2 == part % 2).then_some(at);
                queue.enqueue(&job).await.expect("enqueue");
            }
        })
    });
    futures::future::join_all(calls).await.into_iter().for_each(|call| call.expect("call"));
    assert_eq!(bed.counted().await, 40_000);
    while bed.queue.now().await.expect("now") < at {
        bed.queue.wake(Duration::from_millis(100)).await.expect("wake");
    }
    let mut seen = std::collections::HashSet::new();
    let started = Instant::now();
    loop {
        let round = Instant::now();
        let jobs = bed.claim(64).await;
        assert!(round.elapsed() < Duration::from_secs(1), "one claim holds Redis up for {:?}", round.elapsed());
        if jobs.is_empty() {
            break;
        }
        for job in jobs {
            assert!(seen.insert(job.id) && job.attempt == 1);
            bed.queue.finish(job.id, job.epoch, &Outcome::Succeeded(json!({}))).await.expect("finish");
        }
    }
    assert_eq!(seen.len(), 40_000);
    assert_eq!(bed.queue.stats().await.expect("stats").statuses["succeeded"], 40_000);
    assert!(started.elapsed() < Duration::from_secs(120));
}

#[tokio::test]
async fn a_wake_up_is_not_lost() {
    let bed = bed().await;
    for _ in 0..50 {
        assert!(bed.claim(1).await.is_empty());
        let queue = bed.queue.clone();
        let sleeper = tokio::spawn(async move { queue.wake(Duration::from_secs(10)).await });
        let started = Instant::now();
        bed.enqueue(|_| ()).await;
        sleeper.await.expect("sleeper").expect("wake");
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        bed.claim_one().await;
    }
}

#[tokio::test]
async fn damaged_records_stop_nobody_else() {
    let mut bed = bed().await;
    let ids = [bed.enqueue(|_| {}).await, bed.enqueue(|_| {}).await, bed.enqueue(|_| {}).await];
    let record = |id: &str| key(&format!("job:{id}"));
    let _: () = redis::cmd("HSET")
        .arg(record(&ids[1].to_string()))
        .arg("head")
        .arg("no JSON")
        .query(&mut bed.raw)
        .expect("damage");
    let whole: Vec<(String, String)> =
        redis::cmd("HGETALL").arg(record(&ids[0].to_string())).query(&mut bed.raw).expect("a record");
    let _: () = redis::cmd("HSET").arg(record("no-uuid")).arg(&whole).query(&mut bed.raw).expect("a copy");
    let _: () = redis::cmd("ZADD").arg(key("ready:normal")).arg(0).arg("no-uuid").query(&mut bed.raw).expect("queued");
    let claimed: Vec<_> = bed.claim(10).await.into_iter().map(|job| job.id).collect();
    assert_eq!(claimed, [ids[0], ids[2]]);
    let listed = bed.queue.list(&JobFilter::default(), 10, None).await.expect("a list");
    assert_eq!(listed.jobs.iter().map(|job| job.job_id).collect::<Vec<_>>(), [ids[2], ids[0]]);
    assert!(bed.queue.get(ids[1]).await.is_err(), "asked for by its id it is not hidden");
}
