//! Files that are changed between their writing and the comparison: nothing is published, and the report says what differs.
use std::fs;

use icehaul_tests::{
    icehaul::{Icehaul, Process},
    postgres::Database,
    redis::RedisServer,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::request;
use crate::{connection, files_below, pyiceberg::python};

/// Icehaul whose worker stops when the files of a migration are written, before they are compared.
struct Stage {
    icehaul: Icehaul,
    worker: Process,
    data: TempDir,
    database: Database,
    _redis: RedisServer,
}

impl Stage {
    /// With a table `raw.orders` of this query's rows.
    async fn new(query: &str) -> Self {
        let stage = Self::at("migrate.copied").await;
        stage.load(query).await;
        stage
    }

    /// The worker stops at this point.
    async fn at(point: &str) -> Self {
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
        let (worker, _) = Process::start(&["worker"], &env(&format!("{point}=stop")), false).await;
        Self { icehaul, worker, data, database, _redis: redis }
    }

    /// Loads rows in the place of those that are in `raw.orders`.
    async fn load(&self, query: &str) {
        let mut load = connection(&self.database);
        for (name, value) in [("query", query), ("table_name", "orders"), ("namespace", "raw"), ("mode", "overwrite")] {
            load[name] = value.into();
        }
        load["lineage"] = false.into();
        self.icehaul.loaded(&load).await;
    }

    fn files(&self) -> Vec<String> {
        files_below(&self.data.path().join("warehouse"))
    }

    /// Migrates into `kept.orders`; the largest file that is written is changed before it is compared. Gives the job and its report.
    async fn migrate(&self, fields: Value, change: impl AsyncFnOnce(&str)) -> (Value, Value) {
        let before = self.files();
        let id = self.icehaul.submit_to("/migrate", &request("raw.orders", "kept.orders", fields)).await;
        self.icehaul.until(&id, |job| job["status"] == "running").await;
        self.worker.stopped().await;
        let files = self.files();
        let new = files.iter().filter(|path| path.ends_with(".parquet") && !before.contains(path));
        let size = |path: &&String| fs::metadata(path).map_or(0, |file| file.len());
        change(new.max_by_key(size).expect("a written file")).await;
        self.worker.signal("CONT");
        let job = self.icehaul.ended(&id).await;
        let (_, report) = self.icehaul.get(&format!("/migrations/{id}/report")).await;
        if job["status"] != "succeeded" {
            // Only the report is left.
            let left: Vec<_> = self.files().into_iter().filter(|path| !before.contains(path)).collect();
            assert!(left.len() == 1 && left[0].contains("/.icehaul/migrations/"), "{left:#?}");
        }
        (job, report)
    }
}

/// The message of a job that has found a difference and has published nothing.
fn refused<'a>((job, report): &'a (Value, Value), what: &str) -> &'a str {
    let found = (&job["status"], &job["error"]["code"]);
    assert_eq!(found, (&json!("failed"), &json!("verification_failed")), "{what}: {job:#}");
    assert_eq!(
        (&report["verdict"], &report["transfer"]["published"]),
        (&json!("mismatch"), &json!(false)),
        "{what}: {report:#}"
    );
    let message = job["error"]["message"].as_str().expect("a message");
    assert!(message.contains("nothing was published"), "{what}: {message}");
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_never_published() {
    let stage = Stage::new(
        "select g::int as id, 'payload-' || lpad(g::text, 6, '0') as name, (g + 0.5)::float8 as ratio \
         from generate_series(1, 900) g",
    )
    .await;
    // One bit of a text, two texts swapped, one text twice and the other lost, the sign of a number.
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
    for (n, plant) in plants.into_iter().enumerate() {
        let outcome = stage
            .migrate(json!({"compression": "none"}), async |file| {
                let mut bytes = fs::read(file).expect("its bytes");
                for (from, to) in plant {
                    replace(&mut bytes, &from, &to);
                }
                fs::write(file, bytes).expect("changed");
            })
            .await;
        let (message, report) = (refused(&outcome, &n.to_string()), &outcome.1);
        assert!(message.contains("first differing row"), "{n}: {message}");
        assert_eq!(report["differences"]["pairs"][0]["columns"], json!([if n == 3 { "ratio" } else { "name" }]), "{n}");
        assert_eq!(report["schema_match"], true);
        assert_eq!(stage.icehaul.get("/tables/kept/orders/metadata").await.0, reqwest::StatusCode::NOT_FOUND);
    }
}

/// Replaces the first place of some bytes by as many others; texts also stand in the bounds of the footer, which come later.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|window| window == from).expect("the bytes are there");
    bytes[at..at + to.len()].copy_from_slice(to);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_written_file_holds_otherwise_is_named_and_the_destination_stays() {
    let stage = Stage::new(
        "select g::int as id, 'name ' || g as name, case g when 7 then '' when 8 then null else 'note ' || g end as note, \
         case when g = 5 then 0.0 else g / 8.0 end::float8 as ratio, (g * 3)::numeric(12,2) as price, g % 3 = 0 as flag \
         from generate_series(0, 2999) g",
    )
    .await;
    let plant = async |what: &str| {
        let fields = json!({"mode": "overwrite", "compression": "none"});
        let change = async |file: &str| drop(python(&["plant.py", file, what]).await);
        stage.migrate(fields, change).await
    };
    // A file that was only written anew is as good as the one that it took the place of.
    let (job, report) = plant("nothing").await;
    assert_eq!((&job["status"], &report["verdict"]), (&json!("succeeded"), &json!("match")), "{job:#}");
    let state = async || {
        let (_, state) = stage.icehaul.get("/tables/kept/orders/fingerprint").await;
        (state["snapshot_id"].clone(), state["fingerprint"].clone())
    };
    let before = state().await;
    assert_eq!(before.0, report["destination"]["snapshot_id"]);

    // What is planted, the columns that the report names, how many rows of either side it shows, and the rows in the file.
    for (what, columns, (here, there), rows) in [
        ("one_bit", vec!["name"], (1, 1), 3000),
        ("lost", vec![], (1, 0), 2999),
        ("doubled", vec![], (0, 1), 3001),
        ("lost_and_doubled", vec![], (1, 1), 3000),
        ("swapped", vec!["note"], (2, 2), 3000),
        ("null_for_empty", vec!["note"], (1, 1), 3000),
        ("empty_for_null", vec!["note"], (1, 1), 3000),
        ("minus_zero", vec!["ratio"], (1, 1), 3000),
        ("cents", vec!["price"], (1, 1), 3000),
    ] {
        let outcome = plant(what).await;
        let (message, report) = (refused(&outcome, what), &outcome.1);
        assert!(message.contains("first differing row"), "{what}: {message}");
        assert_eq!(
            (&report["checksum_match"], &report["rows"]["destination"]),
            (&json!(false), &json!(rows)),
            "{what}"
        );
        let pairs = report["differences"]["pairs"].as_array().expect("pairs");
        let shown = |side: &str| pairs.iter().filter(|pair| !pair[side].is_null()).count();
        assert_eq!((shown("source"), shown("destination")), (here, there), "{what}: {pairs:#?}");
        assert!(columns.is_empty() || pairs.iter().all(|pair| pair["columns"] == json!(columns)), "{what}: {pairs:#?}");
        assert_eq!(state().await, before, "{what}");
    }
    // The values are the same, but the file is not one of such a table.
    for (what, column) in [("type", "id"), ("float", "ratio"), ("scale", "price"), ("text", "name"), ("less", "flag")] {
        let outcome = plant(what).await;
        let message = refused(&outcome, what);
        assert!(message.contains(&format!("`{column}`")), "{what}: {message}");
        assert_eq!(state().await, before, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_file_of_which_one_bit_is_another_is_never_published() {
    let stage = Stage::new("select g::int as id, 'name ' || g as name from generate_series(1, 900) g").await;
    let change = async |file: &str| {
        let mut bytes = fs::read(file).expect("its bytes");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(file, bytes).expect("changed");
    };
    let outcome = stage.migrate(json!({"copy": "files"}), change).await;
    let (message, files) = (refused(&outcome, "files"), &outcome.1["files"]);
    assert!(message.contains(".parquet"), "{message}");
    assert_eq!(files["matches"], false, "{files:#}");
    let differing = files["list"].as_array().expect("files");
    assert!(differing.iter().any(|file| file["sha256"] != file["sha256_read_back"]), "{files:#}");
    assert_eq!(stage.icehaul.get("/tables/kept/orders/metadata").await.0, reqwest::StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_rows_whose_file_is_changed_on_the_way_are_never_published() {
    let rows = |name: &str| format!("select g::int as id, {name} as name from generate_series(0, 2999) g");
    let stage = Stage::new(&rows("'name ' || g")).await;
    let migrate = async |what: &str| {
        let fields = json!({"mode": "incremental", "key": ["id"], "compression": "none"});
        stage.migrate(fields, async |file: &str| drop(python(&["plant.py", file, what]).await)).await
    };
    let (job, _) = migrate("nothing").await;
    assert_eq!(job["status"], "succeeded", "{job:#}");
    stage.load(&rows("case g % 100 when 0 then 'new' else 'name ' || g end")).await;
    let fingerprint = async || stage.icehaul.get("/tables/kept/orders/fingerprint").await.1["fingerprint"].clone();
    let before = fingerprint().await;
    for (what, named) in [("lost", "rows"), ("one_bit", "fingerprints"), ("type", "`id`")] {
        let outcome = migrate(what).await;
        let message = refused(&outcome, what);
        assert!(message.contains(named), "{what}: {message}");
        assert_eq!(fingerprint().await, before, "{what}");
    }
    let (job, report) = migrate("nothing").await;
    assert_eq!((&job["status"], &report["verdict"]), (&json!("succeeded"), &json!("match")), "{job:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loaded_file_that_is_changed_is_never_published() {
    let stage = Stage::at("load.written").await;
    let query = "select g::int as id, 'name ' || g as name, case g when 7 then '' when 8 then null else 'note ' || g end as note, \
         case when g = 5 then 0.0 else g / 8.0 end::float8 as ratio, (g * 3)::numeric(12,2) as price, g % 3 = 0 as flag \
         from generate_series(0, 2999) g";
    let load = async |what: &str| {
        let mut body = connection(&stage.database);
        let texts = [("query", query), ("table_name", "orders"), ("namespace", "raw"), ("verify", "checksum")];
        for (name, value) in texts.into_iter().chain([("mode", "overwrite"), ("compression", "none")]) {
            body[name] = value.into();
        }
        body["lineage"] = false.into();
        let before = stage.files();
        let id = stage.icehaul.submit_to("/load/postgres", &body).await;
        stage.icehaul.until(&id, |job| job["status"] == "running").await;
        stage.worker.stopped().await;
        let files = stage.files();
        let new = files.iter().find(|path| path.ends_with(".parquet") && !before.contains(path));
        python(&["plant.py", new.expect("a written file"), what]).await;
        stage.worker.signal("CONT");
        stage.icehaul.ended(&id).await
    };
    let job = load("nothing").await;
    assert_eq!(job["status"], "succeeded", "{job:#}");
    let fingerprint = async || stage.icehaul.get("/tables/raw/orders/fingerprint").await.1["fingerprint"].clone();
    let (before, files) = (fingerprint().await, stage.files());
    assert_eq!(before, job["result"]["fingerprint"]);
    for (what, column) in [
        ("one_bit", None),
        ("lost_and_doubled", None),
        ("null_for_empty", None),
        ("minus_zero", None),
        ("type", Some("id")),
        ("scale", Some("price")),
        ("text", Some("name")),
        ("less", Some("flag")),
    ] {
        let job = load(what).await;
        assert_eq!(
            (&job["status"], &job["error"]["code"]),
            (&json!("failed"), &json!("verification_failed")),
            "{what}: {job:#}"
        );
        let message = job["error"]["message"].as_str().expect("a message");
        assert!(column.is_none_or(|column| message.contains(&format!("`{column}`"))), "{what}: {message}");
        assert_eq!((fingerprint().await, stage.files()), (before.clone(), files.clone()), "{what}");
    }
}
