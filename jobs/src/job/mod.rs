//! How each kind of job runs. Adding a kind: one new file here, and its name in `spec/mod.rs`.
mod batch;
mod lanes;
mod load;
mod migrate;
mod publish;
mod upload;
mod verify;

use std::time::Duration;

use icehaul_lake::{At, Table};

pub use batch::MigrateBatch;
pub(crate) use load::run as run_load;
pub use load::source_columns;
pub use migrate::MigrateTable;
pub use upload::UploadS3;
pub use verify::VerifyTables;

use crate::{Code, Error, report::TableState};

/// A time in seconds, to the millisecond.
fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

/// Says of a table that is not there which field has named it.
fn missing(field: &str, error: icehaul_lake::Error) -> Error {
    let error = Error::from(error);
    match error.code() {
        Code::TableNotFound | Code::NamespaceNotFound => Error::field(field, error.code(), error.message()),
        _ => error,
    }
}

/// A table at a state, as reports tell it.
fn state_of(catalog: &str, table: &Table, at: At) -> TableState {
    let metadata = table.metadata();
    let snapshot = match at {
        At::Snapshot(id) => metadata.snapshot_by_id(id),
        At::Current | At::Timestamp(_) => metadata.current_snapshot(),
    };
    TableState {
        catalog: catalog.to_owned(),
        table: table.name().to_string(),
        uuid: Some(metadata.uuid()),
        format_version: Some(metadata.format_version() as u8),
        location: Some(metadata.location().to_owned()),
        metadata_location: table.metadata_location().map(str::to_owned),
        snapshot_id: snapshot.map(|snapshot| snapshot.snapshot_id().to_string()),
        snapshot_at: snapshot.and_then(|snapshot| snapshot.timestamp().ok()),
        schema_id: table.schema_id(at).ok(),
        ..TableState::default()
    }
}
