//! The bytes of a row group's columns: all at once where they are few, else in windows as the pages are read.
use std::{ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::runtime::Handle;

use super::{FileBytes, FileError, Result};

/// The compressed bytes of one row group that are held at once.
pub(super) const WINDOW_BYTES: u64 = 64 << 20;
/// The least that a column asks for at once.
const LEAST_READ: u64 = 256 << 10;
/// Columns with no more than this between them are fetched together.
const GAP: u64 = 256 << 10;
/// The most bytes of one request, and the requests under way at once.
const MOST_READ: u64 = 8 << 20;
const READS: usize = 4;

pub(super) async fn read(file: &dyn FileBytes, range: Range<u64>) -> Result<Bytes> {
    let length = range.end - range.start;
    let bytes = file.read(range).await.map_err(FileError::Bytes)?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(FileError::invalid("gave fewer bytes than it has")),
    }
}

/// The bytes of the columns of a row group, as far as they are there.
pub(super) struct Fetched {
    chunks: Vec<Bytes>,
    window: u64,
}

impl Fetched {
    /// Fetches all of a small row group; of a large one nothing yet.
    pub(super) async fn new(file: &dyn FileBytes, chunks: &[Range<u64>]) -> Result<Self> {
        let total: u64 = chunks.iter().map(|chunk| chunk.end - chunk.start).sum();
        let window = (WINDOW_BYTES / chunks.len().max(1) as u64).max(LEAST_READ);
        if total > WINDOW_BYTES {
            return Ok(Self { chunks: vec![Bytes::new(); chunks.len()], window });
        }
        let runs = together(chunks);
        let reads: Vec<_> = runs.iter().cloned().map(|run| whole(file, run)).collect();
        let fetched: Vec<Bytes> = stream::iter(reads).buffered(READS).try_collect().await?;
        let slice = |chunk: &Range<u64>| {
            let run = runs.partition_point(|run| run.start <= chunk.start).saturating_sub(1);
            let from = (chunk.start - runs[run].start) as usize;
            fetched[run].slice(from..from + (chunk.end - chunk.start) as usize)
        };
        Ok(Self { chunks: chunks.iter().map(slice).collect(), window })
    }

    /// The bytes of one column.
    pub(super) fn column(&self, index: usize, range: Range<u64>, file: &Arc<dyn FileBytes>, handle: &Handle) -> Column {
        let here = self.chunks.get(index).cloned().unwrap_or_default();
        Column {
            at: range.start,
            end: range.end,
            here,
            window: self.window,
            file: file.clone(),
            handle: handle.clone(),
        }
    }
}

/// Ranges that cover the chunks, in order; near ones are one.
fn together(chunks: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut chunks: Vec<_> = chunks.to_vec();
    chunks.sort_by_key(|chunk| chunk.start);
    let mut runs: Vec<Range<u64>> = Vec::new();
    for chunk in chunks {
        match runs.last_mut() {
            Some(run) if chunk.start <= run.end + GAP => run.end = run.end.max(chunk.end),
            _ => runs.push(chunk),
        }
    }
    runs
}

/// A range in requests of bounded size, several at once.
async fn whole(file: &dyn FileBytes, range: Range<u64>) -> Result<Bytes> {
    if range.end - range.start <= MOST_READ {
        return read(file, range).await;
    }
    let starts = (range.start..range.end).step_by(MOST_READ as usize);
    let reads: Vec<_> = starts.map(|start| read(file, start..range.end.min(start + MOST_READ))).collect();
    let parts: Vec<Bytes> = stream::iter(reads).buffered(READS).try_collect().await?;
    let mut all = BytesMut::with_capacity((range.end - range.start) as usize);
    parts.iter().for_each(|part| all.extend_from_slice(part));
    Ok(all.freeze())
}

/// The bytes of a column that were not taken yet. Waits for more on a blocking thread.
pub(super) struct Column {
    at: u64,
    end: u64,
    here: Bytes,
    window: u64,
    file: Arc<dyn FileBytes>,
    handle: Handle,
}

impl Column {
    /// Whether all was taken.
    pub(super) const fn is_empty(&self) -> bool {
        self.at >= self.end
    }

    /// How many bytes were not taken yet.
    pub(super) const fn left(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }

    /// At least `least` bytes from the place reached on, or all that are left if those are fewer.
    pub(super) fn look(&mut self, least: u64) -> Result<&Bytes> {
        let least = least.min(self.left());
        if (self.here.len() as u64) < least {
            let to = self.end.min(self.at + least.max(self.window));
            self.here = self.handle.block_on(whole(self.file.as_ref(), self.at..to))?;
        }
        Ok(&self.here)
    }

    /// Exactly so many bytes.
    pub(super) fn take(&mut self, length: u64) -> Result<Bytes> {
        if length > self.left() {
            return Err(FileError::invalid("is broken: a page is longer than its column"));
        }
        self.look(length)?;
        self.at += length;
        Ok(self.here.split_to(length as usize))
    }
}
