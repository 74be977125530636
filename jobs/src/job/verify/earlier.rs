//! An earlier report, held to the tables that it is of.
use super::VerifyTables;
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
            AnyReport::One(_) => "is of rows that cannot be read again apart from others, or by a transformation",
            AnyReport::Batch(_) => "is one over many tables: check those of the tables, which it names",
        };
        Err(Error::field("report", Code::UnsupportedFeature, format!("the report {id} {why}")))
    }

    pub fn id(&self) -> &str {
        &self.0.migration_id
    }

    /// The comparison that it asks for.
    pub fn request(&self, asked: &VerifyTables) -> VerifyTables {
        let name = |table: &TableState| Some(format!("{}.{}", table.catalog, table.table));
        let (here, there) = (&self.0.source, &self.0.destination);
        VerifyTables {
            source: name(here),
            destination: name(there),
            source_snapshot: here.snapshot_id.clone(),
            destination_snapshot: there.snapshot_id.clone(),
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
