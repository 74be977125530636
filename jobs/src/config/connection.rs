//! Named connections: what a request with `"connection": "<name>"` takes its fields from.
use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::list;
use crate::{Code, Error, FieldError, Result, Secret, source::SslMode};

/// The named connections (`connections.<name>`).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Connections(BTreeMap<String, Connection>);

/// A named connection, by the kind of server at its end.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Connection {
    /// A PostgreSQL database.
    Postgres(PostgresConnection),
    /// A MySQL or MariaDB database.
    #[serde(rename = "mysql")]
    MySql(MySqlConnection),
    /// An object store that speaks S3.
    S3(S3Connection),
}

/// A PostgreSQL database.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub struct PostgresConnection(pub DatabaseConnection);

/// A MySQL or MariaDB database.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub struct MySqlConnection(pub DatabaseConnection);

/// A database.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConnection {
    /// The server's name or address.
    pub host: String,
    /// The server's port; default: the usual one.
    pub port: Option<u16>,
    /// The database.
    pub database: String,
    /// The role.
    pub user: String,
    /// Its password, by value, file or environment.
    pub password: Option<SecretSource>,
    /// How the connection is encrypted; default `prefer`.
    #[serde(default)]
    pub sslmode: Option<SslMode>,
    /// A file of root certificates (PEM) instead of the system's.
    pub sslrootcert: Option<PathBuf>,
    /// Permits a role that could do more than read (superuser, server files, programs).
    #[serde(default)]
    pub allow_superuser: bool,
}

/// An object store that speaks S3.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Connection {
    /// The store's address; default: AWS.
    pub endpoint: Option<String>,
    /// The region; default `us-east-1`.
    pub region: Option<String>,
    /// The access key, by value, file or environment. Without keys requests are not signed.
    pub access_key: Option<SecretSource>,
    /// Its secret.
    pub secret_key: Option<SecretSource>,
    /// The token of temporary keys.
    pub session_token: Option<SecretSource>,
    /// Whether the bucket stands in the path instead of the host's name; default: if there is an `endpoint`.
    pub path_style: Option<bool>,
    /// The only buckets that this connection is for; requests that say nothing but one of these buckets take it.
    #[serde(deserialize_with = "list")]
    pub buckets: Vec<String>,
}

/// A kind of connection, as requests of one source need it.
pub trait ConnectionKind: Sized {
    /// What it is a connection to, for messages.
    const TITLE: &'static str;

    /// The connection, if it is of this kind.
    fn of(connection: &Connection) -> Option<&Self>;
}

impl ConnectionKind for PostgresConnection {
    const TITLE: &'static str = "a PostgreSQL database";

    fn of(connection: &Connection) -> Option<&Self> {
        if let Connection::Postgres(found) = connection { Some(found) } else { None }
    }
}

impl ConnectionKind for MySqlConnection {
    const TITLE: &'static str = "a MySQL database";

    fn of(connection: &Connection) -> Option<&Self> {
        if let Connection::MySql(found) = connection { Some(found) } else { None }
    }
}

impl ConnectionKind for S3Connection {
    const TITLE: &'static str = "an S3 object store";

    fn of(connection: &Connection) -> Option<&Self> {
        if let Connection::S3(found) = connection { Some(found) } else { None }
    }
}

impl Connections {
    /// The connection of a name, which must be of the kind that is meant.
    ///
    /// # Errors
    /// [`Code::ConnectionNotFound`], for the request's field `connection`.
    pub fn get<K: ConnectionKind>(&self, name: &str) -> Result<&K> {
        let wrong = |detail| Error::field("connection", Code::ConnectionNotFound, detail);
        let found = self.0.get(name).ok_or_else(|| wrong(format!("no connection named `{name}` is configured")))?;
        K::of(found).ok_or_else(|| wrong(format!("the connection `{name}` does not lead to {}", K::TITLE)))
    }

    /// What is wrong with a request's `connection`.
    #[must_use]
    pub fn check<K: ConnectionKind>(&self, name: Option<&str>) -> Vec<FieldError> {
        let error = name.and_then(|name| self.get::<K>(name).err());
        error.map(|error| error.field_errors().to_vec()).unwrap_or_default()
    }

    /// All connections: their names and kinds, as they are written in the configuration.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let kind = |connection: &Connection| match connection {
            Connection::Postgres(_) => "postgres",
            Connection::MySql(_) => "mysql",
            Connection::S3(_) => "s3",
        };
        self.0.iter().map(move |(name, connection)| (name.as_str(), kind(connection)))
    }

    /// All connections of a kind, by name.
    pub fn of_kind<'a, K: ConnectionKind + 'a>(&'a self) -> impl Iterator<Item = (&'a str, &'a K)> {
        self.0.iter().filter_map(|(name, connection)| Some((name.as_str(), K::of(connection)?)))
    }
}

impl FromIterator<(String, Connection)> for Connections {
    fn from_iter<I: IntoIterator<Item = (String, Connection)>>(connections: I) -> Self {
        Self(connections.into_iter().collect())
    }
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
    Error::new(Code::SecretUnreadable, format!("a secret of the connection cannot be read on the worker: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_that_is_not_there_is_named() {
        let error = SecretSource::Env { env: "ICEHAUL_NO_SUCH_VARIABLE".into() }.resolve().expect_err("not set");
        assert_eq!(error.code(), Code::SecretUnreadable);
        assert!(error.message().contains("ICEHAUL_NO_SUCH_VARIABLE is not set"), "{error}");
        let error = SecretSource::File { file: "/no/such/file".into() }.resolve().expect_err("not there");
        assert!(error.message().contains("/no/such/file"), "{error}");
    }

    #[test]
    fn a_connection_is_found_by_name_and_kind() {
        let connections: Connections = serde_json::from_value(json!({
            "shop": {"kind": "postgres", "host": "h", "database": "d", "user": "u"},
            "lake": {"kind": "s3", "endpoint": "http://localhost:1", "buckets": "a, b", "secret_key": {"env": "X"}},
        }))
        .expect("connections");
        assert_eq!(connections.get::<S3Connection>("lake").expect("there").buckets, ["a", "b"]);
        assert_eq!(connections.get::<PostgresConnection>("shop").expect("there").0.host, "h");
        assert!(connections.get::<MySqlConnection>("shop").is_err());
        let faults = connections.check::<S3Connection>(Some("shop"));
        assert_eq!((faults[0].field.as_str(), faults[0].code), ("connection", Code::ConnectionNotFound));
        assert!(
            connections.get::<S3Connection>("nobody").is_err() && connections.check::<S3Connection>(None).is_empty()
        );
        assert!(serde_json::from_value::<Connections>(json!({"x": {"kind": "s3", "bucket": "a"}})).is_err());
    }
}
