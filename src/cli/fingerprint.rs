//! `icehaul fingerprint`.
use super::{Connect, print, tables::table_path};
use crate::client::Failure;

#[derive(clap::Args)]
pub struct Fingerprint {
    /// The table, as `[catalog.]namespace.table`.
    table: String,
    /// At this snapshot instead of the current one.
    #[arg(long, value_name = "ID")]
    snapshot: Option<String>,
    /// Of these columns only. Separated by commas, or give it again for more.
    #[arg(long, value_name = "COLUMNS")]
    columns: Vec<String>,
    /// Of the columns that the newest load took from its source, without the lineage columns.
    #[arg(long, conflicts_with = "columns")]
    source_columns: bool,
    #[command(flatten)]
    connect: Connect,
}

impl Fingerprint {
    pub async fn run(self) -> Result<(), Failure> {
        let (catalog, path) = table_path(&self.table, None)?;
        let path = format!("{path}/fingerprint");
        let columns = (!self.columns.is_empty()).then(|| self.columns.join(","));
        let source = self.source_columns.then(|| "true".to_owned());
        let query =
            [("catalog", catalog), ("snapshot_id", self.snapshot), ("columns", columns), ("source_columns", source)];
        let answer = self.connect.client()?.get(&path, &query).await?;
        if self.connect.json {
            print::json(&answer);
        } else {
            print::line(print::cell(&answer["fingerprint"]));
        }
        Ok(())
    }
}
