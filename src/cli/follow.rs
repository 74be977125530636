//! Following a job to its end, with a progress bar on a terminal.
use std::time::Duration;

use chrono::{DateTime, Utc};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use serde_json::Value;

use super::print;
use crate::client::{Client, Failure, Patience};

/// How often a job is looked at while a bar shows it.
const POLL: Duration = Duration::from_millis(150);

/// How often the spinner moves.
const TICK: Duration = Duration::from_millis(100);

/// How long one request waits for a job's end; failed attempts are told so much later at most.
const WAIT_SECONDS: u32 = 5;

/// How long a job is followed while nobody tells how it stands.
const PATIENCE: Duration = Duration::from_secs(300);

/// The most of a table's name that the bar shows.
const NAME_LENGTH: usize = 30;

/// Follows a job until it has ended; with a bar it looks often, without one it lets the server say when. Ctrl-C ends the
/// following, not the job.
pub async fn follow(client: &Client, id: &str, bar: bool) -> Result<Value, Failure> {
    let path = super::jobs::path(id)?;
    let bar = if bar { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let advice = format!("job {id} goes on; `icehaul jobs watch {id}{}` watches it", client.options());
    let following = Following { client, path, bar: &bar, patience: Patience::new(PATIENCE), told: 0 };
    let ended = tokio::select! {
        ended = following.until_the_end() => ended.map_err(|failure| failure.or_unknown(&advice)),
        Ok(()) = tokio::signal::ctrl_c() => {
            let options = client.options();
            let message = format!(
                "stopped watching; job {id} goes on\n  `icehaul jobs watch {id}{options}` watches it, \
                 `icehaul jobs cancel {id}{options}` stops it"
            );
            Err(Failure::ending(130, message))
        }
    };
    bar.finish_and_clear();
    ended
}

/// A job that is looked at again and again.
struct Following<'a> {
    client: &'a Client,
    path: String,
    bar: &'a ProgressBar,
    patience: Patience,
    /// The last attempt whose failure was told.
    told: u64,
}

impl Following<'_> {
    async fn until_the_end(mut self) -> Result<Value, Failure> {
        let shown = !self.bar.is_hidden();
        if shown {
            self.bar.enable_steady_tick(TICK);
        }
        loop {
            let job = self.look(shown).await?;
            failures(&job, &mut self.told).into_iter().for_each(|line| tell(self.bar, line));
            if shown {
                draw(self.bar, &job);
            }
            if has_ended(&job) {
                return Ok(job);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The job as it stands, at once or when it has ended; a server that is away for a while is borne with.
    async fn look(&mut self, at_once: bool) -> Result<Value, Failure> {
        loop {
            let answer = match at_once {
                true => self.client.get(&self.path, &[]).await,
                false => self.client.get_when_ended(&self.path, WAIT_SECONDS).await,
            };
            let failure = match answer {
                Ok(job) if job["status"].is_string() => {
                    self.patience.renew();
                    return Ok(job);
                }
                Ok(_) => self.client.foreign("the answer"),
                Err(failure) => failure,
            };
            self.patience.bear(failure, |text| tell(self.bar, text)).await?;
        }
    }
}

/// Says something above the bar, or where it would be.
fn tell(bar: &ProgressBar, text: String) {
    if bar.is_hidden() { print::note(text) } else { bar.println(text) }
}

/// The attempts that have failed and are followed by another one, after the attempt `told`.
fn failures(job: &Value, told: &mut u64) -> Vec<String> {
    let mut lines = Vec::new();
    for attempt in job["attempts"].as_array().into_iter().flatten() {
        let number = attempt["attempt"].as_u64().unwrap_or_default();
        let last = number >= job["attempt"].as_u64().unwrap_or_default();
        // How the last one ended is the job's end.
        if number <= *told || attempt["error"].is_null() || last && has_ended(job) {
            continue;
        }
        *told = number;
        let next = if last && !job["next_attempt_at"].is_null() {
            format!("; next try at {}", print::cell(&job["next_attempt_at"]))
        } else {
            String::new()
        };
        lines.push(format!("attempt {number} of {} failed: {}{next}", job["max_attempts"], why(&attempt["error"])));
    }
    lines
}

fn has_ended(job: &Value) -> bool {
    ["succeeded", "failed", "cancelled"].iter().any(|end| job["status"] == *end)
}

/// The sentence of an error, with its code.
fn why(error: &Value) -> String {
    format!("{} ({})", print::cell(&error["message"]), print::cell(&error["code"]))
}

fn draw(bar: &ProgressBar, job: &Value) {
    let progress = &job["progress"];
    let running = job["status"] == "running";
    let total = progress["rows_total"].as_u64().filter(|_| running || job["status"] == "succeeded");
    let done = job["result"]["rows_loaded"].as_u64().or(job["result"]["rows_migrated"].as_u64());
    let rows = done.or(progress["rows"].as_u64()).unwrap_or_default();
    // The total is an estimate, until the end tells.
    let total = if done.is_some() { total.and(done) } else { total.map(|total| total.max(rows)) };
    // First, so that a bar is never drawn with what the look before has found.
    let about = if job["table"].is_null() { &job["kind"] } else { &job["table"] };
    bar.set_prefix(print::cell(about).chars().take(NAME_LENGTH).collect::<String>());
    bar.set_message(message(job, rows, Utc::now()));
    bar.set_position(rows);
    let style = match total {
        Some(total) => {
            bar.set_length(total);
            "{prefix} {bar:12.cyan/blue} {percent:>3}% {wide_msg}"
        }
        None => "{prefix} {spinner} {wide_msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
}

/// What is going on, the most telling first: the rest may not fit the terminal.
fn message(job: &Value, rows: u64, now: DateTime<Utc>) -> String {
    let progress = &job["progress"];
    let status = job["status"].as_str().unwrap_or_default();
    let due = job["next_attempt_at"].as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok());
    let seconds = due.map_or(0, |due| (due - now).num_seconds().max(0));
    match status {
        "running" => {
            let phase = progress["phase"].as_str().filter(|phase| !phase.is_empty()).unwrap_or("starting");
            let rate = progress["rows_per_second"].as_f64().unwrap_or_default() as u64;
            let left = progress["eta_seconds"].as_f64().filter(|_| phase == "reading");
            let left = left.map(|left| format!(", {left} s left")).unwrap_or_default();
            match rows {
                0 if phase == "uploading" => {
                    format!("{phase} {}", HumanBytes(progress["bytes"].as_u64().unwrap_or_default()))
                }
                0 => phase.to_owned(),
                _ => format!("{phase} {}, {}/s{left}", print::count(rows, "row"), HumanCount(rate)),
            }
        }
        "queued" => "waiting for a worker".to_owned(),
        "scheduled" => format!("starts in {seconds} s"),
        "retrying" => {
            let next = job["attempt"].as_u64().unwrap_or_default() + 1;
            let reason = if job["error"].is_null() { String::new() } else { format!(": {}", why(&job["error"])) };
            format!("attempt {next} of {} in {seconds} s{reason}", job["max_attempts"])
        }
        ended if job["table"].is_null() => ended.to_owned(),
        ended => format!("{ended}, {}", print::count(rows, "row")),
    }
}

/// Says how a job has ended; fails if the job did.
pub fn report(job: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        print::json(job);
    }
    if job["status"] == "succeeded" {
        if !as_json {
            succeeded(job);
        }
        return Ok(());
    }
    let error = &job["error"];
    let reason = if error.is_null() { String::new() } else { format!(": {}", why(error)) };
    let compared = ["verification_failed", "batch_incomplete"].iter().any(|code| error["code"] == *code);
    let mut report = String::new();
    if compared && !job["links"]["report"].is_null() {
        report.push_str(&format!("\n  report {}", print::cell(&job["links"]["report"])));
    }
    if error["code"] == "batch_incomplete" {
        let id = print::cell(&job["job_id"]);
        report.push_str(&format!("\n  `icehaul jobs retry {id}` tries the tables again that were not migrated"));
    }
    Err(Failure::new(format!("job {} {}{reason}{report}", print::cell(&job["job_id"]), print::cell(&job["status"]))))
}

fn succeeded(job: &Value) {
    let (table, result) = (print::cell(&job["table"]), &job["result"]);
    if result["dry_run"] == true {
        return print::json(result);
    }
    if result["migration_id"].is_string() {
        return proven(result);
    }
    let seconds = print::cell(&result["duration_seconds"]);
    if job["table"].is_null() {
        let (place, bytes) = (print::cell(&result["s3_location"]), result["bytes"].as_u64().unwrap_or_default());
        return print::line(format_args!("{place}: {} in {seconds} s", HumanBytes(bytes)));
    }
    let notes = || {
        for warning in result["warnings"].as_array().into_iter().flatten() {
            print::line(format_args!("  warning: {}", print::cell(warning)));
        }
        for note in result["type_notes"].as_array().into_iter().flatten() {
            print::line(format_args!("  note: {}: {}", print::cell(&note["column"]), print::cell(&note["note"])));
        }
    };
    if result["unchanged"] == true {
        print::line(format_args!("{table}: nothing new after {seconds} s, no snapshot was made"));
        return notes();
    }
    let rows = print::count(result["rows_loaded"].as_u64().unwrap_or_default(), "row");
    print::line(format_args!("{table}: {rows} in {seconds} s, snapshot {}", print::cell(&result["snapshot_id"])));
    notes();
    if !result["fingerprint"].is_null() {
        let columns = result["columns"].as_array().map_or(0, Vec::len) as u64;
        let of = format!("of these rows' {}", print::count(columns, "source column"));
        print::line(format_args!("  fingerprint {}\n    {of}", print::cell(&result["fingerprint"])));
        let catalog = job["spec"]["catalog"].as_str().map(|name| format!("{name}.")).unwrap_or_default();
        print::line(format_args!("    of the whole table: `icehaul fingerprint {catalog}{table} --source-columns`"));
    }
}

/// What a migration or a verification has proven.
fn proven(result: &Value) {
    let text = |key: &str| print::cell(&result[key]);
    match result["source"].is_null() {
        true => print::line(text("summary")),
        false => print::line(format_args!("{}: {}", sides(result), text("summary"))),
    }
    for (name, key) in [("snapshot", "destination_snapshot"), ("fingerprint", "source_checksum"), ("report", "report")]
    {
        if !result[key].is_null() {
            print::line(format_args!("  {name} {}", text(key)));
        }
    }
}

/// Both tables, with their catalogs if these are not the same.
fn sides(result: &Value) -> String {
    let (here, there) = (&result["source_catalog"], &result["dest_catalog"]);
    let side = |table: &str, catalog: &Value| match catalog.as_str() {
        // What is read of a database is said whole.
        Some(name) if here != there && !name.contains(':') => format!("{name}.{}", print::cell(&result[table])),
        _ => print::cell(&result[table]),
    };
    format!("{} → {}", side("source", here), side("destination", there))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_line_says_what_goes_on() {
        let now = "2026-11-23T10:00:00Z".parse().expect("time");
        let say = |job: Value, rows| message(&job, rows, now);
        let reading = json!({"status": "running", "progress": {"phase": "reading", "rows_per_second": 410000.0, "eta_seconds": 3.0}});
        assert_eq!(say(reading, 120_000), "reading 120,000 rows, 410,000/s, 3 s left");
        assert_eq!(say(json!({"status": "running", "progress": null}), 0), "starting");
        let error = json!({"code": "source_unreachable", "message": "no answer"});
        let retrying = json!({"status": "retrying", "attempt": 1, "max_attempts": 5, "next_attempt_at": "2026-11-23T10:00:07Z", "error": error});
        assert_eq!(say(retrying, 0), "attempt 2 of 5 in 7 s: no answer (source_unreachable)");
        assert_eq!(say(json!({"status": "succeeded", "table": "raw.orders"}), 1), "succeeded, 1 row");
        let sending = json!({"status": "running", "progress": {"phase": "uploading", "bytes": 3 << 20}});
        assert_eq!(say(sending, 0), "uploading 3.00 MiB");
    }

    #[test]
    fn failed_attempts_are_told_once() {
        let error = json!({"code": "source_unreachable", "message": "no answer"});
        let attempts = json!([{"attempt": 1, "error": error}, {"attempt": 2, "error": error}]);
        let mut job = json!({"status": "retrying", "attempt": 2, "max_attempts": 3, "attempts": attempts,
                             "next_attempt_at": "2026-11-23T10:00:07Z"});
        let mut told = 1;
        let line = "attempt 2 of 3 failed: no answer (source_unreachable); next try at 2026-11-23T10:00:07Z";
        assert_eq!(failures(&job, &mut told), [line]);
        assert!(failures(&job, &mut told).is_empty());
        job["status"] = "failed".into();
        assert_eq!(failures(&job, &mut 0), ["attempt 1 of 3 failed: no answer (source_unreachable)"]);
    }
}
