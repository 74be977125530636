//! Records as rows of the table.
use std::{collections::BTreeMap, sync::Arc};

use arrow_array::{
    Array, ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    cast::AsArray,
    types::{Int64Type, TimestampMicrosecondType},
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::DateTime;
use futures::TryStreamExt;
use icehaul_lake::{
    Change, Cursor, CursorMove, Cursors, Filter, Guard, Lake, Scan, SchemaMode, TableName, TableSpec, between, equal,
};

use super::{NAMESPACE, Record};
use crate::{Code, Error, JobId, Result};

/// The column by whose name the table's cursors are kept.
const CURSOR: &str = "event_id";
const ZONE: &str = "+00:00";

/// The table's name.
pub(super) fn name() -> Result<TableName> {
    Ok(TableName::new(NAMESPACE, "audit")?)
}

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let mut fields = vec![
        Field::new("seq", DataType::Int64, true),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, Some(ZONE.into())), true),
        Field::new("rows", DataType::Int64, true),
    ];
    fields.extend(Record::TEXTS.iter().chain(&["previous_hash", "hash"]).map(|name| text(name)));
    Arc::new(Schema::new(fields))
}

fn rows(records: &[Record]) -> Result<RecordBatch> {
    let number = |value: Option<u64>| value.map(u64::cast_signed);
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(records.iter().map(|record| number(record.seq)).collect::<Int64Array>()),
        Arc::new(
            records
                .iter()
                .map(|record| Some(record.at.timestamp_micros()))
                .collect::<TimestampMicrosecondArray>()
                .with_timezone(ZONE),
        ),
        Arc::new(records.iter().map(|record| number(record.rows)).collect::<Int64Array>()),
    ];
    for index in 0..Record::TEXTS.len() {
        columns.push(Arc::new(records.iter().map(|record| record.texts()[index]).collect::<StringArray>()));
    }
    columns.push(Arc::new(records.iter().map(|record| record.previous_hash.as_deref()).collect::<StringArray>()));
    columns.push(Arc::new(records.iter().map(|record| record.hash.as_deref()).collect::<StringArray>()));
    RecordBatch::try_new(schema(), columns)
        .map_err(|e| Error::new(Code::Internal, "audit records do not fit their table").caused_by(e))
}

fn records(batch: &RecordBatch) -> Result<Vec<Record>> {
    let strange = |name: &str| {
        Error::new(Code::SchemaMismatch, format!("`icehaul.audit` has been changed: the column `{name}` is missing"))
    };
    let text = |name: &str| {
        let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        column.ok_or_else(|| strange(name))
    };
    let number = |name: &str| {
        let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
        column.ok_or_else(|| strange(name))
    };
    let at = batch.column_by_name("at").and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let (at, seq, count) = (at.ok_or_else(|| strange("at"))?, number("seq")?, number("rows")?);
    let texts: BTreeMap<&str, &StringArray> = Record::TEXTS
        .iter()
        .chain(&["previous_hash", "hash"])
        .map(|name| Ok((*name, text(name)?)))
        .collect::<Result<_>>()?;
    let get = |name: &str, row: usize| {
        let column = texts.get(name).filter(|column| column.is_valid(row));
        column.map(|column| column.value(row).to_owned())
    };
    let whole = |column: &Int64Array, row: usize| {
        Some(column).filter(|column| column.is_valid(row)).map(|column| column.value(row).cast_unsigned())
    };
    let one = |row: usize| {
        let time = Some(at).filter(|at| at.is_valid(row)).map(|at| at.value(row));
        let time = time.and_then(DateTime::from_timestamp_micros).unwrap_or_default();
        let record = Record::of(time, whole(count, row), |name| get(name, row));
        Record { seq: whole(seq, row), previous_hash: get("previous_hash", row), hash: get("hash", row), ..record }
    };
    Ok((0..batch.num_rows()).map(one).collect())
}

/// The end of the chain, and how far each stream has been written.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    /// The newest record's number; 0 if there is none.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
    cursors: Cursors,
}

impl Head {
    /// Reads it from the table's metadata.
    pub async fn load(lake: &Lake) -> Result<Self> {
        let table = lake.look(&name()?).await?;
        let cursors = table.map(|table| table.cursors()).transpose()?.unwrap_or_default();
        let mut head = Self { hash: super::START.to_owned(), ..Self::default() };
        for cursor in cursors.values() {
            let (seq, _, hash) = parts(&cursor.value).ok_or_else(|| {
                Error::new(Code::UnsupportedFeature, "the cursors of `icehaul.audit` have been changed")
            })?;
            if seq > head.seq {
                (head.seq, head.hash) = (seq, hash.to_owned());
            }
        }
        Ok(Self { cursors, ..head })
    }

    /// The newest event of a stream that is in the table.
    pub fn written(&self, queue: &str) -> (u64, u64) {
        self.cursors.get(queue).and_then(|cursor| parts(&cursor.value)).map_or((0, 0), |(_, event, _)| event)
    }

    /// Appends chained records of one stream in one snapshot. `false`: another writer was first, and nothing was done.
    ///
    /// Two conditions hold within the table's compare-and-swap: the stream was written as far as this head says, and no
    /// snapshot begins with the same number.
    pub async fn append(&self, lake: &Lake, queue: &str, records: &[Record]) -> Result<bool> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(true) };
        let show = |value: &Option<String>| value.clone().unwrap_or_default();
        let value = format!("{} {} {}", last.seq.unwrap_or(0), show(&last.event_id), show(&last.hash));
        let guard = Guard {
            operation: format!("audit-{}", first.seq.unwrap_or(0)),
            permission: Arc::new(|| Box::pin(async { true })),
            cursor: Some(CursorMove {
                source: queue.to_owned(),
                from: self.cursors.get(queue).cloned(),
                to: Cursor { column: CURSOR.to_owned(), value },
            }),
            summary: BTreeMap::new(),
        };
        let spec = TableSpec {
            name: name()?,
            schema: schema(),
            partition_by: Vec::new(),
            schema_mode: SchemaMode::Freeze,
            compression: None,
            model: None,
        };
        let target = lake.prepare(spec).await?;
        let prefix = format!("{}/{}", guard.operation, uuid::Uuid::new_v4().simple());
        let mut writer = target.writer(&prefix, 0).await?;
        writer.write(&rows(records)?).await?;
        let files = writer.close().await?;
        icehaul_lake::failpoint::hit("audit.written").await?;
        let committed = lake.commit(&target, files, Change::Append, &guard).await.map_err(Error::from);
        match committed {
            Ok(committed) if !committed.already => Ok(true),
            // With the catalog away the swap may have happened: then the files stay.
            Err(error) if error.code() == Code::CatalogUnavailable => Err(error),
            Err(error) if error.code() != Code::CursorMoved => {
                target.discard_prefix(&prefix).await;
                Err(error)
            }
            _ => {
                target.discard_prefix(&prefix).await;
                Ok(false)
            }
        }
    }
}

/// A cursor's number, event and hash.
fn parts(value: &str) -> Option<(u64, (u64, u64), &str)> {
    let mut words = value.split(' ');
    let seq = words.next()?.parse().ok()?;
    Some((seq, super::record::event_id(words.next()?)?, words.next()?))
}

/// The records whose numbers lie in a range, both ends included, in no order; those that `keep` wants.
pub(super) async fn read(lake: &Lake, from: i64, to: i64, keep: impl Fn(&Record) -> bool) -> Result<Vec<Record>> {
    scan(lake, between("seq", from, to), keep).await
}

/// The records of a job, in no order; those that `keep` wants. Job ids begin with a time, so that few files are read.
pub(super) async fn of_job(lake: &Lake, job: JobId, keep: impl Fn(&Record) -> bool) -> Result<Vec<Record>> {
    scan(lake, equal("job_id", &job.to_string()), keep).await
}

async fn scan(lake: &Lake, filter: Filter, keep: impl Fn(&Record) -> bool) -> Result<Vec<Record>> {
    let table = match lake.table(&name()?).await.map_err(Error::from) {
        Err(error) if matches!(error.code(), Code::TableNotFound | Code::NamespaceNotFound) => return Ok(Vec::new()),
        table => table?,
    };
    let scan = Scan { filter: Some(filter), ..Scan::default() };
    let mut batches = table.scan(scan).await?.stream;
    let mut found = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        found.extend(records(&batch)?.into_iter().filter(&keep));
    }
    Ok(found)
}

/// The numbers that lie outside of the chain `1..=last`, if there are such: the first that is found; a missing one is 0.
pub(super) async fn stray(lake: &Lake, last: u64) -> Result<Option<i64>> {
    let table = match lake.table(&name()?).await.map_err(Error::from) {
        Err(error) if matches!(error.code(), Code::TableNotFound | Code::NamespaceNotFound) => return Ok(None),
        table => table?,
    };
    let scan = Scan { columns: Some(vec!["seq".into()]), ..Scan::default() };
    let mut batches = table.scan(scan).await?.stream;
    while let Some(batch) = batches.try_next().await? {
        let Some(column) = batch.column(0).as_primitive_opt::<Int64Type>() else { continue };
        let outside = column.iter().map(|seq| seq.unwrap_or(0)).find(|seq| *seq < 1 || seq.cast_unsigned() > last);
        if outside.is_some() {
            return Ok(outside);
        }
    }
    Ok(None)
}
