//! Value classes: what a column's values are, whatever width or layout carries them.
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use sha2::{Digest, Sha256};

use crate::{Error, Kind, Result, is_uuid};

/// The tag byte of a null.
pub const NULL: u8 = 0x00;

/// The class of a column or nested value, equal under every promotion of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    Boolean,
    Integer,
    Float,
    Decimal,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    String,
    Binary,
    Uuid,
    List(Box<Self>),
    /// Fields in name order, each with its place in the Arrow type.
    Struct(Vec<Member>),
    Map(Box<Self>, Box<Self>),
}

/// A named part of a struct or of the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub index: usize,
    pub class: Class,
}

impl Class {
    /// The tag byte before a value of this class.
    pub const fn tag(&self) -> u8 {
        match self {
            Self::Boolean => 0x01,
            Self::Integer => 0x02,
            Self::Float => 0x03,
            Self::Decimal => 0x04,
            Self::Date => 0x05,
            Self::Time => 0x06,
            Self::Timestamp => 0x07,
            Self::TimestampTz => 0x08,
            Self::String => 0x09,
            Self::Binary => 0x0a,
            Self::Uuid => 0x0b,
            Self::List(_) => 0x0c,
            Self::Struct(_) => 0x0d,
            Self::Map(..) => 0x0e,
        }
    }

    /// The class of an Arrow field's values.
    ///
    /// # Errors
    /// [`Kind::UnsupportedFeature`] for a type without a canonical form.
    pub fn of(field: &Field) -> Result<Self> {
        if is_uuid(field) {
            return Ok(Self::Uuid);
        }
        Ok(match field.data_type() {
            DataType::Boolean => Self::Boolean,
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Self::Integer,
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Self::Integer,
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Self::Float,
            // Its values beyond 2^63 fit no Iceberg integer: decimal(20, 0) is their type in a table.
            DataType::UInt64 => Self::Decimal,
            DataType::Decimal32(_, 0..) | DataType::Decimal64(_, 0..) | DataType::Decimal128(_, 0..) => Self::Decimal,
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Timestamp(_, None) => Self::Timestamp,
            DataType::Timestamp(_, Some(_)) => Self::TimestampTz,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::String,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Binary
            }
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                Self::List(Box::new(Self::of(item)?))
            }
            DataType::Struct(fields) => Self::Struct(members(fields)?),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(pair) if pair.len() == 2 => {
                    Self::Map(Box::new(Self::of(&pair[0])?), Box::new(Self::of(&pair[1])?))
                }
                _ => return Err(unsupported(field)),
            },
            DataType::Dictionary(_, values) => Self::of(&field.clone().with_data_type((**values).clone()))?,
            _ => return Err(unsupported(field)),
        })
    }

    /// Whether both are the same, wherever the members of structs stand.
    pub fn same(&self, other: &Self) -> bool {
        let told = |class: &Self| {
            let mut hash = Sha256::new();
            class.describe(&mut hash);
            hash.finalize()
        };
        told(self) == told(other)
    }

    fn describe(&self, into: &mut Sha256) {
        into.update([self.tag()]);
        match self {
            Self::List(item) => item.describe(into),
            Self::Struct(members) => describe(members, into),
            Self::Map(key, value) => {
                key.describe(into);
                value.describe(into);
            }
            _ => {}
        }
    }
}

/// The fields of a struct, or the columns of a table, in name order.
///
/// # Errors
/// [`Kind::UnsupportedFeature`] for a type without a canonical form, [`Kind::SchemaMismatch`] for a name used twice.
pub fn members(fields: &Fields) -> Result<Vec<Member>> {
    let mut members = fields
        .iter()
        .enumerate()
        .map(|(index, field)| Ok(Member { name: field.name().clone(), index, class: Class::of(field)? }))
        .collect::<Result<Vec<_>>>()?;
    members.sort_by(|a, b| a.name.cmp(&b.name));
    match members.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(Error::new(
            Kind::SchemaMismatch,
            format!("two columns are named `{}`: a fingerprint needs each name once", pair[0].name),
        )),
        None => Ok(members),
    }
}

/// The columns hash: SHA-256 of the count, then each column's name and class.
pub fn columns_hash(columns: &[Member]) -> [u8; 32] {
    let mut hash = Sha256::new();
    describe(columns, &mut hash);
    hash.finalize().into()
}

fn describe(members: &[Member], into: &mut Sha256) {
    into.update(length(members.len()));
    for member in members {
        into.update(length(member.name.len()));
        into.update(&member.name);
        member.class.describe(into);
    }
}

/// A length or count as written; what is hashed was checked to be shorter than 4 GiB.
pub fn length(n: usize) -> [u8; 4] {
    (n as u32).to_le_bytes()
}

fn unsupported(field: &Field) -> Error {
    Error::new(
        Kind::UnsupportedFeature,
        format!("column `{}` of type {} has no fingerprint", field.name(), field.data_type()),
    )
}

/// How many microseconds a tick of the unit has; `None` for nanoseconds, of which a thousand make one.
pub const fn micros_per_tick(unit: TimeUnit) -> Option<i64> {
    match unit {
        TimeUnit::Second => Some(1_000_000),
        TimeUnit::Millisecond => Some(1_000),
        TimeUnit::Microsecond => Some(1),
        TimeUnit::Nanosecond => None,
    }
}
