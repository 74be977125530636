//! Tables as they are: metadata, snapshots, files, rows.
use std::collections::BTreeMap;

use arrow_schema::SchemaRef;

use crate::{Batches, Fingerprint, Result, TableName};

/// Which state of a table is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// As it is now.
    #[default]
    Current,
    /// At a snapshot.
    Snapshot(i64),
    /// At a time, in milliseconds since the epoch, UTC.
    Timestamp(i64),
}

/// What to read of a table.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// The state.
    pub at: At,
    /// The columns, in this order; all if `None`.
    pub columns: Option<Vec<String>>,
    /// Only rows for which this holds; exact at row level.
    pub filter: Option<iceberg::expr::Predicate>,
    /// Rows per batch; 8,192 if `None`.
    pub batch_size: Option<usize>,
}

/// A snapshot, as people ask for it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SnapshotInfo {
    /// As a string: 64 bits do not fit a JSON number.
    pub snapshot_id: String,
    /// The one before it.
    pub parent_id: Option<String>,
    /// When it was committed, milliseconds since the epoch.
    pub committed_at_ms: i64,
    /// `append`, `overwrite`, …
    pub operation: String,
    /// Its summary.
    pub summary: BTreeMap<String, String>,
    /// Whether it lies on the history of the current one.
    pub is_current_ancestor: bool,
}

/// A loaded table. A value: it does not change when the table does.
#[derive(Clone)]
pub struct Table {
    name: TableName,
    inner: iceberg::table::Table,
}

impl Table {
    pub(crate) fn new(name: TableName, inner: iceberg::table::Table) -> Self {
        Self { name, inner }
    }
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &TableName {
        &self.name
    }
    /// Its current schema as Arrow.
    ///
    /// # Errors
    /// [`crate::Kind::UnsupportedFeature`].
    pub fn schema(&self) -> Result<SchemaRef> {
        unimplemented!()
    }
    /// The rows, streamed.
    ///
    /// # Errors
    /// [`crate::Kind::SnapshotNotFound`], [`crate::Kind::UnsupportedFeature`], [`crate::Kind::FileMissing`].
    pub async fn scan(&self, _scan: Scan) -> Result<Batches> {
        unimplemented!()
    }
    /// All snapshots, oldest first.
    #[must_use]
    pub fn snapshots(&self) -> Vec<SnapshotInfo> {
        unimplemented!()
    }
    /// The number of rows: from metadata where that is exact, else counted.
    ///
    /// # Errors
    /// As `scan`.
    pub async fn count(&self, _at: At) -> Result<u64> {
        unimplemented!()
    }
    /// The fingerprint of the rows, read in bounded memory on all cores.
    ///
    /// # Errors
    /// As `scan`.
    pub async fn fingerprint(&self, _at: At, _columns: Option<&[String]>) -> Result<Fingerprint> {
        unimplemented!()
    }
    /// The underlying Iceberg metadata, for the API's metadata reply.
    #[must_use]
    pub fn metadata(&self) -> &iceberg::spec::TableMetadata {
        self.inner.metadata()
    }
    /// The number of live data files and their size in bytes.
    ///
    /// # Errors
    /// As `scan`.
    pub async fn files(&self, _at: At) -> Result<(u64, u64)> {
        unimplemented!()
    }
}
