//! `icehaul query`.
use serde_json::json;

use super::{Connect, print};
use crate::client::Failure;

#[derive(clap::Args)]
pub struct Query {
    /// One read-only statement; tables are `namespace.table`.
    sql: String,
    /// The most rows to print.
    #[arg(long, default_value_t = 1000)]
    limit: u64,
    /// Who runs it: Icehaul itself, or the Trino cluster that it is configured with.
    #[arg(long, default_value = "embedded", value_parser = ["embedded", "trino"])]
    engine: String,
    #[command(flatten)]
    connect: Connect,
}

impl Query {
    pub async fn run(self) -> Result<(), Failure> {
        if self.sql.trim().is_empty() {
            return Err(Failure::usage(
                "the statement is empty; give one, such as \"SELECT count(*) FROM raw.orders\"",
            ));
        }
        let request = json!({"sql": self.sql, "limit": self.limit, "engine": self.engine});
        let answer = self.connect.client()?.post("/query", &request).await?;
        if self.connect.json {
            print::json(&answer);
        } else {
            print::result(&answer);
        }
        Ok(())
    }
}
