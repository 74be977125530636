//! The HTML standard's algorithm for forming a table (HTML 4.9.12), row by row: which cell covers which column.
//!
//! We differ from it where browsers do: a cell that spans beyond its row group ends there, and what is not displayed
//! takes no place. Rows and columns in which no cell begins are an error of the table by the standard; they are left out.
use std::rc::Rc;

use super::{
    Limits,
    columns::too_many_columns,
    text::{self, Cell},
    tree::Element,
};
use crate::{Code, Error, Result};

/// The most columns and rows that a cell can span, by the standard.
const MOST_COLSPAN: usize = 1000;
const MOST_ROWSPAN: usize = 65_534;

/// The part of the table that a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The first `<thead>`.
    Head,
    /// A `<tbody>`, rows outside of any part, and a `<thead>` that comes again.
    Body,
    /// A `<tfoot>`; its rows come last, wherever it stands.
    Foot,
}

/// A cell where it stands.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) cell: Cell,
    /// `<th>`, not `<td>`.
    pub(super) is_header: bool,
    /// It says of itself that it heads its row.
    pub(super) heads_row: bool,
}

/// A row as it is covered by cells; the same cell may stand in several columns and rows.
pub(super) struct Row<'a, 't> {
    pub(super) part: Part,
    pub(super) element: Element<'t>,
    pub(super) slots: &'a [Option<Rc<Placed>>],
}

/// What is known once all rows were seen.
#[derive(Debug, Default)]
pub(super) struct Formed {
    /// For each column whether a cell begins in it.
    pub(super) begins: Vec<bool>,
    pub(super) caption: Option<String>,
    /// Rows in which no cell begins.
    pub(super) empty_rows: usize,
}

/// A cell that covers rows still to come: how many.
type Span = Option<(Rc<Placed>, usize)>;

/// Forms a table; every row goes to `take`, in order.
pub(super) fn form<'t>(
    table: Element<'t>,
    limits: &Limits,
    take: &mut dyn FnMut(Row<'_, 't>) -> Result<()>,
) -> Result<Formed> {
    let mut former = Former { limits, take, formed: Formed::default(), spans: Vec::new(), row: Vec::new(), slots: 0 };
    let mut feet = Vec::new();
    let mut has_head = false;
    for child in table.child_elements().filter(|child| !text::is_hidden(*child)) {
        match child.name() {
            "caption" if former.formed.caption.is_none() => {
                let caption = text::read(child, |_| false).text;
                former.formed.caption = Some(caption).filter(|caption| !caption.is_empty());
            }
            "thead" if !has_head => {
                has_head = true;
                former.group(Part::Head, child)?;
            }
            "thead" | "tbody" => former.group(Part::Body, child)?,
            "tfoot" => {
                former.spans.clear();
                feet.push(child);
            }
            // Without a group of its own: only scripts make such rows, the parser puts them into a `<tbody>`.
            "tr" => former.row(Part::Body, child)?,
            _ => {}
        }
    }
    for foot in feet {
        former.group(Part::Foot, foot)?;
    }
    Ok(former.formed)
}

struct Former<'f, 't> {
    limits: &'f Limits,
    take: &'f mut dyn FnMut(Row<'_, 't>) -> Result<()>,
    formed: Formed,
    /// By column: what covers the next rows of this group.
    spans: Vec<Span>,
    /// The row under way.
    row: Vec<Option<Rc<Placed>>>,
    /// How many slots were made, for the limit.
    slots: usize,
}

impl<'t> Former<'_, 't> {
    fn group(&mut self, part: Part, group: Element<'t>) -> Result<()> {
        self.spans.clear();
        let rows = group.child_elements().filter(|row| row.name() == "tr");
        for row in rows.filter(|row| !text::is_hidden(*row)) {
            self.row(part, row)?;
        }
        self.spans.clear();
        Ok(())
    }

    fn row(&mut self, part: Part, element: Element<'t>) -> Result<()> {
        self.begin_row();
        let mut column = 0;
        let mut begun = false;
        for cell in element.child_elements() {
            let is_header = cell.name() == "th";
            if !(is_header || cell.name() == "td") || text::is_hidden(cell) {
                continue;
            }
            while self.row.get(column).is_some_and(Option::is_some) {
                column += 1;
            }
            if column >= self.limits.columns {
                return Err(too_many_columns(self.limits.columns));
            }
            begun = true;
            let placed = Rc::new(Placed {
                cell: text::read(cell, |_| false),
                is_header,
                heads_row: is_header && cell.attribute("scope").is_some_and(|scope| scope.trim().starts_with("row")),
            });
            let columns = span(cell.attribute("colspan"), 1, MOST_COLSPAN).min(self.limits.columns - column);
            self.place(placed, column, columns, span(cell.attribute("rowspan"), 0, MOST_ROWSPAN));
            column += columns;
        }
        self.slots += self.row.len();
        if self.slots > self.limits.cells {
            return Err(Error::new(
                Code::HtmlTooLarge,
                format!("the table has more than {} cells, those made by spans included", self.limits.cells),
            ));
        }
        if begun {
            (self.take)(Row { part, element, slots: &self.row })
        } else {
            self.formed.empty_rows += 1;
            Ok(())
        }
    }

    /// Begins a row with the cells that reach down into it.
    fn begin_row(&mut self) {
        self.row.clear();
        for span in &mut self.spans {
            let here = span.as_mut().map(|(placed, left)| {
                *left -= 1;
                (placed.clone(), *left)
            });
            if here.as_ref().is_some_and(|(_, left)| *left == 0) {
                *span = None;
            }
            self.row.push(here.map(|(placed, _)| placed));
        }
        while self.spans.last().is_some_and(Option::is_none) {
            self.spans.pop();
        }
        while self.row.last().is_some_and(Option::is_none) {
            self.row.pop();
        }
    }

    /// Covers the columns from `column` on, those apart that a cell from above covers already.
    fn place(&mut self, placed: Rc<Placed>, column: usize, columns: usize, rows: usize) {
        let end = column + columns;
        if self.row.len() < end {
            self.row.resize(end, None);
        }
        if self.formed.begins.len() <= column {
            self.formed.begins.resize(column + 1, false);
        }
        if let Some(begins) = self.formed.begins.get_mut(column) {
            *begins = true;
        }
        // Rowspan 0 reaches to the end of the group, where all spans are cleared anyway.
        let left = if rows == 0 { usize::MAX } else { rows - 1 };
        if left > 0 && self.spans.len() < end {
            self.spans.resize(end, None);
        }
        for (at, slot) in self.row.iter_mut().enumerate().take(end).skip(column) {
            if slot.is_none() {
                *slot = Some(placed.clone());
                if left > 0
                    && let Some(span) = self.spans.get_mut(at)
                {
                    *span = Some((placed.clone(), left));
                }
            }
        }
    }
}

/// A span by the standard's rules for non-negative integers: 1 if it is none or below `least`, at most `most`.
fn span(value: Option<&str>, least: usize, most: usize) -> usize {
    let Some(value) = value else { return 1 };
    let value = value.trim_start_matches([' ', '\t', '\n', '\x0c', '\r']);
    let value = value.strip_prefix('+').unwrap_or(value);
    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    match value.get(..digits) {
        None | Some("") => 1,
        // More digits than fit are more than the most.
        Some(digits) => match digits.parse::<usize>().unwrap_or(most) {
            number if number < least => 1,
            number => number.min(most),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::Document;
    use super::*;

    /// A table as text: rows by lines, cells by blanks, `_` where none is, `|` before the part's first letter.
    fn formed(html: &str, limits: &Limits) -> Result<(String, Formed)> {
        let page = Document::parse(html, None, &Limits::default()).expect("a page");
        let mut lines = Vec::new();
        let table = page.tree.elements().find(|element| element.name() == "table").expect("a table");
        let formed = form(table, limits, &mut |row| {
            let slots = row.slots.iter();
            let texts: Vec<_> = slots.map(|slot| slot.as_ref().map_or("_", |placed| &placed.cell.text)).collect();
            lines.push(format!("{:?} {}", row.part, texts.join(" ")));
            Ok(())
        })?;
        Ok((lines.join("\n"), formed))
    }

    fn grid(html: &str) -> String {
        formed(html, &Limits::default()).expect("formed").0
    }

    #[test]
    fn spans_cover_what_the_standard_says() {
        let tables = [
            (
                "<table><tr><td rowspan=2>A<td>1<td>x<tr><td>2<td>y<tr><td>B<td colspan=2>9</table>",
                "Body A 1 x\nBody A 2 y\nBody B 9 9",
            ),
            ("<table><tr><td rowspan=0>A<td>1<tr><td>2<tr><td>3</table>", "Body A 1\nBody A 2\nBody A 3"),
            ("<table><tr><td rowspan=99>A<td>1<tr><td>2</table>", "Body A 1\nBody A 2"),
            ("<table><tbody><tr><td rowspan=0>A<td>1<tr><td>2<tbody><tr><td>3</table>", "Body A 1\nBody A 2\nBody 3"),
            // Cells that overlap: the one from above stays.
            ("<table><tr><td>1<td rowspan=2>2<td>3<tr><td colspan=3>4</table>", "Body 1 2 3\nBody 4 2 4"),
            ("<table><tr><td>a<td rowspan=3>b<tr><tr><td>c</table>", "Body a b\nBody c b"),
            (
                "<table><tr><td colspan=0>a<td colspan=-2>b<td rowspan=x>c<td colspan=' +2px'>d</table>",
                "Body a b c d d",
            ),
            (
                "<table><thead><tr><th>h<tfoot><tr><td>f<tbody><tr><td>b<thead><tr><th>again</table>",
                "Head h\nBody b\nBody again\nFoot f",
            ),
            ("<table><tr><td hidden>a<td>b<tr style='display:none'><td>c<tr><td>d<td>e</table>", "Body b\nBody d e"),
            ("<table><tr><td>1<td><table><tr><td>7</table><tr><td>2<td>z</table>", "Body 1 \nBody 2 z"),
            ("<table></table>", ""),
        ];
        for (html, expected) in tables {
            assert_eq!(grid(html), expected, "{html}");
        }
    }

    #[test]
    fn the_standards_own_examples_form() {
        // HTML 4.9.12.2: "the grid for this table has three rows and five columns".
        assert_eq!(
            grid("<table><tr><td>A<td>B<td rowspan=2>C<td>D<tr><td colspan=2>E<td>F<tr><td>G<td>H<td>I<td>J</table>"),
            "Body A B C D\nBody E E C F\nBody G H I J"
        );
        // 4.9.11, "two cells overlap": the second row's 5 spans into the 2 from above.
        assert_eq!(
            grid("<table><tr><td>1 <td>2 <td rowspan=2>3 <tr><td>4 <td colspan=2>5 </table>"),
            "Body 1 2 3\nBody 4 5 3"
        );
    }

    #[test]
    fn columns_without_a_beginning_are_told() {
        let (grid, formed) =
            formed("<table><caption> t </caption><tr><td>a<td>b<tr><td colspan=1000000>x</table>", &Limits::default())
                .expect("formed");
        assert_eq!(grid.lines().last().map(|line| line.matches('x').count()), Some(1000));
        assert_eq!((formed.begins, formed.caption.as_deref()), (vec![true, true], Some("t")));
        assert_eq!(formed.empty_rows, 0);
    }

    #[test]
    fn what_is_made_is_bounded() {
        let limits = Limits { cells: 10_000, columns: 50, ..Limits::default() };
        let code = |html: &str| formed(html, &limits).map(|_| ()).map_err(|e| e.code());
        assert_eq!(code(&format!("<table><tr>{}", "<td>".repeat(51))), Err(Code::TooManyColumns));
        assert_eq!(code(&format!("<table><tr>{}", "<td>".repeat(50))), Ok(()));
        let rows = format!("<table><tr><td colspan=50 rowspan=65534>{}", "<tr>".repeat(1000));
        assert_eq!(code(&rows), Err(Code::HtmlTooLarge));
    }
}
