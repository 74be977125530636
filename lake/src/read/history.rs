//! Which snapshot is meant, and what a table's snapshots are.
use std::collections::{BTreeMap, HashSet};

use iceberg::spec::{SchemaRef, SnapshotRef};

use super::{Table, error};
use crate::{Error, Kind, Result, commit};

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

/// A state of a table: a snapshot (none before the first write) and the schema to read it with.
pub(super) struct State {
    pub snapshot: Option<SnapshotRef>,
    pub schema: SchemaRef,
}

impl Table {
    /// All snapshots, oldest first.
    #[must_use]
    pub fn snapshots(&self) -> Vec<SnapshotInfo> {
        let metadata = self.metadata();
        let ancestors = commit::ancestors(metadata, metadata.current_snapshot());
        let ancestors: HashSet<_> = ancestors.map(|snapshot| snapshot.snapshot_id()).collect();
        let mut snapshots: Vec<_> = metadata.snapshots().collect();
        snapshots.sort_by_key(|snapshot| (snapshot.timestamp_ms(), snapshot.sequence_number()));
        let info = |snapshot: &SnapshotRef| SnapshotInfo {
            snapshot_id: snapshot.snapshot_id().to_string(),
            parent_id: snapshot.parent_snapshot_id().map(|id| id.to_string()),
            committed_at_ms: snapshot.timestamp_ms(),
            operation: snapshot.summary().operation.as_str().to_owned(),
            summary: snapshot.summary().additional_properties.clone().into_iter().collect(),
            is_current_ancestor: ancestors.contains(&snapshot.snapshot_id()),
        };
        snapshots.into_iter().map(info).collect()
    }

    /// The schema that rows of that state are read with.
    pub(crate) fn iceberg_schema(&self, at: At) -> Result<SchemaRef> {
        Ok(self.resolve(at)?.schema)
    }

    pub(crate) fn snapshot(&self, at: At) -> Result<Option<SnapshotRef>> {
        Ok(self.resolve(at)?.snapshot)
    }

    /// The id of the snapshot that `at` means; `None` for a table without one.
    ///
    /// # Errors
    /// [`Kind::SnapshotNotFound`].
    pub fn snapshot_id(&self, at: At) -> Result<Option<i64>> {
        Ok(self.resolve(at)?.snapshot.map(|snapshot| snapshot.snapshot_id()))
    }

    /// The newest value of a summary entry along the history of the snapshot that `at` means.
    #[must_use]
    pub fn newest_entry(&self, at: At, key: &str) -> Option<String> {
        let newest = self.snapshot(at).ok()?;
        commit::newest_entry(self.metadata(), newest.as_ref(), key).cloned()
    }

    /// The state that `at` means.
    ///
    /// # Errors
    /// [`Kind::SnapshotNotFound`].
    pub(super) fn resolve(&self, at: At) -> Result<State> {
        let metadata = self.metadata();
        let current = metadata.current_snapshot_id();
        let id = match at {
            At::Current => current,
            At::Snapshot(id) => Some(id),
            At::Timestamp(ms) => Some(self.snapshot_at(ms)?),
        };
        let Some(id) = id else {
            let schema = self.read_as.as_ref().unwrap_or(metadata.current_schema()).clone();
            return Ok(State { snapshot: None, schema });
        };
        let snapshot = metadata.snapshot_by_id(id).ok_or_else(|| {
            Error::new(
                Kind::SnapshotNotFound,
                format!("table {} has no snapshot {id} (it may have been expired)", self.name),
            )
        })?;
        // A schema change makes no snapshot: the newest one is read with the columns that the table has now.
        let schema = match &self.read_as {
            Some(schema) => schema.clone(),
            None if current == Some(id) => metadata.current_schema().clone(),
            None => snapshot.schema(metadata).map_err(|cause| error::broken(&self.name, cause))?,
        };
        Ok(State { snapshot: Some(snapshot.clone()), schema })
    }

    /// The snapshot that was current at a time: by the table's log, which knows of rollbacks.
    fn snapshot_at(&self, ms: i64) -> Result<i64> {
        let entries = self.metadata().history().iter().filter(|entry| entry.timestamp_ms() <= ms);
        entries.max_by_key(|entry| entry.timestamp_ms()).map(|entry| entry.snapshot_id).ok_or_else(|| {
            let when =
                chrono::DateTime::from_timestamp_millis(ms).map_or_else(|| format!("{ms} ms"), |t| t.to_rfc3339());
            Error::new(Kind::SnapshotNotFound, format!("table {} has no snapshot as of {when}", self.name))
        })
    }
}
