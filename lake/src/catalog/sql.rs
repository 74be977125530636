//! The `iceberg_tables` layout that PyIceberg's SQL catalog and the JDBC catalogs of Java and Trino share.
use std::time::{Duration, Instant};

use sqlx::{
    AnyPool, Executor, Row,
    any::{AnyPoolOptions, AnyRow},
};
use tokio::sync::OnceCell;

use crate::{CatalogConfig, Error, Kind, Namespace, Result, TableName};

/// How long a statement may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long getting a connection may take; a refused one is tried again until then.
const CONNECT: Duration = Duration::from_secs(5);

/// PyIceberg's own column definitions (V1).
const CREATE: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS iceberg_tables (catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, \
     table_name VARCHAR(255) NOT NULL, metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), \
     iceberg_type VARCHAR(5), PRIMARY KEY (catalog_name, table_namespace, table_name))",
    "CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (catalog_name VARCHAR(255) NOT NULL, \
     namespace VARCHAR(255) NOT NULL, property_key VARCHAR(255) NOT NULL, property_value VARCHAR(1000) NOT NULL, \
     PRIMARY KEY (catalog_name, namespace, property_key))",
];

/// What a swap came to.
pub(crate) enum Swap {
    /// The new metadata is the table.
    Won,
    /// The table was not at the base any more; nothing happened.
    Lost,
    /// The connection failed underneath: it may have happened, or may still.
    Unknown(Error),
}

/// A catalog in SQLite or PostgreSQL.
///
/// Every write is one statement in its own transaction, so that it has happened or not, and an error of the commit
/// itself cannot be overlooked.
pub(crate) struct SqlCatalog {
    pool: AnyPool,
    name: String,
    /// What must not be seen in a cause: the URI and its password.
    secrets: Vec<String>,
    ready: OnceCell<()>,
}

impl SqlCatalog {
    /// A catalog that connects when it is first used: a database that is away now may be back then.
    pub(crate) fn new(name: &str, config: &CatalogConfig) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let (uri, catalog_name) = match config {
            CatalogConfig::Sqlite { path, catalog_name, .. } => (sqlite_uri(path)?, catalog_name),
            CatalogConfig::Postgres { uri, catalog_name, .. } => (uri.clone(), catalog_name),
        };
        let sqlite = uri.starts_with("sqlite:");
        let options =
            AnyPoolOptions::new().max_connections(8).acquire_timeout(CONNECT).after_connect(move |connection, _| {
                Box::pin(async move {
                    if sqlite {
                        connection.execute("PRAGMA busy_timeout = 10000").await?;
                        connection.execute("PRAGMA journal_mode = WAL").await?;
                    }
                    Ok(())
                })
            });
        let secrets = secrets(&uri);
        let pool = options.connect_lazy(&uri).map_err(|_| {
            Error::new(Kind::CatalogUnavailable, format!("the connection URI of catalog `{name}` cannot be read"))
        })?;
        let name = catalog_name.as_deref().unwrap_or(name).to_owned();
        Ok(Self { pool, name, secrets, ready: OnceCell::new() })
    }

    /// Asks the database for an answer, making the catalog's tables if they are missing.
    pub(crate) async fn ping(&self) -> Result<()> {
        self.rows("SELECT 1 FROM iceberg_tables LIMIT 1", &[]).await.map(drop)
    }

    /// The location of a table's current metadata.
    pub(crate) async fn load(&self, table: &TableName) -> Result<Option<String>> {
        let sql = "SELECT metadata_location, iceberg_type FROM iceberg_tables \
                   WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3";
        let rows = self.rows(sql, &[&self.name, table.namespace().as_str(), table.table()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        if self.text(row, 1)?.is_some_and(|kind| kind != "TABLE") {
            return Err(Error::new(Kind::UnsupportedFeature, format!("`{table}` is a view, not a table")));
        }
        let location = self.text(row, 0)?;
        let missing = || Error::new(Kind::Internal, format!("the catalog has no metadata location for `{table}`"));
        location.map(Some).ok_or_else(missing)
    }

    /// Publishes `new` if the table's metadata is still at `base`, or if there is no such table for a `base` of `None`.
    ///
    /// The metadata file at `new` has been written. (A catalog that writes it itself would take the changes instead.)
    pub(crate) async fn swap(&self, table: &TableName, base: Option<&str>, new: &str) -> Swap {
        let (namespace, name) = (table.namespace().as_str(), table.table());
        let done = match base {
            Some(base) => {
                let sql = "UPDATE iceberg_tables SET metadata_location = $1, previous_metadata_location = $2 \
                           WHERE catalog_name = $3 AND table_namespace = $4 AND table_name = $5 AND metadata_location = $6";
                self.write(sql, &[new, base, &self.name, namespace, name, base]).await
            }
            None => {
                let sql = "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location, \
                           previous_metadata_location, iceberg_type) VALUES ($1, $2, $3, $4, NULL, 'TABLE')";
                self.write(sql, &[&self.name, namespace, name, new]).await
            }
        };
        match done {
            Ok(0) => Swap::Lost,
            Ok(_) => Swap::Won,
            Err(error) if error.as_database_error().is_some_and(|e| e.is_unique_violation()) => Swap::Lost,
            Err(error) => Swap::Unknown(self.unavailable(error)),
        }
    }

    /// Names the namespace in the catalog, as PyIceberg does for one without properties.
    pub(crate) async fn ensure_namespace(&self, namespace: &Namespace) -> Result<()> {
        let sql = "INSERT INTO iceberg_namespace_properties (catalog_name, namespace, property_key, property_value) \
                   VALUES ($1, $2, 'exists', 'true') ON CONFLICT DO NOTHING";
        self.write(sql, &[&self.name, namespace.as_str()]).await.map(drop).map_err(|e| self.unavailable(e))
    }

    /// All namespaces, sorted, with their numbers of tables. One exists if either table of the layout names it.
    pub(crate) async fn namespaces(&self) -> Result<Vec<(String, u64)>> {
        let sql = "SELECT n.namespace, COUNT(t.table_name) FROM (\
                   SELECT namespace FROM iceberg_namespace_properties WHERE catalog_name = $1 \
                   UNION SELECT table_namespace FROM iceberg_tables WHERE catalog_name = $2) n \
                   LEFT JOIN iceberg_tables t ON t.table_namespace = n.namespace AND t.catalog_name = $3 \
                   AND (t.iceberg_type = 'TABLE' OR t.iceberg_type IS NULL) GROUP BY n.namespace ORDER BY n.namespace";
        let rows = self.rows(sql, &[&self.name, &self.name, &self.name]).await?;
        let pair = |row: &AnyRow| {
            let count: i64 = row.try_get(1).map_err(|e| self.unavailable(e))?;
            Ok((self.text(row, 0)?.unwrap_or_default(), count.unsigned_abs()))
        };
        rows.iter().map(pair).collect()
    }

    /// The bare names of a namespace's tables, sorted.
    pub(crate) async fn tables(&self, namespace: &Namespace) -> Result<Vec<String>> {
        let sql = "SELECT table_name FROM iceberg_tables WHERE catalog_name = $1 AND table_namespace = $2 \
                   AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL) ORDER BY table_name";
        let rows = self.rows(sql, &[&self.name, namespace.as_str()]).await?;
        if rows.is_empty() && !self.namespaces().await?.iter().any(|(name, _)| name == namespace.as_str()) {
            return Err(Error::new(Kind::NamespaceNotFound, format!("no namespace `{namespace}`")));
        }
        rows.iter().map(|row| Ok(self.text(row, 0)?.unwrap_or_default())).collect()
    }

    /// Whether the catalog knows the namespace.
    pub(crate) async fn has_namespace(&self, namespace: &Namespace) -> Result<bool> {
        Ok(self.namespaces().await?.iter().any(|(name, _)| name == namespace.as_str()))
    }

    /// Makes the tables of the layout at the first contact, and gives a table of the older layout its missing column.
    async fn ready(&self) -> Result<(), sqlx::Error> {
        self.ready.get_or_try_init(|| self.set_up()).await.map(drop)
    }

    async fn set_up(&self) -> Result<(), sqlx::Error> {
        self.unless("SELECT 1 FROM iceberg_tables LIMIT 1", CREATE[0]).await?;
        self.unless("SELECT 1 FROM iceberg_namespace_properties LIMIT 1", CREATE[1]).await?;
        let column = "ALTER TABLE iceberg_tables ADD COLUMN iceberg_type VARCHAR(5)";
        self.unless("SELECT iceberg_type FROM iceberg_tables LIMIT 1", column).await
    }

    /// Runs `cure` unless the database accepts `probe`. Others may do the same at the same time, so the probe decides.
    async fn unless(&self, probe: &'static str, cure: &'static str) -> Result<(), sqlx::Error> {
        match self.execute(probe, &[]).await {
            Err(error) if error.as_database_error().is_some() => {}
            done => return done.map(drop),
        }
        let cured = self.execute(cure, &[]).await;
        self.execute(probe, &[]).await.map(drop).map_err(|error| cured.err().unwrap_or(error))
    }

    async fn rows(&self, sql: &'static str, binds: &[&str]) -> Result<Vec<AnyRow>> {
        self.ready().await.map_err(|e| self.unavailable(e))?;
        let query = binds.iter().fold(sqlx::query(sql), |query, bind| query.bind(*bind));
        let rows = tokio::time::timeout(PATIENCE, query.fetch_all(&self.pool)).await;
        rows.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(|e| self.unavailable(e))
    }

    async fn write(&self, sql: &'static str, binds: &[&str]) -> Result<u64, sqlx::Error> {
        self.ready().await?;
        self.execute(sql, binds).await
    }

    /// Runs one statement. SQLite's "database is locked" means that nothing happened, so it is tried again.
    async fn execute(&self, sql: &'static str, binds: &[&str]) -> Result<u64, sqlx::Error> {
        let start = Instant::now();
        loop {
            let query = binds.iter().fold(sqlx::query(sql), |query, bind| query.bind(*bind));
            let done = tokio::time::timeout(PATIENCE, query.execute(&self.pool)).await;
            match done.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
                Err(error) if is_locked(&error) && start.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(rand::random_range(5..50))).await;
                }
                done => return done.map(|result| result.rows_affected()),
            }
        }
    }

    fn text(&self, row: &AnyRow, column: usize) -> Result<Option<String>> {
        row.try_get(column).map_err(|e| self.unavailable(e))
    }

    /// The error for users; the cause is kept as text from which the secrets are cut.
    fn unavailable(&self, error: sqlx::Error) -> Error {
        let cause = self.secrets.iter().fold(error.to_string(), |text, secret| text.replace(secret, "***"));
        Error::new(Kind::CatalogUnavailable, format!("the database of catalog `{}` did not answer", self.name))
            .caused_by(cause)
    }
}

fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|e| e.message().contains("is locked"))
}

/// The URI of a SQLite file, made absolute and escaped.
fn sqlite_uri(path: &std::path::Path) -> Result<String> {
    let message = || format!("the catalog's path `{}` cannot be used", path.display());
    let absolute =
        std::path::absolute(path).map_err(|e| Error::new(Kind::CatalogUnavailable, message()).caused_by(e))?;
    if let Some(parent) = absolute.parent() {
        std::fs::create_dir_all(parent).map_err(|e| Error::new(Kind::CatalogUnavailable, message()).caused_by(e))?;
    }
    let escape = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => char::from(*byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let text = absolute.to_str().ok_or_else(|| Error::new(Kind::CatalogUnavailable, message()))?;
    Ok(format!("sqlite://{}?mode=rwc", text.as_bytes().iter().map(escape).collect::<String>()))
}

/// The parts of a URI that no message may show.
fn secrets(uri: &str) -> Vec<String> {
    let authority = uri.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
    let password = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')).map(|(_, password)| password);
    let query = uri.split(['?', '&']).find_map(|pair| pair.strip_prefix("password="));
    let all = [Some(uri), password, query];
    all.into_iter().flatten().filter(|secret| !secret.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_wherever_a_uri_may_hold_them() {
        assert!(secrets("postgres://u:p%40ss@h:5432/db").contains(&"p%40ss".to_owned()));
        assert!(secrets("postgres://h/db?user=u&password=hush").contains(&"hush".to_owned()));
        assert_eq!(secrets("postgres://h/db").len(), 1);
    }

    #[tokio::test]
    async fn a_table_of_the_older_layout_gets_its_column() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("odd name?#.db");
        let config = CatalogConfig::Sqlite { path, warehouse: "/nowhere".into(), catalog_name: None, s3: None };
        let old = SqlCatalog::new("lake", &config).expect("catalog");
        let v0 = "CREATE TABLE iceberg_tables (catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, \
                  table_name VARCHAR(255) NOT NULL, metadata_location VARCHAR(1000), previous_metadata_location \
                  VARCHAR(1000), PRIMARY KEY (catalog_name, table_namespace, table_name))";
        old.execute(v0, &[]).await.expect("v0");
        let row = "INSERT INTO iceberg_tables VALUES ('lake', 'raw', 'a', 'm0', NULL)";
        old.execute(row, &[]).await.expect("row");
        let catalog = SqlCatalog::new("lake", &config).expect("catalog");
        let name = TableName::parse("raw.a").expect("name");
        assert_eq!(catalog.load(&name).await.expect("load").as_deref(), Some("m0"));
        assert_eq!(catalog.namespaces().await.expect("namespaces"), [("raw".to_owned(), 1)]);
        assert!(matches!(catalog.swap(&name, Some("m0"), "m1").await, Swap::Won));
        assert!(matches!(catalog.swap(&name, Some("m0"), "m2").await, Swap::Lost));
        assert!(matches!(catalog.swap(&name, None, "m2").await, Swap::Lost));
        assert_eq!(catalog.load(&name).await.expect("load").as_deref(), Some("m1"));
    }

    #[tokio::test]
    async fn a_database_that_comes_back_is_used_again() {
        let dir = tempfile::tempdir().expect("temp dir");
        let folder = dir.path().join("sub");
        let path = folder.join("c.db");
        let config = CatalogConfig::Sqlite { path, warehouse: "/nowhere".into(), catalog_name: None, s3: None };
        let catalog = SqlCatalog::new("lake", &config).expect("catalog");
        std::fs::remove_dir_all(&folder).expect("take it away");
        assert_eq!(catalog.ping().await.expect_err("away").kind(), Kind::CatalogUnavailable);
        std::fs::create_dir_all(&folder).expect("bring it back");
        catalog.ping().await.expect("back");
    }
}
