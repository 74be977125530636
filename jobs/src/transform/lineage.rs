//! Lineage columns: where each row came from, and when.
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, Utc};

use crate::{Code, Error, Result};

/// What a lineage column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// A place: an address, a bucket, a path.
    Text,
    /// A moment.
    Time,
    /// A page's number.
    Number,
}

impl MarkKind {
    fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
            Self::Number => DataType::Int32,
        }
    }
}

/// The value of a lineage column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// For [`MarkKind::Text`].
    Text(String),
    /// For [`MarkKind::Time`].
    Time(DateTime<Utc>),
    /// For [`MarkKind::Number`].
    Number(i32),
}

impl Mark {
    fn stretch(&self, rows: usize) -> ArrayRef {
        match self {
            Self::Text(text) => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows))),
            Self::Time(time) => {
                Arc::new(TimestampMicrosecondArray::from_value(time.timestamp_micros(), rows).with_timezone("+00:00"))
            }
            Self::Number(number) => Arc::new(Int32Array::from_value(*number, rows)),
        }
    }
}

/// The values of a plan's lineage columns, in their order.
pub type Marks = Arc<[Mark]>;

/// Rows of a source, and the lineage that they share.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The rows, without the lineage columns.
    pub batch: RecordBatch,
    /// One value for each lineage column of the plan.
    pub lineage: Marks,
}

/// Adds the lineage columns to batches.
#[derive(Clone)]
pub struct Lineage {
    schema: SchemaRef,
    columns: usize,
    /// The marks of the batch before, stretched to the longest batch that had them.
    last: Option<(Marks, Vec<ArrayRef>)>,
}

impl Lineage {
    /// The columns by name and kind; none for batches that stay as they are.
    ///
    /// # Errors
    /// [`Code::LineageColumnClash`] if the rows have a column of such a name.
    pub fn new(rows: &SchemaRef, columns: &[(&str, MarkKind)]) -> Result<Self> {
        let mut fields: Vec<_> = rows.fields().iter().cloned().collect();
        for (name, kind) in columns {
            if rows.fields().iter().any(|f| f.name().eq_ignore_ascii_case(name)) {
                return Err(Error::new(
                    Code::LineageColumnClash,
                    format!(
                        "the source has a column `{name}`, which is a lineage column: rename it in the source, or set `lineage` to false"
                    ),
                ));
            }
            fields.push(Arc::new(Field::new(*name, kind.data_type(), true)));
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, rows.metadata().clone()));
        Ok(Self { schema, columns: columns.len(), last: None })
    }

    /// The schema with the lineage columns at its end.
    #[must_use]
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Adds the columns to a batch. Their values are shared between batches, not copied.
    ///
    /// # Errors
    /// [`Code::Internal`] for a batch of another schema.
    pub fn stamp(&mut self, rows: Rows) -> Result<RecordBatch> {
        let Rows { batch, lineage } = rows;
        if self.columns == 0 {
            return Ok(batch);
        }
        let count = batch.num_rows();
        let known = self.last.as_ref().is_some_and(|(marks, stretched)| {
            (Arc::ptr_eq(marks, &lineage) || *marks == lineage) && stretched.first().is_some_and(|c| c.len() >= count)
        });
        if !known {
            let stretched = lineage.iter().map(|mark| mark.stretch(count)).collect();
            self.last = Some((lineage, stretched));
        }
        let mut columns = batch.columns().to_vec();
        columns.extend(self.last.iter().flat_map(|(_, stretched)| stretched).map(|column| column.slice(0, count)));
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|e| Error::new(Code::Internal, "a batch does not have its stream's schema").caused_by(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Int64Array, cast::AsArray};

    const COLUMNS: &[(&str, MarkKind)] = &[("source_system", MarkKind::Text), ("scraped_at", MarkKind::Time)];

    #[test]
    fn rows_are_stamped_and_clashes_refused() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
        let mut lineage = Lineage::new(&schema, COLUMNS).expect("no clash");
        for (n, place) in [(3, "a"), (5, "a"), (2, "b"), (1, "b")] {
            let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..n));
            let batch = RecordBatch::try_new(schema.clone(), vec![ids]).expect("batch");
            let marks = [Mark::Text(place.into()), Mark::Time(DateTime::UNIX_EPOCH)].into();
            let stamped = lineage.stamp(Rows { batch, lineage: marks }).expect("stamp");
            assert_eq!((stamped.num_rows() as i64, stamped.num_columns()), (n, 3));
            assert!(stamped["source_system"].as_string::<i32>().iter().all(|text| text == Some(place)));
        }
        let clash: SchemaRef = Arc::new(Schema::new(vec![Field::new("Scraped_At", DataType::Utf8, true)]));
        let error = Lineage::new(&clash, COLUMNS).err().map(|e| e.code());
        assert_eq!(error, Some(Code::LineageColumnClash));
    }
}
