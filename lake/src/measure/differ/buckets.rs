//! Rows in buckets by their digests: equal rows fall into the same one on both sides.
use std::collections::BTreeSet;

use arrow_array::RecordBatch;

use super::{
    By, Rows,
    digests::Digester,
    partitions::{Parted, Parter},
};
use crate::{
    Result,
    fingerprint::{RowDigest, add, limbs},
    measure::streams::{Taker, share},
};

/// As many as the first two bytes of a digest tell apart.
pub(super) const COUNT: usize = 1 << 16;

/// The rows of one bucket: their number and the sum of their digests.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    rows: u64,
    sum: [u64; 4],
}

pub(super) fn bucket_of(digest: &RowDigest) -> usize {
    usize::from(u16::from_be_bytes([digest[0], digest[1]]))
}

/// Reads all rows into buckets, and by partition if that is wanted.
pub(super) async fn fill(rows: Rows<'_>, by: By<'_>) -> Result<(Vec<Bucket>, Parted)> {
    let takers = share(rows.open(by.columns).await?, |schema| {
        Ok(Filler {
            digester: Digester::new(schema, by)?,
            buckets: vec![Bucket::default(); COUNT],
            parter: by.partitioning.map(|partitioning| Parter::new(partitioning, schema)).transpose()?,
        })
    });
    let (mut all, mut parted) = (vec![Bucket::default(); COUNT], Parted::default());
    for taker in takers.await? {
        for (bucket, more) in all.iter_mut().zip(taker.buckets) {
            bucket.rows += more.rows;
            add(&mut bucket.sum, &more.sum);
        }
        taker.parter.map_or(Ok(()), |parter| parted.merge(parter.finish()))?;
    }
    Ok((all, parted))
}

struct Filler {
    digester: Digester,
    buckets: Vec<Bucket>,
    parter: Option<Parter>,
}

impl Taker for Filler {
    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let digests = self.digester.digests(batch)?;
        for (key, row) in &digests {
            let bucket = &mut self.buckets[bucket_of(key)];
            bucket.rows += 1;
            add(&mut bucket.sum, &limbs(row));
        }
        self.parter.as_mut().map_or(Ok(()), |parter| parter.take(batch, &digests))
    }
}

/// How many buckets differ, and the first of them that together have at most so many rows (one in any case).
pub(super) fn choose(here: &[Bucket], there: &[Bucket], most: u64) -> (u64, BTreeSet<usize>) {
    let differing = || (0..COUNT).filter(|bucket| here[*bucket] != there[*bucket]);
    let (mut chosen, mut rows) = (BTreeSet::new(), 0);
    for bucket in differing() {
        rows += here[bucket].rows + there[bucket].rows;
        if rows > most && !chosen.is_empty() {
            break;
        }
        chosen.insert(bucket);
    }
    (differing().count() as u64, chosen)
}
