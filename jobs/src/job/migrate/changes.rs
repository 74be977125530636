//! Rows of the source that were changed since the last migration: what has to become of the destination, and the proof of it.
use std::sync::Arc;

use futures::StreamExt;
use icehaul_lake::{At, Batches, Table, Target, Touched, measure::Rows};

use super::{
    begin::Pinned,
    evidence::{Evidence, Proof},
    migration::Migration,
};
use crate::{
    Code, Error, Result,
    job::lanes::Written,
    report::{Comparison, RowChanges},
};

impl Migration<'_> {
    /// Refuses names in `key` that are no columns of the source, whether or not the key is needed this time.
    pub fn check_key(&self, source: &Pinned) -> Result<()> {
        let columns = source.table.columns_at(source.at)?;
        let unknown = |name: &String| columns.iter().all(|column| column.name != *name);
        let Some((n, name)) = self.request.manner.key.iter().enumerate().find(|(_, name)| unknown(name)) else {
            return Ok(());
        };
        let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        let detail = format!("the source has no column `{name}`; its columns are {}", names.join(", "));
        Err(Error::field(format!("key.{n}"), Code::SourceColumnNotFound, detail))
    }

    /// Refuses a source whose columns are not called any more what they were: its new rows would go into other columns than the
    /// old ones, and no comparison of the new ones alone would see it.
    pub fn check_columns(&self, source: &Pinned, schema: Option<i32>) -> Result<()> {
        let Some(since) = source.since else { return Ok(()) };
        let Some(moved) = source.table.column_moved(since, schema, source.at)? else { return Ok(()) };
        let message = format!(
            "the source's column {moved} since the last migration: use `mode` `overwrite`, which takes all rows over"
        );
        Err(Error::new(Code::SourceRewritten, message))
    }

    /// Finds out what has changed since the last migration, if files were not only added.
    pub async fn find_changes(&self, source: &mut Pinned) -> Result<()> {
        let (Some(since), manner) = (source.since, &self.request.manner) else { return Ok(()) };
        if source.table.only_appended(since, source.at)? {
            return Ok(());
        }
        if manner.transform.is_some() {
            let message = "files of the source were not only added since the last migration, and `transform` goes with added rows \
                           only: use `mode` `overwrite`";
            return Err(Error::new(Code::SourceRewritten, message));
        }
        let key = (!manner.key.is_empty()).then_some(manner.key.as_slice());
        let changes = source.table.changes(since, source.at, key).await?;
        let (gone, replaced) = (changes.deleted, changes.replaced);
        if key.is_none() && gone + replaced > 0 {
            let message = format!(
                "rows of the source were deleted or replaced since its snapshot {since}: name by `key` the columns that tell its \
                 rows apart, and they are taken over, or use `mode` `overwrite`"
            );
            return Err(Error::field("key", Code::SourceRewritten, message));
        }
        if key.is_some() && changes.repeated {
            let detail =
                "several of the source's changed rows have the same key: name more columns, or use `mode` `overwrite`";
            return Err(Error::field("key", Code::InvalidField, detail));
        }
        source.changes = Some(Arc::new(changes));
        Ok(())
    }

    /// The destination's files with rows of changed keys. Without a key rows were only added: then there are none.
    pub async fn touch(&self, source: &Pinned, before: Option<&Table>) -> Result<Option<Touched>> {
        let keyed =
            source.changes.as_ref().filter(|changes| !self.request.manner.key.is_empty() && !changes.is_empty());
        let (Some(changes), Some(before)) = (keyed, before) else { return Ok(None) };
        Ok(Some(before.touched(At::Current, changes, self.compared()).await?))
    }

    /// The changed rows as they are now, and those that stay of the files that are written anew.
    pub async fn changed_rows(
        &self,
        source: &Pinned,
        before: Option<&Table>,
        touched: Option<&Touched>,
        width: usize,
    ) -> Result<Vec<Batches>> {
        let (Some(changes), Some(since)) = (&source.changes, source.since) else { return Ok(Vec::new()) };
        if changes.is_empty() {
            let schema = source.table.schema_at(source.at)?;
            return Ok(vec![Batches { schema, stream: futures::stream::empty().boxed() }]);
        }
        let mut streams = source.table.changed(changes, since, source.at, width).await?;
        if let (Some(before), Some(touched)) = (before, touched) {
            streams.extend(before.kept(At::Current, changes, touched, width).await?);
        }
        Ok(streams)
    }

    /// Compares the whole source with the whole destination as it will be, which was `before` before.
    pub async fn prove_changes(
        &self,
        source: &Pinned,
        target: &Target,
        (written, before, touched): (&Written, Option<&Table>, &Touched),
        evidence: &mut Evidence,
    ) -> Result<()> {
        self.ctx.progress.phase("verifying");
        let proof = if self.request.manner.validate {
            let here = source.table.measure(source.at, None, self.compared()).await?;
            let there = target.measure(&written.files, None, self.compared()).await;
            let mut there = there.map_err(|error| evidence.unreadable(error.into(), written))?;
            there.merge(touched.rest.clone())?;
            Proof::Measures(Box::new(Comparison::of(&evidence.column_names(), &here, &there)))
        } else {
            Proof::Counts { read: written.rows, written: written.rows_in_files() }
        };
        evidence.proof(proof, written);
        if let Some(changes) = &source.changes {
            evidence.changes(RowChanges::of(changes, Some(touched)));
        }
        if evidence.differences().is_empty() {
            return Ok(());
        }
        if let (true, Some(before)) = (self.request.manner.validate, before) {
            let there = Rows::Replaced(target, &written.files, before, touched);
            self.locate(Rows::Table(&source.table, source.at), there, target, evidence).await?;
        }
        let message = format!(
            "nothing was published, the destination would not hold what the source does: {}. It has rows that did not come from \
             there, or `key` does not tell all rows apart; `mode` `overwrite` makes both equal",
            evidence.differences().join("; ")
        );
        Err(Error::new(Code::VerificationFailed, message))
    }
}
