//! `icehaul fingerprint`.
use super::{Connect, print, tables::table_path};
use crate::client::Failure;

#[derive(clap::Args)]
pub struct Fingerprint {
    /// The table, as `namespace.table`.
    table: String,
    /// At this snapshot instead of the current one.
    #[arg(long, value_name = "ID")]
    snapshot: Option<String>,
    /// Of these columns only, separated by commas.
    #[arg(long, value_name = "COLUMNS")]
    columns: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

impl Fingerprint {
    pub async fn run(self) -> Result<(), Failure> {
        let path = format!("{}/fingerprint", table_path(&self.table)?);
        let query = [("snapshot_id", self.snapshot), ("columns", self.columns)];
        let answer = self.connect.client().get(&path, &query).await?;
        if self.connect.json {
            print::json(&answer);
        } else {
            println!("{}", print::cell(&answer["fingerprint"]));
        }
        Ok(())
    }
}
