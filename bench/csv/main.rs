//! How fast files are looked at and read: every batch is dropped at once.
//!
//! `bench_csv FILE|PATTERN [READERS] [NAME=TYPE …]`; types of all columns spare the decision about them.
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
    config::{FileRoots, Limits},
    source::{LoadSpec, Plan, Wish},
};
use serde_json::{Map, Value, json};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, rest @ ..] = arguments.as_slice() else {
        println!("usage: bench_csv FILE|PATTERN [READERS] [NAME=TYPE …]");
        return Ok(());
    };
    let parallelism: usize = rest.first().and_then(|n| n.parse().ok()).unwrap_or(2);
    let schema: Map<String, Value> =
        rest.iter().filter_map(|pair| pair.split_once('=')).map(|(name, kind)| (name.into(), kind.into())).collect();
    let mut body = json!({"file_path": path, "namespace": "n", "table_name": "t"});
    if !schema.is_empty() {
        body["schema"] = Value::Object(schema);
    }
    let spec = Arc::new(LoadSpec::from_request("load.file", body)?);
    let ctx = Ctx {
        job: uuid::Uuid::now_v7(),
        attempt: 1,
        epoch: 1,
        lakes: icehaul_lake::Lakes::new(BTreeMap::new(), String::new()),
        connections: Arc::default(),
        file_roots: Arc::new(FileRoots::from_iter(["/".into()])),
        limits: Arc::new(Limits { parallelism, ..Limits::default() }),
        progress: Arc::default(),
        stop: Stop::default(),
        permission: Arc::new(|| Box::pin(async { true })),
    };
    let started = Instant::now();
    let plan = Arc::new(spec.plan(&ctx, &Wish::default()).await?);
    let (planned, plan_cpu) = (started.elapsed().as_secs_f64(), cpu_seconds());
    let next = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..parallelism.min(plan.splits.len()))
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
        "{rows} rows, {bytes} bytes, {} splits; look {planned:.3} s, cpu {plan_cpu:.2} s; all {wall:.3} s, cpu {:.2} s, {:.0} rows/s",
        plan.splits.len(),
        cpu_seconds(),
        rows as f64 / wall,
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
