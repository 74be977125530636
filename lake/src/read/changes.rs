//! Which rows of a table have changed between two of its snapshots, told apart by a key.
//!
//! Only files that the two do not share are read. First each row falls into one of 65,536 buckets by its key: where the rows of a
//! bucket add up to the same before and after, none has changed. The others' rows are compared key by key, as many at a time as
//! there is room for. So files that were only put together hold no change.
use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::{Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use futures::StreamExt;

use super::{At, Scan, Table};
use crate::{
    Batches, Error, Kind, Result,
    fingerprint::{Hasher, limbs},
    measure::{Taker, share},
    write::Conform,
};

const BUCKETS: usize = 1 << 16;
/// The most keys that are compared at a time, and the most that may have changed.
const MOST_KEYS: u64 = 2_000_000;

/// The first half of a key's SHA-256.
type Key = [u64; 2];

/// The rows of a table that have changed between two of its snapshots, by their keys.
pub struct Changes {
    /// Rows that are there no more.
    pub deleted: u64,
    /// Rows with other values than before.
    pub replaced: u64,
    /// Rows that were not there.
    pub added: u64,
    /// Several rows have one key.
    pub repeated: bool,
    /// The columns of the rows as they are now.
    pub(super) schema: SchemaRef,
    columns: Arc<[String]>,
    keys: Arc<HashSet<Key>>,
}

impl Changes {
    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The rows of changed keys, or those of all others.
    pub(super) fn pick(&self, batches: Batches, changed: bool) -> Result<Batches> {
        let (schema, keys) = (batches.schema.clone(), self.keys.clone());
        let mut hasher = self.hasher(&schema)?;
        let stream = batches.stream.map(move |batch| {
            let batch = batch?;
            let is_meant = |key: &Key| Some(keys.contains(key) == changed);
            let meant: BooleanArray = keys_of(&mut hasher, &batch)?.iter().map(is_meant).collect();
            filter_record_batch(&batch, &meant)
                .map_err(|e| Error::new(Kind::Internal, "rows cannot be left out").caused_by(e))
        });
        Ok(Batches { schema, stream: stream.boxed() })
    }

    /// Whether a batch has rows of changed keys; `hasher` is one of [`Changes::hasher`].
    pub(super) fn touch(&self, hasher: &mut Hasher, batch: &RecordBatch) -> Result<bool> {
        Ok(keys_of(hasher, batch)?.iter().any(|key| self.keys.contains(key)))
    }

    /// A hasher of keys.
    pub(super) fn hasher(&self, schema: &Schema) -> Result<Hasher> {
        Hasher::new(schema, Some(&self.columns))
    }
}

/// What has become of the rows of a key, or of a bucket of them.
#[derive(Clone, Copy, Default)]
struct Balance {
    /// The sum of the rows' digests after, without that of those before.
    sum: u64,
    before: u32,
    after: u32,
}

impl Balance {
    const fn add(&mut self, digest: u64, before: bool) {
        if before {
            self.sum = self.sum.wrapping_sub(digest);
            self.before += 1;
        } else {
            self.sum = self.sum.wrapping_add(digest);
            self.after += 1;
        }
    }

    const fn merge(&mut self, other: Self) {
        self.sum = self.sum.wrapping_add(other.sum);
        self.before += other.before;
        self.after += other.after;
    }

    const fn is_changed(self) -> bool {
        self.sum != 0 || self.before != self.after
    }

    fn rows(self) -> u64 {
        u64::from(self.before) + u64::from(self.after)
    }
}

impl Table {
    /// The rows that have changed between an earlier snapshot and a state, told apart by the columns `key`; if there is none, by
    /// all of their values.
    ///
    /// # Errors
    /// As `scan`; [`Kind::SchemaMismatch`] for a column that is not there, [`Kind::UnsupportedFeature`] for more than two million
    /// changed keys.
    pub async fn changes(&self, since: i64, at: At, key: Option<&[String]>) -> Result<Changes> {
        let schema = self.schema_at(at)?;
        let names = || schema.fields().iter().map(|field| field.name().clone()).collect();
        let columns: Arc<[String]> = key.map_or_else(names, Arc::from);
        let now = self.snapshot_id(at)?.unwrap_or(since);
        let sides = Sides { table: self, since, now, schema: &schema, key: &columns };
        let buckets: Arc<[Balance]> = sides.buckets().await?.into();
        let mut changed: HashMap<Key, Balance> = HashMap::new();
        for range in ranges(&buckets) {
            changed.extend(sides.keys(&buckets, range).await?);
            if changed.len() as u64 > MOST_KEYS {
                let message =
                    format!("more than {MOST_KEYS} keys of table {} have changed since snapshot {since}", self.name);
                return Err(Error::new(Kind::UnsupportedFeature, message));
            }
        }
        let sum = |part: fn(&Balance) -> u32| changed.values().map(|balance| u64::from(part(balance))).sum::<u64>();
        Ok(Changes {
            deleted: sum(|b| b.before.saturating_sub(b.after)),
            replaced: sum(|b| b.before.min(b.after)),
            added: sum(|b| b.after.saturating_sub(b.before)),
            repeated: changed.values().any(|balance| balance.before.max(balance.after) > 1),
            keys: Arc::new(changed.into_keys().collect()),
            columns,
            schema,
        })
    }

    /// The rows of changed keys as they are at a state, as several streams that share the work.
    ///
    /// # Errors
    /// As `scan`.
    pub async fn changed(&self, changes: &Changes, since: i64, at: At, streams: usize) -> Result<Vec<Batches>> {
        let scan = Scan { at, since: Some(since), ..Scan::default() };
        let streams = self.scan_parallel(scan, streams).await?.into_iter();
        streams.map(|batches| changes.pick(batches, true)).collect()
    }
}

/// The files of either snapshot that the other one does not have.
struct Sides<'a> {
    table: &'a Table,
    since: i64,
    now: i64,
    schema: &'a SchemaRef,
    key: &'a [String],
}

impl Sides<'_> {
    async fn open(&self, before: bool) -> Result<Vec<Batches>> {
        let (at, other) = if before { (self.since, self.now) } else { (self.now, self.since) };
        let scan = Scan { at: At::Snapshot(at), since: Some(other), ..Scan::default() };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let streams = self.table.scan_parallel(scan, cores).await?.into_iter();
        Ok(streams.map(|batches| conformed(batches, self.schema)).collect())
    }

    async fn buckets(&self) -> Result<Vec<Balance>> {
        let mut all = vec![Balance::default(); BUCKETS];
        for before in [true, false] {
            let fillers = share(self.open(before).await?, |schema| {
                Ok(Filler {
                    digester: Digester::new(schema, self.key)?,
                    before,
                    buckets: vec![Balance::default(); BUCKETS],
                })
            });
            for filler in fillers.await? {
                all.iter_mut().zip(filler.buckets).for_each(|(bucket, more)| bucket.merge(more));
            }
        }
        Ok(all)
    }

    /// The changed keys of some buckets.
    async fn keys(&self, buckets: &Arc<[Balance]>, range: Range<usize>) -> Result<HashMap<Key, Balance>> {
        let mut all: HashMap<Key, Balance> = HashMap::new();
        for before in [true, false] {
            let collectors = share(self.open(before).await?, |schema| {
                let digester = Digester::new(schema, self.key)?;
                Ok(Collector { digester, before, buckets: buckets.clone(), range: range.clone(), keys: HashMap::new() })
            });
            for collector in collectors.await? {
                collector.keys.into_iter().for_each(|(key, more)| all.entry(key).or_default().merge(more));
            }
        }
        all.retain(|_, balance| balance.is_changed());
        Ok(all)
    }
}

/// The buckets with changes, in groups of so many rows as are compared at a time (one bucket in any case).
fn ranges(buckets: &[Balance]) -> Vec<Range<usize>> {
    let (mut ranges, mut start, mut rows) = (Vec::new(), 0, 0);
    for (number, bucket) in buckets.iter().enumerate().filter(|(_, bucket)| bucket.is_changed()) {
        if rows > 0 && rows + bucket.rows() > MOST_KEYS {
            ranges.push(start..number);
            (start, rows) = (number, 0);
        }
        rows += bucket.rows();
    }
    if rows > 0 {
        ranges.push(start..buckets.len());
    }
    ranges
}

/// The batches with the columns of another schema: by their names, widened where those are wider.
pub(super) fn conformed(batches: Batches, schema: &SchemaRef) -> Batches {
    if batches.schema == *schema {
        return batches;
    }
    let conform = Conform::new(&batches.schema, schema, |_| true);
    let schema = conform.schema.clone();
    Batches { schema, stream: batches.stream.map(move |batch| conform.apply(&batch?)).boxed() }
}

struct Digester {
    key: Hasher,
    row: Hasher,
}

impl Digester {
    fn new(schema: &Schema, key: &[String]) -> Result<Self> {
        Ok(Self { key: Hasher::new(schema, Some(key))?, row: Hasher::new(schema, None)? })
    }

    /// Shows each row's key, its bucket, and the row's own digest.
    fn each(&mut self, batch: &RecordBatch, mut see: impl FnMut(Key, usize, u64)) -> Result<()> {
        let keys = keys_of(&mut self.key, batch)?;
        self.row.add_seen(batch, |row, digest| see(keys[row], (keys[row][0] >> 48) as usize, limbs(digest)[0]))
    }
}

fn keys_of(hasher: &mut Hasher, batch: &RecordBatch) -> Result<Vec<Key>> {
    let mut keys = Vec::with_capacity(batch.num_rows());
    hasher.add_seen(batch, |_, digest| {
        let [.., low, high] = limbs(digest);
        keys.push([high, low]);
    })?;
    Ok(keys)
}

struct Filler {
    digester: Digester,
    before: bool,
    buckets: Vec<Balance>,
}

impl Taker for Filler {
    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        self.digester.each(batch, |_, bucket, row| self.buckets[bucket].add(row, self.before))
    }
}

struct Collector {
    digester: Digester,
    before: bool,
    buckets: Arc<[Balance]>,
    range: Range<usize>,
    keys: HashMap<Key, Balance>,
}

impl Taker for Collector {
    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        self.digester.each(batch, |key, bucket, row| {
            if self.range.contains(&bucket) && self.buckets[bucket].is_changed() {
                self.keys.entry(key).or_default().add(row, self.before);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_adds_up_to_the_same_has_not_changed() {
        let (mut one, mut other) = (Balance::default(), Balance::default());
        for digest in [7, u64::MAX, 9] {
            one.add(digest, true);
        }
        for digest in [9, 7, u64::MAX] {
            other.add(digest, false);
        }
        one.merge(other);
        assert!(!one.is_changed());
        one.add(0, false);
        assert!(one.is_changed(), "a row whose digest is zero is a row too");
    }

    #[test]
    fn buckets_are_compared_in_groups_that_have_room() {
        let of = |rows: u32| Balance { sum: 0, before: rows, after: 0 };
        let most = MOST_KEYS as u32;
        assert!(ranges(&[of(0), of(0)]).is_empty());
        assert_eq!(ranges(&[of(0), of(3), of(0), of(4)]), vec![Range { start: 0, end: 4 }]);
        assert_eq!(ranges(&[of(most - 1), of(0), of(1), of(1)]), [0..3, 3..4]);
        assert_eq!(ranges(&[of(most + 1), of(1)]), [0..1, 1..2]);
    }
}
