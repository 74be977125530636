//! Plain Arrow: the schema without Iceberg's own marks, and batches brought to it.
use std::{collections::HashMap, sync::Arc};

use arrow_array::{Array, ArrayRef, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray, cast::AsArray};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};
use iceberg::spec::{PrimitiveType, Schema as IcebergSchema, Type};

use crate::{Error, Kind, Result};

const FIELD_ID: &str = "PARQUET:field_id";
const EXTENSION: &str = "ARROW:extension:name";

/// An Iceberg schema as Arrow.
///
/// # Errors
/// [`Kind::UnsupportedFeature`] for a type that Arrow or this reader lacks.
pub fn schema(schema: &IcebergSchema) -> Result<Schema> {
    let arrow = iceberg::arrow::schema_to_arrow_schema(schema).map_err(|cause| {
        let message = format!("the table has a type that cannot be read here: {}", cause.message());
        Error::new(Kind::UnsupportedFeature, message).caused_by(cause)
    })?;
    let fields = arrow.fields().iter().map(|field| plain(field, schema));
    Ok(Schema::new(fields.collect::<Vec<_>>()))
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

/// Brings a batch, whose columns are those of `schema` in the same order, to exactly that schema.
///
/// # Errors
/// An array that does not fit, such as a null in a required column.
pub fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(array, field)| relabel(array, field.data_type())).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

/// The same values under another type: nested fields are renamed, everything else is cast where it differs.
fn relabel(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    Ok(match (array.data_type(), to) {
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let (_, columns, nulls) = array.as_struct().clone().into_parts();
            let columns = columns.iter().zip(fields).map(|(array, field)| relabel(array, field.data_type()));
            Arc::new(StructArray::try_new(fields.clone(), columns.collect::<Result<_, _>>()?, nulls)?)
        }
        (DataType::List(_), DataType::List(item)) => {
            let (_, offsets, values, nulls) = array.as_list::<i32>().clone().into_parts();
            Arc::new(ListArray::try_new(item.clone(), offsets, relabel(&values, item.data_type())?, nulls)?)
        }
        (DataType::Map(..), DataType::Map(field, sorted)) => {
            let (_, offsets, entries, nulls, _) = array.as_map().clone().into_parts();
            let entries: ArrayRef = Arc::new(entries);
            let entries = relabel(&entries, field.data_type())?.as_struct().clone();
            Arc::new(MapArray::try_new(field.clone(), offsets, entries, nulls, *sorted)?)
        }
        _ => arrow_cast::cast(array, to)?,
    })
}
