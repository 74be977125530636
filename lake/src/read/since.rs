//! What a table has gained since an earlier snapshot, by its files.
use std::collections::HashSet;

use futures::TryStreamExt;
use iceberg::{scan::FileScanTask, spec::Operation};

use super::{At, Table, error};
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

    /// The first column, or member of one, that is called otherwise in a state than at an earlier snapshot, in words: renamed or
    /// dropped. Rows of before and after it do not go into one table by their columns' names. `schema` is the one that the
    /// earlier snapshot was read with; without it, the one that it was written with.
    ///
    /// # Errors
    /// [`crate::Kind::SnapshotNotFound`].
    pub fn column_moved(&self, since: i64, schema: Option<i32>, at: At) -> Result<Option<String>> {
        let known = schema.and_then(|id| self.metadata().schema_by_id(id)).cloned();
        let before = match (known, self.snapshot(At::Snapshot(since))?) {
            (Some(schema), _) => schema,
            (None, Some(snapshot)) => {
                snapshot.schema(self.metadata()).map_err(|cause| error::broken(&self.name, cause))?
            }
            (None, None) => return Ok(None),
        };
        let now = self.resolve(at)?.schema;
        let mut ids: Vec<_> = before.field_id_to_name_map().iter().collect();
        ids.sort();
        Ok(ids.into_iter().find_map(|(id, name)| match now.name_by_field_id(*id) {
            None => Some(format!("`{name}` was dropped")),
            Some(new) if new != name => Some(format!("`{name}` was renamed to `{new}`")),
            Some(_) => None,
        }))
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
