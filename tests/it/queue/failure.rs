//! Worker processes and a Redis that die, freeze and come back. Every job ends exactly once.
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use icehaul_jobs::{Code, JobId, Status, queue::QueueConfig};
use icehaul_tests::{handler::marks, signal};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Bed, bed_with};

const LEASE: f64 = 2.0;

/// A queue, worker processes on it, and the file that tells what they did.
struct Scene {
    bed: Bed,
    folder: TempDir,
}

/// A worker process; it is killed when this is dropped.
struct Process(Child);

impl Process {
    fn signal(&self, name: &str) {
        signal(self.0.id(), name).expect("signal");
    }

    /// Waits for its end; gives whether that was a good one.
    fn end(&mut self) -> bool {
        eventually("the worker ends", || self.0.try_wait().expect("wait")).success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn scene() -> Scene {
    let bed = bed_with(QueueConfig { lease_seconds: LEASE, ..QueueConfig::default() }).await;
    Scene { bed, folder: tempfile::tempdir().expect("folder") }
}

/// Asks until there is an answer.
fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Scene {
    fn marker(&self) -> PathBuf {
        self.folder.path().join("marks")
    }

    /// Starts a worker process.
    fn worker(&self, id: &str, slots: usize, more: Value) -> Process {
        let mut settings = json!({
            "id": id, "slots": slots, "lease_seconds": LEASE, "stop_grace_seconds": 1.0,
            "backoff": {"base_seconds": 0.01, "cap_seconds": 0.05},
        });
        settings.as_object_mut().expect("object").extend(more.as_object().cloned().unwrap_or_default());
        let child = Command::new(env!("CARGO_BIN_EXE_queue_worker"))
            .args([self.bed.redis.url(), self.marker().display().to_string(), settings.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Process(child.expect("worker"))
    }

    async fn enqueue(&self, count: usize, payload: Value) -> Vec<JobId> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.bed.enqueue(|job| job.payload = payload.to_string()).await);
        }
        ids
    }

    /// Waits until so many attempts have begun.
    fn started(&self, count: usize) {
        eventually("attempts begin", || (self.lines("start").len() >= count).then_some(()));
    }

    fn lines(&self, word: &str) -> Vec<String> {
        marks(&self.marker(), word)
    }

    /// Waits until every job has succeeded, and checks that it ended once. Gives the attempts of each.
    async fn succeed(&self, ids: &[JobId]) -> Vec<u32> {
        let mut attempts = Vec::new();
        for id in ids {
            let job = self.bed.queue.wait(*id, Duration::from_secs(60)).await.expect("job");
            assert_eq!(job.status, Status::Succeeded, "{job:?}");
            let events = self.bed.queue.events(*id, None, Duration::ZERO).await.expect("events");
            let ends = events.iter().filter(|e| e.event == "status" && e.data["status"] == "succeeded");
            assert_eq!(ends.count(), 1, "{events:?}");
            attempts.push(job.attempt);
        }
        attempts
    }
}

fn touch(path: &Path) {
    std::fs::write(path, "").expect("file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_one_of_two_workers_loses_none_of_twenty_jobs() {
    let scene = scene().await;
    let gate = scene.folder.path().join("gate");
    let mut first = scene.worker("first", 20, json!({}));
    let ids = scene.enqueue(20, json!({"do": "commit", "gate": gate})).await;
    scene.started(20);
    let _second = scene.worker("second", 20, json!({}));
    let known = || async { scene.bed.queue.stats().await.expect("stats").workers.len() };
    while known().await < 2 {}
    let killed = Instant::now();
    first.signal("KILL");
    assert!(!first.end());
    scene.started(40);
    let took = killed.elapsed();
    assert!(took < Duration::from_secs_f64(LEASE + 1.5), "taken over after {took:?}");
    touch(&gate);
    assert_eq!(scene.succeed(&ids).await, vec![2; 20]);
    assert_eq!((scene.lines("committed").len(), scene.lines("end").len()), (20, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_slept_past_its_lease_commits_nothing() {
    let scene = scene().await;
    let gate = scene.folder.path().join("gate");
    let first = scene.worker("first", 1, json!({}));
    let ids = scene.enqueue(1, json!({"do": "commit", "gate": gate})).await;
    scene.started(1);
    first.signal("STOP");
    let _second = scene.worker("second", 1, json!({}));
    scene.started(2);
    touch(&gate);
    assert_eq!(scene.succeed(&ids).await, [2]);
    first.signal("CONT");
    eventually("the first asks for permission", || scene.lines("refused").pop());
    assert_eq!((scene.lines("committed").len(), scene.lines("refused").len()), (1, 1));
    assert!(scene.lines("refused")[0].ends_with(&first.0.id().to_string()));
    assert_eq!(scene.succeed(&ids).await, [2], "its end is void");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_redis_may_be_away_for_longer_than_a_lease() {
    let mut scene = scene().await;
    let _workers = [scene.worker("first", 4, json!({})), scene.worker("second", 4, json!({}))];
    let ids = scene.enqueue(12, json!({"do": "sleep", "ms": 7000})).await;
    scene.started(8);
    scene.bed.redis.kill().expect("kill");
    tokio::time::sleep(Duration::from_secs_f64(2.0 * LEASE)).await;
    scene.bed.redis.start_again().expect("start");
    assert_eq!(scene.succeed(&ids).await, [1; 12], "none ran twice");
    assert_eq!((scene.lines("start").len(), scene.lines("end").len()), (12, 12));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_redis_may_freeze_for_longer_than_a_lease() {
    let scene = scene().await;
    let _workers = [scene.worker("first", 2, json!({})), scene.worker("second", 2, json!({}))];
    let ids = scene.enqueue(4, json!({"do": "sleep", "ms": 6000})).await;
    scene.started(4);
    scene.bed.redis.signal("STOP").expect("stop");
    tokio::time::sleep(Duration::from_secs_f64(2.0 * LEASE)).await;
    scene.bed.redis.signal("CONT").expect("continue");
    assert_eq!(scene.succeed(&ids).await, [1; 4]);
    assert_eq!(scene.lines("start").len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_a_storm_of_cut_connections_costs_nothing() {
    let scene = scene().await;
    let _worker = scene.worker("first", 5, json!({}));
    let ids = scene.enqueue(20, json!({"do": "sleep", "ms": 900})).await;
    scene.started(1);
    while scene.lines("end").len() < 20 {
        scene.bed.redis.cut_connections().expect("cut");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert_eq!(scene.succeed(&ids).await, [1; 20]);
    assert_eq!((scene.lines("start").len(), scene.lines("end").len()), (20, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_short_jobs_survive_cut_connections() {
    let scene = scene().await;
    let ids = scene.enqueue(1000, json!({})).await;
    let _worker = scene.worker("first", 16, json!({}));
    while scene.bed.queue.stats().await.expect("stats").statuses["succeeded"] < 1000 {
        scene.bed.redis.cut_connections().expect("cut");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(scene.succeed(&ids).await, vec![1; 1000]);
    assert_eq!(scene.lines("start").len(), 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_drains() {
    let scene = scene().await;
    let gate = scene.folder.path().join("gate");
    let mut first = scene.worker("first", 6, json!({}));
    let running = scene.enqueue(6, json!({"do": "commit", "gate": gate})).await;
    scene.started(6);
    let waiting = scene.enqueue(4, json!({})).await;
    first.signal("TERM");
    tokio::time::sleep(Duration::from_secs_f64(1.5 * LEASE)).await;
    touch(&gate);
    assert!(first.end(), "a clean end");
    assert_eq!(scene.succeed(&running).await, [1; 6], "leases were renewed while it drained");
    for id in &waiting {
        assert_eq!(scene.bed.status(*id).await, Status::Queued);
    }
    let _second = scene.worker("second", 4, json!({}));
    assert_eq!(scene.succeed(&waiting).await, [1; 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_a_job_that_kills_its_worker_fails_in_the_end() {
    let scene = scene().await;
    let id = scene.enqueue(1, json!({"do": "abort"})).await[0];
    for attempt in 1..=3 {
        let mut worker = scene.worker(&format!("worker-{attempt}"), 2, json!({}));
        assert!(!worker.end());
        assert_eq!(scene.lines("start").len(), attempt);
    }
    let _last = scene.worker("last", 2, json!({}));
    let job = scene.bed.queue.wait(id, Duration::from_secs(30)).await.expect("job");
    assert_eq!((job.status, job.attempt), (Status::Failed, 3));
    assert_eq!(job.error.map(|e| e.code), Some(Code::WorkerLost));
    let next = scene.enqueue(1, json!({})).await;
    assert_eq!(scene.succeed(&next).await, [1], "the last worker lives");
    assert_eq!(scene.lines("start").len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_a_handler_that_blocks_its_thread_keeps_its_lease() {
    let scene = scene().await;
    let _first = scene.worker("first", 1, json!({"threads": 1}));
    let ids = scene.enqueue(1, json!({"do": "block", "ms": (3000.0 * LEASE) as u64})).await;
    scene.started(1);
    let _second = scene.worker("second", 1, json!({}));
    assert_eq!(scene.succeed(&ids).await, [1]);
    assert_eq!(scene.lines("start").len(), 1);
}
