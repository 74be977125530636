//! The sections of the configuration that jobs need; the binary composes and loads them.
use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Code, Error, Result, Secret, source::SslMode};

/// Named connections (`connections.<name>`).
pub type Connections = BTreeMap<String, Connection>;

/// A named connection: what a request with `"connection": "<name>"` takes its fields from.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Connection {
    /// A PostgreSQL database.
    Postgres {
        /// The server's name or address.
        host: String,
        /// The server's port.
        #[serde(default = "postgres_port")]
        port: u16,
        /// The database.
        database: String,
        /// The role.
        user: String,
        /// Its password, by value, file or environment.
        password: Option<SecretSource>,
        /// How the connection is encrypted; default `prefer`.
        #[serde(default)]
        sslmode: Option<SslMode>,
        /// A file of root certificates (PEM) instead of the system's.
        sslrootcert: Option<PathBuf>,
        /// Permits a role that could do more than read (superuser, server files, programs).
        #[serde(default)]
        allow_superuser: bool,
    },
}

const fn postgres_port() -> u16 {
    5432
}

/// Where a configured secret comes from.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum SecretSource {
    /// Written into the configuration.
    Value(Secret),
    /// The content of a file, without a final line break.
    File {
        /// The file.
        file: PathBuf,
    },
    /// An environment variable.
    Env {
        /// Its name.
        env: String,
    },
}

impl SecretSource {
    /// The secret.
    ///
    /// # Errors
    /// [`Code::SecretUnreadable`] if the file or variable is not there.
    pub fn resolve(&self) -> Result<Secret> {
        match self {
            Self::Value(secret) => Ok(secret.clone()),
            Self::File { file } => std::fs::read_to_string(file)
                .map(|text| Secret::new(text.trim_end_matches(['\r', '\n'])))
                .map_err(|e| missing(format!("the secret file {}: {e}", file.display()))),
            Self::Env { env } => std::env::var(env)
                .map(Secret::new)
                .map_err(|_| missing(format!("the environment variable {env} is not set"))),
        }
    }
}

fn missing(what: String) -> Error {
    Error::new(Code::SecretUnreadable, format!("the connection's password cannot be read on the worker: {what}"))
}

/// Bounds that keep one job from taking the machine (`limits`).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The longest single value, in bytes.
    pub max_cell_bytes: usize,
    /// The most columns of one table.
    pub max_columns: usize,
    /// Parallel readers of one load when the request does not say.
    pub parallelism: usize,
    /// How long a source's statement may run, in seconds.
    pub statement_timeout_seconds: f64,
    /// How long to wait for a source's connection, in seconds.
    pub connect_timeout_seconds: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_cell_bytes: 64 << 20,
            max_columns: 2000,
            parallelism: 2,
            statement_timeout_seconds: 6.0 * 3600.0,
            connect_timeout_seconds: 10.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_not_there_is_named() {
        let error = SecretSource::Env { env: "ICEHAUL_NO_SUCH_VARIABLE".into() }.resolve().expect_err("not set");
        assert_eq!(error.code(), Code::SecretUnreadable);
        assert!(error.message().contains("ICEHAUL_NO_SUCH_VARIABLE is not set"), "{error}");
        let error = SecretSource::File { file: "/no/such/file".into() }.resolve().expect_err("not there");
        assert!(error.message().contains("/no/such/file"), "{error}");
    }
}
