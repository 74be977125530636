//! The tables of a page in words, for whoever must choose one of them.
use super::{choose::Meant, text::text_of, tree::Element};

/// The most tables that are told, the cells of each one's first row, and the characters of a text.
const MOST_TABLES: usize = 20;
const MOST_CELLS: usize = 6;
const LONGEST: usize = 40;

/// `0: "Standings" (Pos, Team), 21 rows; 1: …`: the number by which a request names the table, its caption, its first row,
/// and how many rows it has.
pub(super) fn listed(tables: &[Meant<'_>]) -> String {
    let told =
        tables.iter().take(MOST_TABLES).enumerate().map(|(index, (table, _))| format!("{index}: {}", told(*table)));
    let more = tables.len().saturating_sub(MOST_TABLES);
    told.chain((more > 0).then(|| format!("and {more} more"))).collect::<Vec<_>>().join("; ")
}

fn told(table: Element<'_>) -> String {
    let caption = table.child_elements().find(|child| child.name() == "caption").map(short);
    let caption = caption.filter(|caption| !caption.is_empty()).map(|caption| format!("{caption:?} "));
    let first = rows(table).next().map(|row| row.child_elements().take(MOST_CELLS).map(short).collect::<Vec<_>>());
    let count = rows(table).count();
    let noun = if count == 1 { "row" } else { "rows" };
    format!("{}({}), {count} {noun}", caption.unwrap_or_default(), first.unwrap_or_default().join(", "))
}

/// The rows of a table itself, not of those within it.
fn rows(table: Element<'_>) -> impl Iterator<Item = Element<'_>> {
    let groups = table.child_elements().filter(|child| matches!(child.name(), "thead" | "tbody" | "tfoot"));
    groups.flat_map(Element::child_elements).filter(|row| row.name() == "tr")
}

fn short(element: Element<'_>) -> String {
    let text = text_of(element);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
