//! `icehaul migrate bulk`: many tables, chosen by the request's fields or named as pairs.
use clap::{Arg, ArgAction, ArgMatches, Command};
use icehaul_jobs::spec::JobSpec;
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::{follow, print, submit};
use crate::client::Failure;

pub const NAME: &str = "bulk";
const KIND: &str = "migrate.batch";
/// The field that the pairs fill.
const PAIRS: &str = "migrations";
/// The field that is a pattern or a list.
const TABLES: &str = "tables";

/// The command.
pub fn command() -> Command {
    let schema = schema();
    let fields = schema["properties"].as_object().into_iter().flatten().filter(|(name, _)| *name != PAIRS);
    let command = Command::new(NAME)
        .about("Copy many tables, each by a job of its own, with one report over all")
        .after_help(
            "Either name the tables one by one, `icehaul migrate bulk raw.orders=kept.orders raw.items=kept.items`, or choose them: \
             `icehaul migrate bulk --tables '*' --source-namespace raw --dest-catalog central --dest-namespace '{catalog}_{namespace}'`. \
             Exit code 1 if a table was not migrated.",
        )
        .arg(Arg::new(PAIRS).value_name("A=B").action(ArgAction::Append).help("A table that is read, and where it goes"));
    submit::common(fields.fold(command, |command, (name, schema)| submit::option(command, name, schema)))
}

fn schema() -> Value {
    JobSpec::request_schema(KIND).unwrap_or_default()
}

/// Sends the request, follows the job and says what became of each table.
pub async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let body = body(matches)?;
    let client = submit::client(matches)?;
    let Some(job) = submit::followed(&client, &JobSpec::path(KIND), &body, matches).await? else { return Ok(()) };
    let as_json = matches.get_flag("json");
    if !as_json && job["result"]["dry_run"] == true {
        plan(&job["result"]);
        return Ok(());
    }
    if !as_json && let Some(report) = job["links"]["report"].as_str().and_then(|path| path.strip_prefix("/api/v1")) {
        // Without a report the job's own failure says enough.
        if let Ok(report) = client.get(report, &[]).await {
            tables(&report);
        }
    }
    follow::report(&job, as_json)
}

fn body(matches: &ArgMatches) -> Result<Value, Failure> {
    let mut rest = schema();
    rest["properties"].as_object_mut().map(|fields| fields.remove(PAIRS));
    let mut body = submit::body(matches, &rest)?;
    if let Some(names) = body[TABLES].as_str().filter(|text| text.contains(',')) {
        body[TABLES] = names.split(',').map(str::trim).collect();
    }
    if let Some(pairs) = matches.get_many::<String>(PAIRS) {
        let pair = |pair: &String| {
            let wrong = || Failure::usage(format!("`{pair}` is not of the form A=B"));
            let (source, dest) = pair.split_once('=').ok_or_else(wrong)?;
            Ok(json!({"source": source, "dest": dest}))
        };
        body[PAIRS] = pairs.map(pair).collect::<Result<_, Failure>>()?;
    }
    Ok(body)
}

fn bytes(value: &Value) -> String {
    value.as_u64().map(|bytes| HumanBytes(bytes).to_string()).unwrap_or_default()
}

/// What would be done.
fn plan(result: &Value) {
    let list = result["tables"].as_array().cloned().unwrap_or_default();
    let row = |table: &Value| {
        let rows = if table["rows_exact"] == false { "at most " } else { "" };
        let there = match (table["problem"].as_str(), table["destination_exists"] == true) {
            (None, true) => "exists".to_owned(),
            (None, false) => "new".to_owned(),
            (Some("table_exists"), _) => "exists: would fail".to_owned(),
            (Some(code), _) => format!("would fail: {code}"),
        };
        let text = |key: &str| print::cell(&table[key]);
        vec![
            text("source"),
            text("destination"),
            there,
            text("files"),
            bytes(&table["bytes"]),
            rows.to_owned() + &text("rows"),
        ]
    };
    print::table(&["SOURCE", "DESTINATION", "", "FILES", "SIZE", "ROWS"], &list.iter().map(row).collect::<Vec<_>>());
    let seconds = &result["seconds_estimate"];
    let time = if seconds.is_null() { String::new() } else { format!(", about {seconds} s one after the other") };
    print::line(format_args!(
        "{}, {}, {}{time}; nothing was done",
        print::count(list.len() as u64, "table"),
        bytes(&result["bytes"]),
        print::count(result["rows"].as_u64().unwrap_or_default(), "row")
    ));
}

/// How each table ended.
fn tables(report: &Value) {
    let row = |line: &Value| {
        ["source", "destination", "status", "verdict", "rows", "seconds", "error"]
            .map(|key| print::cell(&line[key]))
            .to_vec()
    };
    let rows: Vec<_> = report["tables"].as_array().into_iter().flatten().map(row).collect();
    print::table(&["SOURCE", "DESTINATION", "STATUS", "COMPARED", "ROWS", "SECONDS", "ERROR"], &rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_chosen_or_named() {
        let body = |args: &[&str]| {
            let args = ["bulk"].iter().chain(args);
            super::body(&command().try_get_matches_from(args).expect("matches")).map_err(|failure| failure.message)
        };
        assert_eq!(
            body(&["raw.a=kept.a", "far.raw.b=kept.c", "--parallelism", "2"]),
            Ok(
                json!({"migrations": [{"source": "raw.a", "dest": "kept.a"}, {"source": "far.raw.b", "dest": "kept.c"}], "parallelism": 2})
            )
        );
        assert_eq!(body(&["--tables", "*", "--dry-run"]), Ok(json!({"tables": "*", "dry_run": true})));
        assert_eq!(body(&["--tables", "a, b"]), Ok(json!({"tables": ["a", "b"]})));
        assert_eq!(body(&["raw.a"]), Err("`raw.a` is not of the form A=B".to_owned()));
    }
}
