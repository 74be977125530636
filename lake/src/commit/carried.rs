//! The manifests of files that came from another table, and the manifest lists of snapshots that came with them.
use std::collections::HashMap;

use iceberg::spec::{ManifestFile, ManifestStatus};

use super::snapshot::{Builder, Written};
use crate::{Result, carry::CarriedManifest, storage::failed};

impl Builder<'_> {
    /// The manifests of carried files, which keep the sequence numbers that say which deletes apply to them.
    pub(super) async fn carry(&mut self, metadata: &str) -> Result<()> {
        if !self.carried_manifests.is_empty() {
            return Ok(());
        }
        let mut written = Vec::with_capacity(self.carried.len());
        for (index, carried) in self.carried.iter().enumerate() {
            if carried.entries.is_empty() {
                written.push(None);
                continue;
            }
            let path = format!("{metadata}/{}-c{index}.avro", self.commit);
            self.loose.push(path.clone());
            written.push(Some(self.carry_one(carried, &path).await?));
        }
        self.carried_manifests = written;
        Ok(())
    }

    async fn carry_one(&self, carried: &CarriedManifest, path: &str) -> Result<ManifestFile> {
        let of = carried.origin.as_ref().map_or(self.snapshot_id, |origin| origin.added_snapshot_id);
        let mut writer = self.writer(path, of, &carried.schema, &carried.spec, carried.content)?;
        for entry in &carried.entries {
            let (file, sequence, of_file) = (entry.file.clone(), entry.sequence, Some(entry.file_sequence));
            let said = match entry.status {
                ManifestStatus::Added => writer.add_file(file, sequence),
                ManifestStatus::Deleted => writer.add_delete_file(file, sequence, of_file),
                ManifestStatus::Existing => {
                    writer.add_existing_file(file, entry.snapshot.unwrap_or(self.snapshot_id), sequence, of_file)
                }
            };
            said.map_err(|e| failed("write", path, e))?;
        }
        let mut file = writer.write_manifest_file().await.map_err(|e| failed("write", path, e))?;
        if let Some(origin) = &carried.origin {
            file.sequence_number = origin.sequence_number;
            file.min_sequence_number = origin.min_sequence_number;
        }
        Ok(file)
    }

    /// The manifest lists of carried snapshots, by the ids of those.
    pub(super) async fn lists(
        &self,
        metadata: &str,
        attempt: usize,
        written: &mut Written,
    ) -> Result<HashMap<i64, String>> {
        let mut lists = HashMap::new();
        for (snapshot, places) in self.history.iter().flat_map(|history| history.snapshots()) {
            let id = snapshot.snapshot_id();
            let path = format!("{metadata}/snap-{id}-{attempt}-{}.avro", self.commit);
            written.paths.push(path.clone());
            let manifests = places.iter().filter_map(|place| self.carried_manifests.get(*place)?.clone()).collect();
            let about = (id, snapshot.parent_snapshot_id(), snapshot.sequence_number());
            self.list(&path, about, manifests).await?;
            lists.insert(id, path);
        }
        Ok(lists)
    }
}
