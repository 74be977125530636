//! What becomes of a Parquet column: the type it is read as, the type it has in the table, and what must be said of that.
//! `docs/types.md` is written from here.
//!
//! Leaves are read as their physical types and made what they mean in [`super::convert`], with every value checked; the
//! Arrow schema that some writers leave in the metadata is not looked at. Only text keeps its annotation, so that the
//! decoder checks its encoding.
use std::{collections::HashMap, sync::Arc};

use arrow_schema::{DataType, Field, TimeUnit};
use parquet::{
    basic::{ConvertedType, LogicalType, TimeUnit as Unit, Type as Physical},
    schema::types::Type,
};

/// A fraction of a second in which a file counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tick {
    Millis,
    Micros,
    Nanos,
}

/// What the values of a leaf mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// No value at all.
    Nothing,
    /// The physical type itself.
    Plain,
    /// A 32-bit integer that uses fewer bits, or no sign.
    Small {
        bits: u8,
        signed: bool,
    },
    Unsigned32,
    Unsigned64,
    Half,
    Decimal {
        precision: u8,
        scale: u8,
    },
    /// A decimal with more digits than Iceberg's.
    LongDecimal {
        precision: i32,
        scale: i32,
    },
    Date,
    Time {
        tick: Tick,
        utc: bool,
    },
    Timestamp {
        tick: Tick,
        utc: bool,
    },
    /// Julian day and nanosecond of the day.
    Int96,
    Interval,
    Text,
    Json,
    Enum,
    Bson,
    Uuid,
    Geometry,
}

/// A leaf: how it is stored and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub physical: Physical,
    /// Bytes of a value of fixed length.
    pub length: i32,
    pub meaning: Meaning,
}

/// The most digits of an Iceberg decimal, and of one that is kept as text.
const MAX_DIGITS: i32 = 38;
const MAX_LONG_DIGITS: i32 = 76;
/// The most bytes of a value of fixed length.
const MAX_FIXED: i32 = 64 << 10;

mod note {
    pub const NOTHING: &str = "has no values; kept as an empty column of text";
    pub const INT: &str = "kept as a 32-bit integer";
    pub const LONG: &str = "kept as a 64-bit integer";
    pub const DECIMAL20: &str = "kept as a decimal, which holds all unsigned 64-bit integers";
    pub const FLOAT: &str = "kept as a 32-bit float";
    pub const DIGITS: &str = "has more than 38 digits, the most that an Iceberg decimal has; kept as text";
    pub const MICROS: &str = "kept in microseconds";
    pub const NANOS: &str = "kept in microseconds; a value with a fraction of one fails the load";
    pub const TIME_UTC: &str = "kept in microseconds, without the mark that it is UTC";
    pub const INT96: &str =
        "kept in microseconds, without a zone; a value with a fraction of a microsecond fails the load";
    pub const INTERVAL: &str = "kept as ISO 8601 text";
    pub const TEXT: &str = "kept as text";
    pub const LABEL: &str = "the label is kept as text";
    pub const BYTES: &str = "kept as its bytes";
}

impl Leaf {
    /// What a leaf of a schema is; the error says why it cannot be carried.
    pub(super) fn of(leaf: &Type) -> Result<Self, String> {
        let Type::PrimitiveType { basic_info, physical_type, type_length, scale, precision } = leaf else {
            return Err("is a group without fields".into());
        };
        let converted = basic_info.converted_type();
        let meaning = match basic_info.logical_type_ref() {
            Some(logical) => logical_meaning(logical)?,
            None => converted_meaning(converted, *precision, *scale)?,
        };
        let leaf = Self { physical: *physical_type, length: *type_length, meaning };
        leaf.check()?;
        Ok(match (leaf.physical, leaf.meaning) {
            (Physical::INT96, _) => Self { meaning: Meaning::Int96, ..leaf },
            _ => leaf,
        })
    }

    /// Refuses annotations that contradict the physical type.
    fn check(&self) -> Result<(), String> {
        use Meaning as M;
        let fixed = self.physical == Physical::FIXED_LEN_BYTE_ARRAY;
        let bytes = fixed || self.physical == Physical::BYTE_ARRAY;
        let fits = match self.meaning {
            M::Nothing => true,
            M::Plain => true,
            M::Small { .. } | M::Unsigned32 | M::Date => self.physical == Physical::INT32,
            M::Time { tick: Tick::Millis, .. } => self.physical == Physical::INT32,
            M::Unsigned64 | M::Time { .. } | M::Timestamp { .. } => self.physical == Physical::INT64,
            M::Half => fixed && self.length == 2,
            M::Decimal { .. } => bytes || matches!(self.physical, Physical::INT32 | Physical::INT64),
            M::LongDecimal { .. } => bytes,
            M::Int96 => self.physical == Physical::INT96,
            M::Interval => fixed && self.length == 12,
            M::Text | M::Json | M::Enum | M::Bson | M::Geometry => self.physical == Physical::BYTE_ARRAY,
            M::Uuid => fixed && self.length == 16,
        };
        if !fits {
            return Err(format!("is {}, which cannot be stored as {}", self.source(), self.physical));
        }
        if fixed && !(1..=MAX_FIXED).contains(&self.length) {
            return Err(format!("has values of {} bytes each; from 1 to {MAX_FIXED} are supported", self.length));
        }
        Ok(())
    }

    /// The Arrow type that the decoder is asked for.
    pub(super) fn read_as(&self) -> DataType {
        match (self.physical, self.meaning) {
            (_, Meaning::Nothing) => DataType::Null,
            (Physical::BOOLEAN, _) => DataType::Boolean,
            (Physical::INT32, _) => DataType::Int32,
            (Physical::INT64, _) => DataType::Int64,
            (Physical::INT96, _) => DataType::FixedSizeBinary(12),
            (Physical::FLOAT, _) => DataType::Float32,
            (Physical::DOUBLE, _) => DataType::Float64,
            (Physical::BYTE_ARRAY, Meaning::Text | Meaning::Json | Meaning::Enum) => DataType::Utf8View,
            (Physical::BYTE_ARRAY, _) => DataType::BinaryView,
            (Physical::FIXED_LEN_BYTE_ARRAY, _) => DataType::FixedSizeBinary(self.length),
        }
    }

    /// The leaf as the decoder is told it: without the meaning.
    pub(super) fn stripped(&self, leaf: &Type) -> parquet::errors::Result<Type> {
        let (physical, length) = match self.physical {
            Physical::INT96 => (Physical::FIXED_LEN_BYTE_ARRAY, 12),
            physical => (physical, self.length),
        };
        let logical = match self.meaning {
            Meaning::Text | Meaning::Json | Meaning::Enum => Some(LogicalType::String),
            Meaning::Nothing => Some(LogicalType::Unknown),
            _ => None,
        };
        Type::primitive_type_builder(leaf.name(), physical)
            .with_repetition(leaf.get_basic_info().repetition())
            .with_length(length)
            .with_logical_type(logical)
            .build()
    }

    /// The Arrow type in the table.
    pub(super) fn becomes(&self) -> DataType {
        use Meaning as M;
        match self.meaning {
            M::Plain | M::Bson | M::Geometry | M::Text | M::Json | M::Enum | M::Nothing | M::Uuid => self.read_as(),
            M::Small { .. } => DataType::Int32,
            M::Unsigned32 => DataType::Int64,
            M::Unsigned64 => DataType::Decimal128(20, 0),
            M::Half => DataType::Float32,
            M::Decimal { precision, scale } => DataType::Decimal128(precision, scale as i8),
            M::LongDecimal { .. } | M::Interval => DataType::Utf8,
            M::Date => DataType::Date32,
            M::Time { .. } => DataType::Time64(TimeUnit::Microsecond),
            M::Timestamp { utc, .. } => DataType::Timestamp(TimeUnit::Microsecond, utc.then(|| "UTC".into())),
            M::Int96 => DataType::Timestamp(TimeUnit::Microsecond, None),
        }
    }

    /// The field in the table; every column may hold NULLs.
    pub(super) fn field(&self, name: &str) -> Field {
        let field = Field::new(name, self.becomes(), true);
        match self.meaning {
            Meaning::Uuid => {
                field.with_metadata(HashMap::from([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())]))
            }
            _ => field,
        }
    }

    /// What the result must say of the column.
    pub(super) fn note(&self) -> Option<&'static str> {
        use Meaning as M;
        Some(match self.meaning {
            M::Plain | M::Decimal { .. } | M::Date | M::Text | M::Uuid => return None,
            M::Small { bits: 32, signed: true } => return None,
            M::Timestamp { tick: Tick::Micros, .. } | M::Time { tick: Tick::Micros, utc: false } => return None,
            M::Nothing => note::NOTHING,
            M::Small { .. } => note::INT,
            M::Unsigned32 => note::LONG,
            M::Unsigned64 => note::DECIMAL20,
            M::Half => note::FLOAT,
            M::LongDecimal { .. } => note::DIGITS,
            M::Time { tick: Tick::Nanos, .. } | M::Timestamp { tick: Tick::Nanos, .. } => note::NANOS,
            M::Time { utc: true, .. } => note::TIME_UTC,
            M::Time { .. } | M::Timestamp { .. } => note::MICROS,
            M::Int96 => note::INT96,
            M::Interval => note::INTERVAL,
            M::Json => note::TEXT,
            M::Enum => note::LABEL,
            M::Bson | M::Geometry => note::BYTES,
        })
    }

    /// The type's name in the file.
    pub(super) fn source(&self) -> String {
        use Meaning as M;
        let utc = |utc| if utc { ", UTC" } else { "" };
        match self.meaning {
            M::Plain if self.physical == Physical::FIXED_LEN_BYTE_ARRAY => {
                format!("fixed_len_byte_array({})", self.length)
            }
            M::Plain => self.physical.to_string().to_ascii_lowercase(),
            M::Nothing => "null".into(),
            M::Small { bits, signed: true } => format!("int{bits}"),
            M::Small { bits, signed: false } => format!("uint{bits}"),
            M::Unsigned32 => "uint32".into(),
            M::Unsigned64 => "uint64".into(),
            M::Half => "float16".into(),
            M::Decimal { precision, scale } => format!("decimal({precision}, {scale})"),
            M::LongDecimal { precision, scale } => format!("decimal({precision}, {scale})"),
            M::Date => "date".into(),
            M::Time { tick, utc: is } => format!("time({}{})", tick.name(), utc(is)),
            M::Timestamp { tick, utc: is } => format!("timestamp({}{})", tick.name(), utc(is)),
            M::Int96 => "int96".into(),
            M::Interval => "interval".into(),
            M::Text => "string".into(),
            M::Json => "json".into(),
            M::Enum => "enum".into(),
            M::Bson => "bson".into(),
            M::Uuid => "uuid".into(),
            M::Geometry => "geometry".into(),
        }
    }
}

impl Tick {
    const fn of(unit: Unit) -> Self {
        match unit {
            Unit::MILLIS => Self::Millis,
            Unit::MICROS => Self::Micros,
            Unit::NANOS => Self::Nanos,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Millis => "ms",
            Self::Micros => "us",
            Self::Nanos => "ns",
        }
    }
}

fn logical_meaning(logical: &LogicalType) -> Result<Meaning, String> {
    use Meaning as M;
    Ok(match logical {
        LogicalType::String => M::Text,
        LogicalType::Json => M::Json,
        LogicalType::Bson => M::Bson,
        LogicalType::Enum => M::Enum,
        LogicalType::Uuid => M::Uuid,
        LogicalType::Float16 => M::Half,
        LogicalType::Date => M::Date,
        LogicalType::Unknown => M::Nothing,
        LogicalType::Geometry { .. } | LogicalType::Geography { .. } => M::Geometry,
        LogicalType::Decimal { scale, precision } => decimal(*precision, *scale)?,
        LogicalType::Time { is_adjusted_to_u_t_c: utc, unit } => M::Time { tick: Tick::of(*unit), utc: *utc },
        LogicalType::Timestamp { is_adjusted_to_u_t_c: utc, unit } => M::Timestamp { tick: Tick::of(*unit), utc: *utc },
        LogicalType::Integer { bit_width, is_signed } => integer(*bit_width, *is_signed)?,
        other => return Err(format!("has the type {other:?}, which is not supported")),
    })
}

fn converted_meaning(converted: ConvertedType, precision: i32, scale: i32) -> Result<Meaning, String> {
    use Meaning as M;
    Ok(match converted {
        ConvertedType::NONE => M::Plain,
        ConvertedType::UTF8 => M::Text,
        ConvertedType::JSON => M::Json,
        ConvertedType::BSON => M::Bson,
        ConvertedType::ENUM => M::Enum,
        ConvertedType::DATE => M::Date,
        ConvertedType::INTERVAL => M::Interval,
        ConvertedType::DECIMAL => decimal(precision, scale)?,
        ConvertedType::TIME_MILLIS => M::Time { tick: Tick::Millis, utc: true },
        ConvertedType::TIME_MICROS => M::Time { tick: Tick::Micros, utc: true },
        ConvertedType::TIMESTAMP_MILLIS => M::Timestamp { tick: Tick::Millis, utc: true },
        ConvertedType::TIMESTAMP_MICROS => M::Timestamp { tick: Tick::Micros, utc: true },
        ConvertedType::INT_8 => integer(8, true)?,
        ConvertedType::INT_16 => integer(16, true)?,
        ConvertedType::INT_32 => integer(32, true)?,
        ConvertedType::INT_64 => integer(64, true)?,
        ConvertedType::UINT_8 => integer(8, false)?,
        ConvertedType::UINT_16 => integer(16, false)?,
        ConvertedType::UINT_32 => integer(32, false)?,
        ConvertedType::UINT_64 => integer(64, false)?,
        other => return Err(format!("has the type {other}, which is not supported")),
    })
}

fn integer(bits: i8, signed: bool) -> Result<Meaning, String> {
    Ok(match (bits, signed) {
        (8 | 16 | 32, true) | (8 | 16, false) => Meaning::Small { bits: bits.unsigned_abs(), signed },
        (32, false) => Meaning::Unsigned32,
        (64, true) => Meaning::Plain,
        (64, false) => Meaning::Unsigned64,
        _ => return Err(format!("has integers of {bits} bits, which are not supported")),
    })
}

fn decimal(precision: i32, scale: i32) -> Result<Meaning, String> {
    if precision < 1 || scale < 0 || scale > precision {
        return Err(format!("is a decimal with {precision} digits of which {scale} are after the point"));
    }
    if precision > MAX_LONG_DIGITS {
        return Err(format!("is a decimal with {precision} digits; at most {MAX_LONG_DIGITS} are supported"));
    }
    Ok(match precision > MAX_DIGITS {
        true => Meaning::LongDecimal { precision, scale },
        false => Meaning::Decimal { precision: precision as u8, scale: scale as u8 },
    })
}

/// The name of a table's type, as Iceberg spells it.
#[must_use]
pub fn type_name(field: &Field) -> String {
    let inner = |field: &Arc<Field>| type_name(field);
    match field.data_type() {
        DataType::Boolean => "boolean".into(),
        DataType::Int32 => "int".into(),
        DataType::Int64 => "long".into(),
        DataType::Float32 => "float".into(),
        DataType::Float64 => "double".into(),
        DataType::Date32 => "date".into(),
        DataType::Time64(_) => "time".into(),
        DataType::Timestamp(_, None) => "timestamp".into(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".into(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision}, {scale})"),
        DataType::BinaryView | DataType::Binary => "binary".into(),
        DataType::FixedSizeBinary(_) if field.metadata().contains_key("ARROW:extension:name") => "uuid".into(),
        DataType::FixedSizeBinary(length) => format!("fixed({length})"),
        DataType::List(item) => format!("list<{}>", inner(item)),
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|f| format!("{}: {}", f.name(), inner(f))).collect();
            format!("struct<{}>", fields.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => format!("map<{}, {}>", inner(&pair[0]), inner(&pair[1])),
            _ => "map".into(),
        },
        _ => "string".into(),
    }
}
