//! The fields of a request: what is wrong with them, and the endpoint that they name.
use std::{collections::HashSet, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Dialect, Endpoint, SslMode,
    sql::{TableRef, begins_as_query, locks_rows, single_statement},
};
use crate::{
    Code, Ctx, Error, FieldError, Result, Secret,
    config::{MySqlConnection, PostgresConnection, SecretSource},
    source::Names,
};

/// The longest names and texts, in bytes.
const MAX_NAME: usize = 255;
const MAX_SQL: usize = 1 << 20;
/// The longest `statement_timeout_seconds`: PostgreSQL counts milliseconds in 31 bits.
const MAX_TIMEOUT: f64 = 2_147_483.0;

/// A query or table of a database, and how to get to it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct DatabaseRequest {
    /// A named connection of the configuration, instead of the fields from `host` to `sslmode`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The server's name or address.
    #[schemars(example = &"db.example.com")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The server's port; default: the usual one, 5432 of PostgreSQL and 3306 of MySQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The database.
    #[schemars(example = &"shop")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The role, which MySQL calls the user.
    #[schemars(example = &"reader")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// How the connection is encrypted, as in libpq; default `prefer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sslmode: Option<SslMode>,
    /// Permits a role that could do more than read (a superuser, or one that may run programs or touch the server's
    /// files), although no read-only transaction binds it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_superuser: bool,
    /// One query: SELECT, VALUES, TABLE or WITH. Either this or `table`.
    #[schemars(example = &"SELECT * FROM orders")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// A table or view, as `table` or `schema.table` (of MySQL: `database.table`); names with dots in the quotes that the
    /// database knows. It can be read in parallel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// With `table`: only these columns, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// With `table`: only rows that fulfil this SQL condition.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// With `table`: how many connections read at once; default: the configured number of a PostgreSQL table, one of a MySQL
    /// table. More of them need the right to LOCK TABLES there: writers wait until all have begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16))]
    pub parallelism: Option<u8>,
    /// How long a statement may run, in seconds; default: the configured one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_timeout_seconds: Option<f64>,
}

impl DatabaseRequest {
    /// Finds what is wrong without any I/O.
    pub fn check(&self, dialect: Dialect) -> Vec<FieldError> {
        let mut faults = Faults { dialect, all: Vec::new() };
        faults.connection(self);
        faults.rows(self);
        faults.all
    }

    /// Finds what is wrong with the name of a connection.
    pub fn check_names(&self, names: &Names<'_>, dialect: Dialect) -> Vec<FieldError> {
        let name = self.connection.as_deref();
        match dialect {
            Dialect::Postgres => names.connections.check::<PostgresConnection>(name),
            Dialect::MySql => names.connections.check::<MySqlConnection>(name),
        }
    }

    /// Server, database, table and condition, or query: other rows have another cursor.
    pub fn cursor_source(&self, ctx: &Ctx, dialect: Dialect) -> Result<String> {
        let origin = self.endpoint(ctx, dialect)?.origin();
        let digest = |text: &str| crate::secret::encode_hex(&Sha256::digest(text.trim().as_bytes())[..8]);
        Ok(match (&self.table, &self.condition, &self.query) {
            (Some(table), None, _) => format!("{origin}#{table}"),
            (Some(table), Some(condition), _) => format!("{origin}#{table}?{}", digest(condition)),
            (None, _, query) => format!("{origin}?{}", digest(query.as_deref().unwrap_or_default())),
        })
    }

    /// What the rows are of, as reports tell it.
    pub fn described(&self) -> String {
        self.table.clone().or_else(|| self.query.clone()).unwrap_or_default()
    }

    /// The server, database and role that the request means.
    ///
    /// # Errors
    /// [`Code::ConnectionNotFound`], and [`Code::MissingField`] for a request that was not checked.
    pub fn endpoint(&self, ctx: &Ctx, dialect: Dialect) -> Result<Endpoint> {
        let timeout = self.statement_timeout_seconds.unwrap_or(ctx.limits.statement_timeout_seconds);
        let given = |field: &str, value: &Option<String>| {
            value.clone().ok_or_else(|| Error::field(field, Code::MissingField, "is required"))
        };
        let common = Endpoint {
            dialect,
            host: String::new(),
            port: self.port.unwrap_or(dialect.port()),
            database: String::new(),
            user: String::new(),
            password: self.password.clone(),
            sslmode: self.sslmode.unwrap_or_default(),
            sslrootcert: None,
            allow_superuser: self.allow_superuser,
            connect_timeout: ctx.limits.connect_timeout(),
            statement_timeout: Duration::try_from_secs_f64(timeout).unwrap_or(Duration::MAX),
            application: format!("icehaul {}", ctx.job),
        };
        let Some(name) = &self.connection else {
            let (host, database) = (given("host", &self.host)?, given("database", &self.database)?);
            return Ok(Endpoint { host, database, user: given("user", &self.user)?, ..common });
        };
        let found = match dialect {
            Dialect::Postgres => &ctx.connections.get::<PostgresConnection>(name)?.0,
            Dialect::MySql => &ctx.connections.get::<MySqlConnection>(name)?.0,
        };
        Ok(Endpoint {
            host: found.host.clone(),
            port: found.port.unwrap_or(dialect.port()),
            database: found.database.clone(),
            user: found.user.clone(),
            password: found.password.as_ref().map(SecretSource::resolve).transpose()?,
            sslmode: found.sslmode.unwrap_or_default(),
            sslrootcert: found.sslrootcert.clone(),
            allow_superuser: found.allow_superuser,
            ..common
        })
    }
}

struct Faults {
    dialect: Dialect,
    all: Vec<FieldError>,
}

impl Faults {
    fn add(&mut self, field: &str, code: Code, detail: &str) {
        self.all.push(FieldError { field: field.into(), code, detail: detail.into() });
    }

    fn text(&mut self, field: &str, value: Option<&str>, most: usize) {
        match value {
            Some(text) if text.trim().is_empty() => self.add(field, Code::InvalidField, "must not be empty"),
            Some(text) if text.len() > most => {
                self.add(field, Code::InvalidField, &format!("must have at most {most} bytes"));
            }
            Some(text) if text.contains('\0') => self.add(field, Code::InvalidField, "must not contain NUL"),
            _ => {}
        }
    }

    fn connection(&mut self, source: &DatabaseRequest) {
        let password = source.password.as_ref().map(|_| "");
        let named = [
            ("host", source.host.as_deref()),
            ("database", source.database.as_deref()),
            ("user", source.user.as_deref()),
        ];
        self.text("connection", source.connection.as_deref(), MAX_NAME);
        if source.connection.is_some() {
            let others = [
                ("port", source.port.map(|_| "")),
                ("password", password),
                ("sslmode", source.sslmode.map(|_| "")),
                ("allow_superuser", source.allow_superuser.then_some("")),
            ];
            for (field, _) in named.into_iter().chain(others).filter(|(_, value)| value.is_some()) {
                self.add(field, Code::ConflictingFields, "comes from the named `connection`; give only one of them");
            }
            return;
        }
        for (field, value) in named {
            match value {
                None => self.add(field, Code::MissingField, "is required, unless a named `connection` is given"),
                Some(text) if field != "host" && holds_address(text) => {
                    self.add(
                        field,
                        Code::InvalidField,
                        "must be a name alone; every part of an address has its own field",
                    );
                }
                some => self.text(field, some, MAX_NAME),
            }
        }
        if source.host.as_ref().is_some_and(|host| host.contains(|c: char| c.is_whitespace() || "/@?#[]".contains(c))) {
            self.add("host", Code::InvalidField, "must be a host name or an address, without port, path or brackets");
        }
        if source.port == Some(0) {
            self.add("port", Code::InvalidField, "must be from 1 to 65535");
        }
    }

    fn rows(&mut self, source: &DatabaseRequest) {
        let (dialect, most_columns) = (self.dialect, self.dialect.most_columns());
        match (&source.query, &source.table) {
            (None, None) => self.add("query", Code::MissingField, "`query` or `table` is required"),
            (Some(_), Some(_)) => self.add("table", Code::ConflictingFields, "give `query` or `table`, not both"),
            _ => {}
        }
        self.text("query", source.query.as_deref(), MAX_SQL);
        self.text("table", source.table.as_deref(), 2 * MAX_NAME);
        self.text("where", source.condition.as_deref(), MAX_SQL);
        let query = source.query.as_deref().filter(|q| !q.trim().is_empty());
        if query.is_some_and(|query| !single_statement(query, dialect).is_some_and(|one| begins_as_query(one, dialect)))
        {
            self.add("query", Code::QueryNotAllowed, "must be one statement: a SELECT, VALUES, TABLE or WITH");
        }
        for (field, text) in [("query", query), ("where", source.condition.as_deref())] {
            if dialect == Dialect::MySql && text.is_some_and(locks_rows) {
                let detail = "must not lock what it reads: leave out FOR UPDATE, FOR SHARE and LOCK IN SHARE MODE";
                self.add(field, Code::QueryNotAllowed, detail);
            }
        }
        if let Some(Err(why)) =
            source.table.as_deref().filter(|t| !t.trim().is_empty()).map(|text| TableRef::parse(text, dialect))
        {
            self.add("table", Code::InvalidField, why);
        }
        if source.table.is_none() && source.condition.is_some() {
            self.add("where", Code::ConflictingFields, "goes with `table` only");
        }
        if source.table.is_none() && !source.columns.is_empty() {
            self.add("columns", Code::ConflictingFields, "goes with `table` only");
        }
        if source.table.is_none() && source.parallelism.is_some() {
            self.add("parallelism", Code::ConflictingFields, "goes with `table` only: one connection reads a query");
        }
        if source.columns.len() > most_columns {
            self.add("columns", Code::TooManyColumns, &format!("must have at most {most_columns} names"));
        }
        let mut seen = HashSet::new();
        for (n, column) in source.columns.iter().take(most_columns).enumerate() {
            self.text(&format!("columns.{n}"), Some(column), MAX_NAME);
            if !seen.insert(column) {
                self.add(&format!("columns.{n}"), Code::DuplicateColumn, "is named twice");
            }
        }
        if source.parallelism.is_some_and(|readers| !(1..=16).contains(&readers)) {
            self.add("parallelism", Code::InvalidField, "must be from 1 to 16");
        }
        if source.statement_timeout_seconds.is_some_and(|s| !(0.001..=MAX_TIMEOUT).contains(&s)) {
            self.add("statement_timeout_seconds", Code::InvalidField, "must be from 0.001 to 2147483");
        }
    }
}

/// Whether a text is a whole address, with a password perhaps, where only a name is meant: names are shown.
fn holds_address(text: &str) -> bool {
    text.contains("://") || text.to_ascii_lowercase().contains("password=")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(columns: Vec<String>) -> Vec<(String, Code)> {
        let text = || Some("x".to_owned());
        let source = DatabaseRequest {
            host: text(),
            database: text(),
            user: text(),
            table: text(),
            columns,
            ..Default::default()
        };
        source.check(Dialect::Postgres).into_iter().map(|fault| (fault.field, fault.code)).collect()
    }

    #[test]
    fn columns_are_named_once_and_not_without_end() {
        let names = |range: std::ops::Range<u32>| range.map(|n| format!("c{n}"));
        assert_eq!(faults_of(names(0..1664).collect()), []);
        let twice = faults_of(names(0..3).chain(names(1..2)).collect());
        assert_eq!(twice, [("columns.3".to_owned(), Code::DuplicateColumn)]);
        assert_eq!(faults_of(names(0..120_000).collect()), [("columns".to_owned(), Code::TooManyColumns)]);
    }
}
