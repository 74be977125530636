//! Values of the driver, appended to Arrow columns.
use std::{fmt, sync::Arc};

use arrow_array::{
    ArrayRef, RecordBatch, RecordBatchOptions,
    builder::{
        BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int32Builder,
        Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
    },
};
use chrono::NaiveDate;
use mysql_async::{Row, Value};

use super::{
    fault,
    types::{Carried, Layout},
};
use crate::{
    Code, Error, Result,
    config::Limits,
    source::database::{BATCH_BYTES, BATCH_ROWS},
};

/// Why a value cannot be carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not what its type promises.
    Malformed,
    /// A date such as `0000-00-00` or `2024-02-00`.
    NoDate,
    /// More digits than the decimal has.
    TooManyDigits,
    /// Text that is not UTF-8.
    NotText,
    /// Text with bytes that its character set has no character for.
    Unmapped,
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
            Self::NoDate => f.write_str(
                "is no day of the calendar (such as 0000-00-00), which the table's type cannot be; make it NULL in the \
                 query, cast the column to char, or leave such rows out",
            ),
            Self::TooManyDigits => {
                f.write_str("has more digits than the table's decimal can hold; cast the column to char")
            }
            Self::NotText => f.write_str("is text that is not UTF-8; cast the column to binary"),
            Self::Unmapped => f.write_str(
                "has bytes that are no character of the column's character set, so that MySQL would make question marks of \
                 them; cast the column to binary, or mend them",
            ),
            Self::TooLarge(bytes) => write!(
                f,
                "has {bytes} bytes, more than `limits.max_cell_bytes` permits; raise it, or leave the column out"
            ),
        }
    }
}

/// The values of one column of the batch that is being built.
enum Values {
    Bool(BooleanBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Decimal { values: Decimal128Builder, scale: u8, limit: i128 },
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Time { values: StringBuilder, digits: u8 },
    Text(StringBuilder),
    Binary(BinaryBuilder),
    Bits { values: BinaryBuilder, bytes: u8 },
}

/// Calls the same method of whatever builder it is.
macro_rules! each {
    ($values:expr, $builder:ident => $call:expr) => {
        match $values {
            Values::Bool($builder) => $call,
            Values::Int($builder) => $call,
            Values::Long($builder) => $call,
            Values::Float($builder) => $call,
            Values::Double($builder) => $call,
            Values::Decimal { values: $builder, .. } => $call,
            Values::Date($builder) => $call,
            Values::Timestamp($builder) => $call,
            Values::Time { values: $builder, .. } | Values::Text($builder) => $call,
            Values::Binary($builder) | Values::Bits { values: $builder, .. } => $call,
        }
    };
}

impl Values {
    fn new(kind: Carried) -> Self {
        let decimal = |scale, precision: u8| Self::Decimal {
            values: Decimal128Builder::new().with_data_type(kind.arrow()),
            scale,
            limit: 10_i128.pow(precision.into()),
        };
        match kind {
            Carried::Bool => Self::Bool(BooleanBuilder::new()),
            Carried::Int => Self::Int(Int32Builder::new()),
            Carried::Long => Self::Long(Int64Builder::new()),
            Carried::Unsigned => decimal(0, 20),
            Carried::Float => Self::Float(Float32Builder::new()),
            Carried::Double => Self::Double(Float64Builder::new()),
            Carried::Decimal { precision, scale } => decimal(scale, precision),
            Carried::Date => Self::Date(Date32Builder::new()),
            Carried::Timestamp | Carried::TimestampTz => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(kind.arrow()))
            }
            Carried::Time { digits } => Self::Time { values: StringBuilder::new(), digits },
            Carried::Text => Self::Text(StringBuilder::new()),
            Carried::Binary => Self::Binary(BinaryBuilder::new()),
            Carried::Bits { bytes } => Self::Bits { values: BinaryBuilder::new(), bytes },
        }
    }

    fn push(&mut self, value: &Value) -> Result<(), Fault> {
        if *value == Value::NULL {
            each!(self, builder => builder.append_null());
            return Ok(());
        }
        match (self, value) {
            (Self::Bool(to), Value::Int(bit @ (0 | 1))) => to.append_value(*bit == 1),
            (Self::Bits { values, bytes }, Value::Int(n)) => values.append_value(bits(n.to_be_bytes(), *bytes)?),
            (Self::Bits { values, bytes }, Value::UInt(n)) => values.append_value(bits(n.to_be_bytes(), *bytes)?),
            (Self::Int(to), Value::Int(n)) => to.append_value(i32::try_from(*n).map_err(|_| Fault::Malformed)?),
            (Self::Long(to), Value::Int(n)) => to.append_value(*n),
            (Self::Float(to), Value::Float(n)) => to.append_value(*n),
            (Self::Double(to), Value::Double(n)) => to.append_value(*n),
            (Self::Decimal { values, .. }, Value::Int(n)) => values.append_value((*n).into()),
            (Self::Decimal { values, .. }, Value::UInt(n)) => values.append_value((*n).into()),
            (Self::Decimal { values, scale, limit }, Value::Bytes(text)) => {
                values.append_value(unscaled(text, *scale, *limit)?);
            }
            (Self::Date(to), Value::Date(y, m, d, ..)) => to.append_value(date(*y, *m, *d)?),
            (Self::Timestamp(to), Value::Date(y, m, d, hour, minute, second, micros)) => {
                let time = (u64::from(*hour) * 60 + u64::from(*minute)) * 60 + u64::from(*second);
                let micros = i64::try_from(time * 1_000_000 + u64::from(*micros)).map_err(|_| Fault::Malformed)?;
                to.append_value(i64::from(date(*y, *m, *d)?) * DAY_MICROS + micros);
            }
            (Self::Time { values, digits }, Value::Time(negative, days, hours, minutes, seconds, micros)) => {
                let span = (u64::from(*days) * 24 + u64::from(*hours), *minutes, *seconds, *micros);
                values.append_value(time(*negative, span, *digits));
            }
            (Self::Text(to), Value::Bytes(text)) => {
                to.append_value(std::str::from_utf8(text).map_err(|_| Fault::NotText)?);
            }
            (Self::Binary(to), Value::Bytes(bytes)) => to.append_value(bytes),
            _ => return Err(Fault::Malformed),
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        each!(self, builder => Arc::new(builder.finish()))
    }
}

/// The last bytes of a number; those before them must be zero.
fn bits(number: [u8; 8], bytes: u8) -> Result<Vec<u8>, Fault> {
    let (before, last) = number.split_at(8_usize.saturating_sub(bytes.into()));
    if before.iter().all(|byte| *byte == 0) { Ok(last.to_vec()) } else { Err(Fault::Malformed) }
}

const DAY_MICROS: i64 = 86_400_000_000;

fn date(year: u16, month: u8, day: u8) -> Result<i32, Fault> {
    // MySQL has a year 0 only in dates that are none.
    let date = NaiveDate::from_ymd_opt(year.into(), month.into(), day.into()).filter(|_| year > 0);
    date.map(|date| date.to_epoch_days()).ok_or(Fault::NoDate)
}

/// A span as MySQL prints it.
fn time(negative: bool, (hours, minutes, seconds, micros): (u64, u8, u8, u32), digits: u8) -> String {
    let sign = if negative { "-" } else { "" };
    let whole = format!("{sign}{hours:02}:{minutes:02}:{seconds:02}");
    match usize::from(digits) {
        0 => whole,
        digits => format!("{whole}.{}", &format!("{micros:06}")[..digits.min(6)]),
    }
}

/// The decimal number times 10^`scale`, exactly.
fn unscaled(text: &[u8], scale: u8, limit: i128) -> Result<i128, Fault> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        digits => (false, digits),
    };
    let mut parts = digits.splitn(2, |byte| *byte == b'.');
    let (whole, fraction) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let missing = usize::from(scale).checked_sub(fraction.len()).ok_or(Fault::TooManyDigits)?;
    let mut value = 0_i128;
    for digit in whole.iter().chain(fraction).chain(std::iter::repeat_n(&b'0', missing)) {
        if !digit.is_ascii_digit() {
            return Err(Fault::Malformed);
        }
        value = value.checked_mul(10).and_then(|v| v.checked_add((digit - b'0').into())).ok_or(Fault::TooManyDigits)?;
    }
    match value < limit && !digits.is_empty() {
        true => Ok(if negative { -value } else { value }),
        false if digits.is_empty() => Err(Fault::Malformed),
        false => Err(Fault::TooManyDigits),
    }
}

#[cold]
fn refuse(layout: &Layout, before: u64, column: usize, fault: Fault) -> Error {
    let (number, name) = (before + 1, layout.schema.field(column).name());
    Error::new(fault.code(), format!("row {number}, column `{name}`: the value {fault}"))
}

/// Takes rows and gives batches.
pub(super) struct Batch {
    layout: Layout,
    columns: Vec<Values>,
    max_cell_bytes: usize,
    /// Rows and bytes of the batch under way.
    rows: usize,
    bytes: usize,
    /// Rows of the batches before it.
    done: u64,
}

impl Batch {
    pub(super) fn new(layout: Layout, limits: &Limits) -> Self {
        let columns = layout.kinds.iter().map(|kind| Values::new(*kind)).collect();
        Self { layout, columns, max_cell_bytes: limits.max_cell_bytes, rows: 0, bytes: 0, done: 0 }
    }

    /// Takes a row.
    ///
    /// # Errors
    /// [`Code::UnrepresentableValue`], [`Code::DecimalOverflow`] or [`Code::CellTooLarge`] with row and column.
    pub(super) fn push(&mut self, row: &Row) -> Result<()> {
        for (index, column) in self.columns.iter_mut().enumerate() {
            let value = row.as_ref(index).ok_or_else(fault::interrupted)?;
            let size = if let Value::Bytes(bytes) = value { bytes.len() } else { size_of::<i64>() };
            self.bytes += size;
            let pushed = if size > self.max_cell_bytes { Err(Fault::TooLarge(size)) } else { column.push(value) };
            pushed.map_err(|fault| refuse(&self.layout, self.done + self.rows as u64, index, fault))?;
        }
        for (number, index) in self.layout.checked.iter().enumerate() {
            if row.as_ref(self.columns.len() + number) != Some(&Value::Int(1)) {
                return Err(refuse(&self.layout, self.done + self.rows as u64, *index, Fault::Unmapped));
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Whether the batch under way is large enough.
    pub(super) const fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// The rows taken since the last batch, if there are any.
    ///
    /// # Errors
    /// [`Code::Internal`].
    pub(super) fn take(&mut self) -> Result<Option<RecordBatch>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let arrays: Vec<_> = self.columns.iter_mut().map(Values::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(self.layout.schema.clone(), arrays, &options)
            .map_err(|e| Error::new(Code::Internal, "the columns do not make a batch").caused_by(e))?;
        self.done += self.rows as u64;
        (self.rows, self.bytes) = (0, 0);
        Ok(Some(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        let limit = 10_i128.pow(10);
        for (text, value) in [
            ("12.34", Ok(12_340)),
            ("-0.001", Ok(-1)),
            ("0", Ok(0)),
            ("-7", Ok(-7000)),
            (".5", Ok(500)),
            ("1.2345", Err(Fault::TooManyDigits)),
            ("9999999.999", Ok(9_999_999_999)),
            ("10000000", Err(Fault::TooManyDigits)),
            ("1e5", Err(Fault::Malformed)),
            ("", Err(Fault::Malformed)),
            ("-", Err(Fault::Malformed)),
            ("1.2.3", Err(Fault::Malformed)),
        ] {
            assert_eq!(unscaled(text.as_bytes(), 3, limit), value, "{text}");
        }
    }

    #[test]
    fn days_that_are_none_are_refused() {
        assert_eq!(date(1970, 1, 2), Ok(1));
        assert_eq!(date(1000, 1, 1), Ok(-354_285));
        for (y, m, d) in [(0, 0, 0), (2024, 2, 0), (2023, 2, 29), (0, 1, 1)] {
            assert_eq!(date(y, m, d), Err(Fault::NoDate), "{y}-{m}-{d}");
        }
    }

    #[test]
    fn spans_are_printed_as_mysql_does() {
        assert_eq!(time(true, (838, 59, 59, 0), 0), "-838:59:59");
        assert_eq!(time(false, (1, 2, 3, 450_000), 2), "01:02:03.45");
        assert_eq!(time(false, (0, 0, 0, 1), 6), "00:00:00.000001");
    }
}
