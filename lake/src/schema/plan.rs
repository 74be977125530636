//! Fits the schema of rows to a table: what the table becomes, and what the files to be written look like.
use std::collections::{HashMap, HashSet};

use arrow_schema::{DataType, Field};
use iceberg::spec::{
    FormatVersion, ListType, MapType, NestedField, NestedFieldRef, PartitionSpecRef, Schema, SchemaRef, SortOrder,
    StructType, TableMetadata, TableMetadataBuilder, Type,
};

use super::{
    SchemaMode, TableSpec, partition,
    types::{self, Fit, Ids},
};
use crate::{Error, Kind, Result, write};

/// What a table is to be for the rows to fit.
pub(crate) struct Plan {
    /// The table's schema with or after the commit.
    pub(crate) schema: SchemaRef,
    /// Whether that is not yet its current schema.
    pub(crate) evolves: bool,
    /// The spec by which files are written.
    pub(crate) partition: PartitionSpecRef,
    /// The table itself, if it does not exist yet.
    pub(crate) creates: Option<TableMetadata>,
}

/// Fits rows to a table as it is now, or to a new one at `location`.
pub(crate) fn plan(table: Option<&TableMetadata>, spec: &TableSpec, location: &str) -> Result<Plan> {
    check_names(spec)?;
    match table {
        Some(table) => existing(table, spec),
        None => new(spec, location),
    }
}

fn new(spec: &TableSpec, location: &str) -> Result<Plan> {
    if let Some(exact) = spec.model.as_ref().and_then(|model| model.exact.as_ref()) {
        let built = exact.clone().into_builder(None).set_location(location.to_owned()).build();
        return Ok(created(built.map_err(|e| broken(spec, e))?.metadata));
    }
    let schema = match &spec.model {
        Some(model) => model.schema.as_ref().clone(),
        None => fresh(&spec.schema)?,
    };
    let partition = match &spec.model {
        Some(model) if spec.partition_by.is_empty() => model.partition.clone(),
        _ => partition::bind(&spec.partition_by, &schema)?,
    };
    let order = spec.model.as_ref().map_or_else(SortOrder::unsorted_order, |model| model.order.clone());
    let mut properties = write::new_table_properties(spec.compression.unwrap_or_default());
    if let Some(model) = &spec.model {
        properties.extend(model.properties.clone());
        properties.extend(spec.compression.map(write::compression_property));
    }
    let metadata =
        TableMetadataBuilder::new(schema, partition, order, location.to_owned(), FormatVersion::V2, properties)
            .and_then(TableMetadataBuilder::build)
            .map_err(|e| broken(spec, e))?
            .metadata;
    Ok(created(metadata))
}

fn created(metadata: TableMetadata) -> Plan {
    Plan {
        schema: metadata.current_schema().clone(),
        evolves: false,
        partition: metadata.default_partition_spec().clone(),
        creates: Some(metadata),
    }
}

/// The schema of a new table for such rows.
pub(crate) fn fresh(rows: &arrow_schema::Schema) -> Result<Schema> {
    let mut ids = Ids(0);
    let columns: Result<Vec<_>> = rows.fields().iter().map(|field| add(field, &mut ids)).collect();
    Schema::builder().with_fields(columns?).build().map_err(|e| {
        let message = format!("no valid schema comes of these columns: {}", e.message());
        Error::new(Kind::SchemaMismatch, message).caused_by(e)
    })
}

fn existing(table: &TableMetadata, spec: &TableSpec) -> Result<Plan> {
    check_writable(table, spec)?;
    let current = table.current_schema();
    partition::check_same(&spec.partition_by, table.default_partition_spec(), current)?;
    let mut merge = Merge { mode: spec.schema_mode, ids: Ids(table.last_column_id()), differences: Vec::new() };
    let columns = merge.columns("", current.as_struct().fields(), spec.schema.fields())?;
    if !merge.differences.is_empty() {
        let message = format!("the rows do not fit table `{}`: {}", spec.name, merge.differences.join("; "));
        return Err(Error::new(Kind::SchemaMismatch, message));
    }
    let (schema, evolves) = evolved(table, columns).map_err(|e| broken(spec, e))?;
    Ok(Plan { schema, evolves, partition: table.default_partition_spec().clone(), creates: None })
}

/// The schema with those columns, under the id that it will get in the table.
fn evolved(table: &TableMetadata, columns: Vec<NestedFieldRef>) -> iceberg::Result<(SchemaRef, bool)> {
    let current = table.current_schema();
    if current.as_struct().fields() == columns {
        return Ok((current.clone(), false));
    }
    let keys = || current.identifier_field_ids();
    let schema = Schema::builder().with_fields(columns).with_identifier_field_ids(keys()).build()?;
    let known = table.schemas_iter().find(|known| {
        known.as_struct() == schema.as_struct()
            && known.identifier_field_ids().collect::<HashSet<_>>() == keys().collect()
    });
    let fresh = table.schemas_iter().map(|schema| schema.schema_id()).max().unwrap_or_default() + 1;
    let id = known.map_or(fresh, |known| known.schema_id());
    Ok((schema.into_builder().with_schema_id(id).build()?.into(), true))
}

/// Refuses tables of which we would write something wrong.
fn check_writable(table: &TableMetadata, spec: &TableSpec) -> Result<()> {
    let refuse = |what: &str| Err(Error::new(Kind::UnsupportedFeature, format!("table `{}` {what}", spec.name)));
    match table.format_version() {
        FormatVersion::V1 => return refuse("has format version 1; upgrade it to version 2 to write to it"),
        FormatVersion::V3 => return refuse("has format version 3, which cannot be written yet"),
        FormatVersion::V2 => {}
    }
    if table.properties().contains_key("encryption.key-id") {
        return refuse("is encrypted, which cannot be written yet");
    }
    Ok(())
}

/// Column names must differ by more than their case: engines that fold case could not read the table.
fn check_names(spec: &TableSpec) -> Result<()> {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for field in spec.schema.fields() {
        let name = field.name().as_str();
        if name.is_empty() {
            return Err(Error::new(Kind::SchemaMismatch, "a column of the rows has no name"));
        }
        if let Some(other) = seen.insert(name.to_lowercase(), name) {
            let message = format!("the rows have two columns of one name: `{other}` and `{name}`");
            return Err(Error::new(Kind::SchemaMismatch, message));
        }
    }
    match spec.schema.fields().is_empty() {
        true => Err(Error::new(Kind::SchemaMismatch, "the rows have no columns")),
        false => Ok(()),
    }
}

fn add(field: &Field, ids: &mut Ids) -> Result<NestedFieldRef> {
    types::column(field, ids).map(Into::into).map_err(|reason| {
        Error::new(Kind::UnsupportedFeature, format!("column `{}` cannot be written: {reason}", field.name()))
    })
}

fn broken(spec: &TableSpec, cause: iceberg::Error) -> Error {
    let message = format!("no valid schema for table `{}` comes of these columns: {}", spec.name, cause.message());
    Error::new(Kind::SchemaMismatch, message).caused_by(cause)
}

/// A walk over a table's columns beside the rows'.
struct Merge {
    mode: SchemaMode,
    ids: Ids,
    differences: Vec<String>,
}

impl Merge {
    /// The table's columns, widened where needed, then the new ones.
    fn columns(
        &mut self,
        path: &str,
        table: &[NestedFieldRef],
        rows: &arrow_schema::Fields,
    ) -> Result<Vec<NestedFieldRef>> {
        let mut columns = Vec::with_capacity(table.len());
        for column in table {
            columns.push(match rows.iter().find(|field| *field.name() == column.name) {
                Some(field) => self.column(path, column, field),
                None => self.absent(path, column)?,
            });
        }
        for field in rows {
            match table.iter().find(|column| column.name.eq_ignore_ascii_case(field.name())) {
                Some(column) if column.name == *field.name() => {}
                Some(column) => {
                    let message = format!(
                        "column `{path}{}` differs from the table's `{path}{}` by case only",
                        field.name(),
                        column.name
                    );
                    self.differences.push(message);
                }
                None if self.mode == SchemaMode::Freeze => {
                    self.differences.push(format!("column `{path}{}` is not in the table", field.name()));
                }
                None => columns.push(add(field, &mut self.ids)?),
            }
        }
        Ok(columns)
    }

    fn absent(&mut self, path: &str, column: &NestedFieldRef) -> Result<NestedFieldRef> {
        if column.required {
            let message = format!("column `{path}{}` is required by the table and missing in the rows", column.name);
            return Err(Error::new(Kind::NullInRequired, message));
        }
        if self.mode == SchemaMode::Freeze {
            self.differences.push(format!("column `{path}{}` is missing in the rows", column.name));
        }
        Ok(column.clone())
    }

    fn column(&mut self, path: &str, column: &NestedFieldRef, field: &Field) -> NestedFieldRef {
        let merged = self.merge(&format!("{path}{}", column.name), &column.field_type, field);
        let mut column = NestedField::clone(column);
        column.field_type = Box::new(merged);
        column.into()
    }

    /// The table's type, widened if the rows need it; a difference is noted and the table's type returned.
    fn merge(&mut self, name: &str, table: &Type, field: &Field) -> Type {
        match (table, field.data_type()) {
            (Type::Struct(children), DataType::Struct(fields)) => {
                match self.columns(&format!("{name}."), children.fields(), fields) {
                    Ok(children) => return Type::Struct(StructType::new(children)),
                    Err(error) => self.differences.push(error.message().to_owned()),
                }
                return table.clone();
            }
            (Type::List(list), DataType::List(e) | DataType::LargeList(e) | DataType::FixedSizeList(e, _)) => {
                let element = self.element(&format!("{name}.element"), &list.element_field, e);
                return Type::List(ListType::new(element));
            }
            (Type::Map(map), DataType::Map(entries, _)) => {
                if let DataType::Struct(pair) = entries.data_type()
                    && let [key, value] = pair.as_ref()
                {
                    let key = self.element(&format!("{name}.key"), &map.key_field, key);
                    return Type::Map(MapType::new(
                        key,
                        self.element(&format!("{name}.value"), &map.value_field, value),
                    ));
                }
            }
            _ => {}
        }
        self.primitive(name, table, field)
    }

    fn element(&mut self, name: &str, element: &NestedFieldRef, field: &Field) -> NestedFieldRef {
        let mut merged = NestedField::clone(element);
        merged.field_type = Box::new(self.merge(name, &element.field_type, field));
        merged.into()
    }

    fn primitive(&mut self, name: &str, table: &Type, field: &Field) -> Type {
        let rows = match types::column(field, &mut Ids(0)) {
            Ok(column) => *column.field_type,
            Err(reason) => {
                self.differences.push(format!("column `{name}` cannot be written: {reason}"));
                return table.clone();
            }
        };
        let fit = match (table, &rows) {
            (Type::Primitive(table), Type::Primitive(rows)) => types::fit(table, rows),
            _ => Fit::No,
        };
        match (&fit, self.mode) {
            // A cast up changes no table.
            (Fit::Same | Fit::Narrower, _) => table.clone(),
            (Fit::Wider, SchemaMode::Evolve) => rows,
            _ => {
                let advice = match &fit {
                    Fit::No => {
                        "cast it in the query, give a CSV file's column its type by `schema`, or load into another table"
                    }
                    _ => "cast it in the query, or permit changes with `schema_mode` `evolve`",
                };
                self.differences
                    .push(format!("column `{name}` is {table} in the table and {rows} in the rows ({advice})"));
                table.clone()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use iceberg::spec::PrimitiveType;

    use super::*;

    #[test]
    fn a_frozen_table_takes_rows_of_narrower_types() {
        let differences = |table: PrimitiveType, rows: DataType| {
            let mut merge = Merge { mode: SchemaMode::Freeze, ids: Ids(9), differences: Vec::new() };
            let (table, field) = (Type::Primitive(table), Field::new("c", rows, true));
            assert_eq!(merge.primitive("c", &table, &field), table);
            merge.differences
        };
        assert_eq!(differences(PrimitiveType::Long, DataType::Int32), Vec::<String>::new());
        let decimal = PrimitiveType::Decimal { precision: 12, scale: 4 };
        assert_eq!(differences(decimal, DataType::Decimal128(10, 2)), Vec::<String>::new());
        let wider = differences(PrimitiveType::Int, DataType::Int64);
        assert!(matches!(&wider[..], [one] if one.contains("`schema_mode` `evolve`")), "{wider:?}");
        let other = differences(PrimitiveType::Int, DataType::Utf8);
        assert!(matches!(&other[..], [one] if one.contains("its type by `schema`")), "{other:?}");
    }
}
