//! What is known of a closed data file: enough to publish it, now or in a later attempt of its job.
use std::collections::{BTreeMap, HashMap};

use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, Literal, PartitionSpec, PrimitiveType, Schema,
    Struct, Type,
};
use parquet::file::metadata::ParquetMetaData;
use serde::{Deserialize, Serialize};

use super::bounds::{self, Bound};
use crate::{Error, Kind, Result};

/// A closed data file, not yet part of any table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenFile {
    path: String,
    rows: u64,
    bytes: u64,
    /// The partition values in Iceberg's JSON form, in the spec's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    partition: Vec<serde_json::Value>,
    /// By field id.
    columns: BTreeMap<i32, Column>,
    offsets: Vec<i64>,
}

/// The metrics of one column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Column {
    bytes: u64,
    values: u64,
    nulls: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nans: Option<u64>,
    /// Iceberg's single-value bytes in hexadecimal, as is the upper bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lower: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upper: Option<String>,
}

impl WrittenFile {
    /// Its rows, by its footer.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }
    /// Its size in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
    /// Its location.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What the footer, the partition and the writer's count of NaNs say of a file.
    pub(super) fn new(
        path: String,
        bytes: u64,
        footer: &ParquetMetaData,
        schema: &Schema,
        partition: Vec<serde_json::Value>,
        nans: &BTreeMap<i32, u64>,
    ) -> Self {
        let rows = footer.file_metadata().num_rows().unsigned_abs();
        let offsets = footer.row_groups().iter().filter_map(|group| group.file_offset()).collect();
        Self { path, rows, bytes, partition, columns: columns(footer, schema, nans), offsets }
    }

    /// As Iceberg has it, for a manifest of that schema and spec.
    pub(crate) fn data_file(&self, schema: &Schema, spec: &PartitionSpec) -> Result<DataFile> {
        let broken = |cause: String| {
            Error::new(Kind::Internal, format!("the record of file `{}` does not fit its table", self.path))
                .caused_by(cause)
        };
        let (mut lower, mut upper) = (HashMap::new(), HashMap::new());
        for (id, column) in &self.columns {
            let Some(Type::Primitive(kind)) = schema.field_by_id(*id).map(|field| field.field_type.as_ref()) else {
                continue;
            };
            for (text, bounds) in [(&column.lower, &mut lower), (&column.upper, &mut upper)] {
                if let Some(text) = text {
                    let bytes = unhex(text).ok_or_else(|| broken(format!("bound {text}")))?;
                    let datum = Datum::try_from_bytes(&bytes, kind.clone()).map_err(|e| broken(e.to_string()))?;
                    bounds.insert(*id, datum);
                }
            }
        }
        let counts = |get: fn(&Column) -> Option<u64>| -> HashMap<i32, u64> {
            self.columns.iter().filter_map(|(id, column)| Some((*id, get(column)?))).collect()
        };
        DataFileBuilder::default()
            .content(DataContentType::Data)
            .file_path(self.path.clone())
            .file_format(DataFileFormat::Parquet)
            .partition(self.partition(schema, spec).map_err(|e| broken(e.to_string()))?)
            .partition_spec_id(spec.spec_id())
            .record_count(self.rows)
            .file_size_in_bytes(self.bytes)
            .column_sizes(counts(|column| Some(column.bytes)))
            .value_counts(counts(|column| Some(column.values)))
            .null_value_counts(counts(|column| Some(column.nulls)))
            .nan_value_counts(counts(|column| column.nans))
            .lower_bounds(lower)
            .upper_bounds(upper)
            .split_offsets(Some(self.offsets.clone()))
            .sort_order_id(0)
            .build()
            .map_err(|e| broken(e.to_string()))
    }

    fn partition(&self, schema: &Schema, spec: &PartitionSpec) -> iceberg::Result<Struct> {
        let kinds = spec.partition_type(schema)?;
        let pairs = kinds.fields().iter().zip(&self.partition);
        pairs.map(|(field, value)| Literal::try_from_json(value.clone(), &field.field_type)).collect()
    }
}

fn columns(footer: &ParquetMetaData, schema: &Schema, nans: &BTreeMap<i32, u64>) -> BTreeMap<i32, Column> {
    let mut columns: BTreeMap<i32, Column> = BTreeMap::new();
    let mut ranges: BTreeMap<i32, Option<(Bound, Bound)>> = BTreeMap::new();
    for chunk in footer.row_groups().iter().flat_map(|group| group.columns()) {
        let descriptor = chunk.column_descr();
        let info = descriptor.self_type().get_basic_info();
        if !info.has_id() {
            continue;
        }
        let column = columns.entry(info.id()).or_default();
        column.bytes += chunk.compressed_size().unsigned_abs();
        column.values += chunk.num_values().unsigned_abs();
        let Some(statistics) = chunk.statistics() else { continue };
        let nulls = statistics.null_count_opt().unwrap_or_default();
        column.nulls += nulls;
        let all_null = nulls == chunk.num_values().unsigned_abs();
        // Bounds of repeated values would not be bounds of the column's rows.
        if let Some(kind) = primitive(schema, info.id()).filter(|_| descriptor.max_rep_level() == 0 && !all_null) {
            let range = bounds::of(kind, statistics);
            let known = ranges.entry(info.id()).or_insert_with(|| range.clone());
            *known = known.take().zip(range).map(|(known, range)| widen(known, range));
        }
    }
    for (id, column) in &mut columns {
        column.nans = nans.get(id).copied();
        if let (Some(kind), Some(Some((low, high)))) = (primitive(schema, *id), ranges.get(id)) {
            column.lower = Some(hex(&bounds::lower(kind, low)));
            column.upper = bounds::upper(kind, high).map(|bytes| hex(&bytes));
        }
    }
    columns
}

fn primitive(schema: &Schema, id: i32) -> Option<&PrimitiveType> {
    schema.field_by_id(id).and_then(|field| field.field_type.as_primitive_type())
}

fn widen(a: (Bound, Bound), b: (Bound, Bound)) -> (Bound, Bound) {
    (if b.0 < a.0 { b.0 } else { a.0 }, if b.1 > a.1 { b.1 } else { a.1 })
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_goes_there_and_back() {
        assert_eq!(hex(&[0, 15, 255]), "000fff");
        assert_eq!(unhex("000fff"), Some(vec![0, 15, 255]));
        assert_eq!(unhex("0g"), None);
    }
}
