//! `icehaul query`.
use serde_json::{Value, json};

use super::{Connect, print};
use crate::client::Failure;

#[derive(clap::Args)]
pub struct Query {
    /// One read-only statement; tables are `namespace.table`.
    sql: String,
    /// The most rows to print.
    #[arg(long, default_value_t = 1000)]
    limit: u64,
    #[command(flatten)]
    connect: Connect,
}

impl Query {
    pub async fn run(self) -> Result<(), Failure> {
        let answer = self.connect.client().post("/query", &json!({"sql": self.sql, "limit": self.limit})).await?;
        if self.connect.json {
            print::json(&answer);
            return Ok(());
        }
        let list = |key: &str| answer[key].as_array().cloned().unwrap_or_default();
        let names: Vec<String> = list("columns").iter().map(|c| print::cell(&c["name"])).collect();
        let rows: Vec<Vec<String>> = list("rows").iter().map(cells).collect();
        print::table(&names.iter().map(String::as_str).collect::<Vec<_>>(), &rows);
        if answer["truncated"] == true {
            eprintln!("(the first {} rows; more with --limit)", rows.len());
        }
        Ok(())
    }
}

fn cells(row: &Value) -> Vec<String> {
    row.as_array().into_iter().flatten().map(print::cell).collect()
}
