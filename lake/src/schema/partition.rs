//! Partition specs: their spelling in requests, and their binding to a table's schema.
use std::str::FromStr;

use iceberg::spec::{PartitionSpec, Schema, Transform, UnboundPartitionSpec};

use crate::{Error, Kind, Result};

/// One field of a partition spec, read from `col`, `year(col)`, `month(col)`, `day(col)`, `hour(col)`, `bucket(n, col)`
/// or `truncate(n, col)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionField {
    /// The source column.
    pub column: String,
    /// The transform, in Iceberg's spelling (`identity`, `bucket[16]`, …).
    pub transform: String,
}

impl FromStr for PartitionField {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let Some((name, arguments)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) else {
            return Self::new(text, "identity".to_owned(), text);
        };
        match name.trim().to_ascii_lowercase().as_str() {
            name @ ("identity" | "year" | "month" | "day" | "hour") => Self::new(arguments, name.to_owned(), text),
            name @ ("bucket" | "truncate") => {
                let (n, column) = arguments.split_once(',').ok_or_else(|| invalid(text))?;
                let n: u32 = n.trim().parse().ok().filter(|n| *n > 0).ok_or_else(|| invalid(text))?;
                Self::new(column, format!("{name}[{n}]"), text)
            }
            _ => Err(invalid(text)),
        }
    }
}

impl PartitionField {
    fn new(column: &str, transform: String, text: &str) -> Result<Self> {
        match column.trim() {
            "" => Err(invalid(text)),
            column => Ok(Self { column: column.to_owned(), transform }),
        }
    }
}

fn invalid(text: &str) -> Error {
    let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    let forms = "col, year(col), month(col), day(col), hour(col), bucket(n, col) or truncate(n, col)";
    Error::new(Kind::InvalidPartition, format!("partition field `{shown}` is not of the form {forms}"))
}

/// The spec of a new table.
pub(super) fn bind(fields: &[PartitionField], schema: &Schema) -> Result<UnboundPartitionSpec> {
    let mut names: Vec<String> = Vec::new();
    let mut spec = UnboundPartitionSpec::builder();
    for field in fields {
        let (id, transform) = check(field, schema)?;
        let name = name(field, &transform, schema, &names);
        spec = spec.add_partition_field(id, &name, transform).map_err(|e| refused(field, &e))?;
        names.push(name);
    }
    let spec = spec.build();
    spec.clone()
        .bind(schema.clone())
        .map_err(|e| Error::new(Kind::InvalidPartition, "the partition fields cannot stand together").caused_by(e))?;
    Ok(spec)
}

fn check(field: &PartitionField, schema: &Schema) -> Result<(i32, Transform)> {
    let column = schema.as_struct().fields().iter().find(|column| column.name == field.column).ok_or_else(|| {
        Error::new(Kind::InvalidPartition, format!("partition column `{}` is not in the table", field.column))
    })?;
    let transform = Transform::from_str(&field.transform).map_err(|e| refused(field, &e))?;
    transform.result_type(&column.field_type).map_err(|_| {
        let message =
            format!("`{}` cannot partition column `{}` of type {}", field.transform, field.column, column.field_type);
        Error::new(Kind::InvalidPartition, message)
    })?;
    Ok((column.id, transform))
}

fn refused(field: &PartitionField, cause: &iceberg::Error) -> Error {
    let message = format!("partition by `{}` of `{}` is not possible", field.transform, field.column);
    Error::new(Kind::InvalidPartition, message).caused_by(cause.to_string())
}

/// The field's name: what other engines call it, kept to characters that manifests accept, and free in the table.
fn name(field: &PartitionField, transform: &Transform, schema: &Schema, taken: &[String]) -> String {
    let plain: String = field.column.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let plain = if plain.starts_with(|c: char| c.is_ascii_digit()) { format!("_{plain}") } else { plain };
    let base = match transform {
        Transform::Identity => plain,
        Transform::Bucket(_) => format!("{plain}_bucket"),
        Transform::Truncate(_) => format!("{plain}_trunc"),
        other => format!("{plain}_{other}"),
    };
    let own = *transform == Transform::Identity && base == field.column;
    let free = |name: &String| !taken.contains(name) && (own || schema.field_by_name(name).is_none());
    let numbered = (1..).map(|n| format!("{base}_{n}"));
    std::iter::once(base.clone()).chain(numbered).find(free).unwrap_or(base)
}

/// Refuses a wish that differs from the spec that the table has.
pub(super) fn check_same(wanted: &[PartitionField], spec: &PartitionSpec, schema: &Schema) -> Result<()> {
    let column = |id| schema.name_by_field_id(id).unwrap_or_default().to_owned();
    let fields = spec.fields().iter().filter(|field| field.transform != Transform::Void);
    let has: Vec<_> =
        fields.map(|f| PartitionField { column: column(f.source_id), transform: f.transform.to_string() }).collect();
    if wanted.is_empty() || wanted == has {
        return Ok(());
    }
    let show = |fields: &[PartitionField]| {
        let all: Vec<_> = fields.iter().map(|f| format!("{} of {}", f.transform, f.column)).collect();
        if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
    };
    let message = format!("the table is partitioned by {}, not by {}", show(&has), show(wanted));
    Err(Error::new(Kind::InvalidPartition, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_are_read() {
        let read = |text: &str| text.parse::<PartitionField>().map(|f| (f.column, f.transform)).map_err(|e| e.kind());
        assert_eq!(read("day"), Ok(("day".into(), "identity".into())));
        assert_eq!(read("Month( created at )"), Ok(("created at".into(), "month".into())));
        assert_eq!(read("bucket(16, id)"), Ok(("id".into(), "bucket[16]".into())));
        assert_eq!(read("truncate(4,name)"), Ok(("name".into(), "truncate[4]".into())));
        for bad in ["", "bucket(0, id)", "bucket(id)", "week(d)", "month()", "truncate(x, id)"] {
            assert_eq!(read(bad), Err(Kind::InvalidPartition), "{bad}");
        }
    }
}
