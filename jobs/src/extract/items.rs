//! Lists and cards: one row for each element that matches.
use std::collections::{HashMap, HashSet};

use super::{
    Column, Extraction, FieldSelector, Limits, Note,
    columns::Columns,
    css::Finder,
    document::Links,
    names,
    text::{self, Cell},
    tree::{Child, Element, Visit},
};
use crate::{Code, Error, Result};

/// Reads one row of each element, by `fields` where they are given.
pub(super) fn read(
    matched: Vec<Element<'_>>,
    wish: &Extraction,
    links: &Links,
    limits: &Limits,
) -> Result<(Vec<Column>, Vec<Note>)> {
    let mut records = Records::new(Columns::new(Some(links.clone()), limits));
    if !wish.fields.is_empty() {
        let fields = parsed(wish)?;
        records.begin(fields.iter().map(|(name, _)| name.as_str()));
        let mut finder = Finder::new(limits.looks);
        for item in matched {
            let mut row = Vec::with_capacity(fields.len());
            for (name, field) in &fields {
                let found = field.find(item, &mut finder)?;
                let value = found.and_then(|element| links.value(element, field.attribute.as_deref()));
                row.push((name.clone(), Cell { text: value.unwrap_or_default(), ..Cell::default() }));
            }
            records.push(row)?;
        }
        return Ok(records.finish());
    }
    let items: Vec<_> = matched.into_iter().flat_map(list_items).collect();
    let rows: HashSet<_> = items.iter().map(|item| item.id()).collect();
    for item in items {
        let row = if item.name() == "li" { list_item(item, &rows) } else { card(item, &rows, wish.links) };
        records.push(row)?;
    }
    Ok(records.finish())
}

fn parsed(wish: &Extraction) -> Result<Vec<(String, FieldSelector)>> {
    let parse = |(name, text): &(String, String)| {
        let field = FieldSelector::parse(text)
            .map_err(|fault| Error::field(format!("fields.{name}"), Code::InvalidSelector, fault))?;
        Ok((name.clone(), field))
    };
    wish.fields.0.iter().map(parse).collect()
}

/// A whole list stands for its items.
fn list_items(element: Element<'_>) -> Vec<Element<'_>> {
    if ["ul", "ol", "menu"].contains(&element.name()) {
        element.child_elements().filter(|child| child.name() == "li").collect()
    } else {
        vec![element]
    }
}

/// The text of a list's item, and its link where there is one.
fn list_item(item: Element<'_>, rows: &HashSet<u32>) -> Vec<(String, Cell)> {
    let cell = text::read(item, |inner| rows.contains(&inner.id()));
    let link = cell.link.clone().map(|link| ("link".to_owned(), Cell { link: Some(link), ..Cell::default() }));
    std::iter::once(("text".to_owned(), Cell { link: None, ..cell })).chain(link).collect()
}

/// Any other element: its `data-…` attributes, and the parts in it that have a class; without such parts its text.
fn card(item: Element<'_>, rows: &HashSet<u32>, links: bool) -> Vec<(String, Cell)> {
    let mut row: Vec<(String, Cell)> = Vec::new();
    let data = item.attributes().filter_map(|(name, value)| Some((name.strip_prefix("data-")?, value)));
    for (name, value) in data {
        row.push((names::from_words(name), Cell { text: text::clean(value), ..Cell::default() }));
    }
    row.sort_by(|(one, _), (other, _)| one.cmp(other));
    let attributes = row.len();
    parts(item, rows, &mut row);
    let whole = text::read(item, |inner| rows.contains(&inner.id()));
    if row.len() == attributes && (!whole.text.is_empty() || row.is_empty()) {
        row.push(("text".to_owned(), whole));
    }
    if !links {
        row.iter_mut().for_each(|(_, cell)| cell.link = None);
    }
    row
}

/// The parts of a card: the outermost elements that have a class, and text of their own or no such element within.
fn parts(item: Element<'_>, rows: &HashSet<u32>, row: &mut Vec<(String, Cell)>) {
    item.walk(|visit| {
        let Visit::Enter(inner) = visit else { return true };
        if rows.contains(&inner.id()) || text::is_hidden(inner) {
            return false;
        }
        let Some(name) = class_of(inner) else { return true };
        let has_text = inner.children().any(|child| matches!(child, Child::Text(text) if !text.trim().is_empty()));
        let is_part = has_text || !inner.descendants().any(|inner| class_of(inner).is_some());
        if is_part {
            row.push((name, text::read(inner, |inner| rows.contains(&inner.id()))));
        }
        !is_part
    });
}

/// The first class, as it is written, as a name.
fn class_of(element: Element<'_>) -> Option<String> {
    let class = element.classes().next()?;
    Some(names::from_words(class)).filter(|name| !name.is_empty())
}

/// Rows whose columns are found by name, in the order in which they first appear.
struct Records {
    columns: Columns,
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Records {
    fn new(columns: Columns) -> Self {
        Self { columns, names: Vec::new(), places: HashMap::new() }
    }

    /// Makes columns before the first row, as every row has them.
    fn begin<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        for name in names {
            self.place(name.to_owned());
        }
    }

    fn place(&mut self, name: String) -> usize {
        *self.places.entry(name).or_insert_with_key(|name| {
            self.names.push(name.clone());
            self.names.len() - 1
        })
    }

    /// Adds a row; the second column of a name is `name_2`.
    fn push(&mut self, row: Vec<(String, Cell)>) -> Result<()> {
        let mut cells: Vec<Option<Cell>> = vec![None; self.names.len()];
        let mut counts = HashMap::<String, usize>::new();
        for (name, cell) in row {
            let count = counts.entry(name.clone()).or_default();
            *count += 1;
            let place = self.place(if *count == 1 { name } else { format!("{name}_{count}") });
            if cells.len() <= place {
                cells.resize(place + 1, None);
            }
            if let Some(slot) = cells.get_mut(place).filter(|slot| slot.is_none()) {
                *slot = Some(cell);
            }
        }
        self.columns.push(cells.iter().map(Option::as_ref))
    }

    fn finish(self) -> (Vec<Column>, Vec<Note>) {
        let (mut words, mut cells, mut notes, mut footnotes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (name, mut column) in self.names.into_iter().zip(self.columns.columns) {
            // A list's own link column has no text beside the link.
            let links = column.links.take().map(|mut links| links.finish());
            footnotes.push((words.len(), column.footnotes));
            match links {
                Some(links) if !column.is_filled => {
                    words.push(name);
                    cells.push(links);
                }
                links => {
                    words.push(name.clone());
                    cells.push(column.text.finish());
                    if let Some(links) = links {
                        words.push(format!("{name}_link"));
                        cells.push(links);
                    }
                }
            }
        }
        let (names, renamed) = names::distinct(words);
        for name in renamed.into_iter().filter_map(|n| names.get(n)) {
            notes.push(Note::of(name, "renamed: another column has the same name"));
        }
        for (n, count) in footnotes {
            notes.extend(names.get(n).and_then(|name| Note::of_footnotes(name, count)));
        }
        (names.into_iter().zip(cells).map(|(name, cells)| Column::free(name, cells)).collect(), notes)
    }
}
