//! Files and objects as sources, and uploads: real folders, a real S3 server, real processes.
mod changed;
mod csv;
mod local;
mod objects;
mod old_callers;
mod refused;
mod upload;

use std::{fs, path::PathBuf};

use icehaul_tests::{
    icehaul::Icehaul,
    s3::{ACCESS_KEY, S3Server, SECRET_KEY},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Icehaul with a folder of files that it may read.
struct Stand {
    /// The folder, as `file_roots` has it.
    files: TempDir,
    data: TempDir,
    icehaul: Icehaul,
}

impl Stand {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(env: &[(&str, String)]) -> Self {
        let (files, data) = (TempDir::new().expect("folder"), TempDir::new().expect("folder"));
        let mut all = vec![("ICEHAUL_FILE_ROOTS", format!("{},/dev", files.path().display()))];
        all.extend(env.iter().map(|(name, value)| (*name, value.clone())));
        let icehaul = Icehaul::up(data.path(), &all).await;
        Self { files, data, icehaul }
    }

    /// One that has the connection `store` to a server.
    async fn beside(server: &S3Server, env: &[(&str, String)]) -> Self {
        let mut all = connection(server);
        all.extend(env.iter().map(|(name, value)| (*name, value.clone())));
        Self::with(&all).await
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Writes a file below the root and gives its path.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(&path, content).expect("file");
        path.display().to_string()
    }

    /// The error of a load that must fail, with nothing of it left.
    async fn failure(&self, path: &str, body: &Value) -> (String, String) {
        let before = crate::files_below(&self.data.path().join("warehouse"));
        let job = self.icehaul.run(path, body).await;
        assert_eq!(job["status"], "failed", "{job:#}");
        assert_eq!(crate::files_below(&self.data.path().join("warehouse")), before, "{job:#}");
        let text = |key: &str| job["error"][key].as_str().expect(key).to_owned();
        (text("code"), text("message"))
    }

    /// What a request that must be refused at once is told: the fields and their codes.
    async fn refusal(&self, path: &str, body: &Value) -> Vec<(String, String)> {
        let (status, problem) = self.icehaul.post(path, body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        let text = |error: &Value, key: &str| error[key].as_str().expect(key).to_owned();
        let errors = problem["errors"].as_array().expect("errors");
        errors.iter().map(|error| (text(error, "field"), text(error, "code"))).collect()
    }
}

/// The variables of the connection `store`, which the buckets `datalake` and `exports` take by themselves.
fn connection(server: &S3Server) -> Vec<(&'static str, String)> {
    vec![
        ("ICEHAUL_CONNECTIONS__STORE__KIND", "s3".into()),
        ("ICEHAUL_CONNECTIONS__STORE__ENDPOINT", server.endpoint()),
        ("ICEHAUL_CONNECTIONS__STORE__ACCESS_KEY", ACCESS_KEY.into()),
        ("ICEHAUL_CONNECTIONS__STORE__SECRET_KEY", SECRET_KEY.into()),
        ("ICEHAUL_CONNECTIONS__STORE__BUCKETS", "datalake,exports".into()),
    ]
}

/// A server with the bucket `datalake`.
fn store() -> S3Server {
    S3Server::with_bucket("datalake").expect("an S3 server")
}

/// Puts an object past the server.
fn put(server: &S3Server, bucket: &str, key: &str, content: impl AsRef<[u8]>) {
    let path = server.bucket(bucket).join(key);
    fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    fs::write(path, content).expect("object");
}

/// A request into `raw.things` with more fields.
fn into_things(fields: Value) -> Value {
    let mut body = json!({"namespace": "raw", "table_name": "things", "max_attempts": 1});
    for (name, value) in fields.as_object().expect("fields") {
        body[name] = value.clone();
    }
    body
}

/// A CSV of ids from `first`, with a name each.
fn csv(first: usize, rows: usize) -> String {
    let lines = (first..first + rows).map(|id| format!("{id},name {id}\n"));
    std::iter::once("id,name\n".to_owned()).chain(lines).collect()
}
