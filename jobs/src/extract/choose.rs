//! What the matched elements stand for: tables, rows of a table, or items of which each is a row.
use scraper::ElementRef;

use super::{
    Extraction, Selector,
    select::Elements,
};

/// What is read.
pub(super) enum Chosen<'t> {
    /// Tables, with the rows of the body that are meant; `None`: all.
    Tables(Vec<(ElementRef<'t>, Option<Elements>)>),
    /// Each element a row.
    Items(Vec<ElementRef<'t>>),
}

/// Tells what is meant by the elements that match: the first of them decides.
pub(super) fn choose<'t>(matched: Vec<ElementRef<'t>>, wish: &Extraction) -> Chosen<'t> {
    let kind = matched.first().map_or("", |element| element.value().name());
    if !wish.fields.is_empty() {
        return Chosen::Items(matched);
    }
    match kind {
        "table" => {
            let tables = matched.into_iter().filter(|element| element.value().name() == "table");
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

fn table_in(element: ElementRef<'_>) -> Option<ElementRef<'_>> {
    element.descendent_elements().find(|inner| inner.value().name() == "table")
}

/// Boxes within each other hold the same table.
fn distinct(tables: Vec<ElementRef<'_>>) -> Vec<(ElementRef<'_>, Option<Elements>)> {
    let mut seen = Elements::default();
    tables.into_iter().filter(|table| seen.insert(*table)).map(|table| (table, None)).collect()
}

/// The tables of rows and of groups of rows.
fn tables_of<'t>(matched: &[ElementRef<'t>]) -> Vec<(ElementRef<'t>, Option<Elements>)> {
    let mut tables: Vec<(ElementRef<'t>, Option<Elements>)> = Vec::new();
    for element in matched {
        let Some(table) = element.ancestors().filter_map(ElementRef::wrap).find(|around| around.value().name() == "table")
        else {
            continue;
        };
        // Neighbours in the page are mostly of the same table, which is then the last one.
        let place = match tables.iter().rposition(|(known, _)| *known == table) {
            Some(place) => place,
            None => {
                tables.push((table, Some(Elements::default())));
                tables.len() - 1
            }
        };
        let Some((_, Some(rows))) = tables.get_mut(place) else { continue };
        match element.value().name() {
            "tr" => {
                rows.insert(*element);
            }
            "tbody" | "thead" | "tfoot" => rows.extend(element.child_elements()),
            _ => {}
        }
    }
    tables
}

/// The selector that is meant when none is given.
pub(super) const DEFAULT: &str = "table";

/// The elements that match, in the page's order.
pub(super) fn matched<'t>(selector: &Selector, page: &'t scraper::Html) -> Vec<ElementRef<'t>> {
    selector.select(page).collect()
}
