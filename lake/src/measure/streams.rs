//! Streams of rows to what is made of them, on all cores.
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures::StreamExt;
use tokio::{
    sync::{Mutex, mpsc},
    task::{JoinError, JoinSet},
};

use super::{Depth, Measured, Measurer};
use crate::{Batches, Error, Kind, Result};

/// Takes batches, among others.
pub(crate) trait Taker: Send + 'static {
    /// Takes a batch of the schema that it was made for.
    fn take(&mut self, batch: &RecordBatch) -> Result<()>;
}

impl Taker for Measurer {
    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        self.add(batch)
    }
}

/// Measures the rows of several streams in bounded memory.
pub(crate) async fn measure(streams: Vec<Batches>, columns: Option<&[String]>, depth: Depth) -> Result<Measured> {
    let parts = share(streams, |schema| Measurer::new(schema, columns, depth)).await?;
    let mut parts = parts.into_iter().map(Measurer::finish);
    let mut whole = parts.next().ok_or_else(nobody)?;
    parts.try_for_each(|part| whole.merge(part))?;
    Ok(whole)
}

/// Shares the rows of several streams among as many takers: what is decoded beside what is hashed, so that a single small
/// file keeps two cores busy too.
pub(crate) async fn share<T: Taker>(streams: Vec<Batches>, make: impl Fn(&SchemaRef) -> Result<T>) -> Result<Vec<T>> {
    let schema = streams.first().map(|batches| batches.schema.clone()).ok_or_else(nobody)?;
    let width = streams.len();
    let (mut readers, batches) = decode(streams, 2 * width);
    let batches = Arc::new(Mutex::new(batches));
    let mut takers = JoinSet::new();
    for _ in 0..width {
        takers.spawn(feed(make(&schema)?, batches.clone()));
    }
    drop(batches);
    // Whatever fails first is told, and what is left is dropped with it.
    let mut done = Vec::with_capacity(width);
    while let Some(taker) = takers.join_next().await {
        done.push(taker.map_err(died)??);
    }
    while let Some(read) = readers.join_next().await {
        read.map_err(died)?;
    }
    Ok(done)
}

/// The batches of several streams on one channel, at most `ahead` of them decoded and not taken yet.
fn decode(streams: Vec<Batches>, ahead: usize) -> (JoinSet<()>, mpsc::Receiver<Result<RecordBatch>>) {
    let (decoded, batches) = mpsc::channel(ahead);
    let mut readers = JoinSet::new();
    for mut batches in streams {
        let decoded = decoded.clone();
        readers.spawn(async move {
            while let Some(batch) = batches.stream.next().await {
                if decoded.send(batch).await.is_err() {
                    break;
                }
            }
        });
    }
    (readers, batches)
}

/// Gives a taker the batches that it, among others, can get hold of.
async fn feed<T: Taker>(mut taker: T, batches: Arc<Mutex<mpsc::Receiver<Result<RecordBatch>>>>) -> Result<T> {
    loop {
        let next = batches.lock().await.recv().await;
        let Some(batch) = next else { return Ok(taker) };
        taker.take(&batch?)?;
    }
}

fn nobody() -> Error {
    Error::new(Kind::Internal, "no reader of rows was started")
}

fn died(cause: JoinError) -> Error {
    Error::new(Kind::Internal, "a reader of rows died").caused_by(cause)
}
