//! The rows of some buckets, one by one: their digests and how often each is on either side.
use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::{By, MOST_DIGESTS, Pair, Rows, buckets::bucket_of};
use crate::{
    Result,
    fingerprint::{Hasher, RowDigest},
    measure::streams::{Taker, share},
};

/// Hashes rows and their keys.
pub(super) struct Digester {
    row: Hasher,
    key: Option<Hasher>,
}

impl Digester {
    pub fn new(schema: &SchemaRef, by: By<'_>) -> Result<Self> {
        let key = by.key.map(|key| Hasher::new(schema, Some(key))).transpose()?;
        Ok(Self { row: Hasher::new(schema, None)?, key })
    }

    /// Each row's digests, in the order of the rows.
    pub fn digests(&mut self, batch: &RecordBatch) -> Result<Vec<Pair>> {
        let mut pairs: Vec<Pair> = Vec::with_capacity(batch.num_rows());
        self.row.add_seen(batch, |_, digest| pairs.push((*digest, *digest)))?;
        if let Some(key) = &mut self.key {
            key.add_seen(batch, |row, digest| pairs[row].0 = *digest)?;
        }
        Ok(pairs)
    }
}

/// How often each row is on either side.
#[derive(Default)]
pub(super) struct Counts {
    counts: HashMap<Pair, (u64, u64)>,
    /// More rows came than may be kept: nothing can be said then.
    pub too_many: bool,
}

impl Counts {
    fn unequal(&self) -> impl Iterator<Item = &Pair> {
        self.counts.iter().filter(|(_, (here, there))| here != there).map(|(pair, _)| pair)
    }

    pub fn differing(&self) -> u64 {
        self.unequal().count() as u64
    }

    /// The differing rows of the first keys, each with how often it is on either side.
    pub fn first(&self, keys: usize) -> BTreeMap<Pair, (u64, u64)> {
        let all: BTreeSet<RowDigest> = self.unequal().map(|(key, _)| *key).collect();
        let chosen: BTreeSet<RowDigest> = all.into_iter().take(keys).collect();
        let rows = self.unequal().filter(|(key, _)| chosen.contains(key));
        rows.map(|pair| (*pair, self.counts[pair])).collect()
    }
}

/// Counts the rows of the chosen buckets on both sides.
pub(super) async fn compare(
    source: Rows<'_>,
    destination: Rows<'_>,
    by: By<'_>,
    chosen: &BTreeSet<usize>,
) -> Result<Counts> {
    let mut all = Counts::default();
    for (side, rows) in [source, destination].into_iter().enumerate() {
        let takers = share(rows.open(by.columns).await?, |schema| {
            Ok(Collector {
                digester: Digester::new(schema, by)?,
                chosen: chosen.clone(),
                counts: HashMap::new(),
                full: false,
            })
        });
        for taker in takers.await? {
            all.too_many |= taker.full;
            for (pair, count) in taker.counts {
                let (here, there) = all.counts.entry(pair).or_default();
                *(if side == 0 { here } else { there }) += count;
            }
        }
        all.too_many |= all.counts.len() as u64 > 2 * MOST_DIGESTS;
    }
    Ok(all)
}

struct Collector {
    digester: Digester,
    chosen: BTreeSet<usize>,
    counts: HashMap<Pair, u64>,
    full: bool,
}

impl Taker for Collector {
    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        for pair in self.digester.digests(batch)? {
            if self.full || !self.chosen.contains(&bucket_of(&pair.0)) {
                continue;
            }
            *self.counts.entry(pair).or_default() += 1;
            self.full = self.counts.len() as u64 > MOST_DIGESTS;
        }
        Ok(())
    }
}
