//! `icehaul load`, `icehaul upload`: their options are the request's fields, taken from the request's schema, so a new kind
//! of job needs no code.
use std::io::IsTerminal;

use clap::{
    Arg, ArgAction, ArgMatches, Command,
    builder::{PossibleValue, PossibleValuesParser},
};
use icehaul_jobs::spec::JobSpec;
use serde_json::{Map, Value, json};

use super::{follow, print};
use crate::client::{Client, DEFAULT_URL, Failure};

/// The commands that submit jobs: the first words of the jobs' kinds.
const VERBS: [(&str, &str); 2] =
    [("load", "Load rows from a source into a table"), ("upload", "Upload a file to an object store")];

/// The commands that submit jobs.
pub fn commands() -> impl Iterator<Item = Command> {
    VERBS.into_iter().map(|(verb, about)| command(verb, about))
}

/// Whether a command submits jobs.
pub fn is_verb(name: &str) -> bool {
    VERBS.iter().any(|(verb, _)| *verb == name)
}

/// A command with one subcommand per kind of job.
fn command(verb: &'static str, about: &'static str) -> Command {
    let kinds = JobSpec::kinds().into_iter().filter_map(|kind| {
        let schema = JobSpec::request_schema(&kind)?;
        let name = kind.strip_prefix(verb)?.strip_prefix('.')?.to_owned();
        let fields = schema["properties"].as_object()?.clone();
        let about = format!("Submit a `{kind}` job: every option is a field of POST /api/v1/{verb}/{name}");
        Some(
            fields
                .iter()
                .fold(Command::new(name).about(about), |command, (field, schema)| option(command, field, schema)),
        )
    });
    Command::new(verb)
        .about(about)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(kinds.map(common).collect::<Vec<_>>())
}

/// What every command takes that submits a job.
pub fn common(command: Command) -> Command {
    command
        .arg(Arg::new("url").long("url").env("ICEHAUL_URL").default_value(DEFAULT_URL).help("The running Icehaul"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON"))
        .arg(
            Arg::new("no-wait")
                .long("no-wait")
                .action(ArgAction::SetTrue)
                .help("Print the job's id and do not wait for its end"),
        )
}

/// One field as an option. A secret can also come from an environment variable.
pub fn option(command: Command, field: &str, schema: &Value) -> Command {
    let long = field.replace('_', "-");
    let mut help = schema["description"].as_str().unwrap_or_default().replace('\n', " ");
    match type_of(schema) {
        "array" => help.push_str(" Separated by commas, or give it again for more."),
        "object" => {
            help.push_str(" Give it again for more.");
            if members(schema).is_some_and(|members| members.contains_key("password")) {
                help.push_str(" `password_env=VARIABLE` takes the password from the environment.");
            }
        }
        _ => {}
    }
    match &schema["default"] {
        Value::String(text) => help.push_str(&format!(" [default: {text}]")),
        value @ (Value::Bool(_) | Value::Number(_)) => help.push_str(&format!(" [default: {value}]")),
        _ => {}
    }
    let mut arg = Arg::new(field.to_owned()).long(long.clone()).help(help);
    let choices = choices(schema);
    if !choices.is_empty() {
        arg = arg.value_parser(PossibleValuesParser::new(choices));
    }
    arg = match type_of(schema) {
        "array" => arg.action(ArgAction::Append).value_name("ITEM"),
        "object" => arg.action(ArgAction::Append).value_name("NAME=VALUE"),
        "boolean" => arg.value_name("true|false").num_args(0..=1).require_equals(true).default_missing_value("true"),
        _ => arg,
    };
    if schema["format"] != "password" {
        return command.arg(arg);
    }
    let env = Arg::new(format!("{field}_env")).long(format!("{long}-env")).value_name("VARIABLE");
    command.arg(arg).arg(env.help("The environment variable that holds it").conflicts_with(field.to_owned()))
}

/// The values that a field's schema enumerates, with what they mean; empty if it takes others too.
fn choices(schema: &Value) -> Vec<PossibleValue> {
    if let Some(name) = schema["const"].as_str() {
        let meaning = schema["description"].as_str().unwrap_or_default().replace('\n', " ");
        return vec![PossibleValue::new(name.to_owned()).help(meaning)];
    }
    let named = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let nested = ["oneOf", "anyOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten().flat_map(choices);
    named.map(|name| PossibleValue::new(name.to_owned())).chain(nested).collect()
}

/// The schema's type, null aside.
fn type_of(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(one) => one,
        Value::Array(several) => several.iter().filter_map(Value::as_str).find(|t| *t != "null").unwrap_or("string"),
        _ if members(schema).is_some() => "object",
        _ => "string",
    }
}

/// The members of an object that knows their names, null aside.
fn members(schema: &Value) -> Option<&Map<String, Value>> {
    let choices = ["anyOf", "oneOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten();
    std::iter::once(schema).chain(choices).find_map(|schema| schema["properties"].as_object())
}

/// Sends the request and follows the job.
pub async fn run(verb: &str, matches: &ArgMatches) -> Result<(), Failure> {
    let Some((name, matches)) = matches.subcommand() else { return Err(Failure::usage("of which kind?")) };
    let schema = JobSpec::request_schema(&format!("{verb}.{name}")).unwrap_or_default();
    let body = body(matches, &schema)?;
    send(&JobSpec::path(&format!("{verb}.{name}")), &body, matches).await
}

/// Sends a request and follows its job, as the options of [`common`] say.
pub async fn send(path: &str, body: &Value, matches: &ArgMatches) -> Result<(), Failure> {
    match followed(&client(matches)?, path, body, matches).await? {
        Some(job) => follow::report(&job, matches.get_flag("json")),
        None => Ok(()),
    }
}

/// The client that the options name.
pub fn client(matches: &ArgMatches) -> Result<Client, Failure> {
    Client::new(matches.get_one::<String>("url").map(String::as_str).unwrap_or_default())
}

/// Sends a request and follows its job to the end; `None` if nobody wants to wait.
pub async fn followed(
    client: &Client,
    path: &str,
    body: &Value,
    matches: &ArgMatches,
) -> Result<Option<Value>, Failure> {
    let accepted = client.submit(path, body, print::note).await;
    let accepted = accepted.map_err(|failure| failure.or_unknown(&where_to_look(body, &client.options())))?;
    let id = print::cell(&accepted["job_id"]);
    let as_json = matches.get_flag("json");
    if matches.get_flag("no-wait") {
        if as_json {
            print::json(&accepted)
        } else {
            print::line(&id)
        }
        return Ok(None);
    }
    print::note(format_args!("job {id} submitted"));
    follow::follow(client, &id, !as_json && std::io::stderr().is_terminal()).await.map(Some)
}

/// What to do when a submission was not answered.
fn where_to_look(body: &Value, options: &str) -> String {
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    let table = match (text("table_name"), text("dest_table")) {
        ("", "") => String::new(),
        ("", name) => format!(" --table {}.{name}", text("dest_namespace")),
        (name, _) => format!(" --table {}.{name}", text("namespace")),
    };
    format!("the job may have been accepted all the same: `icehaul jobs list{table}{options}` tells")
}

/// The fields that were given as options.
pub fn body(matches: &ArgMatches, schema: &Value) -> Result<Value, Failure> {
    let mut body = Map::new();
    for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(values) = matches.get_many::<String>(field) {
            let values: Vec<&String> = values.collect();
            body.insert(field.clone(), value_of(field, schema, &values)?);
        } else if schema["format"] == "password"
            && let Some(variable) = matches.get_one::<String>(&format!("{field}_env"))
        {
            body.insert(field.clone(), from_environment(&format!("--{field}-env"), variable)?);
        }
    }
    Ok(Value::Object(body))
}

fn value_of(field: &str, schema: &Value, values: &[&String]) -> Result<Value, Failure> {
    let first = values.first().map(|v| v.as_str()).unwrap_or_default();
    let wrong = |what: &str| Failure::usage(format!("--{}: `{first}` is not {what}", field.replace('_', "-")));
    Ok(match type_of(schema) {
        "integer" => json!(first.parse::<i64>().map_err(|_| wrong("a whole number"))?),
        "number" => json!(first.parse::<f64>().map_err(|_| wrong("a number"))?),
        "boolean" => json!(first.parse::<bool>().map_err(|_| wrong("true or false"))?),
        "array" => values.iter().flat_map(|value| items(value)).map(Value::from).collect(),
        "object" if first.starts_with('{') => serde_json::from_str(first).map_err(|_| wrong("a JSON object"))?,
        "object" => {
            let mut object = Map::new();
            for value in values {
                let (name, text) = value.split_once('=').ok_or_else(|| wrong("of the form name=value"))?;
                let (name, value) = member(schema, name, text)?;
                object.insert(name, value);
            }
            Value::Object(object)
        }
        _ => first.into(),
    })
}

/// A member of an object: numbers and the like where the schema has them, else text; `password_env` names the environment
/// variable that holds the `password`.
fn member(schema: &Value, name: &str, text: &str) -> Result<(String, Value), Failure> {
    let known = |name: &str| members(schema).and_then(|members| members.get(name));
    if let Some(field) = name.strip_suffix("_env")
        && known(field).is_some_and(|schema| schema["format"] == "password")
    {
        return Ok((field.to_owned(), from_environment(name, text)?));
    }
    let read = match known(name).map_or("string", type_of) {
        "string" => None,
        _ => serde_json::from_str(text).ok(),
    };
    Ok((name.to_owned(), read.unwrap_or_else(|| text.into())))
}

/// A secret that an environment variable holds.
fn from_environment(option: &str, variable: &str) -> Result<Value, Failure> {
    let secret = std::env::var(variable);
    Ok(secret.map_err(|_| Failure::usage(format!("{option}: the variable {variable} is not set")))?.into())
}

/// The items of a list: commas part them, but not within brackets (`bucket(4, id)`).
fn items(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let comma = |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth <= 0
    };
    text.split(comma).map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_shows_choices_defaults_and_repetition() {
        let [mut load, mut upload] = VERBS.map(|(verb, about)| command(verb, about));
        assert!(upload.find_subcommand_mut("s3").is_some() && load.find_subcommand_mut("file").is_some());
        let postgres = load.find_subcommand_mut("postgres").expect("a source");
        let help = postgres.render_long_help().to_string();
        for part in [
            "- incremental: They stay, and only rows beyond",
            "[default: append]",
            "[default: counts]",
            "[default: evolve]",
            "- verify-full:",
            "- snappy:",
            "[default: normal]",
            "[default: 5]",
            "[default: true]",
            "Separated by commas, or give it again for more.",
            "Give it again for more.",
        ] {
            assert!(help.contains(part), "{part} is not in\n{help}");
        }
        assert!(command("load", "").try_get_matches_from(["load", "postgres", "--mode", "upend"]).is_err());
    }

    #[test]
    fn a_secret_within_an_object_comes_from_the_environment() {
        let schema = json!({"type": "object", "properties": {
            "password": {"type": "string", "format": "password"}, "port": {"type": "integer"}}});
        let given = ["password_env=PATH".to_owned(), "port=5432".to_owned(), "user_env=x".to_owned()];
        let read =
            value_of("postgres", &schema, &given.iter().collect::<Vec<_>>()).map_err(|e| e.message).expect("an object");
        assert_eq!(read["password"], std::env::var("PATH").expect("a path"));
        assert_eq!((&read["port"], &read["user_env"]), (&json!(5432), &json!("x")));
        let unset = "password_env=ICEHAUL_NO_SUCH_VARIABLE".to_owned();
        assert!(value_of("postgres", &schema, &[&unset]).is_err());
    }

    #[test]
    fn lists_are_parted_by_commas_outside_of_brackets() {
        assert_eq!(items("a, b"), ["a", "b"]);
        assert_eq!(items("bucket(4, id),day(at)"), ["bucket(4, id)", "day(at)"]);
    }
}
