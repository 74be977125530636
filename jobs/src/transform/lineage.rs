//! Lineage columns: where each row came from, and when.
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, Utc};

use crate::{Code, Error, Result};

/// The lineage columns of one load: the same values on every row.
#[derive(Clone)]
pub struct Lineage {
    schema: SchemaRef,
    /// One row each; stretched to a batch's length on demand.
    values: Vec<(String, Constant)>,
    stretched: Vec<ArrayRef>,
}

#[derive(Clone)]
enum Constant {
    Text(String),
    Time(DateTime<Utc>),
}

impl Constant {
    fn data_type(&self) -> DataType {
        match self {
            Self::Text(_) => DataType::Utf8,
            Self::Time(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        }
    }

    fn stretch(&self, rows: usize) -> ArrayRef {
        match self {
            Self::Text(text) => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows))),
            Self::Time(time) => {
                Arc::new(TimestampMicrosecondArray::from_value(time.timestamp_micros(), rows).with_timezone("+00:00"))
            }
        }
    }
}

impl Lineage {
    /// The lineage of a database load: `source_system` and `scraped_at`.
    ///
    /// # Errors
    /// [`Code::LineageColumnClash`] if the rows have a column of such a name.
    pub fn database(rows: &SchemaRef, origin: &str, at: DateTime<Utc>) -> Result<Self> {
        Self::new(rows, vec![("source_system", Constant::Text(origin.to_owned())), ("scraped_at", Constant::Time(at))])
    }

    /// No lineage: batches stay as they are.
    #[must_use]
    pub fn none(rows: &SchemaRef) -> Self {
        Self { schema: rows.clone(), values: Vec::new(), stretched: Vec::new() }
    }

    fn new(rows: &SchemaRef, values: Vec<(&str, Constant)>) -> Result<Self> {
        let mut fields: Vec<_> = rows.fields().iter().cloned().collect();
        for (name, value) in &values {
            if rows.fields().iter().any(|f| f.name().eq_ignore_ascii_case(name)) {
                return Err(Error::new(
                    Code::LineageColumnClash,
                    format!(
                        "the source has a column `{name}`, which is a lineage column: rename it in the query, or set `lineage` to false"
                    ),
                ));
            }
            fields.push(Arc::new(Field::new(*name, value.data_type(), true)));
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, rows.metadata().clone()));
        Ok(Self { schema, values: values.into_iter().map(|(n, v)| (n.to_owned(), v)).collect(), stretched: Vec::new() })
    }

    /// The schema with the lineage columns at its end.
    #[must_use]
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Adds the columns to a batch. The constants are shared between batches, not copied.
    ///
    /// # Errors
    /// [`Code::Internal`] for a batch of another schema.
    pub fn stamp(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        if self.values.is_empty() {
            return Ok(batch);
        }
        let rows = batch.num_rows();
        if self.stretched.first().is_none_or(|column| column.len() < rows) {
            self.stretched = self.values.iter().map(|(_, value)| value.stretch(rows)).collect();
        }
        let mut columns = batch.columns().to_vec();
        columns.extend(self.stretched.iter().map(|column| column.slice(0, rows)));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|e| Error::new(Code::Internal, "a batch does not have its stream's schema").caused_by(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Int64Array;

    #[test]
    fn rows_are_stamped_and_clashes_refused() {
        let rows: SchemaRef = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
        let mut lineage = Lineage::database(&rows, "postgres://h:5432/d", DateTime::UNIX_EPOCH).expect("no clash");
        for n in [3, 5, 2] {
            let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..n));
            let stamped = lineage.stamp(RecordBatch::try_new(rows.clone(), vec![ids]).expect("batch")).expect("stamp");
            assert_eq!((stamped.num_rows() as i64, stamped.num_columns()), (n, 3));
            assert_eq!(stamped.schema().field(1).name(), "source_system");
        }
        let clash: SchemaRef = Arc::new(Schema::new(vec![Field::new("Scraped_At", DataType::Utf8, true)]));
        let error = Lineage::database(&clash, "x", DateTime::UNIX_EPOCH).err().map(|e| e.code());
        assert_eq!(error, Some(Code::LineageColumnClash));
    }
}
