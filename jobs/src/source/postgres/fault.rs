//! PostgreSQL's failures as ours. The driver's configuration is never printed, and what the server says is cut.
use std::error::Error as _;

use tokio_postgres::error::{DbError, ErrorPosition};

use crate::{Code, Error, Retry, source::database::shown};

/// The longest sentence that is taken from the server, in characters.
const MOST_SAID: usize = 1000;

/// What the server said.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{message} (SQLSTATE {state})")]
pub(super) struct ServerError {
    /// The SQLSTATE, five characters.
    pub state: String,
    /// The sentence.
    pub message: String,
    /// Where in the statement, in characters from 1.
    pub position: Option<usize>,
}

impl ServerError {
    /// Reads the body of an `ErrorResponse` message: fields of a letter and a text that ends with NUL.
    pub(super) fn parse(mut body: &[u8]) -> Self {
        let mut error = Self::default();
        while let Some((&field, rest)) = body.split_first().filter(|(field, _)| **field != 0) {
            let end = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
            // A character has at most four bytes.
            let text = String::from_utf8_lossy(&rest[..end.min(4 * MOST_SAID + 4)]);
            match field {
                b'C' => error.state = shown(&text, 5),
                b'M' => error.message = shown(&text, MOST_SAID),
                b'P' => error.position = text.parse().ok(),
                _ => {}
            }
            body = rest.get(end + 1..).unwrap_or_default();
        }
        error
    }
}

impl From<&DbError> for ServerError {
    fn from(error: &DbError) -> Self {
        let position = match error.position() {
            Some(ErrorPosition::Original(at)) => Some(*at as usize),
            _ => None,
        };
        Self { state: shown(error.code().code(), 5), message: shown(error.message(), MOST_SAID), position }
    }
}

/// A failure while a connection was made. `at` is `host:port`.
pub(super) fn connecting(error: tokio_postgres::Error, at: &str, user: &str, database: &str) -> Error {
    if let Some(db) = error.as_db_error() {
        let said = ServerError::from(db);
        return refused(&said, at, user, database).caused_by(said);
    }
    let mapped = match error.to_string().as_str() {
        "error performing TLS handshake" => tls(&error, at),
        "invalid configuration" if error.source().is_some_and(|e| e.to_string() == "password missing") => Error::new(
            Code::AuthFailed,
            format!("{at} asks for the password of `{user}`: give `password` (command line: `--password-env`)"),
        ),
        "authentication error" | "invalid configuration" => {
            Error::new(Code::AuthFailed, format!("{at} asks for a kind of authentication that is not supported"))
        }
        _ => Error::new(Code::SourceUnreachable, format!("{at} broke off while the connection was made")),
    };
    mapped.caused_by(error)
}

fn refused(said: &ServerError, at: &str, user: &str, database: &str) -> Error {
    match said.state.as_str() {
        state @ ("28P01" | "28000") => Error::new(
            Code::AuthFailed,
            format!("{at} refused the role `{user}` ({state}); check user, password and pg_hba.conf"),
        ),
        "3D000" => Error::new(Code::DatabaseNotFound, format!("{at} has no database `{database}`")),
        "42501" => Error::new(
            Code::PermissionDenied,
            format!("the role `{user}` may not connect to the database `{database}`; grant CONNECT"),
        ),
        state => Error::new(
            Code::SourceUnreachable,
            format!("{at} does not take connections now: {} ({state})", said.message),
        ),
    }
}

fn tls(error: &tokio_postgres::Error, at: &str) -> Error {
    let cause = error.source();
    let io = cause.and_then(|e| e.downcast_ref::<std::io::Error>());
    match (cause, io) {
        (_, Some(io)) if io.get_ref().is_some_and(|e| e.is::<rustls::Error>()) => {
            Error::new(Code::TlsError, format!("TLS with {at} failed: {io}; see `sslmode` and `sslrootcert`"))
        }
        (_, Some(_)) => Error::new(Code::SourceUnreachable, format!("{at} broke off during the TLS handshake")),
        (Some(cause), None) => Error::new(Code::TlsError, format!("TLS with {at} failed: {cause}; see `sslmode`")),
        (None, None) => Error::new(Code::TlsError, format!("TLS with {at} failed")),
    }
}

/// The connection is gone.
pub(super) fn interrupted() -> Error {
    Error::new(Code::SourceInterrupted, "the connection to PostgreSQL broke before all rows were read")
}

/// The connection is gone, or what comes over it makes no sense.
pub(super) fn broken(error: std::io::Error) -> Error {
    interrupted().caused_by(error)
}

/// The server has let a statement run for longer than it was told to.
pub(super) fn silent() -> Error {
    Error::new(
        Code::SourceInterrupted,
        "PostgreSQL has gone silent: it neither finished the statement nor ended it at `statement_timeout_seconds`",
    )
}

/// The answer to a statement has more than `most` bytes.
pub(super) fn long_answer(most: usize) -> Error {
    Error::new(Code::QueryError, format!("PostgreSQL described the statement in more than {most} bytes"))
}

/// Another connection does not find the snapshot that the first one has exported.
pub(super) fn snapshot_gone() -> Error {
    Error::new(
        Code::SourceInterrupted,
        "a further connection could not join the snapshot of the first one; behind a pooler or load balancer set \
         `parallelism` to 1",
    )
}

/// What the server said, as our error.
pub(super) fn server(error: &ServerError, statement: Option<&str>) -> Error {
    let said = format!("{}{} (SQLSTATE {})", error.message, place(error, statement), error.state);
    match error.state.as_str() {
        // For `WITH … AS (INSERT …) SELECT` the server names the SELECT, which is not what is wrong.
        "25006" if error.message.starts_with("cannot execute SELECT in") => Error::new(
            Code::QueryNotAllowed,
            "only reading is allowed, and a part of the query writes: leave out INSERT, UPDATE, DELETE and MERGE",
        ),
        "25006" => Error::new(Code::QueryNotAllowed, format!("only reading is allowed: {said}")),
        "42703" => Error::new(Code::SourceColumnNotFound, said),
        "42P01" | "3F000" | "42809" => Error::new(Code::SourceTableNotFound, said),
        "42501" => Error::new(Code::PermissionDenied, format!("{said}; grant SELECT (and USAGE on the schema)")),
        "57014" => Error::new(Code::QueryTimeout, format!("{said}; see `statement_timeout_seconds`")),
        "55P03" => Error::new(Code::QueryTimeout, said).with_retry(Retry::Backoff),
        state if transient(state) => {
            Error::new(Code::SourceInterrupted, format!("PostgreSQL ended the statement: {said}"))
        }
        _ => Error::new(Code::QueryError, said),
    }
}

/// Shutdowns, lost connections, lack of resources, recovery conflicts, deadlocks and idle time-outs.
fn transient(state: &str) -> bool {
    matches!(state.get(..2), Some("08" | "53" | "58" | "57" | "40")) || state == "25P03" || state == "25P04"
}

fn place(error: &ServerError, statement: Option<&str>) -> String {
    let (Some(position), Some(statement)) = (error.position, statement) else { return String::new() };
    let before: String = statement.chars().take(position.saturating_sub(1)).collect();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!(" at line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_message_is_read_and_its_position_becomes_line_and_column() {
        let body = b"SERROR\0C42601\0Msyntax error at or near \"form\"\0P12\0\0";
        let error = ServerError::parse(body);
        assert_eq!((error.state.as_str(), error.position), ("42601", Some(12)));
        let mapped = server(&error, Some("select 1\n  form t"));
        assert_eq!(mapped.code(), Code::QueryError);
        assert_eq!(mapped.message(), "syntax error at or near \"form\" at line 2, column 3 (SQLSTATE 42601)");
    }

    #[test]
    fn a_broken_message_is_not_trusted() {
        assert_eq!(ServerError::parse(b"C42"), ServerError { state: "42".into(), ..Default::default() });
        assert_eq!(ServerError::parse(b""), ServerError::default());
    }

    #[test]
    fn what_the_server_says_is_cut_and_escaped() {
        let body = [b"M".as_slice(), b"a\x1b[2J\n", &[b'x'; 5000], b"\0C", &[b'y'; 5000], b"\0\0"].concat();
        let error = ServerError::parse(&body);
        assert_eq!(error.message, format!("a\\u{{1b}}[2J\\n{}…", "x".repeat(1000 - 6)));
        assert_eq!(error.state, "yyyyy…");
    }

    #[test]
    fn a_query_that_writes_is_told_so_and_not_that_it_selects() {
        let said = |message: &str| ServerError { state: "25006".into(), message: message.into(), position: None };
        let with = server(&said("cannot execute SELECT in a read-only transaction"), None);
        assert!(with.message().contains("leave out INSERT") && !with.message().contains("SELECT"), "{with}");
        let function = server(&said("cannot execute nextval() in a read-only transaction"), None);
        assert!(function.message().contains("nextval()"), "{function}");
    }

    #[test]
    fn states_map_to_codes_and_retries() {
        let map = |state: &str| server(&ServerError { state: state.into(), ..Default::default() }, None);
        assert_eq!(map("57P01").code(), Code::SourceInterrupted);
        assert_eq!(map("57014").code(), Code::QueryTimeout);
        assert_eq!(map("55P03").retry(), Retry::Backoff);
        assert_eq!(map("25006").code(), Code::QueryNotAllowed);
        assert_eq!(map("42703").code(), Code::SourceColumnNotFound);
        assert_eq!(map("42P01").code(), Code::SourceTableNotFound);
        assert_eq!(map("22012").code(), Code::QueryError);
    }
}
