//! The command line as people use it: pipes, Ctrl-C, wrong usage, wrong configuration.
use std::process::{Command, Output, Stdio};

use icehaul_tests::{
    icehaul::{Icehaul, binary},
    postgres::Database,
    signal,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};

fn run(args: &[&str], env: &[(&str, &str)]) -> Output {
    let folder = TempDir::new().expect("folder");
    let mut command = Command::new(binary());
    command.args(args).envs(env.iter().copied()).current_dir(folder.path()).stdin(Stdio::null());
    command.output().expect("icehaul runs")
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_reader_who_has_heard_enough_is_no_failure() {
    let folder = TempDir::new().expect("folder");
    let (reader, writer) = std::io::pipe().expect("pipe");
    drop(reader);
    let mut command = Command::new(binary());
    let command = command.args(["config", "check"]).current_dir(folder.path()).stdout(writer).stderr(Stdio::piped());
    let output = command.output().expect("icehaul runs");
    assert_eq!((output.status.code(), errors(&output).as_str()), (Some(141), ""));
}

#[test]
fn wrong_usage_is_said_and_ends_with_2() {
    for (args, says) in [
        (&["query", " "][..], "the statement is empty"),
        (&["tables", "--url", "127.0.0.1:1"], "http://"),
        (&["tables", "--url", "localhost:1"], "http://"),
        (&["jobs", "show", "x"], "not a job id"),
        (&["load", "postgres", "--mode", "upend"], "append, overwrite, incremental"),
        (&["worker", "--bind", "127.0.0.1:1"], "--bind"),
        (&["api", "--bind", "nowhere"], "127.0.0.1:8080"),
    ] {
        let output = run(args, &[]);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", errors(&output));
        assert!(errors(&output).contains(says), "{args:?}: {}", errors(&output));
    }
}

#[test]
fn a_configuration_that_cannot_work_is_refused_by_check_and_start() {
    let dir = TempDir::new().expect("folder");
    let data = dir.path().display().to_string();
    for command in [&["config", "check"][..], &["up", "--data-dir", &data]] {
        let output = run(command, &[("ICEHAUL_WORKER__SLOTS", "0"), ("ICEHAUL_LOG_LEVEL", "loud")]);
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        for says in ["worker.slots: must be from 1", "log_level: `loud` must be"] {
            assert!(errors(&output).contains(says), "{command:?}: {}", errors(&output));
        }
    }
    let output = run(&["config", "check"], &[("ICEHAUL_NONSENSE__KEY", "1")]);
    assert!(errors(&output).contains("ICEHAUL_NONSENSE: this key is not known here"), "{}", errors(&output));
    let output = run(&["config", "check"], &[("ICEHAUL_REDIS_URL", "redis://u:hunter2@queue:1/0")]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("\"redis://***@queue:1/0\"") && !printed.contains("hunter2"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_the_job_running_and_says_so() {
    let database = Database::new().await;
    let data = TempDir::new().expect("folder");
    let icehaul = Icehaul::up(data.path(), &[]).await;
    let port = database.port.to_string();
    let body = crate::connection(&database);
    let user = body["user"].as_str().expect("user").to_owned();
    let mut command = tokio::process::Command::new(binary());
    command
        .args(["load", "postgres", "--url", &icehaul.url, "--host", &database.host, "--port", &port])
        .args(["--database", &database.name, "--user", &user, "--namespace", "raw", "--table-name", "slow"])
        .args(["--labels", "team=x", "--query", "select g, pg_sleep(0.05)::text as p from generate_series(1, 10000) g"])
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some(password) = body["password"].as_str() {
        command.env("SECRET", password).args(["--password-env", "SECRET"]);
    }
    let mut child = command.spawn().expect("icehaul runs");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let first = lines.next_line().await.expect("text").expect("a line");
    let id = first.strip_prefix("job ").and_then(|rest| rest.strip_suffix(" submitted")).expect("an id").to_owned();
    icehaul.until(&id, |job| job["status"] == "running").await;
    signal(child.id().expect("running"), "INT").expect("a signal");
    assert_eq!(child.wait().await.expect("status").code(), Some(130));
    let said = lines.next_line().await.expect("text").expect("a line");
    assert_eq!(said, format!("icehaul: stopped watching; job {id} goes on"));
    let how = lines.next_line().await.expect("text").expect("a line");
    assert!(how.contains(&format!("icehaul jobs cancel {id} --url {}", icehaul.url)), "{how}");

    for label in ["team=x", "team:x"] {
        let list = run(&["jobs", "list", "--url", &icehaul.url, "--label", label], &[]);
        assert!(String::from_utf8_lossy(&list.stdout).contains(&id), "{label}: {}", errors(&list));
    }
    assert!(run(&["jobs", "cancel", &id, "--url", &icehaul.url], &[]).status.success());
    assert_eq!(icehaul.ended(&id).await["status"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_rows_are_shown_as_asked() {
    let database = Database::new().await;
    let data = TempDir::new().expect("folder");
    let icehaul = Icehaul::up(data.path(), &[]).await;
    let client = |args: &[&str]| {
        let output = run(args, &[("ICEHAUL_URL", &icehaul.url)]);
        assert!(output.status.success(), "{args:?}: {}", errors(&output));
        (String::from_utf8_lossy(&output.stdout).into_owned(), errors(&output))
    };
    assert_eq!(client(&["tables"]), (String::new(), "(no tables)\n".into()));
    assert_eq!(client(&["jobs", "list"]).1, "(no jobs)\n");
    let mut body = crate::connection(&database);
    body["namespace"] = "raw".into();
    for (name, query) in [("one", "select 1 as id, ''::text as a, null::text as b"), ("two", "select 1 as id")] {
        body["table_name"] = name.into();
        body["query"] = query.into();
        icehaul.loaded(&body).await;
    }
    assert_eq!(client(&["tables", "list"]).0, "raw.one\nraw.two\n");
    assert_eq!(client(&["tables", "list", "raw"]).0, client(&["tables", "raw"]).0);
    assert_eq!(client(&["tables", "show", "raw.one"]).0, client(&["tables", "raw.one"]).0);
    assert!(client(&["tables", "snapshots", "raw.one"]).0.contains("current"));
    assert!(client(&["tables", "preview", "raw.one"]).0.starts_with("id  a  b     source_system"));
    assert_eq!(client(&["query", "select id, a, b from raw.one"]).0, "id  a  b\n1      NULL\n");
    assert_eq!(client(&["query", "select id from raw.one where id > 1"]), ("id\n".into(), "(no rows)\n".into()));
    let (_, more) = client(&["jobs", "list", "--limit", "1"]);
    let cursor = more.trim_end().trim_end_matches(')').rsplit(' ').next().expect("a cursor").to_owned();
    assert!(client(&["jobs", "list", "--cursor", &cursor]).0.contains("raw.one"), "{more}");
    let later = client(&["jobs", "list", "--created-after", "2100-01-01T00:00:00Z"]);
    assert_eq!(later.1, "(no jobs)\n");

    let (_, answer) = icehaul.post("/query", &json!({"sql": "select id, a from raw.one"})).await;
    let (_, schema) = icehaul.get("/tables/raw/one/schema").await;
    for n in [0, 1] {
        assert_eq!(answer["columns"][n]["type"], schema["columns"][n]["type"]);
    }
}
