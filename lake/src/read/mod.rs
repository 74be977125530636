//! Tables as they are: metadata, snapshots, files, rows.
pub(crate) mod arrow;
mod changes;
mod deletes;
mod error;
mod filter;
mod history;
mod measure;
mod plan;
mod rows;
mod shape;
mod since;
#[cfg(test)]
mod tests;
mod touched;

use std::sync::Arc;

use arrow_schema::SchemaRef;
use iceberg::{
    expr::{Predicate, Reference},
    spec::Datum,
};

use crate::{Batches, Result, TableName};

pub use changes::Changes;
pub use history::{At, SnapshotInfo};
pub use plan::FileInfo;
pub(crate) use plan::inside;
pub use touched::Touched;

/// Rows per batch where nothing else is asked for.
const BATCH_ROWS: usize = 8192;

/// What to read of a table.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// The state.
    pub at: At,
    /// The columns, in this order; all if `None`.
    pub columns: Option<Vec<String>>,
    /// Only rows for which this holds; exact at row level.
    pub filter: Option<Predicate>,
    /// Rows per batch; 8,192 if `None`.
    pub batch_size: Option<usize>,
    /// Only rows of files that this snapshot does not have, or has with other deletes.
    pub since: Option<i64>,
}

/// A condition on rows.
pub type Filter = Predicate;

/// The filter for rows whose value of a text column is this one.
#[must_use]
pub fn equal(column: &str, text: &str) -> Filter {
    Reference::new(column).equal_to(Datum::string(text))
}

/// The filter for rows whose value of a whole-numbered column lies in a range, both ends included.
#[must_use]
pub fn between(column: &str, from: i64, to: i64) -> Filter {
    let column = Reference::new(column);
    column.clone().greater_than_or_equal_to(Datum::long(from)).and(column.less_than_or_equal_to(Datum::long(to)))
}

/// A loaded table. A value: it does not change when the table does.
#[derive(Clone)]
pub struct Table {
    name: Arc<TableName>,
    inner: iceberg::table::Table,
    /// The schema that all states are read with; `None` for that of each.
    read_as: Option<iceberg::spec::SchemaRef>,
}

impl Table {
    pub(crate) fn new(name: TableName, inner: iceberg::table::Table) -> Self {
        Self { name: Arc::new(name), inner, read_as: None }
    }

    /// The same table, read with one of its schemas, whichever a snapshot was written with: a schema change makes no snapshot.
    ///
    /// # Errors
    /// [`crate::Kind::SnapshotNotFound`] if the table has no such schema any more.
    pub fn read_as(mut self, schema_id: i32) -> Result<Self> {
        let schema = self.metadata().schema_by_id(schema_id).ok_or_else(|| {
            let message = format!("table {} has no schema {schema_id} any more", self.name);
            crate::Error::new(crate::Kind::SnapshotNotFound, message)
        })?;
        self.read_as = Some(schema.clone());
        Ok(self)
    }

    /// The id of the schema that rows of a state are read with.
    ///
    /// # Errors
    /// [`crate::Kind::SnapshotNotFound`].
    pub fn schema_id(&self, at: At) -> Result<i32> {
        Ok(self.resolve(at)?.schema.schema_id())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// Its current schema as Arrow: without Iceberg's field ids; a uuid is a `FixedSizeBinary(16)` with the extension
    /// name `arrow.uuid`, a timestamp with zone has the zone `+00:00`, comments are kept as `doc`.
    ///
    /// # Errors
    /// [`crate::Kind::UnsupportedFeature`].
    pub fn schema(&self) -> Result<SchemaRef> {
        self.schema_at(At::Current)
    }

    /// The schema that rows of that state are read with: the current one for the current snapshot, else the snapshot's.
    ///
    /// # Errors
    /// [`crate::Kind::SnapshotNotFound`], [`crate::Kind::UnsupportedFeature`].
    pub fn schema_at(&self, at: At) -> Result<SchemaRef> {
        Ok(Arc::new(arrow::schema(&self.resolve(at)?.schema)?))
    }

    pub(crate) fn io(&self) -> &iceberg::io::FileIO {
        self.inner.file_io()
    }

    /// Where its metadata lies.
    #[must_use]
    pub fn metadata_location(&self) -> Option<&str> {
        self.inner.metadata_location()
    }

    /// The underlying Iceberg metadata, for the API's metadata reply.
    #[must_use]
    pub fn metadata(&self) -> &iceberg::spec::TableMetadata {
        self.inner.metadata()
    }

    /// The rows, streamed, file after file.
    ///
    /// # Errors
    /// [`crate::Kind::SnapshotNotFound`], [`crate::Kind::UnsupportedFeature`], [`crate::Kind::FileMissing`],
    /// [`crate::Kind::SchemaMismatch`] for a column that is not there or is asked for twice.
    pub async fn scan(&self, scan: Scan) -> Result<Batches> {
        let plan = self.plan(&scan).await?;
        Ok(plan.read())
    }

    /// The same rows as several streams that share the work: a stream takes the next piece of a file when it has read
    /// its last one. For reading on several cores; every stream must be read (or dropped).
    ///
    /// # Errors
    /// As `scan`.
    pub async fn scan_parallel(&self, scan: Scan, streams: usize) -> Result<Vec<Batches>> {
        let plan = self.plan(&scan).await?;
        Ok(plan.read_parallel(streams))
    }
}
