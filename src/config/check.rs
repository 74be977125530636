//! What no type can say: values with which Icehaul would start and then not work.
use std::{
    collections::BTreeMap,
    path::{Component, Path},
};

use icehaul_jobs::{Sealer, config::S3Connection, queue, source::check_endpoint};
use icehaul_lake::Lake;
use tracing_subscriber::EnvFilter;

use super::Config;

/// The longest time that is taken, in seconds: ten years.
const LONGEST: f64 = 10.0 * 366.0 * 86_400.0;

impl Config {
    /// Finds everything that is wrong, each as `key: what would be right`.
    pub(super) async fn faults(&self) -> Vec<String> {
        let mut faults = Faults(Vec::new());
        faults.log_level(&self.log_level);
        if let Some(Err(error)) = self.redis_url.as_ref().map(|url| queue::check_url(url.expose())) {
            faults.add("redis_url", error.message());
        }
        if let Some(Err(error)) = self.secret_key.as_ref().map(|key| Sealer::from_hex(key.expose())) {
            faults.add("secret_key", error.message());
        }
        if let Some(Err((key, what))) = self.trino.as_ref().map(icehaul_api::TrinoConfig::check) {
            faults.add(key, what);
        }
        if let Err(what) = self.scrape.check_user_agent() {
            faults.add("scrape.user_agent", what);
        }
        self.api_and_queue(&mut faults);
        self.worker_and_limits(&mut faults);
        self.file_roots(&mut faults);
        self.buckets(&mut faults);
        self.catalogs(&mut faults).await;
        faults.0
    }

    fn api_and_queue(&self, faults: &mut Faults) {
        let (api, queue) = (&self.api, &self.queue);
        faults.at_least_one("api.max_body_bytes", api.max_body_bytes as u64);
        faults.at_least_one("api.max_result_bytes", api.max_result_bytes as u64);
        faults.at_least_one("api.max_connections", api.max_connections as u64);
        faults.seconds("api.header_timeout_seconds", api.header_timeout_seconds, false);
        faults.seconds("api.body_timeout_seconds", api.body_timeout_seconds, false);
        faults.seconds("api.write_timeout_seconds", api.write_timeout_seconds, false);
        faults.seconds("api.query_timeout_seconds", api.query_timeout_seconds, false);
        if queue.name.is_empty() || queue.name.contains(['{', '}']) {
            faults.add("queue.name", "must not be empty and have no braces");
        }
        faults.at_least_one("queue.max_waiting", queue.max_waiting);
        faults.seconds("audit.interval_seconds", self.audit.interval_seconds, false);
        faults.seconds("queue.lease_seconds", queue.lease_seconds, false);
        faults.seconds("queue.retention_seconds", queue.retention_seconds, false);
        faults.seconds("queue.idempotency_seconds", queue.idempotency_seconds, true);
    }

    fn worker_and_limits(&self, faults: &mut Faults) {
        let (worker, limits) = (&self.worker, &self.limits);
        if !(1..=10_000).contains(&worker.slots) {
            faults.add("worker.slots", "must be from 1 to 10000");
        }
        faults.seconds("worker.drain_seconds", worker.drain_seconds, true);
        faults.seconds("worker.stop_grace_seconds", worker.stop_grace_seconds, true);
        faults.seconds("worker.backoff.base_seconds", worker.backoff.base_seconds, true);
        faults.seconds("worker.backoff.cap_seconds", worker.backoff.cap_seconds, true);
        if !(1..=16).contains(&limits.parallelism) {
            faults.add("limits.parallelism", "must be from 1 to 16");
        }
        faults.at_least_one("limits.max_cell_bytes", limits.max_cell_bytes as u64);
        faults.at_least_one("limits.max_columns", limits.max_columns as u64);
        faults.at_least_one("limits.max_decompressed_bytes", limits.max_decompressed_bytes);
        faults.at_least_one("limits.max_files", limits.max_files as u64);
        faults.at_least_one("limits.max_footer_bytes", limits.max_footer_bytes as u64);
        faults.seconds("limits.statement_timeout_seconds", limits.statement_timeout_seconds, false);
        faults.seconds("limits.connect_timeout_seconds", limits.connect_timeout_seconds, false);
    }

    /// Whoever may submit can have the files below a root read: the key that seals all secrets is not among them.
    fn file_roots(&self, faults: &mut Faults) {
        let key = self.secret_key_file.clone().unwrap_or_else(|| self.data_dir.join("secret.key"));
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        for root in self.file_roots.iter() {
            let shown = root.display();
            if root.components().any(|part| part == Component::ParentDir) {
                faults.add("file_roots", &format!("`{shown}` must not go up by `..`"));
            }
            for (what, path) in [("the data directory", &self.data_dir), ("the sealing key", &key)] {
                if real(path).starts_with(real(root)) {
                    faults.add("file_roots", &format!("{what} lies below `{shown}`; name folders with data only"));
                }
            }
        }
    }

    /// A bucket that two connections claim would be read by chance.
    fn buckets(&self, faults: &mut Faults) {
        let mut claimed = BTreeMap::new();
        for (name, connection) in self.connections.of_kind::<S3Connection>() {
            let key = |key: &str| format!("connections.{name}.{key}");
            if let Some(Err(what)) = connection.endpoint.as_deref().map(check_endpoint) {
                faults.add(&key("endpoint"), what);
            }
            if connection.access_key.is_some() != connection.secret_key.is_some() {
                faults.add(&key("secret_key"), "goes with `access_key`, and `access_key` with it");
            }
            for bucket in &connection.buckets {
                if let Some(other) = claimed.insert(bucket, name) {
                    faults.add(&key("buckets"), &format!("`{bucket}` is listed by the connection `{other}` too"));
                }
            }
        }
    }

    async fn catalogs(&self, faults: &mut Faults) {
        if self.catalogs.is_empty() {
            return; // The embedded one will be made.
        }
        let default = &self.default_catalog;
        if !self.catalogs.contains_key(default) {
            let names: Vec<_> = self.catalogs.keys().map(|name| format!("`{name}`")).collect();
            let first = self.catalogs.keys().next().cloned().unwrap_or_default();
            let there = format!("there is no catalog `{default}`, only {}", names.join(", "));
            faults.add("default_catalog", &format!("{there}; write `default_catalog = \"{first}\"`"));
        }
        for (name, config) in &self.catalogs {
            // It connects on first use, so nothing is reached here.
            if let Err(error) = Lake::connect(name, config).await {
                faults.add(&format!("catalogs.{name}"), error.message());
            }
        }
    }
}

struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, key: &str, what: &str) {
        self.0.push(format!("{key}: {what}"));
    }

    fn at_least_one(&mut self, key: &str, value: u64) {
        if value == 0 {
            self.add(key, "must be at least 1");
        }
    }

    fn seconds(&mut self, key: &str, value: f64, zero: bool) {
        if !(value.is_finite() && value <= LONGEST && (value > 0.0 || (zero && value == 0.0))) {
            self.add(key, if zero { "must not be negative, in seconds" } else { "must be more than 0, in seconds" });
        }
    }

    /// A word that is no level would be taken as the name of a module, and nothing else would be logged.
    fn log_level(&mut self, text: &str) {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word.trim()));
        let fine = |part: &str| is_level(part.rsplit_once('=').map_or(part, |(_, level)| level));
        if !text.split(',').all(fine) || EnvFilter::try_new(text).is_err() {
            let what = format!("`{text}` must be one of {}, or such as `icehaul=debug,warn`", LEVELS.join(", "));
            self.add("log_level", &what);
        }
    }
}
