//! Paths and places that are not read, and what is said of them.
use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use icehaul_tests::s3::{ACCESS_KEY, SECRET_KEY};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Stand, csv, into_things, put, store};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_told_all_that_is_wrong_with_it_at_once() {
    let stand = Stand::new().await;
    let root = stand.files.path().display().to_string();
    let all = |pairs: &[(&str, &str)]| {
        let mut all: Vec<_> = pairs.iter().map(|(field, code)| ((*field).to_owned(), (*code).to_owned())).collect();
        all.sort();
        all
    };
    for (path, fields, faults) in [
        (
            "/load/file",
            json!({"file_path": format!("{root}/../etc/passwd"), "format": "csv"}),
            &[("file_path", "path_not_allowed")][..],
        ),
        ("/load/file", json!({"file_path": "/etc/passwd", "format": "csv"}), &[("file_path", "path_not_allowed")]),
        ("/load/file", json!({"file_path": "../../etc/passwd", "format": "csv"}), &[("file_path", "path_not_allowed")]),
        ("/load/file", json!({"file_path": format!("{root}-beside/a.csv")}), &[("file_path", "path_not_allowed")]),
        ("/load/file", json!({"file_path": ""}), &[("file_path", "unknown_format")]),
        ("/load/file", json!({"file_path": format!("{root}/a[.csv")}), &[("file_path", "invalid_field")]),
        ("/load/file", json!({"file_path": format!("{root}/a")}), &[("file_path", "unknown_format")]),
        ("/load/file", json!({"filePath": "/a.csv", "file_path": "/b.csv"}), &[("file_path", "conflicting_fields")]),
        (
            "/load/file",
            json!({"file_path": format!("{root}/a.csv"), "cursor": "id", "mode": "incremental"}),
            &[("cursor", "conflicting_fields")],
        ),
        ("/load/file", json!({"nonsense": 1}), &[("file_path", "missing_field"), ("nonsense", "unknown_field")]),
        ("/load/s3", json!({}), &[("bucket", "missing_field"), ("key", "missing_field")]),
        (
            "/load/s3",
            json!({"s3_path": "s3:/x", "access_key": "a"}),
            &[("s3_path", "invalid_field"), ("secret_key", "missing_field")],
        ),
        ("/load/s3", json!({"s3Path": "s3a://datalake/a.csv", "bucket": "x"}), &[("bucket", "conflicting_fields")]),
        (
            "/load/s3",
            json!({"bucket": "a b", "key": "/a.csv", "endpoint": "ftp://h", "format": "pdf"}),
            &[
                ("bucket", "invalid_field"),
                ("key", "invalid_field"),
                ("endpoint", "invalid_field"),
                ("format", "invalid_field"),
            ],
        ),
        ("/load/s3", json!({"bucket": "datalake", "key": "a.csv"}), &[("connection", "missing_field")]),
        (
            "/load/s3",
            json!({"bucket": "datalake", "key": "a.csv", "connection": "none"}),
            &[("connection", "connection_not_found")],
        ),
        (
            "/load/s3",
            json!({"bucket": "datalake", "key": "a.csv", "connection": "none", "catalog": "none"}),
            &[("catalog", "catalog_not_found"), ("connection", "connection_not_found")],
        ),
        (
            "/load/s3",
            json!({"bucket": "datalake", "key": "a.csv", "connection": "c", "access_key": "a", "secret_key": "b"}),
            &[("access_key", "conflicting_fields"), ("secret_key", "conflicting_fields")],
        ),
    ] {
        let mut found = stand.refusal(path, &into_things(fields.clone())).await;
        found.sort();
        assert_eq!(found, all(faults), "{path} {fields}");
    }
    let upload = json!({"file_path": "/etc/passwd", "bucket": "datalake", "key": "a/"});
    assert_eq!(stand.refusal("/upload/s3", &upload).await, all(&[("key", "invalid_field")]));
    let upload = json!({"file_path": "/etc/passwd", "bucket": "datalake", "key": "a"});
    let found = stand.refusal("/upload/s3", &upload).await;
    assert_eq!(found, all(&[("connection", "missing_field"), ("file_path", "path_not_allowed")]));
    assert_eq!(stand.icehaul.get("/jobs").await.1["jobs"], Value::Array(Vec::new()), "none of them is a job");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_ordinary_file_below_the_roots_is_not_read() {
    let stand = Stand::new().await;
    let outside = TempDir::new().expect("folder");
    fs::write(outside.path().join("secret.csv"), csv(1, 3)).expect("file");
    symlink(outside.path().join("secret.csv"), stand.path("out.csv")).expect("link");
    symlink(outside.path(), stand.path("away")).expect("link");
    symlink("/proc/self/environ", stand.path("magic.csv")).expect("link");
    fs::create_dir(stand.path("folder.csv")).expect("folder");
    assert!(Command::new("mkfifo").arg(stand.path("pipe.csv")).status().expect("mkfifo").success());
    let _socket = UnixListener::bind(stand.path("socket.csv")).expect("socket");
    for (path, code) in [
        ("out.csv", "path_not_allowed"),
        ("away/secret.csv", "path_not_allowed"),
        ("magic.csv", "path_not_allowed"),
        ("folder.csv", "not_a_file"),
        ("pipe.csv", "not_a_file"),
        ("socket.csv", "not_a_file"),
        ("/dev/zero", "not_a_file"),
        ("missing.csv", "source_not_found"),
        ("away/*.csv", "path_not_allowed"),
        ("o*.csv", "path_not_allowed"),
        ("pip?.csv", "not_a_file"),
        ("no*.csv", "source_not_found"),
    ] {
        let path = stand.path(path).display().to_string();
        let body = into_things(json!({"file_path": path, "format": "csv"}));
        let (found, message) = stand.failure("/load/file", &body).await;
        assert_eq!(found, code, "{path}: {message}");
        assert!(!message.contains(&outside.path().display().to_string()), "{message}");
    }
}

/// A file that becomes a link out of the root at any moment: only the file itself ever arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_link_leads_nowhere() {
    let stand = Stand::new().await;
    let outside = TempDir::new().expect("folder");
    fs::write(outside.path().join("secret.csv"), "id,name\n666,secret\n").expect("file");
    let inside = stand.write("real.csv", csv(1, 1));
    let place = stand.path("x.csv");
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (stop, place, secret) = (stop.clone(), place.clone(), outside.path().join("secret.csv"));
        std::thread::spawn(move || {
            let spare = place.with_extension("spare");
            while !stop.load(Relaxed) {
                symlink(&secret, &spare).and_then(|()| fs::rename(&spare, &place)).expect("a link out");
                symlink(&inside, &spare).and_then(|()| fs::rename(&spare, &place)).expect("a link inside");
                fs::copy(&inside, &spare).and_then(|_| fs::rename(&spare, &place)).expect("the file");
            }
        })
    };
    let body = into_things(json!({"file_path": place.display().to_string()}));
    let mut loaded = 0;
    for _ in 0..25 {
        let job = stand.icehaul.run("/load/file", &body).await;
        match job["status"].as_str() {
            Some("succeeded") => loaded += 1,
            _ => {
                let code = job["error"]["code"].as_str().expect("a code");
                assert!(["path_not_allowed", "source_changed", "source_not_found"].contains(&code), "{job:#}");
            }
        }
    }
    stop.store(true, Relaxed);
    swapping.join().expect("no panic");
    // The last state is the file itself, which is read.
    let done = stand.icehaul.done("/load/file", &body).await;
    assert_eq!(done["rows_loaded"], 1);
    let rows = stand.icehaul.rows("select count(*), max(id) from raw.things").await;
    assert_eq!(rows, [json!([loaded + 1, 1])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_says_no_and_so_do_we() {
    let server = store();
    put(&server, "datalake", "in/a.csv", csv(1, 3));
    let stand = Stand::beside(&server, &[]).await;
    let inline =
        |access: &str, secret: &str| json!({"endpoint": server.endpoint(), "access_key": access, "secret_key": secret});
    let with = |mut fields: Value, more: Value| {
        more.as_object().expect("fields").iter().for_each(|(name, value)| fields[name] = value.clone());
        into_things(fields)
    };
    let at = |bucket: &str, key: &str| json!({"bucket": bucket, "key": key, "format": "csv"});
    for (body, code, says) in [
        (with(at("datalake", "in/b.csv"), json!({})), "s3_not_found", "s3://datalake/in/b.csv"),
        (with(at("exports", "a.csv"), json!({})), "s3_not_found", "no bucket `exports`"),
        (with(at("datalake", "none/"), json!({})), "empty_source", "s3://datalake/none/"),
        (with(at("datalake", "in/*.json"), json!({})), "s3_not_found", "no object matches"),
        (with(at("datalake", "in/a.csv"), inline("nobody", SECRET_KEY)), "s3_forbidden", "access key"),
        (with(at("datalake", "in/"), inline(ACCESS_KEY, "wrong-secret")), "s3_forbidden", "secret key"),
        (with(at("datalake", "in/a.csv"), json!({"endpoint": server.endpoint()})), "s3_forbidden", "not allow"),
        (
            with(at("datalake", "in/a.csv"), json!({"endpoint": format!("https://{}", server.address())})),
            "tls_error",
            "TLS",
        ),
    ] {
        let (found, message) = stand.failure("/load/s3", &body).await;
        assert_eq!(found, code, "{body}: {message}");
        assert!(message.contains(says), "{body}: {message}");
        assert!(!message.contains("wrong-secret") && !message.contains(SECRET_KEY), "{message}");
    }
}
