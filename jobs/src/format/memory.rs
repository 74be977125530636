//! Small files in memory.
use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};

use super::Blob;
use crate::{Code, Error, Result};

/// A file in memory, which is streamed in chunks of a given size.
pub(crate) struct MemoryBlob {
    name: String,
    bytes: Bytes,
    chunk: usize,
}

impl MemoryBlob {
    pub(crate) fn blob(name: &str, bytes: impl Into<Bytes>, chunk: usize) -> Arc<dyn Blob> {
        Arc::new(Self { name: name.into(), bytes: bytes.into(), chunk: chunk.max(1) })
    }

    fn slice(&self, range: Range<u64>) -> Result<Bytes> {
        let within = |at: u64| usize::try_from(at).ok().filter(|at| *at <= self.bytes.len());
        match (within(range.start), within(range.end)) {
            (Some(from), Some(to)) if from <= to => Ok(self.bytes.slice(from..to)),
            _ => Err(Error::new(Code::Internal, format!("`{}` has no bytes {range:?}", self.name))),
        }
    }
}

impl Blob for MemoryBlob {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        std::future::ready(self.slice(range)).boxed()
    }

    fn stream(self: Arc<Self>, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let bytes = match self.slice(range) {
            Ok(bytes) => bytes,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let starts = (0..bytes.len()).step_by(self.chunk);
        let chunk = self.chunk;
        stream::iter(starts.map(move |at| Ok(bytes.slice(at..bytes.len().min(at + chunk))))).boxed()
    }
}
