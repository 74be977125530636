//! `icehaul scrape`: a page, or with `--api` an API, into a table.
use clap::{Arg, ArgAction, ArgMatches, Command};
use icehaul_jobs::spec::JobSpec;
use serde_json::{Map, Value, json};

use super::submit;
use crate::client::Failure;

/// The command's name.
pub const NAME: &str = "scrape";
const PAGE: &str = "scrape.html";
const API: &str = "scrape.api";

/// The command, with the fields of both kinds as its options.
pub fn command() -> Command {
    let command = Command::new(NAME)
        .about("Read a web page, or with --api a web API, into a table: every option is a field of POST /api/v1/scrape or /api/v1/scrape-api")
        .arg_required_else_help(true)
        .arg(Arg::new("address").value_name("URL").required(true).help("The address of the page, or of the first one"))
        .arg(Arg::new("api").long("api").action(ArgAction::SetTrue).help("It is an API that answers in JSON or XML"));
    submit::common(fields().iter().fold(command, |command, (field, schema)| submit::option(command, field, schema)))
}

/// The fields of both kinds; which of them goes with which is for the server to say.
fn fields() -> Map<String, Value> {
    let of = |kind| JobSpec::request_schema(kind).and_then(|schema| schema["properties"].as_object().cloned());
    let mut fields = of(PAGE).unwrap_or_default();
    for (name, schema) in of(API).unwrap_or_default() {
        fields.entry(name).or_insert(schema);
    }
    fields.remove("url");
    fields
}

/// Sends the request and follows the job.
pub async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let mut body = submit::body(matches, &json!({"properties": fields()}))?;
    let address = matches.get_one::<String>("address").cloned().unwrap_or_default();
    body["url"] = address.into();
    let kind = if matches.get_flag("api") { API } else { PAGE };
    submit::send(&JobSpec::path(kind), &body, matches).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_make_a_request() {
        let arguments = [
            "scrape",
            "https://x.org/",
            "--selector",
            "table.wikitable",
            "--pagination",
            "style=offset",
            "--pagination",
            "size=50",
            "--params",
            "state=open",
            "--header-rows",
            "2",
            "--fields",
            "name=h3",
            "--units",
            "km,kg",
            "--since",
            "parameter=since",
            "--keep-raw",
            "--namespace",
            "web",
            "--table-name",
            "t",
        ];
        let matches = command().try_get_matches_from(arguments).expect("a command");
        let body = submit::body(&matches, &json!({"properties": fields()})).expect("a request");
        let expected = json!({
            "selector": "table.wikitable", "pagination": {"style": "offset", "size": 50}, "params": {"state": "open"},
            "header_rows": 2, "fields": {"name": "h3"}, "units": ["km", "kg"], "since": {"parameter": "since"},
            "keep_raw": true, "namespace": "web", "table_name": "t",
        });
        assert_eq!(body, expected);
        assert!(command().try_get_matches_from(["scrape", "--selector", "x"]).is_err(), "an address is needed");
        let matches =
            command().try_get_matches_from(["scrape", "https://x.org/", "--pagination", "{\"style\": \"page\"}"]);
        let body = submit::body(&matches.expect("a command"), &json!({"properties": fields()})).expect("a request");
        assert_eq!(body["pagination"], json!({"style": "page"}));
    }
}
