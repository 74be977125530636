//! The sections of the configuration that jobs need; the binary composes and loads them.
mod connection;
mod roots;
mod scrape;

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

pub use connection::{
    Connection, ConnectionKind, Connections, MySqlConnection, PostgresConnection, S3Connection, SecretSource,
};
pub use roots::{Beneath, FileRoots};
pub use scrape::{Networks, ScrapeConfig};

/// Reads a list; a text is one with commas between the items, as variables have it.
///
/// # Errors
/// If it is neither.
pub fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "must be a list of texts, or one text with commas")]
    enum List {
        Items(Vec<String>),
        Text(String),
    }
    Ok(match List::deserialize(from)? {
        List::Items(items) => items,
        List::Text(text) => text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(String::from).collect(),
    })
}

/// Bounds that keep one job from taking the machine (`limits`).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The longest single value, in bytes.
    pub max_cell_bytes: usize,
    /// The most columns of one table.
    pub max_columns: usize,
    /// The most bytes that one compressed file may hold.
    pub max_decompressed_bytes: u64,
    /// The most files or objects of one load.
    pub max_files: usize,
    /// The longest footer of a Parquet file, in bytes.
    pub max_footer_bytes: usize,
    /// The memory that the columns of a crawl's pages may take together, in bytes; beyond it, pages are read a second time
    /// from where they were written down.
    pub max_kept_bytes: usize,
    /// Parallel readers of one load when the request does not say.
    pub parallelism: usize,
    /// How long a source's statement may run, in seconds.
    pub statement_timeout_seconds: f64,
    /// How long to wait for a source's connection, in seconds.
    pub connect_timeout_seconds: f64,
}

impl Limits {
    /// How long to wait for a source's connection.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        Duration::try_from_secs_f64(self.connect_timeout_seconds).unwrap_or(Duration::MAX)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_cell_bytes: 64 << 20,
            max_columns: 2000,
            max_decompressed_bytes: 1 << 40,
            max_files: 100_000,
            max_footer_bytes: 64 << 20,
            max_kept_bytes: 64 << 20,
            parallelism: 2,
            statement_timeout_seconds: 6.0 * 3600.0,
            connect_timeout_seconds: 10.0,
        }
    }
}
