//! Which type of MySQL becomes which type of the table. `docs/types.md` is written from here.
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use mysql_async::{
    Column,
    consts::{ColumnFlags, ColumnType},
};

/// How the values of a column are kept in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carried {
    Bool,
    Int,
    Long,
    /// 64 bits without a sign.
    Unsigned,
    Float,
    Double,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Date,
    Timestamp,
    TimestampTz,
    /// A span as text, with so many digits after the point.
    Time {
        digits: u8,
    },
    Text,
    Binary,
    /// So many bytes of bits, the highest first.
    Bits {
        bytes: u8,
    },
}

/// How a column is carried, and what that means for its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub kind: Carried,
    /// The type's name and what becomes of it.
    pub note: Option<(&'static str, &'static str)>,
}

/// The digits of 2⁶⁴.
const UNSIGNED_DIGITS: u8 = 20;
/// The most digits of an Iceberg decimal.
const MAX_DIGITS: u32 = 38;
/// The "character set" of bytes.
const BINARY: u16 = 63;

impl Carried {
    /// The Arrow type.
    pub(super) fn arrow(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int32,
            Self::Long => DataType::Int64,
            Self::Unsigned => DataType::Decimal128(UNSIGNED_DIGITS, 0),
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale as i8),
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Time { .. } | Self::Text => DataType::Utf8,
            Self::Binary | Self::Bits { .. } => DataType::Binary,
        }
    }

    /// What is selected of a column. Of an expression that it calls a bit field, the server sends the digits, but adding to
    /// it gives the number, whatever it is.
    pub(super) fn output(self, quoted: &str) -> String {
        match self {
            Self::Bool | Self::Bits { .. } => format!("q.{quoted} + 0 AS {quoted}"),
            _ => format!("q.{quoted}"),
        }
    }

    /// The Iceberg type's name.
    pub(super) fn iceberg(self) -> String {
        match self {
            Self::Bool => "boolean".into(),
            Self::Int => "int".into(),
            Self::Long => "long".into(),
            Self::Unsigned => format!("decimal({UNSIGNED_DIGITS}, 0)"),
            Self::Float => "float".into(),
            Self::Double => "double".into(),
            Self::Decimal { precision, scale } => format!("decimal({precision}, {scale})"),
            Self::Date => "date".into(),
            Self::Timestamp => "timestamp".into(),
            Self::TimestampTz => "timestamptz".into(),
            Self::Time { .. } | Self::Text => "string".into(),
            Self::Binary | Self::Bits { .. } => "binary".into(),
        }
    }
}

mod note {
    pub const SMALL: &str = "kept as a 32-bit integer";
    pub const INT: &str = "kept as a 64-bit integer";
    pub const BIGINT: &str =
        "kept as a decimal of 20 digits, since half of its values have no place in 64 bits with a sign";
    pub const WIDE: &str = "has more than 38 digits, the most that an Iceberg decimal has; kept as text";
    pub const TIME: &str = "is a span of up to 838 hours, which Iceberg has no type for; kept as text";
    pub const JSON: &str = "kept as text";
    pub const LABEL: &str = "the label is kept as text";
    pub const LABELS: &str = "the labels are kept as text, with commas between them";
    pub const BITS: &str = "kept as bytes, the highest bits first";
    pub const BIT: &str = "one bit is kept as a boolean";
    pub const GEOMETRY: &str = "kept in MySQL's own form: four bytes of the reference system, then WKB";
    pub const VECTOR: &str = "kept as bytes: 32-bit floats, the lowest byte first";
}

/// How a column is carried; `None` if it cannot be.
pub(super) fn way(column: &Column) -> Option<Way> {
    use ColumnType::*;
    let flags = column.flags();
    let unsigned = flags.contains(ColumnFlags::UNSIGNED_FLAG);
    let plain = |kind| Some(Way { kind, note: None });
    let noted = |kind, name, note| Some(Way { kind, note: Some((name, note)) });
    match column.column_type() {
        MYSQL_TYPE_TINY => noted(Carried::Int, "tinyint", note::SMALL),
        MYSQL_TYPE_SHORT => noted(Carried::Int, "smallint", note::SMALL),
        MYSQL_TYPE_INT24 => noted(Carried::Int, "mediumint", note::SMALL),
        MYSQL_TYPE_YEAR => noted(Carried::Int, "year", note::SMALL),
        MYSQL_TYPE_LONG if unsigned => noted(Carried::Long, "int unsigned", note::INT),
        MYSQL_TYPE_LONG => plain(Carried::Int),
        MYSQL_TYPE_LONGLONG if unsigned => noted(Carried::Unsigned, "bigint unsigned", note::BIGINT),
        MYSQL_TYPE_LONGLONG => plain(Carried::Long),
        MYSQL_TYPE_FLOAT => plain(Carried::Float),
        MYSQL_TYPE_DOUBLE => plain(Carried::Double),
        MYSQL_TYPE_DECIMAL | MYSQL_TYPE_NEWDECIMAL => Some(decimal(column, unsigned)),
        MYSQL_TYPE_DATE | MYSQL_TYPE_NEWDATE => plain(Carried::Date),
        MYSQL_TYPE_DATETIME | MYSQL_TYPE_DATETIME2 => plain(Carried::Timestamp),
        MYSQL_TYPE_TIMESTAMP | MYSQL_TYPE_TIMESTAMP2 => plain(Carried::TimestampTz),
        MYSQL_TYPE_TIME | MYSQL_TYPE_TIME2 => {
            noted(Carried::Time { digits: column.decimals().min(6) }, "time", note::TIME)
        }
        MYSQL_TYPE_BIT if column.column_length() == 1 => noted(Carried::Bool, "bit(1)", note::BIT),
        MYSQL_TYPE_BIT => {
            let bytes = column.column_length().div_ceil(8).clamp(1, 8) as u8;
            noted(Carried::Bits { bytes }, "bit", note::BITS)
        }
        MYSQL_TYPE_JSON => noted(Carried::Text, "json", note::JSON),
        MYSQL_TYPE_GEOMETRY => noted(Carried::Binary, "geometry", note::GEOMETRY),
        MYSQL_TYPE_VECTOR => noted(Carried::Binary, "vector", note::VECTOR),
        MYSQL_TYPE_NULL => plain(Carried::Text),
        MYSQL_TYPE_ENUM => noted(Carried::Text, "enum", note::LABEL),
        MYSQL_TYPE_SET => noted(Carried::Text, "set", note::LABELS),
        MYSQL_TYPE_VARCHAR
        | MYSQL_TYPE_VAR_STRING
        | MYSQL_TYPE_STRING
        | MYSQL_TYPE_TINY_BLOB
        | MYSQL_TYPE_MEDIUM_BLOB
        | MYSQL_TYPE_LONG_BLOB
        | MYSQL_TYPE_BLOB => match column.character_set() {
            _ if flags.contains(ColumnFlags::ENUM_FLAG) => noted(Carried::Text, "enum", note::LABEL),
            _ if flags.contains(ColumnFlags::SET_FLAG) => noted(Carried::Text, "set", note::LABELS),
            BINARY => plain(Carried::Binary),
            _ => plain(Carried::Text),
        },
        MYSQL_TYPE_TYPED_ARRAY | MYSQL_TYPE_UNKNOWN => None,
    }
}

/// The server tells how wide the number is when printed: its digits, the point if there are digits after it, and the sign
/// if it may have one.
fn decimal(column: &Column, unsigned: bool) -> Way {
    let scale = column.decimals();
    let precision = column.column_length().saturating_sub(u32::from(scale > 0) + u32::from(!unsigned));
    let precision = precision.max(u32::from(scale)).max(1);
    match u8::try_from(precision) {
        Ok(precision) if u32::from(precision) <= MAX_DIGITS => {
            Way { kind: Carried::Decimal { precision, scale }, note: None }
        }
        _ => Way { kind: Carried::Text, note: Some(("decimal", note::WIDE)) },
    }
}

/// The columns of a result, as they are kept.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub schema: SchemaRef,
    pub kinds: Arc<[Carried]>,
    /// The columns, by their places, that have a check beside them, in the order of the checks: see [`check`].
    pub checked: Arc<[usize]>,
}

/// Character sets of which every text has its place in UTF-8.
const WHOLE: [&str; 5] = ["utf8mb4", "utf8mb3", "utf8", "latin1", "binary"];

/// Whether a text of this character set comes back from UTF-8 as it was, as an expression; `None` if all do. The server puts
/// a question mark where a text has bytes that mean nothing.
pub(super) fn check(quoted: &str, charset: &str) -> Option<String> {
    let plain = charset.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (plain && !WHOLE.contains(&charset)).then(|| {
        format!(
            "CAST(q.{quoted} AS BINARY) <=> CAST(CONVERT(CONVERT(q.{quoted} USING utf8mb4) USING {charset}) AS BINARY)"
        )
    })
}

impl Layout {
    pub(super) fn new(names: &[String], kinds: &[Carried], checked: Vec<usize>) -> Self {
        // Every column may hold NULLs.
        let fields: Vec<_> = names.iter().zip(kinds).map(|(name, kind)| Field::new(name, kind.arrow(), true)).collect();
        Self { schema: Arc::new(Schema::new(fields)), kinds: kinds.into(), checked: checked.into() }
    }
}

#[cfg(test)]
mod tests;
