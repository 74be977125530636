//! `upload.s3`: what lies in the bucket is what the file held.
use std::{fs, io::Write, path::Path};

use icehaul_tests::{
    icehaul::{Icehaul, Process, binary},
    redis::RedisServer,
};
use serde_json::json;
use tempfile::TempDir;

use super::{Stand, connection, store};

/// Bytes that nothing repeats.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn small_and_large_files_arrive_whole() {
    let server = store();
    let stand = Stand::beside(&server, &[]).await;
    for (name, size) in [("empty.bin", 0), ("small.csv", 1000), ("large.bin", 110 << 20)] {
        let content = noise(size);
        let path = stand.write(name, &content);
        let body = json!({"file_path": path, "bucket": "datalake", "key": format!("output/{name}")});
        let job = stand.icehaul.run("/upload/s3", &body).await;
        let result = &job["result"];
        assert_eq!((&job["status"], &job["table"]), (&json!("succeeded"), &json!(null)), "{job:#}");
        assert_eq!(
            (&result["status"], &result["file"], &result["bytes"]),
            (&json!("success"), &json!(path), &json!(size))
        );
        assert_eq!(result["s3_location"], format!("s3://datalake/output/{name}"));
        let stored = fs::read(server.bucket("datalake").join("output").join(name)).expect("the object");
        assert!(stored == content, "{name}: {} bytes", stored.len());
    }
    assert_eq!(server.open_parts("datalake"), 0);
    let again = stand.write("small.csv", "other");
    let body = json!({"filePath": again, "bucket": "datalake", "key": "output/small.csv"});
    stand.icehaul.done("/upload/s3", &body).await;
    assert_eq!(fs::read(server.bucket("datalake").join("output/small.csv")).expect("the object"), b"other");
}

/// An API, and workers that come and go.
struct Cluster {
    redis: RedisServer,
    data: TempDir,
    env: Vec<(&'static str, String)>,
    icehaul: Icehaul,
}

impl Cluster {
    async fn new(mut env: Vec<(&'static str, String)>) -> Self {
        let (redis, data) = (RedisServer::start().expect("redis-server"), TempDir::new().expect("folder"));
        fs::create_dir(data.path().join("files")).expect("folder");
        env.push(("ICEHAUL_REDIS_URL", redis.url()));
        env.push(("ICEHAUL_DATA_DIR", data.path().join("own").display().to_string()));
        env.push(("ICEHAUL_FILE_ROOTS", data.path().join("files").display().to_string()));
        env.push(("ICEHAUL_QUEUE__LEASE_SECONDS", "2".into()));
        let icehaul = Icehaul::serve(&["api", "--bind", "127.0.0.1:0"], &env).await;
        Self { redis, data, env, icehaul }
    }

    async fn worker(&self, failpoints: &str) -> Process {
        let mut env = self.env.clone();
        env.push(("ICEHAUL_FAILPOINTS", failpoints.to_owned()));
        Process::start(&["worker"], &env, false).await.0
    }

    fn write(&self, content: &[u8]) -> std::path::PathBuf {
        let path = self.data.path().join("files/x.bin");
        fs::write(&path, content).expect("file");
        path
    }
}

fn body(path: &Path) -> serde_json::Value {
    json!({"file_path": path.display().to_string(), "bucket": "datalake", "key": "out/x.bin"})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_killed_midway_is_done_by_another_worker() {
    let server = store();
    let cluster = Cluster::new(connection(&server)).await;
    assert!(cluster.redis.connection().is_ok());
    let content = noise(40 << 20);
    let path = cluster.write(&content);
    let mut doomed = cluster.worker("upload.chunk_sent=exit").await;
    let id = cluster.icehaul.submit_to("/upload/s3", &body(&path)).await;
    assert!(!doomed.ended().await.success());
    assert!(server.keys("datalake").is_empty(), "nothing half is seen");
    let _heir = cluster.worker("").await;
    let job = cluster.icehaul.ended(&id).await;
    assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(2)), "{job:#}");
    assert!(fs::read(server.bucket("datalake").join("out/x.bin")).expect("the object") == content);
    assert_eq!(server.keys("datalake").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_while_it_is_sent_is_not_uploaded() {
    let server = store();
    let cluster = Cluster::new(connection(&server)).await;
    let path = cluster.write(&noise(40 << 20));
    let worker = cluster.worker("upload.chunk_sent=stop").await;
    let mut request = body(&path);
    request["max_attempts"] = 1.into();
    let id = cluster.icehaul.submit_to("/upload/s3", &request).await;
    worker.stopped().await;
    fs::OpenOptions::new().append(true).open(&path).and_then(|mut file| file.write_all(b"more")).expect("appended");
    // It stops after every chunk.
    let job = loop {
        worker.signal("CONT");
        let job = cluster.icehaul.get(&format!("/jobs/{id}")).await.1;
        if !job["finished_at"].is_null() {
            break job;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("source_changed")), "{job:#}");
    assert!(server.keys("datalake").is_empty());
    assert_eq!(server.open_parts("datalake"), 0, "what was sent is thrown away");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_uploads_and_loads() {
    let server = store();
    let stand = Stand::beside(&server, &[]).await;
    let path = stand.write("a.csv", super::csv(1, 3));
    let run = |args: &[&str]| {
        let output = std::process::Command::new(binary()).args(args).env("ICEHAUL_URL", &stand.icehaul.url).output();
        let output = output.expect("icehaul runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, said, _) = run(&["upload", "s3", "--file-path", &path, "--bucket", "datalake", "--key", "in/a.csv"]);
    assert_eq!(code, Some(0));
    assert!(said.starts_with("s3://datalake/in/a.csv: 35 B in "), "{said}");
    let into = ["--namespace", "raw", "--table-name", "things"];
    let (code, said, why) = run(&[&["load", "s3", "--s3-path", "s3://datalake/in/a.csv"], &into[..]].concat());
    assert_eq!((code, said.starts_with("raw.things: 3 rows in ")), (Some(0), true), "{said}{why}");
    let (code, said, why) = run(&[&["load", "file", "--file-path", &path], &into[..]].concat());
    assert_eq!((code, said.starts_with("raw.things: 3 rows in ")), (Some(0), true), "{said}{why}");
    let (code, _, why) = run(&["upload", "s3", "--file-path", "/etc/passwd", "--bucket", "datalake", "--key", "x"]);
    assert_eq!((code, why.contains("file_roots")), (Some(2), true), "{why}");
}
