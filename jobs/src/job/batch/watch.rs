//! One look after the tables of a batch.
use std::time::Duration;

use chrono::Utc;
use futures::TryStreamExt;
use icehaul_lake::{At, Lake, TableName, failpoint};
use serde_json::{Value, json};

use super::{
    MigrateBatch,
    plan::{Ended, Line, Plan},
    request::Place,
};
use crate::{
    Children, Code, Ctx, Error, Result, Retry, Status, StopReason,
    job::migrate::{MigrateMode, name_faults},
    report::{AnyReport, BatchLine, BatchReport, Store, Verdict},
    spec::JobSpec,
};

/// So many of the newest reports tell how fast migrations are here.
const NEWEST: usize = 20;
/// How soon a batch looks again: the longer nothing has happened, the later.
const LOOKS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

pub(super) async fn run(request: &MigrateBatch, ctx: &Ctx) -> Result<Value> {
    ctx.progress.phase("planning");
    let lake = ctx.lake(request.dest_catalog.as_deref())?;
    if request.dry_run {
        return dry_run(request, ctx, &Plan::make(request, ctx).await?).await;
    }
    let children =
        ctx.children.as_ref().ok_or_else(|| Error::new(Code::Internal, "there is no queue for the tables"))?;
    let record = format!("migrations/batches/{}.json", ctx.job);
    let mut plan = match lake.read_record(&record).await? {
        Some(json) => serde_json::from_slice(&json)
            .map_err(|e| Error::new(Code::Internal, "the plan of the batch is damaged").caused_by(e))?,
        None => Plan::make(request, ctx).await?,
    };
    let watch = Watch { request, ctx, children };
    let seen = plan.changed_at;
    let looked = watch.look(&mut plan).await;
    if ctx.stop.reason() == Some(StopReason::Cancelled) {
        watch.cancel(&plan).await;
    }
    // Whatever came of the look, the tables that it has submitted are noted: unless another attempt notes what it sees.
    if plan.changed_at != seen && (ctx.permission)().await {
        lake.write_record(&record, json!(plan).to_string().into_bytes()).await?;
        failpoint::hit("batch.noted").await?;
    }
    looked.map_err(patient)?;
    ctx.stop.check()?;
    let done = plan.tables.iter().all(|line| line.ended.is_some());
    let ended = plan.tables.iter().filter(|line| line.ended.is_some()).count();
    if !done {
        let message = format!("{ended} of {} tables have ended", plan.tables.len());
        let idle = (Utc::now() - plan.changed_at).to_std().unwrap_or_default();
        let pause = (idle / 4).clamp(LOOKS.0, LOOKS.1);
        return Err(Error::new(Code::WaitingForTables, message).with_retry(Retry::Snooze(pause)));
    }
    let report = report(request, ctx, &plan);
    Store(lake).keep_batch(&report).await?;
    failpoint::hit("batch.reported").await?;
    if report.failed + report.cancelled > 0 {
        return Err(Error::new(Code::BatchIncomplete, report.summary));
    }
    Ok(json!({
        "status": "success", "migration_id": report.migration_id, "summary": report.summary, "tables": report.tables.len(),
        "succeeded": report.succeeded, "failed": 0, "rows_migrated": report.rows, "bytes_written": report.bytes,
        "duration_seconds": report.duration_seconds, "verdict": report.verdict,
        "report": format!("/api/v1/migrations/{}/report", report.migration_id),
    }))
}

/// A queue that is full or away now is no fault of the batch: it looks again later.
fn patient(error: Error) -> Error {
    match error.code() {
        Code::QueueFull | Code::QueueUnavailable => error.with_retry(Retry::Snooze(LOOKS.1)),
        _ => error,
    }
}

struct Watch<'a> {
    request: &'a MigrateBatch,
    ctx: &'a Ctx,
    children: &'a Children,
}

impl Watch<'_> {
    /// Sees what has ended, and submits as many as may run.
    async fn look(&self, plan: &mut Plan) -> Result<()> {
        self.ctx.progress.planned(plan.tables.len() as u64, None);
        self.ctx.progress.phase("migrating");
        let run = self.ctx.run().await?;
        if plan.run != run {
            self.run_again(plan).await?;
            (plan.run, plan.changed_at) = (run, Utc::now());
        }
        let mut running = 0;
        for line in plan.tables.iter_mut().filter(|line| line.submitted && line.ended.is_none()) {
            line.ended = self.ended(line).await?;
            match line.ended {
                Some(_) => plan.changed_at = Utc::now(),
                None => running += 1,
            }
        }
        for line in plan.tables.iter_mut().filter(|line| !line.submitted && line.ended.is_none()) {
            if running >= self.request.parallelism {
                break;
            }
            self.ctx.stop.check()?;
            plan.changed_at = Utc::now();
            if let Err(error) = self.check(line) {
                line.refused(&error);
                continue;
            }
            self.submit(line).await?;
            line.submitted = true;
            running += 1;
            failpoint::hit("batch.submitted").await?;
        }
        for _ in plan.tables.iter().filter(|line| line.ended.is_some()) {
            self.ctx.progress.split_done();
        }
        Ok(())
    }

    /// Has those tables tried again that did not succeed. A job that an attempt has submitted without noting it may be among
    /// them, so all are asked.
    async fn run_again(&self, plan: &mut Plan) -> Result<()> {
        let succeeded = |line: &Line| line.ended.as_ref().is_some_and(|ended| ended.status == Status::Succeeded);
        for line in plan.tables.iter_mut().filter(|line| !succeeded(line)) {
            self.children.retry(line.job).await?;
            line.ended = None;
        }
        Ok(())
    }

    async fn ended(&self, line: &Line) -> Result<Option<Ended>> {
        let job = match self.children.get(line.job).await {
            Ok(job) => job,
            // Redis has lost it, or forgotten it while nobody looked: then it is done again, which finds what is done.
            Err(error) if matches!(error.code(), Code::JobNotFound | Code::JobExpired) => {
                self.submit(line).await?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let ended = Ended {
            status: job.status,
            attempts: job.attempt,
            result: job.result.unwrap_or_default(),
            error: job.error,
        };
        Ok(job.status.is_terminal().then_some(ended))
    }

    /// Whether the request for one table would be accepted.
    fn check(&self, line: &Line) -> Result<()> {
        let faults = name_faults(line.source.parts(), line.dest.parts());
        if !faults.is_empty() {
            return Err(Error::fields(faults));
        }
        [&line.source, &line.dest].iter().try_for_each(|side| self.ctx.lake(side.catalog.as_deref()).map(drop))
    }

    async fn submit(&self, line: &Line) -> Result<()> {
        let request = self.request.single(&line.source, &line.dest);
        self.children.submit(self.ctx.job, line.job, JobSpec::MigrateTable(Box::new(request))).await
    }

    /// Stops the tables that are under way.
    async fn cancel(&self, plan: &Plan) {
        for line in plan.tables.iter().filter(|line| line.submitted && line.ended.is_none()) {
            if let Err(error) = self.children.cancel(line.job).await {
                tracing::warn!(job_id = %line.job, %error, "a table of a cancelled batch could not be cancelled");
            }
        }
    }
}

/// What would be done.
async fn dry_run(request: &MigrateBatch, ctx: &Ctx, plan: &Plan) -> Result<Value> {
    let mut tables = Vec::new();
    let (mut files, mut bytes, mut rows) = (0, 0, 0);
    for line in &plan.tables {
        ctx.stop.check()?;
        let (size, there) = (size(ctx, &line.source).await, is_there(ctx, &line.dest).await);
        ctx.stop.check()?;
        let exists = matches!(there, Ok(true)) && request.manner.mode == MigrateMode::Create;
        let failed = size.as_ref().err().or(there.as_ref().err()).map(Error::code);
        let problem = failed.or(exists.then_some(Code::TableExists));
        let size = size.ok();
        let of = |figure: fn(&Size) -> u64| size.as_ref().map(figure);
        let sizes = (of(|size| size.files), of(|size| size.bytes), of(|size| size.rows));
        files += sizes.0.unwrap_or_default();
        bytes += sizes.1.unwrap_or_default();
        rows += sizes.2.unwrap_or_default();
        tables.push(json!({
            "source": line.source.whole(ctx.lakes.default_name()), "destination": line.dest.whole(ctx.lakes.default_name()),
            "files": sizes.0, "bytes": sizes.1, "rows": sizes.2, "rows_exact": size.map(|size| !size.has_deletes),
            "destination_exists": there.ok(), "problem": problem,
        }));
    }
    let first = plan.tables.first().and_then(|line| line.dest.catalog.as_deref());
    let rate = match ctx.lake(first) {
        Ok(lake) => rate(lake, request.manner.copy.as_str()).await?,
        Err(_) => None,
    };
    let seconds = rate.map(|rate| (bytes as f64 / rate * 10.0).ceil() / 10.0);
    Ok(json!({"status": "success", "dry_run": true, "parallelism": request.parallelism, "files": files, "bytes": bytes,
              "rows": rows, "seconds_estimate": seconds, "tables": tables}))
}

/// How much is to be read of a table.
#[derive(Default)]
struct Size {
    files: u64,
    bytes: u64,
    /// Those of the files; rows that were deleted from them are among them.
    rows: u64,
    has_deletes: bool,
}

async fn size(ctx: &Ctx, place: &Place) -> Result<Size> {
    let name = TableName::new(&place.namespace, &place.table)?;
    let table = ctx.lake(place.catalog.as_deref())?.table(&name).await?;
    let (mut size, mut all) = (Size::default(), table.data_files(At::Current).await?);
    while let Some(file) = ctx.stop.or(async { Ok(all.try_next().await?) }).await? {
        (size.files, size.bytes, size.rows) = (size.files + 1, size.bytes + file.bytes, size.rows + file.rows);
        size.has_deletes |= file.has_deletes;
    }
    Ok(size)
}

async fn is_there(ctx: &Ctx, place: &Place) -> Result<bool> {
    let name = TableName::new(&place.namespace, &place.table)?;
    match ctx.lake(place.catalog.as_deref())?.table(&name).await.map_err(Error::from) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.code(), Code::TableNotFound | Code::NamespaceNotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The bytes per second of the newest migrations into this warehouse that copied in the same way; `None` if there are none.
async fn rate(lake: &Lake, copy: &str) -> Result<Option<f64>> {
    let (mut bytes, mut seconds) = (0, 0.0);
    for id in Store(lake).ids().await?.iter().rev().take(NEWEST) {
        let Some(AnyReport::One(report)) = Store(lake).get(id).await?.map(|stored| stored.report) else { continue };
        if report.transfer.as_ref().is_some_and(|transfer| transfer.copy == copy && transfer.published) {
            (bytes, seconds) = (bytes + report.source.bytes, seconds + report.duration_seconds);
        }
    }
    Ok((bytes > 0 && seconds > 0.0).then(|| bytes as f64 / seconds))
}

fn report(request: &MigrateBatch, ctx: &Ctx, plan: &Plan) -> BatchReport {
    let name = ctx.lakes.default_name();
    let tables: Vec<BatchLine> = plan.tables.iter().map(|line| told(line, name)).collect();
    let count = |status: &str| tables.iter().filter(|line| line.status == status).count() as u64;
    let (succeeded, failed, cancelled) = (count("succeeded"), count("failed"), count("cancelled"));
    let now = Utc::now();
    let rows = tables.iter().filter_map(|line| line.rows).sum();
    let all = tables.len();
    let have = |verdict| move |line: &BatchLine| line.verdict == Some(verdict);
    let verdict = if tables.iter().any(have(Verdict::Mismatch)) {
        Verdict::Mismatch
    } else if failed + cancelled == 0 && tables.iter().all(have(Verdict::Match)) {
        Verdict::Match
    } else {
        Verdict::NotCompared
    };
    let summary = match failed + cancelled {
        0 => format!("all {all} tables were migrated ({rows} rows)"),
        _ => format!("{succeeded} of {all} tables were migrated, {failed} failed, {cancelled} were cancelled"),
    };
    BatchReport {
        report_version: crate::report::VERSION,
        migration_id: ctx.job.to_string(),
        kind: "migrate.batch".to_owned(),
        status: if failed + cancelled == 0 { "success" } else { "failed" }.to_owned(),
        verdict,
        summary,
        started_at: plan.started_at,
        finished_at: now,
        duration_seconds: crate::job::migrate::seconds(now - plan.started_at),
        tool: crate::report::Tool::default(),
        parallelism: request.parallelism,
        succeeded,
        failed,
        cancelled,
        rows,
        bytes: tables.iter().filter_map(|line| line.bytes).sum(),
        tables,
        request: serde_json::to_value(request).unwrap_or_default(),
    }
}

fn told(line: &Line, default: &str) -> BatchLine {
    let ended = line.ended.as_ref();
    let result = |key: &str| ended.map(|ended| ended.result[key].clone()).unwrap_or_default();
    let error = ended.and_then(|ended| ended.error.as_ref());
    // Who has compared something has left a report.
    let verdict = match error.map(|error| error.code) {
        Some(Code::VerificationFailed) => Some(Verdict::Mismatch),
        _ => serde_json::from_value(result("verdict")).ok(),
    };
    BatchLine {
        source: line.source.whole(default),
        destination: line.dest.whole(default),
        job_id: line.job,
        status: ended.map_or("", |ended| ended.status.as_str()).to_owned(),
        verdict,
        rows: result("rows_migrated").as_u64(),
        bytes: result("bytes_written").as_u64(),
        seconds: result("duration_seconds").as_f64(),
        attempts: ended.map_or(0, |ended| ended.attempts),
        fingerprint: result("source_checksum").as_str().map(str::to_owned),
        error_code: error.map(|error| error.code.as_str().to_owned()),
        error: error.map(|error| error.message.clone()),
        report: verdict.map(|_| format!("/api/v1/migrations/{}/report", line.job)),
    }
}
