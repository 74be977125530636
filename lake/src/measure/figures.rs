//! One column's figures.
use arrow_arith::aggregate::{max, max_binary, max_boolean, max_string, min, min_binary, min_boolean, min_string};
use arrow_array::{
    Array, ArrayRef, Int64Array,
    cast::AsArray,
    types::{Decimal128Type, Decimal256Type, DecimalType, Float64Type, Int64Type},
};
use arrow_buffer::i256;
use arrow_cast::{
    cast,
    display::{ArrayFormatter, FormatOptions},
};
use arrow_schema::{ArrowError, DataType, Field};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::write::hex;

/// So many characters or bytes of a text or binary are kept as its bound.
const KEPT: usize = 64;

/// The figures of one column over all rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ColumnFigures {
    /// The column.
    pub column: String,
    /// Values that are not null.
    pub values: u64,
    /// Nulls.
    pub nulls: u64,
    /// Values that are not a number, of floating-point columns.
    pub nans: Option<u64>,
    /// The least value as text; of texts and binaries their first 64 characters or bytes. Null for nested columns.
    pub min: Option<String>,
    /// The greatest value, in the same way.
    pub max: Option<String>,
    /// The exact sum, of integers and decimals.
    pub sum: Option<String>,
}

/// The figures under way.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    name: String,
    kind: DataType,
    values: u64,
    nulls: u64,
    range: Range,
}

/// The bounds and the sum by the kind of value.
#[derive(Clone, Debug)]
enum Range {
    /// Integers, dates, times; whether they are summed.
    Whole {
        bounds: Option<(i64, i64)>,
        sum: Option<i128>,
    },
    Decimal {
        bounds: Option<(i128, i128)>,
        sum: i256,
    },
    Float {
        bounds: Option<(f64, f64)>,
        nans: u64,
    },
    Boolean(Option<(bool, bool)>),
    Text(Option<(String, String)>),
    Bytes(Option<(Vec<u8>, Vec<u8>)>),
    /// Of nested values only nulls are counted.
    Nested,
}

impl Figures {
    pub(super) fn of(field: &Field) -> Self {
        use DataType as D;
        let range = match field.data_type() {
            D::Int8 | D::Int16 | D::Int32 | D::Int64 | D::UInt8 | D::UInt16 | D::UInt32 => {
                Range::Whole { bounds: None, sum: Some(0) }
            }
            D::Date32 | D::Time32(_) | D::Time64(_) | D::Timestamp(..) => Range::Whole { bounds: None, sum: None },
            D::Decimal128(..) => Range::Decimal { bounds: None, sum: i256::ZERO },
            D::Float16 | D::Float32 | D::Float64 => Range::Float { bounds: None, nans: 0 },
            D::Boolean => Range::Boolean(None),
            D::Utf8 | D::LargeUtf8 | D::Utf8View => Range::Text(None),
            D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => Range::Bytes(None),
            _ => Range::Nested,
        };
        Self { name: field.name().clone(), kind: field.data_type().clone(), values: 0, nulls: 0, range }
    }

    pub(super) fn add(&mut self, array: &ArrayRef) -> Result<(), ArrowError> {
        self.nulls += array.null_count() as u64;
        self.values += (array.len() - array.null_count()) as u64;
        if array.len() > array.null_count() {
            let more = self.range.of(array)?;
            self.range.merge(more);
        }
        Ok(())
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.values += other.values;
        self.nulls += other.nulls;
        self.range.merge(other.range);
    }

    pub(super) fn shown(&self) -> ColumnFigures {
        let (min, max) = self.range.bounds(&self.kind).unzip();
        let nans = if let Range::Float { nans, .. } = self.range { Some(nans) } else { None };
        let sum = match &self.range {
            Range::Whole { sum, .. } => sum.map(|sum| sum.to_string()),
            Range::Decimal { sum, .. } => Some(Decimal256Type::format_decimal(*sum, 76, scale(&self.kind))),
            _ => None,
        };
        ColumnFigures { column: self.name.clone(), values: self.values, nulls: self.nulls, nans, min, max, sum }
    }
}

impl Range {
    /// The range of an array that has a value.
    fn of(&self, array: &ArrayRef) -> Result<Self, ArrowError> {
        Ok(match self {
            Self::Whole { sum, .. } => {
                let array = as_type(array, &DataType::Int64)?;
                let array = array.as_primitive::<Int64Type>();
                let sum = sum.is_some().then(|| array.iter().flatten().map(i128::from).sum());
                Self::Whole { bounds: min(array).zip(max(array)), sum }
            }
            Self::Decimal { .. } => {
                let array = array.as_primitive::<Decimal128Type>();
                let sum =
                    array.iter().flatten().fold(i256::ZERO, |sum, value| sum.wrapping_add(i256::from_i128(value)));
                Self::Decimal { bounds: min(array).zip(max(array)), sum }
            }
            Self::Float { .. } => floats(&as_type(array, &DataType::Float64)?),
            Self::Boolean(_) => {
                let array = array.as_boolean();
                Self::Boolean(min_boolean(array).zip(max_boolean(array)))
            }
            Self::Text(_) => {
                let array = as_type(array, &DataType::Utf8)?;
                let array = array.as_string::<i32>();
                let kept = |text: &str| text.chars().take(KEPT).collect();
                Self::Text(min_string(array).map(kept).zip(max_string(array).map(kept)))
            }
            Self::Bytes(_) => {
                let array = as_type(array, &DataType::LargeBinary)?;
                let array = array.as_binary::<i64>();
                let kept = |bytes: &[u8]| bytes[..bytes.len().min(KEPT)].to_vec();
                Self::Bytes(min_binary(array).map(kept).zip(max_binary(array).map(kept)))
            }
            Self::Nested => Self::Nested,
        })
    }

    fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Whole { bounds, sum }, Self::Whole { bounds: more, sum: plus }) => {
                *bounds = wider(bounds.take(), more, i64::cmp);
                *sum = sum.zip(plus).map(|(sum, plus)| sum + plus);
            }
            (Self::Decimal { bounds, sum }, Self::Decimal { bounds: more, sum: plus }) => {
                *bounds = wider(bounds.take(), more, i128::cmp);
                *sum = sum.wrapping_add(plus);
            }
            (Self::Float { bounds, nans }, Self::Float { bounds: more, nans: plus }) => {
                *bounds = wider(bounds.take(), more, f64::total_cmp);
                *nans += plus;
            }
            (Self::Boolean(bounds), Self::Boolean(more)) => *bounds = wider(bounds.take(), more, bool::cmp),
            (Self::Text(bounds), Self::Text(more)) => *bounds = wider(bounds.take(), more, String::cmp),
            (Self::Bytes(bounds), Self::Bytes(more)) => *bounds = wider(bounds.take(), more, Vec::cmp),
            _ => {}
        }
    }

    fn bounds(&self, kind: &DataType) -> Option<(String, String)> {
        let both = |bounds: (String, String)| Some(bounds);
        match self {
            Self::Whole { bounds, .. } => bounds.map(|(low, high)| (whole(low, kind), whole(high, kind))),
            Self::Decimal { bounds, .. } => bounds.map(|(low, high)| {
                let text = |value| Decimal128Type::format_decimal(value, 38, scale(kind));
                (text(low), text(high))
            }),
            Self::Float { bounds, .. } => bounds.map(|(low, high)| (format!("{low:?}"), format!("{high:?}"))),
            Self::Boolean(bounds) => bounds.map(|(low, high)| (low.to_string(), high.to_string())),
            Self::Text(bounds) => bounds.clone().and_then(both),
            Self::Bytes(bounds) => bounds.as_ref().map(|(low, high)| (hex(low), hex(high))),
            Self::Nested => None,
        }
    }
}

/// Floating-point values with −0.0 below 0.0, and what is no number counted apart.
fn floats(array: &ArrayRef) -> Range {
    let (mut bounds, mut nans) = (None, 0);
    for value in array.as_primitive::<Float64Type>().iter().flatten() {
        if value.is_nan() {
            nans += 1;
        } else {
            bounds = wider(bounds, Some((value, value)), f64::total_cmp);
        }
    }
    Range::Float { bounds, nans }
}

/// The bounds that hold for both.
fn wider<T>(a: Option<(T, T)>, b: Option<(T, T)>, cmp: impl Fn(&T, &T) -> std::cmp::Ordering) -> Option<(T, T)> {
    match (a, b) {
        (Some(a), Some(b)) => {
            let low = if cmp(&b.0, &a.0).is_lt() { b.0 } else { a.0 };
            let high = if cmp(&b.1, &a.1).is_gt() { b.1 } else { a.1 };
            Some((low, high))
        }
        (a, b) => a.or(b),
    }
}

/// The same values in a layout that this code knows.
fn as_type(array: &ArrayRef, kind: &DataType) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        own if own == kind => Ok(array.clone()),
        DataType::Date32 | DataType::Time32(_) if *kind == DataType::Int64 => {
            cast(&cast(array, &DataType::Int32)?, kind)
        }
        DataType::FixedSizeBinary(_) if *kind == DataType::LargeBinary => cast(&cast(array, &DataType::Binary)?, kind),
        _ => cast(array, kind),
    }
}

/// A number as the value that it stands for.
fn whole(value: i64, kind: &DataType) -> String {
    let array: ArrayRef = std::sync::Arc::new(Int64Array::from(vec![value]));
    let array = match kind {
        DataType::Date32 | DataType::Time32(_) => cast(&array, &DataType::Int32).and_then(|days| cast(&days, kind)),
        _ => cast(&array, kind),
    };
    let shown = array.and_then(|array| {
        Ok(ArrayFormatter::try_new(&array, &FormatOptions::default())?.value(0).try_to_string().unwrap_or_default())
    });
    shown.unwrap_or_else(|_| value.to_string())
}

const fn scale(kind: &DataType) -> i8 {
    match kind {
        DataType::Decimal128(_, scale) => *scale,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        BinaryArray, Date32Array, Decimal128Array, Float64Array, StringArray, TimestampMicrosecondArray,
    };

    use super::*;

    fn figures(parts: Vec<ArrayRef>) -> ColumnFigures {
        let field = Field::new("c", parts[0].data_type().clone(), true);
        let mut all = Figures::of(&field);
        for part in parts {
            let mut one = Figures::of(&field);
            one.add(&part).expect("a column");
            all.merge(one);
        }
        all.shown()
    }

    fn told(parts: Vec<ArrayRef>) -> [Option<String>; 3] {
        let shown = figures(parts);
        [shown.min, shown.max, shown.sum]
    }

    fn texts(min: &str, max: &str, sum: Option<&str>) -> [Option<String>; 3] {
        [Some(min.to_owned()), Some(max.to_owned()), sum.map(str::to_owned)]
    }

    #[test]
    fn sums_are_exact_beyond_the_type() {
        let big: ArrayRef = Arc::new(Int64Array::from(vec![Some(i64::MAX), None, Some(i64::MAX)]));
        assert_eq!(
            told(vec![big.clone(), big]),
            texts("9223372036854775807", "9223372036854775807", Some("36893488147419103228"))
        );
        let cents = Decimal128Array::from(vec![Some(-1), Some(i128::pow(10, 37))]).with_precision_and_scale(38, 2);
        let cents: ArrayRef = Arc::new(cents.expect("decimal"));
        assert_eq!(told(vec![cents.clone(), cents])[2].as_deref(), Some("199999999999999999999999999999999999.98"));
    }

    #[test]
    fn signs_of_zero_and_what_is_no_number_are_told_apart() {
        let floats = |values: Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from(values)) };
        let shown = figures(vec![floats(vec![0.0]), floats(vec![-0.0, f64::NAN, f64::NAN])]);
        assert_eq!((shown.min.as_deref(), shown.max.as_deref(), shown.nans), (Some("-0.0"), Some("0.0"), Some(2)));
        assert_eq!((shown.values, shown.nulls, shown.sum), (4, 0, None));
    }

    #[test]
    fn values_are_shown_as_what_they_are() {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![-719_162, 0]));
        assert_eq!(told(vec![days]), texts("0001-01-01", "1970-01-01", None));
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1]).with_timezone("+00:00"));
        assert_eq!(told(vec![times])[0].as_deref(), Some("1970-01-01T00:00:00.000001Z"));
        let bytes: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"\x00\xff", b""]));
        assert_eq!(told(vec![bytes]), texts("", "00ff", None));
        let long = "ä".repeat(100);
        let words: ArrayRef = Arc::new(StringArray::from(vec![Some(""), None, Some(&long)]));
        assert_eq!(told(vec![words]), texts("", &"ä".repeat(64), None));
        let none: ArrayRef = Arc::new(Int64Array::from(vec![None]));
        assert_eq!(told(vec![none]), [None, None, Some("0".to_owned())]);
    }
}
