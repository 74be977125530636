//! Files in memory, for tests.
use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};

use super::Blob;
use crate::Result;

/// A file in memory, which is streamed in chunks of a given size.
pub(crate) struct MemoryBlob {
    name: String,
    bytes: Bytes,
    chunk: usize,
}

impl MemoryBlob {
    pub(crate) fn blob(name: &str, bytes: impl Into<Bytes>, chunk: usize) -> Arc<dyn Blob> {
        Arc::new(Self { name: name.into(), bytes: bytes.into(), chunk })
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
        let bytes = self.bytes.slice(range.start as usize..range.end as usize);
        async move { Ok(bytes) }.boxed()
    }

    fn stream(self: Arc<Self>, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let bytes = self.bytes.slice(range.start as usize..range.end as usize);
        let ends: Vec<_> = (0..bytes.len()).step_by(self.chunk).collect();
        let chunk = self.chunk;
        stream::iter(ends.into_iter().map(move |at| Ok(bytes.slice(at..bytes.len().min(at + chunk))))).boxed()
    }
}
