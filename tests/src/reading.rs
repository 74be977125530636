//! How fast a source is looked at and read, for the benchmarks: every batch is dropped at once.
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use futures::TryStreamExt;
use icehaul_jobs::{
    Ctx, Result,
    config::{FileRoots, Limits},
    source::{LoadSpec, Plan, Wish},
};

use crate::attempt::ctx;

/// What was read, and what it took.
pub struct Figures {
    rows: usize,
    bytes: usize,
    splits: usize,
    planned: Taken,
    all: Taken,
}

/// Seconds since the start, and of the process' processor time.
struct Taken {
    wall: f64,
    cpu: f64,
}

impl Taken {
    fn since(started: Instant) -> Self {
        Self { wall: started.elapsed().as_secs_f64(), cpu: cpu_seconds() }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, bytes, splits, planned, all } = self;
        write!(
            f,
            "{rows} rows, {bytes} bytes, {splits} splits; look {:.3} s, cpu {:.2} s; all {:.3} s, cpu {:.2} s, {:.0} rows/s",
            planned.wall,
            planned.cpu,
            all.wall,
            all.cpu,
            *rows as f64 / all.wall,
        )
    }
}

/// Plans a load and reads all its splits, by so many readers.
///
/// # Errors
/// The source's.
pub async fn read_all(spec: LoadSpec, readers: usize) -> Result<Figures> {
    let spec = Arc::new(spec);
    let ctx = Ctx {
        file_roots: Arc::new(FileRoots::from_iter(["/".into()])),
        limits: Arc::new(Limits { parallelism: readers, ..Limits::default() }),
        ..ctx()
    };
    let started = Instant::now();
    let plan = Arc::new(spec.plan(&ctx, &Wish::default()).await?);
    let planned = Taken::since(started);
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
    Ok(Figures { rows, bytes, splits: plan.splits.len(), planned, all: Taken::since(started) })
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
