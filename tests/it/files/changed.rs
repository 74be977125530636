//! Files and objects that change between the plan and the read: nothing of them is published.
use std::{fs, io::Write, path::Path};

use icehaul_lake::s3::{Bucket, S3Config};
use icehaul_tests::s3::{ACCESS_KEY, SECRET_KEY};
use serde_json::{Value, json};

use super::{Stand, csv, into_things, store};

/// Everything stops between the plan and the read, until the process is told to go on.
fn stopping() -> [(&'static str, String); 1] {
    [("ICEHAUL_FAILPOINTS", "source.planned=stop".to_owned())]
}

/// Submits, changes what is read once it is planned, and gives the error.
async fn changed(stand: &Stand, path: &str, body: &Value, change: impl Future<Output = ()>) -> String {
    let id = stand.icehaul.submit_to(path, body).await;
    stand.icehaul.process.stopped().await;
    change.await;
    stand.icehaul.process.signal("CONT");
    let job = stand.icehaul.ended(&id).await;
    assert_eq!((&job["status"], &job["error"]["retryable"]), (&json!("failed"), &json!(true)), "{job:#}");
    assert_eq!(crate::files_below(&stand.data.path().join("warehouse")), Vec::<String>::new(), "nothing is left");
    job["error"]["code"].as_str().expect("a code").to_owned()
}

fn append(path: &Path) {
    let mut file = fs::OpenOptions::new().append(true).open(path).expect("the file");
    file.write_all(b"7,more\n").expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_is_not_loaded() {
    let stand = Stand::with(&stopping()).await;
    // A large one is read in parts, a small one at once.
    for rows in [10, 200_000] {
        let path = stand.write("a.csv", csv(1, rows));
        let body = into_things(json!({"file_path": path}));
        let place = stand.path("a.csv");
        assert_eq!(
            changed(&stand, "/load/file", &body, async { append(&place) }).await,
            "source_changed",
            "appended to"
        );
        let replace = async {
            stand.write("b.csv", csv(1, rows));
            fs::rename(stand.path("b.csv"), &place).expect("replaced");
        };
        assert_eq!(changed(&stand, "/load/file", &body, replace).await, "source_changed", "replaced");
        let cut = async {
            fs::OpenOptions::new().write(true).open(&place).and_then(|file| file.set_len(9)).expect("cut");
        };
        assert_eq!(changed(&stand, "/load/file", &body, cut).await, "source_changed", "cut");
    }
    let path = stand.write("gone.csv", csv(1, 10));
    let body = into_things(json!({"file_path": path}));
    let id = stand.icehaul.submit_to("/load/file", &body).await;
    stand.icehaul.process.stopped().await;
    fs::remove_file(&path).expect("removed");
    stand.icehaul.process.signal("CONT");
    assert_eq!(stand.icehaul.ended(&id).await["error"]["code"], "source_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_overwritten_is_not_loaded() {
    let server = store();
    let (access_key, secret_key) = (Some(ACCESS_KEY.to_owned()), Some(SECRET_KEY.to_owned()));
    let config = S3Config { endpoint: Some(server.endpoint()), access_key, secret_key, ..S3Config::default() };
    // Through the server, which only then notes the object's ETag.
    let store = Bucket::connect(&config, "datalake").expect("bucket");
    let stand = Stand::beside(&server, &stopping()).await;
    for rows in [10, 200_000] {
        store.put("in/b.csv", csv(1, rows).into()).await.expect("put");
        for key in ["in/a.csv", "in/"] {
            store.put("in/a.csv", csv(1, rows).into()).await.expect("put");
            let body = into_things(json!({"bucket": "datalake", "key": key}));
            // The same size, another content.
            let other = csv(1, rows).replace("name", "nome");
            let change = async { store.put("in/a.csv", other.into()).await.expect("put") };
            assert_eq!(changed(&stand, "/load/s3", &body, change).await, "source_changed", "{key}");
        }
    }
}
