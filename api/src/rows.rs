//! Rows as JSON, exactly: a number stays a JSON number only where every reader keeps all its digits.
use std::time::{Duration, Instant};

use arrow_array::{Array, ArrayRef, RecordBatch, cast::AsArray, types::*};
use arrow_cast::{
    cast,
    display::{ArrayFormatter, FormatOptions},
};
use arrow_schema::{DataType, Field, SchemaRef, TimeUnit};
use chrono::{DateTime, SecondsFormat, Utc};
use futures::StreamExt;
use icehaul_jobs::{Code, Error};
use icehaul_lake::{Batches, is_uuid, sql_type_of};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::Result;

/// The largest integer that a 64-bit float, and so every JSON reader, holds exactly.
pub(crate) const EXACT: u64 = (1 << 53) - 1;

/// A column of a result.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ResultColumn {
    /// The name.
    name: String,
    /// The type, in the spelling of `/schema`.
    #[serde(rename = "type")]
    data_type: String,
}

/// Rows of a table or query.
///
/// Values: integers beyond 2^53, decimals, times, UUIDs and bytes (hexadecimal) are strings; `NaN` and infinities too.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ResultSet {
    /// The columns, in order.
    columns: Vec<ResultColumn>,
    /// The rows: one array each, in the columns' order.
    #[schemars(with = "Vec<Vec<serde_json::Value>>")]
    rows: Box<RawValue>,
    /// How many there are here.
    row_count: usize,
    /// Whether there are more: the limit was reached, or the reply would have become too large.
    truncated: bool,
    /// How long it took.
    elapsed_seconds: f64,
}

/// Takes rows until the limit, or until their JSON has `max_bytes`.
pub(crate) async fn collect(
    mut batches: Batches<icehaul_lake::Error>,
    limit: usize,
    max_bytes: usize,
) -> Result<ResultSet> {
    let started = Instant::now();
    let mut writer = Writer { json: b"[".to_vec(), rows: 0 };
    let mut truncated = false;
    'all: while let Some(batch) = batches.stream.next().await {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            truncated = writer.rows == limit || writer.json.len() >= max_bytes;
            if truncated {
                break 'all;
            }
            writer.row(&batches.schema, &batch, row)?;
        }
    }
    writer.json.push(b']');
    let rows = String::from_utf8(writer.json).unwrap_or_default();
    let result = ResultSet::new(columns(&batches.schema), rows, writer.rows, truncated)?;
    Ok(result.took(started.elapsed()))
}

impl ResultColumn {
    pub(crate) const fn new(name: String, data_type: String) -> Self {
        Self { name, data_type }
    }
}

impl ResultSet {
    /// An answer of rows that are JSON already.
    ///
    /// # Errors
    /// [`Code::Internal`] if they are not.
    pub(crate) fn new(
        columns: Vec<ResultColumn>,
        rows: String,
        row_count: usize,
        truncated: bool,
    ) -> std::result::Result<Self, Error> {
        let rows = RawValue::from_string(rows);
        let rows = rows.map_err(|e| Error::new(Code::Internal, "rows were written as broken JSON").caused_by(e))?;
        Ok(Self { columns, rows, row_count, truncated, elapsed_seconds: 0.0 })
    }

    /// Says how long all of it took, not just the taking.
    pub fn took(mut self, time: Duration) -> Self {
        self.elapsed_seconds = time.as_secs_f64();
        self
    }
}

fn columns(schema: &SchemaRef) -> Vec<ResultColumn> {
    let fields = schema.fields().iter();
    fields.map(|field| ResultColumn { name: field.name().clone(), data_type: sql_type_of(field) }).collect()
}

struct Writer {
    json: Vec<u8>,
    rows: usize,
}

impl Writer {
    fn row(&mut self, schema: &SchemaRef, batch: &RecordBatch, row: usize) -> Result<()> {
        if self.rows > 0 {
            self.json.push(b',');
        }
        self.rows += 1;
        let cells = schema.fields().iter().zip(batch.columns());
        self.list(cells.map(|(field, column)| (field.as_ref(), column, row)))
    }

    fn list<'a>(&mut self, cells: impl Iterator<Item = (&'a Field, &'a ArrayRef, usize)>) -> Result<()> {
        self.json.push(b'[');
        for (n, (field, array, row)) in cells.enumerate() {
            if n > 0 {
                self.json.push(b',');
            }
            self.cell(field, array, row)?;
        }
        self.json.push(b']');
        Ok(())
    }

    /// Writes one value; what bytes mean, only the field tells. Types that are not named here appear as their text.
    fn cell(&mut self, field: &Field, array: &ArrayRef, row: usize) -> Result<()> {
        if array.is_null(row) {
            self.json.extend_from_slice(b"null");
            return Ok(());
        }
        match array.data_type() {
            DataType::Null => self.json.extend_from_slice(b"null"),
            DataType::Boolean => self.plain(array.as_boolean().value(row)),
            DataType::Int8 => self.plain(array.as_primitive::<Int8Type>().value(row)),
            DataType::Int16 => self.plain(array.as_primitive::<Int16Type>().value(row)),
            DataType::Int32 => self.plain(array.as_primitive::<Int32Type>().value(row)),
            DataType::UInt8 => self.plain(array.as_primitive::<UInt8Type>().value(row)),
            DataType::UInt16 => self.plain(array.as_primitive::<UInt16Type>().value(row)),
            DataType::UInt32 => self.plain(array.as_primitive::<UInt32Type>().value(row)),
            DataType::Int64 => {
                let value = array.as_primitive::<Int64Type>().value(row);
                self.integer(value, value.unsigned_abs());
            }
            DataType::UInt64 => {
                let value = array.as_primitive::<UInt64Type>().value(row);
                self.integer(value, value);
            }
            DataType::Float32 => self.float(array.as_primitive::<Float32Type>().value(row), f32::is_finite),
            DataType::Float64 => self.float(array.as_primitive::<Float64Type>().value(row), f64::is_finite),
            DataType::Utf8 => self.text(array.as_string::<i32>().value(row)),
            DataType::LargeUtf8 => self.text(array.as_string::<i64>().value(row)),
            DataType::Utf8View => self.text(array.as_string_view().value(row)),
            DataType::Binary => self.bytes(array.as_binary::<i32>().value(row)),
            DataType::LargeBinary => self.bytes(array.as_binary::<i64>().value(row)),
            DataType::BinaryView => self.bytes(array.as_binary_view().value(row)),
            DataType::FixedSizeBinary(_) => self.fixed(field, array.as_fixed_size_binary().value(row)),
            DataType::Timestamp(unit, zone) => self.timestamp(array, row, *unit, zone.is_some()),
            DataType::List(item) => self.items(item, &array.as_list::<i32>().value(row))?,
            DataType::LargeList(item) => self.items(item, &array.as_list::<i64>().value(row))?,
            DataType::FixedSizeList(item, _) => self.items(item, &array.as_fixed_size_list().value(row))?,
            DataType::Struct(fields) => {
                self.object(fields.iter().map(AsRef::as_ref).zip(array.as_struct().columns()), row)?;
            }
            DataType::Map(..) => self.map(array, row)?,
            _ => self.formatted(array, row)?,
        }
        Ok(())
    }

    fn plain(&mut self, value: impl std::fmt::Display) {
        self.json.extend_from_slice(value.to_string().as_bytes());
    }

    fn integer(&mut self, value: impl std::fmt::Display, size: u64) {
        if size <= EXACT { self.plain(value) } else { self.text(&value.to_string()) }
    }

    /// Serde writes the shortest digits that read back as the same float.
    fn float<F: Copy + Serialize + std::fmt::Display>(&mut self, value: F, finite: fn(F) -> bool) {
        match serde_json::to_string(&value) {
            Ok(digits) if finite(value) => self.json.extend_from_slice(digits.as_bytes()),
            _ => self.text(match value.to_string().as_str() {
                "inf" => "Infinity",
                "-inf" => "-Infinity",
                _ => "NaN",
            }),
        }
    }

    fn text(&mut self, text: &str) {
        // Writing a string into memory does not fail.
        let _ = serde_json::to_writer(&mut self.json, text);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.text(&hex);
    }

    /// Iceberg's UUIDs arrive as 16 bytes.
    fn fixed(&mut self, field: &Field, bytes: &[u8]) {
        match uuid::Uuid::from_slice(bytes) {
            Ok(uuid) if is_uuid(field) => self.text(&uuid.to_string()),
            _ => self.bytes(bytes),
        }
    }

    /// Instants end in `Z`; local times have no zone. One beyond the calendar stays the number that it is.
    fn timestamp(&mut self, array: &ArrayRef, row: usize, unit: TimeUnit, instant: bool) {
        let (value, time): (i64, Option<DateTime<Utc>>) = match unit {
            TimeUnit::Second => {
                of(array.as_primitive::<TimestampSecondType>().value(row), |v| DateTime::from_timestamp(v, 0))
            }
            TimeUnit::Millisecond => {
                of(array.as_primitive::<TimestampMillisecondType>().value(row), DateTime::from_timestamp_millis)
            }
            TimeUnit::Microsecond => {
                of(array.as_primitive::<TimestampMicrosecondType>().value(row), DateTime::from_timestamp_micros)
            }
            TimeUnit::Nanosecond => of(array.as_primitive::<TimestampNanosecondType>().value(row), |v| {
                Some(DateTime::from_timestamp_nanos(v))
            }),
        };
        match time {
            Some(time) if instant => self.text(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            Some(time) => self.text(time.to_rfc3339_opts(SecondsFormat::AutoSi, true).trim_end_matches('Z')),
            None => self.text(&value.to_string()),
        }
    }

    fn items(&mut self, field: &Field, items: &ArrayRef) -> Result<()> {
        self.list((0..items.len()).map(|row| (field, items, row)))
    }

    fn object<'a>(&mut self, fields: impl Iterator<Item = (&'a Field, &'a ArrayRef)>, row: usize) -> Result<()> {
        self.json.push(b'{');
        for (n, (field, array)) in fields.enumerate() {
            if n > 0 {
                self.json.push(b',');
            }
            self.text(field.name());
            self.json.push(b':');
            self.cell(field, array, row)?;
        }
        self.json.push(b'}');
        Ok(())
    }

    /// A map is an array of pairs: its keys need not be text.
    fn map(&mut self, array: &ArrayRef, row: usize) -> Result<()> {
        let entries = array.as_map().value(row);
        self.json.push(b'[');
        for entry in 0..entries.len() {
            if entry > 0 {
                self.json.push(b',');
            }
            let pair = entries.fields().iter().zip(entries.columns());
            self.list(pair.map(|(field, array)| (field.as_ref(), array, entry)))?;
        }
        self.json.push(b']');
        Ok(())
    }

    /// A date or time beyond the calendar stays the number that it is.
    fn formatted(&mut self, array: &ArrayRef, row: usize) -> Result<()> {
        let broken = |e| Error::new(Code::Internal, "a value cannot be written as text").caused_by(e);
        let text = |array: &dyn Array, row| {
            ArrayFormatter::try_new(array, &FormatOptions::default())?.value(row).try_to_string()
        };
        let number = || text(&cast(&array.slice(row, 1), &DataType::Int64)?, 0);
        self.text(&text(array, row).or_else(|cause| number().map_err(|_| cause)).map_err(broken)?);
        Ok(())
    }
}

fn of<T>(value: i64, time: impl Fn(i64) -> T) -> (i64, T) {
    (value, time(value))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{Int32Builder, MapBuilder, StringBuilder};
    use arrow_array::*;
    use futures::stream;

    use super::*;

    async fn json_of(columns: Vec<(&str, ArrayRef)>, limit: usize, bytes: usize) -> serde_json::Value {
        let batch = RecordBatch::try_from_iter(columns).expect("batch");
        let batches = Batches { schema: batch.schema(), stream: stream::iter([Ok(batch)]).boxed() };
        let set = collect(batches, limit, bytes).await.expect("rows");
        serde_json::to_value(set).expect("json")
    }

    async fn cell(array: impl Array + 'static) -> serde_json::Value {
        json_of(vec![("c", Arc::new(array))], 1, 1000).await["rows"][0][0].clone()
    }

    #[tokio::test]
    async fn numbers_stay_numbers_only_where_they_are_exact() {
        assert_eq!(cell(Int64Array::from(vec![EXACT as i64])).await, 9_007_199_254_740_991_u64);
        assert_eq!(cell(Int64Array::from(vec![-(EXACT as i64) - 1])).await, "-9007199254740992");
        assert_eq!(cell(UInt64Array::from(vec![u64::MAX])).await, "18446744073709551615");
        let decimal = Decimal128Array::from(vec![12345]).with_precision_and_scale(10, 2).expect("decimal");
        assert_eq!(cell(decimal).await, "123.45");
        assert_eq!(cell(Float32Array::from(vec![0.1])).await.to_string(), "0.1");
        assert_eq!(cell(Float64Array::from(vec![f64::NAN])).await, "NaN");
        assert_eq!(cell(Float64Array::from(vec![f64::NEG_INFINITY])).await, "-Infinity");
        assert_eq!(cell(Int8Array::from(vec![None])).await, serde_json::Value::Null);
    }

    #[tokio::test]
    async fn times_and_bytes_are_text() {
        let at = TimestampMicrosecondArray::from(vec![1_500_000]);
        assert_eq!(cell(at.clone()).await, "1970-01-01T00:00:01.500");
        assert_eq!(cell(at.with_timezone("+00:00")).await, "1970-01-01T00:00:01.500Z");
        assert_eq!(cell(TimestampMicrosecondArray::from(vec![i64::MAX])).await, "9223372036854775807");
        assert_eq!(cell(Date32Array::from(vec![19_000])).await, "2022-01-08");
        // 5874897-12-31, PostgreSQL's last day.
        assert_eq!(cell(Date32Array::from(vec![2_145_031_948])).await, "2145031948");
        assert_eq!(cell(Date64Array::from(vec![i64::MAX])).await, "9223372036854775807");
        assert_eq!(cell(Time64MicrosecondArray::from(vec![1])).await, "00:00:00.000001");
        assert_eq!(cell(BinaryArray::from(vec![b"\x00\xff".as_slice()])).await, "00ff");
        let uuid = FixedSizeBinaryArray::try_from_iter([[0x12; 16]].into_iter()).expect("uuid");
        assert_eq!(cell(uuid.clone()).await, "12".repeat(16));
        let marked = [("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())].into();
        let field = Field::new("u", DataType::FixedSizeBinary(16), true).with_metadata(marked);
        let row = StructArray::from(vec![(Arc::new(field), Arc::new(uuid) as ArrayRef)]);
        assert_eq!(cell(row).await, serde_json::json!({"u": "12121212-1212-1212-1212-121212121212"}));
        assert_eq!(cell(StringViewArray::from(vec!["\"\u{1}</script>"])).await, "\"\u{1}</script>");
    }

    #[tokio::test]
    async fn nested_values_keep_their_shape() {
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])]);
        assert_eq!(cell(list).await, serde_json::json!([1, null]));
        let field = |name: &str| arrow_schema::Field::new(name, DataType::Int32, true);
        let number: ArrayRef = Arc::new(Int32Array::from(vec![7]));
        let row = StructArray::from(vec![(Arc::new(field("a")), number.clone()), (Arc::new(field("b")), number)]);
        assert_eq!(cell(row).await, serde_json::json!({"a": 7, "b": 7}));
        let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        map.keys().append_value("k");
        map.values().append_value(1);
        map.append(true).expect("entry");
        assert_eq!(cell(map.finish()).await, serde_json::json!([["k", 1]]));
    }

    #[tokio::test]
    async fn a_reply_is_cut_by_rows_and_by_bytes_and_says_so() {
        let column = || -> Vec<(&str, ArrayRef)> { vec![("n", Arc::new(Int32Array::from_iter_values(100..200)))] };
        let all = json_of(column(), 100, 10_000).await;
        assert_eq!((&all["row_count"], &all["truncated"]), (&100.into(), &false.into()));
        assert_eq!(all["columns"], serde_json::json!([{"name": "n", "type": "INT"}]));
        let some = json_of(column(), 99, 10_000).await;
        assert_eq!((&some["row_count"], &some["truncated"]), (&99.into(), &true.into()));
        let few = json_of(column(), 100, 13).await;
        assert_eq!((&few["row_count"], &few["truncated"]), (&3.into(), &true.into()));
        assert_eq!(few["rows"], serde_json::json!([[100], [101], [102]]));
    }
}
