//! The writer of one split's rows.
use std::{collections::HashMap, sync::Arc};

use arrow_array::RecordBatch;
use arrow_row::OwnedRow;

use super::{Layout, WrittenFile, file::OpenFile, partitions::Part};
use crate::Result;

/// The memory that the rows under way may take in all open files together.
const MEMORY: usize = 64 << 20;
/// The same for what is encoded and is too little yet to be sent to a bucket.
const WAITING: usize = 128 << 20;
/// The most files open at a time.
const OPEN_FILES: usize = 64;
/// The most columns in all open files: each has buffers of its own.
const OPEN_COLUMNS: usize = 2048;

/// Writes the rows of one split into files of the target size, one set per partition.
///
/// At most 64 partitions are open at a time; the one longest unused is closed for the next, so that rows in no order
/// give more files but never take more memory.
pub struct TableWriter {
    layout: Arc<Layout>,
    /// `<data>/<prefix>`.
    root: String,
    split: usize,
    clock: u64,
    /// By partition; a table without partitions has one, `None`.
    open: HashMap<Option<OwnedRow>, Open>,
    done: Vec<WrittenFile>,
    paths: Vec<String>,
}

struct Open {
    file: OpenFile,
    used: u64,
    memory: usize,
}

impl TableWriter {
    pub(crate) fn new(layout: Arc<Layout>, prefix: &str, split: usize) -> Self {
        let root = format!("{}/{}", layout.data, prefix.trim_matches('/'));
        Self { layout, root, split, clock: 0, open: HashMap::new(), done: Vec::new(), paths: Vec::new() }
    }

    /// Writes a batch of the spec's schema. CPU-bound work runs on the caller's task.
    ///
    /// # Errors
    /// [`crate::Kind::StorageFull`], [`crate::Kind::StorageUnavailable`], [`crate::Kind::NullInRequired`].
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let rows = self.layout.conform.apply(batch)?;
        let Some(partitions) = &self.layout.partitions else {
            return self.add(None, Vec::new(), "", &rows).await;
        };
        for Part { key, values, directory, rows } in partitions.split(&rows)? {
            self.add(Some(key), values, &directory, &rows).await?;
        }
        Ok(())
    }

    /// Closes the files. None if no row was written.
    ///
    /// # Errors
    /// As `write`.
    pub async fn close(mut self) -> Result<Vec<WrittenFile>> {
        for (_, open) in std::mem::take(&mut self.open) {
            self.done.push(open.file.close(&self.layout).await?);
        }
        Ok(self.done)
    }

    /// Gives up: closes and deletes what was written.
    pub async fn abort(self) {
        drop(self.open);
        for path in &self.paths {
            self.layout.storage.remove(path).await;
        }
    }

    async fn add(
        &mut self,
        key: Option<OwnedRow>,
        values: Vec<serde_json::Value>,
        directory: &str,
        rows: &RecordBatch,
    ) -> Result<()> {
        self.clock += 1;
        if !self.open.contains_key(&key) {
            self.make_room().await?;
            let path = self.next_path(directory);
            self.paths.push(path.clone());
            let file = OpenFile::create(&self.layout, path, values).await?;
            self.open.insert(key.clone(), Open { file, used: 0, memory: 0 });
        }
        let Some(open) = self.open.get_mut(&key) else { return Ok(()) };
        open.file.write(rows).await?;
        (open.used, open.memory) = (self.clock, open.file.memory());
        if open.file.bytes() >= self.layout.target_bytes
            && let Some(full) = self.open.remove(&key)
        {
            self.done.push(full.file.close(&self.layout).await?);
        }
        self.bound_memory().await
    }

    /// Closes the file that was not used for longest if as many as allowed are open.
    async fn make_room(&mut self) -> Result<()> {
        let columns = self.layout.conform.schema.fields().len().max(1);
        if self.open.len() < OPEN_FILES.min(OPEN_COLUMNS / columns).max(1) {
            return Ok(());
        }
        let oldest = self.open.iter().min_by_key(|(_, open)| open.used).map(|(key, _)| key.clone());
        if let Some(open) = oldest.and_then(|key| self.open.remove(&key)) {
            self.done.push(open.file.close(&self.layout).await?);
        }
        Ok(())
    }

    /// Writes out the largest row group under way while all together take too much, and closes the file with the most that
    /// waits while that is too much: parts of a certain size are what a bucket takes, unless they are the last.
    async fn bound_memory(&mut self) -> Result<()> {
        while self.open.values().map(|open| open.file.waiting()).sum::<usize>() > WAITING {
            let largest = self.open.iter().max_by_key(|(_, open)| open.file.waiting()).map(|(key, _)| key.clone());
            let Some(full) = largest.and_then(|key| self.open.remove(&key)) else { break };
            self.done.push(full.file.close(&self.layout).await?);
        }
        while self.open.values().map(|open| open.memory).sum::<usize>() > MEMORY {
            let Some(largest) = self.open.values_mut().max_by_key(|open| open.memory) else { break };
            largest.file.flush().await?;
            largest.memory = 0;
        }
        Ok(())
    }

    /// Names count up; the random part keeps a second writer of the same split and prefix off the first one's files.
    fn next_path(&self, directory: &str) -> String {
        let slash = if directory.is_empty() { "" } else { "/" };
        let random = uuid::Uuid::new_v4().as_fields().0;
        format!("{}/{directory}{slash}{:05}-{:05}-{random:08x}.parquet", self.root, self.split, self.paths.len())
    }
}
