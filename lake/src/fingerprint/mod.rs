//! `icehaul-fp-1`: an order-independent SHA-256 fingerprint of rows (`docs/fingerprint.md` is the specification).
mod class;
mod column;
mod hasher;
mod normal;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use arrow_schema::Field;

use crate::{Error, Kind, Result};

pub use hasher::Hasher;

/// Whether the values of two columns can be compared: they are of one class, whatever width carries them.
#[must_use]
pub fn alike(a: &Field, b: &Field) -> bool {
    match (class::Class::of(a), class::Class::of(b)) {
        (Ok(a), Ok(b)) => a.same(&b),
        _ => false,
    }
}

/// The name of the algorithm, at the start of every text.
const NAME: &str = "icehaul-fp-1";

/// The SHA-256 of one row's values.
pub type RowDigest = [u8; 32];

/// The fingerprint of a set of rows: its columns' hash, the number of rows and the sum of their digests.
///
/// Text form: `icehaul-fp-1:<rows>:<columns, 64 hex>:<sum, 64 hex>`. Two are equal when their texts are; fingerprints
/// of the same columns add up over splits and appends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    columns: [u8; 32],
    rows: u64,
    /// Little-endian limbs of the sum modulo 2^256.
    sum: [u64; 4],
}

impl Fingerprint {
    /// The number of rows.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds a row.
    pub(crate) fn count(&mut self, row: &RowDigest) {
        self.rows = self.rows.wrapping_add(1);
        add(&mut self.sum, &limbs(row));
    }

    /// Adds the rows of `other`.
    ///
    /// # Errors
    /// [`crate::Kind::SchemaMismatch`] if the columns differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.columns != other.columns {
            return Err(Error::new(
                Kind::SchemaMismatch,
                "fingerprints of different columns do not add up: their column names or types differ",
            ));
        }
        self.rows = self.rows.wrapping_add(other.rows);
        add(&mut self.sum, &other.sum);
        Ok(())
    }
}

/// `sum += digest` modulo 2^256; both as little-endian limbs.
pub(crate) fn add(sum: &mut [u64; 4], digest: &[u64; 4]) {
    let mut carry = false;
    for (limb, more) in sum.iter_mut().zip(digest) {
        let (partial, first) = limb.overflowing_add(*more);
        let (total, second) = partial.overflowing_add(u64::from(carry));
        *limb = total;
        carry = first | second;
    }
}

/// A digest as a number: its first byte is the most significant.
pub(crate) fn limbs(digest: &[u8; 32]) -> [u64; 4] {
    let mut limbs = [0; 4];
    for (limb, bytes) in limbs.iter_mut().rev().zip(digest.as_chunks::<8>().0) {
        *limb = u64::from_be_bytes(*bytes);
    }
    limbs
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}:{}:", self.rows)?;
        self.columns.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(":")?;
        self.sum.iter().rev().try_for_each(|limb| write!(f, "{limb:016x}"))
    }
}

impl FromStr for Fingerprint {
    type Err = Error;

    /// # Errors
    /// [`Kind::Internal`] if the text is not what `Display` writes.
    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split(':');
        let fields = (parts.next(), parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(NAME), Some(rows), Some(columns), Some(sum), None) = fields else { return Err(malformed()) };
        let parsed =
            Self { rows: rows.parse().map_err(|_| malformed())?, columns: hex32(columns)?, sum: limbs(&hex32(sum)?) };
        // One text per fingerprint, so that texts can be compared: no upper case, no leading zeros or signs.
        if parsed.to_string() == text { Ok(parsed) } else { Err(malformed()) }
    }
}

fn hex32(text: &str) -> Result<[u8; 32]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(malformed()) };
    let pairs: &[[u8; 2]; 32] = pairs.try_into().map_err(|_| malformed())?;
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Ok(bytes)
}

fn digit(character: u8) -> Result<u8> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        _ => Err(malformed()),
    }
}

fn malformed() -> Error {
    Error::new(Kind::Internal, format!("not a fingerprint: expected `{NAME}:<rows>:<64 hex digits>:<64 hex digits>`"))
}
