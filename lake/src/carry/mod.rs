//! A table's files as they are, on their way into another table: copied byte for byte, named anew, and otherwise the same.
mod copy;
mod manifests;
mod pin;
mod positions;

use std::{collections::HashMap, sync::Arc};

use iceberg::{
    io::FileIO,
    spec::{DataContentType, DataFile, ManifestContentType, PartitionSpec, SchemaRef},
};

use crate::TableName;

pub use copy::CopiedFile;
pub(crate) use manifests::{CarriedManifest, carried};

/// The files of a table's snapshot.
pub struct Carry {
    name: TableName,
    io: FileIO,
    manifests: Vec<Manifest>,
    /// Their locations, each with the number that its copy is named by: in the order of the locations, so that what is sorted
    /// by location stays so.
    numbers: Arc<HashMap<String, usize>>,
    /// The manifest of each file, and its place there.
    places: Vec<(usize, usize)>,
}

/// A manifest's files.
pub(crate) struct Manifest {
    content: ManifestContentType,
    schema: SchemaRef,
    spec: PartitionSpec,
    files: Vec<File>,
}

/// A live file and the sequence numbers that say which deletes apply to it.
struct File {
    file: DataFile,
    sequence: i64,
    file_sequence: i64,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Rows.
    Rows,
    /// Places of deleted rows: they name files, so that these files are written anew.
    Positions,
    /// Values of deleted rows.
    Equality,
}

/// A file that is to be carried.
#[derive(Clone, Copy, Debug)]
pub struct CarriedFile<'a> {
    /// Its location.
    pub path: &'a str,
    /// Its size.
    pub bytes: u64,
    /// Its records.
    pub records: u64,
    /// What it holds.
    pub content: Content,
}

impl Carry {
    /// The files, in the order in which they are numbered in [`Carry::copy`].
    pub fn files(&self) -> impl Iterator<Item = CarriedFile<'_>> {
        self.all().map(|file| CarriedFile {
            path: file.file_path(),
            bytes: file.file_size_in_bytes(),
            records: file.record_count(),
            content: match file.content_type() {
                DataContentType::Data => Content::Rows,
                DataContentType::PositionDeletes => Content::Positions,
                DataContentType::EqualityDeletes => Content::Equality,
            },
        })
    }

    fn all(&self) -> impl Iterator<Item = &DataFile> {
        self.manifests.iter().flat_map(|manifest| &manifest.files).map(|file| &file.file)
    }

    fn file(&self, number: usize) -> Option<&DataFile> {
        let (manifest, place) = self.places.get(number)?;
        Some(&self.manifests.get(*manifest)?.files.get(*place)?.file)
    }
}
