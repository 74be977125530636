//! An object, pinned to the version that was listed.
use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream::BoxStream};
use icehaul_lake::s3::{Bucket, Object};

use crate::{Error, Result, format::Blob};

pub(super) struct S3Object {
    bucket: Bucket,
    object: Object,
    name: String,
}

impl S3Object {
    pub fn of(bucket: &Bucket, name: &str, object: Object) -> Arc<dyn Blob> {
        let name = format!("s3://{name}/{}", object.key);
        Arc::new(Self { bucket: bucket.clone(), object, name })
    }
}

impl Blob for S3Object {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.object.size
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move { Ok(self.bucket.get(&self.object, range).await?) }.boxed()
    }

    fn stream(self: Arc<Self>, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        self.bucket.stream(&self.object, range).map_err(Error::from).boxed()
    }
}
