//! Another engine that reads tables: `tests/py/engines.py` with one of its engines, kept running.
use std::process::Stdio;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::trino::checkout;

/// A running engine; it ends when this is dropped.
pub struct Engine {
    _process: Child,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Engine {
    /// Starts an engine: `pyiceberg`, `duckdb`, `spark` or `trino` with its arguments.
    ///
    /// # Panics
    /// If it does not start; `./test.sh` installs what it needs.
    pub async fn start(arguments: &[&str], env: &[(&str, String)]) -> Self {
        let variable = match arguments[0] {
            "spark" => "ICEHAUL_TEST_SPARK_PYTHON",
            _ => "ICEHAUL_TEST_PYTHON",
        };
        let python = std::env::var(variable).unwrap_or_else(|_| "python3".to_owned());
        let mut command = Command::new(python);
        command.arg("engines.py").args(arguments).envs(env.iter().map(|(name, value)| (name, value)));
        command.current_dir(checkout().join("tests/py")).env("TZ", "UTC");
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("Python");
        let requests = process.stdin.take().expect("its input");
        let mut answers = BufReader::new(process.stdout.take().expect("its output")).lines();
        let ready = answers.next_line().await.expect("its output");
        assert_eq!(ready.as_deref(), Some("\"ready\""), "{arguments:?} does not start");
        Self { _process: process, requests, answers }
    }

    /// Asks for something and gives the answer.
    ///
    /// # Panics
    /// If the engine fails.
    pub async fn ask(&mut self, request: &Value) -> Value {
        self.requests.write_all(format!("{request}\n").as_bytes()).await.expect("asked");
        let line = self.answers.next_line().await.expect("its output").expect("an answer");
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        assert!(answer["error"].is_null(), "{request}: {}", answer["error"]);
        answer
    }

    /// What it sees in a table.
    pub async fn see(&mut self, table: &str) -> Value {
        self.ask(&serde_json::json!({"table": table})).await
    }
}
