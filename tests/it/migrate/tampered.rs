//! Files that are changed between their writing and the comparison: nothing is published, and the report says what differs.
use std::fs;

use icehaul_tests::{
    icehaul::{Icehaul, Process},
    postgres::Database,
    redis::RedisServer,
};
use serde_json::json;
use tempfile::TempDir;

use super::request;
use crate::{connection, files_below};

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_never_published() {
    let (redis, database, data) =
        (RedisServer::start().expect("redis"), Database::new().await, TempDir::new().expect("folder"));
    let env = |failpoints: &str| {
        vec![
            ("ICEHAUL_REDIS_URL", redis.url()),
            ("ICEHAUL_DATA_DIR", data.path().display().to_string()),
            ("ICEHAUL_FAILPOINTS", failpoints.to_owned()),
        ]
    };
    let icehaul = Icehaul::serve(&["api", "--bind", "127.0.0.1:0"], &env("")).await;
    let (worker, _) = Process::start(&["worker"], &env("migrate.copied=stop"), false).await;
    let mut load = connection(&database);
    let rows = "select g::int as id, 'payload-' || lpad(g::text, 6, '0') as name, (g + 0.5)::float8 as ratio from generate_series(1, 900) g";
    for (name, value) in [("query", rows), ("table_name", "orders"), ("namespace", "raw")] {
        load[name] = value.into();
    }
    load["lineage"] = false.into();
    icehaul.loaded(&load).await;
    // One byte of a text, two texts swapped, one text twice and the other lost, the sign of a number.
    let texts = |a: &str, b: &str| (a.as_bytes().to_vec(), b.as_bytes().to_vec());
    let plain = |value: f64| value.to_le_bytes().to_vec();
    let plants = [
        vec![texts("payload-000123", "payload-000122")],
        vec![
            texts("payload-000200", "payload-XXXXXX"),
            texts("payload-000201", "payload-000200"),
            texts("payload-XXXXXX", "payload-000201"),
        ],
        vec![texts("payload-000300", "payload-000301")],
        vec![(plain(17.5), plain(-17.5))],
    ];
    let whole = files_below(&data.path().join("warehouse"));
    for (n, plant) in plants.into_iter().enumerate() {
        let body = request("raw.orders", "kept.orders", json!({"compression": "none"}));
        let id = icehaul.submit_to("/migrate", &body).await;
        icehaul.until(&id, |job| job["status"] == "running").await;
        worker.stopped().await;
        let written = files_below(&data.path().join("warehouse/kept"));
        let file = written.iter().find(|path| path.ends_with(".parquet")).expect("a written file");
        let mut bytes = fs::read(file).expect("its bytes");
        for (from, to) in plant {
            replace(&mut bytes, &from, &to);
        }
        fs::write(file, bytes).expect("changed");
        worker.signal("CONT");
        let job = icehaul.ended(&id).await;
        assert_eq!(
            (&job["status"], &job["error"]["code"]),
            (&json!("failed"), &json!("verification_failed")),
            "{n}: {job:#}"
        );
        let message = job["error"]["message"].as_str().expect("a message");
        assert!(message.contains("nothing was published") && message.contains("first differing row"), "{n}: {message}");
        let (_, report) = icehaul.get(&format!("/migrations/{id}/report")).await;
        assert_eq!((&report["verdict"], &report["transfer"]["published"]), (&json!("mismatch"), &json!(false)), "{n}");
        assert_eq!(report["differences"]["pairs"][0]["columns"], json!([if n == 3 { "ratio" } else { "name" }]), "{n}");
        assert_eq!(report["schema_match"], true);
        // Only the report is left: no file of the destination, and no table of that name.
        let left: Vec<_> =
            files_below(&data.path().join("warehouse")).into_iter().filter(|path| !whole.contains(path)).collect();
        assert!(
            left.iter().all(|path| path.contains("/.icehaul/migrations/")) && left.len() == n + 1,
            "{n}: {left:#?}"
        );
        assert_eq!(icehaul.get("/tables/kept/orders/metadata").await.0, reqwest::StatusCode::NOT_FOUND);
    }
}

/// Replaces the first place of some bytes by as many others; texts also stand in the bounds of the footer, which come later.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|window| window == from).expect("the bytes are there");
    bytes[at..at + to.len()].copy_from_slice(to);
}
