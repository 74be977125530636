//! A job is accepted once.
use std::time::Duration;

use chrono::Utc;
use icehaul_jobs::{
    Code, Status,
    queue::{Accepted, Queue, QueueConfig},
    spec::Priority,
};
use serde_json::json;
use uuid::Uuid;

use super::{bed, bed_with, new_job};

#[tokio::test]
async fn the_document_shows_what_was_accepted() {
    let bed = bed().await;
    let id = bed
        .enqueue(|job| {
            job.kind = "load.postgres".into();
            job.table = Some("staging.orders".into());
            job.spec = json!({"host": "db", "password": "***"});
            job.priority = Priority::High;
            job.labels.insert("team".into(), "sales".into());
        })
        .await;
    let job = bed.queue.get(id).await.expect("job");
    assert_eq!((job.job_id, job.kind.as_str(), job.status), (id, "load.postgres", Status::Queued));
    assert_eq!((job.attempt, job.max_attempts, job.priority), (0, 3, Priority::High));
    assert_eq!(job.table.as_deref(), Some("staging.orders"));
    assert_eq!(job.spec, json!({"host": "db", "password": "***"}));
    assert_eq!(job.labels["team"], "sales");
    assert!((Utc::now() - job.created_at).num_seconds().abs() < 5);
    assert!(job.started_at.is_none() && job.finished_at.is_none() && job.attempts.is_empty());
}

#[tokio::test]
async fn a_repeated_call_adds_nothing() {
    let bed = bed().await;
    let job = new_job();
    assert!(matches!(bed.queue.enqueue(&job).await.expect("first"), Accepted::New(_)));
    assert!(matches!(bed.queue.enqueue(&job).await.expect("again"), Accepted::New(_)));
    assert_eq!(bed.counted().await, 1);
    assert_eq!(bed.claim(10).await.len(), 1);
    assert!(matches!(bed.queue.enqueue(&job).await.expect("late"), Accepted::New(_)));
    assert_eq!(bed.status(job.id).await, Status::Running);
}

#[tokio::test]
async fn slow_a_job_whose_caller_has_given_up_is_not_accepted_later() {
    let mut bed = bed().await;
    bed.enqueue(|_| ()).await;
    redis::cmd("CLIENT").arg("PAUSE").arg(7000).arg("WRITE").exec(&mut bed.raw).expect("pause");
    let mut job = new_job();
    job.table = Some("raw.orders".into());
    let error = bed.queue.enqueue(&job).await.expect_err("no answer");
    assert_eq!(error.code(), Code::QueueUnavailable);
    assert!(error.message().contains("icehaul jobs list --table raw.orders"), "{}", error.message());
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(bed.counted().await, 1, "Redis has refused it");
    let again = bed.queue.enqueue(&job).await.expect("in time");
    assert!(matches!(again, Accepted::New(_)));
}

#[tokio::test]
async fn an_idempotency_key_gives_the_first_job_back() {
    let bed = bed().await;
    let with_key = |hash: &str| {
        let mut job = new_job();
        job.idempotency = Some(("night-run".into(), hash.into()));
        job
    };
    let first = with_key("aa");
    assert!(matches!(bed.queue.enqueue(&first).await.expect("first"), Accepted::New(_)));
    assert!(matches!(bed.queue.enqueue(&first).await.expect("repeated"), Accepted::New(_)));
    assert_eq!(bed.queue.enqueue(&with_key("aa")).await.expect("same"), Accepted::Replayed(first.id));
    let conflict = bed.queue.enqueue(&with_key("bb")).await.expect_err("other request");
    assert_eq!(conflict.code(), Code::IdempotencyConflict);
    assert!(conflict.message().contains(&first.id.to_string()));
    assert_eq!(bed.counted().await, 1);
}

#[tokio::test]
async fn a_hundred_callers_with_one_key_make_one_job() {
    let bed = bed().await;
    let calls = (0..100).map(|_| {
        let queue = bed.queue.clone();
        tokio::spawn(async move {
            let mut job = new_job();
            job.idempotency = Some(("k".into(), "h".into()));
            (job.id, queue.enqueue(&job).await.expect("enqueue"))
        })
    });
    let answers: Vec<_> = futures::future::join_all(calls).await.into_iter().map(|call| call.expect("call")).collect();
    let new: Vec<_> = answers.iter().filter(|(_, answer)| matches!(answer, Accepted::New(_))).collect();
    assert_eq!(new.len(), 1);
    assert!(answers.iter().all(|(id, answer)| id == &new[0].0 || *answer == Accepted::Replayed(new[0].0)));
}

#[tokio::test]
async fn an_idempotency_key_ends() {
    let bed = bed_with(QueueConfig { idempotency_seconds: 0.05, ..QueueConfig::default() }).await;
    let keyed = || {
        let mut job = new_job();
        job.idempotency = Some(("k".into(), "h".into()));
        job
    };
    bed.queue.enqueue(&keyed()).await.expect("first");
    let until = tokio::time::Instant::now() + Duration::from_secs(5);
    while !matches!(bed.queue.enqueue(&keyed()).await.expect("again"), Accepted::New(_)) {
        assert!(tokio::time::Instant::now() < until, "the key is kept for ever");
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_takes_again() {
    let bed = bed_with(QueueConfig { max_waiting: 2, ..QueueConfig::default() }).await;
    bed.enqueue(|_| ()).await;
    bed.enqueue(|job| job.run_at = Some(Utc::now() + chrono::Duration::hours(1))).await;
    assert_eq!(bed.queue.enqueue(&new_job()).await.expect_err("full").code(), Code::QueueFull);
    bed.claim_one().await;
    bed.enqueue(|_| ()).await;
}

#[tokio::test]
async fn an_unknown_job_is_not_found_and_an_old_one_has_expired() {
    let bed = bed().await;
    assert_eq!(bed.queue.get(Uuid::now_v7()).await.expect_err("new").code(), Code::JobNotFound);
    assert_eq!(bed.queue.get(Uuid::new_v4()).await.expect_err("not a v7").code(), Code::JobNotFound);
    let last_year = Utc::now().timestamp() - 365 * 86_400;
    let time = uuid::Timestamp::from_unix(uuid::NoContext, last_year as u64, 0);
    assert_eq!(bed.queue.get(Uuid::new_v7(time)).await.expect_err("old").code(), Code::JobExpired);
    assert_eq!(bed.queue.cancel(Uuid::now_v7()).await.expect_err("cancel").code(), Code::JobNotFound);
    assert_eq!(bed.queue.retry(Uuid::now_v7()).await.expect_err("retry").code(), Code::JobNotFound);
}

#[tokio::test]
async fn a_redis_that_is_away_is_said_and_heals() {
    let mut bed = bed().await;
    bed.redis.kill().expect("kill");
    assert_eq!(bed.queue.enqueue(&new_job()).await.expect_err("away").code(), Code::QueueUnavailable);
    let early = Queue::connect(&bed.redis.url(), QueueConfig::default()).await.expect("connects on first use");
    assert_eq!(early.ping().await.expect_err("away").code(), Code::QueueUnavailable);
    bed.redis.start_again().expect("start");
    let job = new_job();
    assert!(matches!(early.enqueue(&job).await.expect("back"), Accepted::New(_)));
    assert_eq!(bed.queue.get(job.id).await.expect("healed").status, Status::Queued);
}

#[tokio::test]
async fn a_redis_that_forgets_is_warned_of() {
    let mut bed = bed().await;
    assert_eq!(bed.queue.ping().await.expect("ping"), Vec::<String>::new());
    for (setting, value) in [("appendonly", "no"), ("maxmemory-policy", "allkeys-lru")] {
        redis::cmd("CONFIG").arg("SET").arg(setting).arg(value).exec(&mut bed.raw).expect("set");
    }
    let warnings = bed.queue.ping().await.expect("ping");
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].contains("appendonly no") && warnings[1].contains("allkeys-lru"), "{warnings:?}");
}
