//! `icehaul tables`.
use serde_json::Value;

use super::{Connect, print};
use crate::client::{Client, Failure};

/// The longest page of a list of names.
const PAGE: &str = "500";

#[derive(clap::Args)]
pub struct Tables {
    #[command(subcommand)]
    action: Option<Action>,
    /// A namespace to list, or a table to show as `namespace.table`; without it all tables are listed.
    name: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

#[derive(clap::Subcommand)]
enum Action {
    /// All tables, or those of a namespace.
    List {
        /// The namespace.
        namespace: Option<String>,
    },
    /// A table's figures and columns.
    Show {
        /// The table, as `namespace.table`.
        table: String,
    },
    /// A table's snapshots, newest first.
    Snapshots {
        /// The table, as `namespace.table`.
        table: String,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Where the list before this one ended, as it said.
        #[arg(long)]
        cursor: Option<String>,
    },
    /// A table's first rows.
    Preview {
        /// The table, as `namespace.table`.
        table: String,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// As it was at this snapshot.
        #[arg(long, value_name = "ID")]
        snapshot: Option<String>,
        /// As it was at this time, such as 2026-01-31T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        as_of: Option<String>,
    },
}

impl Tables {
    pub async fn run(self) -> Result<(), Failure> {
        let client = self.connect.client()?;
        let json = self.connect.json;
        let action = self.action.unwrap_or_else(|| match self.name {
            Some(table) if table.contains('.') => Action::Show { table },
            namespace => Action::List { namespace },
        });
        match action {
            Action::List { namespace } => list(&client, namespace.as_deref(), json).await,
            Action::Show { table } => {
                let answer = client.get(&format!("{}/metadata", table_path(&table)?), &[]).await?;
                if json {
                    print::json(&answer)
                } else {
                    show(&table, &answer)
                }
                Ok(())
            }
            Action::Snapshots { table, limit, cursor } => {
                let query = [("limit", Some(limit.to_string())), ("cursor", cursor)];
                let answer = client.get(&format!("{}/snapshots", table_path(&table)?), &query).await?;
                if json {
                    print::json(&answer)
                } else {
                    snapshots(&answer)
                }
                Ok(())
            }
            Action::Preview { table, limit, snapshot, as_of } => {
                let query = [("limit", Some(limit.to_string())), ("snapshot_id", snapshot), ("as_of", as_of)];
                let answer = client.get(&format!("{}/preview", table_path(&table)?), &query).await?;
                if json {
                    print::json(&answer)
                } else {
                    print::result(&answer)
                }
                Ok(())
            }
        }
    }
}

/// Lists all tables, page by page.
async fn list(client: &Client, namespace: Option<&str>, json: bool) -> Result<(), Failure> {
    let path = format!("/tables/{}", namespace.unwrap_or("all"));
    let (mut names, mut cursor) = (Vec::new(), None);
    let mut answer = loop {
        let mut page = client.get(&path, &[("limit", Some(PAGE.to_owned())), ("cursor", cursor)]).await?;
        if let Value::Array(tables) = page["tables"].take() {
            names.extend(tables);
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break page;
        }
    };
    if json {
        answer["tables"] = names.into();
        print::json(&answer);
        return Ok(());
    }
    if names.is_empty() {
        print::note("(no tables)");
    }
    for table in &names {
        match namespace {
            Some(namespace) => print::line(format_args!("{namespace}.{}", print::cell(table))),
            None => print::line(print::cell(table)),
        }
    }
    Ok(())
}

fn show(name: &str, answer: &Value) {
    let facts = ["row_count", "size_bytes", "files", "snapshots", "current_snapshot_id", "partition_spec", "location"];
    let rows: Vec<_> = facts.iter().map(|fact| vec![(*fact).to_owned(), print::cell(&answer[*fact])]).collect();
    print::table(&[name, ""], &rows);
    print::line("");
    print::table(
        &["id", "column", "type", "nullable"],
        &rows_of(&answer["columns"], |column| {
            ["id", "name", "type", "nullable"].iter().map(|key| print::cell(&column[*key])).collect()
        }),
    );
}

fn snapshots(answer: &Value) {
    let current = &answer["current_snapshot_id"];
    let rows = rows_of(&answer["snapshots"], |snapshot| {
        let summary = |key: &str| print::cell(&snapshot["summary"][key]);
        vec![
            print::cell(&snapshot["snapshot_id"]),
            print::cell(&snapshot["committed_at"]),
            print::cell(&snapshot["operation"]),
            summary("added-records"),
            summary("total-records"),
            if snapshot["snapshot_id"] == *current { "current".to_owned() } else { String::new() },
        ]
    });
    if rows.is_empty() {
        return print::note("(no snapshots)");
    }
    print::table(&["SNAPSHOT", "COMMITTED", "OPERATION", "ADDED", "TOTAL", ""], &rows);
    if let Some(next) = answer["next_cursor"].as_str() {
        print::note(format_args!("(there are more: the same command with --cursor {next})"));
    }
}

fn rows_of(items: &Value, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    items.as_array().into_iter().flatten().map(row).collect()
}

/// The path of a table given as `namespace.table`.
pub fn table_path(name: &str) -> Result<String, Failure> {
    let name = icehaul_jobs::TableName::parse(name).map_err(|e| Failure::usage(e.message()))?;
    Ok(format!("/tables/{}/{}", name.namespace(), name.table()))
}
