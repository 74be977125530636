//! `icehaul audit`.
use serde_json::Value;

use super::{Connect, print};
use crate::client::Failure;

#[derive(clap::Args)]
pub struct Audit {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    connect: Connect,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Newest first.
    List(List),
    /// Check that no record was changed, added, doubled or removed; reads the whole table.
    Verify,
}

#[derive(clap::Args)]
struct List {
    /// With this action: `submit`, `retry`, `cancel`, `commit`, `migrate`, `end` or `configure`.
    #[arg(long)]
    action: Option<String>,
    /// Of this job.
    #[arg(long)]
    job: Option<String>,
    /// Of jobs that write this table, `namespace.table`.
    #[arg(long)]
    table: Option<String>,
    /// At or after this time, such as 2026-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Where the list before this one ended, as it said.
    #[arg(long)]
    cursor: Option<String>,
}

impl Audit {
    pub async fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::List(which) => which.run(&self.connect).await,
            Action::Verify => verify(&self.connect).await,
        }
    }
}

impl List {
    async fn run(self, connect: &Connect) -> Result<(), Failure> {
        let query = [
            ("action", self.action),
            ("job", self.job),
            ("table", self.table),
            ("since", self.since),
            ("until", self.until),
            ("limit", Some(self.limit.to_string())),
            ("cursor", self.cursor),
        ];
        let found = connect.client()?.get("/audit", &query).await?;
        if connect.json {
            print::json(&found);
            return Ok(());
        }
        let fields = ["seq", "at", "action", "requester", "address", "kind", "table", "status", "error_code", "job_id"];
        let row = |record: &Value| fields.map(|field| print::cell(&record[field])).to_vec();
        let rows: Vec<_> = found["records"].as_array().into_iter().flatten().map(row).collect();
        if rows.is_empty() {
            print::note("(no records)");
            return Ok(());
        }
        print::table(
            &["SEQ", "AT", "ACTION", "REQUESTER", "ADDRESS", "KIND", "TABLE", "STATUS", "ERROR", "JOB"],
            &rows,
        );
        print::more(&found);
        Ok(())
    }
}

async fn verify(connect: &Connect) -> Result<(), Failure> {
    let found = connect.client()?.get("/audit/verify", &[]).await?;
    let told = told(&found);
    if connect.json {
        print::json(&found);
    } else if found["intact"] == true {
        print::line(&told);
    }
    if found["intact"] == true { Ok(()) } else { Err(Failure::new(told)) }
}

fn told(found: &Value) -> String {
    let cell = |name: &str| print::cell(&found[name]);
    match found["intact"] == true {
        true if found["records"] == 0 => format!("no records yet, {} wait to be written", cell("waiting")),
        true => format!("{} records, whole; head {}; {} wait", cell("records"), cell("head"), cell("waiting")),
        false => format!("the audit trail is broken at record {}: {}", cell("broken"), cell("fault")),
    }
}
