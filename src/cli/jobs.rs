//! `icehaul jobs`.
use std::io::IsTerminal;

use serde_json::{Value, json};

use super::{
    Connect,
    follow::{follow, report},
    print,
};
use crate::client::{Client, Failure};

#[derive(clap::Args)]
pub struct Jobs {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    connect: Connect,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Newest first.
    List(List),
    /// One job.
    Show {
        /// Its id.
        id: String,
    },
    /// One job, until it ends.
    Watch {
        /// Its id.
        id: String,
    },
    /// Stop a job.
    Cancel {
        /// Its id.
        id: String,
    },
    /// Run a failed or cancelled job again.
    Retry {
        /// Its id.
        id: String,
    },
}

#[derive(clap::Args)]
struct List {
    /// In this status.
    #[arg(long)]
    status: Option<String>,
    /// Of this kind, such as `load.postgres`.
    #[arg(long)]
    kind: Option<String>,
    /// That write this table.
    #[arg(long)]
    table: Option<String>,
    /// Made by this batch.
    #[arg(long, value_name = "JOB")]
    batch: Option<String>,
    /// With this label, `name` or `name=value`.
    #[arg(long)]
    label: Option<String>,
    /// With this text in the request or the error.
    #[arg(long)]
    q: Option<String>,
    /// Accepted at or after this time, such as 2026-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    created_after: Option<String>,
    /// Accepted before this time.
    #[arg(long, value_name = "TIME")]
    created_before: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Where the list before this one ended, as it said.
    #[arg(long)]
    cursor: Option<String>,
}

impl Jobs {
    pub async fn run(self) -> Result<(), Failure> {
        let client = self.connect.client()?;
        let json = self.connect.json;
        match self.action {
            Action::List(which) => list(&client.get("/jobs", &which.query()).await?, json),
            Action::Show { id } => print::json(&client.get(&path(&id)?, &[]).await?),
            Action::Watch { id } => {
                // Whoever asks the wrong server shall hear it at once.
                client.get(&path(&id)?, &[]).await?;
                let job = follow(&client, &id, !json && std::io::stderr().is_terminal()).await?;
                report(&job, json)?;
            }
            Action::Cancel { id } => act(&client, &id, "cancel").await?,
            Action::Retry { id } => act(&client, &id, "retry").await?,
        }
        Ok(())
    }
}

impl List {
    fn query(self) -> [(&'static str, Option<String>); 10] {
        // Labels are given as `name=value`; the API looks for `name:value`. No name holds either sign.
        let label = self.label.map(|label| match label.split_once('=') {
            Some((name, value)) if !name.contains(':') => format!("{name}:{value}"),
            _ => label,
        });
        [
            ("status", self.status),
            ("kind", self.kind),
            ("table", self.table),
            ("batch", self.batch),
            ("label", label),
            ("q", self.q),
            ("created_after", self.created_after),
            ("created_before", self.created_before),
            ("limit", Some(self.limit.to_string())),
            ("cursor", self.cursor),
        ]
    }
}

async fn act(client: &Client, id: &str, action: &str) -> Result<(), Failure> {
    let answer = client.post(&format!("{}/{action}", path(id)?), &json!({})).await?;
    print::line(format_args!("{} {}", id, print::cell(&answer["status"])));
    Ok(())
}

/// The path of a job.
pub fn path(id: &str) -> Result<String, Failure> {
    uuid::Uuid::parse_str(id)
        .map(|id| format!("/jobs/{id}"))
        .map_err(|_| Failure::usage(format!("`{}` is not a job id", id.escape_debug())))
}

fn list(answer: &Value, as_json: bool) {
    if as_json {
        return print::json(answer);
    }
    let row = |job: &Value| {
        let progress = &job["progress"]["rows"];
        let done = ["rows_loaded", "rows_migrated"].map(|key| &job["result"][key]);
        let rows = done.into_iter().find(|rows| !rows.is_null()).unwrap_or(progress);
        vec![
            print::cell(&job["job_id"]),
            print::cell(&job["status"]),
            print::cell(&job["kind"]),
            print::cell(&job["table"]),
            print::cell(rows),
            print::cell(&job["created_at"]),
            print::cell(&job["error"]["code"]),
        ]
    };
    let rows: Vec<_> = answer["jobs"].as_array().into_iter().flatten().map(row).collect();
    match rows.len() {
        0 => print::note("(no jobs)"),
        _ => {
            print::table(&["JOB", "STATUS", "KIND", "TABLE", "ROWS", "CREATED", "ERROR"], &rows);
            print::more(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        list: List,
    }

    #[test]
    fn labels_are_found_as_they_are_given() {
        for (given, asked) in
            [("team=x", "team:x"), ("team:x", "team:x"), ("team", "team"), ("team:a=b", "team:a=b"), ("t=a=b", "t:a=b")]
        {
            let query = Command::parse_from(["list", "--label", given]).list.query();
            assert!(query.contains(&("label", Some(asked.to_owned()))), "{given}");
        }
    }
}
