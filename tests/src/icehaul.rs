//! A real `icehaul` process on a private port and data directory.
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use reqwest::StatusCode;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// The binary under test: built by the same `cargo test`, two folders above the test's own.
///
/// # Panics
/// If it is not there: build the workspace first.
#[must_use]
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("own path");
    let path = test.parent().and_then(Path::parent).expect("target folder").join("icehaul");
    assert!(path.exists(), "{} is missing: run `cargo build` first", path.display());
    path
}

/// A process of ours; killed when dropped.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `icehaul` with arguments and variables; the first line of its output is given.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn start(args: &[&str], env: &[(&str, String)], first_line: bool) -> (Self, String) {
        let log = if std::env::var_os("ICEHAUL_TEST_VERBOSE").is_none() { Stdio::null() } else { Stdio::inherit() };
        Self::start_logging(args, env, first_line, log).await
    }

    async fn start_logging(args: &[&str], env: &[(&str, String)], first_line: bool, log: Stdio) -> (Self, String) {
        let mut command = Command::new(binary());
        // A table and snapshots that a test does not expect; those of the audit trail turn it on.
        command.env("ICEHAUL_AUDIT__ENABLED", "false");
        command.args(args).envs(env.iter().map(|(k, v)| (k, v))).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn().expect("icehaul starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let line = match first_line {
            true => lines.next_line().await.expect("output").expect("a line before the end"),
            false => String::new(),
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        (Self { child }, line)
    }

    /// Sends a signal by name: `KILL`, `STOP`, `CONT`, `TERM`.
    ///
    /// # Panics
    /// If the process has ended.
    pub fn signal(&self, name: &str) {
        crate::signal(self.child.id().expect("still running"), name).expect("a signal");
    }

    /// Waits until it has been stopped (SIGSTOP).
    ///
    /// # Panics
    /// If it has ended.
    pub async fn stopped(&self) {
        let path = format!("/proc/{}/stat", self.child.id().expect("still running"));
        let state = || std::fs::read_to_string(&path).expect("its state");
        while !state().contains(") T ") {
            tokio::task::yield_now().await;
        }
    }

    /// The most memory that it ever had, in bytes.
    ///
    /// # Panics
    /// If it has ended.
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id().expect("still running"));
        let status = std::fs::read_to_string(path).expect("its status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
        peak.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it lives on for a minute.
    pub async fn ended(&mut self) -> std::process::ExitStatus {
        let end = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        end.expect("ends within a minute").expect("status")
    }
}

impl Drop for Process {
    /// Ends what it has started too: its private Redis has no other to end it.
    fn drop(&mut self) {
        let Some(id) = self.child.id() else { return };
        // Not the shell that watches over its browser: that one ends it, and clears away, as soon as the process is gone.
        let is_redis = |child: &u32| {
            std::fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name.trim() == "redis-server")
        };
        let children: Vec<_> = crate::machine::children(id).into_iter().filter(is_redis).collect();
        let _ = self.child.start_kill();
        for child in children {
            let _ = crate::signal(child, "KILL");
        }
    }
}

/// `icehaul up` (or `api`) and a client of it.
pub struct Icehaul {
    /// The process.
    pub process: Process,
    /// Its address, without a slash at the end.
    pub url: String,
    http: reqwest::Client,
}

impl Icehaul {
    /// Starts `icehaul up` on a data directory and waits until it answers.
    pub async fn up(data_dir: &Path, env: &[(&str, String)]) -> Self {
        let dir = data_dir.display().to_string();
        Self::serve(&["up", "--data-dir", &dir, "--bind", "127.0.0.1:0"], env).await
    }

    /// Starts any serving command.
    ///
    /// # Panics
    /// If its first line holds no address.
    pub async fn serve(args: &[&str], env: &[(&str, String)]) -> Self {
        let (process, line) = Process::start(args, env, true).await;
        Self::at(process, &line)
    }

    /// Starts `icehaul up` whose log goes into a file.
    ///
    /// # Panics
    /// If the file cannot be made.
    pub async fn up_logging(data_dir: &Path, env: &[(&str, String)], log: &Path) -> Self {
        let (dir, log) = (data_dir.display().to_string(), std::fs::File::create(log).expect("a log"));
        let args = ["up", "--data-dir", &dir, "--bind", "127.0.0.1:0"];
        let (process, line) = Process::start_logging(&args, env, true, log.into()).await;
        Self::at(process, &line)
    }

    fn at(process: Process, line: &str) -> Self {
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect("an address").to_owned();
        Self { process, url, http: reqwest::Client::new() }
    }

    /// `GET` below `/api/v1`.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        let response = self.http.get(format!("{}/api/v1{path}", self.url)).send().await.expect("an answer");
        (response.status(), response.json().await.unwrap_or_default())
    }

    /// `POST` below `/api/v1`.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.http.post(format!("{}/api/v1{path}", self.url)).json(body);
        let response = request.send().await.expect("an answer");
        (response.status(), response.json().await.unwrap_or_default())
    }

    /// Submits a load from PostgreSQL and gives its id.
    pub async fn submit(&self, body: &Value) -> String {
        self.submit_to("/load/postgres", body).await
    }

    /// Submits a job of any kind and gives its id.
    ///
    /// # Panics
    /// If it is not accepted.
    pub async fn submit_to(&self, path: &str, body: &Value) -> String {
        let (status, accepted) = self.post(path, body).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{path}: {accepted}");
        accepted["job_id"].as_str().expect("an id").to_owned()
    }

    /// Submits a job of any kind, waits, and gives its document.
    pub async fn run(&self, path: &str, body: &Value) -> Value {
        let id = self.submit_to(path, body).await;
        self.ended(&id).await
    }

    /// Submits a job of any kind, waits, and gives its result.
    ///
    /// # Panics
    /// If it does not succeed.
    pub async fn done(&self, path: &str, body: &Value) -> Value {
        let job = self.run(path, body).await;
        assert_eq!(job["status"], "succeeded", "{job:#}");
        job["result"].clone()
    }

    /// Waits for a job's end and gives its document.
    ///
    /// # Panics
    /// If it does not end within ten minutes.
    pub async fn ended(&self, id: &str) -> Value {
        let mut job = Value::Null;
        for _ in 0..300 {
            let request = self.http.get(format!("{}/api/v1/jobs/{id}", self.url)).header("prefer", "wait=2");
            job = request.send().await.expect("an answer").json().await.expect("a document");
            if ended(&job) {
                return job;
            }
        }
        panic!("the job does not end: {job:#}");
    }

    /// Submits a load and waits for its end.
    pub async fn load(&self, body: &Value) -> Value {
        self.run("/load/postgres", body).await
    }

    /// Looks at a job until it is as the test wants it.
    ///
    /// # Panics
    /// If it ends before that.
    pub async fn until(&self, id: &str, holds: impl Fn(&Value) -> bool) {
        loop {
            let job = self.get(&format!("/jobs/{id}")).await.1;
            if holds(&job) {
                return;
            }
            assert!(!ended(&job), "ended before it was as expected: {job:#}");
        }
    }

    /// Submits a load, waits, and gives its result.
    pub async fn loaded(&self, body: &Value) -> Value {
        self.done("/load/postgres", body).await
    }

    /// Runs a query and gives its rows.
    ///
    /// # Panics
    /// If it fails.
    pub async fn rows(&self, sql: &str) -> Vec<Value> {
        let (status, answer) = self.post("/query", &serde_json::json!({"sql": sql})).await;
        assert_eq!(status, StatusCode::OK, "{sql}: {answer}");
        answer["rows"].as_array().cloned().expect("rows")
    }
}

fn ended(job: &Value) -> bool {
    ["succeeded", "failed", "cancelled"].iter().any(|end| job["status"] == *end)
}
