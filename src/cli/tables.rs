//! `icehaul tables`.
use serde_json::Value;

use super::{Connect, print};
use crate::client::{Client, Failure};

#[derive(clap::Args)]
pub struct Tables {
    /// A namespace, or a table as `namespace.table`; without it all of them.
    name: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

impl Tables {
    pub async fn run(self) -> Result<(), Failure> {
        let client = self.connect.client();
        match self.name.as_deref() {
            Some(name) if name.contains('.') => self.one(&client, name).await,
            Some(namespace) => self.list(&client.get(&format!("/tables/{namespace}"), &[]).await?, Some(namespace)),
            None => self.list(&client.get("/tables/all", &[]).await?, None),
        }
    }

    fn list(&self, answer: &Value, namespace: Option<&str>) -> Result<(), Failure> {
        if self.connect.json {
            print::json(answer);
            return Ok(());
        }
        for table in answer["tables"].as_array().into_iter().flatten() {
            match namespace {
                Some(namespace) => println!("{namespace}.{}", print::cell(table)),
                None => println!("{}", print::cell(table)),
            }
        }
        Ok(())
    }

    async fn one(&self, client: &Client, name: &str) -> Result<(), Failure> {
        let answer = client.get(&format!("{}/metadata", table_path(name)?), &[]).await?;
        if self.connect.json {
            print::json(&answer);
            return Ok(());
        }
        let facts =
            ["row_count", "size_bytes", "files", "snapshots", "current_snapshot_id", "partition_spec", "location"];
        let rows: Vec<_> = facts.iter().map(|fact| vec![(*fact).to_owned(), print::cell(&answer[*fact])]).collect();
        print::table(&[name, ""], &rows);
        println!();
        let columns: Vec<_> = answer["columns"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|c| ["id", "name", "type", "nullable"].iter().map(|key| print::cell(&c[*key])).collect())
            .collect();
        print::table(&["id", "column", "type", "nullable"], &columns);
        Ok(())
    }
}

/// The path of a table given as `namespace.table`.
pub fn table_path(name: &str) -> Result<String, Failure> {
    let name = icehaul_jobs::TableName::parse(name).map_err(|e| Failure::usage(e.message()))?;
    Ok(format!("/tables/{}/{}", name.namespace(), name.table()))
}
