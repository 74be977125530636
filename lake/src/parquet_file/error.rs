//! What is wrong with a file.
use std::fmt;

/// A result of reading a file.
pub(super) type Result<T, E = FileError> = std::result::Result<T, E>;

/// Why a Parquet file, or a part of it, cannot be read. The sentences go on after the file's name: "its footer …".
#[derive(Debug)]
pub enum FileError {
    /// The bytes could not be had; the cause is the byte source's own error.
    Bytes(Box<dyn std::error::Error + Send + Sync>),
    /// The file has no bytes at all.
    Empty,
    /// It is not Parquet, broken, encrypted, or written in a way that is not known.
    Invalid(String),
    /// Its pages claim to become far more than their bytes could honestly hold.
    TooLarge(String),
    /// A single value, or a row's lists, are larger than the limit.
    CellTooLarge(String),
    /// More columns than the limit.
    TooManyColumns(String),
    /// Two columns of one name.
    DuplicateColumn(String),
    /// A column whose type cannot be carried.
    UnsupportedType(String),
    /// A value that the table's type cannot hold exactly.
    Unrepresentable(String),
    /// A number with more digits than its type has.
    DecimalOverflow(String),
}

impl FileError {
    pub(super) fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid(what.into())
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(cause) => write!(f, "{cause}"),
            Self::Empty => f.write_str("has no bytes at all"),
            Self::Invalid(what)
            | Self::TooLarge(what)
            | Self::CellTooLarge(what)
            | Self::TooManyColumns(what)
            | Self::DuplicateColumn(what)
            | Self::UnsupportedType(what)
            | Self::Unrepresentable(what)
            | Self::DecimalOverflow(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bytes(cause) => Some(cause.as_ref()),
            _ => None,
        }
    }
}

/// What the decoder says; its own word for itself is left out.
impl From<parquet::errors::ParquetError> for FileError {
    fn from(error: parquet::errors::ParquetError) -> Self {
        let said = error.to_string();
        Self::Invalid(format!("is broken: {}", plain(&said)))
    }
}

impl From<arrow_schema::ArrowError> for FileError {
    fn from(error: arrow_schema::ArrowError) -> Self {
        let said = error.to_string();
        Self::Invalid(format!("is broken: {}", plain(&said)))
    }
}

/// The sentence without the libraries' prefixes, on one line and not long.
fn plain(said: &str) -> String {
    let mut text = said;
    while let Some((before, after)) = text.split_once(": ") {
        if !["error", "Error", "EOF", "External", "NYI", "Arrow", "argument"].iter().any(|word| before.contains(word)) {
            break;
        }
        text = after;
    }
    text.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
