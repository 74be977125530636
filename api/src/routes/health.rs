//! Whether Icehaul and what it depends on are well, and the figures for Prometheus.
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::future::join_all;
use icehaul_jobs::{Code, Error};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{AppState, Result, metrics};

/// How long a dependency may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Condition {
    /// As it should be.
    Healthy,
    /// It works, but not all of it or not as safely.
    Degraded,
    /// It does not work.
    Unhealthy,
}

/// Whether Icehaul can do its work.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Health {
    /// The whole.
    status: Condition,
    /// The version that runs.
    version: &'static str,
    /// Seconds since the start.
    uptime_seconds: f64,
    /// Why jobs wait although everything answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// What it depends on.
    dependencies: Dependencies,
    /// What requests may name.
    sources: Sources,
}

/// What requests may name; whether it answers shows when it is read.
#[derive(Debug, Serialize, JsonSchema)]
struct Sources {
    /// The folders below which files may be read.
    file_roots: Vec<String>,
    /// The kind of each configured connection.
    connections: BTreeMap<String, &'static str>,
}

impl Sources {
    fn of(state: &AppState) -> Self {
        Self {
            file_roots: state.file_roots.iter().map(|root| root.display().to_string()).collect(),
            connections: state.connections.kinds().map(|(name, kind)| (name.to_owned(), kind)).collect(),
        }
    }
}

/// What Icehaul depends on.
#[derive(Debug, Serialize, JsonSchema)]
struct Dependencies {
    /// The queue's store.
    redis: Dependency,
    /// How many workers were heard of lately; null if the queue does not say.
    workers: Option<usize>,
    /// How many of them can have pages made by a browser (`"render": "browser"`).
    browsers: Option<usize>,
    /// `catalog.<name>` for each configured catalog.
    #[serde(flatten)]
    catalogs: BTreeMap<String, Dependency>,
}

/// One thing that Icehaul depends on.
#[derive(Debug, Serialize, JsonSchema)]
struct Dependency {
    /// How well it is.
    status: Condition,
    /// How long it took to answer, in milliseconds.
    latency_ms: f64,
    /// What weakens it, or why it does not work.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl Dependency {
    async fn check<E: Into<Error>>(answer: impl Future<Output = Result<Vec<String>, E>>) -> Self {
        let started = Instant::now();
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        let latency_ms = (started.elapsed().as_secs_f64() * 1e4).round() / 10.0;
        let (status, warnings) = match answer.map(|given| given.map_err(Into::into)) {
            Ok(Ok(warnings)) if warnings.is_empty() => (Condition::Healthy, warnings),
            Ok(Ok(warnings)) => (Condition::Degraded, warnings),
            Ok(Err(error)) => (Condition::Unhealthy, vec![error.message().to_owned()]),
            Err(_) => (Condition::Unhealthy, vec![format!("no answer within {} s", PATIENCE.as_secs())]),
        };
        Self { status, latency_ms, warnings }
    }
}

pub(crate) async fn health(State(state): State<AppState>) -> Response {
    let default = format!("catalog.{}", state.lakes.default_name());
    let catalogs = join_all(state.lakes.iter().map(|(name, lake)| async move {
        (format!("catalog.{name}"), Dependency::check(async { lake.ping().await.map(|()| Vec::new()) }).await)
    }));
    let workers = tokio::time::timeout(PATIENCE, state.queue.stats());
    let (redis, catalogs, workers) = tokio::join!(Dependency::check(state.queue.ping()), catalogs, workers);
    let catalogs: BTreeMap<_, _> = catalogs.into_iter().collect();
    let workers = workers.ok().and_then(Result::ok).map(|stats| stats.workers);
    let mut warnings = Vec::new();
    match &workers {
        Some(workers) if workers.is_empty() => {
            warnings.push("no worker runs, so jobs wait; start one with `icehaul worker`".to_owned());
        }
        Some(workers) if workers.iter().all(|worker| worker.slots == 0) => {
            warnings.push("no worker has slots, so jobs wait; raise `worker.slots`".to_owned());
        }
        _ => {}
    }
    let browsers = workers.as_ref().map(|workers| workers.iter().filter(|worker| worker.has_browser).count());
    let workers = workers.map(|workers| workers.len());

    let all = || catalogs.values().chain([&redis]);
    let vital = [Some(&redis), catalogs.get(&default)];
    let status = if vital.iter().flatten().any(|one| one.status == Condition::Unhealthy) {
        Condition::Unhealthy
    } else if !warnings.is_empty() || all().any(|one| one.status != Condition::Healthy) {
        Condition::Degraded
    } else {
        Condition::Healthy
    };
    let code = if status == Condition::Unhealthy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let health = Health {
        status,
        version: state.version,
        uptime_seconds: (state.started_at.elapsed().as_secs_f64() * 10.0).round() / 10.0,
        warnings,
        dependencies: Dependencies { redis, workers, browsers, catalogs },
        sources: Sources::of(&state),
    };
    (code, Json(health)).into_response()
}

/// Sign of life.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Live {
    /// Always `alive`.
    status: &'static str,
}

pub(crate) async fn live() -> Json<Live> {
    Json(Live { status: "alive" })
}

/// The media type of Prometheus' text format.
pub(crate) const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) async fn prometheus(State(state): State<AppState>) -> Result<Response> {
    let stats = tokio::time::timeout(PATIENCE, state.queue.stats()).await.ok().and_then(Result::ok);
    let page = metrics::page(&state.registry, stats.as_ref())
        .map_err(|e| Error::new(Code::Internal, "the figures cannot be written").caused_by(e))?;
    Ok(([(header::CONTENT_TYPE, PROMETHEUS)], page).into_response())
}
