//! Iceberg's errors as ours.
use std::error::Error as _;

use iceberg::{ErrorKind, io::FileIO};

use crate::{Error, Kind, TableName, storage::ours};

/// A table whose metadata contradicts itself.
pub fn broken(table: &TableName, cause: iceberg::Error) -> Error {
    let kind = match cause.kind() {
        ErrorKind::FeatureUnsupported => Kind::UnsupportedFeature,
        _ => Kind::Internal,
    };
    Error::new(kind, format!("the metadata of table {table} cannot be used: {}", cause.message())).caused_by(cause)
}

/// A failure while something of the table was read; `paths` are the files that it may be about.
pub async fn reading(table: &TableName, io: &FileIO, paths: &[String], cause: iceberg::Error) -> Error {
    if let Some(error) = ours(&cause) {
        return match error.kind() {
            Kind::FileMissing => {
                let message = format!("table {table} names a file which is not there: {}", error.message());
                Error::new(Kind::FileMissing, message).caused_by(cause)
            }
            _ => error,
        };
    }
    for path in paths {
        let found = match io.new_input(path) {
            Ok(input) => input.exists().await,
            Err(error) => Err(error),
        };
        if matches!(found, Ok(false)) {
            return Error::new(Kind::FileMissing, format!("table {table} names the file `{path}`, which is not there"))
                .caused_by(cause);
        }
    }
    let reason = root(&cause);
    if reason.starts_with("No column with source column id") {
        let message =
            format!("table {table} was partitioned by a column that was dropped since, which cannot be read here");
        return Error::new(Kind::UnsupportedFeature, message).caused_by(cause);
    }
    // Not all layers keep the operating system's error: its text tells.
    let (kind, what) = if cause.kind() == ErrorKind::FeatureUnsupported {
        (Kind::UnsupportedFeature, "cannot be read here")
    } else if reason.contains("(os error 2)") {
        (Kind::FileMissing, "names a file that is not there")
    } else if reason.contains("(os error ") {
        (Kind::StorageUnavailable, "could not be read")
    } else {
        (Kind::FileDamaged, "has a file that is damaged")
    };
    let place = paths.first().map(|path| format!(" (`{path}`)")).unwrap_or_default();
    Error::new(kind, format!("table {table} {what}{place}: {reason}")).caused_by(cause)
}

/// The innermost message: the outer ones say only which layer it went through.
fn root(error: &iceberg::Error) -> String {
    let mut message = error.message().to_owned();
    let mut next = error.source();
    while let Some(cause) = next {
        message = match cause.downcast_ref::<iceberg::Error>() {
            Some(inner) => inner.message().to_owned(),
            None => cause.to_string(),
        };
        next = cause.source();
    }
    message.lines().next().unwrap_or_default().to_owned()
}
