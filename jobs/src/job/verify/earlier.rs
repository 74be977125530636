//! An earlier report, held to the tables that it is of.
use super::VerifyTables;
use crate::{
    Code, Ctx, Error, Result,
    report::{AnyReport, Report, Store, TableState},
    spec::Task,
};

/// A report whose tables can be compared again.
pub(super) struct Earlier(Box<Report>);

impl Earlier {
    /// Finds it, wherever it lies.
    pub async fn find(ctx: &Ctx, id: &str) -> Result<Self> {
        let why = match Store::find(&ctx.lakes, id).await?.report {
            AnyReport::One(report) if report.verify_again.is_some() => return Ok(Self(report)),
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

    /// The comparison that it asks for: of the columns that it compared, if it was not of all of them.
    pub fn request(&self, asked: &VerifyTables) -> VerifyTables {
        let was = serde_json::from_value::<VerifyTables>(self.0.request.clone()).ok();
        let was =
            was.filter(|_| self.0.kind == VerifyTables::KIND && asked.columns.is_empty() && !asked.source_columns);
        let (columns, source_columns) =
            was.map_or_else(|| (asked.columns.clone(), asked.source_columns), |was| (was.columns, was.source_columns));
        let name = |table: &TableState| Some(format!("{}.{}", table.catalog, table.table));
        let (here, there) = (&self.0.source, &self.0.destination);
        VerifyTables {
            source: name(here),
            destination: name(there),
            source_snapshot: here.snapshot_id.clone(),
            destination_snapshot: there.snapshot_id.clone(),
            columns,
            source_columns,
            ..asked.clone()
        }
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
        let mut found = Vec::new();
        for (side, (before, table), (was, is)) in sides {
            if before.uuid != table.uuid {
                found.push(format!("the {side} `{}` is another table than that of the report", table.table));
            }
            if was.is_some() && is.is_some() && old.fingerprints.columns == now.fingerprints.columns && was != is {
                let snapshot = table.snapshot_id.as_deref().unwrap_or("none");
                found.push(format!(
                    "the {side} has changed since the report: at its snapshot {snapshot} it has other rows"
                ));
            }
        }
        found
    }

    /// What could not be held to the report.
    pub fn not_checked(&self) -> Option<String> {
        let text =
            "The rows against the earlier report: it has no fingerprints, so that only the two sides were compared.";
        self.0.fingerprints.destination.is_none().then(|| text.to_owned())
    }
}
