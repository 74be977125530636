//! Reading objects: ranges of them, pinned to the version that was looked at.
use std::{ops::Range, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore};
use tokio_util::task::AbortOnDropHandle;

use super::{Bucket, Object};
use crate::{Error, Kind, Result};

/// The size of a chunk of a stream: large enough that the way to a distant store counts little.
const CHUNK: u64 = 8 << 20;
/// The chunks of a stream that are fetched at a time.
const AHEAD: usize = 4;
/// The largest object that is read as a whole.
const MOST_WHOLE: u64 = 1 << 30;
/// The fewest bytes a second that a request must bring, after a time in which nothing needs to come: a store that drips is
/// not waited for.
const SLOWEST: u64 = 32 << 10;

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
        let path = self.path(key)?;
        let reading = async {
            let found = self.store.get_opts(&path, options).await.map_err(failed)?;
            // Some stores do not heed the condition.
            if pinned.is_some_and(|object| is_other(&found.meta, object)) {
                return Err(self.changed(key));
            }
            self.collect(key, found, length).await
        };
        let bytes = self.in_time(key, length, reading).await?;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(self.changed(key)) }
    }

    /// The content of an answer that may have `most` bytes.
    async fn collect(&self, key: &str, found: GetResult, most: u64) -> Result<Bytes> {
        // The length is what a store told: memory is taken for what has come.
        let mut bytes = Vec::with_capacity(usize::try_from(most.min(CHUNK)).unwrap_or_default());
        let mut pieces = found.into_stream();
        while let Some(piece) = pieces.try_next().await.map_err(|e| self.failed("read", key, e))? {
            bytes.extend_from_slice(&piece);
            if bytes.len() as u64 > most {
                let what = format!("the store sends more of `{}` than was asked for", self.location(key));
                return Err(Error::new(Kind::StoreUnreachable, what));
            }
        }
        Ok(bytes.into())
    }

    async fn in_time<T>(&self, key: &str, length: u64, reading: impl Future<Output = Result<T>>) -> Result<T> {
        let time = self.patience + Duration::from_secs(length / SLOWEST);
        tokio::time::timeout(time, reading).await.unwrap_or_else(|_| {
            let what =
                format!("the store sends `{}` too slowly: {length} bytes took more than {time:?}", self.location(key));
            Err(Error::new(Kind::StoreUnreachable, what))
        })
    }

    /// A whole object as it is now, of which it is known that it is small.
    ///
    /// # Errors
    /// As [`Bucket::head`]; [`Kind::UnsupportedFeature`] if it has more than 1 GiB.
    pub async fn read(&self, key: &str) -> Result<Bytes> {
        let failed = |e| self.failed("read", key, e);
        let path = self.path(key)?;
        let get = async { self.store.get_opts(&path, GetOptions::default()).await.map_err(failed) };
        let found = self.in_time(key, 0, get).await?;
        let size = found.meta.size;
        if size > MOST_WHOLE {
            let what = format!("`{}` has {size} bytes: too many to be read as a whole", self.location(key));
            return Err(Error::new(Kind::UnsupportedFeature, what));
        }
        self.in_time(key, size, self.collect(key, found, size)).await
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

/// Whether an answer is about another content than that which was looked at. Times are compared where there is no `ETag`,
/// in seconds: headers tell no more.
fn is_other(meta: &ObjectMeta, object: &Object) -> bool {
    let other = match (&meta.e_tag, &object.etag) {
        (Some(now), Some(then)) => now != then,
        _ => meta.last_modified.timestamp() != object.last_modified.timestamp(),
    };
    other || meta.size != object.size
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
