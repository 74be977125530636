//! Texts of a known type into an Arrow column: no allocation and no choice of the type per cell.
use std::{str::FromStr, sync::Arc};

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array, Float64Array, Int32Array,
    Int64Array, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBufferBuilder, OffsetBuffer};
use arrow_schema::ArrowError;

use super::{guess, kind::Kind, number, time};

/// The cells of one column of the batch that is being built.
pub struct Column {
    kind: Kind,
    values: Values,
    nulls: NullBufferBuilder,
    rows: usize,
}

/// Values of one type; a NULL has a zero or nothing among them.
enum Values {
    Bits(BooleanBufferBuilder),
    Int(Vec<i32>),
    Long(Vec<i64>),
    Decimal(Vec<i128>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Uuid(Vec<u8>),
    Text { bytes: Vec<u8>, ends: Vec<i32> },
}

impl Column {
    /// An empty column with room for `rows`.
    #[must_use]
    pub fn new(kind: Kind, rows: usize) -> Self {
        let values = match kind {
            Kind::Boolean => Values::Bits(BooleanBufferBuilder::new(rows)),
            Kind::Int | Kind::Date => Values::Int(Vec::with_capacity(rows)),
            Kind::Long | Kind::Time | Kind::Timestamp | Kind::TimestampTz => Values::Long(Vec::with_capacity(rows)),
            Kind::Decimal { .. } => Values::Decimal(Vec::with_capacity(rows)),
            Kind::Float => Values::Float(Vec::with_capacity(rows)),
            Kind::Double => Values::Double(Vec::with_capacity(rows)),
            Kind::Uuid => Values::Uuid(Vec::with_capacity(rows * 16)),
            Kind::String => Values::Text { bytes: Vec::with_capacity(rows * 8), ends: ends(rows) },
        };
        Self { kind, values, nulls: NullBufferBuilder::new(rows), rows }
    }

    /// The type of its cells.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Appends cells; `None` is NULL.
    ///
    /// # Errors
    /// The place of the first cell that does not have the type: those before it are appended, and it is not.
    pub fn extend<'a>(&mut self, cells: impl Iterator<Item = Option<&'a [u8]>>) -> Result<(), usize> {
        let nulls = &mut self.nulls;
        match (&mut self.values, self.kind) {
            (Values::Int(all), Kind::Date) => fill(all, nulls, cells, time::date),
            (Values::Int(all), _) => fill(all, nulls, cells, |cell| i32::try_from(number::integer(cell)?).ok()),
            (Values::Long(all), Kind::Time) => fill(all, nulls, cells, time::time),
            (Values::Long(all), Kind::Timestamp) => {
                fill(all, nulls, cells, |cell| time::stamp(cell).filter(|s| s.offset.is_none()).map(|s| s.micros))
            }
            (Values::Long(all), Kind::TimestampTz) => {
                fill(all, nulls, cells, |cell| time::stamp(cell).filter(|s| s.offset.is_some()).map(|s| s.micros))
            }
            (Values::Long(all), _) => fill(all, nulls, cells, number::integer),
            (Values::Decimal(all), Kind::Decimal { precision, scale }) => {
                let limit = number::limit(precision);
                fill(all, nulls, cells, |cell| number::decimal(cell, scale, limit))
            }
            (Values::Decimal(_), _) => Err(0),
            (Values::Float(all), _) => fill(all, nulls, cells, float::<f32>),
            (Values::Double(all), _) => fill(all, nulls, cells, float::<f64>),
            (Values::Bits(bits), _) => each(nulls, cells, |cell| {
                bits.append(cell.map_or(Some(false), boolean)?);
                Some(())
            }),
            (Values::Uuid(all), _) => each(nulls, cells, |cell| {
                all.extend_from_slice(&cell.map_or(Some([0; 16]), uuid)?);
                Some(())
            }),
            (Values::Text { bytes, ends }, _) => each(nulls, cells, |cell| {
                let cell = cell.unwrap_or_default();
                ends.push(i32::try_from(bytes.len() + cell.len()).ok()?);
                bytes.extend_from_slice(cell);
                Some(())
            }),
        }
    }

    /// The cells as an Arrow array; the column is empty again.
    ///
    /// # Errors
    /// Text that is not UTF-8.
    pub fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let fresh = Self::new(self.kind, self.rows);
        let Self { values, mut nulls, kind, .. } = std::mem::replace(self, fresh);
        let nulls = nulls.finish();
        Ok(match (values, kind) {
            (Values::Bits(mut bits), _) => Arc::new(BooleanArray::new(bits.finish(), nulls)),
            (Values::Int(all), Kind::Date) => Arc::new(Date32Array::try_new(all.into(), nulls)?),
            (Values::Int(all), _) => Arc::new(Int32Array::try_new(all.into(), nulls)?),
            (Values::Long(all), Kind::Time) => Arc::new(Time64MicrosecondArray::try_new(all.into(), nulls)?),
            (Values::Long(all), Kind::Timestamp | Kind::TimestampTz) => {
                Arc::new(TimestampMicrosecondArray::try_new(all.into(), nulls)?.with_data_type(kind.arrow()))
            }
            (Values::Long(all), _) => Arc::new(Int64Array::try_new(all.into(), nulls)?),
            (Values::Decimal(all), _) => {
                Arc::new(Decimal128Array::try_new(all.into(), nulls)?.with_data_type(kind.arrow()))
            }
            (Values::Float(all), _) => Arc::new(Float32Array::try_new(all.into(), nulls)?),
            (Values::Double(all), _) => Arc::new(Float64Array::try_new(all.into(), nulls)?),
            (Values::Uuid(all), _) => Arc::new(FixedSizeBinaryArray::try_new(16, Buffer::from_vec(all), nulls)?),
            (Values::Text { bytes, ends }, _) => {
                // They only grow, which is all that an `OffsetBuffer` asks for.
                Arc::new(StringArray::try_new(OffsetBuffer::new(ends.into()), Buffer::from_vec(bytes), nulls)?)
            }
        })
    }
}

/// Where texts end; the first is the begin of the first text.
fn ends(rows: usize) -> Vec<i32> {
    let mut ends = Vec::with_capacity(rows + 1);
    ends.push(0);
    ends
}

#[inline]
fn fill<'a, T: Default>(
    values: &mut Vec<T>,
    nulls: &mut NullBufferBuilder,
    cells: impl Iterator<Item = Option<&'a [u8]>>,
    parse: impl Fn(&[u8]) -> Option<T>,
) -> Result<(), usize> {
    each(nulls, cells, |cell| {
        values.push(match cell {
            Some(cell) => parse(cell)?,
            None => T::default(),
        });
        Some(())
    })
}

#[inline]
fn each<'a>(
    nulls: &mut NullBufferBuilder,
    cells: impl Iterator<Item = Option<&'a [u8]>>,
    mut append: impl FnMut(Option<&'a [u8]>) -> Option<()>,
) -> Result<(), usize> {
    for (place, cell) in cells.enumerate() {
        append(cell).ok_or(place)?;
        nulls.append(cell.is_some());
    }
    Ok(())
}

/// The nearest value of a number in Rust's float syntax: decimal or with an exponent, `inf`, `infinity` and `nan` in any
/// case; a number that only rounds to an infinity or to zero is none.
fn float<T: FromStr + Copy + Into<f64>>(cell: &[u8]) -> Option<T> {
    let value: T = std::str::from_utf8(cell).ok()?.parse().ok()?;
    let wide: f64 = value.into();
    let digits = cell.iter().take_while(|byte| !matches!(byte, b'e' | b'E'));
    let lost = match wide == 0.0 {
        true => digits.copied().any(|byte| matches!(byte, b'1'..=b'9')),
        false => wide.is_infinite() && cell.iter().any(u8::is_ascii_digit),
    };
    (!lost).then_some(value)
}

/// What people write for yes and no, in any case.
fn boolean(cell: &[u8]) -> Option<bool> {
    let is = |names: &[&str]| names.iter().any(|name| cell.eq_ignore_ascii_case(name.as_bytes()));
    match guess::boolean(cell) {
        Some(value) => Some(value),
        None if is(&["true", "t", "yes", "y", "1"]) => Some(true),
        None if is(&["false", "f", "no", "n", "0"]) => Some(false),
        None => None,
    }
}

/// 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12.
fn uuid(cell: &[u8]) -> Option<[u8; 16]> {
    let text = std::str::from_utf8(cell).ok().filter(|text| text.len() == 36)?;
    uuid::Uuid::try_parse(text).ok().map(uuid::Uuid::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Array, cast::AsArray, types::Float64Type};

    fn column(kind: Kind, cells: &[Option<&str>]) -> Result<ArrayRef, usize> {
        let mut column = Column::new(kind, 4);
        column.extend(cells.iter().map(|cell| cell.map(str::as_bytes)))?;
        let array = column.finish().expect("an array");
        assert_eq!((array.data_type(), array.len()), (&kind.arrow(), cells.len()));
        assert!(cells.iter().enumerate().all(|(row, cell)| array.is_null(row) == cell.is_none()));
        Ok(array)
    }

    #[test]
    fn values_of_every_type() {
        let decimal = Kind::Decimal { precision: 5, scale: 2 };
        for (kind, good, bad) in [
            (Kind::Boolean, "Yes", "maybe"),
            (Kind::Int, "0042", "2147483648"),
            (Kind::Long, "+9223372036854775807", "9223372036854775808"),
            (decimal, "-999.99", "1000"),
            (decimal, "1.500", "1.501"),
            (Kind::Float, "1e3", "1,5"),
            (Kind::Double, "-inf", ""),
            (Kind::Double, "0.1", "1e400"),
            (Kind::Float, "1e38", "1e39"),
            (Kind::Double, "-0.00e-400", "1e-400"),
            (Kind::Double, "5e-324", "-0.1E-330"),
            (Kind::Float, "1e-45", "1e-46"),
            (Kind::Date, "2024-02-29", "29.02.2024"),
            (Kind::Time, "12:34", "24:00"),
            (Kind::Timestamp, "2024-02-29T12:34:56.789", "2024-02-29T12:34:56Z"),
            (Kind::TimestampTz, "2024-02-29 12:34:56+01", "2024-02-29 12:34:56"),
            (Kind::Uuid, "67e55044-10b1-426f-9247-bb680e5fe0c8", "67e5504410b1426f9247bb680e5fe0c8"),
        ] {
            assert!(column(kind, &[Some(good), None, Some(good)]).is_ok(), "{good} is {kind}");
            assert_eq!(column(kind, &[Some(good), None, Some(bad)]).err(), Some(2), "{bad} is no {kind}");
        }
        let texts = column(Kind::String, &[Some("a"), None, Some(""), Some("é")]).expect("texts");
        assert_eq!(texts.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a"), None, Some(""), Some("é")]);
        let floats = column(Kind::Double, &[Some("0.1"), Some("Infinity")]).expect("floats");
        assert_eq!(floats.as_primitive::<Float64Type>().values()[..], [0.1, f64::INFINITY]);
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        let mut column = Column::new(Kind::String, 1);
        column.extend([Some(&b"\xff"[..])].into_iter()).expect("appended");
        assert!(column.finish().is_err());
    }
}
