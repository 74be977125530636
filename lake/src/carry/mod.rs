//! A table's files as they are, on their way into another table: copied byte for byte, named anew, and otherwise the same.
mod copy;
mod history;
mod manifests;
mod pin;
mod positions;

use std::collections::HashMap;

use iceberg::{
    io::FileIO,
    spec::{DataContentType, DataFile, ManifestFile, ManifestStatus, PartitionSpec, SchemaRef},
};

use crate::TableName;

pub use copy::CopiedFile;
pub(crate) use history::CarriedHistory;
use history::History;
pub(crate) use manifests::{Carried, CarriedManifest};

/// The files of a table's snapshot, or of all of them.
pub struct Carry {
    name: TableName,
    io: FileIO,
    /// Each file once, in the order of the locations: copies are named by their number, so that what is sorted by location stays
    /// so.
    items: Vec<Item>,
    numbers: HashMap<String, usize>,
    manifests: Vec<Manifest>,
    /// What is carried besides if all snapshots are.
    history: Option<History>,
}

/// A file.
enum Item {
    /// Of rows or deletes, as manifests have it.
    Table(Box<DataFile>),
    /// Statistics of a snapshot.
    Statistics { path: String, bytes: u64 },
}

impl Item {
    fn path(&self) -> &str {
        match self {
            Self::Table(file) => file.file_path(),
            Self::Statistics { path, .. } => path,
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Table(file) => file.file_size_in_bytes(),
            Self::Statistics { bytes, .. } => *bytes,
        }
    }
}

/// A manifest of the table.
struct Manifest {
    /// As the table's list has it.
    listed: ManifestFile,
    schema: SchemaRef,
    spec: PartitionSpec,
    entries: Vec<Entry>,
}

/// A manifest's word about a file, and the sequence numbers that say which deletes apply.
struct Entry {
    /// The file's place in [`Carry::items`].
    number: usize,
    status: ManifestStatus,
    snapshot: i64,
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
    /// Statistics of a snapshot.
    Statistics,
}

/// A file that is to be carried.
#[derive(Clone, Copy, Debug)]
pub struct CarriedFile<'a> {
    /// Its location.
    pub path: &'a str,
    /// Its size.
    pub bytes: u64,
    /// What it holds.
    pub content: Content,
}

impl Carry {
    /// The files, in the order in which they are numbered in [`Carry::copy`].
    pub fn files(&self) -> impl Iterator<Item = CarriedFile<'_>> {
        self.items.iter().map(|item| CarriedFile {
            path: item.path(),
            bytes: item.bytes(),
            content: match item {
                Item::Statistics { .. } => Content::Statistics,
                Item::Table(file) => match file.content_type() {
                    DataContentType::Data => Content::Rows,
                    DataContentType::PositionDeletes => Content::Positions,
                    DataContentType::EqualityDeletes => Content::Equality,
                },
            },
        })
    }

    /// The number of snapshots that are carried: one, if not all are.
    #[must_use]
    pub fn snapshots(&self) -> usize {
        self.history.as_ref().map_or(1, |history| history.snapshots.len())
    }
}
