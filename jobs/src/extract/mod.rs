//! From a page to rows: tables by the HTML standard's algorithm, lists and cards by what they hold. No I/O.
//!
//! [`encoding`] makes text of bytes, [`Document`] a tree of text, within bounds; [`extract`] takes columns of text from it,
//! as an [`Extraction`] asks for; [`json`] and [`xml`] take them from answers of APIs. A [`Profile`] looks at a column's
//! cells page by page; once it has seen all of them it decides on the type, and how cells become values of it: so the
//! pages can be read a second time where they do not fit into memory together.
mod choose;
mod columns;
mod css;
mod document;
pub mod encoding;
mod fields;
mod form;
mod items;
pub mod json;
mod listed;
mod names;
pub mod numbers;
mod numeral;
mod profile;
mod request;
mod select;
mod sheet;
mod sorts;
mod table;
mod tags;
mod text;
mod tree;
mod typed;
pub mod xml;

pub use columns::{Column, stack};
pub use document::Document;
pub use fields::Fields;
pub use form::Form;
pub use numeral::Locale;
pub use profile::{Decision, Profile, Wanted};
pub use request::Extraction;
pub use select::{FieldSelector, Selector};
pub use sorts::Sorts;
pub use typed::typed;

use arrow_array::{Array, StringArray};

use crate::{Code, Error, Result};
use choose::Chosen;

/// What a page may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The bytes of its text.
    pub page_bytes: usize,
    /// How deep its elements are nested.
    pub depth: usize,
    /// Elements and texts of its tree, of some 100 bytes each.
    pub nodes: usize,
    /// Cells of a table, those made by spans included.
    pub cells: usize,
    /// Columns of a table.
    pub columns: usize,
    /// The bytes of all cells' text.
    pub text_bytes: usize,
    /// Looks at an element that the search by a selector, or by all fields of all items, takes; 50 million are about a
    /// second.
    pub looks: u64,
}

impl Default for Limits {
    /// The contract's 50 MiB a page, and what such a page of an honest site needs.
    fn default() -> Self {
        Self {
            page_bytes: 50 << 20,
            depth: 512,
            nodes: 10_000_000,
            cells: 20_000_000,
            columns: 2000,
            text_bytes: 128 << 20,
            looks: 50_000_000,
        }
    }
}

/// Something that the job's result says about a column, or about the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The column, if it is about one.
    pub column: Option<String>,
    /// What is to be known.
    pub text: String,
}

impl Note {
    fn of(column: &str, text: impl Into<String>) -> Self {
        Self { column: Some(column.to_owned()), text: text.into() }
    }

    fn of_footnotes(column: &str, count: usize) -> Option<Self> {
        (count > 0).then(|| Self::of(column, format!("{count} footnote marks left out")))
    }

    fn of_all(text: impl Into<String>) -> Self {
        Self { column: None, text: text.into() }
    }
}

/// The rows of a page.
#[derive(Clone, Debug)]
pub struct Extracted {
    /// The columns, with distinct names and one length.
    pub columns: Vec<Column>,
    /// How many rows there are.
    pub rows: usize,
    /// What was left out, renamed or filled.
    pub notes: Vec<Note>,
}

/// Takes the rows from a page.
///
/// # Errors
/// [`Code::SelectorMatchedNothing`] with the page's title; [`Code::InvalidSelector`]; [`Code::TooManyColumns`] and
/// [`Code::HtmlTooLarge`] by the limits.
pub fn extract(document: &Document, wish: &Extraction, limits: &Limits) -> Result<Extracted> {
    let text = wish.selector.as_deref().unwrap_or(choose::DEFAULT);
    let selector = Selector::parse(text).map_err(|fault| Error::field("selector", Code::InvalidSelector, fault))?;
    let matched = selector.select(&document.tree, limits)?;
    if matched.is_empty() {
        return Err(nothing(document, format!("nothing on the page matches `{text}`")));
    }
    let mut parts = Vec::new();
    let mut notes = Vec::new();
    match choose::choose(matched, wish) {
        Chosen::Items(items) => {
            let (columns, more) = items::read(items, wish, document.links(), limits)?;
            parts.push(columns);
            notes = more;
        }
        Chosen::Tables(tables) => {
            let count = tables.len();
            if !wish.all_tables && count > 1 && wish.table_index.is_none() {
                notes.push(Note::of_all(format!(
                    "{count} tables match; this is the first (`table_index` and `all_tables` take others): {}",
                    listed::listed(&tables)
                )));
            }
            let first = wish.table_index.unwrap_or_default();
            let taken = if wish.all_tables { count } else { 1 };
            for (n, (table, rows)) in tables.iter().enumerate().skip(first).take(taken) {
                let (mut columns, more) = sheet::read(*table, rows.as_ref(), wish, document.links(), limits)?;
                if wish.all_tables {
                    number(&mut columns, n);
                }
                parts.push(columns);
                notes.extend(more);
            }
            if parts.is_empty() {
                let listed = listed::listed(&tables);
                let told = format!("`table_index` is {first}, and {count} tables match `{text}`: {listed}");
                return Err(nothing(document, told));
            }
        }
    }
    let columns = stack(parts)?;
    if columns.is_empty() {
        return Err(nothing(document, format!("what matches `{text}` is empty")));
    }
    let rows = columns.first().map_or(0, |column| column.cells.len());
    Ok(Extracted { columns, rows, notes })
}

/// Tells the rows of one table from those of others: `table_index`, as the request would name it.
fn number(columns: &mut Vec<Column>, index: usize) {
    let Some(rows) = columns.first().map(|column| column.cells.len()) else { return };
    let taken = columns.iter().any(|column| column.name.eq_ignore_ascii_case("table_index"));
    let name = if taken { "table_index_2" } else { "table_index" };
    let cells = StringArray::from_iter_values(std::iter::repeat_n(index.to_string(), rows));
    columns.insert(0, Column::free(name.to_owned(), cells));
}

fn nothing(document: &Document, what: String) -> Error {
    let title =
        document.title().map_or_else(|| "it has no title".to_owned(), |title| format!("its title is {title:?}"));
    let message = format!("{what}; {title}. If that is not the page you meant, it may want a login or a browser");
    Error::new(Code::SelectorMatchedNothing, message)
}

#[cfg(test)]
mod tests;
