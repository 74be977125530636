//! Two tables, or the rows of a database and a table, compared where they are.
mod choice;
mod database;
mod earlier;
mod request;
mod side;

use std::borrow::Cow;

use chrono::Utc;
use icehaul_lake::measure::{By, Depth, differences};
use serde_json::Value;

pub use request::{Level, VerifyTables};

use super::migrate::{Stopwatch, result_of, seconds};
use crate::{
    Code, Ctx, Error, FieldError, Result, Secret,
    report::{
        ColumnCompared, Comparison, PAIRED, Report, RowsCompared, RowsDiffering, SchemaCompared, Store, TextsCompared,
        Verdict, compare_schemas, counted,
    },
    source::{Names, Source},
    spec::{JobOptions, Task},
};
use database::Database;
use earlier::Earlier;
use request::Named;
use side::Side;

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

    fn catalogs(&self) -> Vec<(Cow<'static, str>, Option<&str>)> {
        let named = [("source", self.source.as_ref()), ("destination", self.destination.as_ref())].into_iter();
        named.filter_map(|(field, name)| Some((field.into(), Named::parse(name?).ok()?.catalog))).collect()
    }

    fn check_names(&self, names: &Names<'_>) -> Vec<FieldError> {
        self.unknown_names(names)
    }

    fn secrets(&mut self) -> Vec<&mut Secret> {
        let postgres = self.postgres.iter_mut().flat_map(|postgres| postgres.secrets());
        postgres.chain(self.mysql.iter_mut().flat_map(|mysql| mysql.secrets())).collect()
    }

    /// Nothing is written but the report, which a second run writes again.
    async fn run(&self, ctx: &Ctx) -> Result<Value> {
        let earlier = match &self.report {
            Some(id) => Some(Earlier::find(ctx, id).await?),
            None => None,
        };
        let request = earlier.as_ref().map_or_else(|| self.clone(), |earlier| earlier.request(self));
        let mut report = ctx.stop.or(request.verify(ctx, earlier.as_ref())).await?;
        (report.request, report.attempts.all) = (serde_json::to_value(self).unwrap_or_default(), ctx.attempts().await);
        let there = Named::parse(request.destination())?;
        Store(ctx.lake(there.catalog)?).keep(&report).await?;
        match report.verdict {
            Verdict::Mismatch => Err(Error::new(Code::VerificationFailed, report.summary)),
            _ => Ok(result_of(&report)),
        }
    }
}

impl VerifyTables {
    fn destination(&self) -> &str {
        self.destination.as_deref().unwrap_or_default()
    }

    async fn verify(&self, ctx: &Ctx, earlier: Option<&Earlier>) -> Result<Report> {
        ctx.progress.phase("planning");
        let mut watch = Stopwatch::start("planning");
        let source = match self.database() {
            Some(queried) => Side::Database(Box::new(Database::plan(ctx, queried).await?)),
            None => {
                let name = self.source.as_deref().unwrap_or_default();
                let schema = earlier.and_then(Earlier::source_schema);
                Side::table(ctx, ("source", name), Self::at(self.source_snapshot.as_deref()), schema).await?
            }
        };
        let there = Self::at(self.destination_snapshot.as_deref());
        let schema = earlier.and_then(Earlier::destination_schema);
        let destination = Side::table(ctx, ("destination", self.destination()), there, schema).await?;
        if source.is(&destination) {
            let detail = "is the source itself, in the same state: name another table or snapshot";
            return Err(Error::field("destination", Code::SameTable, detail));
        }
        let mut report = self.begin(ctx, &source, &destination).await?;
        let mut found = report.schema.differences();
        if let Some(earlier) = earlier {
            found.retain(|difference| !earlier.permitted(difference));
            report.schema_match = found.is_empty();
        }
        // A database is read to be counted, which the comparison does anyway.
        let counts_first = self.level == Level::Counts || matches!(source, Side::Table { .. });
        if self.level != Level::Schema && counts_first {
            watch.next("counting", None);
            ctx.progress.phase("counting");
            let counts = (source.count().await?, destination.count().await?);
            report.rows = RowsCompared { source: counts.0, destination: Some(counts.1) };
            report.row_count_match = Some(counts.0 == counts.1);
            if counts.0 != counts.1 {
                found.push(format!("{} in the source, {} in the destination", counted(counts.0, "row"), counts.1));
            }
        }
        if self.level == Level::Checksum {
            watch.next("comparing", Some(report.rows.source));
            ctx.progress.phase("comparing");
            let compared = self.compare(ctx, &source, &destination, &mut report, &mut watch).await?;
            // The numbers of rows were told already, if they were counted.
            let new: Vec<_> = compared.into_iter().filter(|text| !found.contains(text)).collect();
            found.extend(new);
        }
        if let Some(earlier) = earlier {
            found.extend(earlier.differences(&report));
        }
        let not_held = earlier.and_then(|earlier| earlier.not_checked(&report));
        let held = earlier.filter(|_| not_held.is_none());
        report.not_checked.extend(not_held);
        watch.end();
        report.phases = watch.phases();
        self.conclude(ctx, &mut report, found);
        if let (Some(earlier), Verdict::Match) = (held, report.verdict) {
            report.summary = format!("{}, and as report {} says", report.summary, earlier.id());
        }
        Ok(report)
    }

    async fn begin(&self, ctx: &Ctx, source: &Side, destination: &Side) -> Result<Report> {
        let mut report = Report::begin(ctx, ctx.job.to_string(), Self::KIND, self);
        (report.source, report.destination) = (source.state().await?, destination.state().await?);
        let mut there = destination.columns(&[])?;
        let mut here = source.columns(&there)?;
        if let Side::Database(database) = source {
            let added: Vec<_> =
                database.lineage().filter(|name| here.iter().all(|column| column.name != *name)).collect();
            there.retain(|column| !added.contains(&column.name.as_str()));
            report.not_checked.push(format!("The columns that a load adds to the rows: {}.", added.join(", ")));
            report.not_checked.push("Whether columns may be null: a query does not tell.".to_owned());
        }
        let left_out = self.choose(source, destination, &mut here, &mut there)?;
        let columns = compare_schemas(&here, &there);
        let alone = columns.iter().filter(|column| column.source.is_none() || column.destination.is_none());
        let alone: Vec<_> = alone.map(|column| column.name.as_str()).collect();
        if !alone.is_empty() && self.level == Level::Checksum {
            report.not_checked.push(format!("Values of columns that only one side has: {}.", alone.join(", ")));
        }
        if !left_out.is_empty() {
            report.not_checked.push(format!("Columns that were not asked for: {}.", left_out.join(", ")));
        }
        report.schema = SchemaCompared {
            columns,
            partitioning: TextsCompared::new(source.partitioning(), destination.partitioning()),
            sort_order: TextsCompared::new(source.sort_order(), destination.sort_order()),
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
        let (columns, unlike) = comparable(&report.schema.columns, source, destination)?;
        if columns.is_empty() {
            report.not_checked.push("Values: the tables have no column of one name and kind.".to_owned());
            return Ok(unlike);
        }
        let sample = self.sample_rows.unwrap_or(SHOWN) as usize;
        let depth = Depth { figures: true, sample };
        let here = source.told(source.rows().measure(&columns, depth).await)?;
        let there = destination.rows().measure(&columns, depth).await?;
        let comparison = Comparison::of(&columns, &here, &there);
        let mut found = comparison.differences();
        found.extend(unlike);
        let same = comparison.checksum_matches();
        report.take(comparison);
        if !same {
            watch.next("locating", None);
            ctx.progress.phase("locating");
            // A key of other types on the other side tells no row: that they differ is said already.
            let keyed = !self.key.is_empty() && self.key.iter().all(|name| columns.contains(name));
            let key = keyed.then_some(&self.key[..]);
            let mut parted = [destination, source].into_iter().filter_map(Side::partitions);
            let partitioning = parted.find(|by| by.fits(&columns));
            let most = if sample == 0 { 0 } else { sample.max(LEAST_DIFFERING) };
            let fetched = if most == 0 { 0 } else { most.max(PAIRED) };
            let by = By { columns: &columns, key, most: fetched, partitioning: partitioning.as_ref() };
            let found_rows = source.told(differences(source.rows(), destination.rows(), by).await)?;
            let rows = RowsDiffering::of(&columns, found_rows, most);
            found.extend(rows.told());
            if key.is_none() && !rows.complete {
                found.push("there are more; with `key`, rows of one key are shown beside each other".to_owned());
            }
            report.differences = Some(rows);
        }
        Ok(found)
    }

    fn conclude(&self, ctx: &Ctx, report: &mut Report, found: Vec<String>) {
        let which = if self.source_columns || !self.columns.is_empty() { "chosen columns" } else { "columns" };
        let columns = format!("the {which} ({})", report.schema.columns.len());
        let compared = match self.level {
            Level::Schema => columns,
            Level::Counts => format!("{columns} and the numbers of rows"),
            Level::Checksum => format!("{columns}, the numbers of rows, the fingerprints and these columns' figures"),
        };
        if found.is_empty() {
            report.verdict = Verdict::Match;
            report.summary = format!("{compared} are equal ({})", counted(report.rows.source, "row"));
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
        report.verify_again = self.source.is_some().then(|| report.command());
        report.attempts.attempt = ctx.attempt;
    }
}

/// The columns whose values can be compared, as both tables have them with values of one kind; and of what others differ, in
/// words, where their types do not tell.
fn comparable(columns: &[ColumnCompared], source: &Side, destination: &Side) -> Result<(Vec<String>, Vec<String>)> {
    let (here, there) = (source.schema()?, destination.schema()?);
    let both = columns.iter().filter(|column| column.source.is_some() && column.destination.is_some());
    let (alike, unlike): (Vec<_>, Vec<_>) = both.partition(|column| {
        let fields = (here.field_with_name(&column.name), there.field_with_name(&column.name));
        matches!(fields, (Ok(here), Ok(there)) if icehaul_lake::fingerprint::alike(here, there))
    });
    let unlike = unlike.into_iter().filter(|column| column.matches).map(|column| {
        format!("column `{}` has values of other kinds on both sides, which cannot be compared", column.name)
    });
    Ok((alike.into_iter().map(|column| column.name.clone()).collect(), unlike.collect()))
}
