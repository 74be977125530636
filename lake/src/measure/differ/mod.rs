//! Where two sets of rows differ: which rows are there on one side only, or more often than on the other.
//!
//! Both sides are read three times. First each row falls into one of 65,536 buckets by its digest (or by that of its key), and
//! the buckets' fingerprints are compared; then the digests of a few buckets that differ are compared one by one; then the rows
//! of some digests that differ are fetched. So memory is bounded whatever the size of the tables.
mod buckets;
mod digests;
mod fetch;
mod partitions;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use partitions::{PartitionDiffering, Partitioning, PartitionsDiffering};

use super::{Depth, Measured, streams::measure};
use crate::{At, Batches, Error, Kind, Result, Scan, Table, Target, Touched, WrittenFile, fingerprint::RowDigest};

/// The most rows of both sides whose digests are compared one by one.
const MOST_DIGESTS: u64 = 200_000;

/// Rows outside of tables that are the same ones each time that they are read.
pub trait Reread: Send + Sync {
    /// Reads the named columns of all rows, in that order, by at most so many streams side by side.
    fn open<'a>(&'a self, columns: &'a [String], lanes: usize) -> BoxFuture<'a, Result<Vec<Batches>>>;
}

/// Rows that can be read as often as is needed.
#[derive(Clone, Copy)]
pub enum Rows<'a> {
    /// Those of a table at a state.
    Table(&'a Table, At),
    /// Those of files that are not part of a table yet.
    Files(&'a Target, &'a [WrittenFile]),
    /// Those of files that are not part of a table yet, and those of the table's files that they do not replace.
    Replaced(&'a Target, &'a [WrittenFile], &'a Table, &'a Touched),
    /// Those of a place that is no table.
    Foreign(&'a dyn Reread),
}

impl Rows<'_> {
    async fn open(&self, columns: &[String]) -> Result<Vec<Batches>> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        match self {
            Self::Table(table, at) => {
                let scan = Scan { at: *at, columns: Some(columns.to_vec()), ..Scan::default() };
                table.scan_parallel(scan, cores).await
            }
            Self::Files(target, files) => target.read_back_parallel(files, Some(columns), cores),
            Self::Replaced(target, files, table, touched) => {
                let mut streams = target.read_back_parallel(files, Some(columns), cores)?;
                if let Some(schema) = streams.first().map(|batches| batches.schema.clone()) {
                    streams.extend(table.rest(touched, &schema, cores).await?);
                }
                Ok(streams)
            }
            Self::Foreign(rows) => rows.open(columns, cores).await,
        }
    }

    /// The measure of the named columns.
    ///
    /// # Errors
    /// As [`Table::scan`], [`Target::read_back`] or [`Reread::open`].
    pub async fn measure(&self, columns: &[String], depth: Depth) -> Result<Measured> {
        measure(self.open(columns).await?, None, depth).await
    }
}

/// What differs between two sets of rows.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Differences {
    /// Into how many buckets the rows fell.
    pub buckets: u64,
    /// How many of them differ.
    pub differing_buckets: u64,
    /// Of how many of these the rows were compared one by one.
    pub examined_buckets: u64,
    /// How many different rows differ in the examined buckets.
    pub differing_rows: u64,
    /// The first of them, by their digests, or by those of their keys.
    pub rows: Vec<DifferingRow>,
    /// The partitions in which they are; null if no partitioning was given, or there are more than 10,000.
    pub partitions: Option<PartitionsDiffering>,
}

/// A row that is not equally often on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DifferingRow {
    /// The SHA-256 of its values.
    pub digest: String,
    /// The SHA-256 of its key; null if no key was given.
    pub key_digest: Option<String>,
    /// How often it is in the source.
    pub source_count: u64,
    /// How often it is in the destination.
    pub destination_count: u64,
    /// Its values as text, in the columns' order; null for null. Long ones are cut, with `…`.
    pub values: Vec<Option<String>>,
}

/// Which rows are compared and how they are told apart.
#[derive(Clone, Copy)]
pub struct By<'a> {
    /// The columns that are compared: the same on both sides.
    pub columns: &'a [String],
    /// Columns that tell rows apart, if any do: rows of one key are shown together.
    pub key: Option<&'a [String]>,
    /// So many keys, or rows without one, are shown.
    pub most: usize,
    /// Partitions in which differences are looked for too.
    pub partitioning: Option<&'a Partitioning>,
}

/// The digest by which rows are grouped, and that of the whole row.
type Pair = (RowDigest, RowDigest);

/// Finds the rows that differ.
///
/// # Errors
/// As [`Rows::measure`]; [`Kind::SchemaMismatch`] if a key does not tell enough rows apart.
pub async fn differences(source: Rows<'_>, destination: Rows<'_>, by: By<'_>) -> Result<Differences> {
    let ((here, parted_here), (there, parted_there)) =
        (buckets::fill(source, by).await?, buckets::fill(destination, by).await?);
    let (differing, chosen) = buckets::choose(&here, &there, MOST_DIGESTS);
    let counts = digests::compare(source, destination, by, &chosen).await?;
    if counts.too_many {
        let message = "the key does not tell the rows apart: too many of them have the same one";
        return Err(Error::new(Kind::SchemaMismatch, message));
    }
    let wanted = counts.first(by.most);
    Ok(Differences {
        buckets: buckets::COUNT as u64,
        differing_buckets: differing,
        examined_buckets: chosen.len() as u64,
        differing_rows: counts.differing(),
        rows: fetch::rows(source, destination, by, &wanted).await?,
        partitions: by.partitioning.and_then(|by| partitions::compare(by, &parted_here, &parted_there)),
    })
}
