//! What can be wrong with a CSV file.
use std::fmt;

use crate::{Code, Error};

/// A fault, and how many line breaks stand before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub lines: u32,
    pub fault: Fault,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A record has another number of fields than the first one.
    Ragged { fields: usize, width: usize },
    /// The file ends within quotes.
    Unterminated,
    /// Text follows the closing quote.
    AfterQuote,
    /// A byte of value 0.
    Nul,
    /// A second mark of the order of bytes.
    SecondMark,
    /// Too many blank lines before the first record.
    BlankBegin { bytes: usize },
    /// Bytes that are no text in the encoding.
    NotText { encoding: &'static str },
    /// A field is too large.
    CellTooLarge { bytes: usize },
    /// A record is too large.
    RowTooLarge { bytes: usize },
    /// The first record has too many fields.
    TooManyColumns { fields: usize, most: usize },
    /// A field does not have the type that its column was given.
    Mismatch { column: String, value: String, kind: String },
}

impl Fault {
    pub(super) const fn code(&self) -> Code {
        match self {
            Self::Ragged { .. } => Code::RaggedRow,
            Self::Unterminated => Code::CsvUnterminatedQuote,
            Self::AfterQuote | Self::Nul | Self::SecondMark | Self::BlankBegin { .. } => Code::CsvInvalid,
            Self::NotText { .. } => Code::InvalidText,
            Self::CellTooLarge { .. } | Self::RowTooLarge { .. } => Code::CellTooLarge,
            Self::TooManyColumns { .. } => Code::TooManyColumns,
            Self::Mismatch { .. } => Code::TypeMismatch,
        }
    }

    /// The error, with the file and the line.
    #[cold]
    pub(super) fn error(&self, file: &str, line: u64) -> Error {
        Error::new(self.code(), format!("{file}, line {line}: {self}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ragged { fields, width: 1 } => write!(
                f,
                "the row has {fields} fields, the first one has 1; is `delimiter` right, and does the file begin with its header?"
            ),
            Self::Ragged { fields, width } => {
                write!(f, "the row has {fields} {}, the first one has {width}", if *fields == 1 { "field" } else { "fields" })
            }
            Self::Unterminated => f.write_str("the quote that begins a field here is never closed"),
            Self::AfterQuote => f.write_str(
                "text follows the quote that closes a field; quotes within quoted fields must be doubled, or set `quote` to \"\"",
            ),
            Self::Nul => f.write_str("there is a byte of value 0; if the file is UTF-16, say so by `encoding`"),
            Self::SecondMark => f.write_str("the text begins with a second byte order mark; take it away"),
            Self::BlankBegin { bytes } => {
                write!(f, "the file begins with {bytes} bytes or more of blank lines; take them away")
            }
            Self::NotText { encoding } => {
                write!(f, "the bytes are not text in {encoding}; say by `encoding` what they are, such as windows-1252")
            }
            Self::CellTooLarge { bytes } => write!(
                f,
                "a field has {bytes} bytes or more, more than `limits.max_cell_bytes` permits; is a quote never closed?"
            ),
            Self::RowTooLarge { bytes } => {
                write!(f, "the row has {bytes} bytes or more, more than twice `limits.max_cell_bytes`")
            }
            Self::TooManyColumns { fields, most } => {
                write!(f, "the row has {fields} fields; `limits.max_columns` permits {most}")
            }
            Self::Mismatch { column, value, kind } => {
                write!(f, "column `{column}`: `{value}` is not of the type {kind} that `schema` gives")
            }
        }
    }
}

/// A value as messages show it: at most 80 characters, and no control characters.
pub(super) fn shown(value: &[u8]) -> String {
    let head = String::from_utf8_lossy(value.get(..value.len().min(400)).unwrap_or_default());
    let mut shown: String = head.chars().take(80).flat_map(char::escape_debug).collect();
    if head.chars().count() > 80 || head.len() < value.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_short_and_safe() {
        assert_eq!(shown(b"a\nb\"\x1b"), "a\\nb\\\"\\u{1b}");
        assert_eq!(shown("é".repeat(80).as_bytes()), "é".repeat(80));
        assert_eq!(shown("é".repeat(81).as_bytes()), format!("{}…", "é".repeat(80)));
        assert_eq!(shown(&[b'x'; 1 << 20]).chars().count(), 81);
    }

    #[test]
    fn errors_name_file_and_line() {
        let error = Fault::Ragged { fields: 3, width: 4 }.error("a.csv", 7);
        assert_eq!(
            (error.code(), error.message()),
            (Code::RaggedRow, "a.csv, line 7: the row has 3 fields, the first one has 4")
        );
    }
}
