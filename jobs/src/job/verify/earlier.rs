//! An earlier report, held to the tables that it is of.
use super::{Level, VerifyTables};
use crate::{
    Code, Ctx, Error, Result,
    report::{AnyReport, Report, Store, TableState},
};

/// A report whose tables can be compared again.
pub(super) struct Earlier(Box<Report>);

impl Earlier {
    /// Finds it, wherever it lies.
    pub async fn find(ctx: &Ctx, id: &str) -> Result<Self> {
        let why = match Store::find(&ctx.lakes, id).await?.report {
            AnyReport::One(report) if report.verify_again.is_some() => return Ok(Self(report)),
            AnyReport::One(report) if report.status != "success" && report.transfer.is_some() => {
                "nothing was published by that migration"
            }
            AnyReport::One(report) if report.source.uuid.is_none() => {
                "the rows were those of a database query, which has no snapshots"
            }
            AnyReport::One(report) if report.transfer.as_ref().is_some_and(|made| made.transform.is_some()) => {
                "the rows were transformed on their way, so the two tables are not meant to be equal"
            }
            AnyReport::One(_) => "the rows were added to others in the destination, and cannot be told apart from them",
            AnyReport::Batch(_) => "it is one over many tables; check the reports of the tables, which it names",
        };
        let detail = format!("the comparison of report {id} cannot be repeated: {why}");
        Err(Error::field("report", Code::UnsupportedFeature, detail))
    }

    pub fn id(&self) -> &str {
        &self.0.migration_id
    }

    /// The comparison that it asks for: of the columns that it compared, and no further than it went.
    pub fn request(&self, asked: &VerifyTables) -> VerifyTables {
        let old = &self.0;
        let name = |table: &TableState| Some(format!("{}.{}", table.catalog, table.table));
        let mut request = VerifyTables {
            source: name(&old.source),
            destination: name(&old.destination),
            source_snapshot: old.source.snapshot_id.clone(),
            destination_snapshot: old.destination.snapshot_id.clone(),
            ..asked.clone()
        };
        if request.columns.is_empty() && !request.source_columns {
            request.columns = match self.is_verification() {
                true => old.schema.columns.iter().map(|column| column.name.clone()).collect(),
                // The destination may have had more columns before.
                false => old.fingerprints.columns.clone(),
            };
        }
        if self.is_verification() {
            request.level = request.level.min(match (old.checksum_match, old.row_count_match) {
                (Some(_), _) => Level::Checksum,
                (None, Some(_)) => Level::Counts,
                (None, None) => Level::Schema,
            });
        }
        request
    }

    fn is_verification(&self) -> bool {
        self.0.transfer.is_none()
    }

    /// The schema that the source was read with.
    pub fn source_schema(&self) -> Option<i32> {
        self.0.source.schema_id
    }

    /// The same of the destination.
    pub fn destination_schema(&self) -> Option<i32> {
        self.0.destination.schema_id
    }

    /// Whether a difference of the columns is one that the migration has made or accepted.
    pub fn permitted(&self, difference: &String) -> bool {
        !self.is_verification() && self.0.schema.differences().contains(difference)
    }

    /// In what the tables are not any more what the report says.
    pub fn differences(&self, now: &Report) -> Vec<String> {
        let old = &self.0;
        let sides = [
            ("source", (&old.source, &now.source), (&old.fingerprints.source, &now.fingerprints.source)),
            (
                "destination",
                (&old.destination, &now.destination),
                (&old.fingerprints.destination, &now.fingerprints.destination),
            ),
        ];
        let counts = [(Some(old.rows.source), Some(now.rows.source)), (old.rows.destination, now.rows.destination)];
        let counted = old.row_count_match.is_some() && now.row_count_match.is_some();
        let mut found = Vec::new();
        for ((side, (before, table), prints), rows) in sides.into_iter().zip(counts) {
            if before.uuid != table.uuid {
                found.push(format!("the {side} `{}` is another table than that of the report", table.table));
            }
            let snapshot = table.snapshot_id.as_deref().unwrap_or("none");
            match (prints, rows) {
                ((Some(was), Some(is)), _) if self.same_columns(now) && was != is => found.push(format!(
                    "the {side} has changed since the report: at its snapshot {snapshot} it has other rows"
                )),
                (_, (Some(was), Some(is))) if counted && was != is => found.push(format!(
                    "the {side} has changed since the report: at its snapshot {snapshot} it has {is} rows, not {was}"
                )),
                _ => {}
            }
        }
        found
    }

    fn same_columns(&self, now: &Report) -> bool {
        self.0.fingerprints.columns == now.fingerprints.columns
    }

    /// What could not be held to the report.
    pub fn not_checked(&self, now: &Report) -> Option<String> {
        let prints = [&self.0.fingerprints, &now.fingerprints];
        let there = prints.iter().all(|prints| prints.source.is_some() && prints.destination.is_some());
        let why = match there && self.same_columns(now) {
            true => return None,
            false if self.0.fingerprints.destination.is_none() => "it has no fingerprints",
            false if !there => "values were not compared",
            false => "other columns were compared than those of its fingerprints",
        };
        Some(format!(
            "The rows against the earlier report: {why}, so that the two sides were compared with each other only."
        ))
    }
}
