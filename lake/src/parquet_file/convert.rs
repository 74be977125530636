//! The values of a leaf, from the physical type to what they mean: exactly, or not at all.
use std::{fmt::Write, sync::Arc};

use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, Decimal128Array, Float32Array, PrimitiveArray, StringArray,
    builder::StringBuilder,
    cast::AsArray,
    types::{Date32Type, Float16Type, Int32Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType},
};
use arrow_buffer::{OffsetBuffer, i256};
use arrow_schema::DataType;

use super::{
    FileError,
    types::{Leaf, Meaning, Tick},
};

const DAY_MICROS: i64 = 86_400_000_000;
type Half = <Float16Type as ArrowPrimitiveType>::Native;
/// The Julian day of 1970-01-01.
const EPOCH_JULIAN: i64 = 2_440_588;

/// A value that cannot be carried, or an array that is not what it was announced as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Its place in the array.
    pub index: usize,
    pub what: What,
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Broken,
    Value(String),
    Digits(String),
    Large(u32),
}

impl Fault {
    pub(super) fn broken() -> Self {
        Self { index: 0, what: What::Broken }
    }

    pub(super) const fn value(index: usize, what: String) -> Self {
        Self { index, what: What::Value(what) }
    }

    /// The same fault, by the place of the list or map that the value is in.
    pub(super) fn outside(self, offsets: &OffsetBuffer<i32>) -> Self {
        let index = offsets.partition_point(|offset| usize::try_from(*offset).unwrap_or_default() <= self.index);
        Self { index: index.saturating_sub(1), ..self }
    }

    /// The failure of a load, for a column and the row (from 1) that the array's first row is.
    pub(super) fn of(self, column: &str, first_row: u64) -> FileError {
        let row = first_row + self.index as u64;
        match self.what {
            What::Broken => FileError::invalid(format!("is broken: column `{column}` cannot be put together")),
            What::Value(what) => FileError::Unrepresentable(format!("row {row}, column `{column}`: {what}")),
            What::Digits(what) => FileError::DecimalOverflow(format!("row {row}, column `{column}`: {what}")),
            What::Large(bytes) => FileError::CellTooLarge(format!(
                "row {row}, column `{column}`: a value has {bytes} bytes, more than `limits.max_cell_bytes` permits"
            )),
        }
    }
}

type Made = Result<ArrayRef, Fault>;

/// The leaf's values with the table's type.
pub(super) fn leaf(leaf: &Leaf, array: &ArrayRef, most: usize) -> Made {
    if *array.data_type() != leaf.read_as() {
        return Err(Fault::broken());
    }
    let views = match array.data_type() {
        DataType::Utf8View => array.as_string_view().views(),
        DataType::BinaryView => array.as_binary_view().views(),
        _ => &[][..],
    };
    // A view's lowest 32 bits are its value's length.
    if let Some(index) = views.iter().position(|view| *view as u32 as usize > most) {
        return Err(Fault { index, what: What::Large(views[index] as u32) });
    }
    match leaf.meaning {
        Meaning::Nothing | Meaning::Plain | Meaning::Text | Meaning::Json | Meaning::Enum => Ok(array.clone()),
        Meaning::Bson | Meaning::Geometry | Meaning::Uuid => Ok(array.clone()),
        Meaning::Small { bits: 32, .. } => Ok(array.clone()),
        Meaning::Small { bits, signed } => small(array, bits, signed),
        Meaning::Unsigned32 => {
            each::<Int32Type, Int64Type>(array, |value| Some(i64::from(value as u32)), &out_of_range)
        }
        Meaning::Unsigned64 => unsigned64(array),
        Meaning::Half => half(array),
        Meaning::Decimal { precision, scale } => decimal(array, precision, scale),
        Meaning::LongDecimal { scale, .. } => long_decimal(array, scale),
        Meaning::Date => Ok(Arc::new(array.as_primitive::<Int32Type>().reinterpret_cast::<Date32Type>())),
        Meaning::Time { tick, .. } => time(array, tick),
        Meaning::Timestamp { tick, utc } => timestamp(array, tick, utc),
        Meaning::Int96 => int96(array),
        Meaning::Interval => interval(array),
    }
}

fn out_of_range(value: i64) -> String {
    format!("{value} lies beyond what the column's type can hold")
}

/// Every value by `way`, which refuses with `None`; NULLs are passed over.
fn each<A, B>(array: &ArrayRef, way: impl Fn(A::Native) -> Option<B::Native>, why: &dyn Fn(i64) -> String) -> Made
where
    A: ArrowPrimitiveType,
    B: ArrowPrimitiveType,
    A::Native: Into<i64>,
{
    Ok(Arc::new(each_of::<A, B>(array, way, why)?))
}

fn each_of<A, B>(
    array: &ArrayRef,
    way: impl Fn(A::Native) -> Option<B::Native>,
    why: &dyn Fn(i64) -> String,
) -> Result<PrimitiveArray<B>, Fault>
where
    A: ArrowPrimitiveType,
    B: ArrowPrimitiveType,
    A::Native: Into<i64>,
{
    let array = array.as_primitive::<A>();
    let mut refused = None;
    let values = array.values().iter().enumerate().map(|(index, value)| {
        way(*value).unwrap_or_else(|| {
            if refused.is_none() && array.is_valid(index) {
                refused = Some(index);
            }
            B::Native::default()
        })
    });
    let values: Vec<B::Native> = values.collect();
    match refused {
        Some(index) => Err(Fault::value(index, why(array.value(index).into()))),
        None => Ok(PrimitiveArray::new(values.into(), array.nulls().cloned())),
    }
}

fn small(array: &ArrayRef, bits: u8, signed: bool) -> Made {
    let (low, high) = match signed {
        true => (-(1_i32 << (bits - 1)), (1_i32 << (bits - 1)) - 1),
        false => (0, (1_i32 << bits) - 1),
    };
    let values = array.as_primitive::<Int32Type>();
    let outside = |index: &usize| values.is_valid(*index) && !(low..=high).contains(&values.value(*index));
    match (0..values.len()).find(outside) {
        Some(index) => Err(Fault::value(index, out_of_range(values.value(index).into()))),
        None => Ok(array.clone()),
    }
}

fn unsigned64(array: &ArrayRef) -> Made {
    let values = array
        .as_primitive::<Int64Type>()
        .unary::<_, arrow_array::types::Decimal128Type>(|value| i128::from(value as u64));
    as_decimal(values, 20, 0)
}

fn half(array: &ArrayRef) -> Made {
    let bytes = array.as_fixed_size_binary();
    // IEEE 754's binary16 is a subset of binary32.
    let values: Vec<f32> =
        bytes.value_data().as_chunks::<2>().0.iter().map(|bytes| Half::from_le_bytes(*bytes).to_f32()).collect();
    if values.len() != bytes.len() {
        return Err(Fault::broken());
    }
    Ok(Arc::new(Float32Array::new(values.into(), bytes.nulls().cloned())))
}

fn time(array: &ArrayRef, tick: Tick) -> Made {
    let within = |micros: i64| (0..DAY_MICROS).contains(&micros).then_some(micros);
    let why = |value: i64| match tick {
        Tick::Nanos if value % 1000 != 0 => format!("{value} ns after midnight is no whole number of microseconds"),
        _ => format!("{value} {} after midnight is no time of a day", tick_name(tick)),
    };
    match tick {
        Tick::Millis => each::<Int32Type, Time64MicrosecondType>(array, |value| within(i64::from(value) * 1000), &why),
        Tick::Micros => each::<Int64Type, Time64MicrosecondType>(array, within, &why),
        Tick::Nanos => each::<Int64Type, Time64MicrosecondType>(
            array,
            |value| if value % 1000 == 0 { within(value / 1000) } else { None },
            &why,
        ),
    }
}

const fn tick_name(tick: Tick) -> &'static str {
    match tick {
        Tick::Millis => "ms",
        Tick::Micros => "us",
        Tick::Nanos => "ns",
    }
}

fn timestamp(array: &ArrayRef, tick: Tick, utc: bool) -> Made {
    let values = match tick {
        Tick::Micros => array.as_primitive::<Int64Type>().reinterpret_cast::<TimestampMicrosecondType>(),
        Tick::Millis => {
            each_of::<Int64Type, TimestampMicrosecondType>(array, |value| value.checked_mul(1000), &|value| {
                format!("{value} ms from 1970 is beyond the times that the table's type can hold")
            })?
        }
        Tick::Nanos => each_of::<Int64Type, TimestampMicrosecondType>(
            array,
            |value| if value % 1000 == 0 { Some(value / 1000) } else { None },
            &|value| format!("{value} ns from 1970 is no whole number of microseconds, which the table's type counts"),
        )?,
    };
    Ok(Arc::new(if utc { values.with_timezone("UTC") } else { values }))
}

/// Nanoseconds of the day, then the Julian day; both little-endian.
fn int96(array: &ArrayRef) -> Made {
    let bytes = array.as_fixed_size_binary();
    let mut values = Vec::with_capacity(bytes.len());
    for (index, value) in bytes.value_data().as_chunks::<12>().0.iter().enumerate() {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *value;
        let nanos = i64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let day = i64::from(i32::from_le_bytes([i, j, k, l]));
        let micros = (day - EPOCH_JULIAN).checked_mul(DAY_MICROS).and_then(|day| day.checked_add(nanos / 1000));
        match micros.filter(|_| nanos % 1000 == 0) {
            Some(micros) => values.push(micros),
            None if bytes.is_null(index) => values.push(0),
            None if micros.is_none() => {
                return Err(Fault::value(
                    index,
                    format!("Julian day {day} is beyond the times that the table's type can hold"),
                ));
            }
            None => {
                let what = format!(
                    "Julian day {day}, {nanos} ns is no whole number of microseconds, which the table's type counts"
                );
                return Err(Fault::value(index, what));
            }
        }
    }
    if values.len() != bytes.len() {
        return Err(Fault::broken());
    }
    Ok(Arc::new(PrimitiveArray::<TimestampMicrosecondType>::new(values.into(), bytes.nulls().cloned())))
}

/// Three little-endian unsigned numbers: months, days and milliseconds.
fn interval(array: &ArrayRef) -> Made {
    let bytes = array.as_fixed_size_binary();
    let mut texts = StringBuilder::new();
    for value in bytes {
        let Some(value) = value else {
            texts.append_null();
            continue;
        };
        let part = |at: usize| value[at..].first_chunk::<4>().map_or(0, |part| u32::from_le_bytes(*part));
        let (months, days, millis) = (part(0), part(4), part(8));
        let written = write!(texts, "P{months}M{days}DT{}.{:03}S", millis / 1000, millis % 1000);
        written.map_err(|_| Fault::broken())?;
        texts.append_value("");
    }
    Ok(Arc::new(texts.finish()))
}

fn as_decimal(values: Decimal128Array, precision: u8, scale: u8) -> Made {
    let values = values.with_precision_and_scale(precision, scale as i8).map_err(|_| Fault::broken())?;
    Ok(Arc::new(values))
}

/// The absolute value that a decimal of so many digits stays below.
fn limit(precision: u8) -> i128 {
    10_i128.pow(u32::from(precision))
}

fn decimal(array: &ArrayRef, precision: u8, scale: u8) -> Made {
    use DataType as D;
    let (values, nulls): (Vec<i128>, _) = match array.data_type() {
        D::Int32 => {
            (array.as_primitive::<Int32Type>().values().iter().map(|v| i128::from(*v)).collect(), array.nulls())
        }
        D::Int64 => {
            (array.as_primitive::<Int64Type>().values().iter().map(|v| i128::from(*v)).collect(), array.nulls())
        }
        D::FixedSizeBinary(width) => {
            (fixed_decimals(array.as_fixed_size_binary().value_data(), *width as usize, array)?, array.nulls())
        }
        _ => {
            let all = array.as_binary_view();
            let number = |index: usize| match all.is_valid(index) {
                true => number(all.value(index)).ok_or_else(|| too_many(index)),
                false => Ok(0),
            };
            ((0..all.len()).map(number).collect::<Result<_, _>>()?, array.nulls())
        }
    };
    if values.len() != array.len() {
        return Err(Fault::broken());
    }
    let limit = limit(precision);
    // One test of all, which is fast; the search for the culprit only if there is one.
    if values.iter().any(|value| value.unsigned_abs() >= limit.unsigned_abs()) {
        let over = |index: &usize| array.is_valid(*index) && values[*index].unsigned_abs() >= limit.unsigned_abs();
        if let Some(index) = (0..values.len()).find(over) {
            return Err(too_many(index));
        }
    }
    as_decimal(Decimal128Array::new(values.into(), nulls.cloned()), precision, scale)
}

fn too_many(index: usize) -> Fault {
    Fault { index, what: What::Digits("a number has more digits than its type says".into()) }
}

fn fixed_decimals(data: &[u8], width: usize, array: &ArrayRef) -> Result<Vec<i128>, Fault> {
    macro_rules! widths {
        ($($width:literal)*) => {
            match width {
                $($width => Ok(data.as_chunks::<$width>().0.iter().map(|bytes| {
                    let mut wide = [0; 16];
                    wide[..$width].copy_from_slice(bytes);
                    i128::from_be_bytes(wide) >> (8 * (16 - $width))
                }).collect()),)*
                _ => data.chunks_exact(width).enumerate().map(|(index, bytes)| match number(bytes) {
                    Some(number) => Ok(number),
                    None if array.is_null(index) => Ok(0),
                    None => Err(too_many(index)),
                }).collect(),
            }
        };
    }
    widths!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}

/// A big-endian two's complement of any length; `None` if it needs more than 128 bits. No bytes are zero.
fn number(bytes: &[u8]) -> Option<i128> {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let (fill, sign) = if negative { (0xff, -1) } else { (0, 0) };
    let cut = bytes.len().saturating_sub(16);
    let kept = &bytes[cut..];
    if bytes[..cut].iter().any(|byte| *byte != fill) || (cut > 0 && (kept[0] & 0x80 != 0) != negative) {
        return None;
    }
    Some(kept.iter().fold(sign, |number: i128, byte| (number << 8) | i128::from(*byte)))
}

fn long_decimal(array: &ArrayRef, scale: i32) -> Made {
    let value = |index: usize| -> Option<&[u8]> {
        match array.data_type() {
            DataType::FixedSizeBinary(_) => array.as_fixed_size_binary_opt().map(|all| all.value(index)),
            _ => array.as_binary_view_opt().map(|all| all.value(index)),
        }
    };
    let text = |index: usize| match array.is_valid(index) {
        true => value(index).and_then(|bytes| wide_text(bytes, scale)).map(Some).ok_or_else(|| too_many(index)),
        false => Ok(None),
    };
    let texts = (0..array.len()).map(text).collect::<Result<StringArray, _>>()?;
    Ok(Arc::new(texts))
}

fn wide_text(bytes: &[u8], scale: i32) -> Option<String> {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let fill = if negative { 0xff } else { 0 };
    let cut = bytes.len().saturating_sub(32);
    let kept = &bytes[cut..];
    if bytes[..cut].iter().any(|byte| *byte != fill) || (cut > 0 && (kept[0] & 0x80 != 0) != negative) {
        return None;
    }
    let mut wide = [fill; 32];
    wide[32 - kept.len()..].copy_from_slice(kept);
    let digits = i256::from_be_bytes(wide).to_string();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |digits| ("-", digits));
    let scale = usize::try_from(scale).ok()?;
    if scale == 0 {
        return Some(format!("{sign}{digits}"));
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    Some(format!("{sign}{whole}.{fraction}"))
}
