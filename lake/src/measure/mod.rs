//! Rows in figures: the fingerprint, and beside it each column's counts, bounds and sum, and a sample of whole rows. Whatever
//! order the rows come in and however they are shared out, the figures are the same; so they can be compared.
mod differ;
mod figures;
mod sample;
mod streams;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use crate::{Error, Fingerprint, Kind, Result, fingerprint::Hasher};

pub use differ::{
    By, Differences, DifferingRow, PartitionDiffering, Partitioning, PartitionsDiffering, Reread, Rows, differences,
};
pub use figures::ColumnFigures;
use figures::Figures;
use sample::Sample;
pub use sample::SampledRow;
pub(crate) use streams::{Taker, measure, share};

/// How much is measured beside the fingerprint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Each column's figures.
    pub figures: bool,
    /// So many rows, chosen by their digests: the same ones wherever the same rows are.
    pub sample: usize,
}

/// Takes batches and gives their measure. One per reader; merge the results.
pub struct Measurer {
    hasher: Hasher,
    /// The columns that are measured, by their places.
    columns: Vec<usize>,
    figures: Vec<Figures>,
    sample: Sample,
}

/// The measure of a set of rows.
#[derive(Clone, Debug)]
pub struct Measured {
    fingerprint: Fingerprint,
    figures: Vec<Figures>,
    sample: Sample,
}

impl Measurer {
    /// A measurer of the named columns of `schema`, all of them if `columns` is `None`.
    ///
    /// # Errors
    /// As [`Hasher::new`].
    pub fn new(schema: &SchemaRef, columns: Option<&[String]>, depth: Depth) -> Result<Self> {
        let hasher = Hasher::new(schema, columns)?;
        let columns = match columns {
            None => (0..schema.fields().len()).collect(),
            Some(names) => names.iter().filter_map(|name| schema.index_of(name).ok()).collect::<Vec<_>>(),
        };
        let chosen = Arc::new(schema.project(&columns).unwrap_or_else(|_| Schema::empty()));
        let figures =
            if depth.figures { chosen.fields().iter().map(|field| Figures::of(field)).collect() } else { vec![] };
        Ok(Self { hasher, columns, figures, sample: Sample::new(depth.sample) })
    }

    /// Adds the rows of a batch with the schema given to `new`.
    ///
    /// # Errors
    /// As [`Hasher::add`].
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let chosen = batch.project(&self.columns).map_err(misfit)?;
        for (figures, column) in self.figures.iter_mut().zip(chosen.columns()) {
            figures.add(column).map_err(misfit)?;
        }
        let mut offers = Vec::new();
        self.hasher.add_seen(batch, |row, digest| {
            if self.sample.wants(digest) {
                offers.push((row, *digest));
            }
        })?;
        self.sample.take(&chosen, offers).map_err(misfit)
    }

    /// The measure of what was added.
    #[must_use]
    pub fn finish(self) -> Measured {
        Measured { fingerprint: self.hasher.finish(), figures: self.figures, sample: self.sample }
    }
}

impl Measured {
    /// The fingerprint.
    #[must_use]
    pub const fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Each column's figures, if they were asked for.
    #[must_use]
    pub fn columns(&self) -> Vec<ColumnFigures> {
        self.figures.iter().map(Figures::shown).collect()
    }

    /// The sampled rows, in the order of their digests.
    #[must_use]
    pub fn sample(&self) -> Vec<SampledRow> {
        self.sample.rows()
    }

    /// Adds the rows of `other`, which was measured in the same way.
    ///
    /// # Errors
    /// [`Kind::SchemaMismatch`] if the columns differ.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        self.fingerprint.merge(&other.fingerprint)?;
        for (figures, more) in self.figures.iter_mut().zip(other.figures) {
            figures.merge(more);
        }
        self.sample.merge(other.sample);
        Ok(())
    }
}

fn misfit(cause: arrow_schema::ArrowError) -> Error {
    Error::new(Kind::Internal, "a batch of another schema came to be measured").caused_by(cause)
}
