//! Trino, PyIceberg, Spark and DuckDB around the lake: they read what Icehaul loads, change it, and Icehaul goes on.
mod everyone;
mod moved;
mod query;
mod rounds;
mod shapes;
mod tpch;
mod turns;
mod types;

use icehaul_tests::{
    engine::Engine,
    icehaul::Icehaul,
    postgres::{Database, OWNER, OWNER_PASSWORD},
    s3::{ACCESS_KEY, S3Server, SECRET_KEY},
    trino::{Trino, jdbc_url, server},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where a test's catalog is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// In the SQLite file of `icehaul up`.
    Sqlite,
    /// In PostgreSQL.
    Postgres,
    /// In PostgreSQL too, and the tables on S3.
    S3,
}

/// An Icehaul with a source database, and Trino on its catalog.
struct House {
    icehaul: Icehaul,
    source: Database,
    trino: &'static Trino,
    /// The catalog's name in Trino.
    name: String,
    /// The catalog's address, as `SQLAlchemy` writes it.
    uri: String,
    data: TempDir,
    s3: Option<S3Server>,
    _catalog: Option<Database>,
}

/// How the warehouse on S3 is reached, as `trino/catalogs` and `tests/py/engines.py` are told.
fn s3_variables(s3: Option<&S3Server>) -> Vec<(&'static str, String)> {
    let variables = |s3: &S3Server| {
        [
            ("S3_ENDPOINT", s3.endpoint()),
            ("S3_REGION", "us-east-1".to_owned()),
            ("S3_ACCESS_KEY", ACCESS_KEY.to_owned()),
            ("S3_SECRET_KEY", SECRET_KEY.to_owned()),
        ]
    };
    s3.map(variables).into_iter().flatten().collect()
}

impl House {
    /// Starts Icehaul and tells Trino of its catalog under a name of its own.
    async fn new(kept: Kept) -> Self {
        Self::named(kept, &format!("c{}", uuid::Uuid::new_v4().simple()), &[]).await
    }

    async fn named(kept: Kept, name: &str, env: &[(&str, String)]) -> Self {
        let trino = tokio::task::spawn_blocking(server).await.expect("Trino");
        let (source, data) = (Database::new().await, TempDir::new().expect("a folder"));
        let s3 = (kept == Kept::S3).then(|| S3Server::with_bucket("lake").expect("an S3 server"));
        let warehouse = match &s3 {
            Some(_) => "s3://lake/warehouse".to_owned(),
            None => format!("file://{}", data.path().join("warehouse").display()),
        };
        let mut env = env.to_vec();
        let (uri, catalog) = match kept {
            Kept::Sqlite => (format!("sqlite:///{}", data.path().join("catalog.db").display()), None),
            Kept::Postgres | Kept::S3 => {
                let catalog = Database::new().await;
                let uri = format!("{OWNER}:{OWNER_PASSWORD}@{}:{}/{}", catalog.host, catalog.port, catalog.name);
                env.extend([
                    ("ICEHAUL_CATALOGS__DEFAULT__KIND", "postgres".to_owned()),
                    ("ICEHAUL_CATALOGS__DEFAULT__URI", format!("postgres://{uri}")),
                    ("ICEHAUL_CATALOGS__DEFAULT__WAREHOUSE", warehouse.clone()),
                ]);
                for (name, value) in s3_variables(s3.as_ref()) {
                    let name = match name {
                        "S3_ENDPOINT" => "ICEHAUL_CATALOGS__DEFAULT__S3__ENDPOINT",
                        "S3_REGION" => "ICEHAUL_CATALOGS__DEFAULT__S3__REGION",
                        "S3_ACCESS_KEY" => "ICEHAUL_CATALOGS__DEFAULT__S3__ACCESS_KEY",
                        _ => "ICEHAUL_CATALOGS__DEFAULT__S3__SECRET_KEY",
                    };
                    env.push((name, value));
                }
                (format!("postgresql+psycopg://{uri}"), Some(catalog))
            }
        };
        let icehaul = Icehaul::up(data.path(), &env).await;
        // The catalog's tables are made at the first contact; Trino does not make them.
        let (status, _) = icehaul.get("/tables").await;
        assert!(status.is_success());
        let mut variables = vec![("ICEBERG_CATALOG", "default".to_owned()), ("ICEBERG_WAREHOUSE", warehouse)];
        variables.extend(s3_variables(s3.as_ref()));
        let file = match &catalog {
            None => {
                let path = data.path().join("catalog.db").display().to_string();
                variables.push(("ICEBERG_JDBC_URL", format!("jdbc:sqlite:{path}")));
                "catalogs-embedded/iceberg.properties"
            }
            Some(database) => {
                variables.push(("ICEBERG_JDBC_URL", jdbc_url(database)));
                variables.push(("ICEBERG_JDBC_USER", OWNER.to_owned()));
                variables.push(("ICEBERG_JDBC_PASSWORD", OWNER_PASSWORD.to_owned()));
                "catalogs/iceberg.properties"
            }
        };
        trino.create_catalog(name, file, &variables).await;
        Self { icehaul, source, trino, name: name.to_owned(), uri, data, s3, _catalog: catalog }
    }

    /// Loads the rows of a query into `namespace.table`.
    async fn load(&self, query: &str, into: &str, fields: Value) -> Value {
        let (namespace, table) = into.split_once('.').expect("two parts");
        let mut body = crate::connection(&self.source);
        body["query"] = query.into();
        body["namespace"] = namespace.into();
        body["table_name"] = table.into();
        for (field, value) in fields.as_object().into_iter().flatten() {
            body[field] = value.clone();
        }
        self.icehaul.loaded(&body).await
    }

    /// A statement in Trino, `{}` for the catalog's name.
    async fn run(&self, sql: &str) -> Option<u64> {
        let sql = sql.replace("{}", &self.name);
        self.trino.query(&sql).await.unwrap_or_else(|message| panic!("{sql}: {message}")).changed
    }

    /// Rows from Trino.
    async fn rows(&self, sql: &str) -> Vec<Value> {
        self.trino.rows(&sql.replace("{}", &self.name)).await
    }

    /// One value from Trino.
    async fn one(&self, sql: &str) -> Value {
        self.trino.one(&sql.replace("{}", &self.name)).await
    }

    /// What Icehaul sees in a table: the number of rows and the fingerprint.
    async fn fingerprint(&self, table: &str, which: &str) -> (u64, String) {
        let (status, seen) = self.icehaul.get(&format!("/tables/{}/fingerprint{which}", table.replace('.', "/"))).await;
        assert!(status.is_success(), "{table}: {seen}");
        (seen["rows"].as_u64().expect("a number"), seen["fingerprint"].as_str().expect("text").to_owned())
    }

    /// The number of rows by Icehaul's metadata and by its SQL engine, which must agree.
    async fn count(&self, table: &str) -> u64 {
        let (_, counted) = self.icehaul.get(&format!("/tables/{}/count", table.replace('.', "/"))).await;
        let rows = self.icehaul.rows(&format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(rows[0][0], counted["row_count"], "{table}");
        rows[0][0].as_u64().expect("a number")
    }

    async fn engine(&self, kind: &str) -> Engine {
        let env = s3_variables(self.s3.as_ref());
        match kind {
            "trino" => Engine::start(&["trino", &self.uri, "default", &self.trino.url, &self.name], &env).await,
            other => Engine::start(&[other, &self.uri, "default"], &env).await,
        }
    }

    /// Icehaul and another engine see the same rows.
    async fn agrees(&self, engine: &mut Engine, table: &str, after: &str) -> u64 {
        let seen = engine.see(table).await;
        let (rows, fingerprint) = self.fingerprint(table, "").await;
        assert_eq!(
            (json!(rows), json!(fingerprint)),
            (seen["rows"].clone(), seen["fingerprint"].clone()),
            "{table} after {after}"
        );
        assert_eq!(self.count(table).await, rows, "{table} after {after}");
        rows
    }

    /// The snapshots that Icehaul lists, newest first.
    async fn snapshots(&self, table: &str) -> Vec<Value> {
        let (_, seen) = self.icehaul.get(&format!("/tables/{}/snapshots?limit=500", table.replace('.', "/"))).await;
        seen["snapshots"].as_array().cloned().unwrap_or_else(|| panic!("{seen}"))
    }
}
