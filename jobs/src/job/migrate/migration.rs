//! One attempt at one table.
use std::{collections::BTreeMap, sync::Arc};

use chrono::Utc;
use futures::TryStreamExt;
use icehaul_lake::{
    At, Batches, Change, Committed, Lake, Replaced, Scan, Table, Target, Touched, failpoint,
    measure::{By, Depth, Measurer, Partitioning, Rows, differences},
};
use serde_json::json;

use super::{
    MigrateMode, MigrateTable,
    begin::{Begun, Pinned},
    evidence::{Evidence, Proof, Stopwatch},
    files::{Copies, Tasks},
};
use crate::{
    Code, Ctx, Error, Result,
    job::{
        lanes::{self, Lanes, Share, Written, bytes_of},
        publish::{Publisher, Told, summary},
        state_of,
    },
    report::{AnyReport, Comparison, PAIRED, Report, RowsDiffering, Store, TableState, Verdict},
};

/// Rows that a report shows if the request does not say.
const SAMPLED: u32 = 5;
/// Rows that a report shows of those that differ.
const DIFFERING: usize = 10;

/// One attempt at one table.
pub(super) struct Migration<'a> {
    pub request: &'a MigrateTable,
    pub ctx: &'a Ctx,
    pub source_lake: &'a Lake,
    pub publisher: Publisher<'a>,
}

/// What was copied and waits for its commit.
enum Cargo {
    /// With the destination's files that they take the place of, if they are changed rows.
    Rows(Written, Option<Box<Touched>>),
    Files(Copies),
}

impl Cargo {
    const fn rows(&self) -> u64 {
        match self {
            Self::Rows(written, _) => written.rows,
            Self::Files(copies) => copies.rows,
        }
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
        let (before, committed) = self.publisher.look().await?;
        if let Some(committed) = committed {
            return self.recovered(&committed).await;
        }
        let share = Share::take();
        let mut watch = Stopwatch::start("planning");
        let begun = self.begin(before.as_ref()).await?;
        let Begun { source, step, carry, mut rows, target, mut evidence } = begun;
        let (mut lanes, mut copying, mut hashing) = (Lanes::new(), Tasks::new(), Tasks::new());
        let work = async {
            watch.next("copying", None);
            let cargo = match &carry {
                Some((carry, rows)) => Cargo::Files(self.copy_files(carry, &target, *rows, &mut copying).await?),
                None => {
                    let touched = self.touch(&source, before.as_ref()).await?;
                    let of_destination = (before.as_ref(), touched.as_ref());
                    let streams = self.streams(&source, rows.take(), of_destination, &share).await?;
                    Cargo::Rows(self.copy(&source, streams, &target, &mut lanes).await?, touched.map(Box::new))
                }
            };
            failpoint::hit("migrate.copied").await?;
            watch.next("verifying", Some(cargo.rows()));
            match &cargo {
                Cargo::Rows(written, None) => self.prove(&source, &target, written, &mut evidence).await?,
                Cargo::Rows(written, Some(touched)) => {
                    let becomes = (written, before.as_ref(), touched.as_ref());
                    self.prove_changes(&source, &target, becomes, &mut evidence).await?;
                }
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
                    let mut report = evidence.failed(&error);
                    report.attempts.all = self.ctx.attempts().await;
                    self.store().keep(&report).await?;
                }
                return Err(error);
            }
        };
        let entries = self.summary(&source, &cargo, &target);
        let committed = match &cargo {
            Cargo::Rows(written, touched) => {
                let change = self.change(touched.as_deref());
                self.publisher.commit(&target, written, change, step, entries).await
            }
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

    /// How much is measured of what is compared.
    pub fn compared(&self) -> Depth {
        let rows = self.request.manner.sample_rows.unwrap_or(SAMPLED);
        if self.request.manner.validate { Depth { figures: true, sample: rows as usize } } else { Depth::default() }
    }

    /// The rows that are to be written.
    async fn streams(
        &self,
        source: &Pinned,
        transformed: Option<Batches>,
        (before, touched): (Option<&Table>, Option<&Touched>),
        share: &Share,
    ) -> Result<Vec<Batches>> {
        if let Some(batches) = transformed {
            return Ok(vec![batches]);
        }
        let width = share.of(self.ctx.limits.parallelism);
        if source.changes.is_some() {
            return self.changed_rows(source, before, touched, width).await;
        }
        let scan = Scan { at: source.at, since: source.since, ..Scan::default() };
        Ok(source.table.scan_parallel(scan, width).await?)
    }

    /// Reads rows and writes files, side by side.
    async fn copy(
        &self,
        source: &Pinned,
        streams: Vec<Batches>,
        target: &Target,
        lanes: &mut Lanes,
    ) -> Result<Written> {
        self.ctx.progress.planned(source.files, Some(source.rows));
        self.ctx.progress.phase("copying");
        for (lane, batches) in streams.into_iter().enumerate() {
            let writer = target.writer(&self.publisher.prefix(), lane).await?;
            let measurer = self.request.manner.validate.then(|| Measurer::new(&batches.schema, None, self.compared()));
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
                let stored = target.measure(&written.files, None, self.compared()).await;
                let stored = stored.map_err(|error| evidence.unreadable(error.into(), written))?;
                Proof::Measures(Box::new(Comparison::of(&evidence.column_names(), read, &stored)))
            }
        };
        evidence.proof(proof, written);
        if evidence.differences().is_empty() {
            return Ok(());
        }
        if self.request.manner.validate && self.request.manner.transform.is_none() {
            let (here, there) = (Rows::Table(&source.table, source.at), Rows::Files(target, &written.files));
            self.locate(here, there, target, evidence).await?;
        }
        let found = evidence.differences().join("; ");
        let message = format!("nothing was published, the files do not hold what was read: {found}");
        Err(Error::new(Code::VerificationFailed, message))
    }

    /// Finds the rows that differ, and the partitions in which they are.
    pub async fn locate(
        &self,
        here: Rows<'_>,
        there: Rows<'_>,
        target: &Target,
        evidence: &mut Evidence,
    ) -> Result<()> {
        self.ctx.progress.phase("locating");
        let columns = evidence.column_names();
        let partitioning = Partitioning::of_target(target).filter(|by| by.fits(&columns));
        let (most, fetched) = if self.request.manner.sample_rows == Some(0) { (0, 0) } else { (DIFFERING, PAIRED) };
        let by = By { columns: &columns, key: None, most: fetched, partitioning: partitioning.as_ref() };
        evidence.differing(RowsDiffering::of(&columns, differences(here, there, by).await?, most));
        Ok(())
    }

    fn change(&self, touched: Option<&Touched>) -> Change {
        match self.request.manner.mode {
            MigrateMode::Create => Change::Create,
            MigrateMode::Overwrite => Change::Overwrite,
            MigrateMode::Append => Change::Append,
            // How far the destination has come is kept with it even if that brings no row.
            MigrateMode::Incremental => {
                Change::Replace(Arc::new(touched.map_or_else(Replaced::default, |touched| Replaced {
                    files: touched.files.clone(),
                    at: touched.at,
                })))
            }
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
        if let Cargo::Rows(written, None) = cargo
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
        // Without a row to append there is no new snapshot: the table stays at its own.
        let at = committed.snapshot_id.map_or(At::Current, At::Snapshot);
        report.destination = TableState {
            files: report.destination.files,
            bytes: report.destination.bytes,
            snapshot_before: report.destination.snapshot_before.take(),
            since: report.destination.since.take(),
            ..state_of(self.dest_catalog(), &table, at)
        };
        if let Some(transfer) = &mut report.transfer {
            (transfer.published, transfer.unchanged) = (true, committed.snapshot_id.is_none());
        }
        if committed.snapshot_id.is_none() {
            "there was nothing to copy, so no snapshot was made: the rows of the destination are as they were"
                .clone_into(&mut report.summary);
        }
        if report.attempts.attempt != self.ctx.attempt {
            report.attempts.finished_by_attempt = Some(self.ctx.attempt);
        }
        report.attempts.all = self.ctx.attempts().await;
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
        let as_it_is = self.request.manner.transform.is_none() && report.source.since.is_none();
        let as_the_source = report.transfer.as_ref().is_some_and(|transfer| transfer.changes.is_some());
        (as_the_source || !others && as_it_is).then(|| report.command())
    }

    /// Tells the report of rows that an earlier attempt has published, and deletes what is not among them.
    async fn recovered(&self, committed: &Committed) -> Result<Report> {
        let told = Told(committed);
        self.publisher.discard_others(told.epoch()).await;
        if let Some(AnyReport::One(mut report)) = self.store().get(self.operation()).await?.map(|stored| stored.report)
            && report.verdict != Verdict::Mismatch
        {
            report.attempts.all = self.ctx.attempts().await;
            self.store().keep(&report).await?;
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
