//! Rows from a source into a table, published in one snapshot and proven before that.
//!
//! Each lane is a reader and a writer with a short channel between them: the reader takes one split after the other, the
//! writer fills files. Nothing is published before all lanes are done and the proof holds.
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use futures::TryStreamExt;
use icehaul_lake::{
    At, Change, Committed, Cursor, CursorMove, Table, TableSpec, failpoint,
    measure::{Depth, Measurer},
};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::{
    lanes::{self, Lanes, Written, bytes_of},
    publish::{Publisher, Told, summary},
    rounded,
};
use crate::{
    Code, Ctx, Error, Result,
    source::{CursorWish, LoadSpec, Place, Plan, Wish},
    spec::{LoadMode, Target, Verify},
    transform::{Lineage, Rows},
};

/// Runs one attempt; when no other follows, what the source has written down for it is taken back.
pub(crate) async fn run(load: &LoadSpec, ctx: &Ctx) -> Result<Value> {
    let done = attempt(load, ctx).await;
    let is_over = done.as_ref().err().is_none_or(|error| ctx.ends_with(error));
    if let (true, Ok(place)) = (is_over, place(load, ctx)) {
        load.forget(ctx, &place, done.is_ok()).await;
    }
    done
}

fn place(load: &LoadSpec, ctx: &Ctx) -> Result<Place> {
    Ok(Place { lake: ctx.lake(load.target().catalog.as_deref())?.clone(), table: load.target().name()? })
}

async fn attempt(load: &LoadSpec, ctx: &Ctx) -> Result<Value> {
    let started = Instant::now();
    let publisher = Publisher {
        ctx,
        lake: ctx.lake(load.target().catalog.as_deref())?,
        table: load.target().name()?,
        operation: ctx.job.to_string(),
    };
    let attempt = Attempt { load, ctx, publisher };
    let (there, committed) = attempt.publisher.look().await?;
    if let Some(committed) = committed {
        return attempt.recovered(&committed, started).await;
    }
    ctx.progress.phase("planning");
    let begin = attempt.begin(there.as_ref())?;
    let cursor = begin.as_ref().map(|begin| begin.wish.clone());
    let overwrites = load.target().mode == LoadMode::Overwrite;
    let wish =
        Wish { cursor, table: there.and_then(|table| table.schema().ok()), place: Some(place(load, ctx)?), overwrites };
    let plan = Arc::new(ctx.stop.or(load.plan(ctx, &wish)).await?);
    if plan.unchanged {
        return Ok(attempt.result(&plan, &Proven::nothing(), &nothing(), None, started));
    }
    let step = begin.zip(plan.cursor.clone()).map(|(begin, to)| begin.step(to));
    let marks = if load.target().lineage { plan.lineage } else { &[] };
    let lineage = Lineage::new(&plan.schema, marks)?;
    let target = attempt.publisher.lake.prepare(attempt.table_spec(&lineage)?).await?;
    let mut lanes = Lanes::new();
    let read = async {
        let written = attempt.read_all(&plan, &lineage, &target, &mut lanes).await?;
        failpoint::hit("load.written").await?;
        attempt.verify(&plan, &target, written).await
    };
    let proven = ctx.stop.or(read).await;
    let proven = attempt.publisher.or_discard(proven, &mut lanes, &target).await?;
    let change = match load.target().mode {
        LoadMode::Append | LoadMode::Incremental => Change::Append,
        LoadMode::Overwrite => Change::Overwrite,
    };
    let entries = attempt.summary(&plan, &proven, step.as_ref());
    let committed = attempt.publisher.commit(&target, &proven.written, change, step.clone(), entries).await?;
    if committed.already {
        return attempt.recovered(&committed, started).await;
    }
    attempt.publisher.discard_others(ctx.epoch).await;
    Ok(attempt.result(&plan, &proven, &committed, step.as_ref(), started))
}

/// One attempt at a load.
struct Attempt<'a> {
    load: &'a LoadSpec,
    ctx: &'a Ctx,
    publisher: Publisher<'a>,
}

/// Where a load with a cursor begins.
struct Begin {
    source: String,
    from: Option<Cursor>,
    wish: CursorWish,
}

impl Begin {
    /// The cursor's step, once the rows' highest value is known.
    fn step(self, value: String) -> CursorMove {
        CursorMove { source: self.source, from: self.from, to: Cursor { column: self.wish.column, value } }
    }
}

/// What was written, and the proof that it is what was read.
struct Proven {
    written: Written,
    verification: Value,
}

impl Proven {
    /// Of a plan without anything new.
    fn nothing() -> Self {
        Self { written: Written::default(), verification: json!({"mode": "none"}) }
    }
}

/// What is in the table after nothing was done.
const fn nothing() -> Committed {
    Committed { snapshot_id: None, already: false, summary: BTreeMap::new(), unused: Vec::new() }
}

impl Attempt<'_> {
    fn request(&self) -> &Target {
        self.load.target()
    }

    /// Where the load begins, if it keeps a cursor: there where the table's last load from the same source ended.
    fn begin(&self, there: Option<&Table>) -> Result<Option<Begin>> {
        let Target { mode, cursor: Some(column), cursor_start, lag, .. } = self.request() else { return Ok(None) };
        let source = self.load.cursor_source(self.ctx)?;
        let has_rows = there.is_some_and(Table::has_rows);
        let from = there.map(Table::cursors).transpose()?.and_then(|mut cursors| cursors.remove(&source));
        let wish = CursorWish { column: column.clone(), lag: *lag, ..CursorWish::default() };
        if *mode == LoadMode::Overwrite {
            return Ok(Some(Begin { source, from, wish: CursorWish { nulls: true, ..wish } }));
        }
        let after = match (&from, cursor_start.as_deref()) {
            (Some(known), _) if known.column == *column => Some(known.value.clone()),
            (None, Some("beginning")) => None,
            (None, Some(value)) => Some(value.to_owned()),
            (None, None) if !has_rows => None,
            (known, _) => return Err(self.unknown_cursor(&source, known.as_ref())),
        };
        Ok(Some(Begin { source, from, wish: CursorWish { after, ..wish } }))
    }

    fn unknown_cursor(&self, source: &str, known: Option<&Cursor>) -> Error {
        let why = match known {
            Some(known) => {
                format!("table `{}` is loaded from {source} by the cursor `{}`", self.publisher.table, known.column)
            }
            None => format!("table `{}` has rows, but no cursor for {source}", self.publisher.table),
        };
        let advice = "its rows could be loaded twice; load once with `mode` `overwrite` and this `cursor`";
        let or = if known.is_none() { ", or say by `cursor_start` where to begin" } else { "" };
        Error::field("cursor", Code::CursorUnknown, format!("{why}: {advice}{or}"))
    }

    fn table_spec(&self, lineage: &Lineage) -> Result<TableSpec> {
        Ok(TableSpec {
            name: self.publisher.table.clone(),
            schema: lineage.schema().clone(),
            partition_by: self.request().partition_fields()?,
            schema_mode: self.request().schema_mode.into(),
            compression: self.request().compression.map(Into::into),
            model: None,
        })
    }

    async fn read_all(
        &self,
        plan: &Arc<Plan>,
        lineage: &Lineage,
        target: &icehaul_lake::Target,
        lanes: &mut Lanes,
    ) -> Result<Written> {
        self.ctx.progress.planned(plan.splits.len() as u64, plan.rows_estimate);
        self.ctx.progress.phase("reading");
        let next = Arc::new(AtomicUsize::new(0));
        let width = plan.parallelism.unwrap_or(self.ctx.limits.parallelism).clamp(1, plan.splits.len().max(1));
        for lane in 0..width {
            let writer = target.writer(&self.publisher.prefix(), lane).await?;
            let measurer = match self.request().verify {
                Verify::Checksum => Some(Measurer::new(lineage.schema(), Some(&columns(plan)), Depth::default())?),
                Verify::None | Verify::Counts => None,
            };
            let mut lineage = lineage.clone();
            let sender = lanes::start(lanes, writer, measurer, move |rows| lineage.stamp(rows));
            lanes.spawn(read_lane(self.load.clone(), self.ctx.clone(), plan.clone(), next.clone(), sender));
        }
        lanes::finish(lanes).await
    }

    /// Compares what was read with what the files hold, before anything is published.
    async fn verify(&self, plan: &Plan, target: &icehaul_lake::Target, written: Written) -> Result<Proven> {
        let in_files = written.rows_in_files();
        let verification = match self.request().verify {
            Verify::None => json!({"mode": "none"}),
            Verify::Counts => {
                require(written.rows == in_files, || format!("{} rows were read, {in_files} written", written.rows))?;
                json!({"mode": "counts", "rows_read": written.rows, "rows_written": in_files, "match": true})
            }
            Verify::Checksum => {
                self.ctx.progress.phase("verifying");
                let there = target.measure(&written.files, Some(&columns(plan)), Depth::default()).await?;
                let (read, stored) = (written.fingerprint(), there.fingerprint().to_string());
                let same = written.rows == in_files && read.as_deref() == Some(stored.as_str());
                require(same, || format!("the rows read have the fingerprint {read:?}, the written files {stored:?}"))?;
                json!({"mode": "checksum", "rows_read": written.rows, "rows_written": in_files,
                       "fingerprint_read": read, "fingerprint_written": stored, "match": true})
            }
        };
        Ok(Proven { written, verification })
    }

    fn summary(&self, plan: &Plan, proven: &Proven, step: Option<&CursorMove>) -> BTreeMap<String, String> {
        let mut entries = BTreeMap::from([
            (summary::COLUMNS.into(), json!(columns(plan)).to_string()),
            (summary::SOURCE.into(), plan.origin.clone()),
        ]);
        if let Some(files) = plan.files {
            entries.insert(summary::FILES.into(), files.to_string());
        }
        if let Some(fingerprint) = proven.written.fingerprint() {
            entries.insert(summary::FINGERPRINT.into(), fingerprint);
        }
        if let Some(step) = step {
            entries.insert(summary::CURSOR.into(), cursor_note(step).to_string());
        }
        if !plan.told.is_empty() {
            entries.insert(summary::TOLD.into(), json!(plan.told).to_string());
        }
        entries.extend(plan.summary.clone());
        if !plan.type_notes.is_empty() {
            entries.insert(summary::TYPE_NOTES.into(), json!(plan.type_notes).to_string());
        }
        entries
    }

    fn result(
        &self,
        plan: &Plan,
        proven: &Proven,
        committed: &Committed,
        step: Option<&CursorMove>,
        started: Instant,
    ) -> Value {
        self.with_own_keys(
            plan.files,
            plan.told.clone(),
            json!({
                "status": "success",
                "message": format!("Data loaded from {}", self.load.title()),
                "table": self.publisher.table.to_string(),
                "rows_loaded": proven.written.rows,
                "columns": columns(plan),
                "source": plan.origin,
                "duration_seconds": rounded(started.elapsed()),
                "snapshot_id": committed.snapshot_id.map(|id| id.to_string()),
                "files_written": proven.written.files.len(),
                "bytes_written": proven.written.bytes(),
                "fingerprint": proven.written.fingerprint(),
                "verification": proven.verification,
                "type_notes": plan.type_notes,
                "rows_quarantined": 0,
                "unchanged": committed.snapshot_id.is_none(),
                "cursor": step.filter(|_| committed.snapshot_id.is_some()).map(cursor_note),
            }),
        )
    }

    /// Adds the keys that only loads from such a source have, and those by which callers of the older system know it.
    fn with_own_keys(&self, files: Option<u64>, told: Map<String, Value>, mut result: Value) -> Value {
        if let Some(files) = files {
            result["files_read"] = files.into();
        }
        for (key, value) in told {
            result[key] = value;
        }
        for (key, value) in self.load.old_keys(&result) {
            result[key] = value;
        }
        result
    }

    /// Tells the result of a snapshot that an earlier attempt has published, and deletes what is not in it.
    async fn recovered(&self, committed: &Committed, started: Instant) -> Result<Value> {
        let told = Told(committed);
        let parsed = |key: &str| serde_json::from_str::<Value>(told.text(key)).unwrap_or_else(|_| json!([]));
        self.publisher.discard_others(told.epoch()).await;
        let fingerprint = committed.summary.get(summary::FINGERPRINT);
        let files = committed.summary.get(summary::FILES).and_then(|files| files.parse().ok());
        Ok(self.with_own_keys(
            files,
            serde_json::from_str(told.text(summary::TOLD)).unwrap_or_default(),
            json!({
                "status": "success",
                "message": format!("Data loaded from {}", self.load.title()),
                "table": self.publisher.table.to_string(),
                "rows_loaded": told.number(summary::ROWS),
                "columns": parsed(summary::COLUMNS),
                "source": told.text(summary::SOURCE),
                "duration_seconds": rounded(started.elapsed()),
                "snapshot_id": committed.snapshot_id.map(|id| id.to_string()),
                "files_written": told.number("added-data-files"),
                "bytes_written": told.number("added-files-size"),
                "fingerprint": fingerprint,
                "verification": {"mode": if fingerprint.is_some() { "checksum" } else { "counts" }, "match": true,
                                 "note": "published by an earlier attempt, which verified it"},
                "type_notes": parsed(summary::TYPE_NOTES),
                "rows_quarantined": 0,
                "unchanged": false,
                "cursor": serde_json::from_str::<Value>(told.text(summary::CURSOR)).unwrap_or_default(),
            }),
        ))
    }
}

/// The cursor's step as the result shows it.
fn cursor_note(step: &CursorMove) -> Value {
    json!({"column": step.to.column, "from": step.from.as_ref().map(|from| &from.value), "to": step.to.value})
}

/// The columns that the newest load up to a state took from its source; `None` if no load has noted them.
#[must_use]
pub fn source_columns(table: &Table, at: At) -> Option<Vec<String>> {
    serde_json::from_str(&table.newest_entry(at, summary::COLUMNS)?).ok()
}

fn columns(plan: &Plan) -> Vec<String> {
    plan.schema.fields().iter().map(|f| f.name().clone()).collect()
}

fn require(holds: bool, why: impl FnOnce() -> String) -> Result<()> {
    match holds {
        true => Ok(()),
        false => Err(Error::new(Code::VerificationFailed, format!("nothing was published: {}", why()))),
    }
}

/// Reads one split after the other and passes the batches on.
async fn read_lane(
    load: LoadSpec,
    ctx: Ctx,
    plan: Arc<Plan>,
    next: Arc<AtomicUsize>,
    sender: mpsc::Sender<Rows>,
) -> Result<Written> {
    while let Some(split) = plan.splits.get(next.fetch_add(1, Relaxed)) {
        let mut batches = load.read(&ctx, &plan, split).await?.stream;
        while let Some(rows) = batches.try_next().await? {
            ctx.progress.add(rows.batch.num_rows() as u64, bytes_of(&rows.batch));
            if sender.send(rows).await.is_err() {
                return Ok(Written::default()); // The writer has failed and says why.
            }
        }
        ctx.progress.split_done();
    }
    Ok(Written::default())
}
