//! The command line as people use it: pipes, Ctrl-C, wrong usage, wrong configuration, servers that falter.
use std::{
    collections::VecDeque,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
};

use axum::http::{HeaderMap, StatusCode};
use icehaul_tests::{
    icehaul::{Icehaul, binary},
    postgres::Database,
    signal,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
};

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

#[test]
fn only_the_working_directory_configures_by_itself() {
    let folder = TempDir::new().expect("folder");
    let below = folder.path().join("below");
    std::fs::create_dir(&below).expect("folder");
    std::fs::write(folder.path().join("icehaul.toml"), "log_level = \"debug\"").expect("file");
    let check = |place: &std::path::Path, args: &[&str]| {
        let mut command = Command::new(binary());
        let output = command.args(["config", "check"]).args(args).current_dir(place).output().expect("icehaul runs");
        (String::from_utf8_lossy(&output.stdout).contains("\"log_level\": \"debug\""), errors(&output))
    };
    let read = || format!("(read from {})\n", folder.path().join("icehaul.toml").display());
    assert_eq!(check(folder.path(), &[]), (true, read()));
    assert_eq!(check(&below, &[]), (false, "(no configuration file was read)\n".into()));
    assert!(check(&below, &["--config", "../icehaul.toml"]).0);
    assert!(
        check(&below, &["--config", "icehaul.toml"]).1.contains("icehaul.toml"),
        "a file that is named must be there"
    );
}

/// A server that gives these answers (status and body), one after the other; and the keys of the requests.
async fn server(answers: &[(u16, &str)]) -> (String, Arc<Mutex<Vec<String>>>) {
    let answers =
        answers.iter().map(|(status, body)| (StatusCode::from_u16(*status).expect("status"), body.to_string()));
    let (answers, keys) = (Arc::new(Mutex::new(answers.collect::<VecDeque<_>>())), Arc::<Mutex<Vec<_>>>::default());
    let seen = keys.clone();
    let handler = move |headers: HeaderMap| async move {
        let key = headers.get("idempotency-key").map(|key| key.to_str().expect("text").to_owned());
        seen.lock().expect("keys").extend(key);
        let (status, body) = answers.lock().expect("answers").pop_front().expect("an answer for every request");
        (status, [("retry-after", "0")], body)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    tokio::spawn(async { axum::serve(listener, axum::Router::new().fallback(handler)).await });
    (url, keys)
}

const AWAY: (u16, &str) = (503, r#"{"code": "queue_unavailable", "detail": "Redis is away"}"#);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falters_is_borne_with() {
    let id = "0199f3c0-0000-7000-8000-000000000001";
    let error = json!({"code": "source_unreachable", "message": "no answer"});
    let job = |status: &str, attempt: u32| {
        json!({"job_id": id, "status": status, "attempt": attempt, "max_attempts": 5, "table": "raw.t", "result": {},
               "next_attempt_at": "2026-11-23T10:00:07Z", "attempts": [{"attempt": 1, "error": error}]})
    };
    let (accepted, retrying, done) =
        (json!({"job_id": id}).to_string(), job("retrying", 1).to_string(), job("succeeded", 2).to_string());
    let answers = [AWAY, (502, "<html>"), (202, &accepted), (200, &retrying), AWAY, (200, &retrying), (200, &done)];
    let (url, keys) = server(&answers).await;
    let output = run(&["load", "file", "--url", &url, "--file-path", "x.csv", "--table-name", "t"], &[]);
    assert!(output.status.success(), "{}", errors(&output));
    let away = "Redis is away (queue_unavailable); trying again for up to";
    let failed = "attempt 1 of 5 failed: no answer (source_unreachable); next try at 2026-11-23T10:00:07Z";
    let said = format!("{away} 60 s\njob {id} submitted\n{failed}\n{away} 300 s\n");
    assert_eq!(errors(&output), said);
    let keys = keys.lock().expect("keys");
    assert!(keys.len() == 3 && keys.iter().all(|key| key.len() == 36 && *key == keys[0]), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_is_told_from_icehaul() {
    let (url, _) = server(&[(200, "<html>"), (404, "no"), (404, "{}"), (200, "{}"), (200, "{}")]).await;
    for args in [
        &["tables"][..],
        &["jobs", "list"],
        &["jobs", "list"],
        &["load", "file", "--file-path", "x.csv"],
        &["load", "file", "--file-path", "x.csv"],
    ] {
        let output = run(&[args, &["--url", &url]].concat(), &[]);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", errors(&output));
        let says = format!("from {url}/api/v1 is not Icehaul's: does Icehaul answer there?");
        assert!(errors(&output).contains(&says), "{args:?}: {}", errors(&output));
    }
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
    for (name, query) in [
        ("one", "select 1 as id, ''::text as a, null::text as b"),
        ("two", "select 1 as id, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid as u"),
    ] {
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
    let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    assert_eq!(client(&["query", "select u from raw.two"]).0, format!("u\n{uuid}\n"));
    assert!(client(&["tables", "preview", "raw.two"]).0.contains(uuid));
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
