//! Which type of PostgreSQL becomes which type of the table. `docs/types.md` is written from here.
use std::{collections::HashMap, sync::Arc};

use arrow_schema::{DataType, Field, FieldRef, TimeUnit};
use tokio_postgres::types::{Kind, Type};

/// How the values of a column are sent by the server and kept in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Carried {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Decimal {
        precision: u8,
        scale: u8,
    },
    /// 64-bit integers of the smallest unit; `scale` follows from the server's `lc_monetary`.
    Money {
        scale: u8,
    },
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Uuid,
    Text,
    Jsonb,
    Bytea,
    List(Box<Carried>),
}

/// What the server does to a column before it sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    Text,
    TextArray,
    /// A cast of `inet` to text would add a netmask; its output function does not.
    Inet,
}

/// How a column is carried: the type, the cast that makes it so, and what that means for its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub kind: Carried,
    pub cast: Option<Cast>,
    pub note: Option<&'static str>,
}

impl Carried {
    /// The Arrow type.
    pub(super) fn arrow(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int2 | Self::Int4 => DataType::Int32,
            Self::Int8 | Self::Oid => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale as i8),
            Self::Money { scale } => DataType::Decimal128(MONEY_DIGITS, *scale as i8),
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::Text | Self::Jsonb => DataType::Utf8,
            Self::Bytea => DataType::Binary,
            Self::List(item) => DataType::List(list_field(item)),
        }
    }

    /// The bytes that a value takes up at least, in a NULL's place too.
    pub(super) const fn width(&self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Int2 | Self::Int4 | Self::Float4 | Self::Date => 4,
            // The place where it ends; what it holds comes on top.
            Self::Text | Self::Jsonb | Self::Bytea | Self::List(_) => 4,
            Self::Int8 | Self::Oid | Self::Float8 | Self::Time | Self::Timestamp | Self::TimestampTz => 8,
            Self::Decimal { .. } | Self::Money { .. } | Self::Uuid => 16,
        }
    }

    /// The Arrow field of a column; every column may hold NULLs.
    pub(super) fn field(&self, name: &str) -> Field {
        let field = Field::new(name, self.arrow(), true);
        match self {
            Self::Uuid => {
                field.with_metadata(HashMap::from([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())]))
            }
            _ => field,
        }
    }

    /// The Iceberg type's name.
    pub(super) fn iceberg(&self) -> String {
        match self {
            Self::Bool => "boolean".into(),
            Self::Int2 | Self::Int4 => "int".into(),
            Self::Int8 | Self::Oid => "long".into(),
            Self::Float4 => "float".into(),
            Self::Float8 => "double".into(),
            Self::Decimal { precision, scale } => format!("decimal({precision}, {scale})"),
            Self::Money { scale } => format!("decimal({MONEY_DIGITS}, {scale})"),
            Self::Date => "date".into(),
            Self::Time => "time".into(),
            Self::Timestamp => "timestamp".into(),
            Self::TimestampTz => "timestamptz".into(),
            Self::Uuid => "uuid".into(),
            Self::Text | Self::Jsonb => "string".into(),
            Self::Bytea => "binary".into(),
            Self::List(item) => format!("list<{}>", item.iceberg()),
        }
    }
}

/// The digits of a 64-bit integer.
pub(super) const MONEY_DIGITS: u8 = 19;
/// The most digits of an Iceberg decimal.
const MAX_DIGITS: i32 = 38;

/// The field of a list's elements, named as Iceberg does.
pub(super) fn list_field(item: &Carried) -> FieldRef {
    Arc::new(item.field("element"))
}

mod note {
    pub const NUMERIC: &str = "has no fixed precision, so the exact digits are kept as text; cast it in the query, for \
                               example to numeric(38, 9), to get a decimal";
    pub const NUMERIC_WIDE: &str = "has more than 38 digits, the most that an Iceberg decimal has; kept as text";
    pub const NUMERIC_SCALE: &str = "the precision is widened so that every value fits a scale from 0 to the precision";
    pub const INTERVAL: &str = "kept as ISO 8601 text";
    pub const TIMETZ: &str = "Iceberg has no time with a zone; kept as text";
    pub const MONEY: &str = "the currency is not kept";
    pub const JSON: &str = "kept as text";
    pub const ENUM: &str = "the label is kept as text";
    pub const BITS: &str = "kept as text of 0 and 1";
    pub const TEXT: &str = "kept as the text that PostgreSQL prints";
    pub const LIST: &str = "the elements are kept as the text that PostgreSQL prints";
    pub const OID: &str = "kept as a 64-bit integer";
    pub const SMALLINT: &str = "kept as a 32-bit integer";
}

/// How a column of a type is carried; `None` if it cannot be. `modifier` is the type's (a numeric's precision and scale),
/// −1 for none; `money` is the number of digits after the point in the server's currency.
pub(super) fn way(ty: &Type, modifier: i32, money: u8) -> Option<Way> {
    let plain = |kind| Some(Way { kind, cast: None, note: None });
    let noted = |kind, note| Some(Way { kind, cast: None, note: Some(note) });
    let text = |note| Some(Way { kind: Carried::Text, cast: Some(Cast::Text), note: Some(note) });
    match *ty {
        Type::BOOL => return plain(Carried::Bool),
        Type::INT2 => return noted(Carried::Int2, note::SMALLINT),
        Type::INT4 => return plain(Carried::Int4),
        Type::INT8 => return plain(Carried::Int8),
        Type::OID => return noted(Carried::Oid, note::OID),
        Type::FLOAT4 => return plain(Carried::Float4),
        Type::FLOAT8 => return plain(Carried::Float8),
        Type::NUMERIC => return Some(numeric(modifier)),
        Type::MONEY => return noted(Carried::Money { scale: money }, note::MONEY),
        Type::DATE => return plain(Carried::Date),
        Type::TIME => return plain(Carried::Time),
        Type::TIMESTAMP => return plain(Carried::Timestamp),
        Type::TIMESTAMPTZ => return plain(Carried::TimestampTz),
        Type::UUID => return plain(Carried::Uuid),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::XML => {
            return plain(Carried::Text);
        }
        Type::JSON => return noted(Carried::Text, note::JSON),
        Type::JSONB => return noted(Carried::Jsonb, note::JSON),
        Type::BYTEA => return plain(Carried::Bytea),
        Type::INTERVAL => return text(note::INTERVAL),
        Type::TIMETZ => return text(note::TIMETZ),
        Type::BIT | Type::VARBIT => return text(note::BITS),
        Type::INET => return Some(Way { kind: Carried::Text, cast: Some(Cast::Inet), note: Some(note::TEXT) }),
        Type::RECORD | Type::RECORD_ARRAY => return text(note::TEXT),
        // Sent as a raw byte, which need not be a character.
        Type::CHAR => return Some(Way { kind: Carried::Text, cast: Some(Cast::Text), note: None }),
        // These begin at 0, so they are no lists.
        Type::INT2_VECTOR | Type::OID_VECTOR => return text(note::TEXT),
        _ => {}
    }
    match ty.kind() {
        Kind::Enum(_) => noted(Carried::Text, note::ENUM),
        Kind::Domain(base) => way(base, modifier, money),
        Kind::Array(item) => array(item, modifier, money),
        Kind::Pseudo => None,
        Kind::Simple if ty.name() == "citext" => plain(Carried::Text),
        _ => text(note::TEXT),
    }
}

fn array(item: &Type, modifier: i32, money: u8) -> Option<Way> {
    let item = way(item, modifier, money)?;
    Some(match (item.cast, item.kind) {
        (None, Carried::List(_)) => Way { kind: Carried::Text, cast: Some(Cast::Text), note: Some(note::TEXT) },
        (None, kind) => Way { kind: Carried::List(Box::new(kind)), cast: None, note: item.note },
        (Some(_), _) => {
            let kind = Carried::List(Box::new(Carried::Text));
            Way { kind, cast: Some(Cast::TextArray), note: Some(note::LIST) }
        }
    })
}

/// A numeric's modifier holds the precision in the upper 16 bits and the scale in 11 signed bits, both shifted by 4.
fn numeric(modifier: i32) -> Way {
    let text = |note| Way { kind: Carried::Text, cast: Some(Cast::Text), note: Some(note) };
    if modifier < 4 {
        return text(note::NUMERIC);
    }
    let packed = modifier - 4;
    let (precision, scale) = (packed >> 16, ((packed & 0x7ff) ^ 1024) - 1024);
    if precision == 0 {
        return text(note::NUMERIC);
    }
    let widened = if scale < 0 { precision - scale } else { precision.max(scale) };
    if widened > MAX_DIGITS {
        return text(note::NUMERIC_WIDE);
    }
    let kind = Carried::Decimal { precision: widened as u8, scale: scale.max(0) as u8 };
    Way { kind, cast: None, note: (widened != precision).then_some(note::NUMERIC_SCALE) }
}

#[cfg(test)]
mod tests;
