//! The fields of a request that say what is taken from a page.
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FieldSelector, Fields, Locale, Selector};
use crate::{Code, FieldError};

/// The most units that are known at once, the longest of them in bytes, and the most rows of a header.
const MOST_UNITS: usize = 50;
const LONGEST_UNIT: usize = 30;
const MOST_HEADER_ROWS: u8 = 16;
/// The most fields of an item.
const MOST_FIELDS: usize = 200;

/// What is taken from a page.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Extraction {
    /// A CSS selector; default: `table`. A table gives its rows, `tr` the rows that match, a box around a table that
    /// table; any other element is a row of its own. In answers of APIs a path: of RFC 9535 (`$.data.items[*]`), with dots
    /// (`data.items`), or of XML elements (`channel/item`); default there: the whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"table.wikitable")]
    pub selector: Option<String>,
    /// Which of the tables that match, from 0; default: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_index: Option<usize>,
    /// Takes all tables that match, columns of the same name together, with a column `table_index`.
    #[serde(default)]
    pub all_tables: bool,
    /// Columns of lists and cards: a selector within the element, `@` and an attribute, or both: `"link": "a@href"`.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub fields: Fields,
    /// Adds a column `…_link` beside each column with links.
    #[serde(default)]
    pub links: bool,
    /// Takes the rows of a table's `<tfoot>` too: mostly totals.
    #[serde(default)]
    pub include_footer: bool,
    /// How many rows are the table's header; default: its `<thead>`, else the first rows that have only `<th>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_rows: Option<u8>,
    /// Makes numbers, dates and booleans of columns that hold nothing else.
    #[serde(default = "yes")]
    pub infer_types: bool,
    /// Units that are taken off a column's numbers if all have the same one: `["km", "kg"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
    /// How the page writes numbers; default: `en`, and what may be meant otherwise stays text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
}

const fn yes() -> bool {
    true
}

impl Default for Extraction {
    fn default() -> Self {
        Self {
            selector: None,
            table_index: None,
            all_tables: false,
            fields: Fields::default(),
            links: false,
            include_footer: false,
            header_rows: None,
            infer_types: true,
            units: Vec::new(),
            locale: None,
        }
    }
}

impl Extraction {
    /// Finds what is wrong without any I/O. A selector that begins with `$` is a JSON path, for answers in JSON, and not
    /// looked at.
    #[must_use]
    pub fn check(&self) -> Vec<FieldError> {
        let mut wrong = Vec::new();
        let mut fault = |field: String, code, detail: String| wrong.push(FieldError { field, code, detail });
        let selector = self.selector.as_deref().filter(|text| !text.starts_with('$'));
        if let Some(Err(detail)) = selector.map(Selector::parse) {
            fault("selector".into(), Code::InvalidSelector, detail);
        }
        if self.all_tables && self.table_index.is_some() {
            fault("table_index".into(), Code::ConflictingFields, "goes not with `all_tables`".into());
        }
        if self.fields.0.len() > MOST_FIELDS {
            fault("fields".into(), Code::TooManyColumns, format!("must have at most {MOST_FIELDS} columns"));
        }
        let mut known = std::collections::HashSet::new();
        for (name, text) in self.fields.0.iter().take(MOST_FIELDS) {
            let field = format!("fields.{name}");
            if name.trim().is_empty() || name.chars().count() > 128 {
                fault(field, Code::InvalidField, "a column's name has 1 to 128 characters".into());
            } else if !known.insert(name.to_lowercase()) {
                fault(field, Code::DuplicateColumn, "another column differs only in case".into());
            } else if let Err(detail) = FieldSelector::parse(text) {
                fault(field, Code::InvalidSelector, detail);
            }
        }
        let of_tables = [
            ("table_index", self.table_index.is_some()),
            ("all_tables", self.all_tables),
            ("include_footer", self.include_footer),
            ("header_rows", self.header_rows.is_some()),
        ];
        for (field, _) in of_tables.iter().filter(|(_, given)| *given && !self.fields.is_empty()) {
            fault(
                (*field).into(),
                Code::ConflictingFields,
                "goes not with `fields`, which make rows of any elements".into(),
            );
        }
        if self.header_rows.is_some_and(|rows| rows > MOST_HEADER_ROWS) {
            fault("header_rows".into(), Code::InvalidField, format!("must be at most {MOST_HEADER_ROWS}"));
        }
        let faulty = |unit: &String| unit.trim().is_empty() || unit.len() > LONGEST_UNIT;
        if self.units.len() > MOST_UNITS || self.units.iter().any(faulty) {
            let detail = format!("must be at most {MOST_UNITS} units of 1 to {LONGEST_UNIT} bytes");
            fault("units".into(), Code::InvalidField, detail);
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(request: &str) -> Vec<(String, Code)> {
        let request: Extraction = serde_json::from_str(request).expect("a request");
        request.check().into_iter().map(|fault| (fault.field, fault.code)).collect()
    }

    #[test]
    fn faults_are_found_before_anything_is_fetched() {
        let requests = [
            ("{}", vec![]),
            (r#"{"selector": "table.wikitable", "table_index": 1}"#, vec![]),
            (r#"{"selector": "$.data[*]"}"#, vec![]),
            (r#"{"selector": "data.issues"}"#, vec![]),
            (r#"{"selector": "//table"}"#, vec![("selector", Code::InvalidSelector)]),
            (r#"{"table_index": 0, "all_tables": true}"#, vec![("table_index", Code::ConflictingFields)]),
            (
                r#"{"selector": ".card", "fields": {"a": "a@href", "B": "b[", "b": "i", " ": "x"}, "header_rows": 1}"#,
                vec![
                    ("fields.B", Code::InvalidSelector),
                    ("fields.b", Code::DuplicateColumn),
                    ("fields. ", Code::InvalidField),
                    ("header_rows", Code::ConflictingFields),
                ],
            ),
            (
                r#"{"header_rows": 17, "units": [""]}"#,
                vec![("header_rows", Code::InvalidField), ("units", Code::InvalidField)],
            ),
        ];
        for (request, expected) in requests {
            let expected: Vec<_> = expected.into_iter().map(|(field, code)| (field.to_owned(), code)).collect();
            assert_eq!(faults(request), expected, "{request}");
        }
    }

    #[test]
    fn fields_keep_their_order() {
        let request: Extraction = serde_json::from_str(r#"{"fields": {"z": "i", "a": "b"}}"#).expect("a request");
        assert_eq!(request.fields.0, [("z".into(), "i".into()), ("a".into(), "b".into())]);
        let again = serde_json::to_string(&request).expect("JSON");
        assert!(again.contains(r#""fields":{"z":"i","a":"b"}"#), "{again}");
        assert_eq!(Extraction::default().infer_types, request.infer_types);
    }
}
