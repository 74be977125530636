//! `icehaul jobs`, and following a job with a progress bar.
use std::{io::IsTerminal, time::Duration};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{Connect, print};
use crate::client::{Client, Failure};

/// How often a job is looked at while a bar shows it.
const POLL: Duration = Duration::from_millis(150);

/// How long one request waits for a job's end.
const WAIT_SECONDS: u32 = 30;

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
    List {
        /// In this status.
        #[arg(long)]
        status: Option<String>,
        /// Of this kind, such as `load.postgres`.
        #[arg(long)]
        kind: Option<String>,
        /// That write this table.
        #[arg(long)]
        table: Option<String>,
        /// With this label, `name` or `name:value`.
        #[arg(long)]
        label: Option<String>,
        /// With this text in the request or the error.
        #[arg(long)]
        q: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
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

impl Jobs {
    pub async fn run(self) -> Result<(), Failure> {
        let client = self.connect.client();
        let json = self.connect.json;
        match self.action {
            Action::List { status, kind, table, label, q, limit } => {
                let limit = Some(limit.to_string());
                let query = [
                    ("status", status),
                    ("kind", kind),
                    ("table", table),
                    ("label", label),
                    ("q", q),
                    ("limit", limit),
                ];
                list(&client.get("/jobs", &query).await?, json);
                Ok(())
            }
            Action::Show { id } => {
                print::json(&client.get(&path(&id)?, &[]).await?);
                Ok(())
            }
            Action::Watch { id } => {
                let job = follow(&client, &id, !json && std::io::stderr().is_terminal()).await?;
                report(&job, json)
            }
            Action::Cancel { id } => act(&client, &id, "cancel").await,
            Action::Retry { id } => act(&client, &id, "retry").await,
        }
    }
}

async fn act(client: &Client, id: &str, action: &str) -> Result<(), Failure> {
    let answer = client.post(&format!("{}/{action}", path(id)?), &json!({})).await?;
    println!("{} {}", id, print::cell(&answer["status"]));
    Ok(())
}

fn path(id: &str) -> Result<String, Failure> {
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
        let rows = if job["result"]["rows_loaded"].is_null() { progress } else { &job["result"]["rows_loaded"] };
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
    print::table(&["JOB", "STATUS", "KIND", "TABLE", "ROWS", "CREATED", "ERROR"], &rows);
}

/// Follows a job until it has ended; with a bar it looks often, without one it lets the server say when.
pub async fn follow(client: &Client, id: &str, bar: bool) -> Result<Value, Failure> {
    let path = path(id)?;
    if !bar {
        return loop {
            let job = client.get_when_ended(&path, WAIT_SECONDS).await?;
            if has_ended(&job) {
                break Ok(job);
            }
        };
    }
    let bar = ProgressBar::new(0);
    loop {
        let job = client.get(&path, &[]).await?;
        draw(&bar, &job);
        if has_ended(&job) {
            bar.finish_and_clear();
            return Ok(job);
        }
        tokio::time::sleep(POLL).await;
    }
}

fn has_ended(job: &Value) -> bool {
    ["succeeded", "failed", "cancelled"].iter().any(|end| job["status"] == *end)
}

fn draw(bar: &ProgressBar, job: &Value) {
    let progress = &job["progress"];
    let rows = progress["rows"].as_u64().unwrap_or_default();
    let style = match progress["rows_total"].as_u64() {
        Some(total) => {
            bar.set_length(total.max(rows));
            "{prefix} {bar:30.cyan/blue} {msg}"
        }
        None => "{prefix} {spinner} {msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    let phase = progress["phase"].as_str().unwrap_or_default();
    let status = job["status"].as_str().unwrap_or_default();
    let rate = progress["rows_per_second"].as_f64().unwrap_or_default() as u64;
    bar.set_prefix(print::cell(&job["table"]));
    bar.set_message(format!("{status} {phase} {} rows, {} rows/s", HumanCount(rows), HumanCount(rate)));
    bar.set_position(rows);
}

/// Says how a job has ended; fails if the job did.
pub fn report(job: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        print::json(job);
    }
    let table = print::cell(&job["table"]);
    if job["status"] == "succeeded" {
        if !as_json {
            let result = &job["result"];
            let unchanged = if result["unchanged"] == true { ", nothing new" } else { "" };
            println!(
                "{table}: {} rows in {} s, snapshot {}{unchanged}",
                print::cell(&result["rows_loaded"]),
                print::cell(&result["duration_seconds"]),
                if result["snapshot_id"].is_null() { "none".into() } else { print::cell(&result["snapshot_id"]) },
            );
            for note in result["type_notes"].as_array().into_iter().flatten() {
                println!("  note: {}: {}", print::cell(&note["column"]), print::cell(&note["note"]));
            }
            if !result["fingerprint"].is_null() {
                println!("  fingerprint {}", print::cell(&result["fingerprint"]));
            }
        }
        return Ok(());
    }
    let error = &job["error"];
    let why = match error["message"].as_str() {
        Some(message) => format!(": {message} ({})", print::cell(&error["code"])),
        None => String::new(),
    };
    Err(Failure::new(format!("job {} {}{why}", print::cell(&job["job_id"]), print::cell(&job["status"]))))
}
