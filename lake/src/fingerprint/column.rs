//! The canonical bytes of a value, from arrays that are in their class's one layout.
use arrow_array::{BinaryArray, BinaryViewArray, FixedSizeBinaryArray, LargeBinaryArray};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};

use super::class::{NULL, length};

/// A column (or nested values) of a batch, ready to be encoded value by value.
pub struct Column {
    pub tag: u8,
    /// `None` when no value is null.
    pub nulls: Option<NullBuffer>,
    pub values: Values,
}

/// The values in the few layouts that the encoder knows: an enum and not a trait, so that it stays inlined.
pub enum Values {
    Boolean(BooleanBuffer),
    /// Dates.
    Four(ScalarBuffer<i32>),
    /// Integers, times and timestamps as they are, floats as bits.
    Eight(ScalarBuffer<i64>),
    /// Unscaled values and their common scale.
    Decimal(ScalarBuffer<i128>, u8),
    Bytes(BinaryArray),
    LargeBytes(LargeBinaryArray),
    ViewBytes(BinaryViewArray),
    FixedBytes(FixedSizeBinaryArray),
    Uuid(FixedSizeBinaryArray),
    List(Offsets, Box<Column>),
    Struct(Vec<Column>),
    Map(Offsets, Box<Column>, Box<Column>),
}

/// Where each list begins in the child, and where the last one ends.
pub type Offsets = Vec<usize>;

impl Column {
    /// Appends the value of a row: a tag and its canonical bytes, or the tag of a null.
    #[inline]
    pub fn append(&self, row: usize, out: &mut Vec<u8>) {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            out.push(NULL);
            return;
        }
        match &self.values {
            Values::Boolean(values) => out.extend_from_slice(&[self.tag, u8::from(values.value(row))]),
            Values::Four(values) => self.append_fixed(values[row].to_le_bytes(), out),
            Values::Eight(values) => self.append_fixed(values[row].to_le_bytes(), out),
            Values::Decimal(values, scale) => self.append_decimal(values[row], *scale, out),
            Values::Bytes(values) => self.append_bytes(values.value(row), out),
            Values::LargeBytes(values) => self.append_bytes(values.value(row), out),
            Values::ViewBytes(values) => self.append_bytes(values.value(row), out),
            Values::FixedBytes(values) => self.append_bytes(values.value(row), out),
            _ => self.append_rare(row, out),
        }
    }

    /// The layouts that are rare or recursive, kept out of the hot loop.
    #[cold]
    fn append_rare(&self, row: usize, out: &mut Vec<u8>) {
        out.push(self.tag);
        match &self.values {
            Values::Uuid(values) => out.extend_from_slice(values.value(row)),
            Values::List(offsets, items) => {
                let range = offsets[row]..offsets[row + 1];
                out.extend_from_slice(&length(range.len()));
                range.for_each(|item| items.append(item, out));
            }
            Values::Struct(members) => members.iter().for_each(|member| member.append(row, out)),
            Values::Map(offsets, keys, values) => append_map(offsets[row]..offsets[row + 1], keys, values, out),
            _ => {}
        }
    }

    #[inline]
    fn append_fixed<const N: usize>(&self, bytes: [u8; N], out: &mut Vec<u8>) {
        out.reserve(1 + N);
        out.push(self.tag);
        out.extend_from_slice(&bytes);
    }

    #[inline]
    fn append_bytes(&self, bytes: &[u8], out: &mut Vec<u8>) {
        out.reserve(5 + bytes.len());
        out.push(self.tag);
        out.extend_from_slice(&length(bytes.len()));
        out.extend_from_slice(bytes);
    }

    /// Scale, length and the shortest big-endian two's complement of the value without trailing zeros.
    #[inline]
    fn append_decimal(&self, unscaled: i128, scale: u8, out: &mut Vec<u8>) {
        let (unscaled, scale) = match i64::try_from(unscaled) {
            // Division of 64 bits is several times as fast.
            Ok(mut narrow) => {
                let scale = strip(&mut narrow, scale, |v| (*v % 10 == 0).then_some(*v / 10));
                (i128::from(narrow), scale)
            }
            Err(_) => {
                let mut wide = unscaled;
                let scale = strip(&mut wide, scale, |v| (*v % 10 == 0).then_some(*v / 10));
                (wide, scale)
            }
        };
        // One bit for the sign beside those that carry the value.
        let significant = 128 - (unscaled ^ (unscaled >> 127)).leading_zeros() as usize;
        let len = significant / 8 + 1;
        out.extend_from_slice(&[self.tag, scale, len as u8]);
        out.extend_from_slice(&unscaled.to_be_bytes()[16 - len..]);
    }
}

/// Divides by ten while nothing is lost and the scale is above zero; gives the scale that is left.
#[inline]
fn strip<T>(value: &mut T, mut scale: u8, tenth: impl Fn(&T) -> Option<T>) -> u8 {
    while scale > 0 {
        let Some(shorter) = tenth(value) else { break };
        *value = shorter;
        scale -= 1;
    }
    scale
}

/// Entries sorted by their bytes: the order of a map means nothing.
fn append_map(range: std::ops::Range<usize>, keys: &Column, values: &Column, out: &mut Vec<u8>) {
    out.extend_from_slice(&length(range.len()));
    let mut entries: Vec<Vec<u8>> = range
        .map(|entry| {
            let mut bytes = Vec::new();
            keys.append(entry, &mut bytes);
            values.append(entry, &mut bytes);
            bytes
        })
        .collect();
    entries.sort_unstable();
    entries.iter().for_each(|entry| out.extend_from_slice(entry));
}
