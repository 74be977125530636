//! Arrow to Iceberg: the schema, partition spec and properties of a table to be written.
mod model;
mod partition;
mod plan;
mod target;
mod types;

use arrow_schema::SchemaRef;

pub use model::Model;
pub(crate) use model::upgraded;
pub use partition::PartitionField;
pub(crate) use plan::{Plan, fresh, plan};
pub(crate) use target::Base;
pub use target::Target;
pub use types::is_uuid;
pub(crate) use types::primitive;

use crate::{Compression, TableName};

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
    /// The rows' schema. Every field is optional in a new table. A `FixedSizeBinary(16)` with the field metadata
    /// `ARROW:extension:name` = `arrow.uuid` is a UUID; the field metadata `doc` becomes the column's doc.
    pub schema: SchemaRef,
    /// For a new table; empty or equal to the table's spec for an existing one, else refused.
    pub partition_by: Vec<PartitionField>,
    /// What becomes of differences.
    pub schema_mode: SchemaMode,
    /// `None`: the table's `write.parquet.compression-codec`, else zstd.
    pub compression: Option<Compression>,
    /// What a new table takes over from another one, whose columns are the rows' columns.
    pub model: Option<Model>,
}
