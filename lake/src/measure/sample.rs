//! Some whole rows: those with the smallest digests. SHA-256 draws them, without favour, and draws the same ones on both sides.
use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::ArrowError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{fingerprint::RowDigest, write::hex};

/// The most characters of a value that are shown. All of it is in the digest.
const SHOWN: usize = 120;

/// A row that was drawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SampledRow {
    /// The SHA-256 of its values, as `docs/fingerprint.md` has it.
    pub digest: String,
    /// How often the row is there.
    pub count: u64,
    /// Its values as text, in the columns' order; null for null. Long ones are cut, with `…`.
    pub values: Vec<Option<String>>,
}

#[derive(Clone, Debug)]
pub(super) struct Sample {
    most: usize,
    rows: BTreeMap<RowDigest, (u64, Vec<Option<String>>)>,
}

impl Sample {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, rows: BTreeMap::new() }
    }

    /// Whether a row of this digest may be among those that are drawn.
    pub(super) fn wants(&self, digest: &RowDigest) -> bool {
        self.rows.len() < self.most || self.rows.last_key_value().is_some_and(|(last, _)| digest <= last)
    }

    /// Takes rows of a batch, each with its digest.
    pub(super) fn take(&mut self, batch: &RecordBatch, offers: Vec<(usize, RowDigest)>) -> Result<(), ArrowError> {
        if self.most == 0 || offers.is_empty() {
            return Ok(());
        }
        let show = Shown::new(batch)?;
        for (row, digest) in offers {
            if !self.wants(&digest) {
                continue;
            }
            match self.rows.get_mut(&digest) {
                Some((count, _)) => *count += 1,
                None => drop(self.rows.insert(digest, (1, show.row(row)))),
            }
            self.shrink();
        }
        Ok(())
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (digest, (count, values)) in other.rows {
            self.rows.entry(digest).or_insert((0, values)).0 += count;
        }
        self.shrink();
    }

    pub(super) fn rows(&self) -> Vec<SampledRow> {
        let row = |(digest, (count, values)): (&RowDigest, &(u64, Vec<Option<String>>))| SampledRow {
            digest: hex(digest),
            count: *count,
            values: values.clone(),
        };
        self.rows.iter().map(row).collect()
    }

    fn shrink(&mut self) {
        while self.rows.len() > self.most {
            self.rows.pop_last();
        }
    }
}

/// A batch whose rows can be shown.
pub(super) struct Shown<'a> {
    columns: Vec<(ArrayFormatter<'a>, &'a dyn arrow_array::Array)>,
}

impl<'a> Shown<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> Result<Self, ArrowError> {
        let options = FormatOptions::new().with_null("null").with_display_error(true);
        let column = |array: &'a arrow_array::ArrayRef| Ok((ArrayFormatter::try_new(array, &options)?, array.as_ref()));
        Ok(Self { columns: batch.columns().iter().map(column).collect::<Result<_, ArrowError>>()? })
    }

    pub(super) fn row(&self, row: usize) -> Vec<Option<String>> {
        let value = |(show, array): &(ArrayFormatter<'_>, &dyn arrow_array::Array)| {
            (!array.is_null(row)).then(|| cut(show.value(row).to_string()))
        };
        self.columns.iter().map(value).collect()
    }
}

fn cut(text: String) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
