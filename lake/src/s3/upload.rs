//! Writing objects: small ones in one request, large ones in equal parts, several at a time.
use std::time::Duration;

use bytes::Bytes;
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutPayloadMut, path::Path,
};
use tokio::task::JoinSet;

use super::{Bucket, fault::is_unsure, read::broken};
use crate::{Error, Kind, Result};

/// The size of a part unless the object would have too many of them.
const PART: usize = 8 << 20;
/// Less than what stores allow (10,000), for sizes that are only estimated.
const MOST_PARTS: u64 = 9_000;
/// How often a conditional PUT is tried whose outcome is unknown; the library does not repeat it.
const TRIES: u32 = 4;

impl Bucket {
    /// Writes a whole object in one request, over one that may be there.
    ///
    /// # Errors
    /// [`Kind::StorageFull`], [`Kind::BucketNotFound`], [`Kind::ObjectForbidden`], [`Kind::StoreUnreachable`].
    pub async fn put(&self, key: &str, content: Bytes) -> Result<()> {
        let done = self.store.put(&self.path(key)?, content.into()).await;
        done.map(drop).map_err(|e| self.failed("write", key, e))
    }

    /// Writes a whole object in one request if there is none of that key. One that is there already with the same content
    /// is our own, whose answer was lost.
    ///
    /// # Errors
    /// As [`Bucket::put`]; [`Kind::ObjectChanged`] if there is another.
    pub async fn put_new(&self, key: &str, content: Bytes) -> Result<()> {
        let path = self.path(key)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let error = match self.store.put_opts(&path, content.clone().into(), options).await {
                Ok(_) => return Ok(()),
                Err(object_store::Error::AlreadyExists { .. }) => match self.read(key).await {
                    Ok(there) if there == content => return Ok(()),
                    Ok(_) => {
                        let message = format!("another object lies at `{}` already", self.location(key));
                        return Err(Error::new(Kind::ObjectChanged, message));
                    }
                    // It is deleted again, or another's conditional PUT was under way that failed after all.
                    Err(error) if error.kind() == Kind::ObjectNotFound && tries < TRIES => error,
                    Err(error) => return Err(error),
                },
                Err(error) if error.to_string().contains("<Code>NotImplemented<") => {
                    return self.put(key, content).await;
                }
                Err(error) if is_unsure(&error) && tries < TRIES => self.failed("write", key, error),
                Err(error) => return Err(self.failed("write", key, error)),
            };
            tracing::debug!(key, %error, "a conditional PUT is tried again");
            tokio::time::sleep(Duration::from_millis(100 << tries)).await;
        }
    }

    /// Begins an object that is written piece by piece. `size` is what it will be about, where that is known.
    #[must_use]
    pub fn upload(&self, key: &str, size: Option<u64>) -> Upload {
        let part = size.map_or(0, |size| size.div_ceil(MOST_PARTS)).max(PART as u64);
        Upload {
            bucket: self.clone(),
            key: key.to_owned(),
            part: usize::try_from(part).unwrap_or(PART),
            new: false,
            written: 0,
            rest: PutPayloadMut::new(),
            under_way: JoinSet::new(),
            multipart: None,
        }
    }
}

/// An object in the making. Nobody sees it before `close`; dropped, it leaves nothing: parts that were sent are thrown away,
/// unless the whole program ends right then. The store's own rule for incomplete uploads takes those.
pub struct Upload {
    bucket: Bucket,
    key: String,
    /// The size of each part but the last.
    part: usize,
    /// Whether it must not replace another.
    new: bool,
    written: u64,
    /// What is less than a part.
    rest: PutPayloadMut,
    under_way: JoinSet<object_store::Result<()>>,
    /// From the first full part on.
    multipart: Option<Box<dyn MultipartUpload>>,
}

impl Upload {
    /// Does not replace an object that is there. (The store is asked for that of small objects only; a key must be unique.)
    #[must_use]
    pub fn only_new(mut self) -> Self {
        self.new = true;
        self
    }

    /// Takes more bytes. Full parts are sent beside what the caller does; it waits if too many are under way in the bucket.
    ///
    /// # Errors
    /// As [`Bucket::put`], for any part sent so far.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        self.written += bytes.len() as u64;
        while self.rest.content_length() + bytes.len() >= self.part {
            self.rest.push(bytes.split_to(self.part - self.rest.content_length()));
            let part = std::mem::take(&mut self.rest);
            self.send(part.into()).await?;
        }
        if !bytes.is_empty() {
            self.rest.push(bytes);
        }
        Ok(())
    }

    /// The bytes that wait here to become a part.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.rest.content_length()
    }

    /// Sends the rest and makes the object.
    ///
    /// # Errors
    /// As [`Bucket::put`].
    pub async fn close(mut self) -> Result<u64> {
        let rest: PutPayload = std::mem::take(&mut self.rest).into();
        if self.multipart.is_none() {
            let (bucket, key) = (&self.bucket, &self.key);
            let done =
                if self.new { bucket.put_new(key, rest.into()).await } else { bucket.put(key, rest.into()).await };
            return done.map(|()| self.written);
        }
        if rest.content_length() > 0 {
            self.send(rest).await?;
        }
        while let Some(done) = self.under_way.join_next().await {
            self.sent(done)?;
        }
        // Taken out once it is done: what is still there when this is dropped is aborted.
        let Some(multipart) = &mut self.multipart else { return Ok(self.written) };
        if let Err(error) = multipart.complete().await {
            let error = self.failed(error);
            // Asked again after a lost answer, the store does not know the upload any more.
            let unknown = error.kind() == Kind::ObjectNotFound;
            if !unknown || !is_there(&self.bucket, &self.key, self.written).await {
                return Err(error);
            }
        }
        self.multipart = None;
        Ok(self.written)
    }

    /// Throws away what was sent.
    pub async fn abort(mut self) {
        self.under_way.shutdown().await;
        if let Some(multipart) = self.multipart.take() {
            abort(multipart, self.bucket.location(&self.key)).await;
        }
    }

    async fn send(&mut self, part: PutPayload) -> Result<()> {
        while let Some(done) = self.under_way.try_join_next() {
            self.sent(done)?;
        }
        let permit = self.bucket.parts.clone().acquire_owned().await;
        let permit = permit.map_err(|e| Error::new(Kind::Internal, "uploads are over").caused_by(e))?;
        if self.multipart.is_none() {
            let begun = self.bucket.store.put_multipart(&self.path()?).await;
            self.multipart = Some(begun.map_err(|e| self.failed(e))?);
        }
        let Some(multipart) = &mut self.multipart else { return Ok(()) };
        let sending = multipart.put_part(part);
        self.under_way.spawn(async move {
            let done = sending.await;
            drop(permit);
            done
        });
        Ok(())
    }

    fn sent(&self, done: Result<object_store::Result<()>, tokio::task::JoinError>) -> Result<()> {
        done.map_err(broken)?.map_err(|e| self.failed(e))
    }

    fn path(&self) -> Result<Path> {
        self.bucket.path(&self.key)
    }

    fn failed(&self, error: object_store::Error) -> Error {
        self.bucket.failed("write", &self.key, error)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(multipart) = self.multipart.take() else { return };
        let mut under_way = std::mem::take(&mut self.under_way);
        let place = self.bucket.location(&self.key);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                under_way.shutdown().await;
                abort(multipart, place).await;
            });
        }
    }
}

async fn is_there(bucket: &Bucket, key: &str, size: u64) -> bool {
    bucket.head(key).await.is_ok_and(|object| object.size == size)
}

async fn abort(mut multipart: Box<dyn MultipartUpload>, place: String) {
    if let Err(error) = multipart.abort().await {
        tracing::warn!(place, %error, "cannot throw away the parts of a broken upload: the store keeps them until they expire");
    }
}
