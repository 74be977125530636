//! What a table has gained since an earlier snapshot.
use std::collections::HashSet;

use iceberg::spec::{ManifestContentType, Operation};

use super::{Table, history::State};
use crate::{Error, Kind, Result, commit::load_list, storage::failed};

impl Table {
    /// The data files that a state shares with an earlier snapshot, between which files were only added.
    ///
    /// # Errors
    /// [`Kind::SnapshotNotFound`] if the snapshot is not (or no longer) among the state's ancestors; [`Kind::SourceRewritten`] if
    /// rows were deleted, replaced or written anew in between: then the added files are not what was gained.
    pub(super) async fn known_since(&self, since: Option<i64>, state: &State) -> Result<HashSet<String>> {
        let (Some(since), Some(newest)) = (since, &state.snapshot) else { return Ok(HashSet::new()) };
        let metadata = self.metadata();
        let gone = || {
            let message = format!("snapshot {since} is not among the ancestors of what table {} is now", self.name);
            Error::new(Kind::SnapshotNotFound, message)
        };
        let mut snapshot = newest.clone();
        // Counted, so that a broken chain that loops ends too.
        for _ in 0..=metadata.snapshots().len() {
            if snapshot.snapshot_id() == since {
                return self.data_paths(&snapshot).await;
            }
            if snapshot.summary().operation != Operation::Append {
                let (id, operation) = (snapshot.snapshot_id(), snapshot.summary().operation.as_str());
                let message = format!("snapshot {id} of table {} is no append but `{operation}`", self.name);
                return Err(Error::new(Kind::SourceRewritten, message));
            }
            let parent = snapshot.parent_snapshot_id().and_then(|id| metadata.snapshot_by_id(id));
            snapshot = parent.ok_or_else(gone)?.clone();
        }
        Err(gone())
    }

    async fn data_paths(&self, snapshot: &iceberg::spec::Snapshot) -> Result<HashSet<String>> {
        let io = self.io();
        let listed: Vec<_> = load_list(snapshot, self.metadata(), io).await?.consume_entries().into_iter().collect();
        let mut paths = HashSet::new();
        for manifest in listed.iter().filter(|manifest| manifest.content == ManifestContentType::Data) {
            let loaded = manifest.load_manifest(io).await.map_err(|e| failed("read", &manifest.manifest_path, e))?;
            let alive = loaded.entries().iter().filter(|entry| entry.is_alive());
            paths.extend(alive.map(|entry| entry.file_path().to_owned()));
        }
        Ok(paths)
    }
}
