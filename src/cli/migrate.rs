//! `icehaul migrate A B` and `icehaul verify A B`: two tables, and the fields of the request as options; `icehaul migrate bulk` for many.
use clap::{Arg, ArgMatches, Command};
use icehaul_jobs::spec::JobSpec;
use serde_json::{Map, Value};

use super::{bulk, submit};
use crate::client::Failure;

/// A command that takes two tables: its name, the kind of job, and what it is for.
struct Pair {
    name: &'static str,
    kind: &'static str,
    about: &'static str,
    help: &'static str,
}

/// The fields that stand instead of the table that is read.
const DATABASES: [&str; 2] = ["postgres", "mysql"];

/// The field that stands instead of both.
const REPORT: &str = "report";

const PAIRS: [Pair; 2] = [
    Pair {
        name: "migrate",
        kind: "migrate.table",
        about: "Copy a table into another one, with proof",
        help: "Each is named `[catalog.]namespace.table`. What was copied is compared before it becomes visible.",
    },
    Pair {
        name: "verify",
        kind: "verify",
        about: "Compare two tables, two snapshots of one, or the rows of a database and a table",
        help: "Each is named `[catalog.]namespace.table`; with `--postgres` or `--mysql` only one is, and with `--report` none. Exit code 1 if they differ.",
    },
];

/// The commands.
pub fn commands() -> impl Iterator<Item = Command> {
    PAIRS.into_iter().map(|pair| {
        let schema = JobSpec::request_schema(pair.kind).unwrap_or_default();
        let fields = fields(&schema).filter(|(name, _)| !is_place(name));
        let command = Command::new(pair.name).about(pair.about).after_help(pair.help);
        let command = fields.fold(command, |command, (name, schema)| submit::option(command, name, schema));
        let mut here = Arg::new("A").help("The table that is read").required(true);
        let mut there = Arg::new("B").help("The table that is written or compared with").required(true);
        if pair.kind == "verify" {
            here = here.required(false).required_unless_present(REPORT);
            there = there.required(false).required_unless_present_any([DATABASES[0], DATABASES[1], REPORT]);
        }
        let command = submit::common(command.arg(here).arg(there));
        match pair.kind {
            "migrate.table" => command
                .subcommand(bulk::command())
                .subcommand_negates_reqs(true)
                .args_conflicts_with_subcommands(true)
                .disable_help_subcommand(true),
            _ => command,
        }
    })
}

/// Whether a command takes two tables.
pub fn is_pair(name: &str) -> bool {
    PAIRS.iter().any(|pair| pair.name == name)
}

/// Sends the request and follows the job.
pub async fn run(name: &str, matches: &ArgMatches) -> Result<(), Failure> {
    let Some(pair) = PAIRS.iter().find(|pair| pair.name == name) else { return Err(Failure::usage("no such command")) };
    if let Some((bulk::NAME, matches)) = matches.subcommand() {
        return bulk::run(matches).await;
    }
    let schema = JobSpec::request_schema(pair.kind).unwrap_or_default();
    let rest: Map<String, Value> =
        fields(&schema).filter(|(name, _)| !is_place(name)).map(|(n, s)| (n.clone(), s.clone())).collect();
    let mut body = submit::body(matches, &serde_json::json!({"properties": rest}))?;
    let table = |name: &str| matches.get_one::<String>(name).map(String::as_str).unwrap_or_default();
    match pair.kind {
        "verify" if matches.contains_id(REPORT) && matches.contains_id("A") => {
            return Err(Failure::usage("`--report` says which tables are compared: leave the names out"));
        }
        "verify" if matches.contains_id(REPORT) => {}
        "verify" if !matches.contains_id("B") && DATABASES.iter().any(|field| matches.contains_id(field)) => {
            body["destination"] = table("A").into();
        }
        "verify" => {
            body["source"] = table("A").into();
            body["destination"] = table("B").into();
        }
        _ => {
            place(&mut body, "source", table("A"))?;
            place(&mut body, "dest", table("B"))?;
        }
    }
    submit::send(&JobSpec::path(pair.kind), &body, matches).await
}

fn fields(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

/// The fields that the two names fill.
fn is_place(field: &str) -> bool {
    let parts = ["_namespace", "_table", "_catalog"];
    let named = |side: &str| field.strip_prefix(side).is_some_and(|rest| rest.is_empty() || parts.contains(&rest));
    named("source") || named("dest") || field == "destination"
}

/// A name's parts as fields.
fn place(body: &mut Value, side: &str, name: &str) -> Result<(), Failure> {
    let parts: Vec<&str> = name.split('.').collect();
    let (catalog, namespace, table) = match parts[..] {
        [namespace, table] => (None, namespace, table),
        [catalog, namespace, table] => (Some(catalog), namespace, table),
        _ => return Err(Failure::usage(format!("`{name}` is not of the form [catalog.]namespace.table"))),
    };
    body[format!("{side}_namespace")] = namespace.into();
    body[format!("{side}_table")] = table.into();
    if let Some(catalog) = catalog {
        body[format!("{side}_catalog")] = catalog.into();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fill_the_fields_that_are_no_options() {
        let mut body = serde_json::json!({});
        place(&mut body, "source", "lake.raw.orders").expect("a name");
        place(&mut body, "dest", "prod.orders").expect("a name");
        assert_eq!(
            body,
            serde_json::json!({"source_catalog": "lake", "source_namespace": "raw", "source_table": "orders",
                               "dest_namespace": "prod", "dest_table": "orders"})
        );
        assert!(place(&mut body, "dest", "orders").is_err());
        for (field, filled) in
            [("source", true), ("dest_table", true), ("destination", true), ("source_snapshot", false)]
        {
            assert_eq!(is_place(field), filled, "{field}");
        }
        let commands: Vec<_> = commands().collect();
        let migrate = commands[0].clone().try_get_matches_from(["migrate", "a.b", "c.d", "--mode", "overwrite"]);
        assert!(migrate.is_ok());
        let snapshot = commands[1].clone().try_get_matches_from(["verify", "a.b", "c.d", "--source-snapshot", "-1"]);
        assert!(snapshot.is_err(), "an option's value that begins with a hyphen needs `=`");
    }
}
