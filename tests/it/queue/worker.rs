//! The worker in this process: how attempts end.
use std::{path::PathBuf, sync::Arc, time::Duration};

use icehaul_jobs::{
    Code, JobId, Status,
    queue::{JobDocument, QueueConfig},
};
use icehaul_tests::handler::{Behaviour, marks};
use icehaul_worker::{Backoff, Registry, WorkerConfig, run_with};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Bed, bed_with};

/// A worker under test. It stops when this is dropped.
struct Works {
    bed: Bed,
    folder: TempDir,
    registry: Registry,
    shutdown: CancellationToken,
    task: JoinHandle<icehaul_jobs::Result<()>>,
}

impl Drop for Works {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn works(lease_seconds: f64, change: impl FnOnce(&mut WorkerConfig)) -> Works {
    let bed = bed_with(QueueConfig { lease_seconds, ..QueueConfig::default() }).await;
    let folder = tempfile::tempdir().expect("folder");
    let mut config = WorkerConfig {
        backoff: Backoff { base_seconds: 0.01, cap_seconds: 0.05 },
        drain_seconds: 0.2,
        stop_grace_seconds: 0.3,
        ..WorkerConfig::default()
    };
    change(&mut config);
    let (registry, shutdown) = (Registry::new(), CancellationToken::new());
    let runner = Arc::new(Behaviour::new(&folder.path().join("marks")));
    let (queue, all, stop) = (bed.queue.clone(), registry.clone(), shutdown.clone());
    let task = tokio::spawn(async move { run_with(config, queue, &all, runner, stop).await });
    Works { bed, folder, registry, shutdown, task }
}

impl Works {
    fn marks(&self) -> PathBuf {
        self.folder.path().join("marks")
    }

    async fn enqueue(&self, payload: Value) -> JobId {
        self.bed.enqueue(|job| job.payload = payload.to_string()).await
    }

    async fn end(&self, id: JobId) -> JobDocument {
        let job = self.bed.queue.wait(id, Duration::from_secs(30)).await.expect("job");
        assert!(job.status.is_terminal(), "{job:?}");
        job
    }

    async fn until(&self, id: JobId, status: Status) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.bed.status(id).await != status {
            assert!(Instant::now() < until, "{id} does not become {status:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The value of a metric, written as Prometheus writes it.
    fn count(&self, metric: &str) -> f64 {
        let text = prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).expect("metrics");
        let value = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("number"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_end_of_an_attempt_is_told_and_none_ends_the_worker() {
    let mut works = works(30.0, |_| ()).await;
    let panics = works.enqueue(json!({"do": "panic"})).await;
    let fails = works.enqueue(json!({"do": "fail"})).await;
    let unreadable = works.bed.enqueue(|job| job.payload = "not JSON".into()).await;
    let good = works.enqueue(json!({})).await;
    let job = works.end(good).await;
    assert_eq!((job.status, job.result), (Status::Succeeded, Some(json!({"rows_loaded": 1}))));
    for (id, code, attempts) in
        [(panics, Code::Panicked, 3), (fails, Code::SourceUnreachable, 3), (unreadable, Code::UnreadablePayload, 1)]
    {
        let job = works.end(id).await;
        assert_eq!((job.status, job.attempt, job.attempts.len()), (Status::Failed, attempts, attempts as usize));
        assert_eq!(job.error.map(|e| (e.code, e.attempt)), Some((code, attempts)));
        assert!(job.attempts.iter().all(|attempt| attempt.error.as_ref().is_some_and(|e| e.code == code)));
    }
    let last = works.enqueue(json!({})).await;
    assert_eq!(works.end(last).await.status, Status::Succeeded, "the worker lives");
    assert_eq!(marks(&works.marks(), "end").len(), 2);
    works.shutdown.cancel();
    (&mut works.task).await.expect("task").expect("worker");
    for (status, count) in [("succeeded", 2.0), ("retrying", 4.0), ("failed", 3.0)] {
        let metric = format!(r#"icehaul_jobs_finished_total{{kind="test",status="{status}"}}"#);
        assert_eq!(works.count(&metric), count, "{status}");
    }
    assert_eq!((works.count("icehaul_rows_loaded_total"), works.count("icehaul_jobs_running")), (2.0, 0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_reaches_a_running_job_within_five_seconds() {
    let works = works(30.0, |_| ()).await;
    for payload in [json!({"do": "sleep", "ms": 60_000}), json!({"do": "ignore_stop", "ms": 60_000})] {
        let id = works.enqueue(payload).await;
        works.until(id, Status::Running).await;
        let asked = Instant::now();
        assert_eq!(works.bed.queue.cancel(id).await.expect("cancel"), Status::Running);
        assert_eq!(works.end(id).await.status, Status::Cancelled);
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
    assert!(marks(&works.marks(), "end").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_job_commits_nothing() {
    let works = works(30.0, |_| ()).await;
    let gate = works.folder.path().join("gate");
    let id = works.enqueue(json!({"do": "commit", "gate": gate})).await;
    works.until(id, Status::Running).await;
    works.bed.queue.cancel(id).await.expect("cancel");
    std::fs::write(gate, "").expect("gate");
    assert_eq!(works.end(id).await.status, Status::Cancelled);
    assert!(marks(&works.marks(), "committed").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_lets_jobs_end_and_hands_the_rest_back_unspent() {
    let mut works = works(30.0, |config| config.slots = 3).await;
    let short = works.enqueue(json!({"do": "sleep", "ms": 100})).await;
    let long = works.enqueue(json!({"do": "sleep", "ms": 60_000})).await;
    let deaf = works.enqueue(json!({"do": "ignore_stop", "ms": 60_000})).await;
    for id in [long, deaf] {
        works.until(id, Status::Running).await;
    }
    let waits = works.enqueue(json!({})).await;
    works.until(waits, Status::Succeeded).await;
    works.shutdown.cancel();
    let never = works.enqueue(json!({})).await;
    let ended = tokio::time::timeout(Duration::from_secs(10), &mut works.task).await;
    ended.expect("drained in time").expect("task").expect("worker");
    assert_eq!(works.bed.status(short).await, Status::Succeeded);
    for id in [long, deaf, never] {
        let job = works.bed.queue.get(id).await.expect("job");
        assert_eq!((job.status, job.attempt), (Status::Queued, 0));
    }
    assert!(works.bed.queue.stats().await.expect("stats").workers.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_cannot_reach_redis_still_ends() {
    let mut works = works(30.0, |_| ()).await;
    let id = works.enqueue(json!({"do": "sleep", "ms": 60_000})).await;
    works.until(id, Status::Running).await;
    works.bed.redis.kill().expect("kill");
    works.shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(20), &mut works.task).await;
    ended.expect("ends in time").expect("task").expect("worker");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_takes_no_new_job_and_records_the_end_of_those_that_run() {
    let works = works(30.0, |_| ()).await;
    let id = works.enqueue(json!({"do": "sleep", "ms": 1000})).await;
    works.until(id, Status::Running).await;
    let mut raw = works.bed.redis.connection().expect("connection");
    let mut memory = |limit: &str| {
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(limit).exec(&mut raw).expect("maxmemory");
    };
    memory("1mb");
    let refused = works.bed.queue.enqueue(&super::new_job()).await.expect_err("full");
    assert!(refused.code() == Code::QueueUnavailable && refused.message().contains("memory"), "{refused}");
    assert_eq!(works.end(id).await.status, Status::Succeeded);
    memory("0");
    let next = works.enqueue(json!({})).await;
    assert_eq!(works.end(next).await.status, Status::Succeeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_refuses_writes_delays_the_end_of_a_job_and_loses_nothing() {
    let works = works(30.0, |_| ()).await;
    let id = works.enqueue(json!({"do": "sleep", "ms": 300})).await;
    works.until(id, Status::Running).await;
    let mut raw = works.bed.redis.connection().expect("connection");
    // A replica of a server that is not there: it keeps its data and refuses writes.
    redis::cmd("REPLICAOF").arg("127.0.0.1").arg(1).exec(&mut raw).expect("replica");
    let refused = works.bed.queue.enqueue(&super::new_job()).await.expect_err("replica");
    assert!(refused.message().contains("primary"), "{refused}");
    let until = Instant::now() + Duration::from_secs(20);
    while works.count(r#"icehaul_queue_errors_total{call="finish"}"#) < 3.0 {
        assert!(Instant::now() < until, "the end of the job is not told again and again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(works.bed.status(id).await, Status::Running, "the job has ended, and Redis does not know it yet");
    redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec(&mut raw).expect("primary");
    let job = works.end(id).await;
    assert_eq!((job.status, job.attempt), (Status::Succeeded, 1));
    assert_eq!(marks(&works.marks(), "start").len(), 1);
}
