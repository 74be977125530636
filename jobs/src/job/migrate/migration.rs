//! One attempt at one table.
use std::{collections::BTreeMap, sync::Arc};

use chrono::Utc;
use futures::TryStreamExt;
use icehaul_lake::{
    At, Batches, Change, Committed, Cursor, CursorMove, Lake, Model, Scan, Table, TableSpec, Target, failpoint,
    measure::{By, Depth, Measurer, Rows, differences},
};
use serde_json::json;

use super::{
    CopyMode, MigrateMode, MigrateTable,
    evidence::{Evidence, Proof, Stopwatch},
    files::{Copies, Tasks},
};
use crate::{
    Code, Ctx, Error, Result,
    job::{
        lanes::{self, Lanes, Written, bytes_of},
        publish::{Publisher, Told, summary},
    },
    report::{AnyReport, Comparison, Report, RowsDiffering, Store, Verdict},
};

/// Rows that a report shows if the request does not say.
const SAMPLED: u32 = 5;
/// Rows that a report shows of those that differ.
const DIFFERING: usize = 10;

/// One attempt at one table.
pub(super) struct Migration<'a> {
    pub request: &'a MigrateTable,
    pub ctx: &'a Ctx,
    source_lake: &'a Lake,
    publisher: Publisher<'a>,
}

/// What was copied and waits for its commit.
enum Cargo {
    Rows(Written),
    Files(Copies),
}

impl Cargo {
    const fn rows(&self) -> u64 {
        match self {
            Self::Rows(written) => written.rows,
            Self::Files(copies) => copies.rows,
        }
    }
}

/// The source, pinned.
pub(super) struct Pinned {
    pub table: Table,
    pub at: At,
    /// Only what was added after this snapshot is meant.
    pub since: Option<i64>,
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

impl<'a> Migration<'a> {
    pub fn new(request: &'a MigrateTable, ctx: &'a Ctx, operation: String) -> Result<Self> {
        let lake = ctx.lake(request.dest_catalog.as_deref())?;
        let publisher = Publisher { ctx, lake, table: request.destination()?, operation };
        Ok(Self { request, ctx, source_lake: ctx.lake(request.source_catalog.as_deref())?, publisher })
    }

    /// Does it, or finds that an earlier attempt has done it, and gives the report.
    pub async fn run(&self) -> Result<Report> {
        if let Some(committed) = self.publisher.committed().await? {
            return self.recovered(&committed).await;
        }
        self.ctx.progress.phase("planning");
        let mut watch = Stopwatch::start("planning");
        let mut source = self.ctx.stop.or(self.pin()).await?;
        let before = self.destination().await?;
        self.check(&source, before.as_ref())?;
        let step = self.step(&source).await?;
        if self.request.manner.mode == MigrateMode::Incremental {
            source.since = step.from.as_ref().and_then(|from| from.value.parse().ok());
        }
        self.ctx.stop.or(source.measure()).await?;
        let step = matches!(source.at, At::Snapshot(_)).then_some(step);
        let files = self.request.manner.copy == CopyMode::Files;
        let carry = match files {
            true => Some((Arc::new(source.table.carry(source.at).await?), source.table.count(source.at).await?)),
            false => None,
        };
        let model = if files { source.table.exact_model(source.at)? } else { source.table.model(source.at)? };
        let target = Arc::new(self.publisher.lake.prepare(self.table_spec(&source, &model)?).await?);
        let mut evidence = Evidence::new(self, &source, &target, &model, before.as_ref())?;
        let (mut lanes, mut copying, mut hashing) = (Lanes::new(), Tasks::new(), Tasks::new());
        let work = async {
            watch.next("copying", None);
            let cargo = match &carry {
                Some((carry, rows)) => Cargo::Files(self.copy_files(carry, &target, *rows, &mut copying).await?),
                None => Cargo::Rows(self.copy(&source, &target, &mut lanes).await?),
            };
            failpoint::hit("migrate.copied").await?;
            watch.next("verifying", Some(cargo.rows()));
            match &cargo {
                Cargo::Rows(written) => self.prove(&source, &target, written, &mut evidence).await?,
                Cargo::Files(copies) => self.prove_files(copies, &target, &mut evidence, &mut hashing).await?,
            }
            watch.next("committing", Some(evidence.rows_compared()));
            evidence.phases(&watch);
            self.store().keep_pending(&evidence.report()).await?;
            Ok(cargo)
        };
        let outcome = self.ctx.stop.or(work).await;
        copying.shutdown().await;
        hashing.shutdown().await;
        let cargo = match self.publisher.or_discard(outcome, &mut lanes, &target).await {
            Ok(cargo) => cargo,
            Err(error) => {
                if error.code() == Code::VerificationFailed {
                    evidence.phases(&watch);
                    self.store().keep(&evidence.failed(&error)).await?;
                }
                return Err(error);
            }
        };
        let entries = self.summary(&source, &cargo, &target);
        let committed = match &cargo {
            Cargo::Rows(written) => self.publisher.commit(&target, written, self.change(), step, entries).await,
            Cargo::Files(copies) => {
                let Copies { carry, files, rows } = copies;
                self.publisher.commit_carried(&target, carry, files, (*rows, step), entries).await
            }
        };
        let committed = match committed {
            Ok(committed) => committed,
            Err(error) => {
                if error.code() != Code::CatalogUnavailable {
                    self.store().forget_attempt(self.operation(), self.ctx.epoch).await;
                }
                return Err(error);
            }
        };
        if committed.already {
            return self.recovered(&committed).await;
        }
        self.publisher.discard_others(self.ctx.epoch).await;
        watch.end();
        evidence.phases(&watch);
        self.publish(evidence.report(), &committed).await
    }

    fn store(&self) -> Store<'_> {
        Store(self.publisher.lake)
    }

    /// The source at one snapshot, whatever happens to it from now on.
    async fn pin(&self) -> Result<Pinned> {
        let table = self.source_lake.table(&self.request.source()?).await?;
        let at = match self.request.pinned() {
            Some(at) => at,
            None => table.snapshot_id(At::Current)?.map_or(At::Current, At::Snapshot),
        };
        Ok(Pinned { table, at, since: None, files: 0, bytes: 0, rows: 0 })
    }

    /// The destination as it is, if it is there.
    async fn destination(&self) -> Result<Option<Table>> {
        match self.publisher.lake.table(&self.publisher.table).await.map_err(Error::from) {
            Ok(table) => Ok(Some(table)),
            Err(error) if matches!(error.code(), Code::TableNotFound | Code::NamespaceNotFound) => Ok(None),
            Err(error) => Err(error),
        }
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

    fn table_spec(&self, source: &Pinned, model: &Model) -> Result<TableSpec> {
        let manner = &self.request.manner;
        Ok(TableSpec {
            name: self.publisher.table.clone(),
            schema: source.table.schema_at(source.at)?,
            partition_by: manner.partition_fields()?,
            schema_mode: manner.schema_mode.into(),
            compression: manner.compression.map(Into::into),
            model: Some(model.clone()),
        })
    }

    pub fn depth(&self) -> Depth {
        let rows = self.request.manner.sample_rows.unwrap_or(SAMPLED);
        Depth { figures: true, sample: rows as usize }
    }

    /// Reads the source and writes files, side by side.
    async fn copy(&self, source: &Pinned, target: &Target, lanes: &mut Lanes) -> Result<Written> {
        self.ctx.progress.planned(source.files, Some(source.rows));
        self.ctx.progress.phase("copying");
        let scan = Scan { at: source.at, since: source.since, ..Scan::default() };
        let streams = source.table.scan_parallel(scan, self.ctx.limits.parallelism.max(1)).await?;
        for (lane, batches) in streams.into_iter().enumerate() {
            let writer = target.writer(&self.publisher.prefix(), lane).await?;
            let depth = if self.request.manner.validate { self.depth() } else { Depth::default() };
            let measurer = self.request.manner.validate.then(|| Measurer::new(&batches.schema, None, depth));
            let sender = lanes::start(lanes, writer, measurer.transpose()?, Ok);
            lanes.spawn(read(batches, self.ctx.clone(), sender));
        }
        lanes::finish(lanes).await
    }

    /// Compares what was read with what the files hold.
    async fn prove(&self, source: &Pinned, target: &Target, written: &Written, evidence: &mut Evidence) -> Result<()> {
        self.ctx.progress.phase("verifying");
        let in_files = written.rows_in_files();
        let proof = match &written.measured {
            None => Proof::Counts { read: written.rows, written: in_files },
            Some(read) => {
                let stored = target.measure(&written.files, None, self.depth()).await?;
                Proof::Measures(Box::new(Comparison::of(&evidence.column_names(), read, &stored)))
            }
        };
        evidence.proof(proof, written);
        if evidence.differences().is_empty() {
            return Ok(());
        }
        if self.request.manner.validate {
            self.ctx.progress.phase("locating");
            let columns = evidence.column_names();
            let by = By { columns: &columns, key: None, most: DIFFERING };
            let (here, there) = (Rows::Table(&source.table, source.at), Rows::Files(target, &written.files));
            evidence.differing(RowsDiffering::of(&columns, differences(here, there, by).await?));
        }
        let found = evidence.differences().join("; ");
        let message = format!("nothing was published, the files do not hold what was read: {found}");
        Err(Error::new(Code::VerificationFailed, message))
    }

    /// How far the destination has been migrated from the source, and how far it is with this migration: kept with the rows,
    /// so that it moves exactly when they come.
    async fn step(&self, source: &Pinned) -> Result<CursorMove> {
        let name = format!("iceberg:{}", source.table.metadata().uuid());
        let (mut cursors, has_rows) = self.publisher.lake.cursors(&self.publisher.table).await?;
        let from = cursors.remove(&name);
        if from.is_none() && has_rows && self.request.manner.mode == MigrateMode::Incremental {
            let message = "the destination has rows, but none that are known to come from this source: migrate once with \
                           `mode` `overwrite`";
            return Err(Error::field("mode", Code::CursorUnknown, message));
        }
        let value = match source.at {
            At::Snapshot(id) => id.to_string(),
            At::Current | At::Timestamp(_) => String::new(),
        };
        Ok(CursorMove { source: name, from, to: Cursor { column: "snapshot".to_owned(), value } })
    }

    fn change(&self) -> Change {
        match self.request.manner.mode {
            MigrateMode::Create => Change::Create,
            MigrateMode::Overwrite => Change::Overwrite,
            MigrateMode::Append | MigrateMode::Incremental => Change::Append,
        }
    }

    fn summary(&self, source: &Pinned, cargo: &Cargo, target: &Target) -> BTreeMap<String, String> {
        let names: Vec<_> = target.columns().into_iter().map(|column| column.name).collect();
        let mut entries = BTreeMap::from([
            (summary::SOURCE.into(), self.source_name()),
            (summary::COLUMNS.into(), json!(names).to_string()),
        ]);
        if let At::Snapshot(id) = source.at {
            entries.insert(summary::SOURCE_SNAPSHOT.into(), id.to_string());
        }
        if let Cargo::Rows(written) = cargo
            && let Some(fingerprint) = written.fingerprint()
        {
            entries.insert(summary::FINGERPRINT.into(), fingerprint);
        }
        entries
    }

    /// `catalog.namespace.table`.
    pub fn source_name(&self) -> String {
        format!("{}.{}.{}", self.source_catalog(), self.request.source_namespace, self.request.source_table)
    }

    pub fn source_catalog(&self) -> &str {
        self.request.source_catalog.as_deref().unwrap_or(self.ctx.lakes.default_name())
    }

    pub fn dest_catalog(&self) -> &str {
        self.request.dest_catalog.as_deref().unwrap_or(self.ctx.lakes.default_name())
    }

    /// The folder of this attempt's files.
    pub fn prefix(&self) -> String {
        self.publisher.prefix()
    }

    pub fn operation(&self) -> &str {
        &self.publisher.operation
    }

    /// Finishes the report of an attempt whose rows are in the table, and keeps it.
    async fn publish(&self, mut report: Report, committed: &Committed) -> Result<Report> {
        let table = self.publisher.lake.table(&self.publisher.table).await?;
        let metadata = table.metadata();
        let there = &mut report.destination;
        there.uuid = Some(metadata.uuid());
        there.format_version = Some(metadata.format_version() as u8);
        there.location = Some(metadata.location().to_owned());
        there.metadata_location = table.metadata_location().map(str::to_owned);
        // Without a row to append there is no new snapshot: the table stays at its own.
        let snapshot = committed.snapshot_id.or(metadata.current_snapshot_id());
        let snapshot = snapshot.and_then(|id| metadata.snapshot_by_id(id));
        there.snapshot_id = snapshot.map(|snapshot| snapshot.snapshot_id().to_string());
        there.snapshot_at = snapshot.and_then(|snapshot| snapshot.timestamp().ok());
        if let Some(transfer) = &mut report.transfer {
            transfer.published = true;
        }
        if report.attempts.attempt != self.ctx.attempt {
            report.attempts.finished_by_attempt = Some(self.ctx.attempt);
        }
        report.finished_at = Utc::now();
        report.duration_seconds = super::evidence::seconds(report.finished_at - report.started_at);
        report.verify_again = self.verify_again(&report);
        self.store().keep(&report).await?;
        failpoint::hit("migrate.reported").await?;
        self.store().forget_pending(self.operation()).await?;
        Ok(report)
    }

    /// The command that repeats the comparison; rows that were in the destination before are not told apart from the others.
    fn verify_again(&self, report: &Report) -> Option<String> {
        let adds = matches!(self.request.manner.mode, MigrateMode::Append | MigrateMode::Incremental);
        let others = adds && report.destination.snapshot_before.is_some();
        (!others).then(|| report.command())
    }

    /// Tells the report of rows that an earlier attempt has published, and deletes what is not among them.
    async fn recovered(&self, committed: &Committed) -> Result<Report> {
        let told = Told(committed);
        self.publisher.discard_others(told.epoch()).await;
        if let Some(AnyReport::One(report)) = self.store().get(self.operation()).await?.map(|stored| stored.report)
            && report.verdict != Verdict::Mismatch
        {
            self.store().forget_pending(self.operation()).await?;
            return Ok(*report);
        }
        match self.store().pending(self.operation(), told.epoch()).await? {
            Some(report) => self.publish(report, committed).await,
            None => {
                let message = "the rows are published, but what the attempt found that published them is lost";
                Err(Error::new(Code::ReportNotFound, message))
            }
        }
    }
}

/// Reads one stream and passes the batches on.
async fn read(
    mut batches: Batches,
    ctx: Ctx,
    sender: tokio::sync::mpsc::Sender<arrow_array::RecordBatch>,
) -> Result<Written> {
    while let Some(batch) = batches.stream.try_next().await? {
        ctx.progress.add(batch.num_rows() as u64, bytes_of(&batch));
        if sender.send(batch).await.is_err() {
            break; // The writer has failed and says why.
        }
    }
    Ok(Written::default())
}
