//! What a new table takes over from another one.
use std::collections::HashMap;

use iceberg::spec::{
    FormatVersion, PartitionSpec, SchemaRef, SortOrder, TableMetadata, TableProperties, Transform,
    UnboundPartitionField, UnboundPartitionSpec,
};
use serde_json::Value;
use uuid::Uuid;

use crate::{At, Error, Kind, Result, Table};

/// Properties that mean something for the table that has them only: where its files lie, which ids its columns have, how far
/// it was loaded from where.
const OWN: [&str; 7] = [
    "write.data.path",
    "write.metadata.path",
    "write.object-storage.path",
    "write.folder-storage.path",
    "schema.name-mapping.default",
    "icehaul.cursors",
    "encryption.key-id",
];

/// What a new table takes over from another one: its columns with their nullability and comments, its partitioning, its sort
/// order, and the properties that mean something elsewhere too. The ids of columns are given out anew.
#[derive(Clone, Debug)]
pub struct Model {
    pub(super) schema: SchemaRef,
    pub(super) partition: UnboundPartitionSpec,
    pub(super) order: SortOrder,
    pub(super) properties: HashMap<String, String>,
    /// The new table as it is to be, with the ids of columns and specs that the files know.
    pub(super) exact: Option<TableMetadata>,
    left_out: Vec<String>,
}

impl Model {
    /// The names of the properties that are not taken over.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }
}

impl Table {
    /// What a new table would take over from this one as it was at a state.
    ///
    /// # Errors
    /// [`Kind::SnapshotNotFound`]; [`Kind::UnsupportedFeature`] for a partitioning that is not known here.
    pub fn model(&self, at: At) -> Result<Model> {
        let (metadata, schema) = (self.metadata(), self.iceberg_schema(at)?);
        let own = |name: &str| OWN.contains(&name) || TableProperties::RESERVED_PROPERTIES.contains(&name);
        let (left_out, kept): (Vec<_>, Vec<_>) =
            metadata.properties().clone().into_iter().partition(|(name, _)| own(name));
        let mut left_out: Vec<_> = left_out.into_iter().map(|(name, _)| name).collect();
        left_out.sort();
        let order = metadata.default_sort_order();
        let sortable = order.fields.iter().all(|field| schema.field_by_id(field.source_id).is_some());
        Ok(Model {
            partition: partition(self, metadata.default_partition_spec(), &schema)?,
            order: if sortable { order.as_ref().clone() } else { SortOrder::unsorted_order() },
            properties: kept.into_iter().collect(),
            exact: None,
            left_out,
            schema,
        })
    }

    /// The same for a table into which this one's files are carried as they are: the ids of columns, specs and sort orders
    /// stay, and so does a name mapping.
    ///
    /// # Errors
    /// As `model`.
    pub fn exact_model(&self, at: At) -> Result<Model> {
        let mut model = self.model(at)?;
        let mapping = "schema.name-mapping.default";
        if let Some(names) = self.metadata().properties().get(mapping) {
            model.properties.insert(mapping.to_owned(), names.clone());
            model.left_out.retain(|name| name != mapping);
        }
        let broken = |cause: String| {
            let message = format!("the metadata of table {} cannot be carried over", self.name());
            Error::new(Kind::UnsupportedFeature, message).caused_by(cause)
        };
        model.exact = Some(exact(self.metadata(), &model).map_err(broken)?);
        Ok(model)
    }
}

/// A table's metadata as JSON of format version 2.
pub(crate) fn upgraded(metadata: &TableMetadata) -> Result<Value, String> {
    let upgraded = metadata.clone().into_builder(None).upgrade_format_version(FormatVersion::V2);
    let upgraded = upgraded.and_then(|builder| builder.build()).map_err(|e| e.to_string())?.metadata;
    serde_json::to_value(&upgraded).map_err(|e| e.to_string())
}

/// A table's metadata without its history, under a new id.
fn exact(metadata: &TableMetadata, model: &Model) -> Result<TableMetadata, String> {
    let mut json = upgraded(metadata)?;
    json["table-uuid"] = Uuid::now_v7().to_string().into();
    json["current-schema-id"] = model.schema.schema_id().into();
    json["properties"] = serde_json::json!(model.properties);
    for history in ["snapshots", "snapshot-log", "metadata-log", "statistics", "partition-statistics"] {
        json[history] = serde_json::json!([]);
    }
    json["refs"] = serde_json::json!({});
    if let Some(fields) = json.as_object_mut() {
        fields.remove("current-snapshot-id");
    }
    serde_json::from_value(json).map_err(|e| e.to_string())
}

/// The partition fields whose columns the schema has, without those that were dropped (`void`).
fn partition(table: &Table, spec: &PartitionSpec, schema: &SchemaRef) -> Result<UnboundPartitionSpec> {
    if spec.fields().iter().any(|field| field.transform == Transform::Unknown) {
        let message = format!("table {} is partitioned in a way that is not known here", table.name());
        return Err(Error::new(Kind::UnsupportedFeature, message));
    }
    let there = spec.fields().iter().filter(|field| field.transform != Transform::Void);
    let there = there.filter(|field| schema.field_by_id(field.source_id).is_some());
    let fields = there.map(|field| UnboundPartitionField {
        source_id: field.source_id,
        field_id: None,
        name: field.name.clone(),
        transform: field.transform,
    });
    let built = UnboundPartitionSpec::builder().add_partition_fields(fields);
    built.map(|spec| spec.build()).map_err(|cause| {
        let message = format!("the partitioning of table {} cannot be taken over", table.name());
        Error::new(Kind::UnsupportedFeature, message).caused_by(cause)
    })
}
