//! A Trino for the tests, started once per process and stopped when the process ends, however it ends.
use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use reqwest::Client;
use serde_json::Value;

use crate::{free_port, postgres::Database};

/// A running Trino.
pub struct Trino {
    /// Its address.
    pub url: String,
    /// Ends it when its standard input is closed, that is, when this process ends.
    _keeper: Child,
}

/// What a statement gave.
#[derive(Debug, Default)]
pub struct Answer {
    /// The rows, as Trino writes them in JSON.
    pub rows: Vec<Value>,
    /// How many rows it changed.
    pub changed: Option<u64>,
}

/// The checkout's root.
#[must_use]
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The Trino of this process.
///
/// # Panics
/// If it does not start; `./test.sh` installs it.
pub fn server() -> &'static Trino {
    static SERVER: OnceLock<Trino> = OnceLock::new();
    SERVER.get_or_init(start)
}

fn start() -> Trino {
    let port = free_port().expect("a free port");
    let dir = tempfile::Builder::new().prefix("icehaul-trino-").tempdir().expect("a folder").keep();
    let catalogs = dir.join("catalogs");
    std::fs::create_dir(&catalogs).expect("a folder");
    std::fs::write(
        catalogs.join("tpch.properties"),
        "connector.name=tpch\ntpch.double-type-mapping=DECIMAL\ntpch.column-naming=STANDARD\n",
    )
    .expect("written");
    let mut command = Command::new(checkout().join("scripts/trino.sh"));
    command.arg("keep").arg(&dir).arg(port.to_string()).arg(&catalogs);
    // Quick to start rather than fast; each test makes its own catalogs.
    let options = std::env::var("ICEHAUL_TEST_TRINO_OPTIONS").unwrap_or_else(|_| "-XX:TieredStopAtLevel=1".to_owned());
    command.env("TRINO_OPTIONS", format!("{options} -Dcatalog.management=dynamic"));
    // A signal to the process group of the tests must not keep it from tidying up.
    command.process_group(0);
    let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bash");
    let mut line = String::new();
    BufReader::new(keeper.stdout.take().expect("its output")).read_line(&mut line).expect("its output");
    assert_eq!(line, "ready\n", "Trino did not start");
    Trino { url: format!("http://127.0.0.1:{port}"), _keeper: keeper }
}

impl Trino {
    /// Runs a statement to its end.
    ///
    /// # Errors
    /// Trino's message.
    ///
    /// # Panics
    /// If Trino does not answer.
    pub async fn query(&self, sql: &str) -> Result<Answer, String> {
        self.query_in("system.runtime", sql).await
    }

    /// The same, where tables without a schema are those of `catalog.schema`.
    ///
    /// # Errors
    /// Trino's message.
    ///
    /// # Panics
    /// If Trino does not answer.
    pub async fn query_in(&self, place: &str, sql: &str) -> Result<Answer, String> {
        let http = Client::new();
        let (catalog, schema) = place.split_once('.').expect("catalog.schema");
        let schema = schema.trim_matches('"');
        let with_headers = |request: reqwest::RequestBuilder| {
            request
                .header("x-trino-catalog", catalog)
                .header("x-trino-schema", schema)
                .header("x-trino-user", "test")
                .header("x-trino-time-zone", "UTC")
                .header("x-trino-client-capabilities", "PARAMETRIC_DATETIME")
        };
        let mut request = http.post(format!("{}/v1/statement", self.url)).body(sql.to_owned());
        let mut answer = Answer::default();
        loop {
            let page: Value = with_headers(request).send().await.expect("an answer").json().await.expect("JSON");
            if let Some(message) = page["error"]["message"].as_str() {
                return Err(message.to_owned());
            }
            answer.rows.extend(page["data"].as_array().into_iter().flatten().cloned());
            match page["nextUri"].as_str() {
                Some(next) => request = http.get(next),
                None => {
                    answer.changed = page["updateCount"].as_u64();
                    return Ok(answer);
                }
            }
        }
    }

    /// Runs a statement and gives its rows.
    ///
    /// # Panics
    /// If it fails.
    pub async fn rows(&self, sql: &str) -> Vec<Value> {
        self.query(sql).await.unwrap_or_else(|message| panic!("{sql}: {message}")).rows
    }

    /// The same, where tables without a schema are those of `catalog.schema`.
    ///
    /// # Panics
    /// If it fails.
    pub async fn rows_in(&self, place: &str, sql: &str) -> Vec<Value> {
        self.query_in(place, sql).await.unwrap_or_else(|message| panic!("{sql}: {message}")).rows
    }

    /// Runs a statement that has one row of one column.
    ///
    /// # Panics
    /// If it fails or has another shape.
    pub async fn one(&self, sql: &str) -> Value {
        let rows = self.rows(sql).await;
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows[0][0].clone()
    }

    /// Makes a catalog of one of the repository's property files, as the environment of a deployment would.
    ///
    /// # Panics
    /// If Trino refuses it, or a variable of the file is not given.
    pub async fn create_catalog(&self, name: &str, file: &str, variables: &[(&str, String)]) {
        let text = std::fs::read_to_string(checkout().join("trino").join(file)).expect(file);
        let mut text =
            variables.iter().fold(text, |text, (name, value)| text.replace(&format!("${{ENV:{name}}}"), value));
        // The tests have no S3 unless they say so; Trino wants to be told something.
        for (variable, value) in [
            ("ENDPOINT", "http://127.0.0.1:1"),
            ("REGION", "us-east-1"),
            ("ACCESS_KEY", "none"),
            ("SECRET_KEY", "none"),
        ] {
            text = text.replace(&format!("${{ENV:S3_{variable}}}"), value);
        }
        assert!(!text.contains("${ENV:"), "a variable of {file} is not given: {text}");
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let (mut connector, mut properties) = ("", Vec::new());
        for (key, value) in lines.filter_map(|line| line.split_once('=')) {
            match key {
                "connector.name" => connector = value,
                _ => properties.push(format!("\"{key}\" = '{}'", value.replace('\'', "''"))),
            }
        }
        // Old snapshots and files must be removable at once in tests.
        if connector == "iceberg" {
            properties.extend(
                ["expire-snapshots", "remove-orphan-files"].map(|of| format!("\"iceberg.{of}.min-retention\" = '0s'")),
            );
        }
        self.rows(&format!("CREATE CATALOG {name} USING {connector} WITH ({})", properties.join(", "))).await;
    }
}

/// The address of a test's database, as Java writes it.
#[must_use]
pub fn jdbc_url(database: &Database) -> String {
    format!("jdbc:postgresql://{}:{}/{}?sslmode=disable", database.host, database.port, database.name)
}
