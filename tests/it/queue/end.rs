//! A job ends exactly once.
use std::time::Duration;

use icehaul_jobs::{
    Code, Status,
    queue::{Beat, Finished, Lease, Outcome, QueueConfig},
};
use serde_json::json;

use super::{bed, bed_with, failure};

#[tokio::test]
async fn a_success_is_recorded_once_and_repeating_it_is_harmless() {
    let bed = bed().await;
    let id = bed.enqueue(|_| ()).await;
    let job = bed.claim_one().await;
    for _ in 0..2 {
        let outcome = Outcome::Succeeded(json!({"rows_loaded": 7}));
        assert_eq!(bed.queue.finish(id, job.epoch, &outcome).await.expect("finish"), Finished::Recorded);
    }
    let document = bed.queue.get(id).await.expect("job");
    assert_eq!((document.status, document.result), (Status::Succeeded, Some(json!({"rows_loaded": 7}))));
    assert!(document.finished_at >= document.started_at && document.attempts[0].ended_at == document.finished_at);
    assert_eq!(bed.counted().await, 1);
    for error in [bed.queue.cancel(id).await.map(|_| ()), bed.queue.retry(id).await] {
        assert_eq!(error.expect_err("it has ended").code(), Code::JobEnded);
    }
}

#[tokio::test]
async fn a_failed_attempt_is_tried_again_until_none_is_left() {
    let mut bed = bed().await;
    let id = bed.enqueue(|job| job.max_attempts = 2).await;
    let first = bed.claim_one().await;
    let retry = |attempt| Outcome::Retry { error: failure(attempt), delay_ms: 60_000 };
    for _ in 0..2 {
        assert_eq!(bed.queue.finish(id, first.epoch, &retry(1)).await.expect("finish"), Finished::Recorded);
    }
    let job = bed.queue.get(id).await.expect("job");
    assert_eq!((job.status, job.attempt), (Status::Retrying, 1));
    assert!(
        job.next_attempt_at.is_some() && job.error == Some(failure(1)) && job.attempts[0].error == Some(failure(1))
    );
    assert!(bed.claim(1).await.is_empty());
    bed.due(id);
    let second = bed.claim_one().await;
    assert_eq!(second.attempt, 2);
    // A worker that would go on for ever is stopped by the script.
    assert_eq!(bed.queue.finish(id, second.epoch, &retry(2)).await.expect("finish"), Finished::Recorded);
    let job = bed.queue.get(id).await.expect("job");
    assert_eq!((job.status, job.attempt, job.error), (Status::Failed, 2, Some(failure(2))));
}

#[tokio::test]
async fn a_hand_back_spends_no_attempt() {
    let mut bed = bed().await;
    let id = bed.enqueue(|job| job.max_attempts = 1).await;
    for delay_ms in [0, 60_000, 0] {
        let job = bed.claim_one().await;
        assert_eq!(job.attempt, 1);
        let outcome = Outcome::HandBack { reason: None, delay_ms };
        for _ in 0..2 {
            assert_eq!(bed.queue.finish(id, job.epoch, &outcome).await.expect("finish"), Finished::Recorded);
        }
        let document = bed.queue.get(id).await.expect("job");
        let status = if delay_ms == 0 { Status::Queued } else { Status::Retrying };
        assert_eq!((document.status, document.attempt, document.attempts.len()), (status, 0, 0));
        bed.due(id);
    }
}

#[tokio::test]
async fn a_waiting_job_is_cancelled_at_once() {
    let mut bed = bed().await;
    let queued = bed.enqueue(|_| ()).await;
    let scheduled = bed.enqueue(|job| job.run_at = Some(chrono::Utc::now() + chrono::Duration::hours(1))).await;
    for id in [queued, scheduled] {
        assert_eq!(bed.queue.cancel(id).await.expect("cancel"), Status::Cancelled);
        assert_eq!(bed.queue.cancel(id).await.expect_err("again").code(), Code::JobEnded);
    }
    bed.due(scheduled);
    assert!(bed.claim(10).await.is_empty());
    let job = bed.queue.get(scheduled).await.expect("job");
    assert!(job.finished_at.is_some() && job.next_attempt_at.is_none());
}

#[tokio::test]
async fn a_running_job_is_asked_to_stop_and_what_has_not_succeeded_is_cancelled() {
    let bed = bed().await;
    let outcomes = [
        (Outcome::Retry { error: failure(1), delay_ms: 1 }, Status::Cancelled),
        (Outcome::HandBack { reason: None, delay_ms: 0 }, Status::Cancelled),
        (Outcome::Failed(failure(1)), Status::Cancelled),
        (Outcome::Cancelled, Status::Cancelled),
        (Outcome::Succeeded(json!({})), Status::Succeeded),
    ];
    for (outcome, end) in outcomes {
        let id = bed.enqueue(|_| ()).await;
        let job = bed.claim_one().await;
        assert_eq!(bed.queue.cancel(id).await.expect("cancel"), Status::Running);
        assert_eq!(bed.queue.cancel(id).await.expect("again"), Status::Running);
        assert!(bed.queue.get(id).await.expect("job").cancel_requested);
        let beat = [Beat { id, epoch: job.epoch, progress: None }];
        assert_eq!(bed.queue.heartbeat("w", 1, false, &beat).await.expect("beat"), [Lease::CancelRequested]);
        assert!(!bed.queue.confirm(id, job.epoch).await.expect("confirm"), "nothing may be committed any more");
        assert_eq!(bed.queue.finish(id, job.epoch, &outcome).await.expect("finish"), Finished::Recorded);
        assert_eq!(bed.status(id).await, end, "{outcome:?}");
    }
    assert!(bed.claim(10).await.is_empty());
}

#[tokio::test]
async fn a_cancelled_job_whose_worker_is_lost_ends_cancelled() {
    let mut bed = bed().await;
    let id = bed.enqueue(|_| ()).await;
    let job = bed.claim_one().await;
    bed.queue.cancel(id).await.expect("cancel");
    bed.expire(&job);
    assert!(bed.claim(1).await.is_empty());
    assert_eq!(bed.status(id).await, Status::Cancelled);

    let id = bed.enqueue(|_| ()).await;
    let job = bed.claim_one().await;
    bed.expire(&job);
    assert_eq!(bed.queue.cancel(id).await.expect("cancel"), Status::Cancelled, "its lease is gone: it ends at once");
    assert_eq!(bed.queue.finish(id, job.epoch, &Outcome::Succeeded(json!({}))).await.expect("late"), Finished::Fenced);
    assert_eq!(bed.status(id).await, Status::Cancelled);
}

#[tokio::test]
async fn a_person_runs_an_ended_job_again_with_all_its_attempts() {
    let bed = bed().await;
    let id = bed.enqueue(|job| job.max_attempts = 2).await;
    assert_eq!(bed.queue.retry(id).await.expect_err("waits").code(), Code::JobNotEnded);
    let job = bed.claim_one().await;
    assert_eq!(bed.queue.retry(id).await.expect_err("runs").code(), Code::JobNotEnded);
    bed.queue.finish(id, job.epoch, &Outcome::Failed(failure(1))).await.expect("finish");
    bed.queue.retry(id).await.expect("again");
    let document = bed.queue.get(id).await.expect("job");
    assert_eq!((document.status, document.attempt, document.max_attempts), (Status::Queued, 1, 3));
    assert!(document.error.is_none() && document.finished_at.is_none() && !document.cancel_requested);
    let job = bed.claim_one().await;
    assert_eq!((job.attempt, job.payload.as_str()), (2, "{}"));
    bed.queue.cancel(id).await.expect("cancel");
    bed.queue.finish(id, job.epoch, &Outcome::Cancelled).await.expect("finish");
    bed.queue.retry(id).await.expect("a cancelled one too");
    let job = bed.claim_one().await;
    bed.queue.finish(id, job.epoch, &Outcome::Succeeded(json!({}))).await.expect("finish");
    assert_eq!(bed.queue.get(id).await.expect("job").attempts.len(), 3);
}

#[tokio::test]
async fn ended_jobs_are_forgotten_whole_after_the_retention() {
    let mut bed = bed_with(QueueConfig { retention_seconds: 0.0, ..QueueConfig::default() }).await;
    let id = bed
        .enqueue(|job| {
            job.table = Some("a.b".into());
            job.labels.insert("x".into(), "y".into());
        })
        .await;
    let job = bed.claim_one().await;
    assert_eq!(bed.queue.sweep().await.expect("sweep"), 0, "a running job is kept");
    bed.queue.finish(id, job.epoch, &Outcome::Failed(failure(1))).await.expect("finish");
    bed.queue.retry(id).await.expect("again");
    assert_eq!(bed.queue.sweep().await.expect("sweep"), 0, "one that was run again is kept");
    let job = bed.claim_one().await;
    bed.queue.finish(id, job.epoch, &Outcome::Succeeded(json!({}))).await.expect("finish");
    assert_eq!(bed.queue.sweep().await.expect("sweep"), 1);
    assert!(matches!(bed.queue.get(id).await.expect_err("gone").code(), Code::JobNotFound | Code::JobExpired));
    let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut bed.raw).expect("keys");
    keys.retain(|key| {
        key.contains(&id.to_string()) || key.contains("table:") || key.contains("label:") || key.contains("jobs:")
    });
    assert_eq!(keys, Vec::<String>::new());
}

#[tokio::test]
async fn waiting_for_the_end_is_woken_by_it() {
    let bed = bed().await;
    let id = bed.enqueue(|_| ()).await;
    let job = bed.queue.wait(id, Duration::from_millis(50)).await.expect("wait");
    assert_eq!(job.status, Status::Queued);
    let queue = bed.queue.clone();
    let waits: Vec<_> = (0..5)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.wait(id, Duration::from_secs(30)).await })
        })
        .collect();
    let started = std::time::Instant::now();
    let job = bed.claim_one().await;
    bed.queue.finish(id, job.epoch, &Outcome::Succeeded(json!({}))).await.expect("finish");
    for wait in waits {
        assert_eq!(wait.await.expect("task").expect("wait").status, Status::Succeeded);
    }
    assert!(started.elapsed() < Duration::from_secs(5));
}
