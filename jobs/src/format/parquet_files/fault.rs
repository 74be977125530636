//! What is wrong with a file, as the load's error.
use icehaul_lake::parquet_file::FileError;

use crate::{Code, Error};

/// The error of a load, for a file by name. A failure to have the bytes stays what it is.
pub(super) fn of(name: &str, error: FileError) -> Error {
    let code = match &error {
        FileError::Empty => Code::EmptySource,
        FileError::Invalid(_) => Code::ParquetInvalid,
        FileError::TooLarge(_) => Code::DecompressedTooLarge,
        FileError::CellTooLarge(_) => Code::CellTooLarge,
        FileError::TooManyColumns(_) => Code::TooManyColumns,
        FileError::DuplicateColumn(_) => Code::DuplicateColumn,
        FileError::UnsupportedType(_) => Code::UnsupportedType,
        FileError::Unrepresentable(_) => Code::UnrepresentableValue,
        FileError::DecimalOverflow(_) => Code::DecimalOverflow,
        FileError::Bytes(_) => Code::SourceInterrupted,
    };
    match error {
        FileError::Bytes(cause) => match cause.downcast::<Error>() {
            Ok(own) => *own,
            Err(other) => Error::new(code, format!("`{name}` could not be read: {other}")),
        },
        FileError::Unrepresentable(what) | FileError::DecimalOverflow(what) => {
            Error::new(code, format!("`{name}`, {what}"))
        }
        other => Error::new(code, format!("`{name}` {other}")),
    }
}
