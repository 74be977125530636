//! The new table's manifests: one for each of the source's, with the same files under their new names.
use std::collections::HashMap;

use iceberg::spec::{DataFile, DataFileBuilder, ManifestContentType, PartitionSpec, SchemaRef};

use super::{Carry, CopiedFile};
use crate::{Error, Kind, Result};

/// The files of one manifest, ready to become a table's.
pub(crate) struct CarriedManifest {
    pub content: ManifestContentType,
    pub schema: SchemaRef,
    pub spec: PartitionSpec,
    /// Each with the sequence numbers of its data and of the file.
    pub files: Vec<(DataFile, i64, i64)>,
}

impl CarriedManifest {
    /// Its files, each with its spec.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (i32, &DataFile)> {
        self.files.iter().map(|(file, ..)| (self.spec.spec_id(), file))
    }
}

/// Puts the copies in the places of the files that they are of; those of which nothing is left are left out.
pub(crate) fn carried(carry: &Carry, copies: &[Option<CopiedFile>]) -> Vec<CarriedManifest> {
    let mut copies = copies.iter();
    let manifests = carry.manifests.iter().map(|manifest| {
        let olds = manifest.files.iter().zip(copies.by_ref());
        let files = olds.filter_map(|(old, copy)| Some((copy.as_ref()?.file.clone(), old.sequence, old.file_sequence)));
        CarriedManifest {
            content: manifest.content,
            schema: manifest.schema.clone(),
            spec: manifest.spec.clone(),
            files: files.collect(),
        }
    });
    manifests.filter(|manifest| !manifest.files.is_empty()).collect()
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
