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

use arrow_array::{Array, RecordBatch};
use futures::TryStreamExt;
use icehaul_lake::{
    At, Change, Committed, Cursor, CursorMove, Fingerprint, Guard, Lake, Table, TableName, TableSpec, WrittenFile,
    fingerprint::Hasher,
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    Code, Ctx, Error, Result,
    source::{CursorWish, LoadSpec, Plan, Wish},
    spec::{LoadMode, Target, Verify},
    transform::{Lineage, Rows},
};

/// Batches between a lane's reader and its writer; small, so that memory stays bounded and the source feels it.
const CHANNEL_BATCHES: usize = 2;

/// Keys of the snapshot summary from which a lost result is told again.
mod summary {
    pub const EPOCH: &str = "icehaul.epoch";
    pub const ROWS: &str = "icehaul.rows";
    pub const COLUMNS: &str = "icehaul.columns";
    pub const SOURCE: &str = "icehaul.source";
    pub const FILES: &str = "icehaul.files";
    pub const FINGERPRINT: &str = "icehaul.fingerprint";
    pub const CURSOR: &str = "icehaul.cursor";
    pub const TYPE_NOTES: &str = "icehaul.type-notes";
}

pub(crate) async fn run(load: &LoadSpec, ctx: &Ctx) -> Result<Value> {
    let started = Instant::now();
    let attempt =
        Attempt { load, ctx, table: load.target().name()?, lake: ctx.lake(load.target().catalog.as_deref())? };
    if let Some(committed) = attempt.lake.committed(&attempt.table, &ctx.job.to_string()).await? {
        return attempt.recovered(&committed, started).await;
    }
    ctx.progress.phase("planning");
    let begin = attempt.begin().await?;
    let wish = Wish { cursor: begin.as_ref().map(|begin| begin.wish.clone()) };
    let plan = Arc::new(ctx.stop.or(load.plan(ctx, &wish)).await?);
    let step = begin.zip(plan.cursor.clone()).map(|(begin, to)| begin.step(to));
    let marks = if load.target().lineage { plan.lineage } else { &[] };
    let lineage = Lineage::new(&plan.schema, marks)?;
    let target = attempt.lake.prepare(attempt.table_spec(&lineage)?).await?;
    let mut lanes = JoinSet::new();
    let read = async {
        let written = attempt.read_all(&plan, &lineage, &target, &mut lanes).await?;
        attempt.verify(&plan, &target, written).await
    };
    let proven = match ctx.stop.or(read).await {
        Ok(proven) => proven,
        Err(error) => {
            lanes.shutdown().await;
            target.discard_prefix(&attempt.prefix(ctx.epoch)).await;
            return Err(error);
        }
    };
    let committed = match attempt.commit(&plan, &target, &proven, step.as_ref()).await {
        Ok(committed) => committed,
        Err(error) => {
            // With the catalog away the swap may have happened: then the files stay, and the next attempt looks.
            if error.code() != Code::CatalogUnavailable {
                target.discard_prefix(&attempt.prefix(ctx.epoch)).await;
            }
            return Err(error);
        }
    };
    if committed.already {
        return attempt.recovered(&committed, started).await;
    }
    attempt.discard_other_attempts(&target, ctx.epoch).await;
    Ok(attempt.result(&plan, &proven, &committed, step.as_ref(), started))
}

/// One attempt at a load.
struct Attempt<'a> {
    load: &'a LoadSpec,
    ctx: &'a Ctx,
    table: TableName,
    lake: &'a Lake,
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

/// What one lane, or all of them, have written.
#[derive(Default)]
struct Written {
    files: Vec<WrittenFile>,
    rows: u64,
    fingerprint: Option<Fingerprint>,
}

/// What was written, and the proof that it is what was read.
struct Proven {
    written: Written,
    verification: Value,
}

impl Attempt<'_> {
    fn request(&self) -> &Target {
        self.load.target()
    }

    /// The folder of an attempt's files, below the table's data.
    fn prefix(&self, epoch: u64) -> String {
        format!("{}/{epoch}", self.ctx.job)
    }

    /// Where the load begins, if it keeps a cursor: there where the table's last load from the same source ended.
    async fn begin(&self) -> Result<Option<Begin>> {
        let Target { mode, cursor: Some(column), cursor_start, lag, .. } = self.request() else { return Ok(None) };
        let source = self.load.cursor_source(self.ctx)?;
        let (mut cursors, has_rows) = self.lake.cursors(&self.table).await?;
        let from = cursors.remove(&source);
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
            Some(known) => format!("table `{}` is loaded from {source} by the cursor `{}`", self.table, known.column),
            None => format!("table `{}` has rows, but no cursor for {source}", self.table),
        };
        let advice = "its rows could be loaded twice; load once with `mode` `overwrite` and this `cursor`";
        let or = if known.is_none() { ", or say by `cursor_start` where to begin" } else { "" };
        Error::field("cursor", Code::CursorUnknown, format!("{why}: {advice}{or}"))
    }

    fn table_spec(&self, lineage: &Lineage) -> Result<TableSpec> {
        Ok(TableSpec {
            name: self.table.clone(),
            schema: lineage.schema().clone(),
            partition_by: self.request().partition_fields()?,
            schema_mode: self.request().schema_mode.into(),
            compression: self.request().compression.map(Into::into),
        })
    }

    async fn read_all(
        &self,
        plan: &Arc<Plan>,
        lineage: &Lineage,
        target: &icehaul_lake::Target,
        lanes: &mut JoinSet<Result<Written>>,
    ) -> Result<Written> {
        self.ctx.progress.planned(plan.splits.len() as u64, plan.rows_estimate);
        self.ctx.progress.phase("reading");
        let next = Arc::new(AtomicUsize::new(0));
        let width = plan.parallelism.unwrap_or(self.ctx.limits.parallelism).clamp(1, plan.splits.len().max(1));
        for lane in 0..width {
            let writer = target.writer(&self.prefix(self.ctx.epoch), lane).await?;
            let hasher = match self.request().verify {
                Verify::Checksum => Some(Hasher::new(lineage.schema(), Some(&columns(plan)))?),
                Verify::None | Verify::Counts => None,
            };
            let (sender, receiver) = mpsc::channel(CHANNEL_BATCHES);
            lanes.spawn(write_lane(receiver, writer, hasher, lineage.clone()));
            lanes.spawn(read_lane(self.load.clone(), self.ctx.clone(), plan.clone(), next.clone(), sender));
        }
        let mut all = Written::default();
        while let Some(ended) = lanes.join_next().await {
            let lane = ended.map_err(|e| Error::new(Code::Internal, "a lane of the load panicked").caused_by(e))??;
            all.rows += lane.rows;
            all.files.extend(lane.files);
            all.fingerprint = add(all.fingerprint, lane.fingerprint)?;
        }
        Ok(all)
    }

    /// Compares what was read with what the files hold, before anything is published.
    async fn verify(&self, plan: &Plan, target: &icehaul_lake::Target, written: Written) -> Result<Proven> {
        let in_files: u64 = written.files.iter().map(WrittenFile::rows).sum();
        let verification = match self.request().verify {
            Verify::None => json!({"mode": "none"}),
            Verify::Counts => {
                require(written.rows == in_files, || format!("{} rows were read, {in_files} written", written.rows))?;
                json!({"mode": "counts", "rows_read": written.rows, "rows_written": in_files, "match": true})
            }
            Verify::Checksum => {
                self.ctx.progress.phase("verifying");
                let there = read_back(target, &written.files, &columns(plan)).await?;
                let read = written.fingerprint.as_ref().map(ToString::to_string);
                let stored = there.map(|f| f.to_string());
                let same = written.rows == in_files && (written.rows == 0 || read == stored);
                require(same, || format!("the rows read have the fingerprint {read:?}, the written files {stored:?}"))?;
                json!({"mode": "checksum", "rows_read": written.rows, "rows_written": in_files,
                       "fingerprint_read": read, "fingerprint_written": stored.or_else(|| read.clone()), "match": true})
            }
        };
        Ok(Proven { written, verification })
    }

    async fn commit(
        &self,
        plan: &Plan,
        target: &icehaul_lake::Target,
        proven: &Proven,
        step: Option<&CursorMove>,
    ) -> Result<Committed> {
        self.ctx.progress.phase("committing");
        let guard = Guard {
            operation: self.ctx.job.to_string(),
            permission: self.ctx.permission.clone(),
            cursor: step.cloned(),
            summary: self.summary(plan, proven, step),
        };
        let change = match self.request().mode {
            LoadMode::Append | LoadMode::Incremental => Change::Append,
            LoadMode::Overwrite => Change::Overwrite,
        };
        let committed = self.lake.commit(target, proven.written.files.clone(), change, &guard).await;
        committed.map_err(Error::from).map_err(|error| match self.ctx.stop.error() {
            Some(stopped) if error.code() == Code::LeaseLost => stopped,
            _ => error,
        })
    }

    fn summary(&self, plan: &Plan, proven: &Proven, step: Option<&CursorMove>) -> BTreeMap<String, String> {
        let mut entries = BTreeMap::from([
            (summary::EPOCH.into(), self.ctx.epoch.to_string()),
            (summary::ROWS.into(), proven.written.rows.to_string()),
            (summary::COLUMNS.into(), json!(columns(plan)).to_string()),
            (summary::SOURCE.into(), plan.origin.clone()),
        ]);
        if let Some(files) = plan.files {
            entries.insert(summary::FILES.into(), files.to_string());
        }
        if let Some(fingerprint) = &proven.written.fingerprint {
            entries.insert(summary::FINGERPRINT.into(), fingerprint.to_string());
        }
        if let Some(step) = step {
            entries.insert(summary::CURSOR.into(), cursor_note(step).to_string());
        }
        if !plan.type_notes.is_empty() {
            entries.insert(summary::TYPE_NOTES.into(), json!(plan.type_notes).to_string());
        }
        entries
    }

    /// Deletes what other attempts of this job have left; only once the job's snapshot stands, so that none of them can
    /// still publish those files.
    async fn discard_other_attempts(&self, target: &icehaul_lake::Target, published: u64) {
        for epoch in (1..=self.ctx.epoch).filter(|epoch| *epoch != published) {
            target.discard_prefix(&self.prefix(epoch)).await;
        }
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
            json!({
                "status": "success",
                "message": format!("Data loaded from {}", self.load.title()),
                "table": self.table.to_string(),
                "rows_loaded": proven.written.rows,
                "columns": columns(plan),
                "source": plan.origin,
                "duration_seconds": seconds(started),
                "snapshot_id": committed.snapshot_id.map(|id| id.to_string()),
                "files_written": proven.written.files.len(),
                "bytes_written": proven.written.files.iter().map(WrittenFile::bytes).sum::<u64>(),
                "fingerprint": proven.written.fingerprint.as_ref().map(ToString::to_string),
                "verification": proven.verification,
                "type_notes": plan.type_notes,
                "rows_quarantined": 0,
                "unchanged": committed.snapshot_id.is_none(),
                "cursor": step.filter(|_| committed.snapshot_id.is_some()).map(cursor_note),
            }),
        )
    }

    /// Adds the keys that only loads from such a source have, and those by which callers of the older system know it.
    fn with_own_keys(&self, files: Option<u64>, mut result: Value) -> Value {
        if let Some(files) = files {
            result["files_read"] = files.into();
        }
        for (key, value) in self.load.old_keys(&result) {
            result[key] = value;
        }
        result
    }

    /// Tells the result of a snapshot that an earlier attempt has published, and deletes what is not in it.
    async fn recovered(&self, committed: &Committed, started: Instant) -> Result<Value> {
        let entry = |key: &str| committed.summary.get(key).map(String::as_str).unwrap_or_default();
        let number = |key: &str| entry(key).parse::<u64>().unwrap_or_default();
        let parsed = |key: &str| serde_json::from_str::<Value>(entry(key)).unwrap_or_else(|_| json!([]));
        let published = number(summary::EPOCH);
        for epoch in (1..=self.ctx.epoch).filter(|epoch| *epoch != published) {
            self.lake.discard_prefix(&self.table, &self.prefix(epoch)).await;
        }
        let fingerprint = committed.summary.get(summary::FINGERPRINT);
        let files = committed.summary.get(summary::FILES).and_then(|files| files.parse().ok());
        Ok(self.with_own_keys(
            files,
            json!({
                "status": "success",
                "message": format!("Data loaded from {}", self.load.title()),
                "table": self.table.to_string(),
                "rows_loaded": number(summary::ROWS),
                "columns": parsed(summary::COLUMNS),
                "source": entry(summary::SOURCE),
                "duration_seconds": seconds(started),
                "snapshot_id": committed.snapshot_id.map(|id| id.to_string()),
                "files_written": number("added-data-files"),
                "bytes_written": number("added-files-size"),
                "fingerprint": fingerprint,
                "verification": {"mode": if fingerprint.is_some() { "checksum" } else { "counts" }, "match": true,
                                 "note": "published by an earlier attempt, which verified it"},
                "type_notes": parsed(summary::TYPE_NOTES),
                "rows_quarantined": 0,
                "unchanged": false,
                "cursor": serde_json::from_str::<Value>(entry(summary::CURSOR)).unwrap_or_default(),
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
    let snapshots: BTreeMap<_, _> =
        table.snapshots().into_iter().map(|info| (info.snapshot_id.clone(), info)).collect();
    let mut next = match at {
        At::Snapshot(id) => Some(id.to_string()),
        At::Current | At::Timestamp(_) => table.metadata().current_snapshot_id().map(|id| id.to_string()),
    };
    // Counted, so that a broken chain that loops ends too.
    for _ in 0..snapshots.len() {
        let info = snapshots.get(&next?)?;
        if let Some(names) = info.summary.get(summary::COLUMNS) {
            return serde_json::from_str(names).ok();
        }
        next = info.parent_id.clone();
    }
    None
}

fn columns(plan: &Plan) -> Vec<String> {
    plan.schema.fields().iter().map(|f| f.name().clone()).collect()
}

fn seconds(started: Instant) -> f64 {
    (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}

fn require(holds: bool, why: impl FnOnce() -> String) -> Result<()> {
    match holds {
        true => Ok(()),
        false => Err(Error::new(Code::VerificationFailed, format!("nothing was published: {}", why()))),
    }
}

fn add(sum: Option<Fingerprint>, more: Option<Fingerprint>) -> Result<Option<Fingerprint>> {
    match (sum, more) {
        (Some(mut sum), Some(more)) => {
            sum.merge(&more)?;
            Ok(Some(sum))
        }
        (sum, more) => Ok(sum.or(more)),
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

/// The size of the values, not of the memory that was set aside for them.
fn bytes_of(batch: &RecordBatch) -> u64 {
    let sizes = batch.columns().iter().filter_map(|column| column.to_data().get_slice_memory_size().ok());
    sizes.sum::<usize>() as u64
}

/// Writes what one lane's reader passes on.
async fn write_lane(
    mut receiver: mpsc::Receiver<Rows>,
    mut writer: icehaul_lake::TableWriter,
    mut hasher: Option<Hasher>,
    mut lineage: Lineage,
) -> Result<Written> {
    let mut rows = 0;
    while let Some(read) = receiver.recv().await {
        let batch = lineage.stamp(read)?;
        rows += batch.num_rows() as u64;
        if let Some(hasher) = &mut hasher {
            hasher.add(&batch)?;
        }
        writer.write(&batch).await?;
    }
    Ok(Written { files: writer.close().await?, rows, fingerprint: hasher.map(Hasher::finish) })
}

/// The fingerprint of the named columns of written files, read on all cores.
async fn read_back(
    target: &icehaul_lake::Target,
    files: &[WrittenFile],
    columns: &[String],
) -> Result<Option<Fingerprint>> {
    let mut readers = JoinSet::new();
    let mut sum = None;
    let width = std::thread::available_parallelism().map_or(2, usize::from);
    for file in files {
        if readers.len() >= width {
            sum = add(sum, joined(readers.join_next().await)?)?;
        }
        let batches = target.read_back(file, Some(columns)).await?;
        let columns = columns.to_vec();
        readers.spawn(async move {
            let mut hasher = Hasher::new(&batches.schema, Some(&columns))?;
            let mut stream = batches.stream;
            while let Some(batch) = stream.try_next().await? {
                hasher.add(&batch)?;
            }
            Ok::<_, Error>(hasher.finish())
        });
    }
    while !readers.is_empty() {
        sum = add(sum, joined(readers.join_next().await)?)?;
    }
    Ok(sum)
}

fn joined(ended: Option<Result<Result<Fingerprint>, tokio::task::JoinError>>) -> Result<Option<Fingerprint>> {
    ended
        .transpose()
        .map_err(|e| Error::new(Code::Internal, "a reader of written files panicked").caused_by(e))?
        .transpose()
}
