//! Reading objects: ranges of them, pinned to the version that was looked at.
use std::ops::Range;

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use object_store::{GetOptions, GetRange, ObjectStore};
use tokio_util::task::AbortOnDropHandle;

use super::{Bucket, Object};
use crate::{Error, Kind, Result};

/// The size of a chunk of a stream: large enough that the way to a distant store counts little.
const CHUNK: u64 = 8 << 20;
/// The chunks of a stream that are fetched at a time.
const AHEAD: usize = 4;

impl Bucket {
    /// Exactly the bytes of a range of an object. A body that breaks off is gone on with.
    ///
    /// # Errors
    /// [`Kind::ObjectChanged`] if another content lies under the key now; [`Kind::ObjectArchived`]; as [`Bucket::head`].
    pub async fn get(&self, object: &Object, range: Range<u64>) -> Result<Bytes> {
        self.fetch(&object.key, range, Some(object)).await
    }

    /// The bytes of a range of an object that is written once and never changed.
    ///
    /// # Errors
    /// As [`Bucket::get`].
    pub async fn range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        self.fetch(key, range, None).await
    }

    async fn fetch(&self, key: &str, range: Range<u64>, pinned: Option<&Object>) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let length = range.end - range.start;
        let options = GetOptions {
            if_match: pinned.and_then(|object| object.etag.clone()),
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let failed = |e| self.failed("read", key, e);
        let found = self.store.get_opts(&self.path(key)?, options).await.map_err(failed)?;
        // Some stores do not heed the condition.
        let other = |object: &Object| {
            let etag = &found.meta.e_tag;
            found.meta.size != object.size || (etag.is_some() && object.etag.is_some() && *etag != object.etag)
        };
        if pinned.is_some_and(other) {
            return Err(self.changed(key));
        }
        let bytes = found.bytes().await.map_err(failed)?;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(self.changed(key)) }
    }

    /// A whole object as it is now, of which it is known that it is small.
    ///
    /// # Errors
    /// As [`Bucket::head`].
    pub async fn read(&self, key: &str) -> Result<Bytes> {
        let failed = |e| self.failed("read", key, e);
        let found = self.store.get_opts(&self.path(key)?, GetOptions::default()).await.map_err(failed)?;
        found.bytes().await.map_err(failed)
    }

    /// The bytes of a range in order, in chunks of 8 MiB, of which four are fetched at a time however slowly they are taken.
    ///
    /// # Errors
    /// As [`Bucket::get`], as items.
    pub fn stream(&self, object: &Object, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let (bucket, object) = (self.clone(), object.clone());
        let fetch = move |range| {
            let (bucket, object) = (bucket.clone(), object.clone());
            let work = tokio::spawn(async move { bucket.get(&object, range).await });
            let work = AbortOnDropHandle::new(work);
            async move { work.await.unwrap_or_else(|e| Err(broken(e))) }
        };
        futures::stream::iter(chunks(range)).map(fetch).buffered(AHEAD).boxed()
    }
}

/// A task that did not end by itself.
pub(super) fn broken(cause: tokio::task::JoinError) -> Error {
    Error::new(Kind::Internal, "a transfer was broken off").caused_by(cause)
}

fn chunks(range: Range<u64>) -> impl Iterator<Item = Range<u64>> + Send {
    let Range { start, end } = range;
    let mut from = start;
    std::iter::from_fn(move || {
        let chunk = from..end.min(from.saturating_add(CHUNK));
        from = chunk.end;
        (chunk.start < chunk.end).then_some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_the_range_once() {
        assert_eq!(chunks(5..5).count(), 0);
        assert_eq!(chunks(5..6).map(|chunk| (chunk.start, chunk.end)).collect::<Vec<_>>(), [(5, 6)]);
        let all: Vec<_> = chunks(1..2 * CHUNK + 2).collect();
        assert_eq!(all, [1..CHUNK + 1, CHUNK + 1..2 * CHUNK + 1, 2 * CHUNK + 1..2 * CHUNK + 2]);
    }
}
