//! A formed table as columns: which rows are its header, what the columns are called, what is left out.
use std::{collections::HashSet, rc::Rc};

use super::{
    Column, Extraction, Limits, Note,
    columns::{Columns, Growing},
    document::Links,
    names,
    table::{self, Formed, Part, Placed, Row},
    tree::Element,
};
use crate::Result;

/// The most rows of a header; more are rows of the table.
const MOST_HEADER_ROWS: usize = 16;

type Slots = Vec<Option<Rc<Placed>>>;

/// Reads a table; with `only`, of its body just these rows.
pub(super) fn read(
    table: Element<'_>,
    only: Option<&HashSet<u32>>,
    wish: &Extraction,
    links: &Links,
    limits: &Limits,
) -> Result<(Vec<Column>, Vec<Note>)> {
    let links = wish.links.then(|| links.clone());
    let mut sheet = Sheet {
        header_rows: wish.header_rows.map(usize::from),
        include_footer: wish.include_footer,
        header: Vec::new(),
        waiting: Vec::new(),
        has_begun: false,
        columns: Columns::new(links, limits),
        bands: Vec::new(),
        covered: Vec::new(),
        repeated_headers: 0,
        footer_rows: 0,
    };
    let formed = table::form(table, limits, &mut |row| {
        let wanted = only.is_none_or(|only| only.contains(&row.element.id()));
        sheet.take(&row, wanted)
    })?;
    sheet.end()?;
    Ok(sheet.finish(&formed))
}

struct Sheet {
    /// How many rows the request says are the header.
    header_rows: Option<usize>,
    include_footer: bool,
    header: Vec<Slots>,
    /// Rows of headings only, before any other: the header, if another row follows. With whether they are wanted.
    waiting: Vec<(Slots, bool)>,
    /// Whether the header is known.
    has_begun: bool,
    columns: Columns,
    /// Rows of one cell over all columns, as long as no other row follows them.
    bands: Vec<(Slots, bool)>,
    /// For each number of columns, how many rows cover so many.
    covered: Vec<usize>,
    repeated_headers: usize,
    footer_rows: usize,
}

impl Sheet {
    fn take(&mut self, row: &Row<'_, '_>, wanted: bool) -> Result<()> {
        if let Some(rows) = self.header_rows {
            if self.header.len() < rows && row.part != Part::Foot {
                self.header.push(row.slots.to_vec());
                return Ok(());
            }
            self.has_begun = true;
        }
        match row.part {
            Part::Head if !self.has_begun && self.header.len() < MOST_HEADER_ROWS => {
                self.header.push(row.slots.to_vec());
                Ok(())
            }
            Part::Foot if !self.include_footer => {
                self.footer_rows += 1;
                Ok(())
            }
            _ => self.body(row.slots, wanted),
        }
    }

    fn body(&mut self, slots: &[Option<Rc<Placed>>], wanted: bool) -> Result<()> {
        if !self.has_begun {
            if self.header.iter().all(|row| row.iter().flatten().all(|placed| placed.cell.text.is_empty())) {
                self.header.clear();
            }
            if self.header.is_empty() && is_heading(slots) && self.waiting.len() < MOST_HEADER_ROWS {
                self.waiting.push((slots.to_vec(), wanted));
                return Ok(());
            }
            self.has_begun = true;
            self.header.extend(std::mem::take(&mut self.waiting).into_iter().map(|(row, _)| row));
        }
        if self.repeats_the_header(slots) {
            self.repeated_headers += 1;
            return Ok(());
        }
        // Below the last row such a band is a remark or the source, which would make text of every column.
        let is_last = !self.include_footer && self.columns.rows > 0 && self.bands.len() < MOST_HEADER_ROWS;
        if is_last && self.is_band(slots) {
            self.bands.push((slots.to_vec(), wanted));
            return Ok(());
        }
        for (band, wanted) in std::mem::take(&mut self.bands) {
            self.push(&band, wanted)?;
        }
        self.push(slots, wanted)
    }

    /// One cell over all columns that are known.
    fn is_band(&self, slots: &[Option<Rc<Placed>>]) -> bool {
        let [Some(first), ..] = slots else { return false };
        let width = self.header.iter().map(Vec::len).max().unwrap_or_default().max(self.columns.columns.len());
        slots.len() >= width.max(2) && slots.iter().all(|slot| slot.as_ref().is_some_and(|it| Rc::ptr_eq(it, first)))
    }

    fn push(&mut self, slots: &[Option<Rc<Placed>>], wanted: bool) -> Result<()> {
        if !wanted {
            return Ok(());
        }
        let covered = slots.iter().flatten().count();
        if self.covered.len() <= covered {
            self.covered.resize(covered + 1, 0);
        }
        if let Some(rows) = self.covered.get_mut(covered) {
            *rows += 1;
        }
        self.columns.push(slots.iter().map(|slot| slot.as_ref().map(|placed| &placed.cell)))
    }

    /// Long tables show their header again and again.
    fn repeats_the_header(&self, slots: &[Option<Rc<Placed>>]) -> bool {
        let text = |slot: &Option<Rc<Placed>>| slot.as_ref().map(|placed| placed.cell.text.clone());
        is_heading(slots) && self.header.iter().any(|row| row.iter().map(text).eq(slots.iter().map(text)))
    }

    /// All rows were seen. If all are headings, the first heads the others.
    fn end(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        self.has_begun = true;
        for (n, (slots, wanted)) in waiting.into_iter().enumerate() {
            if n == 0 {
                self.header.push(slots);
            } else {
                self.push(&slots, wanted)?;
            }
        }
        let width = self.header.iter().map(Vec::len).max().unwrap_or_default();
        self.columns.widen(width)
    }

    fn finish(self, formed: &Formed) -> (Vec<Column>, Vec<Note>) {
        let width = formed.begins.iter().filter(|begins| **begins).count();
        let (titles, header): (Vec<Slots>, Vec<Slots>) =
            self.header.into_iter().partition(|row| width > 1 && is_title(row, &formed.begins));
        let mut notes = Vec::new();
        let mut note = |rows: usize, text: &str| {
            if rows > 0 {
                notes.push(Note::of_all(format!("{rows} {}{text}", if rows == 1 { "row" } else { "rows" })));
            }
        };
        let short: usize = self.covered.iter().take(width).sum();
        note(short, " with fewer cells than the widest: what is missing is NULL");
        note(self.repeated_headers, " that only repeated the header left out");
        note(self.footer_rows, " of the table's footer left out; `include_footer` takes them in");
        note(formed.empty_rows, " without a cell left out");
        for text in titles.iter().filter_map(|row| row.iter().flatten().next()) {
            notes.push(Note::of_all(format!(
                "a heading over all columns is no part of their names: {}",
                text.cell.text
            )));
        }
        for text in self.bands.iter().filter_map(|(row, _)| row.first()?.as_ref()) {
            notes.push(Note::of_all(format!("a line below the rows left out: {}", text.cell.text)));
        }
        notes.extend(formed.caption.as_ref().map(|caption| Note::of_all(format!("caption: {caption}"))));
        let columns = name(self.columns.columns, &header, &formed.begins, &mut notes);
        (columns, notes)
    }
}

/// A row of `<th>` that do not head a row each.
fn is_heading(slots: &[Option<Rc<Placed>>]) -> bool {
    let mut cells = slots.iter().flatten();
    !slots.is_empty() && cells.clone().all(|placed| placed.is_header) && cells.any(|placed| !placed.heads_row)
}

/// One single cell over all columns.
fn is_title(row: &Slots, begins: &[bool]) -> bool {
    let Some(first) = row.iter().flatten().next() else { return false };
    let covers =
        |(column, _): (usize, _)| row.get(column).and_then(Option::as_ref).is_some_and(|it| Rc::ptr_eq(it, first));
    begins.iter().enumerate().filter(|(_, begins)| **begins).all(covers)
}

/// What the header says over a column: its levels from above, joined by dots.
fn heading(header: &[Slots], column: usize) -> String {
    let mut levels: Vec<&str> = Vec::new();
    for placed in header.iter().filter_map(|row| row.get(column)?.as_ref()) {
        let text = placed.cell.text.as_str();
        if !text.is_empty() && levels.last() != Some(&text) {
            levels.push(text);
        }
    }
    let levels: Vec<_> = levels.into_iter().map(names::from_words).filter(|name| !name.is_empty()).collect();
    levels.join(".")
}

/// Gives the columns their names, links beside them; leaves out those that are nothing but room between others.
fn name(growing: Vec<Growing>, header: &[Slots], begins: &[bool], notes: &mut Vec<Note>) -> Vec<Column> {
    let (mut words, mut cells, mut footnotes) = (Vec::new(), Vec::new(), Vec::new());
    for (n, mut column) in growing.into_iter().enumerate() {
        let heading = heading(header, n);
        let is_room = heading.is_empty() && !column.is_filled && column.links.is_none();
        if is_room || !begins.get(n).copied().unwrap_or_default() {
            continue;
        }
        words.push(heading);
        cells.push(column.text.finish());
        footnotes.push(column.footnotes);
        if let Some(mut links) = column.links.take() {
            let name = words.last().filter(|name| !name.is_empty());
            words.push(name.map_or_else(|| format!("column_{}_link", words.len()), |name| format!("{name}_link")));
            cells.push(links.finish());
            footnotes.push(0);
        }
    }
    let (names, renamed) = names::distinct(words);
    for name in renamed.into_iter().filter_map(|n| names.get(n)) {
        notes.push(Note::of(name, "renamed: another column has the same name"));
    }
    notes.extend(names.iter().zip(footnotes).filter_map(|(name, count)| Note::of_footnotes(name, count)));
    names.into_iter().zip(cells).map(|(name, cells)| Column::free(name, cells)).collect()
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;

    use super::super::Document;
    use super::*;

    fn table(document: &Document) -> Element<'_> {
        document.tree.elements().find(|element| element.name() == "table").expect("a table")
    }

    /// A table as text: names, then rows, `∅` for NULL.
    fn sheet(html: &str, wish: &Extraction) -> Vec<String> {
        let limits = Limits::default();
        let document = Document::parse(html, None, &limits).expect("a page");
        let (columns, _) = read(table(&document), None, wish, document.links(), &limits).expect("a sheet");
        let rows = columns.first().map_or(0, |column| column.cells.len());
        let row = |n: usize| {
            let cell =
                |column: &Column| if column.cells.is_null(n) { "∅".into() } else { column.cells.value(n).to_owned() };
            columns.iter().map(cell).collect::<Vec<String>>().join(" ")
        };
        let names = columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(" ");
        std::iter::once(names).chain((0..rows).map(row)).collect()
    }

    fn plain(html: &str) -> Vec<String> {
        sheet(html, &Extraction::default())
    }

    #[test]
    fn headers_are_found() {
        let tables: [(&str, &[&str]); 14] = [
            ("<table><thead><tr><th>a<th>b<tbody><tr><td>1<td>x</table>", &["a b", "1 x"]),
            (
                "<table><tr><th colspan=2>G1<th>G2<tr><th>a<th>b<th>c<tr><td>1<td>2<td>3</table>",
                &["G1.a G1.b G2.c", "1 2 3"],
            ),
            (
                "<table><tr><th rowspan=2>k<th colspan=2>G<tr><th>a<th>b<tr><td>1<td>2<td>3</table>",
                &["k G.a G.b", "1 2 3"],
            ),
            ("<table><tr><td>1<td>2<tr><td>3<td>4</table>", &["column_1 column_2", "1 2", "3 4"]),
            (
                "<table><tr><th><th>2020<th>2021<tr><th>rev<td>1<td>2<tr><th>cost<td>3<td>4</table>",
                &["column_1 2020 2021", "rev 1 2", "cost 3 4"],
            ),
            ("<table><tr><th>a<th>a<th><tr><td>1<td>2<td>3</table>", &["a a_2 column_3", "1 2 3"]),
            ("<table><tr><th>a<th>b<tr><th>c<th>d</table>", &["a b", "c d"]),
            ("<table><tr><th scope=row>a<tr><th scope=row>b</table>", &["column_1", "a", "b"]),
            ("<table><tr><th colspan=2>Berlin<tr><th>Area<td>891</table>", &["column_1 column_2", "Area 891"]),
            ("<table><tr><th>a<th>b<tr><td>1<td>2<tr><th>a<th>b<tr><td>3<td>4</table>", &["a b", "1 2", "3 4"]),
            ("<table><thead><tr><td><td></thead><tr><th>a<th>b<tr><td>1<td>2</table>", &["a b", "1 2"]),
            ("<table><tr><th>a<th>b<tr><td colspan=1000000>x</table>", &["a b", "x x"]),
            ("<table><tr><th>a<th><th>b<tr><td>1<td>&nbsp;<td>2</table>", &["a b", "1 2"]),
            ("<table><thead><tr><th>a<th>b</table>", &["a b"]),
        ];
        for (html, expected) in tables {
            assert_eq!(plain(html), expected, "{html}");
        }
    }

    #[test]
    fn options_change_what_is_taken() {
        let table = "<table><thead><tr><th>a<th>b<tfoot><tr><td>T<td>3<tbody><tr><td>x<td><a href=/1>1</a></table>";
        assert_eq!(plain(table), ["a b", "x 1"]);
        assert_eq!(sheet(table, &Extraction { include_footer: true, ..Extraction::default() }), ["a b", "x 1", "T 3"]);
        assert_eq!(sheet(table, &Extraction { links: true, ..Extraction::default() }), ["a b b_link", "x 1 /1"]);
        let header = |rows| Extraction { header_rows: Some(rows), ..Extraction::default() };
        assert_eq!(sheet(table, &header(0)), ["column_1 column_2", "a b", "x 1"]);
        assert_eq!(sheet("<table><tr><td>a<td>b<tr><td>1<td>2</table>", &header(1)), ["a b", "1 2"]);
        assert_eq!(sheet(table, &header(2)), ["a.x b.1"]);
    }

    #[test]
    fn short_rows_are_filled_and_told() {
        let html = "<table><tr><th>a<th>b<th>c<tr><td>1<tr><td>1<td>2<td>3<td>4</table>";
        assert_eq!(plain(html), ["a b c column_4", "1 ∅ ∅ ∅", "1 2 3 4"]);
        let limits = Limits::default();
        let document = Document::parse(html, None, &limits).expect("a page");
        let (_, notes) =
            read(table(&document), None, &Extraction::default(), document.links(), &limits).expect("a sheet");
        assert_eq!(notes[0].text, "1 row with fewer cells than the widest: what is missing is NULL");
    }
}
