//! Figures about a table's content: rows, files, fingerprint.
use std::thread::available_parallelism;

use futures::{StreamExt, TryStreamExt, stream::BoxStream};

use super::{At, FileInfo, Scan, Table};
use crate::{
    Fingerprint, Result,
    measure::{self, Depth, Measured},
};

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
        Ok(self.measure(at, columns, Depth::default()).await?.fingerprint().clone())
    }

    /// The measure of the rows, read in bounded memory on all cores.
    ///
    /// # Errors
    /// As `scan`.
    pub async fn measure(&self, at: At, columns: Option<&[String]>, depth: Depth) -> Result<Measured> {
        let scan = Scan { at, columns: columns.map(<[String]>::to_vec), ..Scan::default() };
        let cores = available_parallelism().map_or(1, std::num::NonZero::get);
        measure::measure(self.scan_parallel(scan, cores).await?, None, depth).await
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
        self.data_files_since(at, None).await
    }

    /// The live data files that an earlier snapshot does not have, or has with other deletes, found as they are taken.
    ///
    /// # Errors
    /// As `scan`.
    pub async fn data_files_since(&self, at: At, since: Option<i64>) -> Result<BoxStream<'static, Result<FileInfo>>> {
        let plan = self.plan(&Scan { at, since, columns: Some(Vec::new()), ..Scan::default() }).await?;
        let files = plan.tasks.map_ok(|task| FileInfo {
            rows: task.record_count.unwrap_or_default(),
            bytes: task.file_size_in_bytes,
            has_deletes: !task.deletes.is_empty(),
            path: task.data_file_path,
        });
        Ok(files.boxed())
    }
}
