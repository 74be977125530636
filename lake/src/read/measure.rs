//! Figures about a table's content: rows, files, fingerprint.
use std::thread::available_parallelism;

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use tokio::task::JoinSet;

use super::{At, FileInfo, Scan, Table};
use crate::{Error, Fingerprint, Kind, Result, fingerprint::Hasher};

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

    /// The fingerprint of the rows, read in bounded memory on all cores.
    ///
    /// # Errors
    /// As `scan`.
    pub async fn fingerprint(&self, at: At, columns: Option<&[String]>) -> Result<Fingerprint> {
        let scan = Scan { at, columns: columns.map(<[String]>::to_vec), ..Scan::default() };
        let cores = available_parallelism().map_or(1, std::num::NonZero::get);
        let mut workers = JoinSet::new();
        for mut batches in self.scan_parallel(scan, cores).await? {
            let mut hasher = Hasher::new(&batches.schema, None)?;
            workers.spawn(async move {
                while let Some(batch) = batches.stream.try_next().await? {
                    hasher.add(&batch)?;
                }
                Ok::<_, Error>(hasher.finish())
            });
        }
        let mut whole: Option<Fingerprint> = None;
        while let Some(part) = workers.join_next().await {
            let part = part.map_err(|cause| Error::new(Kind::Internal, "a reader of rows died").caused_by(cause))??;
            match &mut whole {
                Some(whole) => whole.merge(&part)?,
                None => whole = Some(part),
            }
        }
        whole.ok_or_else(|| Error::new(Kind::Internal, "no reader of rows was started"))
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
