//! `icehaul up`, `icehaul api` and `icehaul worker`.
use std::{io::IsTerminal, net::SocketAddr, path::Path, path::PathBuf, sync::Arc};

use icehaul_api::{AppState, Trino};
use icehaul_jobs::{
    crawl::Sites,
    queue::{Queue, sha256},
};
use icehaul_worker::Setup;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    client::Failure,
    config::{Config, LogFormat, make_private_dir},
    private_redis::PrivateRedis,
};

/// `icehaul up` and `icehaul api`.
#[derive(clap::Args)]
pub struct Up {
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    serve: Serve,
}

/// `icehaul worker`.
#[derive(clap::Args)]
pub struct Worker {
    #[command(flatten)]
    data: Data,
}

#[derive(clap::Args)]
struct Data {
    /// Where whatever is not configured lies: the catalog, the warehouse, the sealing key, and the private Redis of `up`.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Where the API answers.
#[derive(clap::Args, Default)]
struct Serve {
    /// The address of the API, such as 127.0.0.1:8080 or localhost:8080.
    #[arg(long, value_name = "ADDRESS", value_parser = icehaul_api::address)]
    bind: Option<SocketAddr>,
    /// Permit an address that others can reach although no keys are configured.
    #[arg(long)]
    insecure: bool,
}

impl Up {
    /// Runs everything in one process until it is told to stop.
    pub fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let mut config = Config::load(file, self.data.data_dir.as_deref()).map_err(Failure::usage)?;
        start_log(&config)?;
        add_samples(&mut config)?;
        let _lock = lock(&config.data_dir)?;
        let redis = match &config.redis_url {
            Some(_) => None,
            None => {
                let redis = PrivateRedis::start(&config.data_dir).map_err(Failure::new)?;
                tracing::info!(taken_up = redis.taken_up, "the private Redis answers");
                config.redis_url = Some(redis.url());
                Some(redis)
            }
        };
        let served = self.serve.serve(config, true, true);
        if let Some(redis) = redis {
            redis.stop();
        }
        served
    }

    /// Runs the API until the process is told to stop.
    pub fn run_api(self, file: Option<&Path>) -> Result<(), Failure> {
        let config = Config::load(file, self.data.data_dir.as_deref()).map_err(Failure::usage)?;
        start_log(&config)?;
        self.serve.serve(config, true, false)
    }
}

impl Worker {
    /// Runs a worker until the process is told to stop.
    pub fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let config = Config::load(file, self.data.data_dir.as_deref()).map_err(Failure::usage)?;
        start_log(&config)?;
        Serve::default().serve(config, false, true)
    }
}

/// After so many steps of tasks the sockets are looked at.
const IO_INTERVAL: u32 = 4;

impl Serve {
    fn serve(self, config: Config, api: bool, worker: bool) -> Result<(), Failure> {
        // Jobs keep the threads busy: whoever asks meanwhile shall not wait for dozens of their steps (61 by default).
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().event_interval(IO_INTERVAL).build();
        let runtime = runtime.map_err(|e| Failure::new(format!("cannot start: {e}")))?;
        let served = runtime.block_on(self.run_parts(config, api, worker));
        runtime.shutdown_timeout(std::time::Duration::from_secs(5));
        served
    }

    async fn run_parts(self, mut config: Config, api: bool, worker: bool) -> Result<(), Failure> {
        if let Some(bind) = self.bind {
            config.api.bind = bind;
        }
        let url = config.redis_url.clone().ok_or_else(|| {
            Failure::usage("no Redis is configured: set ICEHAUL_REDIS_URL, or use `icehaul up`, which brings its own")
        })?;
        let sealer = config.sealer().map_err(Failure::new)?;
        let lakes = config.lakes().await.map_err(Failure::new)?;
        let mut queue =
            Queue::connect(url.expose(), config.queue.clone()).await.map_err(|e| Failure::new(e.to_string()))?;
        if config.audit.enabled {
            queue = queue.audited();
            note_configuration(&config, &queue, api, worker).await;
        }
        let (registry, connections) = (Registry::new(), Arc::new(config.connections.clone()));
        let file_roots = Arc::new(config.file_roots.clone());
        let sites = Arc::new(Sites::new(config.scrape.clone(), queue.hosts()));
        // The API answers until the worker has drained: whoever asks meanwhile sees the jobs end.
        let (shutdown, deaf) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(stop_on_signal(shutdown.clone()));
        let mut parts = tokio::task::JoinSet::new();
        if api {
            icehaul_api::check_bind(config.api.bind, self.insecure).map_err(|e| Failure::usage(e.to_string()))?;
            let listener = TcpListener::bind(config.api.bind)
                .await
                .map_err(|e| Failure::new(format!("cannot listen on {}: {e}", config.api.bind)))?;
            let address = listener.local_addr().unwrap_or(config.api.bind);
            let mut state = AppState::new(
                queue.clone(),
                sealer.clone(),
                lakes.clone(),
                connections.clone(),
                file_roots.clone(),
                registry.clone(),
                config.api.clone(),
            )
            .map_err(|e| Failure::new(format!("the figures of the API cannot be registered: {e}")))?;
            state.egress = sites.egress().clone();
            state.trino = config.trino.clone().map(Trino::new).transpose().map_err(|e| Failure::new(e.to_string()))?;
            let shutdown = if worker { deaf.clone() } else { shutdown.clone() };
            parts.spawn(async move {
                icehaul_api::serve(listener, state, shutdown).await.map_err(|e| format!("the API ended: {e}"))
            });
            println!(
                "Icehaul {} answers on http://{address} (API /api/v1, docs /docs, health /health, metrics /metrics)",
                env!("CARGO_PKG_VERSION")
            );
        }
        if worker {
            let limits = Arc::new(config.limits.clone());
            let setup = Setup {
                queue,
                sealer,
                lakes,
                connections,
                file_roots,
                limits,
                sites,
                registry,
                audit: config.audit.clone(),
            };
            let (worker, shutdown) = (config.worker.clone(), shutdown.clone());
            parts.spawn(async move {
                icehaul_worker::run(worker, setup, shutdown).await.map_err(|e| format!("the worker ended: {e}"))
            });
        }
        let mut failed = None;
        while let Some(part) = parts.join_next().await {
            shutdown.cancel(); // One part without the other is of no use.
            deaf.cancel();
            let ended = part.unwrap_or_else(|e| Err(format!("a part of Icehaul panicked: {e}")));
            failed = failed.or(ended.err());
        }
        failed.map_or(Ok(()), |why| Err(Failure::new(why)))
    }
}

/// Tells the audit trail of a changed configuration. A Redis that is away does not keep the process from starting.
async fn note_configuration(config: &Config, queue: &Queue, api: bool, worker: bool) {
    let role = match (api, worker) {
        (true, true) => "up",
        (true, false) => "api",
        _ => "worker",
    };
    let hash = sha256(config.redacted().to_string().as_bytes());
    if let Err(error) = queue.configured(role, &hash).await {
        tracing::warn!(%error, "the audit trail does not know of this start");
    }
}

/// The first signal lets everything end in good order, the second one ends the process.
async fn stop_on_signal(shutdown: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    for first in [true, false] {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        if first {
            tracing::info!("stopping: running jobs are finished or handed back; a second signal ends at once");
            shutdown.cancel();
        }
    }
    std::process::exit(130);
}

/// The samples of the working directory may be loaded by whoever tries Icehaul.
fn add_samples(config: &mut Config) -> Result<(), Failure> {
    let samples = std::path::absolute("samples").map_err(|e| Failure::new(format!("no working directory: {e}")))?;
    if samples.is_dir() {
        config.file_roots.add(samples);
    }
    Ok(())
}

/// Only one `icehaul up` per data directory.
fn lock(data_dir: &Path) -> Result<std::fs::File, Failure> {
    let path = data_dir.join("lock");
    let made = make_private_dir(data_dir).and_then(|()| std::fs::File::create(&path));
    let file = made.map_err(|e| Failure::new(format!("cannot use the data directory {}: {e}", data_dir.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Failure::new(format!("another `icehaul up` uses the data directory {}", data_dir.display()))),
    }
}

fn start_log(config: &Config) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log_level)
        .map_err(|e| Failure::usage(format!("log_level: {e}")))?;
    // Colours are for a terminal, not for a file or a log collector.
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    match config.log_format {
        LogFormat::Text => log.with_target(false).init(),
        LogFormat::Json => log.json().init(),
    }
    match &config.file {
        Some(file) => tracing::info!(file = %file.display(), "the configuration was read"),
        None => tracing::info!("no configuration file was read"),
    }
    Ok(())
}
