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
    /// A namespace to list, or a table to show as `[catalog.]namespace.table`; without it all tables are listed.
    name: Option<String>,
    /// The catalog, if it is not the default one.
    #[arg(long, global = true)]
    catalog: Option<String>,
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
        /// The table, as `[catalog.]namespace.table`.
        table: String,
    },
    /// A table's snapshots, newest first.
    Snapshots {
        /// The table, as `[catalog.]namespace.table`.
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
        /// The table, as `[catalog.]namespace.table`.
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
            Action::List { namespace } => list(&client, self.catalog, namespace.as_deref(), json).await,
            Action::Show { table } => {
                let (catalog, path) = table_path(&table, self.catalog)?;
                let answer = client.get(&format!("{path}/metadata"), &[("catalog", catalog)]).await?;
                if json {
                    print::json(&answer)
                } else {
                    show(&table, &answer)
                }
                Ok(())
            }
            Action::Snapshots { table, limit, cursor } => {
                let (catalog, path) = table_path(&table, self.catalog)?;
                let query = [("catalog", catalog), ("limit", Some(limit.to_string())), ("cursor", cursor)];
                let answer = client.get(&format!("{path}/snapshots"), &query).await?;
                if json {
                    print::json(&answer)
                } else {
                    snapshots(&answer)
                }
                Ok(())
            }
            Action::Preview { table, limit, snapshot, as_of } => {
                let (catalog, path) = table_path(&table, self.catalog)?;
                let limit = Some(limit.to_string());
                let query = [("catalog", catalog), ("limit", limit), ("snapshot_id", snapshot), ("as_of", as_of)];
                let answer = client.get(&format!("{path}/preview"), &query).await?;
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
async fn list(client: &Client, catalog: Option<String>, namespace: Option<&str>, json: bool) -> Result<(), Failure> {
    let path = format!("/tables/{}", namespace.unwrap_or("all"));
    let (mut names, mut cursor) = (Vec::new(), None);
    let mut answer = loop {
        let mut page = client
            .get(&path, &[("catalog", catalog.clone()), ("limit", Some(PAGE.to_owned())), ("cursor", cursor)])
            .await?;
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
    print::more(answer);
}

fn rows_of(items: &Value, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    items.as_array().into_iter().flatten().map(row).collect()
}

/// The catalog and the path of a table given as `[catalog.]namespace.table`.
pub fn table_path(name: &str, catalog: Option<String>) -> Result<(Option<String>, String), Failure> {
    let (named, name) = match name.split('.').count() {
        3 => name.split_once('.').map(|(catalog, table)| (Some(catalog.to_owned()), table)),
        _ => None,
    }
    .unwrap_or((None, name));
    if named.is_some() && catalog.is_some() && named != catalog {
        return Err(Failure::usage("the name and --catalog name different catalogs"));
    }
    let name = icehaul_jobs::TableName::parse(name).map_err(|e| Failure::usage(e.message()))?;
    Ok((named.or(catalog), format!("/tables/{}/{}", name.namespace(), name.table())))
}
