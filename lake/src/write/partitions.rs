//! Splits batches by partition.
use std::collections::HashMap;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array, cast::AsArray};
use arrow_row::{OwnedRow, RowConverter, SortField};
use arrow_schema::{ArrowError, DataType};
use arrow_select::take::{take, take_record_batch};
use iceberg::{
    arrow::{PartitionValueCalculator, arrow_struct_to_literal},
    spec::{Literal, PartitionSpecRef, PrimitiveLiteral, SchemaRef, StructType, Transform, Type},
};

use crate::{Error, Kind, Result};

/// The rows of one partition in a batch.
pub(super) struct Part {
    pub(super) key: OwnedRow,
    /// The values of the partition's fields in Iceberg's JSON form.
    pub(super) values: Vec<serde_json::Value>,
    /// The directory under the table's data, for people: readers do not look at it.
    pub(super) directory: String,
    pub(super) rows: RecordBatch,
}

/// A partition, and which rows of a batch are in it.
pub(crate) struct Group {
    key: OwnedRow,
    /// The values of the partition's fields in Iceberg's JSON form.
    pub(crate) values: Vec<serde_json::Value>,
    /// The fields' names and values as people write them.
    pub(crate) names: Vec<(String, String)>,
    /// The rows' places.
    pub(crate) rows: Vec<u32>,
}

/// Works out partitions for one spec.
pub(crate) struct Partitions {
    spec: PartitionSpecRef,
    kinds: StructType,
    calculator: PartitionValueCalculator,
    converter: RowConverter,
}

impl Partitions {
    pub(crate) fn new(spec: &PartitionSpecRef, schema: &SchemaRef) -> Result<Self> {
        let calculator = PartitionValueCalculator::try_new(spec, schema).map_err(|e| refused(&e))?;
        let fields = match calculator.partition_arrow_type() {
            DataType::Struct(fields) => fields.iter().map(|field| SortField::new(field.data_type().clone())).collect(),
            _ => Vec::new(),
        };
        let converter = RowConverter::new(fields).map_err(|e| refused(&e))?;
        let kinds = spec.partition_type(schema).map_err(|e| refused(&e))?;
        Ok(Self { spec: spec.clone(), kinds, calculator, converter })
    }

    /// The parts of a batch, in the order of their first rows.
    pub(super) fn split(&self, batch: &RecordBatch) -> Result<Vec<Part>> {
        let part = |group: Group| {
            let names = group.names.iter().map(|(name, value)| format!("{}={}", clean(name), clean(value)));
            let directory = names.collect::<Vec<_>>().join("/");
            let rows = match group.rows.len() == batch.num_rows() {
                true => batch.clone(),
                false => take_record_batch(batch, &UInt32Array::from(group.rows)).map_err(|e| refused(&e))?,
            };
            Ok(Part { key: group.key, values: group.values, directory, rows })
        };
        self.groups(batch)?.into_iter().map(part).collect()
    }

    /// The partitions of a batch, in the order of their first rows.
    pub(crate) fn groups(&self, batch: &RecordBatch) -> Result<Vec<Group>> {
        let values = self.calculator.calculate(batch).map_err(|e| refused(&e))?;
        let rows = self.converter.convert_columns(values.as_struct().columns()).map_err(|e| refused(&e))?;
        let mut groups: Vec<Vec<u32>> = Vec::new();
        let mut known: HashMap<arrow_row::Row<'_>, usize> = HashMap::new();
        for (index, row) in (0..).zip(rows.iter()) {
            let group = *known.entry(row).or_insert(groups.len());
            match groups.get_mut(group) {
                Some(group) => group.push(index),
                None => groups.push(vec![index]),
            }
        }
        drop(known);
        groups.into_iter().map(|group| self.group(&values, &rows, group).map_err(|e| refused(&e))).collect()
    }

    fn group(&self, values: &ArrayRef, rows: &arrow_row::Rows, group: Vec<u32>) -> Result<Group, ArrowError> {
        let first = group[0];
        let key = rows.row(first as usize).owned();
        let external = |e: iceberg::Error| ArrowError::ExternalError(Box::new(e));
        let value = take(values, &UInt32Array::from(vec![first]), None)?;
        let value = arrow_struct_to_literal(&value, &self.kinds).map_err(external)?.into_iter().next().flatten();
        let Some(Literal::Struct(value)) = value else {
            return Err(ArrowError::InvalidArgumentError("a partition value is no struct".into()));
        };
        let fields = || self.kinds.fields().iter().zip(value.iter());
        let json = fields().map(|(field, value)| match value {
            Some(value) => value.clone().try_into_json(&field.field_type).map_err(external),
            None => Ok(serde_json::Value::Null),
        });
        let names = self.spec.fields().iter().zip(fields());
        let names = names
            .map(|(field, (kind, value))| (field.name.clone(), readable(field.transform, &kind.field_type, value)));
        Ok(Group { key, values: json.collect::<Result<_, _>>()?, names: names.collect(), rows: group })
    }
}

/// A partition value as people write it: the crate below gives years, months and hours as numbers since 1970.
fn readable(transform: Transform, kind: &Type, value: Option<&Literal>) -> String {
    let number = match value {
        Some(Literal::Primitive(PrimitiveLiteral::Int(number))) => i64::from(*number),
        _ => return transform.to_human_string(kind, value),
    };
    match transform {
        Transform::Year => format!("{:04}", 1970 + number),
        Transform::Month => format!("{:04}-{:02}", 1970 + number.div_euclid(12), number.rem_euclid(12) + 1),
        Transform::Hour => chrono::DateTime::from_timestamp(number * 3600, 0)
            .map_or_else(|| number.to_string(), |time| time.format("%Y-%m-%d-%H").to_string()),
        _ => transform.to_human_string(kind, value),
    }
}

/// A name for a directory: short, and of characters that no engine reads anything into.
fn clean(text: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    text.chars().take(48).map(safe).collect()
}

fn refused(cause: &dyn std::error::Error) -> Error {
    Error::new(Kind::InvalidPartition, "the partition values of the rows cannot be worked out")
        .caused_by(cause.to_string())
}
