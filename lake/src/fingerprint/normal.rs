//! Arrow arrays brought into the one layout of their class, a batch at a time.
use arrow_array::{
    Array, ArrayRef, BinaryArray, LargeBinaryArray, OffsetSizeTrait,
    cast::AsArray,
    types::{Date32Type, Decimal128Type, Float64Type, Int64Type},
};
use arrow_schema::{DataType, TimeUnit};

use super::{
    class::{Class, Member, micros_per_tick},
    column::{Column, Offsets, Values},
};
use crate::{Error, Kind, Result};

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Every NaN becomes this one.
const NAN: i64 = 0x7ff8_0000_0000_0000;

/// A column of a batch in the layout of its class; `name` is for messages.
///
/// # Errors
/// [`Kind::UnsupportedFeature`] for a value without a canonical form.
pub fn column(array: &ArrayRef, class: &Class, name: &str) -> Result<Column> {
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        let values = arrow_select::take::take(dictionary.values(), dictionary.keys(), None).map_err(internal)?;
        return column(&values, class, name);
    }
    let nulls = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
    Ok(Column { tag: class.tag(), nulls, values: values(array, class, name)? })
}

fn values(array: &ArrayRef, class: &Class, name: &str) -> Result<Values> {
    Ok(match class {
        Class::Boolean => Values::Boolean(array.as_boolean().values().clone()),
        Class::Integer => Values::Eight(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().values().clone()),
        Class::Float => {
            let floats = cast(array, &DataType::Float64)?;
            let bits = |v: &f64| if v.is_nan() { NAN } else { v.to_bits() as i64 };
            Values::Eight(floats.as_primitive::<Float64Type>().values().iter().map(bits).collect())
        }
        Class::Decimal => {
            let scale = match array.data_type() {
                DataType::Decimal32(_, s) | DataType::Decimal64(_, s) | DataType::Decimal128(_, s) => *s,
                _ => 0,
            };
            let decimals = match array.data_type() {
                DataType::Decimal128(..) => array.clone(),
                _ => cast(array, &DataType::Decimal128(38, scale))?,
            };
            Values::Decimal(decimals.as_primitive::<Decimal128Type>().values().clone(), scale.unsigned_abs())
        }
        Class::Date => Values::Four(dates(array, name)?),
        Class::Time | Class::Timestamp | Class::TimestampTz => micros(array, name)?,
        Class::String | Class::Binary => bytes(array, name)?,
        Class::Uuid => Values::Uuid(array.as_fixed_size_binary().clone()),
        Class::List(item) => list(array, item, name)?,
        Class::Struct(members) => {
            let columns = array.as_struct();
            let member = |m: &Member| column(columns.column(m.index), &m.class, name);
            Values::Struct(members.iter().map(member).collect::<Result<_>>()?)
        }
        Class::Map(key, value) => {
            let map = array.as_map();
            let (offsets, first, len) = relative(map.value_offsets(), name)?;
            let keys = column(&map.keys().slice(first, len), key, name)?;
            Values::Map(offsets, Box::new(keys), Box::new(column(&map.values().slice(first, len), value, name)?))
        }
    })
}

fn dates(array: &ArrayRef, name: &str) -> Result<arrow_buffer::ScalarBuffer<i32>> {
    if *array.data_type() == DataType::Date32 {
        return Ok(array.as_primitive::<Date32Type>().values().clone());
    }
    let millis = cast(array, &DataType::Int64)?;
    let days = millis.as_primitive::<Int64Type>().try_unary::<_, Date32Type, _>(|v| {
        let whole = v.checked_mul(1000).filter(|micros| micros % MICROS_PER_DAY == 0);
        whole
            .and_then(|micros| i32::try_from(micros / MICROS_PER_DAY).ok())
            .ok_or_else(|| inexact(name, "a date with a time of day; cast it to a timestamp or to a date without one"))
    })?;
    Ok(days.values().clone())
}

fn micros(array: &ArrayRef, name: &str) -> Result<Values> {
    let unit = match array.data_type() {
        DataType::Time32(unit) | DataType::Time64(unit) | DataType::Timestamp(unit, _) => *unit,
        _ => TimeUnit::Microsecond,
    };
    // Times of 32 bits have no direct way to 64.
    let ticks =
        if matches!(array.data_type(), DataType::Time32(_)) { cast(array, &DataType::Int32)? } else { array.clone() };
    let ticks = cast(&ticks, &DataType::Int64)?;
    let ticks = ticks.as_primitive::<Int64Type>();
    let micros = match micros_per_tick(unit) {
        Some(1) => return Ok(Values::Eight(ticks.values().clone())),
        Some(factor) => ticks.try_unary::<_, Int64Type, _>(|v| {
            v.checked_mul(factor).ok_or_else(|| inexact(name, "a time beyond the range of microseconds"))
        }),
        None => ticks.try_unary::<_, Int64Type, _>(|v| {
            if v % 1000 == 0 {
                Ok(v / 1000)
            } else {
                Err(inexact(name, "a time finer than a microsecond; round it first"))
            }
        }),
    };
    Ok(Values::Eight(micros?.values().clone()))
}

fn bytes(array: &ArrayRef, name: &str) -> Result<Values> {
    Ok(match array.data_type() {
        DataType::Utf8 => Values::Bytes(BinaryArray::from(array.as_string::<i32>().clone())),
        DataType::Binary => Values::Bytes(array.as_binary::<i32>().clone()),
        DataType::Utf8View => Values::ViewBytes(array.as_string_view().clone().to_binary_view()),
        DataType::BinaryView => Values::ViewBytes(array.as_binary_view().clone()),
        DataType::FixedSizeBinary(_) => Values::FixedBytes(array.as_fixed_size_binary().clone()),
        large => {
            let large = match large {
                DataType::LargeUtf8 => LargeBinaryArray::from(array.as_string::<i64>().clone()),
                _ => array.as_binary::<i64>().clone(),
            };
            let longest = large.offsets().lengths().max().unwrap_or(0);
            u32::try_from(longest).map_err(|_| inexact(name, "a value of 4 GiB or more"))?;
            Values::LargeBytes(large)
        }
    })
}

fn list(array: &ArrayRef, item: &Class, name: &str) -> Result<Values> {
    let (offsets, items) = match array.data_type() {
        DataType::List(_) => window(array.as_list::<i32>(), name)?,
        DataType::LargeList(_) => window(array.as_list::<i64>(), name)?,
        _ => {
            let list = array.as_fixed_size_list();
            let size = usize::try_from(list.value_length()).map_err(internal)?;
            ((0..=list.len()).map(|row| row * size).collect(), list.values().slice(0, list.len() * size))
        }
    };
    Ok(Values::List(offsets, Box::new(column(&items, item, name)?)))
}

/// The part of the child that the lists of a (maybe sliced) array cover, and the offsets into it.
fn window<O: OffsetSizeTrait>(list: &arrow_array::GenericListArray<O>, name: &str) -> Result<(Offsets, ArrayRef)> {
    let (offsets, first, len) = relative(list.value_offsets(), name)?;
    Ok((offsets, list.values().slice(first, len)))
}

fn relative<O: OffsetSizeTrait>(offsets: &[O], name: &str) -> Result<(Offsets, usize, usize)> {
    let first = offsets.first().map_or(0, |o| o.as_usize());
    let len = offsets.last().map_or(0, |o| o.as_usize()) - first;
    u32::try_from(len).map_err(|_| inexact(name, "more than 4,294,967,295 list items in one batch"))?;
    Ok((offsets.iter().map(|o| o.as_usize() - first).collect(), first, len))
}

fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    arrow_cast::cast(array, to).map_err(internal)
}

fn inexact(name: &str, what: &str) -> Error {
    Error::new(Kind::UnsupportedFeature, format!("column `{name}` cannot be fingerprinted: it holds {what}"))
}

fn internal(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Kind::Internal, "a batch could not be brought into the form of its fingerprint").caused_by(cause)
}
