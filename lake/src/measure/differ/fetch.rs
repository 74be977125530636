//! The values of some rows, found by their digests.
use std::collections::BTreeMap;

use arrow_array::RecordBatch;

use super::{By, DifferingRow, Pair, Rows, digests::Digester};
use crate::{
    Result,
    measure::{
        misfit,
        sample::Shown,
        streams::{Taker, share},
    },
    write::hex,
};

/// The wanted rows with their values, in the order of their keys' digests.
pub(super) async fn rows(
    source: Rows<'_>,
    destination: Rows<'_>,
    by: By<'_>,
    wanted: &BTreeMap<Pair, (u64, u64)>,
) -> Result<Vec<DifferingRow>> {
    let mut found: BTreeMap<Pair, Vec<Option<String>>> = BTreeMap::new();
    for rows in [source, destination] {
        if found.len() == wanted.len() {
            break;
        }
        let takers = share(rows.open(by.columns).await?, |schema| {
            let wanted = wanted.keys().copied().collect();
            Ok(Fetcher { digester: Digester::new(schema, by)?, wanted, found: BTreeMap::new() })
        });
        for taker in takers.await? {
            found.extend(taker.found);
        }
    }
    let row = |(pair, (here, there)): (&Pair, &(u64, u64))| DifferingRow {
        digest: hex(&pair.1),
        key_digest: by.key.map(|_| hex(&pair.0)),
        source_count: *here,
        destination_count: *there,
        values: found.get(pair).cloned().unwrap_or_default(),
    };
    Ok(wanted.iter().map(row).collect())
}

struct Fetcher {
    digester: Digester,
    wanted: std::collections::BTreeSet<Pair>,
    found: BTreeMap<Pair, Vec<Option<String>>>,
}

impl Taker for Fetcher {
    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let digests = self.digester.digests(batch)?;
        let rows = digests.iter().enumerate().filter(|(_, pair)| self.wanted.contains(pair));
        let rows: Vec<_> = rows.filter(|(_, pair)| !self.found.contains_key(pair)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let shown = Shown::new(batch).map_err(misfit)?;
        for (row, pair) in rows {
            self.found.insert(*pair, shown.row(row));
        }
        Ok(())
    }
}
