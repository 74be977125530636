//! The counts in a snapshot's summary: what the commit did, and what the table holds after it.
use std::collections::{BTreeSet, HashMap};

use iceberg::{
    io::FileIO,
    spec::{DataContentType, DataFile, ManifestFile, Snapshot},
};

use crate::{Result, storage::failed};

/// Counts of files and their content, by the summary's names for a whole table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    data_files: u64,
    delete_files: u64,
    records: u64,
    bytes: u64,
    position_deletes: u64,
    equality_deletes: u64,
}

impl Counts {
    pub(super) fn add(&mut self, file: &DataFile) {
        self.bytes += file.file_size_in_bytes();
        match file.content_type() {
            DataContentType::Data => {
                self.data_files += 1;
                self.records += file.record_count();
            }
            DataContentType::PositionDeletes => {
                self.delete_files += 1;
                self.position_deletes += file.record_count();
            }
            DataContentType::EqualityDeletes => {
                self.delete_files += 1;
                self.equality_deletes += file.record_count();
            }
        }
    }

    fn totals(&self) -> [(&'static str, u64); 6] {
        [
            ("total-data-files", self.data_files),
            ("total-delete-files", self.delete_files),
            ("total-records", self.records),
            ("total-files-size", self.bytes),
            ("total-position-deletes", self.position_deletes),
            ("total-equality-deletes", self.equality_deletes),
        ]
    }

    fn removed(&self) -> [(&'static str, u64); 6] {
        [
            ("deleted-data-files", self.data_files),
            ("removed-delete-files", self.delete_files),
            ("deleted-records", self.records),
            ("removed-files-size", self.bytes),
            ("removed-position-deletes", self.position_deletes),
            ("removed-equality-deletes", self.equality_deletes),
        ]
    }

    /// What is left of the table's without the others'. The table's may have been told wrongly by whoever wrote it.
    pub(super) fn minus(&self, other: &Self) -> Self {
        Self {
            data_files: self.data_files.saturating_sub(other.data_files),
            delete_files: self.delete_files.saturating_sub(other.delete_files),
            records: self.records.saturating_sub(other.records),
            bytes: self.bytes.saturating_sub(other.bytes),
            position_deletes: self.position_deletes.saturating_sub(other.position_deletes),
            equality_deletes: self.equality_deletes.saturating_sub(other.equality_deletes),
        }
    }

    fn sum(&self, other: &Self) -> Self {
        Self {
            data_files: self.data_files + other.data_files,
            delete_files: self.delete_files + other.delete_files,
            records: self.records + other.records,
            bytes: self.bytes + other.bytes,
            position_deletes: self.position_deletes + other.position_deletes,
            equality_deletes: self.equality_deletes + other.equality_deletes,
        }
    }
}

/// What a snapshot's table holds: by its summary, or by its manifests where the summary does not say.
pub(super) async fn held(snapshot: &Snapshot, manifests: &[ManifestFile], io: &FileIO) -> Result<Counts> {
    let summary = &snapshot.summary().additional_properties;
    let number = |key: &str| summary.get(key).and_then(|text| text.parse::<u64>().ok());
    let said = || {
        Some(Counts {
            data_files: number("total-data-files")?,
            delete_files: number("total-delete-files")?,
            records: number("total-records")?,
            bytes: number("total-files-size")?,
            position_deletes: number("total-position-deletes")?,
            equality_deletes: number("total-equality-deletes")?,
        })
    };
    if let Some(said) = said() {
        return Ok(said);
    }
    let mut counted = Counts::default();
    for manifest in manifests {
        let loaded = manifest.load_manifest(io).await.map_err(|e| failed("read", &manifest.manifest_path, e))?;
        let alive = loaded.entries().iter().filter(|entry| entry.is_alive());
        alive.for_each(|entry| counted.add(entry.data_file()));
    }
    Ok(counted)
}

/// The summary's counts for a commit that adds files to what is kept, and removes others.
pub(super) fn entries(
    kept: &Counts,
    added: &[DataFile],
    removed: &Counts,
    partitions: usize,
) -> HashMap<String, String> {
    let mut new = Counts::default();
    added.iter().for_each(|file| new.add(file));
    let added = [("added-data-files", new.data_files), ("added-records", new.records), ("added-files-size", new.bytes)];
    let changes = added.into_iter().chain(removed.removed()).filter(|(_, count)| *count > 0);
    let all = changes.chain(kept.sum(&new).totals()).chain([("changed-partition-count", partitions as u64)]);
    all.map(|(key, count)| (key.to_owned(), count.to_string())).collect()
}

/// The partitions that files lie in, each told by its spec and values.
pub(super) fn partitions<'a>(files: impl IntoIterator<Item = (i32, &'a DataFile)>) -> BTreeSet<String> {
    files.into_iter().map(|(spec, file)| format!("{spec}{:?}", file.partition())).collect()
}
