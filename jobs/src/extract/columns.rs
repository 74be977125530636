//! Columns of text that grow row by row, and in width too.
use std::collections::HashMap;

use arrow_array::{Array, StringArray, builder::StringBuilder};

use super::{Limits, Sorts, document::Links, json::Shape, text::Cell};
use crate::{Code, Error, Result};

/// A column of text cells.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name, distinct among its neighbours.
    pub name: String,
    /// Its cells; empty and missing ones are NULL.
    pub cells: StringArray,
    /// What they are, as far as that is said.
    pub sorts: Sorts,
    /// What its arrays and objects have in common, if that is wanted.
    pub shape: Option<Shape>,
}

impl Column {
    /// A column of texts that may be anything.
    #[must_use]
    pub fn free(name: String, cells: StringArray) -> Self {
        Self { name, cells, sorts: Sorts::FREE, shape: None }
    }
}

/// A column under way.
#[derive(Default)]
pub(super) struct Growing {
    pub(super) text: StringBuilder,
    /// The links of the cells, if any has one.
    pub(super) links: Option<StringBuilder>,
    pub(super) footnotes: usize,
    /// Whether any cell has text.
    pub(super) is_filled: bool,
}

/// Rows that are gathered by columns, within bounds.
pub(super) struct Columns {
    pub(super) columns: Vec<Growing>,
    pub(super) rows: usize,
    links: Option<Links>,
    bytes: usize,
    most_bytes: usize,
    most_columns: usize,
}

impl Columns {
    pub(super) fn new(links: Option<Links>, limits: &Limits) -> Self {
        Self {
            columns: Vec::new(),
            rows: 0,
            links,
            bytes: 0,
            most_bytes: limits.text_bytes,
            most_columns: limits.columns,
        }
    }

    /// Adds a row; what it lacks is NULL.
    pub(super) fn push<'c>(&mut self, cells: impl Iterator<Item = Option<&'c Cell>>) -> Result<()> {
        let mut taken = 0;
        for cell in cells {
            self.widen(taken + 1)?;
            if let (Some(column), Some(cell)) = (self.columns.get_mut(taken), cell) {
                let text = Some(cell.text.as_str()).filter(|text| !text.is_empty());
                column.text.append_option(text);
                column.is_filled |= text.is_some();
                column.footnotes += cell.footnotes;
                let link = self.links.as_ref().zip(cell.link.as_deref()).and_then(|(links, href)| links.absolute(href));
                if let (Some(link), None) = (&link, &column.links) {
                    let mut links = StringBuilder::new();
                    links.append_nulls(self.rows);
                    links.append_value(link);
                    column.links = Some(links);
                } else if let Some(links) = &mut column.links {
                    links.append_option(link.as_deref());
                }
                self.bytes += cell.text.len() + link.map_or(0, |link| link.len());
            } else if let Some(column) = self.columns.get_mut(taken) {
                column.text.append_null();
                column.links.iter_mut().for_each(StringBuilder::append_null);
            }
            taken += 1;
        }
        for column in self.columns.iter_mut().skip(taken) {
            column.text.append_null();
            column.links.iter_mut().for_each(StringBuilder::append_null);
        }
        self.rows += 1;
        if self.bytes > self.most_bytes {
            return Err(Error::new(
                Code::HtmlTooLarge,
                format!("the cells hold more than {} bytes of text, most of it repeated by spans", self.most_bytes),
            ));
        }
        Ok(())
    }

    /// Makes sure that there are so many columns.
    pub(super) fn widen(&mut self, width: usize) -> Result<()> {
        if width > self.most_columns {
            return Err(too_many_columns(self.most_columns));
        }
        while self.columns.len() < width {
            let mut column = Growing::default();
            column.text.append_nulls(self.rows);
            self.columns.push(column);
        }
        Ok(())
    }
}

pub(super) fn too_many_columns(most: usize) -> Error {
    Error::new(Code::TooManyColumns, format!("a row has more than {most} columns; choose a narrower table"))
}

/// Puts rows of several tables of a page below each other: columns of the same name become one, what a part lacks is NULL.
///
/// # Errors
/// [`Code::HtmlTooLarge`] if a column has more text than one array can hold.
pub fn stack(parts: Vec<Vec<Column>>) -> Result<Vec<Column>> {
    let mut names: Vec<String> = Vec::new();
    let mut places = HashMap::new();
    for column in parts.iter().flatten() {
        places.entry(column.name.clone()).or_insert_with(|| {
            names.push(column.name.clone());
            names.len() - 1
        });
    }
    let mut pieces: Vec<Vec<StringArray>> = vec![Vec::new(); names.len()];
    for (n, part) in parts.into_iter().enumerate() {
        let rows = part.first().map_or(0, |column| column.cells.len());
        for column in part {
            if let Some(pieces) = places.get(&column.name).and_then(|place| pieces.get_mut(*place)) {
                pieces.push(column.cells);
            }
        }
        for pieces in pieces.iter_mut().filter(|pieces| pieces.len() == n) {
            pieces.push(StringArray::new_null(rows));
        }
    }
    names.into_iter().zip(pieces).map(|(name, pieces)| Ok(Column::free(name, joined(&pieces)?))).collect()
}

fn joined(pieces: &[StringArray]) -> Result<StringArray> {
    if let [piece] = pieces {
        return Ok(piece.clone());
    }
    let bytes = pieces.iter().map(|piece| piece.value_data().len()).sum();
    if i32::try_from(bytes).is_err() {
        return Err(Error::new(Code::HtmlTooLarge, "a column has more than 2 GiB of text"));
    }
    let mut column = StringBuilder::with_capacity(pieces.iter().map(Array::len).sum(), bytes);
    pieces.iter().flatten().for_each(|cell| column.append_option(cell));
    Ok(column.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, cells: &[&str]) -> Column {
        Column::free(name.into(), cells.iter().map(|text| Some(*text).filter(|t| !t.is_empty())).collect())
    }

    fn shown(columns: &[Column]) -> Vec<(String, Vec<Option<&str>>)> {
        columns.iter().map(|column| (column.name.clone(), column.cells.iter().collect())).collect()
    }

    #[test]
    fn parts_are_stacked_by_name() {
        let stacked = stack(vec![
            vec![column("a", &["1", "2"]), column("b", &["x", ""])],
            vec![column("c", &["z"]), column("a", &["3"])],
        ]);
        let stacked = stacked.expect("stacked");
        assert_eq!(
            shown(&stacked),
            [
                ("a".to_owned(), vec![Some("1"), Some("2"), Some("3")]),
                ("b".to_owned(), vec![Some("x"), None, None]),
                ("c".to_owned(), vec![None, None, Some("z")]),
            ]
        );
        assert!(stack(Vec::new()).expect("nothing").is_empty());
    }

    #[test]
    fn columns_grow_with_their_rows_and_are_bounded() {
        let cell =
            |text: &str, link: Option<&str>| Cell { text: text.into(), link: link.map(Into::into), footnotes: 0 };
        let limits = Limits { columns: 3, text_bytes: 100, ..Limits::default() };
        let mut columns = Columns::new(Some(Links::default()), &limits);
        let (one, two) = (cell("1", None), cell("2", Some("/x")));
        columns.push([Some(&one)].into_iter()).expect("a row");
        columns.push([Some(&two), None, Some(&one)].into_iter()).expect("a wider row");
        columns.push([Some(&one)].into_iter()).expect("a row");
        assert!(columns.columns[0].is_filled && !columns.columns[1].is_filled);
        let texts: Vec<_> = columns.columns.iter_mut().map(|column| column.text.finish()).collect();
        assert_eq!(texts[0].iter().collect::<Vec<_>>(), [Some("1"), Some("2"), Some("1")]);
        assert_eq!(texts[2].iter().collect::<Vec<_>>(), [None, Some("1"), None]);
        let links = columns.columns[0].links.as_mut().map(StringBuilder::finish).expect("links");
        assert_eq!(links.iter().collect::<Vec<_>>(), [None, Some("/x"), None]);
        let wide = columns.push([None, None, None, Some(&one)].into_iter());
        assert_eq!(wide.map_err(|e| e.code()), Err(Code::TooManyColumns));
        let long = cell(&"x".repeat(101), None);
        assert_eq!(columns.push([Some(&long)].into_iter()).map_err(|e| e.code()), Err(Code::HtmlTooLarge));
    }
}
