//! Arrow to Iceberg and back: the schema, partition spec and properties of a table to be written.
use arrow_schema::SchemaRef;

use crate::{Compression, Error, Result, TableName, TableWriter};

/// One field of a partition spec, read from `col`, `year(col)`, `month(col)`, `day(col)`, `hour(col)`, `bucket(n, col)`
/// or `truncate(n, col)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionField {
    /// The source column.
    pub column: String,
    /// The transform, in Iceberg's spelling (`identity`, `bucket[16]`, …).
    pub transform: String,
}

impl std::str::FromStr for PartitionField {
    type Err = Error;
    fn from_str(_text: &str) -> Result<Self> {
        unimplemented!()
    }
}

/// What to do when the rows have columns or types that the table lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SchemaMode {
    /// New columns are added and types widened, in the commit of the data.
    #[default]
    Evolve,
    /// Refused.
    Freeze,
}

/// The table that rows are to be written to.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// Its name; namespace and table are made by the commit if they are missing.
    pub name: TableName,
    /// The rows' schema. Every field is optional in a new table.
    pub schema: SchemaRef,
    /// For a new table; `None` or equal to the table's spec for an existing one, else refused.
    pub partition_by: Vec<PartitionField>,
    /// What becomes of differences.
    pub schema_mode: SchemaMode,
    /// `None`: the table's `write.parquet.compression-codec`, else zstd.
    pub compression: Option<Compression>,
}

/// A table made ready for writing: the schema with its field ids, the partition spec, the location.
pub struct Target {}

impl Target {
    /// A writer of one split's rows. `prefix` (`<job>/<epoch>`) keeps the files of attempts apart; `split` names the files.
    ///
    /// # Errors
    /// [`crate::Kind::StorageUnavailable`].
    pub async fn writer(&self, _prefix: &str, _split: usize) -> Result<TableWriter> {
        unimplemented!()
    }

    /// The committed cursor of the column: the newest one along the history of the current snapshot.
    #[must_use]
    pub fn cursor(&self, _column: &str) -> Option<String> {
        unimplemented!()
    }

    /// Whether the table exists already.
    #[must_use]
    pub fn exists(&self) -> bool {
        unimplemented!()
    }

    /// Reads written files back, before they are committed, as rows of the spec's schema.
    ///
    /// # Errors
    /// [`crate::Kind::StorageUnavailable`], [`crate::Kind::FileMissing`].
    pub async fn read_back(&self, _file: &crate::WrittenFile, _columns: Option<&[String]>) -> Result<crate::Batches> {
        unimplemented!()
    }

    /// Deletes everything written under `prefix`.
    pub async fn discard_prefix(&self, _prefix: &str) {
        unimplemented!()
    }
}
