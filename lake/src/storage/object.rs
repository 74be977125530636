//! Files in buckets.
use std::{
    collections::HashMap,
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use iceberg::io::FileRead;

use super::fault::foreign;
use crate::{
    Error, Kind, Result,
    s3::{Bucket, S3Config},
};

/// How a location of object storage begins: the second and third are other engines' words for the first.
const SCHEMES: [&str; 3] = ["s3://", "s3a://", "s3n://"];

/// The buckets of one store, opened as locations name them.
#[derive(Clone)]
pub(super) struct Buckets {
    config: Arc<S3Config>,
    open: Arc<Mutex<HashMap<String, Bucket>>>,
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}

impl Buckets {
    pub(super) fn new(config: &S3Config) -> Self {
        Self { config: Arc::new(config.clone()), open: Arc::default() }
    }

    pub(super) fn get(&self, name: &str) -> Result<Bucket> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = open.get(name) {
            return Ok(bucket.clone());
        }
        let bucket = Bucket::connect(&self.config, name)?;
        open.insert(name.to_owned(), bucket.clone());
        Ok(bucket)
    }
}

/// The bucket and key of a location of object storage.
pub(super) fn split(location: &str) -> Option<(&str, &str)> {
    let path = SCHEMES.iter().find_map(|scheme| location.strip_prefix(scheme))?;
    Some(path.split_once('/').unwrap_or((path, "")))
}

/// The key of a location of object storage.
pub(super) fn key(location: &str) -> Option<&str> {
    split(location).map(|(_, key)| key)
}

/// A store that the configuration does not know.
pub(super) fn unknown(location: &str) -> Error {
    let message =
        format!("`{location}` lies in object storage, of which the catalog's configuration has no `s3` section");
    Error::new(Kind::InvalidIdentifier, message)
}

/// An object that is read here and there.
pub(super) struct ObjectRead {
    pub(super) bucket: Bucket,
    pub(super) key: String,
}

#[async_trait]
impl FileRead for ObjectRead {
    async fn read(&self, range: Range<u64>) -> iceberg::Result<Bytes> {
        self.bucket.range(&self.key, range).await.map_err(foreign)
    }
}
