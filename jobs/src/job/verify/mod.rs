//! Two tables compared where they are.
mod request;

use chrono::Utc;
use icehaul_lake::{
    At, Lake, Table,
    measure::{By, Depth, Rows, differences},
};
use serde_json::Value;

pub use request::{Level, VerifyTables};

use super::{
    migrate::{Stopwatch, result_of, seconds},
    state_of,
};
use crate::{
    Code, Ctx, Error, FieldError, Result,
    report::{
        ColumnCompared, Comparison, Report, RowsCompared, RowsDiffering, SchemaCompared, Store, TextsCompared, Verdict,
        compare_schemas,
    },
    spec::{JobOptions, Task},
};
use request::Named;

/// Rows that a report shows if the request does not say.
const SHOWN: u32 = 5;
/// The least differing rows that it shows: one that differs is two, before and after.
const LEAST_DIFFERING: usize = 10;

impl Task for VerifyTables {
    const KIND: &'static str = "verify";

    fn check(&self) -> Vec<FieldError> {
        self.faults()
    }

    fn options(&self) -> &JobOptions {
        &self.options
    }

    fn catalogs(&self) -> Vec<(&'static str, Option<&str>)> {
        let named = [("source", &self.source), ("destination", &self.destination)].into_iter();
        named.filter_map(|(field, name)| Some((field, Named::parse(name).ok()?.catalog))).collect()
    }

    /// Nothing is written but the report, which a second run writes again.
    async fn run(&self, ctx: &Ctx) -> Result<Value> {
        let report = ctx.stop.or(self.verify(ctx)).await?;
        let there = Named::parse(&self.destination)?;
        Store(ctx.lake(there.catalog)?).keep(&report).await?;
        match report.verdict {
            Verdict::Mismatch => Err(Error::new(Code::VerificationFailed, report.summary)),
            _ => Ok(result_of(&report)),
        }
    }
}

/// One of the two tables, pinned.
struct Side {
    table: Table,
    at: At,
}

impl Side {
    async fn open(lake: &Lake, named: &Named<'_>, at: At) -> Result<Self> {
        let table = lake.table(&named.table).await?;
        let at = table.snapshot_id(at)?.map_or(At::Current, At::Snapshot);
        Ok(Self { table, at })
    }

    const fn rows(&self) -> Rows<'_> {
        Rows::Table(&self.table, self.at)
    }
}

impl VerifyTables {
    async fn verify(&self, ctx: &Ctx) -> Result<Report> {
        ctx.progress.phase("planning");
        let mut watch = Stopwatch::start("planning");
        let (here, there) = (Named::parse(&self.source)?, Named::parse(&self.destination)?);
        let source = Side::open(ctx.lake(here.catalog)?, &here, Self::at(self.source_snapshot.as_deref())).await?;
        let destination =
            Side::open(ctx.lake(there.catalog)?, &there, Self::at(self.destination_snapshot.as_deref())).await?;
        let mut report = self.begin(ctx, (&here, &source), (&there, &destination)).await?;
        let mut found = report.schema.differences();
        if self.level != Level::Schema {
            watch.next("counting", None);
            ctx.progress.phase("counting");
            let counts = (source.table.count(source.at).await?, destination.table.count(destination.at).await?);
            report.rows = RowsCompared { source: counts.0, destination: Some(counts.1) };
            report.row_count_match = Some(counts.0 == counts.1);
            if counts.0 != counts.1 {
                found.push(format!("{} rows in the source, {} in the destination", counts.0, counts.1));
            }
        }
        if self.level == Level::Checksum {
            watch.next("comparing", Some(report.rows.source));
            ctx.progress.phase("comparing");
            found.extend(self.compare(ctx, &source, &destination, &mut report, &mut watch).await?);
        }
        watch.end();
        report.phases = watch.phases();
        self.conclude(ctx, &mut report, found);
        Ok(report)
    }

    async fn begin(&self, ctx: &Ctx, source: (&Named<'_>, &Side), destination: (&Named<'_>, &Side)) -> Result<Report> {
        let (here, there) = (source.1, destination.1);
        let name = |named: &Named<'_>| named.catalog.unwrap_or(ctx.lakes.default_name()).to_owned();
        let mut report = Report::begin(ctx, ctx.job.to_string(), Self::KIND, self);
        report.source = state_of(&name(source.0), &here.table, here.at);
        report.destination = state_of(&name(destination.0), &there.table, there.at);
        (report.source.files, report.source.bytes) = here.table.files(here.at).await?;
        (report.destination.files, report.destination.bytes) = there.table.files(there.at).await?;
        report.schema = SchemaCompared {
            columns: compare_schemas(&here.table.columns_at(here.at)?, &there.table.columns_at(there.at)?),
            partitioning: TextsCompared::new(here.table.partitioning(), there.table.partitioning()),
            sort_order: TextsCompared::new(here.table.sort_order(), there.table.sort_order()),
            properties_left_out: Vec::new(),
        };
        report.schema_match = report.schema.matches();
        Ok(report)
    }

    /// Compares every value of the columns that both tables have; gives what differs, in words.
    async fn compare(
        &self,
        ctx: &Ctx,
        source: &Side,
        destination: &Side,
        report: &mut Report,
        watch: &mut Stopwatch,
    ) -> Result<Vec<String>> {
        let columns = comparable(&report.schema.columns, source, destination)?;
        if columns.is_empty() {
            report.not_checked.push("Values: the tables have no column of one name and kind.".to_owned());
            return Ok(Vec::new());
        }
        let sample = self.sample_rows.unwrap_or(SHOWN) as usize;
        let depth = Depth { figures: true, sample };
        let (here, there) =
            (source.rows().measure(&columns, depth).await?, destination.rows().measure(&columns, depth).await?);
        let comparison = Comparison::of(&columns, &here, &there);
        let mut found = comparison.differences();
        // The numbers of rows were told already.
        found.retain(|text| !text.contains(" rows in the source, "));
        let same = comparison.checksum_matches();
        report.take(comparison);
        if !same {
            watch.next("locating", None);
            ctx.progress.phase("locating");
            let key = (!self.key.is_empty()).then_some(&self.key[..]);
            let by = By { columns: &columns, key, most: sample.max(LEAST_DIFFERING) };
            let rows = RowsDiffering::of(&columns, differences(source.rows(), destination.rows(), by).await?);
            found.extend(rows.first());
            report.differences = Some(rows);
        }
        Ok(found)
    }

    fn conclude(&self, ctx: &Ctx, report: &mut Report, found: Vec<String>) {
        let compared = match self.level {
            Level::Schema => "the columns",
            Level::Counts => "the columns and the numbers of rows",
            Level::Checksum => "columns, numbers of rows, fingerprints and the figures of all columns",
        };
        if found.is_empty() {
            report.verdict = Verdict::Match;
            report.summary = format!("{compared} are equal ({} rows)", report.rows.source);
            if self.level == Level::Schema {
                report.summary = format!("{compared} are equal");
            }
        } else {
            report.status = "failed".to_owned();
            report.verdict = Verdict::Mismatch;
            report.summary = format!("the tables differ: {}", found.join("; "));
        }
        report.found = found;
        report.not_checked.push("The order of rows: a table has none.".to_owned());
        match self.level {
            Level::Schema => report.not_checked.push("Rows: `level` was `schema`.".to_owned()),
            Level::Counts => report.not_checked.push("Values: `level` was `counts`.".to_owned()),
            Level::Checksum => report.not_checked.extend(crate::report::limits()),
        }
        report.finished_at = Utc::now();
        report.duration_seconds = seconds(report.finished_at - report.started_at);
        report.verify_again = Some(report.command());
        report.attempts.attempt = ctx.attempt;
    }
}

/// The columns whose values can be compared: both tables have them, with values of one kind.
fn comparable(columns: &[ColumnCompared], source: &Side, destination: &Side) -> Result<Vec<String>> {
    let (here, there) = (source.table.schema_at(source.at)?, destination.table.schema_at(destination.at)?);
    let both = columns.iter().filter(|column| column.source.is_some() && column.destination.is_some());
    let alike = both.filter(|column| {
        let fields = (here.field_with_name(&column.name), there.field_with_name(&column.name));
        matches!(fields, (Ok(here), Ok(there)) if icehaul_lake::fingerprint::alike(here, there))
    });
    Ok(alike.map(|column| column.name.clone()).collect())
}
