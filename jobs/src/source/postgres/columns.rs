//! Cells in PostgreSQL's binary form, appended to Arrow columns: no allocation and no dynamic call per cell.
use std::{fmt, sync::Arc};

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int32Array, Int64Array, ListArray, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBufferBuilder, OffsetBuffer};
use arrow_schema::ArrowError;

use super::{
    numeric,
    types::{Carried, list_field},
};
use crate::Code;

/// Why a cell cannot be carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not what its type promises.
    Malformed,
    /// `NaN` in a decimal column.
    NotANumber,
    /// An infinity where only numbers or times are possible.
    Infinite,
    /// More digits than the decimal has.
    TooManyDigits,
    /// Beyond what 64-bit microseconds or 32-bit days hold.
    OutOfRange,
    /// `24:00`.
    Midnight,
    /// An array of several dimensions, or one that does not begin at 1.
    Dimensions,
    /// Longer than the limit.
    TooLarge(usize),
}

impl Fault {
    /// What the load fails with.
    pub(super) const fn code(self) -> Code {
        match self {
            Self::TooManyDigits => Code::DecimalOverflow,
            Self::TooLarge(_) => Code::CellTooLarge,
            _ => Code::UnrepresentableValue,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("is not a value of its type"),
            Self::NotANumber => {
                f.write_str("is NaN, which no decimal can be; cast the column to text, or leave such rows out")
            }
            Self::Infinite => f.write_str(
                "is infinite, which the table's type cannot be; cast the column to text, or leave such rows out",
            ),
            Self::TooManyDigits => {
                f.write_str("has more digits than the table's decimal can hold; cast the column to text")
            }
            Self::OutOfRange => f.write_str(
                "lies beyond the times that the table's type can hold; cast the column to text, or leave such rows out",
            ),
            Self::Midnight => f.write_str("is 24:00, which the table's type cannot be; cast the column to text"),
            Self::Dimensions => f.write_str(
                "is an array of several dimensions or one that does not begin at 1; cast the column to text",
            ),
            Self::TooLarge(bytes) => write!(
                f,
                "has {bytes} bytes, more than `limits.max_cell_bytes` permits; raise it, or leave the column out"
            ),
        }
    }
}

/// Days and microseconds from 1970-01-01 to 2000-01-01, PostgreSQL's own zero.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const DAY_MICROS: i64 = 86_400_000_000;

/// The cells of one column of the batch that is being built.
pub(super) struct Column {
    values: Values,
    nulls: NullBufferBuilder,
    kind: Carried,
}

/// Values of one type; a NULL has a zero or nothing among them.
enum Values {
    Bool(BooleanBufferBuilder),
    Int2(Vec<i32>),
    Int4(Vec<i32>),
    Int8(Vec<i64>),
    Oid(Vec<i64>),
    Float4(Vec<f32>),
    Float8(Vec<f64>),
    Decimal {
        sums: Vec<i128>,
        scale: u8,
        limit: i128,
    },
    Money(Vec<i128>),
    Date(Vec<i32>),
    Time(Vec<i64>),
    Timestamp(Vec<i64>),
    Uuid(Vec<u8>),
    /// Text, and jsonb, which has its version before it.
    Bytes {
        bytes: Vec<u8>,
        ends: Vec<i32>,
        before: &'static [u8],
    },
    List {
        items: Box<Column>,
        ends: Vec<i32>,
    },
}

impl Column {
    /// An empty column with room for `rows`.
    pub(super) fn new(kind: &Carried, rows: usize) -> Self {
        let values = match kind {
            Carried::Bool => Values::Bool(BooleanBufferBuilder::new(rows)),
            Carried::Int2 => Values::Int2(Vec::with_capacity(rows)),
            Carried::Int4 => Values::Int4(Vec::with_capacity(rows)),
            Carried::Int8 => Values::Int8(Vec::with_capacity(rows)),
            Carried::Oid => Values::Oid(Vec::with_capacity(rows)),
            Carried::Float4 => Values::Float4(Vec::with_capacity(rows)),
            Carried::Float8 => Values::Float8(Vec::with_capacity(rows)),
            Carried::Decimal { precision, scale } => {
                Values::Decimal { sums: Vec::with_capacity(rows), scale: *scale, limit: numeric::limit(*precision) }
            }
            Carried::Money { .. } => Values::Money(Vec::with_capacity(rows)),
            Carried::Date => Values::Date(Vec::with_capacity(rows)),
            Carried::Time => Values::Time(Vec::with_capacity(rows)),
            Carried::Timestamp | Carried::TimestampTz => Values::Timestamp(Vec::with_capacity(rows)),
            Carried::Uuid => Values::Uuid(Vec::with_capacity(rows * 16)),
            Carried::Text | Carried::Bytea => {
                Values::Bytes { bytes: Vec::with_capacity(rows * 8), ends: ends(rows), before: &[] }
            }
            Carried::Jsonb => Values::Bytes { bytes: Vec::with_capacity(rows * 8), ends: ends(rows), before: &[1] },
            Carried::List(item) => Values::List { items: Box::new(Self::new(item, rows)), ends: ends(rows) },
        };
        Self { values, nulls: NullBufferBuilder::new(rows), kind: kind.clone() }
    }

    /// Appends a value.
    ///
    /// # Errors
    /// The cell's fault; the column is then of no more use.
    #[inline]
    pub(super) fn push(&mut self, cell: &[u8]) -> Result<(), Fault> {
        self.nulls.append_non_null();
        match &mut self.values {
            Values::Bool(bits) => match fixed::<1>(cell)? {
                [bit @ (0 | 1)] => bits.append(bit == 1),
                _ => return Err(Fault::Malformed),
            },
            Values::Int2(all) => all.push(i16::from_be_bytes(fixed(cell)?).into()),
            Values::Int4(all) => all.push(i32::from_be_bytes(fixed(cell)?)),
            Values::Int8(all) => all.push(i64::from_be_bytes(fixed(cell)?)),
            Values::Oid(all) => all.push(u32::from_be_bytes(fixed(cell)?).into()),
            Values::Float4(all) => all.push(f32::from_be_bytes(fixed(cell)?)),
            Values::Float8(all) => all.push(f64::from_be_bytes(fixed(cell)?)),
            Values::Decimal { sums, scale, limit } => sums.push(numeric::unscaled(cell, *scale, *limit)?),
            Values::Money(all) => all.push(i64::from_be_bytes(fixed(cell)?).into()),
            Values::Date(all) => all.push(date(i32::from_be_bytes(fixed(cell)?))?),
            Values::Time(all) => all.push(time(i64::from_be_bytes(fixed(cell)?))?),
            Values::Timestamp(all) => all.push(timestamp(i64::from_be_bytes(fixed(cell)?))?),
            Values::Uuid(all) => all.extend_from_slice(&fixed::<16>(cell)?),
            Values::Bytes { bytes, ends, before } => {
                bytes.extend_from_slice(cell.strip_prefix(*before).ok_or(Fault::Malformed)?);
                ends.push(end(bytes.len())?);
            }
            Values::List { items, ends } => {
                items.push_array(cell)?;
                ends.push(end(items.len())?);
            }
        }
        Ok(())
    }

    /// The bytes that a cell takes up in the column, if they are more than those that were sent: an array's NULL is sent
    /// as four bytes and may take sixteen.
    #[inline]
    pub(super) fn size(&self, cell: &[u8]) -> usize {
        match (&self.values, cell.get(12..16)) {
            (Values::List { items, .. }, Some(&[a, b, c, d])) => {
                let count = usize::try_from(i32::from_be_bytes([a, b, c, d])).unwrap_or(0);
                cell.len().max(count.saturating_mul(items.kind.width()))
            }
            _ => cell.len(),
        }
    }

    /// Appends a NULL.
    pub(super) fn push_null(&mut self) {
        self.nulls.append_null();
        match &mut self.values {
            Values::Bool(bits) => bits.append(false),
            Values::Int2(all) | Values::Int4(all) | Values::Date(all) => all.push(0),
            Values::Int8(all) | Values::Oid(all) | Values::Time(all) | Values::Timestamp(all) => all.push(0),
            Values::Float4(all) => all.push(0.0),
            Values::Float8(all) => all.push(0.0),
            Values::Decimal { sums: all, .. } | Values::Money(all) => all.push(0),
            Values::Uuid(all) => all.extend_from_slice(&[0; 16]),
            Values::Bytes { ends, .. } | Values::List { ends, .. } => ends.push(ends.last().copied().unwrap_or(0)),
        }
    }

    /// Appends the elements of an array. Its header: dimensions, a flag for NULLs, the element type, and for each
    /// dimension its length and lower bound.
    fn push_array(&mut self, cell: &[u8]) -> Result<(), Fault> {
        let mut cell = cell;
        let dimensions = take(&mut cell)?;
        take(&mut cell)?;
        take(&mut cell)?;
        if dimensions == 0 {
            return if cell.is_empty() { Ok(()) } else { Err(Fault::Malformed) };
        }
        let (count, lower) = (take(&mut cell)?, take(&mut cell)?);
        if dimensions != 1 || lower != 1 {
            return Err(Fault::Dimensions);
        }
        for _ in 0..usize::try_from(count).map_err(|_| Fault::Malformed)? {
            match take(&mut cell)? {
                -1 => self.push_null(),
                length => {
                    let length = usize::try_from(length).map_err(|_| Fault::Malformed)?;
                    let (item, rest) = cell.split_at_checked(length).ok_or(Fault::Malformed)?;
                    self.push(item)?;
                    cell = rest;
                }
            }
        }
        if cell.is_empty() { Ok(()) } else { Err(Fault::Malformed) }
    }

    fn len(&self) -> usize {
        self.nulls.len()
    }

    /// The cells as an Arrow array; the column is empty again.
    ///
    /// # Errors
    /// Text that is not UTF-8, which only a server in the encoding `SQL_ASCII` sends.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let fresh = Self::new(&self.kind, self.len());
        let Self { values, mut nulls, kind } = std::mem::replace(self, fresh);
        let nulls = nulls.finish();
        Ok(match values {
            Values::Bool(mut bits) => Arc::new(BooleanArray::new(bits.finish(), nulls)),
            Values::Int2(all) | Values::Int4(all) => Arc::new(Int32Array::try_new(all.into(), nulls)?),
            Values::Int8(all) | Values::Oid(all) => Arc::new(Int64Array::try_new(all.into(), nulls)?),
            Values::Float4(all) => Arc::new(Float32Array::try_new(all.into(), nulls)?),
            Values::Float8(all) => Arc::new(Float64Array::try_new(all.into(), nulls)?),
            Values::Decimal { sums: all, .. } | Values::Money(all) => {
                Arc::new(Decimal128Array::try_new(all.into(), nulls)?.with_data_type(kind.arrow()))
            }
            Values::Date(all) => Arc::new(Date32Array::try_new(all.into(), nulls)?),
            Values::Time(all) => Arc::new(Time64MicrosecondArray::try_new(all.into(), nulls)?),
            Values::Timestamp(all) => {
                Arc::new(TimestampMicrosecondArray::try_new(all.into(), nulls)?.with_data_type(kind.arrow()))
            }
            Values::Uuid(all) => Arc::new(FixedSizeBinaryArray::try_new(16, Buffer::from_vec(all), nulls)?),
            Values::Bytes { bytes, ends, .. } => match kind {
                Carried::Bytea => Arc::new(BinaryArray::try_new(offsets(ends), Buffer::from_vec(bytes), nulls)?),
                _ => Arc::new(StringArray::try_new(offsets(ends), Buffer::from_vec(bytes), nulls)?),
            },
            Values::List { mut items, ends } => {
                let field = list_field(&items.kind);
                Arc::new(ListArray::try_new(field, offsets(ends), items.finish()?, nulls)?)
            }
        })
    }
}

/// Where cells end in the values behind them; the first is the begin of the first cell.
fn ends(rows: usize) -> Vec<i32> {
    let mut ends = Vec::with_capacity(rows + 1);
    ends.push(0);
    ends
}

fn end(length: usize) -> Result<i32, Fault> {
    i32::try_from(length).map_err(|_| Fault::TooLarge(length))
}

/// They only grow, which is all that an `OffsetBuffer` asks for.
fn offsets(ends: Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ends.into())
}

#[inline]
fn fixed<const N: usize>(cell: &[u8]) -> Result<[u8; N], Fault> {
    cell.try_into().map_err(|_| Fault::Malformed)
}

fn take(bytes: &mut &[u8]) -> Result<i32, Fault> {
    let (number, rest) = bytes.split_first_chunk::<4>().ok_or(Fault::Malformed)?;
    *bytes = rest;
    Ok(i32::from_be_bytes(*number))
}

fn date(days: i32) -> Result<i32, Fault> {
    match days {
        i32::MIN | i32::MAX => Err(Fault::Infinite),
        _ => days.checked_add(EPOCH_DAYS).ok_or(Fault::OutOfRange),
    }
}

fn time(micros: i64) -> Result<i64, Fault> {
    match micros {
        0..DAY_MICROS => Ok(micros),
        DAY_MICROS => Err(Fault::Midnight),
        _ => Err(Fault::Malformed),
    }
}

#[inline]
fn timestamp(micros: i64) -> Result<i64, Fault> {
    match micros {
        i64::MIN | i64::MAX => Err(Fault::Infinite),
        _ => micros.checked_add(EPOCH_MICROS).ok_or(Fault::OutOfRange),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_at_the_edges() {
        assert_eq!(date(0), Ok(EPOCH_DAYS));
        assert_eq!(date(i32::MAX), Err(Fault::Infinite));
        assert_eq!(time(DAY_MICROS - 1), Ok(DAY_MICROS - 1));
        assert_eq!(time(DAY_MICROS), Err(Fault::Midnight));
        assert_eq!(timestamp(i64::MIN), Err(Fault::Infinite));
        assert_eq!(timestamp(i64::MAX - 1), Err(Fault::OutOfRange));
    }

    fn numbers(all: &[i32]) -> Vec<u8> {
        all.iter().flat_map(|n| n.to_be_bytes()).collect()
    }

    #[test]
    fn an_array_that_lies_about_itself_is_refused() {
        let mut column = Column::new(&Carried::List(Box::new(Carried::Int4)), 1);
        assert_eq!(column.push(&numbers(&[1, 0, 23, 1, 1, 4, 7])), Ok(()));
        let claims_two = numbers(&[1, 0, 23, 2, 1, 4, 7]);
        for lie in [
            &claims_two[..],
            &claims_two[..7],
            &numbers(&[1, 0, 23, -5, 1]),
            &numbers(&[1, 0, 23, 1, 1, -2]),
            &numbers(&[1, 0, 23, 1, 1, 4, 7, 8]),
            &numbers(&[0, 0, 23, 0]),
        ] {
            assert_eq!(column.push(lie), Err(Fault::Malformed), "{lie:?}");
        }
    }

    #[test]
    fn values_that_no_server_sends_are_refused() {
        for (kind, good, bad) in [
            (Carried::Bool, &[1_u8][..], &[2_u8][..]),
            (Carried::Jsonb, b"\x01{}", b"\x02{}"),
            (Carried::Jsonb, b"\x01", b""),
        ] {
            let mut column = Column::new(&kind, 1);
            assert_eq!((column.push(good), column.push(bad)), (Ok(()), Err(Fault::Malformed)), "{kind:?}");
        }
    }

    #[test]
    fn an_array_is_as_large_as_its_elements_become() {
        let size = |item, cell: &[i32]| Column::new(&Carried::List(Box::new(item)), 1).size(&numbers(cell));
        let decimal = || Carried::Decimal { precision: 9, scale: 2 };
        assert_eq!(size(decimal(), &[1, 1, 1700, 3, 1, -1, -1, -1]), 48);
        assert_eq!(size(Carried::Int4, &[1, 1, 23, 3, 1, -1, -1, -1]), 32);
        assert_eq!(size(decimal(), &[1, 1, 1700, -5, 1]), 20);
        assert_eq!(size(decimal(), &[0, 0, 1700]), 12);
    }
}
