//! Objects as rows: columns by their keys, in the order in which these first appear.
use std::{borrow::Cow, collections::HashMap};

use arrow_array::builder::StringBuilder;

use super::{Json, Shape, Strings, value::plain};
use crate::{
    Code, Error, Result,
    extract::{Column, Extracted, Limits, Note, Sorts, names},
};

/// Rows under way.
pub struct Rows {
    strings: Strings,
    /// Whether arrays and objects are to become lists and structs.
    nested: bool,
    names: Vec<String>,
    places: HashMap<String, usize>,
    columns: Vec<Growing>,
    rows: usize,
    bytes: usize,
    most_bytes: usize,
    most_columns: usize,
    scratch: String,
}

struct Growing {
    text: StringBuilder,
    sorts: Sorts,
    shape: Option<Shape>,
    /// The rows that it has cells of.
    rows: usize,
}

impl Rows {
    pub(super) fn new(limits: &Limits, strings: Strings, nested: bool) -> Self {
        Self {
            strings,
            nested,
            names: Vec::new(),
            places: HashMap::new(),
            columns: Vec::new(),
            rows: 0,
            bytes: 0,
            most_bytes: limits.text_bytes,
            most_columns: limits.columns,
            scratch: String::new(),
        }
    }

    /// Adds a row; a scalar or an array is the column `value`.
    ///
    /// # Errors
    /// [`Code::TooManyColumns`], [`Code::JsonInvalid`] for too much text.
    pub fn push(&mut self, item: &Json<'_>) -> Result<()> {
        self.rows += 1;
        match item {
            Json::Object(members) => {
                for (n, (name, value)) in members.iter().enumerate() {
                    let place = self.place(n, name)?;
                    self.set(place, value)?;
                }
            }
            other => {
                let place = self.place(0, "value")?;
                self.set(place, other)?;
            }
        }
        if self.bytes > self.most_bytes {
            let message = format!("the rows hold more than {} bytes of text", self.most_bytes);
            return Err(Error::new(Code::JsonInvalid, message));
        }
        Ok(())
    }

    /// The place of a column; `guess` is where it was in a row that has the same keys.
    fn place(&mut self, guess: usize, name: &str) -> Result<usize> {
        if self.names.get(guess).is_some_and(|known| known == name) {
            return Ok(guess);
        }
        if let Some(place) = self.places.get(name) {
            return Ok(*place);
        }
        if self.names.len() >= self.most_columns {
            let message = format!("the rows have more than {} different keys", self.most_columns);
            return Err(Error::new(Code::TooManyColumns, message));
        }
        self.places.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        self.columns.push(Growing { text: StringBuilder::new(), sorts: Sorts::NONE, shape: None, rows: 0 });
        Ok(self.names.len() - 1)
    }

    fn set(&mut self, place: usize, value: &Json<'_>) -> Result<()> {
        let Some(column) = self.columns.get_mut(place) else { return Ok(()) };
        // A key that comes twice: the first one stays, as the cell is written.
        if column.rows >= self.rows {
            return Ok(());
        }
        column.text.append_nulls(self.rows - 1 - column.rows);
        column.rows = self.rows;
        self.scratch.clear();
        let text: Cow<'_, str> = match value {
            Json::Null => {
                column.text.append_null();
                return Ok(());
            }
            Json::Number(number) => plain(number),
            Json::Bool(_) | Json::Text(_) => value.scalar().unwrap_or_default(),
            Json::List(_) | Json::Object(_) => {
                value.write(&mut self.scratch);
                Cow::Borrowed(&self.scratch)
            }
        };
        column.sorts = column.sorts | Sorts::of(value, self.strings);
        if self.nested && matches!(value, Json::List(_) | Json::Object(_)) {
            let shape = Shape::of(value);
            column.shape = Some(match column.shape.take() {
                Some(before) => before.merge(shape),
                None => shape,
            });
        }
        self.bytes += text.len();
        if self.bytes > self.most_bytes + (1 << 30) {
            return Err(Error::new(Code::JsonInvalid, "the rows hold more text than one page may have"));
        }
        column.text.append_value(&text);
        Ok(())
    }

    /// The columns.
    ///
    /// # Errors
    /// None so far.
    pub fn finish(self) -> Result<Extracted> {
        let rows = self.rows;
        let (names, renamed) = names::distinct(self.names);
        let note = |n: usize| Some(Note::of(names.get(n)?, "renamed: another key differs in case only, or is empty"));
        let notes = renamed.into_iter().filter_map(note).collect();
        let columns = names.iter().zip(self.columns).map(|(name, mut column)| {
            column.text.append_nulls(rows - column.rows);
            Column { name: name.clone(), cells: column.text.finish(), sorts: column.sorts, shape: column.shape }
        });
        Ok(Extracted { columns: columns.collect(), rows, notes })
    }
}
