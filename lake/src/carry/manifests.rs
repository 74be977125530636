//! The new table's manifests: one for each of the source's, with the same files under their new names.
use std::collections::HashMap;

use iceberg::spec::{
    DataFile, DataFileBuilder, ManifestContentType, ManifestFile, ManifestStatus, PartitionSpec, SchemaRef,
};

use super::{CarriedHistory, Carry, CopiedFile, Entry, Manifest};
use crate::{Error, Kind, Result};

/// Copied files, ready to become a table's.
#[derive(Default)]
pub(crate) struct Carried<'a> {
    pub manifests: Vec<CarriedManifest>,
    /// All snapshots of the source, if they are carried: `manifests` are theirs then.
    pub history: Option<CarriedHistory<'a>>,
}

/// The files of one manifest.
pub(crate) struct CarriedManifest {
    pub content: ManifestContentType,
    pub schema: SchemaRef,
    pub spec: PartitionSpec,
    pub entries: Vec<CarriedEntry>,
    /// The source's manifest, if its snapshots are carried.
    pub origin: Option<ManifestFile>,
}

/// A manifest's word about a copied file.
pub(crate) struct CarriedEntry {
    pub file: DataFile,
    pub status: ManifestStatus,
    /// The snapshot that added or removed it; `None` for the one that is to be made.
    pub snapshot: Option<i64>,
    pub sequence: i64,
    pub file_sequence: i64,
}

impl CarriedManifest {
    /// Its files, each with its spec.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (i32, &DataFile)> {
        self.entries.iter().map(|entry| (self.spec.spec_id(), &entry.file))
    }
}

impl Carry {
    /// Puts the copies in the places of the files that they are of; those of which nothing is left are left out.
    pub(crate) fn carried<'a>(&'a self, copies: &'a [Option<CopiedFile>]) -> Carried<'a> {
        let history = self.carried_history(copies);
        let manifests = self.manifests.iter().map(|manifest| manifest.carried(copies, history.is_some()));
        // Snapshots know their manifests by their places: there even empty ones stay.
        let manifests = manifests.filter(|manifest| history.is_some() || !manifest.entries.is_empty()).collect();
        Carried { manifests, history }
    }
}

impl Manifest {
    fn carried(&self, copies: &[Option<CopiedFile>], all: bool) -> CarriedManifest {
        let entry = |entry: &Entry| {
            Some(CarriedEntry {
                file: copies.get(entry.number)?.as_ref()?.file.clone()?,
                status: match entry.status {
                    // What a manifest calls added was so by the snapshot that it is of.
                    ManifestStatus::Added if !all || entry.snapshot != self.listed.added_snapshot_id => {
                        ManifestStatus::Existing
                    }
                    status => status,
                },
                snapshot: all.then_some(entry.snapshot),
                sequence: entry.sequence,
                file_sequence: entry.file_sequence,
            })
        };
        CarriedManifest {
            content: self.listed.content,
            schema: self.schema.clone(),
            spec: self.spec.clone(),
            entries: self.entries.iter().filter_map(entry).collect(),
            origin: all.then(|| self.listed.clone()),
        }
    }
}

/// The same file under another name: its statistics stay.
pub(super) fn renamed(file: &DataFile, path: &str) -> Result<DataFile> {
    let mut builder = described(file, path);
    builder
        .record_count(file.record_count())
        .file_size_in_bytes(file.file_size_in_bytes())
        .split_offsets(file.split_offsets().map(<[i64]>::to_vec));
    built(&mut builder)
}

/// What holds for a file whatever its name and size.
pub(super) fn described(file: &DataFile, path: &str) -> DataFileBuilder {
    let mut builder = DataFileBuilder::default();
    builder
        .content(file.content_type())
        .file_path(path.to_owned())
        .file_format(file.file_format())
        .partition(file.partition().clone())
        .column_sizes(file.column_sizes().clone())
        .value_counts(file.value_counts().clone())
        .null_value_counts(file.null_value_counts().clone())
        .nan_value_counts(file.nan_value_counts().clone())
        .lower_bounds(file.lower_bounds().clone())
        .upper_bounds(file.upper_bounds().clone())
        .equality_ids(file.equality_ids());
    if let Some(order) = file.sort_order_id() {
        builder.sort_order_id(order);
    }
    builder
}

pub(super) fn built(builder: &mut DataFileBuilder) -> Result<DataFile> {
    builder
        .build()
        .map_err(|e| Error::new(Kind::Internal, "a copied file cannot be described").caused_by(e.to_string()))
}

/// No counts.
pub(super) fn none<T>() -> HashMap<i32, T> {
    HashMap::new()
}
