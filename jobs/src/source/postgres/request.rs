//! The request's fields: what is wrong with them, and the endpoint that they name.
use std::{collections::HashSet, time::Duration};

use sha2::{Digest, Sha256};

use super::{
    Postgres,
    connect::Endpoint,
    sql::{TableRef, begins_as_query, single_statement},
};
use crate::{
    Code, Ctx, Error, FieldError, Result,
    config::{PostgresConnection, SecretSource},
};

const DEFAULT_PORT: u16 = 5432;
/// The longest names and texts, in bytes.
const MAX_NAME: usize = 255;
const MAX_SQL: usize = 1 << 20;
/// The most columns of a PostgreSQL table or view.
const MAX_COLUMNS: usize = 1664;
/// The longest `statement_timeout_seconds`: the server counts milliseconds in 31 bits.
const MAX_TIMEOUT: f64 = 2_147_483.0;

/// Finds what is wrong without any I/O.
pub(super) fn check(source: &Postgres) -> Vec<FieldError> {
    let mut faults = Faults(Vec::new());
    faults.connection(source);
    faults.rows(source);
    faults.0
}

struct Faults(Vec<FieldError>);

impl Faults {
    fn add(&mut self, field: &str, code: Code, detail: &str) {
        self.0.push(FieldError { field: field.into(), code, detail: detail.into() });
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

    fn connection(&mut self, source: &Postgres) {
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

    fn rows(&mut self, source: &Postgres) {
        match (&source.query, &source.table) {
            (None, None) => self.add("query", Code::MissingField, "`query` or `table` is required"),
            (Some(_), Some(_)) => self.add("table", Code::ConflictingFields, "give `query` or `table`, not both"),
            _ => {}
        }
        self.text("query", source.query.as_deref(), MAX_SQL);
        self.text("table", source.table.as_deref(), 2 * MAX_NAME);
        self.text("where", source.condition.as_deref(), MAX_SQL);
        let query = source.query.as_deref().filter(|q| !q.trim().is_empty());
        if query.is_some_and(|query| !single_statement(query).is_some_and(begins_as_query)) {
            self.add("query", Code::QueryNotAllowed, "must be one statement: a SELECT, VALUES, TABLE or WITH");
        }
        if let Some(Err(why)) = source.table.as_deref().filter(|t| !t.trim().is_empty()).map(TableRef::parse) {
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
        if source.columns.len() > MAX_COLUMNS {
            self.add("columns", Code::TooManyColumns, &format!("must have at most {MAX_COLUMNS} names"));
        }
        let mut seen = HashSet::new();
        for (n, column) in source.columns.iter().take(MAX_COLUMNS).enumerate() {
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

impl Postgres {
    /// The server, database and role that the request means.
    ///
    /// # Errors
    /// [`Code::ConnectionNotFound`], and [`Code::MissingField`] for a request that was not checked.
    pub(super) fn endpoint(&self, ctx: &Ctx) -> Result<Endpoint> {
        let timeout = self.statement_timeout_seconds.unwrap_or(ctx.limits.statement_timeout_seconds);
        let given = |field: &str, value: &Option<String>| {
            value.clone().ok_or_else(|| Error::field(field, Code::MissingField, "is required"))
        };
        let common = Endpoint {
            host: String::new(),
            port: self.port.unwrap_or(DEFAULT_PORT),
            database: String::new(),
            user: String::new(),
            password: self.password.clone(),
            sslmode: self.sslmode.unwrap_or_default(),
            sslrootcert: None,
            allow_superuser: self.allow_superuser,
            connect_timeout: ctx.limits.connect_timeout(),
            statement_timeout: seconds(timeout),
            application: format!("icehaul {}", ctx.job),
        };
        let Some(name) = &self.connection else {
            let (host, database) = (given("host", &self.host)?, given("database", &self.database)?);
            return Ok(Endpoint { host, database, user: given("user", &self.user)?, ..common });
        };
        let found = ctx.connections.get::<PostgresConnection>(name)?;
        Ok(Endpoint {
            host: found.host.clone(),
            port: found.port,
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

/// Server, database, table and condition, or query: other rows have another cursor.
pub(super) fn cursor_source(source: &Postgres, ctx: &Ctx) -> Result<String> {
    let origin = source.endpoint(ctx)?.origin();
    let digest = |text: &str| crate::secret::encode_hex(&Sha256::digest(text.trim().as_bytes())[..8]);
    Ok(match (&source.table, &source.condition, &source.query) {
        (Some(table), None, _) => format!("{origin}#{table}"),
        (Some(table), Some(condition), _) => format!("{origin}#{table}?{}", digest(condition)),
        (None, _, query) => format!("{origin}?{}", digest(query.as_deref().unwrap_or_default())),
    })
}

/// Whether a text is a whole address, with a password perhaps, where only a name is meant: names are shown.
fn holds_address(text: &str) -> bool {
    text.contains("://") || text.to_ascii_lowercase().contains("password=")
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(columns: Vec<String>) -> Vec<(String, Code)> {
        let text = || Some("x".to_owned());
        let source =
            Postgres { host: text(), database: text(), user: text(), table: text(), columns, ..Postgres::default() };
        check(&source).into_iter().map(|fault| (fault.field, fault.code)).collect()
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
