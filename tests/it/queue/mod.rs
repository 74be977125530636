//! What the queue promises, against a real Redis.
mod accept;
mod claim;
mod end;
mod failure;
mod list;
mod lockstep;
mod worker;

use std::collections::BTreeMap;

use icehaul_jobs::{
    Code, JobId, Status,
    queue::{Claimed, JobError, NewJob, Queue, QueueConfig},
    spec::Priority,
};
use icehaul_tests::redis::RedisServer;
use serde_json::{Value, json};
use uuid::Uuid;

/// A queue on a Redis of its own, and the test's own way into that Redis.
pub struct Bed {
    pub redis: RedisServer,
    pub queue: Queue,
    pub raw: redis::Connection,
}

/// A queue whose leases run out by the test's hand only, however slow the machine is.
pub async fn bed() -> Bed {
    bed_with(QueueConfig::default()).await
}

pub async fn bed_with(config: QueueConfig) -> Bed {
    let redis = RedisServer::start().expect("redis-server");
    let queue = Queue::connect(&redis.url(), config).await.expect("queue");
    let raw = redis.connection().expect("connection");
    Bed { redis, queue, raw }
}

impl Bed {
    /// Accepts a job of the kind `test`.
    pub async fn enqueue(&self, change: impl FnOnce(&mut NewJob)) -> JobId {
        let mut job = new_job();
        change(&mut job);
        self.queue.enqueue(&job).await.expect("enqueue");
        job.id
    }

    /// Claims jobs as the worker `w`.
    pub async fn claim(&self, limit: usize) -> Vec<Claimed> {
        self.claim_as("w", limit).await
    }

    pub async fn claim_as(&self, worker: &str, limit: usize) -> Vec<Claimed> {
        self.queue.claim(worker, limit, &Uuid::new_v4().to_string()).await.expect("claim").jobs
    }

    /// Claims the one job that waits.
    pub async fn claim_one(&self) -> Claimed {
        let mut jobs = self.claim(10).await;
        assert_eq!(jobs.len(), 1, "one job waits");
        jobs.remove(0)
    }

    pub async fn status(&self, id: JobId) -> Status {
        self.queue.get(id).await.expect("job").status
    }

    /// The score of a member of a sorted set of the queue.
    pub fn score(&mut self, set: &str, member: &str) -> Option<f64> {
        redis::cmd("ZSCORE").arg(key(set)).arg(member).query(&mut self.raw).expect("score")
    }

    /// Lets a lease run out now.
    pub fn expire(&mut self, job: &Claimed) {
        let member = format!("{}:{}", job.id, job.epoch);
        redis::cmd("ZADD").arg(key("leases")).arg("XX").arg(1).arg(member).exec(&mut self.raw).expect("expire");
    }

    /// Lets the time of a delayed job come now.
    pub fn due(&mut self, id: JobId) {
        redis::cmd("ZADD").arg(key("delayed")).arg("XX").arg(1).arg(id.to_string()).exec(&mut self.raw).expect("due");
    }

    /// How many members each set of jobs has, all together: every job is in exactly one.
    pub async fn counted(&self) -> u64 {
        self.queue.stats().await.expect("stats").statuses.values().sum()
    }
}

pub fn key(name: &str) -> String {
    format!("{{icehaul}}:{name}")
}

pub fn new_job() -> NewJob {
    NewJob {
        id: Uuid::now_v7(),
        kind: "test".into(),
        table: None,
        payload: "{}".into(),
        spec: json!({}),
        priority: Priority::Normal,
        run_at: None,
        max_attempts: 3,
        labels: BTreeMap::new(),
        batch: None,
        idempotency: None,
    }
}

pub fn failure(attempt: u32) -> JobError {
    JobError {
        code: Code::SourceUnreachable,
        message: "the source does not answer".into(),
        retryable: true,
        attempt,
        details: Value::Null,
    }
}
