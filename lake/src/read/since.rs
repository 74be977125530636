//! What a table has gained since an earlier snapshot, by its files.
use std::collections::HashSet;

use futures::TryStreamExt;
use iceberg::{scan::FileScanTask, spec::Operation};

use super::{At, Table};
use crate::{Result, commit::ancestors};

impl Table {
    /// Whether files were only added between an earlier snapshot and a state.
    ///
    /// # Errors
    /// [`crate::Kind::SnapshotNotFound`] if one of them is not there (any more).
    pub fn only_appended(&self, since: i64, at: At) -> Result<bool> {
        self.resolve(At::Snapshot(since))?;
        let newest = self.snapshot(at)?;
        for snapshot in ancestors(self.metadata(), newest.as_ref()) {
            if snapshot.snapshot_id() == since {
                return Ok(true);
            }
            let summary = snapshot.summary();
            let deletes = summary.additional_properties.get("added-delete-files").is_some_and(|count| count != "0");
            if summary.operation != Operation::Append || deletes {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// The data files of a snapshot, each told together with the delete files that apply to it.
    pub(super) async fn known_at(&self, snapshot: Option<i64>) -> Result<HashSet<String>> {
        let Some(id) = snapshot else { return Ok(HashSet::new()) };
        let state = self.resolve(At::Snapshot(id))?;
        self.tasks(&state, None).await?.map_ok(|task| told(&task)).try_collect().await
    }
}

/// A data file's location with those of the delete files that apply to it: while that stays the same, so do its rows.
pub(super) fn told(task: &FileScanTask) -> String {
    let mut paths: Vec<_> = task.deletes.iter().map(|delete| delete.file_path.as_str()).collect();
    paths.sort_unstable();
    paths.insert(0, &task.data_file_path);
    paths.join("\n")
}
