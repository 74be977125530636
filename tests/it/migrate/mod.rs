//! Migrations and verifications: real processes, catalogs in SQLite and PostgreSQL, files here and on S3, and other
//! implementations as judges.
mod batch;
mod changed;
mod choice;
mod crash;
mod database;
mod files;
mod history;
mod modes;
mod planted;
mod report;
mod rows;
mod side;
mod tampered;
mod tpch;
mod wide;

use std::path::Path;

use icehaul_tests::{
    icehaul::Icehaul,
    postgres::{Database, OWNER, OWNER_PASSWORD},
    s3::{ACCESS_KEY, S3Server, SECRET_KEY},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    connection,
    pyiceberg::{python, python_with},
};

const BUCKET: &str = "far";

/// Icehaul with two catalogs: the default one in SQLite over a folder, and `far` in PostgreSQL over S3.
struct Stand {
    store: S3Server,
    /// The catalog `far`, and the tables that are loaded.
    database: Database,
    data: TempDir,
    icehaul: Icehaul,
}

impl Stand {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    /// A stand whose Icehaul has more variables.
    async fn with(variables: &[(&'static str, &str)]) -> Self {
        let store = S3Server::with_bucket(BUCKET).expect("an S3 server");
        let (database, data) = (Database::new().await, TempDir::new().expect("folder"));
        let mut env = catalogs(&store, &database, data.path());
        env.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let icehaul = Icehaul::up(data.path(), &env).await;
        Self { store, database, data, icehaul }
    }

    /// Lets Icehaul make the tables of both catalogs, as it does at the first contact: other engines do not.
    async fn first_contact(&self) {
        for catalog in ["default", "far"] {
            assert!(self.icehaul.get(&format!("/tables?catalog={catalog}")).await.0.is_success(), "{catalog}");
        }
    }

    /// Loads the rows of a query into `raw` of the default catalog, without lineage columns.
    async fn load(&self, table: &str, query: &str) -> Value {
        let mut body = connection(&self.database);
        for (name, value) in [("query", query), ("table_name", table), ("namespace", "raw")] {
            body[name] = value.into();
        }
        body["lineage"] = false.into();
        self.icehaul.loaded(&body).await
    }

    /// The fingerprint of a table, as the API tells it.
    async fn fingerprint(&self, table: &str, catalog: &str) -> Value {
        let path = format!("/tables/{}/fingerprint?catalog={catalog}", table.replace('.', "/"));
        self.icehaul.get(&path).await.1["fingerprint"].clone()
    }

    async fn report(&self, id: &Value) -> Value {
        let id = id.as_str().expect("an id");
        let (status, report) = self.icehaul.get(&format!("/migrations/{id}/report")).await;
        assert_eq!(status, reqwest::StatusCode::OK, "{report}");
        report
    }

    /// The address of the embedded catalog, as `SQLAlchemy` writes it.
    fn sqlite(&self) -> String {
        format!("sqlite:///{}", self.data.path().join("catalog.db").display())
    }

    /// The same of the catalog `far`, and what PyIceberg needs for its files.
    fn postgres(&self) -> (String, String) {
        let Database { host, port, name } = &self.database;
        let options = json!({
            "s3.endpoint": self.store.endpoint(), "s3.access-key-id": ACCESS_KEY, "s3.secret-access-key": SECRET_KEY,
            "s3.region": "us-east-1",
        });
        (format!("postgresql+psycopg://{OWNER}:{OWNER_PASSWORD}@{host}:{port}/{name}"), options.to_string())
    }

    /// Holds a copy in the catalog `far` to the table that it is of, as PyIceberg sees both: whatever they have but their rows.
    /// Gives what it sees in the table and in the copy.
    async fn same_by_pyiceberg(&self, table: &str, copy: &str) -> (Value, Value) {
        let (far, options) = self.postgres();
        let source = python(&["rich_table.py", "show", &self.sqlite(), table]).await;
        let copy = python_with(&["rich_table.py", "show", &far, copy, "far"], &[("ICEBERG_OPTIONS", options)]).await;
        let seen = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        let (source, copy) = (seen(&source), seen(&copy));
        for what in ["columns", "identifiers", "partitioning", "order", "properties", "rows"] {
            assert_eq!(copy[what], source[what], "{what}");
        }
        (source, copy)
    }

    fn warehouse(&self) -> std::path::PathBuf {
        self.data.path().join("warehouse")
    }

    /// The data files of the default catalog's tables.
    fn data_files(&self) -> Vec<String> {
        crate::files_below(&self.warehouse()).into_iter().filter(|path| path.ends_with(".parquet")).collect()
    }
}

fn catalogs(store: &S3Server, database: &Database, data: &Path) -> Vec<(&'static str, String)> {
    let Database { host, port, name } = database;
    vec![
        ("ICEHAUL_CATALOGS__DEFAULT__KIND", "sqlite".into()),
        ("ICEHAUL_CATALOGS__DEFAULT__PATH", data.join("catalog.db").display().to_string()),
        ("ICEHAUL_CATALOGS__DEFAULT__WAREHOUSE", data.join("warehouse").display().to_string()),
        ("ICEHAUL_CATALOGS__FAR__KIND", "postgres".into()),
        ("ICEHAUL_CATALOGS__FAR__URI", format!("postgres://{OWNER}:{OWNER_PASSWORD}@{host}:{port}/{name}")),
        ("ICEHAUL_CATALOGS__FAR__WAREHOUSE", format!("s3://{BUCKET}/wh")),
        ("ICEHAUL_CATALOGS__FAR__S3__ENDPOINT", store.endpoint()),
        ("ICEHAUL_CATALOGS__FAR__S3__ACCESS_KEY", ACCESS_KEY.into()),
        ("ICEHAUL_CATALOGS__FAR__S3__SECRET_KEY", SECRET_KEY.into()),
    ]
}

/// A request to migrate a table of the default catalog, with more fields.
fn request(source: &str, dest: &str, fields: Value) -> Value {
    let (source, dest) = (source.split_once('.').expect("a name"), dest.split_once('.').expect("a name"));
    let mut body = json!({
        "source_namespace": source.0, "source_table": source.1, "dest_namespace": dest.0, "dest_table": dest.1,
    });
    for (name, value) in fields.as_object().expect("fields") {
        body[name] = value.clone();
    }
    body
}
