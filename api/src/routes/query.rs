//! Read-only SQL.
use std::time::{Duration, Instant};

use axum::{extract::State, response::Response};
use icehaul_jobs::{Code, Error, spec};
use icehaul_lake::sql;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{AppState, Result, Trino, config::seconds, extract::JsonBody, rows};

/// Rows of a result when the caller does not say.
const DEFAULT_LIMIT: u32 = 1000;

/// How long a query may take when the caller does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Who runs the query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Engine {
    /// Icehaul itself.
    #[default]
    Embedded,
    /// A Trino cluster, where one is configured.
    Trino,
}

/// A query.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Query {
    /// One read-only statement. Tables are `namespace.table` or `catalog.namespace.table`.
    #[schemars(length(min = 1, max = 100_000), example = &"SELECT count(*) FROM raw.orders")]
    sql: String,
    /// How many rows at most; 1000 if not given.
    #[schemars(range(min = 1, max = 10_000))]
    limit: Option<u32>,
    /// Who runs it.
    #[serde(default)]
    engine: Engine,
    /// How long it may take, in seconds; 60 if not given.
    #[schemars(range(min = 0.001, max = 3600.0))]
    timeout_seconds: Option<f64>,
}

pub(crate) async fn query(State(state): State<AppState>, JsonBody(body): JsonBody) -> Result<Response> {
    let query: Query = spec::read_request(spec::read_json(&body)?, |_| Vec::new())?;
    let timeout = query.timeout_seconds.map_or(DEFAULT_TIMEOUT, seconds).min(state.config.query_timeout());
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT) as usize;
    let started = Instant::now();
    let room = state.room.hold(timeout).await?;
    let (left, most) = (timeout.saturating_sub(started.elapsed()), state.config.max_result_bytes);
    let result = match query.engine {
        Engine::Trino => trino(&state)?.query(&query.sql, limit, most, left).await?,
        Engine::Embedded => rows::collect(sql::query(&state.lakes, &query.sql, left).await?, limit, most).await?,
    };
    room.answer(&result.took(started.elapsed()))
}

fn trino(state: &AppState) -> Result<&Trino> {
    let advice = "no Trino cluster is configured: use `embedded`, or set `trino.url` and `trino.user`";
    state.trino.as_ref().ok_or_else(|| Error::field("engine", Code::EngineNotConfigured, advice).into())
}
