//! How a CSV file is written, from the request.
use std::collections::BTreeMap;

use encoding_rs::{Encoding, UTF_8};

use super::super::Reading;
use crate::{Code, FieldError, transform::infer::Kind};

/// How the fields and records of a file are told apart, and which fields are NULL.
#[derive(Clone, Debug)]
pub(super) struct Dialect {
    /// The byte between fields.
    pub delimiter: u8,
    /// The byte around fields that hold delimiters or line breaks; `None`: such fields do not occur.
    pub quote: Option<u8>,
    /// Whether the first record has the names of the columns.
    pub header: bool,
    /// Whether blanks around unquoted fields are cut off.
    pub trim: bool,
    /// The encoding, if the request says.
    pub encoding: Option<&'static Encoding>,
    /// Texts that stand for NULL, beside the empty unquoted field.
    pub nulls: Vec<Vec<u8>>,
    /// Types that the request gives, by column.
    pub kinds: BTreeMap<String, Kind>,
}

impl Dialect {
    /// The dialect of a file of this name. The request was checked.
    pub(super) fn new(reading: &Reading, name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let is_tsv = name.ends_with(".tsv") || name.contains(".tsv.");
        let delimiter = if is_tsv { b'\t' } else { b',' };
        let quote = reading.quote.as_deref().map_or(Some(b'"'), |text| byte(text).ok());
        let kinds = reading.schema.iter().flatten();
        Self {
            delimiter: reading.delimiter.as_deref().and_then(|text| byte(text).ok()).unwrap_or(delimiter),
            quote,
            header: reading.header.unwrap_or(true),
            trim: reading.trim.unwrap_or(false),
            encoding: reading.encoding.as_deref().and_then(label),
            nulls: reading.null_values.iter().flatten().map(|text| text.clone().into_bytes()).collect(),
            kinds: kinds.filter_map(|(name, kind)| Some((name.clone(), kind.parse().ok()?))).collect(),
        }
    }

    /// Whether a field is NULL.
    #[inline]
    pub(super) fn is_null(&self, text: &[u8], quoted: bool) -> bool {
        (text.is_empty() && !quoted) || (!self.nulls.is_empty() && self.nulls.iter().any(|null| null == text))
    }

    /// Whether the text is UTF-8 unless a mark of its order of bytes says otherwise.
    pub(super) fn is_utf8(&self) -> bool {
        self.encoding.is_none_or(|encoding| encoding == UTF_8)
    }
}

/// Finds what is wrong with the fields that are CSV's.
pub(super) fn check(reading: &Reading) -> Vec<FieldError> {
    let mut wrong = Vec::new();
    let mut fault = |field: &str, code, detail: String| wrong.push(FieldError { field: field.into(), code, detail });
    let delimiter = reading.delimiter.as_deref().map(byte);
    let quote = reading.quote.as_deref().filter(|text| !text.is_empty()).map(byte);
    for (field, given) in [("delimiter", &delimiter), ("quote", &quote)] {
        if let Some(Err(detail)) = given {
            fault(field, Code::InvalidField, (*detail).to_owned());
        }
    }
    if let Some(Ok(delimiter)) = delimiter {
        let quote = if reading.quote.is_none() { Some(b'"') } else { quote.and_then(Result::ok) };
        if quote == Some(delimiter) {
            fault("quote", Code::ConflictingFields, "`delimiter` and `quote` must differ".into());
        }
        if delimiter == b' ' && reading.trim == Some(true) {
            fault("trim", Code::ConflictingFields, "with a blank as `delimiter` nothing can be trimmed".into());
        }
    }
    if let Some(name) = reading.encoding.as_deref().filter(|name| label(name).is_none()) {
        let detail = format!("`{name}` is no encoding of the WHATWG's list, such as utf-8, utf-16le or windows-1252");
        fault("encoding", Code::InvalidField, detail);
    }
    for (column, kind) in reading.schema.iter().flatten() {
        if kind.parse::<Kind>().is_err() {
            let column: String = column.chars().take(60).collect();
            let detail = match kind.trim().to_ascii_lowercase().starts_with("decimal(") {
                true => format!("`{kind}`: a decimal(p, s) has p digits, 38 at most, and s of them after the point"),
                false => format!("`{kind}` is not a type: {}", Kind::NAMES),
            };
            fault(&format!("schema.{column}"), Code::InvalidField, detail);
        }
    }
    wrong
}

/// One ASCII character, or the tab as `\t`.
fn byte(text: &str) -> Result<u8, &'static str> {
    match text.as_bytes() {
        b"\\t" => Ok(b'\t'),
        [b'\r' | b'\n' | 0] => Err("must not be a line break"),
        [byte] => Ok(*byte),
        _ => Err("must be one ASCII character; `\\t` is the tab"),
    }
}

/// The encoding of a label; none for the ones that stand for no text.
fn label(name: &str) -> Option<&'static Encoding> {
    Encoding::for_label_no_replacement(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_fields_are_named() {
        let reading = |json: serde_json::Value| serde_json::from_value::<Reading>(json).expect("a reading");
        let faults = |json| check(&reading(json)).into_iter().map(|f| (f.field, f.code)).collect::<Vec<_>>();
        assert_eq!(faults(serde_json::json!({})), []);
        let fine = serde_json::json!({"delimiter": "\\t", "quote": "'", "encoding": "UTF-16", "schema": {"a": "decimal(10,2)"}});
        assert_eq!(faults(fine), []);
        let wrong =
            serde_json::json!({"delimiter": ";;", "quote": "é", "encoding": "latin-99", "schema": {"a": "number"}});
        let named = ["delimiter", "quote", "encoding", "schema.a"].map(|name| (name.to_owned(), Code::InvalidField));
        assert_eq!(faults(wrong), named);
        let long = check(&reading(serde_json::json!({"schema": {"a": "decimal(39,1)"}})));
        assert!(long[0].detail.contains("38 at most"), "{}", long[0].detail);
        assert_eq!(faults(serde_json::json!({"schema": {"a": "bigint", "b": "VARCHAR"}})), []);
        let same = serde_json::json!({"delimiter": "\"", "trim": true});
        assert_eq!(faults(same), [("quote".to_owned(), Code::ConflictingFields)]);
        let blank = serde_json::json!({"delimiter": " ", "trim": true});
        assert_eq!(faults(blank), [("trim".to_owned(), Code::ConflictingFields)]);
        assert_eq!(faults(serde_json::json!({"delimiter": "\n"})).len(), 1);
    }

    #[test]
    fn the_name_tells_the_tab() {
        let of = |name: &str| Dialect::new(&Reading::default(), name).delimiter;
        assert_eq!((of("a/b.TSV.gz"), of("a.tsv"), of("a.tsv.csv")), (b'\t', b'\t', b'\t'));
        assert_eq!((of("a.csv"), of("atsv")), (b',', b','));
        let none = Reading { quote: Some(String::new()), ..Reading::default() };
        assert_eq!(Dialect::new(&none, "a.csv").quote, None);
    }
}
