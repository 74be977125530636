//! `load.file`: what arrives, and how it is named.
use std::{fs, io::Write, os::unix::fs::symlink, process::Command};

use serde_json::json;

use super::{Stand, csv, into_things};

const ALL: &str = "select count(*), count(distinct id), min(id), max(id) from raw.things";

/// The bytes as `gzip` makes them.
fn gzip(content: &str) -> Vec<u8> {
    let mut child = Command::new("gzip")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("gzip");
    let mut input = child.stdin.take().expect("piped");
    let content = content.to_owned();
    let writing = std::thread::spawn(move || input.write_all(content.as_bytes()));
    let output = child.wait_with_output().expect("its output");
    writing.join().expect("no panic").expect("written");
    output.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn many_files_arrive_with_their_names() {
    let stand = Stand::new().await;
    stand.write("days/1.csv", csv(1, 100));
    stand.write("days/2.csv", csv(101, 50));
    stand.write("days/3.csv.gz", gzip(&csv(151, 25)));
    stand.write("days/notes.txt", "not of them");
    fs::create_dir(stand.path("days/folder.csv")).expect("folder");
    let pattern = stand.path("days/*.csv*").display().to_string();
    let body = into_things(json!({"file_path": pattern, "verify": "checksum"}));
    let result = stand.icehaul.done("/load/file", &body).await;
    assert_eq!((&result["rows_loaded"], &result["rows"], &result["files_read"]), (&json!(175), &json!(175), &json!(3)));
    assert_eq!(result["columns"], json!(["id", "name"]));
    assert_eq!(result["source"], format!("file://{pattern}"));
    assert_eq!(result["verification"]["match"], true, "{result:#}");
    assert_eq!(stand.icehaul.rows(ALL).await, [json!([175, 175, 1, 175])]);
    let by_file = "select source_file, count(*), count(distinct loaded_at) from raw.things group by 1 order by 1";
    let rows = stand.icehaul.rows(by_file).await;
    let file = |name: &str| stand.path(name).display().to_string();
    let expected = [("days/1.csv", 100), ("days/2.csv", 50), ("days/3.csv.gz", 25)];
    assert_eq!(rows, expected.map(|(name, count)| json!([file(name), count, 1])));
    let (_, metadata) = stand.icehaul.get("/tables/raw/things/metadata").await;
    assert_eq!(metadata["snapshots"], 1, "one snapshot for all files");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_small_files_are_one_load() {
    let stand = Stand::new().await;
    for n in 0..2000 {
        stand.write(&format!("many/{}/{n}.csv", n % 7), csv(n * 3, 3));
    }
    let pattern = stand.path("many/**/*.csv").display().to_string();
    let result = stand.icehaul.done("/load/file", &into_things(json!({"file_path": pattern}))).await;
    assert_eq!((&result["rows_loaded"], &result["files_read"]), (&json!(6000), &json!(2000)));
    assert_eq!(stand.icehaul.rows(ALL).await, [json!([6000, 6000, 0, 5999])]);
    let files = "select count(distinct source_file) from raw.things";
    assert_eq!(stand.icehaul.rows(files).await, [json!([2000])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_stay_inside_are_followed() {
    let stand = Stand::new().await;
    stand.write("real/a.csv", csv(1, 10));
    symlink("real", stand.path("latest")).expect("link");
    symlink("real/a.csv", stand.path("current.csv")).expect("link");
    for (path, total) in [("latest/a.csv", 10), ("current.csv", 20), ("latest/*.csv", 30), ("l*/./a.csv", 40)] {
        let path = stand.path(path).display().to_string();
        stand.icehaul.done("/load/file", &into_things(json!({"filePath": path}))).await;
        assert_eq!(stand.icehaul.rows("select count(*) from raw.things").await, [json!([total])], "{path}");
    }
}
