//! Arrow types to Iceberg types: what a column becomes, and when two fit each other.
use std::sync::Arc;

use arrow_schema::{DataType, Field, TimeUnit};
use iceberg::spec::{ListType, MapType, NestedField, PrimitiveType, StructType, Type};

/// The field metadata that says what a fixed-size binary means, and its value for UUIDs.
const EXTENSION: (&str, &str) = ("ARROW:extension:name", "arrow.uuid");

/// Hands out field ids, each once.
pub(super) struct Ids(pub(super) i32);

impl Ids {
    pub(super) const fn next(&mut self) -> i32 {
        self.0 += 1;
        self.0
    }
}

/// A new optional column for an Arrow field; the error is the reason why Iceberg cannot hold it.
pub(super) fn column(field: &Field, ids: &mut Ids) -> Result<NestedField, String> {
    let id = ids.next();
    let column = NestedField::optional(id, field.name(), iceberg_type(field, ids)?);
    Ok(match field.metadata().get("doc") {
        Some(doc) => column.with_doc(doc),
        None => column,
    })
}

fn iceberg_type(field: &Field, ids: &mut Ids) -> Result<Type, String> {
    Ok(match field.data_type() {
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            let id = ids.next();
            Type::List(ListType::new(NestedField::list_element(id, iceberg_type(element, ids)?, false).into()))
        }
        DataType::Struct(fields) => {
            let children: Result<Vec<_>, _> = fields.iter().map(|field| column(field, ids).map(Arc::new)).collect();
            Type::Struct(StructType::new(children?))
        }
        DataType::Map(entries, _) => map_type(entries, ids)?,
        DataType::Dictionary(_, value) => iceberg_type(&Field::new(field.name(), value.as_ref().clone(), true), ids)?,
        _ => Type::Primitive(primitive(field)?),
    })
}

fn map_type(entries: &Field, ids: &mut Ids) -> Result<Type, String> {
    let DataType::Struct(pair) = entries.data_type() else { return Err("a map without entries".into()) };
    let [key, value] = pair.as_ref() else { return Err("a map whose entries are not pairs".into()) };
    let (key_id, value_id) = (ids.next(), ids.next());
    let key = NestedField::map_key_element(key_id, iceberg_type(key, ids)?);
    let value = NestedField::map_value_element(value_id, iceberg_type(value, ids)?, false);
    Ok(Type::Map(MapType::new(key.into(), value.into())))
}

/// The primitive type of a column for an Arrow field; the error is the reason why there is none.
pub(crate) fn primitive(field: &Field) -> Result<PrimitiveType, String> {
    use DataType as D;
    Ok(match field.data_type() {
        D::Boolean => PrimitiveType::Boolean,
        D::Int8 | D::Int16 | D::Int32 | D::UInt8 | D::UInt16 => PrimitiveType::Int,
        D::Int64 | D::UInt32 => PrimitiveType::Long,
        D::UInt64 => PrimitiveType::Decimal { precision: 20, scale: 0 },
        D::Float16 | D::Float32 => PrimitiveType::Float,
        D::Float64 => PrimitiveType::Double,
        D::Utf8 | D::LargeUtf8 | D::Utf8View => PrimitiveType::String,
        D::Binary | D::LargeBinary | D::BinaryView => PrimitiveType::Binary,
        D::FixedSizeBinary(_) if is_uuid(field) => PrimitiveType::Uuid,
        D::FixedSizeBinary(n) if *n > 0 => PrimitiveType::Fixed(u64::from(n.unsigned_abs())),
        D::Date32 | D::Date64 => PrimitiveType::Date,
        D::Time32(_) | D::Time64(TimeUnit::Microsecond) => PrimitiveType::Time,
        D::Timestamp(TimeUnit::Nanosecond, _) | D::Time64(_) => {
            return Err("nanoseconds do not fit a format-version-2 table, which keeps microseconds".into());
        }
        D::Timestamp(_, None) => PrimitiveType::Timestamp,
        D::Timestamp(_, Some(_)) => PrimitiveType::Timestamptz,
        D::Decimal32(p, s) | D::Decimal64(p, s) | D::Decimal128(p, s) | D::Decimal256(p, s) => decimal(*p, *s)?,
        other => return Err(format!("Iceberg has no type for `{other}`")),
    })
}

fn decimal(precision: u8, scale: i8) -> Result<PrimitiveType, String> {
    match u32::try_from(scale) {
        Ok(scale) if precision <= 38 => Ok(PrimitiveType::Decimal { precision: u32::from(precision), scale }),
        Ok(_) => Err(format!("decimal({precision},{scale}) has more than 38 digits")),
        Err(_) => Err(format!("decimal({precision},{scale}) has a negative scale")),
    }
}

/// Whether a column's 16 bytes are UUIDs: its metadata tells.
#[must_use]
pub fn is_uuid(field: &Field) -> bool {
    let marked = || field.metadata().get(EXTENSION.0).is_some_and(|name| name == EXTENSION.1);
    *field.data_type() == DataType::FixedSizeBinary(16) && marked()
}

/// How a table's column type and that of the rows fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// They are the same.
    Same,
    /// The table's is wider: the rows are cast up without loss.
    Narrower,
    /// The rows' is wider, and the table's may be promoted to it.
    Wider,
    /// Neither.
    No,
}

/// Compares a table's primitive type with the rows'.
pub(super) fn fit(table: &PrimitiveType, rows: &PrimitiveType) -> Fit {
    use PrimitiveType as P;
    match (table, rows) {
        _ if table == rows => Fit::Same,
        // A UUID is 16 bytes whether the source says so or not.
        (P::Uuid, P::Fixed(16)) => Fit::Same,
        (P::Long, P::Int) | (P::Double, P::Float) => Fit::Narrower,
        (P::Int, P::Long) | (P::Float, P::Double) => Fit::Wider,
        (P::Decimal { precision, scale }, P::Decimal { precision: p, scale: s }) => {
            if scale >= s && precision - scale >= p - s {
                Fit::Narrower
            } else if scale == s && p > precision {
                Fit::Wider
            } else {
                Fit::No
            }
        }
        (P::Decimal { precision, scale }, P::Int) if precision - scale >= 10 => Fit::Narrower,
        (P::Decimal { precision, scale }, P::Long) if precision - scale >= 19 => Fit::Narrower,
        _ => Fit::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_fit_when_no_digit_is_lost() {
        let decimal = |precision, scale| PrimitiveType::Decimal { precision, scale };
        assert_eq!(fit(&decimal(12, 4), &decimal(10, 2)), Fit::Narrower);
        assert_eq!(fit(&decimal(12, 4), &decimal(12, 2)), Fit::No);
        assert_eq!(fit(&decimal(10, 2), &decimal(12, 2)), Fit::Wider);
        assert_eq!(fit(&decimal(10, 2), &decimal(12, 3)), Fit::No);
        assert_eq!(fit(&decimal(19, 0), &PrimitiveType::Long), Fit::Narrower);
        assert_eq!(fit(&decimal(18, 0), &PrimitiveType::Long), Fit::No);
    }

    #[test]
    fn columns_that_iceberg_cannot_hold_say_why() {
        let reason = |data_type| column(&Field::new("c", data_type, true), &mut Ids(0)).expect_err("refused");
        assert!(reason(DataType::Timestamp(TimeUnit::Nanosecond, None)).contains("nanoseconds"));
        assert!(reason(DataType::Decimal256(60, 2)).contains("38 digits"));
        assert!(reason(DataType::Null).contains("no type"));
    }

    #[test]
    fn a_fixed_binary_is_a_uuid_when_its_metadata_says_so() {
        let field = Field::new("u", DataType::FixedSizeBinary(16), true);
        let plain = column(&field, &mut Ids(0)).expect("fixed");
        assert_eq!(*plain.field_type, Type::Primitive(PrimitiveType::Fixed(16)));
        let marked = field.with_metadata([(EXTENSION.0.to_owned(), EXTENSION.1.to_owned())].into());
        let uuid = column(&marked, &mut Ids(0)).expect("uuid");
        assert_eq!(*uuid.field_type, Type::Primitive(PrimitiveType::Uuid));
    }
}
