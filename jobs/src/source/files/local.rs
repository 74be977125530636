//! A file of this machine, pinned to the state in which it was found.
use std::{fs::File, ops::Range, path::Path, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryFutureExt, future::BoxFuture, stream::BoxStream};
use rustix::{
    buffer::spare_capacity,
    fs::{Stat, fstat},
    io::{Errno, pread},
};

use super::beneath::{name, open_file};
use crate::{Code, Error, Result, config::Beneath, format::Blob};

/// How much is read at once, and how many such reads are under way ahead of who takes them.
const CHUNK: u64 = 4 << 20;
const AHEAD: usize = 2;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pin {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds of the last change of the content, which programs can set back,
    modified: (i64, u64),
    /// and of any change, which they cannot.
    changed: (i64, u64),
}

impl Pin {
    pub fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

/// A file below a root. It is opened for each read, so that thousands need no handle each.
#[derive(Clone)]
pub(super) struct LocalFile(Arc<Found>);

struct Found {
    at: Beneath,
    name: String,
    pin: Pin,
}

impl LocalFile {
    pub fn new(at: Beneath, pin: Pin) -> Self {
        Self(Arc::new(Found { name: name(&at), at, pin }))
    }

    /// The way from the root.
    pub fn place(&self) -> &Path {
        &self.0.at.rest
    }

    /// What is the same for all names of one file: its device and inode.
    pub fn identity(&self) -> (u64, u64) {
        (self.0.pin.device, self.0.pin.inode)
    }
}

impl Found {
    /// Opens it, if it is still in the state in which it was found.
    fn open(&self) -> Result<File> {
        let (file, stat) = open_file(&self.at)?;
        self.same(&stat).map(|()| file)
    }

    fn same(&self, stat: &Stat) -> Result<()> {
        if Pin::of(stat) == self.pin { Ok(()) } else { Err(self.changed()) }
    }

    fn changed(&self) -> Error {
        let message = format!("`{}` was changed while it was read; load it once it is complete", self.name);
        Error::new(Code::SourceChanged, message)
    }

    /// Reads a range and looks whether the file is still the same.
    fn read(&self, file: &File, range: Range<u64>) -> Result<Bytes> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let from = range.start + bytes.len() as u64;
            match pread(file, spare_capacity(&mut bytes), from) {
                Ok(0) => return Err(self.changed()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(self.unreadable(errno)),
            }
        }
        bytes.truncate(length); // The allocator may have given more room than was asked for.
        self.same(&fstat(file).map_err(|errno| self.unreadable(errno))?)?;
        Ok(bytes.into())
    }

    fn unreadable(&self, errno: Errno) -> Error {
        let cause = std::io::Error::from(errno);
        Error::new(Code::SourceInterrupted, format!("`{}` cannot be read on: {cause}", self.name)).caused_by(cause)
    }
}

impl Blob for LocalFile {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn size(&self) -> u64 {
        self.0.pin.size
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        let found = self.0.clone();
        blocking(move || found.read(&found.open()?, range)).boxed()
    }

    fn stream(self: Arc<Self>, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let found = self.0.clone();
        let opened = {
            let found = found.clone();
            blocking(move || found.open().map(Arc::new))
        };
        let chunks = move |file: Arc<File>| {
            let starts = futures::stream::iter((range.start..range.end).step_by(CHUNK as usize));
            let read = move |start: u64| {
                let (found, file, end) = (found.clone(), file.clone(), range.end.min(start + CHUNK));
                blocking(move || found.read(&file, start..end))
            };
            Ok(starts.map(read).buffered(AHEAD))
        };
        opened.map(|file| file.and_then(chunks)).try_flatten_stream().boxed()
    }
}

/// Runs what waits for a disk, where that disturbs nobody.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(Error::new(Code::Internal, "reading a file panicked").caused_by(e)))
}

#[cfg(test)]
mod tests;
