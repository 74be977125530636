//! How fast the queue is: idle start latency, empty jobs per second, jobs accepted per second, bytes per ended job.
//! Starts a Redis of its own (append-only file on) and a worker process; prints a Markdown table.
//!
//! `cargo run --release -p icehaul-tests --example bench_queue [runs]`
use std::{
    env,
    process::{Child, Command},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures::future::{BoxFuture, join_all};
use icehaul_jobs::{
    Status,
    queue::{JobFilter, NewJob, Queue, QueueConfig},
    spec::Priority,
};
use icehaul_tests::redis::RedisServer;
use icehaul_worker::{Attempt, Registry, Runner, WorkerConfig, run_with};
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How many jobs one measurement takes.
const JOBS: usize = 20_000;
const LATENCIES: usize = 300;

/// A job that only says when it was started.
struct Empty;

impl Runner for Empty {
    fn run(&self, _: Attempt) -> BoxFuture<'static, icehaul_jobs::Result<Value>> {
        Box::pin(async { Ok(json!({"started_us": now_us()})) })
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["worker", url, slots] => work(url, slots.parse()?).await,
        [] => bench(3).await,
        [runs] => bench(runs.parse()?).await,
        _ => Err("usage: bench_queue [runs]".into()),
    }
}

async fn work(url: &str, slots: usize) -> Result<(), Failure> {
    let queue = Queue::connect(url, config()).await?;
    let settings = WorkerConfig { slots, ..WorkerConfig::default() };
    Ok(run_with(settings, queue, &Registry::new(), Arc::new(Empty), CancellationToken::new()).await?)
}

fn config() -> QueueConfig {
    QueueConfig { max_waiting: 1_000_000, ..QueueConfig::default() }
}

/// The worker process; it is killed when this is dropped.
struct Worker(Child);

impl Worker {
    fn start(url: &str, slots: usize) -> Result<Self, Failure> {
        Ok(Self(Command::new(env::current_exe()?).args(["worker", url, &slots.to_string()]).spawn()?))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[expect(clippy::print_stdout, reason = "the table is the program's result")]
async fn bench(runs: usize) -> Result<(), Failure> {
    println!("| run | measured | figure |\n|---|---|---|");
    for run in 1..=runs {
        for (callers, count) in [(1, JOBS / 4), (16, JOBS)] {
            let redis = RedisServer::start()?;
            let queue = Queue::connect(&redis.url(), config()).await?;
            let rate = accept(&queue, callers, count).await?;
            println!("| {run} | jobs accepted per second, {callers} callers on one connection | {rate:.0} |");
        }
        for slots in [1, 8, 64] {
            let (rate, bytes) = empty(slots).await?;
            println!("| {run} | empty jobs per second, one worker process, {slots} at once | {rate:.0} |");
            if slots == 64 {
                println!("| {run} | bytes in Redis per ended job, with its events and all indexes | {bytes} |");
            }
        }
        let mut waits = latencies().await?;
        waits.sort_unstable();
        let at = |part: f64| waits[((waits.len() - 1) as f64 * part) as usize] as f64 / 1000.0;
        println!(
            "| {run} | ms from the call to the start in an idle worker, p50 / p99 / max of {LATENCIES} | {:.2} / {:.2} / {:.2} |",
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
    Ok(())
}

fn new_job() -> NewJob {
    NewJob {
        id: uuid::Uuid::now_v7(),
        kind: "bench".into(),
        table: Some("bench.empty".into()),
        payload: json!({"version": 1, "kind": "bench", "request": {"enqueued_us": now_us()}}).to_string(),
        spec: json!({"table_name": "empty", "namespace": "bench"}),
        priority: Priority::Normal,
        run_at: None,
        max_attempts: 5,
        labels: std::collections::BTreeMap::new(),
        batch: None,
        idempotency: None,
    }
}

/// Accepts jobs; gives how many per second.
async fn accept(queue: &Queue, callers: usize, count: usize) -> Result<f64, Failure> {
    let began = Instant::now();
    let calls = (0..callers).map(|_| {
        let queue = queue.clone();
        tokio::spawn(async move {
            for _ in 0..count / callers {
                queue.enqueue(&new_job()).await?;
            }
            Ok::<(), icehaul_jobs::Error>(())
        })
    });
    for call in join_all(calls).await {
        call??;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

/// Runs empty jobs; gives how many per second from the first start to the last recorded end, on Redis' clock, and how
/// many bytes each has left.
async fn empty(slots: usize) -> Result<(f64, u64), Failure> {
    let redis = RedisServer::start()?;
    let queue = Queue::connect(&redis.url(), config()).await?;
    let before = redis.used_memory()?;
    accept(&queue, 16, JOBS).await?;
    let _worker = Worker::start(&redis.url(), slots)?;
    while queue.stats().await?.statuses["succeeded"] < JOBS as u64 {
        sleep(Duration::from_millis(50)).await;
    }
    let bytes = (redis.used_memory()? - before) / JOBS as u64;
    let (mut first, mut last, mut count) = (None, None, 0);
    let mut cursor = None;
    loop {
        let page = queue.list(&JobFilter::default(), 500, cursor.as_deref()).await?;
        for job in page.jobs {
            assert!(job.status == Status::Succeeded && job.attempt == 1, "{job:?}");
            first = first.into_iter().chain(job.started_at).min();
            last = last.into_iter().chain(job.finished_at).max();
            count += 1;
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(count, JOBS);
    let (Some(first), Some(last)) = (first, last) else { return Err("no times".into()) };
    Ok((JOBS as f64 / (last - first).as_seconds_f64(), bytes))
}

/// Times from the call to the start of the handler, in microseconds, with nothing else to do.
async fn latencies() -> Result<Vec<u64>, Failure> {
    let redis = RedisServer::start()?;
    let queue = Queue::connect(&redis.url(), config()).await?;
    let _worker = Worker::start(&redis.url(), 4)?;
    let mut waits = Vec::new();
    for i in 0..LATENCIES + 20 {
        let (job, called) = (new_job(), now_us());
        queue.enqueue(&job).await?;
        let result = queue.wait(job.id, Duration::from_secs(10)).await?.result.unwrap_or_default();
        let started = result["started_us"].as_u64().ok_or("the job did not run")?;
        // The first ones find a worker that is still starting.
        if i >= 20 {
            waits.push(started.saturating_sub(called));
        }
        sleep(Duration::from_millis(25)).await;
    }
    Ok(waits)
}

fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64)
}
