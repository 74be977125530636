//! The crawl's outcome as a plan: types by the cells of all pages, and splits.
use std::{collections::BTreeMap, sync::Arc};

use arrow_schema::{Field, Schema};
use serde_json::{Map, Value, json};

use super::{
    super::{Plan, Split, TypeNote, Wish},
    OnBadValue, Partial,
    check::NOT_INCREMENTAL,
    crawl::{Crawled, Missing, Rows, crawl},
    gather::{Gathered, Seen},
    order::Order,
    read::{Held, Range},
    spool::Spool,
    unchanged::{self, Last},
};
use crate::{
    Code, Ctx, Error, Result,
    extract::{Decision, Note, Wanted},
    transform::{MarkKind, infer::Kind},
};

/// The lineage columns of the web, without and with the digest of the page.
const LINEAGE: &[(&str, MarkKind)] =
    &[("source_url", MarkKind::Text), ("scraped_timestamp", MarkKind::Time), ("page_number", MarkKind::Number)];
const LINEAGE_WITH_DIGEST: &[(&str, MarkKind)] = &[
    ("source_url", MarkKind::Text),
    ("scraped_timestamp", MarkKind::Time),
    ("page_number", MarkKind::Number),
    ("body_sha256", MarkKind::Text),
];
/// The rows of one split, and the bytes of its pages.
const SPLIT_ROWS: usize = 100_000;
const SPLIT_BYTES: usize = 64 << 20;

/// Crawls, and decides on what came.
///
/// # Errors
/// The crawl's; [`Code::SourceColumnNotFound`] for a column of `schema`, [`Code::CursorColumnMissing`].
pub(super) async fn plan(ctx: &Ctx, order: Order, wish: &Wish) -> Result<Plan> {
    let place = wish.place.as_ref().ok_or_else(|| Error::new(Code::Internal, "a crawl has no table to go to"))?;
    ctx.progress.phase("fetching");
    let cursor = wish.cursor.as_ref().map(|cursor| cursor.column.clone());
    if cursor.is_some() && order.crawl.partial == Partial::Keep {
        return Err(Error::field("partial", Code::ConflictingFields, NOT_INCREMENTAL));
    }
    // Of an API that is asked for what is new, sameness says nothing.
    let last = match &cursor {
        Some(_) => None,
        None => unchanged::last(place, &order, wish.overwrites).await?,
    };
    let spool = Spool::new(ctx, place, order.crawl.keep_raw);
    let known = last.as_ref().and_then(|last| last.validators.as_ref());
    let Rows { mut gathered, validators, missing } = match Box::pin(crawl(ctx, &order, &spool, cursor, known)).await? {
        Crawled::Rows(rows) => *rows,
        Crawled::NotModified => return Ok(nothing_new(&order, told(1, &[], None))),
    };
    let content = gathered.digest();
    if last.is_some_and(|last| last.content == content) {
        spool.clear().await;
        return Ok(nothing_new(&order, told(gathered.pages.len(), &[], missing.as_ref())));
    }
    let kept = gathered.end().await?;
    if kept.is_none() || order.crawl.keep_raw {
        spool.flush().await?;
    }
    icehaul_lake::failpoint::hit("source.planned").await?;
    let decisions = decide(&order, &gathered, wish)?;
    let schema = Arc::new(Schema::new(decisions.iter().map(|decision| decision.field.clone()).collect::<Vec<_>>()));
    if schema.fields().is_empty() {
        // Nothing is known of the columns, so no table can be made of them.
        return Ok(nothing_new(&order, told(gathered.pages.len(), &[], missing.as_ref())));
    }
    let notes = decisions.iter().flat_map(|decision| decision.notes.clone()).chain(gathered.notes());
    let (columns, pages): (Vec<Note>, Vec<Note>) = notes.partition(|note| note.column.is_some());
    let mut told = told(gathered.pages.len(), &pages, missing.as_ref());
    if order.crawl.keep_raw {
        told.insert("raw".into(), spool.location().into());
    }
    let rows: usize = gathered.pages.iter().map(|page| page.rows).sum();
    let ranges = ranges(&gathered.pages);
    let cursor_value = gathered.cursor.as_ref().and_then(|(_, value)| value.clone());
    let held = Held {
        order: order.clone(),
        decisions,
        schema: schema.clone(),
        pages: gathered.pages,
        kept,
        spool,
        cursor: wish.cursor.clone(),
    };
    let held = Arc::new(held);
    if order.crawl.on_bad_value == OnBadValue::Null {
        told.insert("bad_values".into(), json!(held.bad_values().await?));
    }
    Ok(Plan {
        schema: schema.clone(),
        splits: ranges.iter().enumerate().map(|(index, range)| Split { index, part: json!(range) }).collect(),
        rows_estimate: Some(rows as u64),
        cursor: cursor_value,
        type_notes: columns.iter().map(|note| type_note(note, &schema)).collect(),
        hold: Some(Box::new(held)),
        summary: Last::new(&order, content, validators).entry(),
        told,
        ..empty(&order)
    })
}

/// A plan without a split.
fn empty(order: &Order) -> Plan {
    Plan {
        origin: order.origin(),
        schema: Arc::new(Schema::empty()),
        lineage: if order.crawl.body_sha256 { LINEAGE_WITH_DIGEST } else { LINEAGE },
        splits: Vec::new(),
        parallelism: None,
        rows_estimate: None,
        files: None,
        cursor: None,
        type_notes: Vec::new(),
        hold: None,
        unchanged: false,
        summary: BTreeMap::new(),
        told: Map::new(),
    }
}

fn nothing_new(order: &Order, told: Map<String, Value>) -> Plan {
    Plan { unchanged: true, told, ..empty(order) }
}

/// What the result tells of pages.
fn told(pages: usize, notes: &[Note], missing: Option<&Missing>) -> Map<String, Value> {
    let cut = missing.map(|missing| format!("not all pages were read: {}", missing.message));
    let warnings: Vec<Value> =
        cut.into_iter().chain(notes.iter().map(|note| note.text.clone())).map(Value::from).collect();
    let mut told = Map::from_iter([("pages".to_owned(), pages.into()), ("warnings".to_owned(), warnings.into())]);
    told.extend(missing.map(|missing| ("partial".to_owned(), json!(missing))));
    told
}

fn type_note(note: &Note, schema: &Schema) -> TypeNote {
    let column = note.column.clone().unwrap_or_default();
    let data_type = schema.field_with_name(&column).ok().map(Field::data_type);
    let table_type = data_type.map(|t| Kind::of(t).map_or_else(|| t.to_string(), |kind| kind.to_string()));
    TypeNote { column, source_type: "text".into(), table_type: table_type.unwrap_or_default(), note: note.text.clone() }
}

/// The type of each column.
fn decide(order: &Order, gathered: &Gathered, wish: &Wish) -> Result<Vec<Decision>> {
    let missing = |name: &str, field: &str, code| {
        let message = format!("`{field}` names the column `{name}`, which no page has");
        Err(Error::field(field, code, message))
    };
    if gathered.pages.iter().any(|page| page.rows > 0) {
        if let Some(name) = order.kinds.keys().find(|name| gathered.columns.place(name).is_none()) {
            return missing(name, "schema", Code::SourceColumnNotFound);
        }
        if let Some((name, _)) = gathered.cursor.as_ref().filter(|(name, _)| gathered.columns.place(name).is_none()) {
            return missing(name, "cursor", Code::CursorColumnMissing);
        }
    }
    let count = gathered.pages.len();
    let decision = |column: &super::gather::OneColumn| {
        let named = |table: &Arc<Schema>| table.fields().iter().find(|f| f.name() == &column.name).cloned();
        let table = wish.table.as_ref().and_then(named);
        let given = order.given(&column.name);
        let mut decision = column.profile.decide(&column.name, Wanted { given, table: table.as_deref() });
        if column.pages < count {
            let text = format!("NULL in the rows of the {} of {count} pages that lack it", count - column.pages);
            decision.notes.push(Note { column: Some(column.name.clone()), text });
        }
        decision
    };
    Ok(gathered.columns.all.iter().map(decision).collect())
}

/// Runs of pages: each is read apart from the others.
fn ranges(pages: &[Seen]) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    let (mut rows, mut bytes) = (0, 0);
    for (n, page) in pages.iter().enumerate() {
        match ranges.last_mut().filter(|_| rows < SPLIT_ROWS && bytes < SPLIT_BYTES) {
            Some(range) => range.end = n + 1,
            None => {
                ranges.push(Range { begin: n, end: n + 1 });
                (rows, bytes) = (0, 0);
            }
        }
        rows += page.rows;
        bytes += page.bytes;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_pages_are_neither_small_nor_large() {
        let page = |rows: usize| Seen {
            number: 1,
            url: String::new(),
            at: chrono::DateTime::UNIX_EPOCH,
            rows,
            bytes: 10,
            sha256: None,
        };
        let pages: Vec<_> = [50, 50, SPLIT_ROWS, 1, 1].into_iter().map(page).collect();
        let found: Vec<_> = ranges(&pages).iter().map(|range| range.begin..range.end).collect();
        assert_eq!(found, [0..3, 3..5]);
        assert!(ranges(&[]).is_empty());
    }
}
