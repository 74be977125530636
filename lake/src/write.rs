//! Rows to Parquet files.
use arrow_array::RecordBatch;

use crate::Result;

/// How Parquet pages are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard, level 1.
    #[default]
    Zstd,
    /// Snappy.
    Snappy,
    /// Gzip.
    Gzip,
    /// Not at all.
    None,
}

/// A closed data file, not yet part of any table.
#[derive(Clone, Debug)]
pub struct WrittenFile {}

impl WrittenFile {
    /// Its rows, by its footer.
    #[must_use]
    pub fn rows(&self) -> u64 {
        unimplemented!()
    }
    /// Its size in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        unimplemented!()
    }
    /// Its location.
    #[must_use]
    pub fn path(&self) -> &str {
        unimplemented!()
    }
}

/// Writes the rows of one split into files of the target size, one set per partition.
pub struct TableWriter {}

impl TableWriter {
    /// Writes a batch of the spec's schema. CPU-bound work runs on the caller's task.
    ///
    /// # Errors
    /// [`crate::Kind::StorageFull`], [`crate::Kind::StorageUnavailable`], [`crate::Kind::NullInRequired`].
    pub async fn write(&mut self, _batch: &RecordBatch) -> Result<()> {
        unimplemented!()
    }

    /// Closes the files. None if no row was written.
    ///
    /// # Errors
    /// As `write`.
    pub async fn close(self) -> Result<Vec<WrittenFile>> {
        unimplemented!()
    }

    /// Gives up: closes and deletes what was written.
    pub async fn abort(self) {
        unimplemented!()
    }
}
