//! How a table's files are written: worked out once per target, shared by its writers.
use std::{collections::HashSet, sync::Arc};

use arrow_schema::{DataType, Field};
use iceberg::{
    arrow::schema_to_arrow_schema,
    spec::{PartitionSpecRef, SchemaRef, TableMetadata},
};
use parquet::{
    arrow::{ArrowSchemaConverter, PARQUET_FIELD_ID_META_KEY, arrow_writer::ArrowWriterOptions},
    basic::{Compression as Codec, LogicalType, ZstdLevel},
    file::properties::WriterProperties,
    schema::types::{ColumnPath, SchemaDescriptor, Type, TypePtr},
};

use super::{Compression, conform::Conform, partitions::Partitions};
use crate::{
    Error, Kind, Result,
    schema::{Plan, TableSpec},
    storage::Storage,
};

/// Iceberg's default size of a data file.
const TARGET_FILE_BYTES: usize = 512 << 20;
/// The encoded size of a row group: large enough for readers, small enough for several writers in bounded memory.
const ROW_GROUP_BYTES: usize = 32 << 20;
/// The most that a table's `write.parquet.row-group-size-bytes` can ask for.
const MAX_ROW_GROUP_BYTES: usize = 64 << 20;
/// The dictionaries of numbers stop paying early; those of texts later.
const DICTIONARY_BYTES: usize = 256 << 10;

/// What all writers of a target share.
pub(crate) struct Layout {
    pub(crate) storage: Storage,
    /// The directory of the table's data files.
    pub(crate) data: String,
    pub(super) conform: Conform,
    pub(super) schema: SchemaRef,
    pub(super) partitions: Option<Partitions>,
    pub(super) target_bytes: usize,
    properties: WriterProperties,
    pub(super) parquet: SchemaDescriptor,
}

impl Layout {
    /// The way to write rows of `spec` to the table described by `plan` and its metadata.
    pub(crate) fn new(
        spec: &TableSpec,
        plan: &Plan,
        table: Option<&TableMetadata>,
        schema: &SchemaRef,
        storage: &Storage,
    ) -> Result<Self> {
        let broken = |e: &dyn std::error::Error| {
            Error::new(Kind::Internal, format!("no file schema for table `{}`", spec.name)).caused_by(e.to_string())
        };
        let empty = Default::default();
        let properties = table.map_or(&empty, TableMetadata::properties);
        let size = |key: &str| properties.get(key).and_then(|text| text.parse().ok()).filter(|size| *size > 0);
        let arrow = schema_to_arrow_schema(schema).map_err(|e| broken(&e))?;
        let sources: HashSet<&str> = sources(&plan.partition, schema);
        let conform = Conform::new(&spec.schema, &arrow, |field| sources.contains(field.name().as_str()));
        let codec = spec.compression.unwrap_or_else(|| Compression::of_table(properties));
        let level = properties.get("write.parquet.compression-level").and_then(|level| level.parse().ok()).unwrap_or(1);
        let parquet = ArrowSchemaConverter::new().convert(&conform.schema).map_err(|e| broken(&e))?;
        let parquet = mark_uuids(&parquet, schema).map_err(|e| broken(&e))?;
        let row_group = size("write.parquet.row-group-size-bytes")
            .map_or(ROW_GROUP_BYTES, |size: usize| size.min(MAX_ROW_GROUP_BYTES));
        let partitions = (!plan.partition.is_unpartitioned()).then(|| Partitions::new(&plan.partition, schema));
        Ok(Self {
            storage: storage.clone(),
            data: table.map_or_else(|| format!("{}/data", storage.table_location(&spec.name)), data_location),
            properties: writer_properties(&conform, codec, level, row_group),
            conform,
            schema: schema.clone(),
            partitions: partitions.transpose()?,
            target_bytes: size("write.target-file-size-bytes").unwrap_or(TARGET_FILE_BYTES),
            parquet,
        })
    }

    pub(super) fn options(&self) -> ArrowWriterOptions {
        ArrowWriterOptions::new()
            .with_properties(self.properties.clone())
            .with_parquet_schema(self.parquet.clone())
            .with_skip_arrow_metadata(true)
    }
}

/// The directory of a table's data files.
pub(crate) fn data_location(table: &TableMetadata) -> String {
    let own = table.properties().get("write.data.path");
    own.map_or_else(|| format!("{}/data", table.location()), |path| path.trim_end_matches('/').to_owned())
}

/// The names of the columns that partitions come from.
fn sources<'a>(spec: &PartitionSpecRef, schema: &'a SchemaRef) -> HashSet<&'a str> {
    spec.fields().iter().filter_map(|field| schema.name_by_field_id(field.source_id)).collect()
}

fn writer_properties(conform: &Conform, codec: Compression, level: i32, row_group: usize) -> WriterProperties {
    let codec = match codec {
        Compression::Zstd => Codec::ZSTD(ZstdLevel::try_new(level).unwrap_or_default()),
        Compression::Snappy => Codec::SNAPPY,
        Compression::Gzip => Codec::GZIP(Default::default()),
        Compression::None => Codec::UNCOMPRESSED,
    };
    let mut properties = WriterProperties::builder()
        .set_compression(codec)
        .set_created_by(concat!("icehaul ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_max_row_group_row_count(None)
        .set_max_row_group_bytes(Some(row_group));
    for field in conform.schema.fields() {
        let limit = if is_text(field) { 4 * DICTIONARY_BYTES } else { DICTIONARY_BYTES };
        properties = properties.set_column_dictionary_page_size_limit(ColumnPath::from(field.name().as_str()), limit);
    }
    properties.build()
}

fn is_text(field: &Field) -> bool {
    matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Marks the UUID columns in the Parquet schema: Arrow does not tell them from other 16 bytes, and Trino insists.
fn mark_uuids(parquet: &SchemaDescriptor, schema: &SchemaRef) -> parquet::errors::Result<SchemaDescriptor> {
    Ok(SchemaDescriptor::new(mark(&parquet.root_schema_ptr(), schema)?))
}

fn mark(node: &TypePtr, schema: &SchemaRef) -> parquet::errors::Result<TypePtr> {
    let info = node.get_basic_info();
    if let Type::GroupType { fields, .. } = node.as_ref() {
        let fields: Result<Vec<_>, _> = fields.iter().map(|field| mark(field, schema)).collect();
        let mut group = Type::group_type_builder(node.name()).with_fields(fields?);
        if info.has_repetition() {
            group = group.with_repetition(info.repetition());
        }
        let group =
            group.with_converted_type(info.converted_type()).with_logical_type(info.logical_type_ref().cloned());
        return Ok(Arc::new(group.with_id(info.has_id().then(|| info.id())).build()?));
    }
    let uuid = info.has_id()
        && schema.field_by_id(info.id()).is_some_and(|field| {
            matches!(field.field_type.as_primitive_type(), Some(iceberg::spec::PrimitiveType::Uuid))
        });
    if !uuid {
        return Ok(node.clone());
    }
    let leaf = Type::primitive_type_builder(node.name(), node.get_physical_type()).with_length(16);
    let leaf = leaf.with_repetition(info.repetition()).with_logical_type(Some(LogicalType::Uuid));
    Ok(Arc::new(leaf.with_id(Some(info.id())).build()?))
}

/// The Iceberg field id that an Arrow field carries.
pub(super) fn field_id(field: &Field) -> Option<i32> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}
