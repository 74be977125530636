//! What every handler is given.
use std::{sync::Arc, time::Instant};

use icehaul_jobs::{
    Sealer,
    config::{Connections, FileRoots},
    crawl::egress::Egress,
    queue::Queue,
};
use icehaul_lake::Lakes;
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::{ApiConfig, Trino, metrics::HttpMetrics, room::Room};

/// What every handler is given. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The jobs.
    pub queue: Queue,
    /// Seals the secrets of requests.
    pub sealer: Sealer,
    /// The tables.
    pub lakes: Lakes,
    /// The named connections.
    pub connections: Arc<Connections>,
    /// The folders below which requests may name files.
    pub file_roots: Arc<FileRoots>,
    /// Where requests to sites may go.
    pub egress: Arc<Egress>,
    /// What `/metrics` shows beside the API's own and the queue's figures.
    pub registry: Registry,
    /// The configuration.
    pub config: Arc<ApiConfig>,
    /// Who else runs queries, if anybody.
    pub trino: Option<Trino>,
    /// The version that `/health` shows.
    pub version: &'static str,
    /// When the process started.
    pub started_at: Instant,
    /// Ends long-lived answers when the server stops.
    pub(crate) shutdown: CancellationToken,
    pub(crate) metrics: HttpMetrics,
    pub(crate) room: Room,
}

impl AppState {
    /// The state of one server; its figures are registered in `registry`.
    ///
    /// # Errors
    /// If the registry has figures with their names already.
    pub fn new(
        queue: Queue,
        sealer: Sealer,
        lakes: Lakes,
        connections: Arc<Connections>,
        file_roots: Arc<FileRoots>,
        registry: Registry,
        config: ApiConfig,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self {
            metrics: HttpMetrics::new(&registry)?,
            room: Room::new(config.max_result_bytes),
            queue,
            sealer,
            lakes,
            connections,
            file_roots,
            egress: Arc::default(),
            registry,
            config: Arc::new(config),
            trino: None,
            version: env!("CARGO_PKG_VERSION"),
            started_at: Instant::now(),
            shutdown: CancellationToken::new(),
        })
    }
}
