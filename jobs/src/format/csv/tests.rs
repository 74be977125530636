//! Whole files: what they become, and what is refused.
mod files;
mod properties;

use std::{collections::BTreeMap, sync::Arc};

use arrow_array::{RecordBatch, cast::AsArray};
use arrow_cast::{cast, display::ArrayFormatter};
use arrow_schema::DataType;
use futures::TryStreamExt;

use super::{super::memory::MemoryBlob, *};
use crate::{Code, Error, Stop, transform::infer::Kind};

/// A table as texts: NULL is `None`.
type Texts = Vec<Vec<Option<String>>>;

fn ctx() -> Ctx {
    Ctx {
        job: uuid::Uuid::nil(),
        attempt: 1,
        max_attempts: 1,
        epoch: 1,
        lakes: icehaul_lake::Lakes::new(BTreeMap::new(), String::new()),
        connections: Arc::default(),
        file_roots: Arc::default(),
        limits: Arc::default(),
        sites: Arc::default(),
        progress: Arc::default(),
        stop: Stop::default(),
        permission: Arc::new(|| Box::pin(async { true })),
        children: None,
    }
}

fn reading(json: serde_json::Value) -> Reading {
    serde_json::from_value(json).expect("a reading")
}

/// What files have become.
#[derive(Debug)]
struct Loaded {
    /// `name: type` of each column.
    columns: Vec<String>,
    rows: Texts,
    notes: Vec<String>,
    parts: usize,
}

impl Loaded {
    /// The rows, `-` for NULL, cells parted by `|`.
    fn lines(&self) -> Vec<String> {
        let line =
            |row: &Vec<Option<String>>| row.iter().map(|c| c.as_deref().unwrap_or("-")).collect::<Vec<_>>().join("|");
        self.rows.iter().map(line).collect()
    }
}

/// Scans and reads files; every text is streamed in chunks of `chunk` bytes and cut into pieces of `piece` bytes.
async fn load_by(reading: &Reading, files: &[(&str, &[u8])], chunk: usize, piece: u64) -> Result<Loaded, Error> {
    load_onto(None, reading, files, chunk, piece).await
}

/// The same for a table that exists.
async fn load_onto(
    table: Option<&Schema>,
    reading: &Reading,
    files: &[(&str, &[u8])],
    chunk: usize,
    piece: u64,
) -> Result<Loaded, Error> {
    let ctx = ctx();
    let blobs: Vec<_> = files.iter().map(|(name, bytes)| MemoryBlob::blob(name, bytes.to_vec(), chunk)).collect();
    let scanned = plan::scan_in_pieces(reading, table, &blobs, &ctx, Some(piece)).await?;
    let mut batches = Vec::new();
    for part in &scanned.parts {
        let stream = Csv::read(reading, &scanned.schema, blobs[part.blob].clone(), part, &ctx).await?;
        batches.extend(stream.try_collect::<Vec<RecordBatch>>().await?);
    }
    let rows: Texts = batches.iter().flat_map(texts).collect();
    assert_eq!(scanned.rows, Some(rows.len() as u64));
    let kind = |t: &DataType| Kind::of(t).map_or_else(|| t.to_string(), |kind| kind.to_string());
    Ok(Loaded {
        columns: scanned.schema.fields().iter().map(|f| format!("{}: {}", f.name(), kind(f.data_type()))).collect(),
        rows,
        notes: scanned.type_notes.iter().map(|n| format!("{}: {}", n.column, n.note)).collect(),
        parts: scanned.parts.len(),
    })
}

async fn load(json: serde_json::Value, text: &str) -> Result<Loaded, Error> {
    load_by(&reading(json), &[("a.csv", text.as_bytes())], 7, 16).await
}

async fn code(json: serde_json::Value, text: &str) -> (Code, String) {
    let error = load(json, text).await.expect_err("refused");
    (error.code(), error.message().to_owned())
}

fn texts(batch: &RecordBatch) -> Texts {
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| match column.data_type() {
            DataType::FixedSizeBinary(_) => (0..column.len())
                .map(|row| ArrayFormatter::try_new(column, &Default::default()).expect("shown").value(row).to_string())
                .map(Some)
                .collect::<Vec<_>>(),
            _ => {
                let text = cast(column, &DataType::Utf8).expect("text");
                text.as_string::<i32>().iter().map(|cell| cell.map(str::to_owned)).collect()
            }
        })
        .collect();
    (0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect()
}
