//! Plain Arrow: the schema without Iceberg's own marks, and batches brought to it.
use std::{collections::HashMap, sync::Arc};

use arrow_array::{
    Array, ArrayRef, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray, cast::AsArray, new_null_array,
};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use iceberg::spec::{PrimitiveType, Schema as IcebergSchema, Type};

use crate::{Error, Kind, Result};

const FIELD_ID: &str = "PARQUET:field_id";
const EXTENSION: &str = "ARROW:extension:name";

/// An Iceberg schema as Arrow.
///
/// # Errors
/// [`Kind::UnsupportedFeature`] for a type that Arrow or this reader lacks.
pub fn schema(schema: &IcebergSchema) -> Result<Schema> {
    let fields = with_ids(schema)?;
    let fields = fields.fields().iter().map(|field| plain(field, schema));
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

/// The same with Iceberg's field ids, as the file reader gives it.
///
/// # Errors
/// As [`schema`].
pub fn with_ids(schema: &IcebergSchema) -> Result<Schema> {
    iceberg::arrow::schema_to_arrow_schema(schema).map_err(|cause| {
        let message = format!("the table has a type that cannot be read here: {}", cause.message());
        Error::new(Kind::UnsupportedFeature, message).caused_by(cause)
    })
}

/// A field, and those within it, without field ids and with a uuid's extension name.
fn plain(field: &FieldRef, schema: &IcebergSchema) -> FieldRef {
    let mut metadata = field.metadata().clone();
    let id = metadata.remove(FIELD_ID).and_then(|id| id.parse().ok());
    let iceberg_type = id.and_then(|id| schema.field_by_id(id)).map(|field| field.field_type.as_ref());
    if matches!(iceberg_type, Some(Type::Primitive(PrimitiveType::Uuid))) {
        metadata.insert(EXTENSION.to_owned(), "arrow.uuid".to_owned());
    }
    let data_type = match field.data_type() {
        DataType::List(item) => DataType::List(plain(item, schema)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| plain(field, schema)).collect()),
        DataType::Map(entries, sorted) => DataType::Map(plain(entries, schema), *sorted),
        other => other.clone(),
    };
    let metadata: HashMap<String, String> = metadata;
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()).with_metadata(metadata))
}

/// Iceberg's field id of a column or of a part of one.
pub fn id_of(field: &Field) -> Option<i32> {
    field.metadata().get(FIELD_ID)?.parse().ok()
}

/// Brings a batch of the file reader to exactly `schema`: `wanted` has the same columns with their field ids, by which they
/// are found. What the batch lacks is null.
///
/// # Errors
/// An array that does not fit, such as a null in a required column.
pub fn conform(batch: &RecordBatch, wanted: &Schema, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let given = Given { fields: batch.schema_ref().fields(), arrays: batch.columns() };
    let columns = given.fit(wanted.fields(), schema.fields(), batch.num_rows())?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

/// The columns of a batch, or the members of a struct.
struct Given<'a> {
    fields: &'a Fields,
    arrays: &'a [ArrayRef],
}

impl Given<'_> {
    /// One array per wanted field, with the type of the plain one.
    fn fit(&self, wanted: &Fields, plain: &Fields, rows: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        let fields = wanted.iter().zip(plain).enumerate();
        let fit = fields.map(|(place, (wanted, plain))| match self.find(wanted, place) {
            Some(index) => adapt(&self.arrays[index], &self.fields[index], wanted, plain.data_type()),
            None => Ok(new_null_array(plain.data_type(), rows)),
        });
        fit.collect()
    }

    /// A file without field ids has its members in the table's order.
    fn find(&self, wanted: &Field, place: usize) -> Option<usize> {
        let without_ids = self.fields.iter().all(|field| id_of(field).is_none());
        match without_ids {
            true => (place < self.fields.len()).then_some(place),
            false => self.fields.iter().position(|field| id_of(field) == id_of(wanted)),
        }
    }
}

/// The same values as `to`, which is `wanted` without field ids: members of structs are found by id, all else is cast where it differs.
fn adapt(array: &ArrayRef, given: &Field, wanted: &Field, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    Ok(match (given.data_type(), wanted.data_type(), to) {
        (DataType::Struct(fields), DataType::Struct(wanted), DataType::Struct(plain)) => {
            let (_, arrays, nulls) = array.as_struct().clone().into_parts();
            let members = Given { fields, arrays: &arrays }.fit(wanted, plain, array.len())?;
            Arc::new(StructArray::try_new_with_length(plain.clone(), members, nulls, array.len())?)
        }
        (DataType::List(given), DataType::List(wanted), DataType::List(item)) => {
            let (_, offsets, values, nulls) = array.as_list::<i32>().clone().into_parts();
            let values = adapt(&values, given, wanted, item.data_type())?;
            Arc::new(ListArray::try_new(item.clone(), offsets, values, nulls)?)
        }
        (DataType::Map(given, _), DataType::Map(wanted, _), DataType::Map(field, sorted)) => {
            let (_, offsets, entries, nulls, _) = array.as_map().clone().into_parts();
            let entries: ArrayRef = Arc::new(entries);
            let entries = adapt(&entries, given, wanted, field.data_type())?.as_struct().clone();
            Arc::new(MapArray::try_new(field.clone(), offsets, entries, nulls, *sorted)?)
        }
        _ => arrow_cast::cast(array, to)?,
    })
}
