//! A table's shape in words: its columns and its partitioning, as people write them.
use arrow_schema::{DataType, Field, TimeUnit};
use iceberg::spec::{NestedField, PartitionSpec, PrimitiveType, Schema, SortOrder, Transform, Type};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{At, Result, Table, Target, schema};

/// A top-level column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Column {
    /// Iceberg's field id: stays the same when the column is renamed.
    pub id: i32,
    /// The name.
    pub name: String,
    /// The type in SQL's spelling (`BIGINT`, `DECIMAL(12, 2)`, `ARRAY(VARCHAR)`).
    #[serde(rename = "type")]
    pub sql_type: String,
    /// Whether it may hold nulls.
    pub nullable: bool,
    /// Its description.
    pub doc: Option<String>,
}

impl Table {
    /// The columns of the current schema.
    #[must_use]
    pub fn columns(&self) -> Vec<Column> {
        columns(self.metadata().current_schema())
    }

    /// The current partitioning, `PARTITION BY city, order_date MONTH`; `None` if there is none.
    #[must_use]
    pub fn partitioning(&self) -> Option<String> {
        partitioning(self.metadata().default_partition_spec(), self.metadata().current_schema())
    }

    /// The columns that rows of that state are read with.
    ///
    /// # Errors
    /// [`crate::Kind::SnapshotNotFound`].
    pub fn columns_at(&self, at: At) -> Result<Vec<Column>> {
        Ok(columns(self.iceberg_schema(at)?.as_ref()))
    }

    /// The current sort order, `SORTED BY city ascending, nulls first`; `None` if there is none.
    #[must_use]
    pub fn sort_order(&self) -> Option<String> {
        sort_order(self.metadata().default_sort_order(), self.metadata().current_schema())
    }
}

impl Target {
    /// The columns that the table has with the commit.
    #[must_use]
    pub fn columns(&self) -> Vec<Column> {
        columns(&self.plan.schema)
    }

    /// The partitioning of the files, as [`Table::partitioning`] tells it.
    #[must_use]
    pub fn partitioning(&self) -> Option<String> {
        partitioning(&self.plan.partition, &self.plan.schema)
    }

    /// The sort order, as [`Table::sort_order`] tells it.
    #[must_use]
    pub fn sort_order(&self) -> Option<String> {
        sort_order(self.metadata()?.default_sort_order(), &self.plan.schema)
    }
}

fn partitioning(spec: &PartitionSpec, schema: &Schema) -> Option<String> {
    let fields = spec.fields().iter();
    let fields = fields.filter_map(|field| transform(field.transform, schema.name_by_field_id(field.source_id)?));
    let fields: Vec<String> = fields.collect();
    (!fields.is_empty()).then(|| format!("PARTITION BY {}", fields.join(", ")))
}

fn sort_order(order: &SortOrder, schema: &Schema) -> Option<String> {
    let fields = order.fields.iter().filter_map(|field| {
        let by = transform(field.transform, schema.name_by_field_id(field.source_id)?)?;
        Some(format!("{by} {}, nulls {}", field.direction, field.null_order))
    });
    let fields: Vec<String> = fields.collect();
    (!fields.is_empty()).then(|| format!("SORTED BY {}", fields.join("; ")))
}

/// The columns of a new table for such rows.
///
/// # Errors
/// [`crate::Kind::UnsupportedFeature`] or [`crate::Kind::SchemaMismatch`] for rows of which no table can be made.
pub fn columns_for(rows: &arrow_schema::Schema) -> Result<Vec<Column>> {
    Ok(columns(&schema::fresh(rows)?))
}

fn columns(schema: &Schema) -> Vec<Column> {
    let fields = schema.as_struct().fields().iter();
    fields
        .map(|field| Column {
            id: field.id,
            name: field.name.clone(),
            sql_type: sql_type(&field.field_type),
            nullable: !field.required,
            doc: field.doc.clone(),
        })
        .collect()
}

fn transform(transform: Transform, column: &str) -> Option<String> {
    Some(match transform {
        Transform::Identity => column.to_owned(),
        Transform::Year | Transform::Month | Transform::Day | Transform::Hour => {
            format!("{column} {}", transform.to_string().to_uppercase())
        }
        Transform::Bucket(n) => format!("BUCKET({n}, {column})"),
        Transform::Truncate(n) => format!("TRUNCATE({n}, {column})"),
        Transform::Void => return None,
        Transform::Unknown => format!("UNKNOWN({column})"),
    })
}

/// The type as Trino spells it.
fn sql_type(of: &Type) -> String {
    match of {
        Type::Primitive(primitive) => sql_primitive(primitive),
        Type::List(list) => format!("ARRAY({})", sql_member(&list.element_field)),
        Type::Map(map) => {
            format!("MAP({}, {})", sql_type(&map.key_field.field_type), sql_member(&map.value_field))
        }
        Type::Struct(of) => {
            let fields = of.fields().iter().map(|field| format!("{} {}", named(&field.name), sql_member(field)));
            format!("ROW({})", fields.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A part of a column, and whether it must have a value.
fn sql_member(field: &NestedField) -> String {
    sql_type(&field.field_type) + if field.required { " NOT NULL" } else { "" }
}

/// A member's name, in quotes where it could be taken for something else.
fn named(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    match plain && name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// The type of a result's column in the same words; types that no table has are called by Arrow's name.
#[must_use]
pub fn sql_type_of(field: &Field) -> String {
    let of = |field: &Field| sql_type_of(field) + if field.is_nullable() { "" } else { " NOT NULL" };
    match field.data_type() {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            format!("ARRAY({})", of(item))
        }
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| format!("{} {}", named(field.name()), of(field)));
            format!("ROW({})", fields.collect::<Vec<_>>().join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => format!("MAP({}, {})", sql_type_of(&pair[0]), of(&pair[1])),
            other => other.to_string(),
        },
        DataType::Dictionary(_, value) => sql_type_of(&Field::new("", value.as_ref().clone(), true)),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => sql_primitive(&PrimitiveType::TimestampNs),
        DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => sql_primitive(&PrimitiveType::TimestamptzNs),
        // What functions count with; no value of theirs needs the 64th bit.
        DataType::UInt64 => sql_primitive(&PrimitiveType::Long),
        other => schema::primitive(field)
            .map_or_else(|_| other.to_string().to_uppercase(), |primitive| sql_primitive(&primitive)),
    }
}

fn sql_primitive(of: &PrimitiveType) -> String {
    match of {
        PrimitiveType::Boolean => "BOOLEAN",
        PrimitiveType::Int => "INT",
        PrimitiveType::Long => "BIGINT",
        PrimitiveType::Float => "REAL",
        PrimitiveType::Double => "DOUBLE",
        PrimitiveType::Decimal { precision, scale } => return format!("DECIMAL({precision}, {scale})"),
        PrimitiveType::Date => "DATE",
        PrimitiveType::Time => "TIME",
        PrimitiveType::Timestamp => "TIMESTAMP",
        PrimitiveType::Timestamptz => "TIMESTAMP WITH TIME ZONE",
        PrimitiveType::TimestampNs => "TIMESTAMP(9)",
        PrimitiveType::TimestamptzNs => "TIMESTAMP(9) WITH TIME ZONE",
        PrimitiveType::String => "VARCHAR",
        PrimitiveType::Uuid => "UUID",
        PrimitiveType::Fixed(length) => return format!("BINARY({length})"),
        PrimitiveType::Binary => "VARBINARY",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use iceberg::spec::{ListType, StructType};

    #[test]
    fn types_are_spelled_as_in_sql() {
        let text = || Type::Primitive(PrimitiveType::String);
        let list = Type::List(ListType { element_field: NestedField::list_element(2, text(), false).into() });
        let row = Type::Struct(StructType::new(vec![NestedField::optional(3, "tags", list).into()]));
        assert_eq!(sql_type(&row), "ROW(tags ARRAY(VARCHAR))");
        let odd = NestedField::required(4, "a INT, b", Type::Primitive(PrimitiveType::Int));
        let row = Type::Struct(StructType::new(vec![odd.into()]));
        assert_eq!(sql_type(&row), "ROW(\"a INT, b\" INT NOT NULL)", "never taken for two members");
        assert_eq!(sql_primitive(&PrimitiveType::Decimal { precision: 12, scale: 2 }), "DECIMAL(12, 2)");
    }

    #[test]
    fn results_speak_of_types_as_tables_do() {
        let list = DataType::List(Field::new("element", DataType::Utf8View, true).into());
        for (of, name) in [
            (DataType::Int32, "INT"),
            (DataType::UInt64, "BIGINT"),
            (DataType::Decimal128(12, 2), "DECIMAL(12, 2)"),
            (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), "TIMESTAMP WITH TIME ZONE"),
            (DataType::FixedSizeBinary(16), "BINARY(16)"),
            (DataType::Struct(vec![Field::new("tags", list, true)].into()), "ROW(tags ARRAY(VARCHAR))"),
            (DataType::Null, "NULL"),
        ] {
            assert_eq!(sql_type_of(&Field::new("c", of, true)), name);
        }
        let marked = [("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())].into();
        let uuid = Field::new("u", DataType::FixedSizeBinary(16), true).with_metadata(marked);
        assert_eq!(sql_type_of(&uuid), "UUID");
    }

    #[test]
    fn transforms_are_spelled_as_in_the_older_system() {
        assert_eq!(transform(Transform::Month, "day").as_deref(), Some("day MONTH"));
        assert_eq!(transform(Transform::Bucket(16), "id").as_deref(), Some("BUCKET(16, id)"));
        assert_eq!(transform(Transform::Void, "id"), None);
    }
}
