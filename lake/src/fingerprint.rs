//! `icehaul-fp-1`: an order-independent SHA-256 fingerprint of rows (`docs/fingerprint.md` is the specification).
use std::{fmt, str::FromStr};

use arrow_array::RecordBatch;
use arrow_schema::Schema;

use crate::{Error, Result};

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

    /// Adds the rows of `other`.
    ///
    /// # Errors
    /// [`crate::Kind::SchemaMismatch`] if the columns differ.
    pub fn merge(&mut self, _other: &Self) -> Result<()> {
        unimplemented!()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        unimplemented!()
    }
}

impl FromStr for Fingerprint {
    type Err = Error;
    fn from_str(_text: &str) -> Result<Self> {
        unimplemented!()
    }
}

/// Takes batches and gives their fingerprint. One per reader; merge the results.
pub struct Hasher {}

impl Hasher {
    /// A hasher of the named columns of `schema` (all of them if `columns` is `None`).
    ///
    /// # Errors
    /// [`crate::Kind::SchemaMismatch`] for a column that is not there, [`crate::Kind::UnsupportedFeature`] for a type
    /// without a canonical form.
    pub fn new(_schema: &Schema, _columns: Option<&[String]>) -> Result<Self> {
        unimplemented!()
    }

    /// Adds the rows of a batch with the schema given to `new`.
    ///
    /// # Errors
    /// None are expected; a batch of another schema gives [`crate::Kind::Internal`].
    pub fn add(&mut self, _batch: &RecordBatch) -> Result<()> {
        unimplemented!()
    }

    /// The fingerprint of what was added.
    #[must_use]
    pub fn finish(self) -> Fingerprint {
        unimplemented!()
    }
}
