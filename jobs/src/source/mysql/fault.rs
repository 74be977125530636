//! MySQL's failures as ours. What the server says is cut.
use mysql_async::{DriverError, Error as DriverFailure, IoError, ServerError};

use crate::{
    Code, Error, Retry,
    source::database::{Endpoint, shown},
};

/// The longest sentence that is taken from the server, in characters.
const MOST_SAID: usize = 1000;

/// A failure while a connection was made.
pub(super) fn connecting(error: DriverFailure, endpoint: &Endpoint) -> Error {
    let (at, user, database) = (endpoint.address(), &endpoint.user, &endpoint.database);
    let mapped = match &error {
        DriverFailure::Server(said) => match said.code {
            1045 | 1698 | 1862 => Error::new(
                Code::AuthFailed,
                format!(
                    "{at} refused the user `{user}` ({}); check user and password, and from where it may connect",
                    said.code
                ),
            ),
            1044 => Error::new(
                Code::PermissionDenied,
                format!("the user `{user}` may not use the database `{database}`; grant SELECT on it"),
            ),
            1049 => Error::new(Code::DatabaseNotFound, format!("{at} has no database `{database}`")),
            // MariaDB and MySQL with `require_secure_transport`, and users that must use TLS.
            3159 => Error::new(Code::TlsError, format!("{at} takes encrypted connections only; see `sslmode`")),
            code => Error::new(
                Code::SourceUnreachable,
                format!("{at} does not take connections now: {} ({code})", shown(&said.message, MOST_SAID)),
            ),
        },
        DriverFailure::Io(IoError::Tls(tls)) => {
            Error::new(Code::TlsError, format!("TLS with {at} failed: {tls}; see `sslmode` and `sslrootcert`"))
        }
        // A certificate that is refused comes as an error of the stream.
        DriverFailure::Io(IoError::Io(io)) if io.get_ref().is_some_and(|e| e.is::<rustls::Error>()) => {
            Error::new(Code::TlsError, format!("TLS with {at} failed: {io}; see `sslmode` and `sslrootcert`"))
        }
        DriverFailure::Io(IoError::Io(io)) => endpoint.unreachable(&io.to_string()),
        DriverFailure::Driver(DriverError::NoClientSslFlagFromServer) => {
            Error::new(Code::TlsError, format!("{at} offers no TLS; see `sslmode`"))
        }
        DriverFailure::Driver(DriverError::UnknownAuthPlugin { .. } | DriverError::CleartextPluginDisabled)
        | DriverFailure::Driver(DriverError::MysqlOldPasswordDisabled) => {
            Error::new(Code::AuthFailed, format!("{at} asks for a kind of authentication that is not supported"))
        }
        _ => Error::new(Code::SourceUnreachable, format!("{at} broke off while the connection was made")),
    };
    mapped.caused_by(error)
}

/// A failure of a statement.
pub(super) fn failed(error: DriverFailure) -> Error {
    match &error {
        DriverFailure::Server(said) => server(said),
        DriverFailure::Driver(DriverError::PacketTooLarge) => too_large(),
        // The driver wraps what its codec says in an error of the stream.
        DriverFailure::Io(IoError::Io(io)) if io.to_string().contains("larger than max_allowed_packet") => too_large(),
        _ => interrupted(),
    }
    .caused_by(error)
}

fn too_large() -> Error {
    Error::new(
        Code::CellTooLarge,
        "a row has more than twice as many bytes as `limits.max_cell_bytes` permits for one value; raise it, or read fewer \
         columns",
    )
}

/// The connection is gone.
pub(super) fn interrupted() -> Error {
    Error::new(Code::SourceInterrupted, "the connection to MySQL broke before all rows were read")
}

/// The server has let a statement run for longer than it was told to.
pub(super) fn silent() -> Error {
    Error::new(
        Code::SourceInterrupted,
        "MySQL has gone silent: it neither finished the statement nor ended it at `statement_timeout_seconds`",
    )
}

/// The answer to a statement of ours has more than `most` bytes.
pub(super) fn long_answer(most: usize) -> Error {
    Error::new(Code::QueryError, format!("MySQL answered a short question in more than {most} bytes"))
}

/// What the server said, as our error. The numbers are those of MySQL's and MariaDB's reference of server errors.
fn server(error: &ServerError) -> Error {
    let said = format!("{} ({})", shown(&error.message, MOST_SAID), error.code);
    match error.code {
        1792 => Error::new(Code::QueryNotAllowed, format!("only reading is allowed: {said}")),
        1054 => Error::new(Code::SourceColumnNotFound, said),
        1146 | 1109 | 1051 => Error::new(Code::SourceTableNotFound, said),
        1049 => Error::new(Code::DatabaseNotFound, said),
        1044 | 1045 | 1142 | 1143 | 1227 | 1370 => Error::new(Code::PermissionDenied, format!("{said}; grant SELECT")),
        1317 | 1969 | 3024 => Error::new(Code::QueryTimeout, format!("{said}; see `statement_timeout_seconds`")),
        1205 => Error::new(Code::QueryTimeout, said).with_retry(Retry::Backoff),
        1060 => Error::new(Code::DuplicateColumn, said),
        code if transient(code) => Error::new(Code::SourceInterrupted, format!("MySQL ended the statement: {said}")),
        _ => Error::new(Code::QueryError, said),
    }
}

/// Shutdowns, killed connections, lack of resources, deadlocks, and tables that were altered since the snapshot.
fn transient(code: u16) -> bool {
    matches!(
        code,
        1020 | 1021 | 1037 | 1038 | 1040 | 1041 | 1053 | 1077 | 1078 | 1079 | 1080 | 1105 | 1129 | 1152..=1161
    ) || matches!(code, 1184 | 1203 | 1213 | 1226 | 1412 | 1927 | 4031)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_map_to_codes_and_retries() {
        let map = |code| server(&ServerError { code, message: "m\x1b".into(), state: "HY000".into() });
        assert_eq!((map(1792).code(), map(1054).code()), (Code::QueryNotAllowed, Code::SourceColumnNotFound));
        assert_eq!((map(1146).code(), map(1142).code()), (Code::SourceTableNotFound, Code::PermissionDenied));
        assert_eq!((map(1969).code(), map(3024).code()), (Code::QueryTimeout, Code::QueryTimeout));
        assert_eq!((map(1205).retry(), map(1213).code()), (Retry::Backoff, Code::SourceInterrupted));
        assert_eq!((map(1412).code(), map(1064).code()), (Code::SourceInterrupted, Code::QueryError));
        assert_eq!(map(1064).message(), "m\\u{1b} (1064)");
    }
}
