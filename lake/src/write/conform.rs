//! Brings batches of the rows' schema into the shape of the files: columns by name, types widened, names and ids the table's.
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, GenericListArray, ListArray, MapArray, RecordBatch, StructArray, cast::AsArray, new_null_array,
};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

use crate::{Error, Kind, Result};

/// One column of a file: where it comes from and what it is to be.
struct Column {
    source: Option<usize>,
    field: FieldRef,
}

/// The way from the rows' schema to the files'.
pub(crate) struct Conform {
    columns: Vec<Column>,
    pub(crate) schema: SchemaRef,
}

impl Conform {
    /// From `rows` to `files`, whose types are taken over exactly where `exact` says so and by their meaning elsewhere:
    /// Parquet does not tell a large string from a string.
    pub(crate) fn new(rows: &Schema, files: &Schema, exact: impl Fn(&Field) -> bool) -> Self {
        let column = |field: &FieldRef| {
            let source = rows.index_of(field.name()).ok();
            let own = source.map(|index| rows.field(index).data_type());
            let field = match own {
                Some(own) if !exact(field) && same_in_parquet(own, field.data_type()) => {
                    Arc::new(field.as_ref().clone().with_data_type(own.clone()))
                }
                _ => field.clone(),
            };
            Column { source, field }
        };
        let columns: Vec<_> = files.fields().iter().map(column).collect();
        let schema = Arc::new(Schema::new(columns.iter().map(|column| column.field.clone()).collect::<Fields>()));
        Self { columns, schema }
    }

    /// The batch as the files have it.
    pub(crate) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let arrays: Result<Vec<_>> = self.columns.iter().map(|column| column.take(batch)).collect();
        RecordBatch::try_new(self.schema.clone(), arrays?).map_err(|e| {
            Error::new(Kind::Internal, "a batch does not have the schema it was announced with").caused_by(e)
        })
    }
}

impl Column {
    fn take(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        let array = match self.source {
            Some(index) if index < batch.num_columns() => convert(batch.column(index), &self.field),
            _ => Ok(new_null_array(self.field.data_type(), batch.num_rows())),
        };
        let array = array.map_err(|e| {
            Error::new(Kind::SchemaMismatch, format!("a value of column `{}` does not fit: {e}", self.field.name()))
        })?;
        if !self.field.is_nullable() && array.null_count() > 0 {
            let row = (0..array.len()).find(|row| array.is_null(*row)).unwrap_or_default();
            let message = format!("column `{}` is required and null in row {row} of a batch", self.field.name());
            return Err(Error::new(Kind::NullInRequired, message));
        }
        Ok(array)
    }
}

/// Whether Parquet stores both types alike.
fn same_in_parquet(rows: &DataType, file: &DataType) -> bool {
    use DataType as D;
    match (rows, file) {
        (D::LargeUtf8 | D::Utf8View, D::Utf8) | (D::Binary | D::BinaryView, D::LargeBinary) => true,
        (D::Timestamp(TimeUnit::Microsecond, a), D::Timestamp(TimeUnit::Microsecond, b)) => a.is_some() == b.is_some(),
        _ => false,
    }
}

/// An array as `field` has it, without loss or with an error.
pub(super) fn convert(array: &ArrayRef, field: &Field) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == field.data_type() {
        return Ok(array.clone());
    }
    match (array.data_type(), field.data_type()) {
        (DataType::Null, _) => Ok(new_null_array(field.data_type(), array.len())),
        (DataType::Struct(_), DataType::Struct(fields)) => {
            Ok(Arc::new(structs(array.as_struct(), fields, array.nulls().cloned())?))
        }
        (DataType::List(_), DataType::List(element)) => list(array.as_list::<i32>(), element),
        (DataType::LargeList(own) | DataType::FixedSizeList(own, _), DataType::List(_)) => {
            convert(&cast(array, &DataType::List(own.clone()))?, field)
        }
        (DataType::Map(..), DataType::Map(entries, sorted)) => {
            let map = array.as_map();
            let DataType::Struct(fields) = entries.data_type() else { return cast(array, field.data_type()) };
            let pairs = pairs(map.entries(), fields)?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Ok(Arc::new(MapArray::try_new(entries.clone(), offsets, pairs, nulls, *sorted)?))
        }
        _ => cast(array, field.data_type()),
    }
}

fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() })
}

fn structs(
    array: &StructArray,
    fields: &Fields,
    nulls: Option<arrow_buffer::NullBuffer>,
) -> Result<StructArray, ArrowError> {
    let child = |field: &FieldRef| match array.column_by_name(field.name()) {
        Some(child) => convert(child, field),
        None => Ok(new_null_array(field.data_type(), array.len())),
    };
    let children = fields.iter().map(child).collect::<Result<Vec<_>, _>>()?;
    StructArray::try_new(fields.clone(), children, nulls)
}

/// A map's entries go by position: sources call them what they like.
fn pairs(array: &StructArray, fields: &Fields) -> Result<StructArray, ArrowError> {
    let pairs = array.columns().iter().zip(fields);
    let children = pairs.map(|(child, field)| convert(child, field)).collect::<Result<Vec<_>, _>>()?;
    StructArray::try_new(fields.clone(), children, None)
}

fn list(array: &GenericListArray<i32>, element: &FieldRef) -> Result<ArrayRef, ArrowError> {
    let values = convert(array.values(), element)?;
    Ok(Arc::new(ListArray::try_new(element.clone(), array.offsets().clone(), values, array.nulls().cloned())?))
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int16Array, Int32Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn columns_go_by_name_and_widen() {
        let rows = Schema::new(vec![Field::new("b", DataType::Utf8, true), Field::new("a", DataType::Int16, true)]);
        let files = Schema::new(vec![
            Field::new("a", DataType::Int64, true),
            Field::new("gone", DataType::Int32, true),
            Field::new("b", DataType::Utf8, false),
        ]);
        let conform = Conform::new(&rows, &files, |_| false);
        let batch = |texts: Vec<Option<&str>>| {
            let numbers: ArrayRef = Arc::new(Int16Array::from(vec![Some(1), None]));
            RecordBatch::try_new(Arc::new(rows.clone()), vec![Arc::new(StringArray::from(texts)), numbers])
                .expect("batch")
        };
        let got = conform.apply(&batch(vec![Some("x"), Some("y")])).expect("fits");
        assert_eq!(
            got.column(0).as_primitive::<arrow_array::types::Int64Type>(),
            &Int64Array::from(vec![Some(1), None])
        );
        assert_eq!(got.column(1).null_count(), 2);
        let error = conform.apply(&batch(vec![Some("x"), None])).expect_err("null");
        assert_eq!((error.kind(), error.message().contains("`b`")), (Kind::NullInRequired, true));
    }

    #[test]
    fn nested_columns_widen_inside() {
        let inner = |data_type| Arc::new(Field::new("element", data_type, true));
        let array: ArrayRef = Arc::new(ListArray::from_iter_primitive::<arrow_array::types::Int32Type, _, _>(vec![
            Some(vec![Some(1), None]),
            None,
        ]));
        let wide = convert(&array, &Field::new("l", DataType::List(inner(DataType::Int64)), true)).expect("list");
        assert_eq!(wide.as_list::<i32>().value(0).len(), 2);
        assert!(wide.is_null(1));
        let fields = Fields::from(vec![Field::new("x", DataType::Int32, true)]);
        let array: ArrayRef = Arc::new(StructArray::new(fields, vec![Arc::new(Int32Array::from(vec![7]))], None));
        let more = Fields::from(vec![Field::new("new", DataType::Utf8, true), Field::new("x", DataType::Int64, true)]);
        let wide = convert(&array, &Field::new("s", DataType::Struct(more), true)).expect("struct");
        assert_eq!(wide.as_struct().column(1).as_primitive::<arrow_array::types::Int64Type>().value(0), 7);
    }
}
