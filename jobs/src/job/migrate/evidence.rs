//! What an attempt finds out, on its way into the report.
use std::time::Instant;

use chrono::{TimeDelta, Utc};
use icehaul_lake::{Column, Model, Table, Target};
use serde_json::to_value;

use super::{MigrateMode, begin::Pinned, migration::Migration};
use crate::{
    Code, Error,
    job::{lanes::Written, rounded, state_of},
    report::{
        Comparison, FilesCompared, Phase, Report, RowChanges, RowsCompared, RowsDiffering, SchemaCompared, TableState,
        TextsCompared, Transfer, Verdict, compare_schemas, counted, limits,
    },
    spec::Task,
};

/// What was compared.
pub(super) enum Proof {
    /// Only the numbers of rows.
    Counts { read: u64, written: u64 },
    /// Everything.
    Measures(Box<Comparison>),
}

/// The report in the making.
pub(super) struct Evidence {
    report: Report,
    mode: MigrateMode,
}

impl Evidence {
    pub fn new(
        migration: &Migration<'_>,
        source: &Pinned,
        columns: &[Column],
        target: &Target,
        model: Option<&Model>,
        before: Option<&Table>,
    ) -> Self {
        let mode = migration.request.manner.mode;
        let id = migration.operation().to_owned();
        let mut report = Report::begin(migration.ctx, id, super::MigrateTable::KIND, migration.request);
        report.source = state_of(migration.source_catalog(), &source.table, source.at);
        (report.source.files, report.source.bytes) = (source.files, source.bytes);
        report.destination = TableState {
            catalog: migration.dest_catalog().to_owned(),
            table: format!("{}.{}", migration.request.dest_namespace, migration.request.dest_table),
            uuid: before.map(|table| table.metadata().uuid()),
            snapshot_before: before.and_then(|t| t.metadata().current_snapshot_id()).map(|id| id.to_string()),
            ..TableState::default()
        };
        report.source.since = source.since.map(|id| id.to_string());
        report.transfer = Some(Transfer {
            mode: mode.as_str().to_owned(),
            copy: migration.request.manner.copy.as_str().to_owned(),
            rows: 0,
            transform: migration.request.manner.transform.as_ref().and_then(|t| to_value(t).ok()),
            created: before.is_none(),
            published: false,
            unchanged: false,
            changes: None,
            snapshots: None,
        });
        report.schema = SchemaCompared {
            columns: compare_schemas(columns, &target.columns()),
            partitioning: TextsCompared::new(source.table.partitioning(), target.partitioning()),
            sort_order: TextsCompared::new(source.table.sort_order(), target.sort_order()),
            properties_left_out: model.filter(|_| before.is_none()).map(|m| m.left_out().to_vec()).unwrap_or_default(),
        };
        // Columns that the destination has besides, or has wider, are as the request wants them: the rows are compared.
        let lost = report.schema.columns.iter().any(|column| column.source.is_some() && column.destination.is_none());
        report.schema_match = !lost;
        Self { report, mode }
    }

    /// The report as far as it is known before anything is written.
    pub fn begun(&mut self) -> &Report {
        &self.report
    }

    /// The names of the source's columns.
    pub fn column_names(&self) -> Vec<String> {
        let columns = self.report.schema.columns.iter();
        columns.filter(|column| column.source.is_some()).map(|column| column.name.clone()).collect()
    }

    pub const fn rows_compared(&self) -> u64 {
        self.report.rows.source
    }

    pub fn phases(&mut self, watch: &Stopwatch) {
        self.report.phases = watch.phases();
    }

    /// Takes what was compared.
    pub fn proof(&mut self, proof: Proof, written: &Written) {
        self.written(written);
        let report = &mut self.report;
        match proof {
            Proof::Counts { read, written } => {
                report.rows = RowsCompared { source: read, destination: Some(written) };
                report.row_count_match = Some(read == written);
                if read != written {
                    report.found.push(format!("{} in the source, {written} in the files", counted(read, "row")));
                }
            }
            Proof::Measures(comparison) => {
                report.found = comparison.differences();
                report.verdict = if comparison.matches() { Verdict::Match } else { Verdict::Mismatch };
                report.take(*comparison);
            }
        }
        self.report.not_checked = self.not_checked();
    }

    /// Takes a failure to read the files back. That one has other columns than were written is a difference like others.
    pub fn unreadable(&mut self, error: Error, written: &Written) -> Error {
        if error.code() != Code::VerificationFailed {
            return error;
        }
        self.written(written);
        self.report.rows = RowsCompared { source: written.rows, destination: None };
        self.report.found.push(error.message().to_owned());
        let message = format!("nothing was published, the files are not as they were written: {}", error.message());
        Error::new(Code::VerificationFailed, message).caused_by(error)
    }

    fn written(&mut self, written: &Written) {
        let report = &mut self.report;
        (report.destination.files, report.destination.bytes) = (written.files.len() as u64, written.bytes());
        if let Some(transfer) = &mut report.transfer {
            transfer.rows = written.rows;
        }
    }

    /// Takes what became of changed rows: the whole tables were compared then.
    pub fn changes(&mut self, changes: RowChanges) {
        if let Some(transfer) = &mut self.report.transfer {
            transfer.rows = changes.replaced + changes.added;
            transfer.changes = Some(changes);
        }
        self.report.not_checked = self.not_checked();
    }

    /// Takes the files that were compared.
    pub fn files(&mut self, files: FilesCompared, rows: u64, snapshots: Option<usize>) {
        let report = &mut self.report;
        (report.destination.files, report.destination.bytes) = (files.files, files.bytes);
        if let Some(transfer) = &mut report.transfer {
            transfer.rows = rows;
            transfer.snapshots = snapshots.map(|count| count as u64);
        }
        report.rows = RowsCompared { source: rows, destination: None };
        report.found = files.differences();
        report.verdict = match files.matches {
            Some(true) => Verdict::Match,
            Some(false) => Verdict::Mismatch,
            None => Verdict::NotCompared,
        };
        let values = match files.matches {
            Some(_) => "Values: the copies are compared byte by byte with their sources, nothing is decoded.",
            None => "Values, and the bytes of the copies: `validate` was false, so that they were not read back.",
        };
        report.not_checked = vec![values.to_owned()];
        if snapshots.is_none() {
            let text = "Earlier snapshots of the source, its branches and tags: only the files of the snapshot named here were copied.";
            report.not_checked.push(text.to_owned());
        }
        if files.rewritten > 0 {
            let text = "Files with places of deleted rows against their sources: they name files, so they were written anew, and \
                        are compared with what was written.";
            report.not_checked.push(text.to_owned());
        }
        report.files = Some(files);
    }

    /// Takes the rows that differ.
    pub fn differing(&mut self, rows: RowsDiffering) {
        self.report.found.extend(rows.told());
        self.report.differences = Some(rows);
    }

    /// What differs, in words; nothing if the rows may be published.
    pub fn differences(&self) -> &[String] {
        &self.report.found
    }

    /// The report as it will be if the commit succeeds.
    pub fn report(&self) -> Report {
        let report = &self.report;
        let rows = counted(report.rows.source, "row");
        let were = if report.rows.source == 1 { "was" } else { "were" };
        let files = report.files.as_ref().map_or(0, |files| files.files);
        let files = format!("{} with {rows}", counted(files, "file"));
        let columns = counted(report.columns.len() as u64, "column");
        let equal = format!("row counts, fingerprints and the figures of {columns} are equal");
        let changes = report.transfer.as_ref().and_then(|transfer| transfer.changes.as_ref());
        let summary = match (report.verdict, changes) {
            (Verdict::Match, _) if report.files.is_some() => {
                format!("{files} were copied as they are; each copy was read back and has the SHA-256 of what was read")
            }
            _ if report.files.is_some() => format!("{files} were copied and not read back (`validate` was false)"),
            (Verdict::Match, Some(RowChanges { deleted, replaced, added, .. })) => format!(
                "{} deleted, {replaced} replaced and {added} added; the destination then holds exactly the {rows} of the \
                 source: {equal}",
                counted(*deleted, "row")
            ),
            (Verdict::Match, None) => {
                format!("{rows} {were} copied; the files that were published hold exactly what was read: {equal}")
            }
            _ => format!("{rows} {were} copied and counted; the values were not compared (`validate` was false)"),
        };
        Report { summary, ..report.clone() }
    }

    /// The report of an attempt that found a difference.
    pub fn failed(&self, error: &Error) -> Report {
        let now = Utc::now();
        Report {
            status: "failed".into(),
            verdict: Verdict::Mismatch,
            summary: error.message().to_owned(),
            finished_at: now,
            duration_seconds: seconds(now - self.report.started_at),
            ..self.report.clone()
        }
    }

    fn not_checked(&self) -> Vec<String> {
        let mut all = vec![
            "The order of rows: a table has none.".to_owned(),
            "Earlier snapshots of the source, its branches and tags: only the snapshot named here was copied."
                .to_owned(),
        ];
        if self.report.verdict == Verdict::NotCompared {
            all.push("The values of rows: `validate` was false, so that rows were counted only.".to_owned());
        } else {
            all.extend(limits());
        }
        if self.report.transfer.as_ref().is_some_and(|transfer| transfer.transform.is_some()) {
            let transform = self.report.transfer.as_ref().and_then(|transfer| transfer.transform.as_ref());
            let cast = transform.and_then(|transform| transform["cast"].as_object());
            let cast: Vec<_> = cast.into_iter().flat_map(|cast| cast.keys().map(String::as_str)).collect();
            if !cast.is_empty() {
                let columns = cast.join(", ");
                all.push(format!("What `cast` has rounded or cut, as SQL does, in the columns {columns}."));
            }
            let text = "Whether the transformation gives what is meant: what it gave is compared with what the destination holds.";
            all.push(text.to_owned());
        }
        let adds = matches!(self.mode, MigrateMode::Append | MigrateMode::Incremental);
        let whole = self.report.verdict != Verdict::NotCompared
            && self.report.transfer.as_ref().is_some_and(|transfer| transfer.changes.is_some());
        if adds && !whole && self.report.destination.snapshot_before.is_some() {
            all.push(
                "The rows that were in the destination before: the comparison is of the rows that were added.".into(),
            );
        }
        all
    }
}

/// Measures the steps of an attempt.
pub(in crate::job) struct Stopwatch {
    begun: Instant,
    name: &'static str,
    done: Vec<Phase>,
    ended: bool,
}

impl Stopwatch {
    pub fn start(name: &'static str) -> Self {
        Self { begun: Instant::now(), name, done: Vec::new(), ended: false }
    }

    /// Ends a step, which went through so many rows, and begins the next one.
    pub fn next(&mut self, name: &'static str, rows: Option<u64>) {
        self.done.push(self.running(rows));
        (self.begun, self.name) = (Instant::now(), name);
    }

    pub fn end(&mut self) {
        self.done.push(self.running(None));
        self.ended = true;
    }

    /// The steps so far.
    pub fn phases(&self) -> Vec<Phase> {
        let running = (!self.ended).then(|| self.running(None));
        self.done.iter().cloned().chain(running).collect()
    }

    fn running(&self, rows: Option<u64>) -> Phase {
        Phase { name: self.name.to_owned(), seconds: rounded(self.begun.elapsed()), rows }
    }
}

/// A time between two moments, in seconds.
pub(in crate::job) fn seconds(time: TimeDelta) -> f64 {
    time.num_milliseconds() as f64 / 1000.0
}
