//! What a migration finds out before anything is written.
use std::sync::Arc;

use futures::TryStreamExt;
use icehaul_lake::{
    At, Batches, Carry, Changes, Column, Cursor, CursorMove, Model, Table, TableSpec, Target, sql, sql_type_of,
};
use serde_json::{Value, json};

use super::{CopyMode, History, MigrateMode, evidence::Evidence, migration::Migration, transform::Transform};
use crate::{Code, Error, Result, job::missing, queue::sha256, report::RowChanges};

/// The source, pinned.
pub(super) struct Pinned {
    pub table: Table,
    pub at: At,
    /// Only what was added or changed after this snapshot is meant.
    pub since: Option<i64>,
    /// What has changed since then, if files were not only added.
    pub changes: Option<Arc<Changes>>,
    pub files: u64,
    pub bytes: u64,
    pub rows: u64,
}

impl Pinned {
    /// Counts what is meant.
    async fn measure(&mut self) -> Result<()> {
        let mut files = self.table.data_files_since(self.at, self.since).await?;
        while let Some(file) = files.try_next().await? {
            self.files += 1;
            self.bytes += file.bytes;
            self.rows += file.rows;
        }
        Ok(())
    }
}

/// What is known before anything is written.
pub(super) struct Begun {
    pub source: Pinned,
    pub step: Option<CursorMove>,
    /// The files to be carried as they are, and the rows that they hold.
    pub carry: Option<(Arc<Carry>, u64)>,
    /// The rows, if they are transformed.
    pub rows: Option<Batches>,
    pub target: Arc<Target>,
    pub evidence: Evidence,
}

/// The snapshot of the source that a destination has got, and the schema that it was read with; earlier releases did not note
/// that.
fn reached(cursor: &str) -> Result<(i64, Option<i32>)> {
    let mut words = cursor.split(' ');
    let (snapshot, schema) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
    let snapshot = snapshot.parse().map_err(|_| {
        // To take it for none would bring all rows once more.
        let message =
            format!("the destination's cursor `{cursor}` cannot be read: migrate once with `mode` `overwrite`");
        Error::field("mode", Code::CursorUnknown, message)
    })?;
    Ok((snapshot, schema.parse().ok()))
}

/// A transformed column, as tables tell theirs.
fn column_of(field: &arrow_schema::Field) -> Column {
    Column { id: 0, name: field.name().clone(), sql_type: sql_type_of(field), nullable: true, doc: None }
}

impl Migration<'_> {
    /// What would be done.
    pub async fn dry_run(&self) -> Result<Value> {
        let (before, _) = self.publisher.look().await?;
        let Begun { source, target, mut evidence, .. } = self.begin(before.as_ref()).await?;
        let report = evidence.begun();
        let files = source.table.data_files_since(source.at, source.since).await?;
        let rows = match &source.changes {
            Some(changes) => Some(changes.replaced + changes.added),
            None => (!files.try_any(async |file| file.has_deletes).await?).then_some(source.rows),
        };
        let changes = source.changes.as_ref().map(|changes| RowChanges::of(changes, None));
        Ok(json!({
            "status": "success", "dry_run": true, "source": report.source.table, "destination": report.destination.table,
            "source_snapshot": report.source.snapshot_id, "since": report.source.since, "rows": rows,
            "changes": changes, "files": source.files, "bytes": source.bytes, "creates": !target.exists(), "transfer": report.transfer,
            "schema": report.schema,
        }))
    }

    /// Pins the source and fits it to the destination, which is there already or is to be made; nothing is written yet.
    pub async fn begin(&self, before: Option<&Table>) -> Result<Begun> {
        self.ctx.progress.phase("planning");
        let mut source = self.ctx.stop.or(self.pin()).await?;
        self.check(&source, before)?;
        self.check_key(&source)?;
        let step = self.step(&source, before)?;
        let manner = &self.request.manner;
        if manner.mode == MigrateMode::Incremental {
            if let Some(from) = &step.from {
                let (since, schema) = reached(&from.value)?;
                source.since = Some(since);
                self.check_columns(&source, schema)?;
                self.check_transform(from)?;
            }
            self.ctx.stop.or(self.find_changes(&mut source)).await?;
        }
        self.ctx.stop.or(source.measure()).await?;
        let step = matches!(source.at, At::Snapshot(_)).then_some(step);
        let carry = match manner.copy {
            CopyMode::Files => {
                let carry = match manner.history {
                    History::Latest => source.table.carry(source.at).await?,
                    History::All => source.table.carry_all().await?,
                };
                Some((Arc::new(carry), source.table.count(source.at).await?))
            }
            CopyMode::Rows => None,
        };
        let (model, rows) = match (manner.copy, &manner.transform) {
            (CopyMode::Files, _) => (Some(source.table.exact_model(source.at)?), None),
            (CopyMode::Rows, None) => (Some(source.table.model(source.at)?), None),
            (CopyMode::Rows, Some(transform)) => (None, Some(self.transformed(&source, transform).await?)),
        };
        let schema = match &rows {
            Some(rows) => rows.schema.clone(),
            None => source.table.schema_at(source.at)?,
        };
        let target = Arc::new(self.publisher.lake.prepare(self.table_spec(schema, model.clone())?).await?);
        let columns = match &rows {
            Some(rows) => rows.schema.fields().iter().map(|field| column_of(field)).collect(),
            None => source.table.columns_at(source.at)?,
        };
        let evidence = Evidence::new(self, &source, &columns, &target, model.as_ref(), before);
        Ok(Begun { source, step, carry, rows, target, evidence })
    }

    /// The source's rows as the request wants them changed.
    async fn transformed(&self, source: &Pinned, transform: &Transform) -> Result<Batches> {
        let names: Vec<_> = source.table.columns_at(source.at)?.into_iter().map(|column| column.name).collect();
        let statement = transform.sql(&names)?;
        let ask = async |sql: &str| sql::transform(source.table.clone(), source.at, source.since, sql).await;
        let error = match ask(&statement).await {
            Ok(rows) => return Ok(rows),
            Err(error) => Error::from(error),
        };
        // Which of the expressions is it?
        for part in transform.parts() {
            if let Err(error) = ask(&part.sql).await {
                let error = Error::from(error);
                return Err(Error::field(part.field, error.code(), error.message()));
            }
        }
        Err(error)
    }

    /// How the destination's cursor notes the transformation.
    fn transform_mark(&self) -> String {
        let transform = self.request.manner.transform.as_ref().and_then(|transform| serde_json::to_vec(transform).ok());
        transform.map(|json| format!(" transform {}", &sha256(&json)[..8])).unwrap_or_default()
    }

    /// Refuses another transformation than that of the rows before: the destination would hold rows of both. Earlier releases did
    /// not note it.
    fn check_transform(&self, from: &Cursor) -> Result<()> {
        let noted = from.value.split_once(" schema ");
        let mark = self.transform_mark();
        match noted.map(|(_, noted)| noted.find(" transform ").map_or("", |at| &noted[at..])) {
            Some(noted) if noted != mark => {
                let detail =
                    "is not that of the migrations before, whose rows would stay as they are: use `mode` `overwrite`";
                Err(Error::field("transform", Code::SourceRewritten, detail))
            }
            _ => Ok(()),
        }
    }

    /// The source at one snapshot, whatever happens to it from now on.
    async fn pin(&self) -> Result<Pinned> {
        let table = self.source_lake.table(&self.request.source()?).await.map_err(|e| missing("source_table", e))?;
        let at = match self.request.pinned() {
            Some(at) => at,
            None => table.snapshot_id(At::Current)?.map_or(At::Current, At::Snapshot),
        };
        Ok(Pinned { table, at, since: None, changes: None, files: 0, bytes: 0, rows: 0 })
    }

    fn check(&self, source: &Pinned, before: Option<&Table>) -> Result<()> {
        let Some(before) = before else { return Ok(()) };
        let (here, there) = (source.table.metadata(), before.metadata());
        if here.uuid() == there.uuid() || here.location() == there.location() {
            let message = "source and destination are the same table, under whatever names";
            return Err(Error::field("dest_table", Code::SameTable, message));
        }
        if self.request.manner.mode == MigrateMode::Create {
            let message = format!(
                "there is a table `{}` already: drop it, choose another name, or say by `mode` `overwrite` or `append` \
                 what shall become of its rows",
                self.publisher.table
            );
            return Err(Error::new(Code::TableExists, message));
        }
        Ok(())
    }

    fn table_spec(&self, schema: arrow_schema::SchemaRef, model: Option<Model>) -> Result<TableSpec> {
        let manner = &self.request.manner;
        Ok(TableSpec {
            name: self.publisher.table.clone(),
            schema,
            partition_by: manner.partition_fields()?,
            schema_mode: manner.schema_mode.into(),
            compression: manner.compression.map(Into::into),
            model,
        })
    }

    /// How far the destination has been migrated from the source, and how far it is with this migration: kept with the rows,
    /// so that it moves exactly when they come.
    fn step(&self, source: &Pinned, before: Option<&Table>) -> Result<CursorMove> {
        let name = format!("iceberg:{}", source.table.metadata().uuid());
        let from = before.map(Table::cursors).transpose()?.and_then(|mut cursors| cursors.remove(&name));
        if from.is_none() && before.is_some_and(Table::has_rows) && self.request.manner.mode == MigrateMode::Incremental
        {
            let message = "the destination has rows, but none that are known to come from this source: migrate once with \
                           `mode` `overwrite`";
            return Err(Error::field("mode", Code::CursorUnknown, message));
        }
        let value = match source.at {
            At::Snapshot(id) => format!("{id} schema {}{}", source.table.schema_id(source.at)?, self.transform_mark()),
            At::Current | At::Timestamp(_) => String::new(),
        };
        Ok(CursorMove { source: name, from, to: Cursor { column: "snapshot".to_owned(), value } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_tells_snapshot_and_schema_or_is_refused() {
        let read = |cursor: &str| reached(cursor).map_err(|error| error.code());
        assert_eq!(read("12 schema 3 transform 0a1b2c3d"), Ok((12, Some(3))));
        assert_eq!(read("12 schema 3"), Ok((12, Some(3))));
        assert_eq!(read("12"), Ok((12, None)), "as earlier releases have noted it");
        assert_eq!(read("twelve"), Err(Code::CursorUnknown));
    }
}
