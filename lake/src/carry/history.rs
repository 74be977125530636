//! All snapshots of a table: their ids, sequence numbers, times and summaries, its branches and tags, and its statistics.
use std::collections::HashMap;

use iceberg::spec::{SnapshotRef, TableMetadata};
use serde_json::{Value, json};

use super::{Carry, CopiedFile, Item};
use crate::{Error, Kind, Result, schema::upgraded};

/// What a table's metadata says of its history.
const PARTS: [&str; 8] = [
    "snapshots",
    "refs",
    "current-snapshot-id",
    "snapshot-log",
    "last-sequence-number",
    "last-updated-ms",
    "statistics",
    "partition-statistics",
];

/// A table's history.
pub(super) struct History {
    /// The parts of its metadata, by their names.
    parts: HashMap<&'static str, Value>,
    /// Oldest first, each with the places of its manifests.
    pub(super) snapshots: Vec<(SnapshotRef, Vec<usize>)>,
}

impl History {
    pub(super) fn of(metadata: &TableMetadata, snapshots: Vec<(SnapshotRef, Vec<usize>)>) -> Result<Self, String> {
        let mut json = upgraded(metadata)?;
        let parts = PARTS.into_iter().map(|part| (part, json[part].take())).collect();
        Ok(Self { parts, snapshots })
    }

    /// The files of statistics.
    pub(super) fn statistics(&self) -> impl Iterator<Item = Item> + '_ {
        let all = ["statistics", "partition-statistics"].into_iter();
        let all = all.flat_map(move |part| self.parts[part].as_array().into_iter().flatten());
        all.filter_map(|one| {
            let path = one["statistics-path"].as_str()?.to_owned();
            Some(Item::Statistics { path, bytes: one["file-size-in-bytes"].as_u64()? })
        })
    }
}

/// A history whose files have been copied, on its way into a new table.
pub(crate) struct CarriedHistory<'a> {
    history: &'a History,
    /// The new locations of files of statistics, by the old ones.
    statistics: HashMap<&'a str, &'a str>,
}

impl Carry {
    pub(super) fn carried_history<'a>(&'a self, copies: &'a [Option<CopiedFile>]) -> Option<CarriedHistory<'a>> {
        let pairs = self.items.iter().zip(copies);
        let statistics = pairs.filter(|(item, _)| matches!(item, Item::Statistics { .. }));
        let statistics = statistics.filter_map(|(item, copy)| Some((item.path(), copy.as_ref()?.path.as_str())));
        self.history.as_ref().map(|history| CarriedHistory { history, statistics: statistics.collect() })
    }
}

impl CarriedHistory<'_> {
    /// The snapshots, each with the places of its manifests.
    pub(crate) fn snapshots(&self) -> &[(SnapshotRef, Vec<usize>)] {
        &self.history.snapshots
    }

    /// A new table's metadata with this history: manifest lists by their snapshots' ids, and what the current snapshot's summary
    /// is to say besides.
    pub(crate) fn table(
        &self,
        table: &TableMetadata,
        lists: &HashMap<i64, String>,
        entries: &HashMap<String, String>,
    ) -> Result<TableMetadata> {
        let broken = |cause: String| {
            Error::new(Kind::Internal, "the history of the table cannot be carried over").caused_by(cause)
        };
        let mut json = serde_json::to_value(table).map_err(|e| broken(e.to_string()))?;
        for (part, value) in &self.history.parts {
            json[*part] = value.clone();
        }
        let current = json["current-snapshot-id"].as_i64();
        for snapshot in json["snapshots"].as_array_mut().into_iter().flatten() {
            let id = snapshot["snapshot-id"].as_i64();
            snapshot["manifest-list"] = json!(id.and_then(|id| lists.get(&id)));
            if id == current {
                entries.iter().for_each(|(key, value)| snapshot["summary"][key] = json!(value));
            }
        }
        for part in ["statistics", "partition-statistics"] {
            for one in json[part].as_array_mut().into_iter().flatten() {
                let new = one["statistics-path"].as_str().and_then(|old| self.statistics.get(old));
                one["statistics-path"] = json!(new);
            }
        }
        // A table's time does not go back.
        let now = chrono::Utc::now().timestamp_millis();
        json["last-updated-ms"] = json!(json["last-updated-ms"].as_i64().map_or(now, |then| then.max(now)));
        if let Some(fields) = json.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        serde_json::from_value(json).map_err(|e| broken(e.to_string()))
    }
}
