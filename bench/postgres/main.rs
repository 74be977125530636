//! How fast PostgreSQL is read and decoded: every batch is dropped at once.
//!
//! `bench_postgres HOST PORT DATABASE USER TABLE|QUERY [READERS]`; a password comes from `PGPASSWORD`.
#![expect(clippy::print_stdout, reason = "the figures are the result")]
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use futures::TryStreamExt;
use icehaul_jobs::{
    Ctx, Result, Stop,
    source::{LoadSpec, Plan, Wish},
};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, database, user, what, rest @ ..] = arguments.as_slice() else {
        println!("usage: bench_postgres HOST PORT DATABASE USER TABLE|QUERY [READERS]");
        return Ok(());
    };
    let readers: usize = rest.first().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut body = json!({
        "host": host, "port": port.parse::<u16>().unwrap_or(5432), "database": database, "user": user,
        "allow_superuser": true, "namespace": "n", "table_name": "t", "parallelism": readers,
    });
    body[if what.contains(' ') { "query" } else { "table" }] = json!(what);
    if let Ok(password) = std::env::var("PGPASSWORD") {
        body["password"] = json!(password);
    }
    let spec = Arc::new(LoadSpec::from_request("load.postgres", body)?);
    let ctx = Ctx {
        job: uuid::Uuid::now_v7(),
        attempt: 1,
        epoch: 1,
        lakes: icehaul_lake::Lakes::new(BTreeMap::new(), String::new()),
        connections: Arc::default(),
        file_roots: Arc::default(),
        limits: Arc::default(),
        progress: Arc::default(),
        stop: Stop::default(),
        permission: Arc::new(|| Box::pin(async { true })),
    };
    let started = Instant::now();
    let plan = Arc::new(spec.plan(&ctx, &Wish::default()).await?);
    let planned = started.elapsed();
    let next = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..readers.min(plan.splits.len()))
        .map(|_| tokio::spawn(drain(spec.clone(), ctx.clone(), plan.clone(), next.clone())))
        .collect();
    let (mut rows, mut bytes) = (0, 0);
    for task in tasks {
        let (more_rows, more_bytes) = task.await.unwrap_or(Ok((0, 0)))?;
        rows += more_rows;
        bytes += more_bytes;
    }
    let wall = started.elapsed().as_secs_f64();
    println!(
        "{rows} rows, {bytes} bytes, {} splits, plan {planned:.0?}, wall {wall:.3} s, {:.0} rows/s, cpu {:.3} s",
        plan.splits.len(),
        rows as f64 / wall,
        cpu_seconds(),
    );
    Ok(())
}

async fn drain(spec: Arc<LoadSpec>, ctx: Ctx, plan: Arc<Plan>, next: Arc<AtomicUsize>) -> Result<(usize, usize)> {
    let (mut rows, mut bytes) = (0, 0);
    while let Some(split) = plan.splits.get(next.fetch_add(1, Relaxed)) {
        let mut batches = spec.read(&ctx, &plan, split).await?.stream;
        while let Some(read) = batches.try_next().await? {
            rows += read.batch.num_rows();
            bytes += read.batch.get_array_memory_size();
        }
    }
    Ok((rows, bytes))
}

/// User and system time of this process, from Linux's clock ticks (100 a second); 0 elsewhere.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<u32>().ok()).unwrap_or(0);
    f64::from(ticks(11) + ticks(12)) / 100.0
}
