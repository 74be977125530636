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
    /// Check that no record was changed, added, doubled or removed; reads the whole table.
    Verify,
}

impl Audit {
    pub async fn run(self) -> Result<(), Failure> {
        let Action::Verify = self.action;
        let found = self.connect.client()?.get("/audit/verify", &[]).await?;
        let told = told(&found);
        if self.connect.json {
            print::json(&found);
        } else if found["intact"] == true {
            print::line(&told);
        }
        if found["intact"] == true { Ok(()) } else { Err(Failure::new(told)) }
    }
}

fn told(found: &Value) -> String {
    let cell = |name: &str| print::cell(&found[name]);
    match found["intact"] == true {
        true if found["records"] == 0 => format!("no records yet, {} wait to be written", cell("waiting")),
        true => format!("{} records, whole; head {}; {} wait", cell("records"), cell("head"), cell("waiting")),
        false => format!("the audit trail is broken at record {}: {}", cell("broken"), cell("fault")),
    }
}
