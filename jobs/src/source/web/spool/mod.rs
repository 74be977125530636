//! The pages that a job has fetched, written down beside its table, so that a later attempt, on whatever machine, goes on
//! where this one broke off and asks no page twice.
//!
//! Pages wait in memory and are written together, at most once a second: a job that ends before needs no file.
//! They are packed when they are written, not when they come.
mod keep;
mod replay;
mod warc;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use icehaul_lake::{Folder, FolderFile};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

pub(super) use self::replay::Replay;
use super::{super::Place, fetched::Fetched};
use crate::{Code, Ctx, Error, Result};

/// The folder beside the table for pages that are kept, and for those that are not.
const KEPT: &str = "raw";
const PASSING: &str = "pages";
/// What is so old belongs to no job that still runs.
const LEFT: Duration = Duration::from_secs(7 * 86_400);
/// So many bytes of pages wait at most: more of them are written before the second is over.
const MOST_WAITING: usize = 32 << 20;

/// The pages of one attempt.
pub(super) struct Spool {
    inner: Arc<Inner>,
    keeper: AbortOnDropHandle<()>,
}

struct Inner {
    folder: Folder,
    epoch: u64,
    state: Mutex<State>,
    /// Pages have come, or are wanted on disk.
    came: Notify,
    /// Pages have been written, or could not be.
    written: Notify,
}

#[derive(Default)]
struct State {
    /// Pages that are not written yet, by number.
    waiting: BTreeMap<u32, Arc<Fetched>>,
    waiting_bytes: usize,
    /// Pages that are being written.
    leaving: BTreeMap<u32, Arc<Fetched>>,
    places: HashMap<u32, At>,
    files: u32,
    /// Someone waits for all pages to be written.
    hurry: bool,
    failed: Option<(Code, String)>,
}

/// Where a page is kept.
#[derive(Clone, Debug)]
pub(super) struct At {
    file: Arc<str>,
    offset: u64,
    length: u64,
}

/// The folder of a job's pages.
fn folder(ctx: &Ctx, place: &Place, keep_raw: bool) -> Folder {
    let purpose = if keep_raw { KEPT } else { PASSING };
    place.lake.folder(&place.table, purpose).within(&ctx.job.to_string())
}

/// Deletes what a job has written down, unless it shall be kept, and what others have left long ago: jobs that were
/// cancelled while they waited for another attempt.
pub(super) async fn forget(ctx: &Ctx, place: &Place, keep_raw: bool, done: bool) {
    if !(keep_raw && done) {
        folder(ctx, place, keep_raw).clear().await;
    }
    let all = place.lake.folder(&place.table, PASSING);
    let is_old = |file: &FolderFile| file.written_at.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > LEFT);
    for file in all.files().await.unwrap_or_default().iter().filter(|file| is_old(file)) {
        all.delete(&file.name).await;
    }
}

impl Spool {
    pub(super) fn new(ctx: &Ctx, place: &Place, keep_raw: bool) -> Self {
        let inner = Arc::new(Inner {
            folder: folder(ctx, place, keep_raw),
            epoch: ctx.epoch,
            state: Mutex::default(),
            came: Notify::new(),
            written: Notify::new(),
        });
        let keeper = AbortOnDropHandle::new(tokio::spawn(keep::keep(inner.clone())));
        Self { inner, keeper }
    }

    /// Where the pages are, or would be.
    pub(super) fn location(&self) -> &str {
        self.inner.folder.location()
    }

    /// The pages of earlier attempts.
    ///
    /// # Errors
    /// [`Code::StorageUnavailable`].
    pub(super) async fn replay(&self) -> Result<Replay> {
        Replay::begin(self.inner.folder.clone(), self.inner.epoch).await
    }

    /// Remembers where a page of an earlier attempt is.
    pub(super) fn knows(&self, number: u32, at: At) {
        self.inner.lock().places.insert(number, at);
    }

    /// Deletes all that was written down, and writes no more.
    pub(super) async fn clear(self) {
        let Self { inner, keeper } = self;
        drop(keeper);
        inner.folder.clear().await;
    }

    /// Takes a page that was fetched; waits while too many others wait.
    ///
    /// # Errors
    /// [`Code::StorageUnavailable`], [`Code::StorageFull`], of the pages before.
    pub(super) async fn add(&self, page: Arc<Fetched>) -> Result<()> {
        {
            let mut state = self.inner.lock();
            state.waiting_bytes += page.body.len();
            state.waiting.insert(page.number, page);
        }
        self.inner.came.notify_one();
        self.until(|state| state.waiting_bytes <= MOST_WAITING).await
    }

    /// Waits until all pages are written.
    ///
    /// # Errors
    /// See [`Spool::add`].
    pub(super) async fn flush(&self) -> Result<()> {
        self.inner.lock().hurry = true;
        self.inner.came.notify_one();
        let flushed = self.until(|state| state.waiting.is_empty() && state.leaving.is_empty()).await;
        self.inner.lock().hurry = false;
        flushed
    }

    async fn until(&self, holds: impl Fn(&State) -> bool) -> Result<()> {
        loop {
            // Listens before it looks, so that nothing is missed in between.
            let written = self.inner.written.notified();
            {
                let state = self.inner.lock();
                if let Some((code, message)) = &state.failed {
                    return Err(Error::new(*code, message.clone()));
                }
                if holds(&state) {
                    return Ok(());
                }
            }
            written.await;
        }
    }

    /// A page again, from memory or from where it is kept.
    ///
    /// # Errors
    /// [`Code::StorageUnavailable`], [`Code::SourceFileMissing`].
    pub(super) async fn again(&self, number: u32) -> Result<Arc<Fetched>> {
        let gone = || Error::new(Code::Internal, format!("page {number} is not where it was kept"));
        let at = {
            let state = self.inner.lock();
            if let Some(page) = state.waiting.get(&number).or_else(|| state.leaving.get(&number)) {
                return Ok(page.clone());
            }
            state.places.get(&number).cloned().ok_or_else(gone)?
        };
        let packed = self.inner.folder.read(&at.file, Some(at.offset..at.offset + at.length)).await?;
        let read = tokio::task::spawn_blocking(move || warc::read(&packed));
        let record = read.await.map_err(|e| gone().caused_by(e))?.ok_or_else(gone)?;
        record.page.map(Arc::new).ok_or_else(gone)
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
