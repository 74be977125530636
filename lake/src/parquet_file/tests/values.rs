//! Values at the edges of their types.
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, Decimal128Array, FixedSizeBinaryArray, Int32Array, Int64Array,
    cast::AsArray,
    types::{Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType},
};
use arrow_schema::DataType;
use parquet::basic::Type as Physical;

use super::super::{
    convert::{Fault, What, leaf},
    types::{Leaf, Meaning, Tick},
};

const MOST: usize = 1 << 20;

fn made(physical: Physical, length: i32, meaning: Meaning, array: ArrayRef) -> Result<ArrayRef, Fault> {
    leaf(&Leaf { physical, length, meaning }, &array, MOST)
}

fn longs(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn fixed(values: &[&[u8]]) -> ArrayRef {
    Arc::new(FixedSizeBinaryArray::try_from_iter(values.iter()).expect("values of one length"))
}

#[test]
fn integers_keep_their_values() {
    let small = Meaning::Small { bits: 8, signed: true };
    let ints = |values: Vec<i32>| Arc::new(Int32Array::from(values)) as ArrayRef;
    assert!(made(Physical::INT32, -1, small, ints(vec![-128, 127])).is_ok());
    let fault = made(Physical::INT32, -1, small, ints(vec![0, 128])).expect_err("9 bits");
    assert_eq!(fault.index, 1);
    let wide = made(Physical::INT32, -1, Meaning::Unsigned32, ints(vec![-1, 7])).expect("32 bits");
    assert_eq!(wide.as_primitive::<Int64Type>().values(), &[4_294_967_295, 7]);
    let wide = made(Physical::INT64, -1, Meaning::Unsigned64, longs(&[Some(-1), None])).expect("64 bits");
    assert_eq!(wide.data_type(), &DataType::Decimal128(20, 0));
    assert_eq!(wide.as_primitive::<Decimal128Type>().value(0), 18_446_744_073_709_551_615);
}

#[test]
fn decimals_of_every_storage_are_exact() {
    let decimal = Meaning::Decimal { precision: 5, scale: 2 };
    let bytes: ArrayRef = fixed(&[&[0xff, 0xff, 0xfe], &[0x01, 0x86, 0x9f]]);
    let read = made(Physical::FIXED_LEN_BYTE_ARRAY, 3, decimal, bytes).expect("five digits");
    assert_eq!(
        read.as_ref(),
        &Decimal128Array::from(vec![-2, 99_999]).with_precision_and_scale(5, 2).expect("five digits") as &dyn Array
    );
    let long = fixed(&[&[0xff; 20]]);
    let read = made(Physical::FIXED_LEN_BYTE_ARRAY, 20, decimal, long).expect("a long -1");
    assert_eq!(read.as_primitive::<Decimal128Type>().value(0), -1);
    for too_long in [fixed(&[&[0x01, 0x86, 0xa0]]), fixed(&[&[0x80, 0, 0]])] {
        let fault = made(Physical::FIXED_LEN_BYTE_ARRAY, 3, decimal, too_long).expect_err("six digits");
        assert!(matches!(fault.what, What::Digits(_)));
    }
    let long = Meaning::LongDecimal { precision: 60, scale: 3 };
    let mut value = [0; 25];
    value[0] = 0x80;
    let read = made(Physical::FIXED_LEN_BYTE_ARRAY, 25, long, fixed(&[&value, &[0xff; 25]])).expect("text");
    let texts: Vec<_> = read.as_string::<i32>().iter().flatten().collect();
    // -2^199, and -1.
    assert_eq!(texts, ["-803469022129495137770981046170581301261101496891396417650.688", "-0.001"]);
}

#[test]
fn a_fraction_of_a_microsecond_is_not_cut_off() {
    let nanos = Meaning::Timestamp { tick: Tick::Nanos, utc: true };
    let read = made(Physical::INT64, -1, nanos, longs(&[Some(-1000), None])).expect("whole");
    assert_eq!(read.data_type(), &DataType::Timestamp(arrow_schema::TimeUnit::Microsecond, Some("UTC".into())));
    assert_eq!(read.as_primitive::<TimestampMicrosecondType>().value(0), -1);
    assert_eq!(made(Physical::INT64, -1, nanos, longs(&[None, Some(999)])).expect_err("999 ns").index, 1);
    let millis = Meaning::Timestamp { tick: Tick::Millis, utc: false };
    assert_eq!(made(Physical::INT64, -1, millis, longs(&[Some(i64::MAX)])).expect_err("too far").index, 0);
}

#[test]
fn int96_is_exact_in_all_years_that_fit() {
    let value = |nanos: i64, day: i32| [nanos.to_le_bytes().as_slice(), &day.to_le_bytes()].concat();
    let read = |values: &[Vec<u8>]| {
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        made(Physical::INT96, -1, Meaning::Int96, fixed(&values))
    };
    // The year 1, which no 64-bit number of nanoseconds reaches.
    let times = read(&[value(1000, 1_721_426), value(0, 2_440_588)]).expect("whole");
    assert_eq!(times.as_primitive::<TimestampMicrosecondType>().values(), &[-62_135_596_799_999_999, 0]);
    assert_eq!(read(&[value(0, 2_440_588), value(1, 2_440_588)]).expect_err("a nanosecond").index, 1);
    assert!(read(&[value(0, i32::MAX)]).is_err());
}

#[test]
fn times_of_a_day_end_before_midnight() {
    let millis = Meaning::Time { tick: Tick::Millis, utc: true };
    let ints = |value| Arc::new(Int32Array::from(vec![value])) as ArrayRef;
    assert!(made(Physical::INT32, -1, millis, ints(86_399_999)).is_ok());
    assert!(made(Physical::INT32, -1, millis, ints(86_400_000)).is_err());
    assert!(made(Physical::INT32, -1, millis, ints(-1)).is_err());
}

#[test]
fn half_floats_and_intervals() {
    let halves = made(Physical::FIXED_LEN_BYTE_ARRAY, 2, Meaning::Half, fixed(&[&[0x00, 0x3c], &[0x00, 0xfc]]));
    let halves = halves.expect("floats");
    assert_eq!(halves.as_primitive::<arrow_array::types::Float32Type>().values(), &[1.0, f32::NEG_INFINITY]);
    let value = [14_u32, 3, 61_005].map(u32::to_le_bytes).concat();
    let texts = made(Physical::FIXED_LEN_BYTE_ARRAY, 12, Meaning::Interval, fixed(&[&value])).expect("text");
    assert_eq!(texts.as_string::<i32>().value(0), "P14M3DT61.005S");
}

#[test]
fn an_array_of_another_type_is_refused() {
    let ints: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    assert_eq!(ints.as_primitive::<Int32Type>().value(0), 1);
    assert_eq!(made(Physical::INT64, -1, Meaning::Plain, ints), Err(Fault::broken()));
}
