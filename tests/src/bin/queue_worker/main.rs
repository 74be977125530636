//! A worker process for the tests: real claims, leases and ends, jobs that only behave in a certain way.
//!
//! `queue_worker <redis url> <marker file> <settings as JSON>`; settings: `lease_seconds`, `threads` and those of the
//! worker. SIGTERM drains it.
use std::{env, path::Path, sync::Arc};

use icehaul_jobs::queue::{Queue, QueueConfig};
use icehaul_tests::handler::Behaviour;
use icehaul_worker::{Registry, WorkerConfig, run_with};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let [url, marker, settings] = env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "three arguments")?;
    let mut settings: Value = serde_json::from_str(&settings)?;
    let mut take = |name: &str| settings.as_object_mut().and_then(|settings| settings.remove(name));
    let lease_seconds = take("lease_seconds").and_then(|seconds| seconds.as_f64()).unwrap_or(30.0);
    let threads = take("threads").and_then(|threads| threads.as_u64()).unwrap_or(2);
    let config: WorkerConfig = serde_json::from_value(settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads as usize).enable_all().build()?;
    runtime.block_on(async {
        let queue = Queue::connect(&url, QueueConfig { lease_seconds, ..QueueConfig::default() }).await?;
        let shutdown = CancellationToken::new();
        let mut term = signal(SignalKind::terminate())?;
        let told = shutdown.clone();
        tokio::spawn(async move {
            term.recv().await;
            told.cancel();
        });
        run_with(config, queue, &Registry::new(), Arc::new(Behaviour::new(Path::new(&marker))), shutdown).await?;
        Ok(())
    })
}
