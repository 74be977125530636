//! One table: its metadata, under the keys of both older systems and its own.
use std::collections::BTreeMap;

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use icehaul_jobs::REDACTED;
use icehaul_lake::{At, Column, SnapshotInfo, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DEFAULT_LIMIT, WhichCatalog, bounded, load};
use crate::{
    AppState, Result,
    extract::{Params, TablePath},
    problem::parameter,
};

/// The newest snapshots that the metadata shows; `/snapshots` has all.
const HISTORY: usize = 50;

/// A snapshot.
#[derive(Debug, Serialize, JsonSchema)]
struct Snapshot {
    /// Its id; a string, because 64 bits do not fit a JSON number.
    snapshot_id: String,
    /// The one before it.
    parent_id: Option<String>,
    /// When it was committed.
    committed_at: Option<DateTime<Utc>>,
    /// `append`, `overwrite`, …
    operation: String,
    /// What its writer says about it.
    summary: BTreeMap<String, String>,
    /// Whether it lies on the history of the current one.
    is_current_ancestor: bool,
}

impl From<SnapshotInfo> for Snapshot {
    fn from(info: SnapshotInfo) -> Self {
        Self {
            snapshot_id: info.snapshot_id,
            parent_id: info.parent_id,
            committed_at: DateTime::from_timestamp_millis(info.committed_at_ms),
            operation: info.operation,
            summary: info.summary,
            is_current_ancestor: info.is_current_ancestor,
        }
    }
}

fn newest_first(table: &Table) -> impl Iterator<Item = SnapshotInfo> {
    table.snapshots().into_iter().rev()
}

fn current_snapshot(table: &Table) -> Option<String> {
    table.metadata().current_snapshot_id().map(|id| id.to_string())
}

/// `name TYPE, name TYPE`, as both older systems have it.
fn schema_text(columns: &[Column]) -> String {
    columns.iter().map(|column| format!("{} {}", column.name, column.sql_type)).collect::<Vec<_>>().join(", ")
}

/// Everything about a table but its rows.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Metadata {
    /// The bare name.
    table_name: String,
    /// The namespace.
    namespace: String,
    /// The columns as text: `order_id INT, total DECIMAL(10, 2)`.
    schema: String,
    /// The partitioning as text, `PARTITION BY city, order_date MONTH`; null if there is none.
    partition_spec: Option<String>,
    /// The same as `partition_spec`.
    partitions: Option<String>,
    /// The number of snapshots.
    snapshots: usize,
    /// The current snapshot; null before the first.
    current_snapshot: Option<String>,
    /// The same as `current_snapshot`.
    current_snapshot_id: Option<String>,
    /// The number of rows.
    row_count: u64,
    /// Where the table lies.
    location: String,
    /// The newest snapshots, newest first; at most 50.
    snapshot_history: Vec<Snapshot>,
    /// The columns.
    columns: Vec<Column>,
    /// The table's properties; what looks like a credential is `***`.
    properties: BTreeMap<String, String>,
    /// The number of data files.
    files: u64,
    /// The size of the data files, in bytes.
    size_bytes: u64,
    /// The table's own id; stays the same when it is renamed.
    table_uuid: uuid::Uuid,
    /// The version of the Iceberg format.
    format_version: u8,
    /// When the table last changed.
    last_updated_at: Option<DateTime<Utc>>,
}

pub(crate) async fn metadata(
    State(state): State<AppState>,
    TablePath(name): TablePath,
    Params(which): Params<WhichCatalog>,
) -> Result<Json<Metadata>> {
    let table = load(&state, which.catalog.as_deref(), &name).await?;
    let (row_count, (files, size_bytes)) =
        bounded(&state, async { Ok((table.count(At::Current).await?, table.files(At::Current).await?)) }).await?;
    let columns = table.columns();
    let metadata = table.metadata();
    Ok(Json(Metadata {
        table_name: name.table().to_owned(),
        namespace: name.namespace().to_string(),
        schema: schema_text(&columns),
        partition_spec: table.partitioning(),
        partitions: table.partitioning(),
        snapshots: metadata.snapshots().len(),
        current_snapshot: current_snapshot(&table),
        current_snapshot_id: current_snapshot(&table),
        row_count,
        location: format!("{}/", metadata.location().trim_end_matches('/')),
        snapshot_history: newest_first(&table).take(HISTORY).map(Snapshot::from).collect(),
        columns,
        properties: metadata.properties().iter().map(|(key, value)| (key.clone(), shown(key, value))).collect(),
        files,
        size_bytes,
        table_uuid: metadata.uuid(),
        format_version: metadata.format_version() as u8,
        last_updated_at: DateTime::from_timestamp_millis(metadata.last_updated_ms()),
    }))
}

/// A property's value, unless its name says that it is a credential.
fn shown(key: &str, value: &str) -> String {
    const TELLING: [&str; 6] = ["secret", "password", "token", "credential", "access-key", "private"];
    let key = key.to_ascii_lowercase().replace('_', "-");
    if TELLING.iter().any(|word| key.contains(word)) { REDACTED.to_owned() } else { value.to_owned() }
}

/// The number of rows.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Count {
    /// Always `success`.
    status: &'static str,
    /// The table, `namespace.table`.
    table: String,
    /// The number of rows.
    row_count: u64,
}

pub(crate) async fn count(
    State(state): State<AppState>,
    TablePath(name): TablePath,
    Params(which): Params<WhichCatalog>,
) -> Result<Json<Count>> {
    let table = load(&state, which.catalog.as_deref(), &name).await?;
    let row_count = bounded(&state, async { Ok(table.count(At::Current).await?) }).await?;
    Ok(Json(Count { status: "success", table: name.to_string(), row_count }))
}

/// The columns of a table.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SchemaReply {
    /// The table, `namespace.table`.
    table: String,
    /// The schema's id; a new one for each change.
    schema_id: i32,
    /// The columns as text.
    schema: String,
    /// The columns.
    columns: Vec<Column>,
}

pub(crate) async fn schema(
    State(state): State<AppState>,
    TablePath(name): TablePath,
    Params(which): Params<WhichCatalog>,
) -> Result<Json<SchemaReply>> {
    let table = load(&state, which.catalog.as_deref(), &name).await?;
    let columns = table.columns();
    let schema_id = table.metadata().current_schema_id();
    Ok(Json(SchemaReply { table: name.to_string(), schema_id, schema: schema_text(&columns), columns }))
}

/// Which of a table's snapshots.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct SnapshotPage {
    /// A configured catalog; default: the default one.
    catalog: Option<String>,
    /// How many at most; 50 if not given.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Where to go on: the `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The snapshots of a table.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Snapshots {
    /// The table, `namespace.table`.
    table: String,
    /// The current snapshot; null before the first.
    current_snapshot_id: Option<String>,
    /// The snapshots, newest first.
    snapshots: Vec<Snapshot>,
    /// How many snapshots the table has.
    count: usize,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

pub(crate) async fn snapshots(
    State(state): State<AppState>,
    TablePath(name): TablePath,
    Params(page): Params<SnapshotPage>,
) -> Result<Json<Snapshots>> {
    let table = load(&state, page.catalog.as_deref(), &name).await?;
    let all: Vec<SnapshotInfo> = newest_first(&table).collect();
    let start = match &page.cursor {
        // The cursor is the last snapshot of the page before.
        Some(cursor) => match all.iter().position(|snapshot| snapshot.snapshot_id == *cursor) {
            Some(at) => at + 1,
            None => return Err(parameter("cursor", "is not a cursor of this list, or its snapshot is gone")),
        },
        None => 0,
    };
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT) as usize;
    let count = all.len();
    let rest = count - start;
    let snapshots: Vec<Snapshot> = all.into_iter().skip(start).take(limit).map(Snapshot::from).collect();
    let next_cursor = snapshots.last().filter(|_| rest > limit).map(|last| last.snapshot_id.clone());
    Ok(Json(Snapshots {
        table: name.to_string(),
        current_snapshot_id: current_snapshot(&table),
        snapshots,
        count,
        next_cursor,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_properties_are_not_shown() {
        assert_eq!(shown("s3.secret_access_key", "hunter2"), REDACTED);
        assert_eq!(shown("adls.sas-token", "hunter2"), REDACTED);
        assert_eq!(shown("write.parquet.compression-codec", "zstd"), "zstd");
    }
}
