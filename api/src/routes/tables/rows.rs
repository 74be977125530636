//! A table's rows: the first of them, and the fingerprint of all.
use std::time::Instant;

use axum::{Json, extract::State, response::Response};
use chrono::{DateTime, Utc};
use icehaul_jobs::job;
use icehaul_lake::{At, Scan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{bounded, load};
use crate::{
    AppState, Result,
    extract::{Params, TablePath},
    problem::parameter,
    rows::{self, ResultSet},
};

/// Rows of a preview when the caller does not say.
const PREVIEW_ROWS: u32 = 20;

/// Rows per batch of a preview: few, because most of a batch would be thrown away.
const PREVIEW_BATCH: usize = 1024;

/// Which rows of which state.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct WhichRows {
    /// A configured catalog; default: the default one.
    catalog: Option<String>,
    /// How many rows at most; 20 if not given.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
    /// As the table was at this snapshot.
    #[schemars(regex(pattern = r"^-?[0-9]{1,19}$"))]
    snapshot_id: Option<String>,
    /// As the table was at this time; not together with `snapshot_id`.
    as_of: Option<DateTime<Utc>>,
}

/// Rows of a table.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Preview {
    /// The table, `namespace.table`.
    table: String,
    /// The rows.
    #[serde(flatten)]
    result: ResultSet,
}

pub(crate) async fn preview(
    State(state): State<AppState>,
    TablePath(name): TablePath,
    Params(which): Params<WhichRows>,
) -> Result<Response> {
    let at = match (snapshot(which.snapshot_id.as_deref())?, which.as_of) {
        (Some(_), Some(_)) => return Err(parameter("as_of", "goes without `snapshot_id`: each names a state")),
        (Some(id), None) => At::Snapshot(id),
        (None, Some(time)) => At::Timestamp(time.timestamp_millis()),
        (None, None) => At::Current,
    };
    let table = load(&state, which.catalog.as_deref(), &name).await?;
    let limit = which.limit.unwrap_or(PREVIEW_ROWS) as usize;
    let room = state.room.hold(state.config.query_timeout()).await?;
    let result = bounded(&state, async {
        let batches = table.scan(Scan { at, batch_size: Some(PREVIEW_BATCH), ..Scan::default() }).await?;
        rows::collect(batches, limit, state.config.max_result_bytes).await
    });
    room.answer(&Preview { table: name.to_string(), result: result.await? })
}

fn snapshot(text: Option<&str>) -> Result<Option<i64>> {
    let id = text.map(|text| text.parse().map_err(|_| parameter("snapshot_id", "must be a 64-bit integer")));
    id.transpose()
}

/// Which columns of which state.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct WhichState {
    /// A configured catalog; default: the default one.
    catalog: Option<String>,
    /// As the table was at this snapshot.
    #[schemars(regex(pattern = r"^-?[0-9]{1,19}$"))]
    snapshot_id: Option<String>,
    /// Only these columns, with commas between them; all if not given.
    columns: Option<String>,
    /// Only the columns that the newest load took from its source, without the lineage columns: what a load's own
    /// fingerprint is made of. Not together with `columns`.
    #[serde(default)]
    source_columns: bool,
}

/// The fingerprint of a table's rows.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Fingerprinted {
    /// The table, `namespace.table`.
    table: String,
    /// The snapshot that was read; null for a table without one.
    snapshot_id: Option<String>,
    /// The fingerprint. Two tables hold the same rows, in whatever order, exactly if theirs are equal.
    fingerprint: String,
    /// The number of rows.
    rows: u64,
    /// The columns that it is of; null for all of them.
    columns: Option<Vec<String>>,
    /// How long it took.
    elapsed_seconds: f64,
}

pub(crate) async fn fingerprint(
    State(state): State<AppState>,
    TablePath(name): TablePath,
    Params(which): Params<WhichState>,
) -> Result<Json<Fingerprinted>> {
    let started = Instant::now();
    let table = load(&state, which.catalog.as_deref(), &name).await?;
    let asked = snapshot(which.snapshot_id.as_deref())?;
    let at = asked.map_or(At::Current, At::Snapshot);
    let columns: Option<Vec<String>> = match (which.columns, which.source_columns) {
        (Some(_), true) => return Err(parameter("source_columns", "goes without `columns`: each names the columns")),
        (None, true) => Some(job::source_columns(&table, at).ok_or_else(|| {
            parameter("source_columns", "no load of Icehaul has noted its columns in this table; give `columns`")
        })?),
        (names, false) => names.map(|names| names.split(',').map(|name| name.trim().to_owned()).collect()),
    };
    let print = bounded(&state, async { Ok(table.fingerprint(at, columns.as_deref()).await?) }).await?;
    Ok(Json(Fingerprinted {
        table: name.to_string(),
        snapshot_id: asked.or_else(|| table.metadata().current_snapshot_id()).map(|id| id.to_string()),
        fingerprint: print.to_string(),
        rows: print.rows(),
        columns,
        elapsed_seconds: started.elapsed().as_secs_f64(),
    }))
}
