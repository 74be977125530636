//! What the matched elements stand for: tables, rows of a table, or items of which each is a row.
use std::collections::{HashMap, HashSet};

use super::{Extraction, tree::Element};

/// A table, and the rows of its body that are meant; `None`: all.
pub(super) type Meant<'t> = (Element<'t>, Option<HashSet<u32>>);

/// What is read.
pub(super) enum Chosen<'t> {
    Tables(Vec<Meant<'t>>),
    /// Each element a row.
    Items(Vec<Element<'t>>),
}

/// Tells what is meant by the elements that match: the first of them decides.
pub(super) fn choose<'t>(matched: Vec<Element<'t>>, wish: &Extraction) -> Chosen<'t> {
    let kind = matched.first().map_or("", |element| element.name());
    if !wish.fields.is_empty() {
        return Chosen::Items(matched);
    }
    match kind {
        "table" => {
            let tables = matched.into_iter().filter(|element| element.name() == "table");
            Chosen::Tables(tables.map(|table| (table, None)).collect())
        }
        "tr" | "tbody" | "thead" | "tfoot" => Chosen::Tables(tables_of(&matched)),
        // A box around a table stands for it.
        "div" | "section" | "article" | "main" | "figure" | "body" | "html" | "center" | "form" => {
            match matched.iter().map(|element| table_in(*element)).collect::<Option<Vec<_>>>() {
                Some(tables) => Chosen::Tables(distinct(tables)),
                None => Chosen::Items(matched),
            }
        }
        _ => Chosen::Items(matched),
    }
}

fn table_in(element: Element<'_>) -> Option<Element<'_>> {
    element.descendants().find(|inner| inner.name() == "table")
}

/// Boxes within each other hold the same table.
fn distinct(tables: Vec<Element<'_>>) -> Vec<Meant<'_>> {
    let mut seen = HashSet::new();
    tables.into_iter().filter(|table| seen.insert(table.id())).map(|table| (table, None)).collect()
}

/// The tables of rows and of groups of rows.
fn tables_of<'t>(matched: &[Element<'t>]) -> Vec<Meant<'t>> {
    let mut tables: Vec<Meant<'t>> = Vec::new();
    let mut places = HashMap::new();
    for element in matched {
        let Some(table) = element.ancestors().find(|around| around.name() == "table") else { continue };
        let place = *places.entry(table.id()).or_insert_with(|| {
            tables.push((table, Some(HashSet::new())));
            tables.len() - 1
        });
        let Some((_, Some(rows))) = tables.get_mut(place) else { continue };
        match element.name() {
            "tr" => {
                rows.insert(element.id());
            }
            "tbody" | "thead" | "tfoot" => rows.extend(element.child_elements().map(Element::id)),
            _ => {}
        }
    }
    tables
}

/// The selector that is meant when none is given.
pub(super) const DEFAULT: &str = "table";
