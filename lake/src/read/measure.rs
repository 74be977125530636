//! Figures about a table's content: rows, files, fingerprint.
use std::{sync::Arc, thread::available_parallelism};

use arrow_array::RecordBatch;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use tokio::{
    sync::{Mutex, mpsc},
    task::{JoinError, JoinSet},
};

use super::{At, FileInfo, Scan, Table};
use crate::{Batches, Error, Fingerprint, Kind, Result, fingerprint::Hasher};

impl Table {
    /// The number of rows: from metadata where that is exact, else counted.
    ///
    /// # Errors
    /// As `scan`.
    pub async fn count(&self, at: At) -> Result<u64> {
        let mut plan = self.plan(&Scan { at, columns: Some(Vec::new()), ..Scan::default() }).await?;
        let mut rows = 0;
        while let Some(task) = plan.tasks.try_next().await? {
            rows += match task.record_count {
                Some(count) if task.deletes.is_empty() => count,
                _ => {
                    let batches = plan.reader.clone().open(task);
                    batches.try_fold(0, async |sum, batch| Ok(sum + batch.num_rows() as u64)).await?
                }
            };
        }
        Ok(rows)
    }

    /// The fingerprint of the rows, read in bounded memory on all cores: pieces of files side by side, and what is decoded
    /// beside what is hashed, so that a single small file keeps two cores busy too.
    ///
    /// # Errors
    /// As `scan`.
    pub async fn fingerprint(&self, at: At, columns: Option<&[String]>) -> Result<Fingerprint> {
        let scan = Scan { at, columns: columns.map(<[String]>::to_vec), ..Scan::default() };
        let cores = available_parallelism().map_or(1, std::num::NonZero::get);
        let streams = self.scan_parallel(scan, cores).await?;
        let none = || Error::new(Kind::Internal, "no reader of rows was started");
        let schema = streams.first().map(|batches| batches.schema.clone()).ok_or_else(none)?;
        let (mut readers, batches) = decode(streams, 2 * cores);
        let batches = Arc::new(Mutex::new(batches));
        let mut hashers = JoinSet::new();
        for _ in 0..cores {
            hashers.spawn(hash(Hasher::new(&schema, None)?, batches.clone()));
        }
        // Whatever fails first is told, and what is left is dropped with it.
        let mut whole: Option<Fingerprint> = None;
        while let Some(part) = hashers.join_next().await {
            let part = part.map_err(died)??;
            match &mut whole {
                Some(whole) => whole.merge(&part)?,
                None => whole = Some(part),
            }
        }
        while let Some(read) = readers.join_next().await {
            read.map_err(died)?;
        }
        whole.ok_or_else(none)
    }

    /// The number of live data files and their size in bytes.
    ///
    /// # Errors
    /// As `scan`.
    pub async fn files(&self, at: At) -> Result<(u64, u64)> {
        let files = self.data_files(at).await?;
        files.try_fold((0, 0), async |(count, bytes), file| Ok((count + 1, bytes + file.bytes))).await
    }

    /// The live data files, found as they are taken.
    ///
    /// # Errors
    /// As `scan`.
    pub async fn data_files(&self, at: At) -> Result<BoxStream<'static, Result<FileInfo>>> {
        let plan = self.plan(&Scan { at, columns: Some(Vec::new()), ..Scan::default() }).await?;
        let files = plan.tasks.map_ok(|task| FileInfo {
            rows: task.record_count.unwrap_or_default(),
            bytes: task.file_size_in_bytes,
            has_deletes: !task.deletes.is_empty(),
            path: task.data_file_path,
        });
        Ok(files.boxed())
    }
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

/// The fingerprint of the batches that this hasher, among others, can get hold of.
async fn hash(mut hasher: Hasher, batches: Arc<Mutex<mpsc::Receiver<Result<RecordBatch>>>>) -> Result<Fingerprint> {
    loop {
        let next = batches.lock().await.recv().await;
        let Some(batch) = next else { return Ok(hasher.finish()) };
        hasher.add(&batch?)?;
    }
}

fn died(cause: JoinError) -> Error {
    Error::new(Kind::Internal, "a reader of rows died").caused_by(cause)
}
