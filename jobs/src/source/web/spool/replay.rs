//! Pages of earlier attempts, one after the other.
use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use icehaul_lake::Folder;

use super::{super::fetched::Fetched, At, warc};
use crate::{Code, Error, Result};

/// The pages that earlier attempts have written down, in the order in which they were fetched.
pub(in crate::source::web) struct Replay {
    folder: Folder,
    files: VecDeque<String>,
    open: Option<Open>,
}

struct Open {
    name: Arc<str>,
    bytes: Bytes,
    offset: usize,
}

impl Replay {
    /// Looks for files of earlier attempts than `epoch`.
    pub(super) async fn begin(folder: Folder, epoch: u64) -> Result<Self> {
        let files = if epoch > 1 { folder.files().await? } else { Vec::new() };
        let own = format!("{epoch:08}-");
        let files = files.into_iter().map(|file| file.name);
        let earlier = files.filter(|name| name.ends_with(".warc.gz") && name.as_str() < own.as_str());
        Ok(Self { folder, files: earlier.collect(), open: None })
    }

    /// The page of a number, if it was written down. An attempt that went on too long may have written pages that the next
    /// one has fetched too: the first of each counts.
    ///
    /// # Errors
    /// [`Code::StorageUnavailable`].
    pub(in crate::source::web) async fn page(&mut self, number: u32) -> Result<Option<(Fetched, At)>> {
        loop {
            let Some((page, at)) = self.next().await? else { return Ok(None) };
            if page.number == number {
                return Ok(Some((page, at)));
            }
            if page.number > number {
                // One is missing: what follows it may not be what follows it now.
                self.files.clear();
                self.open = None;
                return Ok(None);
            }
        }
    }

    /// Opens a file. One whose end was cut off with its process is written anew without it, so that others can read it too.
    async fn opened(&self, name: String) -> Result<Option<Open>> {
        let bytes = self.folder.read(&name, None).await?;
        let whole = blocking({
            let bytes = bytes.clone();
            move || whole(&bytes)
        });
        let whole = whole.await?;
        if whole == bytes.len() {
            return Ok(Some(Open { name: name.into(), bytes, offset: 0 }));
        }
        let mended = name.replace(".warc.gz", "-mended.warc.gz");
        let bytes = bytes.slice(..whole);
        if whole > 0 {
            self.folder.write(&mended, bytes.to_vec()).await?;
        }
        self.folder.delete(&name).await;
        Ok((whole > 0).then(|| Open { name: mended.into(), bytes, offset: 0 }))
    }

    async fn next(&mut self) -> Result<Option<(Fetched, At)>> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(name) = self.files.pop_front() else { return Ok(None) };
                self.open = self.opened(name).await?;
                continue;
            };
            let rest = open.bytes.slice(open.offset..);
            let Some(record) = blocking(move || warc::read(&rest)).await? else {
                self.open = None;
                continue;
            };
            let at = At { file: open.name.clone(), offset: open.offset as u64, length: record.length };
            open.offset += usize::try_from(record.length).unwrap_or(usize::MAX).min(open.bytes.len() - open.offset);
            if let Some(page) = record.page {
                return Ok(Some((page, at)));
            }
        }
    }
}

/// How many bytes of a file are whole records.
fn whole(bytes: &[u8]) -> usize {
    let mut length = 0;
    while let Some(record) = bytes.get(length..).filter(|rest| !rest.is_empty()).and_then(warc::read) {
        length += usize::try_from(record.length).unwrap_or(usize::MAX);
    }
    length
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Error::new(Code::Internal, "the reading of pages panicked").caused_by(e))
}
