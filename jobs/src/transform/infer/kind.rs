//! The types that a column of texts can have.
use std::{collections::HashMap, fmt, str::FromStr};

use arrow_schema::{DataType, Field, TimeUnit};

/// The most digits of a decimal.
pub(super) const MAX_DIGITS: u8 = 38;

/// The type of a column, under Iceberg's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `boolean`
    Boolean,
    /// `int`: 32 bits.
    Int,
    /// `long`: 64 bits.
    Long,
    /// `decimal(precision, scale)`
    Decimal {
        /// All digits, at most 38.
        precision: u8,
        /// Those after the point.
        scale: u8,
    },
    /// `float`: 32 bits.
    Float,
    /// `double`: 64 bits.
    Double,
    /// `date`
    Date,
    /// `time`, in microseconds.
    Time,
    /// `timestamp`, in microseconds, without a zone.
    Timestamp,
    /// `timestamptz`, in microseconds: a moment.
    TimestampTz,
    /// `uuid`
    Uuid,
    /// `string`
    String,
}

impl Kind {
    /// The spellings that [`Kind::from_str`] takes, for messages.
    pub const NAMES: &str =
        "boolean, int, long, decimal(p, s), float, double, date, time, timestamp, timestamptz, uuid or string";

    /// The Arrow type.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int => DataType::Int32,
            Self::Long => DataType::Int64,
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale as i8),
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::String => DataType::Utf8,
        }
    }

    /// The kind that [`Kind::arrow`] makes this type of.
    #[must_use]
    pub fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Int32 => Self::Int,
            DataType::Int64 => Self::Long,
            DataType::Decimal128(precision, scale) => {
                Self::Decimal { precision: *precision, scale: u8::try_from(*scale).ok()? }
            }
            DataType::Float32 => Self::Float,
            DataType::Float64 => Self::Double,
            DataType::Date32 => Self::Date,
            DataType::Time64(TimeUnit::Microsecond) => Self::Time,
            DataType::Timestamp(TimeUnit::Microsecond, None) => Self::Timestamp,
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => Self::TimestampTz,
            DataType::FixedSizeBinary(16) => Self::Uuid,
            DataType::Utf8 => Self::String,
            _ => return None,
        })
    }

    /// The Arrow field of a column; every column may hold NULLs.
    #[must_use]
    pub fn field(self, name: &str) -> Field {
        let field = Field::new(name, self.arrow(), true);
        match self {
            Self::Uuid => {
                field.with_metadata(HashMap::from([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())]))
            }
            _ => field,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Decimal { precision, scale } => return write!(f, "decimal({precision}, {scale})"),
            Self::Float => "float",
            Self::Double => "double",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamptz",
            Self::Uuid => "uuid",
            Self::String => "string",
        };
        f.write_str(name)
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.trim().to_ascii_lowercase();
        let decimal = || {
            let digits = text.strip_prefix("decimal")?.trim().strip_prefix('(')?.strip_suffix(')')?;
            let (precision, scale) = digits.split_once(',')?;
            let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
            ((1..=MAX_DIGITS).contains(&precision) && scale <= precision).then_some(Self::Decimal { precision, scale })
        };
        Ok(match text.as_str() {
            "boolean" => Self::Boolean,
            "int" | "integer" => Self::Int,
            "long" | "bigint" => Self::Long,
            "float" | "real" => Self::Float,
            "double" => Self::Double,
            "date" => Self::Date,
            "time" => Self::Time,
            "timestamp" => Self::Timestamp,
            "timestamptz" | "timestamp with time zone" => Self::TimestampTz,
            "uuid" => Self::Uuid,
            "string" | "varchar" => Self::String,
            _ => return decimal().ok_or(()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let decimal = Kind::Decimal { precision: 38, scale: 10 };
        for kind in [Kind::Boolean, Kind::Long, decimal, Kind::TimestampTz, Kind::Uuid, Kind::String] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
            assert_eq!(Kind::of(&kind.arrow()), Some(kind));
        }
        assert_eq!(" Decimal (38,10) ".parse(), Ok(decimal));
        for (sql, kind) in [
            ("BIGINT", Kind::Long),
            ("integer", Kind::Int),
            ("REAL", Kind::Float),
            ("VARCHAR", Kind::String),
            ("TIMESTAMP WITH TIME ZONE", Kind::TimestampTz),
            ("DECIMAL(38, 10)", decimal),
        ] {
            assert_eq!(sql.parse(), Ok(kind), "{sql}");
        }
        for wrong in ["decimal", "decimal(39, 2)", "decimal(2, 3)", "decimal(0, 0)", "decimal(4)", "number", ""] {
            assert_eq!(wrong.parse::<Kind>(), Err(()), "{wrong}");
        }
    }
}
