//! Files into a table, once: what earlier attempts have published is found, what no snapshot needs is deleted.
use std::collections::BTreeMap;

use icehaul_lake::{Carry, Change, Committed, CopiedFile, CursorMove, Guard, Lake, Table, TableName, Target};

use super::lanes::{Lanes, Written};
use crate::{Code, Ctx, Error, Result};

/// Keys of the snapshot summary from which a lost result is told again.
pub(super) mod summary {
    pub const EPOCH: &str = "icehaul.epoch";
    pub const ROWS: &str = "icehaul.rows";
    pub const COLUMNS: &str = "icehaul.columns";
    pub const SOURCE: &str = "icehaul.source";
    pub const FILES: &str = "icehaul.files";
    pub const FINGERPRINT: &str = "icehaul.fingerprint";
    pub const CURSOR: &str = "icehaul.cursor";
    pub const TYPE_NOTES: &str = "icehaul.type-notes";
    pub const TOLD: &str = "icehaul.told";
    pub const SOURCE_SNAPSHOT: &str = "icehaul.source-snapshot";
}

/// One attempt's way to its table.
pub(super) struct Publisher<'a> {
    pub ctx: &'a Ctx,
    pub lake: &'a Lake,
    pub table: TableName,
    /// What is committed once: the job, or a part of it.
    pub operation: String,
}

impl Publisher<'_> {
    /// The folder of an attempt's files, below the table's data.
    pub fn prefix(&self) -> String {
        self.prefix_of(self.ctx.epoch)
    }

    fn prefix_of(&self, epoch: u64) -> String {
        format!("{}/{epoch}", self.operation)
    }

    /// The table as it is, if it is there, and what an earlier attempt has committed to it, if one has.
    pub async fn look(&self) -> Result<(Option<Table>, Option<Committed>)> {
        let table = self.lake.look(&self.table).await?;
        let committed = table.as_ref().and_then(|table| table.committed(&self.operation));
        Ok((table, committed))
    }

    /// Gives the outcome of an attempt's work before its commit; if it failed, its lanes end and its files go.
    pub async fn or_discard<T>(&self, outcome: Result<T>, lanes: &mut Lanes, target: &Target) -> Result<T> {
        if outcome.is_err() {
            lanes.shutdown().await;
            target.discard_prefix(&self.prefix()).await;
        }
        outcome
    }

    /// Publishes what was written in one snapshot. If that fails for sure, the files go.
    pub async fn commit(
        &self,
        target: &Target,
        written: &Written,
        change: Change,
        cursor: Option<CursorMove>,
        summary: BTreeMap<String, String>,
    ) -> Result<Committed> {
        let guard = self.guard(written.rows, cursor, summary);
        let committed = self.lake.commit(target, written.files.clone(), change, &guard).await;
        self.settled(target, committed.map_err(Error::from)).await
    }

    /// Publishes copied files as a new table. If that fails for sure, the files go.
    pub async fn commit_carried(
        &self,
        target: &Target,
        carry: &Carry,
        copies: &[Option<CopiedFile>],
        (rows, cursor): (u64, Option<CursorMove>),
        summary: BTreeMap<String, String>,
    ) -> Result<Committed> {
        let guard = self.guard(rows, cursor, summary);
        let committed = self.lake.commit_carried(target, carry, copies, &guard).await;
        self.settled(target, committed.map_err(Error::from)).await
    }

    fn guard(&self, rows: u64, cursor: Option<CursorMove>, mut summary: BTreeMap<String, String>) -> Guard {
        self.ctx.progress.phase("committing");
        summary.insert(summary::EPOCH.into(), self.ctx.epoch.to_string());
        summary.insert(summary::ROWS.into(), rows.to_string());
        Guard { operation: self.operation.clone(), permission: self.ctx.permission.clone(), cursor, summary }
    }

    async fn settled(&self, target: &Target, committed: Result<Committed>) -> Result<Committed> {
        let committed = committed.map_err(|error| match self.ctx.stop.error() {
            Some(stopped) if error.code() == Code::LeaseLost => stopped,
            _ => error,
        });
        // With the catalog away the swap may have happened: then the files stay, and the next attempt looks.
        if committed.as_ref().is_err_and(|error| error.code() != Code::CatalogUnavailable) {
            target.discard_prefix(&self.prefix()).await;
        }
        committed
    }

    /// Deletes what the attempts have left that did not publish; only once the snapshot stands, so that none of them can
    /// still publish those files.
    pub async fn discard_others(&self, published: u64) {
        for epoch in (1..=self.ctx.epoch).filter(|epoch| *epoch != published) {
            self.lake.discard_prefix(&self.table, &self.prefix_of(epoch)).await;
        }
        if self.ctx.epoch > 1 {
            self.lake.discard_tries(&self.table, &self.operation).await;
        }
    }
}

/// A snapshot's summary, read again.
pub(super) struct Told<'a>(pub &'a Committed);

impl Told<'_> {
    pub fn text(&self, key: &str) -> &str {
        self.0.summary.get(key).map(String::as_str).unwrap_or_default()
    }

    pub fn number(&self, key: &str) -> u64 {
        self.text(key).parse().unwrap_or_default()
    }

    pub fn epoch(&self) -> u64 {
        self.number(summary::EPOCH)
    }
}
