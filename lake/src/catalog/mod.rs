//! Where tables are found, and the one conditional write that publishes them.
mod sql;

pub(crate) use sql::{SqlCatalog, Swap};

/// A catalog and its warehouse, as configured.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CatalogConfig {
    /// The standard `iceberg_tables` layout (V1) in a SQLite file.
    Sqlite {
        /// The database file; created if missing.
        path: std::path::PathBuf,
        /// Where new tables lie: an absolute path or `file:///…`.
        warehouse: String,
        /// The value of `catalog_name` in the layout; default: the catalog's name here.
        catalog_name: Option<String>,
    },
    /// The same layout in PostgreSQL.
    Postgres {
        /// `postgres://user:password@host:port/database`; holds a secret.
        uri: String,
        /// Where new tables lie.
        warehouse: String,
        /// The value of `catalog_name` in the layout; default: the catalog's name here.
        catalog_name: Option<String>,
    },
}
