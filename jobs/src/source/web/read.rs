//! Runs of pages as batches: from memory, or read again from the spool.
use std::{collections::BTreeMap, sync::Arc};

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringArray, new_null_array};
use arrow_schema::SchemaRef;
use arrow_select::filter::{filter, filter_record_batch};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::{
    super::{CursorWish, Plan, Split},
    OnBadValue, fetch,
    gather::Seen,
    newest::beyond,
    order::Order,
    spool::Spool,
};
use crate::{
    Batches, Code, Ctx, Error, Result,
    extract::{Column, Decision},
    transform::{Mark, Marks, Rows},
};

/// The rows that are made at once, on a thread of their own.
const ROWS_AT_ONCE: usize = 20_000;
/// The longest batch.
const BATCH_ROWS: usize = 65_536;

/// Pages from `begin` up to `end`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Range {
    pub begin: usize,
    pub end: usize,
}

/// What a plan keeps for the reads.
pub(super) struct Held {
    pub order: Order,
    pub decisions: Vec<Decision>,
    pub schema: SchemaRef,
    pub pages: Vec<Seen>,
    pub kept: Option<Vec<Arc<[Column]>>>,
    pub spool: Spool,
    pub cursor: Option<CursorWish>,
}

/// Reads one split.
///
/// # Errors
/// [`Code::TypeMismatch`] for a value that does not have the type that the request gives; those of the spool.
pub(super) fn read(_: &Ctx, plan: &Plan, split: &Split) -> Result<Batches> {
    let foreign = || Error::new(Code::Internal, "the plan is not one of pages");
    let held = plan.hold.as_ref().and_then(|hold| hold.downcast_ref::<Arc<Held>>()).ok_or_else(foreign)?.clone();
    let range: Range = serde_json::from_value(split.part.clone()).map_err(|e| foreign().caused_by(e))?;
    let schema = held.schema.clone();
    let runs = futures::stream::try_unfold((held, range), |(held, range)| async move {
        if range.begin >= range.end {
            return Ok(None);
        }
        let (rows, end) = run(&held, range).await?;
        let rows = futures::stream::iter(rows.into_iter().map(Ok::<_, Error>));
        Ok::<_, Error>(Some((rows, (held, Range { begin: end, ..range }))))
    });
    Ok(Batches { schema, stream: runs.try_flatten().boxed() })
}

/// Makes the batches of the first pages of a range; gives also where they end.
async fn run(held: &Arc<Held>, range: Range) -> Result<(Vec<Rows>, usize)> {
    let (mut end, mut rows) = (range.begin, 0);
    let mut pages = Vec::new();
    while end < range.end && (rows < ROWS_AT_ONCE || pages.is_empty()) {
        rows += held.pages.get(end).map_or(0, |page| page.rows);
        pages.push(held.columns(end).await?);
        end += 1;
        if held.kept.is_none() {
            // Of pages that are read again only one is in memory.
            break;
        }
    }
    let (held, begin) = (held.clone(), range.begin);
    let making = tokio::task::spawn_blocking(move || {
        let mut made = Vec::new();
        for (n, columns) in pages.iter().enumerate() {
            made.extend(held.batches(begin + n, columns)?);
        }
        Ok(made)
    });
    making.await.map_err(panicked)?.map(|made| (made, end))
}

fn panicked(error: tokio::task::JoinError) -> Error {
    Error::new(Code::Internal, "the reading of pages panicked").caused_by(error)
}

impl Held {
    async fn columns(&self, n: usize) -> Result<Arc<[Column]>> {
        if let Some(columns) = self.kept.as_ref().and_then(|kept| kept.get(n)) {
            return Ok(columns.clone());
        }
        let number = self.pages.get(n).map_or(0, |page| page.number);
        let page = self.spool.again(number).await?;
        Ok(fetch::read(page, self.order.clone()).await?.1.columns.into())
    }

    fn batches(&self, n: usize, columns: &[Column]) -> Result<Vec<Rows>> {
        let Some(page) = self.pages.get(n) else { return Ok(Vec::new()) };
        let arrays = self.decisions.iter().map(|decision| self.array(decision, columns, page));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(page.rows));
        let broken = |e| Error::new(Code::Internal, "the columns of a page do not make a batch").caused_by(e);
        let mut batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options).map_err(broken)?;
        if let Some(mask) = self.mask(columns) {
            batch = filter_record_batch(&batch, &mask).map_err(broken)?;
        }
        let lineage = marks(page);
        let starts = (0..batch.num_rows()).step_by(BATCH_ROWS);
        let slice = |start| Rows {
            batch: batch.slice(start, BATCH_ROWS.min(batch.num_rows() - start)),
            lineage: lineage.clone(),
        };
        Ok(starts.map(slice).collect())
    }

    /// Which rows of a page are new, if only those are wanted.
    fn mask(&self, columns: &[Column]) -> Option<BooleanArray> {
        let cursor = self.cursor.as_ref()?;
        let column = find(columns, &cursor.column)?;
        Some(beyond(&column.cells, cursor.after.as_deref(), cursor.nulls))
    }

    /// How many values of all pages become NULL because they do not fit, by column.
    ///
    /// # Errors
    /// Those of the spool.
    pub(super) async fn bad_values(self: &Arc<Self>) -> Result<BTreeMap<String, usize>> {
        let mut bad = BTreeMap::new();
        for n in 0..self.pages.len() {
            let (held, columns) = (self.clone(), self.columns(n).await?);
            let counting = tokio::task::spawn_blocking(move || held.bad_on_page(&columns));
            for (name, count) in counting.await.map_err(panicked)? {
                *bad.entry(name).or_default() += count;
            }
        }
        Ok(bad)
    }

    fn bad_on_page(&self, columns: &[Column]) -> Vec<(String, usize)> {
        let mask = self.mask(columns);
        let given = self.decisions.iter().filter(|decision| self.order.given(decision.field.name()).is_some());
        let count = |decision: &Decision| {
            let cells = &find(columns, decision.field.name())?.cells;
            let kept = mask.as_ref().and_then(|mask| filter(cells, mask).ok());
            let cells = kept.as_deref().and_then(|kept| kept.as_any().downcast_ref::<StringArray>()).unwrap_or(cells);
            let (_, bad) = decision.make(cells, true).ok()?;
            Some((decision.field.name().clone(), bad)).filter(|(_, bad)| *bad > 0)
        };
        given.filter_map(count).collect()
    }

    fn array(&self, decision: &Decision, columns: &[Column], page: &Seen) -> Result<ArrayRef> {
        let Some(column) = find(columns, decision.field.name()) else {
            return Ok(new_null_array(decision.field.data_type(), page.rows));
        };
        let or_null = self.order.crawl.on_bad_value == OnBadValue::Null;
        decision.make(&column.cells, or_null).map(|(array, _)| array).map_err(|row| {
            let value: String = column.cells.iter().nth(row).flatten().unwrap_or_default().chars().take(80).collect();
            let name = decision.field.name();
            let message = format!(
                "page {}, row {}: `{value}` in the column `{name}` is not of the type that `schema` gives",
                page.number,
                row + 1
            );
            Error::new(Code::TypeMismatch, message)
        })
    }
}

fn find<'c>(columns: &'c [Column], name: &str) -> Option<&'c Column> {
    let exact = columns.iter().find(|column| column.name == name);
    exact.or_else(|| columns.iter().find(|column| column.name.to_lowercase() == name.to_lowercase()))
}

fn marks(page: &Seen) -> Marks {
    let number = i32::try_from(page.number).unwrap_or(i32::MAX);
    let marks = [Mark::Text(page.url.clone()), Mark::Time(page.at), Mark::Number(number)];
    marks.into_iter().chain(page.sha256.clone().map(Mark::Text)).collect()
}
