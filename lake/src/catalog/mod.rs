//! Where tables are found, and the one conditional write that publishes them.
mod access;
mod sql;

pub use access::{KeySource, S3Access};
pub(crate) use sql::{SqlCatalog, Swap};

/// A catalog and its warehouse, as configured.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CatalogConfig {
    /// The standard `iceberg_tables` layout (V1) in a SQLite file.
    Sqlite {
        /// The database file; created if missing.
        path: std::path::PathBuf,
        /// Where new tables lie: an absolute path, `file:///…` or `s3://bucket/prefix`.
        warehouse: String,
        /// The value of `catalog_name` in the layout; default: the catalog's name here.
        catalog_name: Option<String>,
        /// How the warehouse's object storage is reached, if it lies there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        s3: Option<S3Access>,
    },
    /// The same layout in PostgreSQL.
    Postgres {
        /// `postgres://user:password@host:port/database`; holds a secret.
        uri: String,
        /// Where new tables lie.
        warehouse: String,
        /// The value of `catalog_name` in the layout; default: the catalog's name here.
        catalog_name: Option<String>,
        /// How the warehouse's object storage is reached, if it lies there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        s3: Option<S3Access>,
    },
}
