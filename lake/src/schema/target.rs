//! A table made ready for writing.
use std::{collections::HashSet, sync::Arc, thread::available_parallelism};

use iceberg::spec::{Schema, SchemaRef, TableMetadata};

use super::{Plan, TableSpec, plan};
use crate::{
    Batches, Result, TableWriter, WrittenFile,
    measure::{self, Depth, Measured},
    storage::Storage,
    write::{self, Layout},
};

/// A table's metadata as it was loaded, and where from.
#[derive(Clone)]
pub(crate) struct Base {
    pub(crate) location: String,
    pub(crate) metadata: Arc<TableMetadata>,
}

/// A table made ready for writing: the schema with its field ids, the partition spec, the location.
pub struct Target {
    pub(crate) spec: TableSpec,
    pub(crate) base: Option<Base>,
    pub(crate) plan: Plan,
    /// The columns that are written: those of the rows, and those that the partitions come from.
    pub(crate) file_schema: SchemaRef,
    pub(crate) storage: Storage,
    layout: Arc<Layout>,
}

impl Target {
    pub(crate) fn new(storage: Storage, spec: TableSpec, base: Option<Base>) -> Result<Self> {
        let metadata = base.as_ref().map(|base| base.metadata.as_ref());
        let plan = plan(metadata, &spec, &storage.table_location(&spec.name))?;
        let file_schema = Arc::new(file_schema(&plan, &spec)?);
        let layout = Layout::new(&spec, &plan, metadata.or(plan.creates.as_ref()), &file_schema, &storage)?;
        Ok(Self { spec, base, plan, file_schema, storage, layout: Arc::new(layout) })
    }

    /// A writer of one split's rows. `prefix` (`<job>/<epoch>`) keeps the files of attempts apart; `split` names the files.
    ///
    /// # Errors
    /// [`crate::Kind::StorageUnavailable`].
    pub async fn writer(&self, prefix: &str, split: usize) -> Result<TableWriter> {
        Ok(TableWriter::new(self.layout.clone(), prefix, split))
    }

    /// The table's metadata as it is, or as it will be made.
    pub(crate) fn metadata(&self) -> Option<&TableMetadata> {
        self.base.as_ref().map(|base| base.metadata.as_ref()).or(self.plan.creates.as_ref())
    }

    /// The directory of the table's data files.
    pub(crate) fn data(&self) -> &str {
        &self.layout.data
    }

    /// Whether the table exists already.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.base.is_some()
    }

    /// Reads written files back, before they are committed, as rows of the spec's schema.
    ///
    /// # Errors
    /// [`crate::Kind::StorageUnavailable`], [`crate::Kind::FileMissing`], [`crate::Kind::FileAltered`].
    pub async fn read_back(&self, file: &WrittenFile, columns: Option<&[String]>) -> Result<Batches> {
        write::read_back(&self.layout, &self.spec.schema, file, columns).await
    }

    /// The measure of written files, read back on all cores before they are committed.
    ///
    /// # Errors
    /// As `read_back`.
    pub async fn measure(&self, files: &[WrittenFile], columns: Option<&[String]>, depth: Depth) -> Result<Measured> {
        let cores = available_parallelism().map_or(1, std::num::NonZero::get);
        measure::measure(self.read_back_parallel(files, columns, cores)?, None, depth).await
    }

    /// Reads written files back as several streams that share the work.
    ///
    /// # Errors
    /// As `read_back`.
    pub fn read_back_parallel(
        &self,
        files: &[WrittenFile],
        columns: Option<&[String]>,
        streams: usize,
    ) -> Result<Vec<Batches>> {
        write::read_back_parallel(&self.layout, &self.spec.schema, files, columns, streams)
    }

    /// Deletes everything written under `prefix`: for a job that has not committed and will not.
    pub async fn discard_prefix(&self, prefix: &str) {
        self.discard_prefix_except(prefix, &[]).await;
    }

    /// Deletes everything written under `prefix` but the files in `keep`: what a job's earlier attempts left behind.
    pub async fn discard_prefix_except(&self, prefix: &str, keep: &[WrittenFile]) {
        let keep: HashSet<&str> = keep.iter().map(WrittenFile::path).collect();
        self.storage.remove_under(&format!("{}/{prefix}", self.layout.data), &keep).await;
    }
}

/// The table's schema without the columns that the rows do not have, which read as null when a file lacks them.
fn file_schema(plan: &Plan, spec: &TableSpec) -> Result<Schema> {
    let sources: HashSet<i32> = plan.partition.fields().iter().map(|field| field.source_id).collect();
    let fields = plan.schema.as_struct().fields().iter();
    let written = fields.filter(|f| sources.contains(&f.id) || spec.schema.field_with_name(&f.name).is_ok());
    let schema = Schema::builder().with_schema_id(plan.schema.schema_id()).with_fields(written.cloned()).build();
    schema.map_err(|e| crate::Error::new(crate::Kind::Internal, "no schema for the files").caused_by(e))
}
