//! The storage that iceberg's own readers and writers go through.
use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use iceberg::io::{
    FileMetadata, FileRead, FileWrite, InputFile, LocalFsStorage, OutputFile, Storage, StorageConfig, StorageFactory,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::{
    Output,
    fault::foreign,
    local,
    object::{self, Buckets, ObjectRead},
};
use crate::{
    Error, Kind, Result,
    s3::{Bucket, S3Config},
};

/// Files of this machine, and those in buckets if the configuration says how they are reached.
#[derive(Clone, Debug)]
pub(super) struct Files {
    local: LocalFsStorage,
    buckets: Option<Buckets>,
}

/// Where a location is.
pub(super) enum Place {
    /// On this machine.
    Local(PathBuf),
    /// In a bucket, under a key.
    Object(Bucket, String),
}

impl Files {
    pub(super) fn new(s3: Option<&S3Config>) -> Self {
        Self { local: LocalFsStorage::new(), buckets: s3.map(Buckets::new) }
    }

    pub(super) fn place(&self, location: &str) -> Result<Place> {
        if let Some((bucket, key)) = object::split(location) {
            let buckets = self.buckets.as_ref().ok_or_else(|| object::unknown(location))?;
            return Ok(Place::Object(buckets.get(bucket)?, key.to_owned()));
        }
        match location.split_once("://") {
            Some((scheme, _)) if scheme != "file" => {
                let message = format!("files on `{scheme}://` are not supported; use a path, file:///… or s3://…");
                Err(Error::new(Kind::UnsupportedFeature, message))
            }
            _ => Ok(Place::Local(local::path(location))),
        }
    }

    fn find(&self, location: &str) -> iceberg::Result<Place> {
        self.place(location).map_err(foreign)
    }
}

#[async_trait]
#[typetag::serde(name = "icehaul")]
impl Storage for Files {
    async fn exists(&self, path: &str) -> iceberg::Result<bool> {
        match self.find(path)? {
            Place::Local(_) => self.local.exists(path).await,
            Place::Object(bucket, key) => match bucket.head(&key).await {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == Kind::ObjectNotFound => Ok(false),
                Err(error) => Err(foreign(error)),
            },
        }
    }

    async fn metadata(&self, path: &str) -> iceberg::Result<FileMetadata> {
        match self.find(path)? {
            Place::Local(_) => self.local.metadata(path).await,
            Place::Object(bucket, key) => {
                let object = bucket.head(&key).await.map_err(foreign)?;
                Ok(FileMetadata { size: object.size })
            }
        }
    }

    async fn read(&self, path: &str) -> iceberg::Result<Bytes> {
        match self.find(path)? {
            Place::Local(_) => self.local.read(path).await,
            Place::Object(bucket, key) => bucket.read(&key).await.map_err(foreign),
        }
    }

    async fn reader(&self, path: &str) -> iceberg::Result<Box<dyn FileRead>> {
        match self.find(path)? {
            Place::Local(_) => self.local.reader(path).await,
            Place::Object(bucket, key) => Ok(Box::new(ObjectRead { bucket, key })),
        }
    }

    async fn write(&self, path: &str, content: Bytes) -> iceberg::Result<()> {
        match self.find(path)? {
            Place::Local(_) => self.local.write(path, content).await,
            Place::Object(bucket, key) => bucket.put_new(&key, content).await.map_err(foreign),
        }
    }

    async fn writer(&self, path: &str) -> iceberg::Result<Box<dyn FileWrite>> {
        match self.find(path)? {
            Place::Local(_) => self.local.writer(path).await,
            Place::Object(bucket, key) => Ok(Box::new(Output::object(bucket.upload(&key, None).only_new()))),
        }
    }

    async fn delete(&self, path: &str) -> iceberg::Result<()> {
        match self.find(path)? {
            Place::Local(_) => self.local.delete(path).await,
            Place::Object(bucket, key) => bucket.delete(&key).await.map_err(foreign),
        }
    }

    async fn delete_prefix(&self, path: &str) -> iceberg::Result<()> {
        match self.find(path)? {
            Place::Local(_) => self.local.delete_prefix(path).await,
            Place::Object(bucket, key) => {
                bucket.delete_all(&format!("{}/", key.trim_end_matches('/')), |_| false).await.map_err(foreign)
            }
        }
    }

    async fn delete_stream(&self, mut paths: BoxStream<'static, String>) -> iceberg::Result<()> {
        while let Some(path) = paths.next().await {
            self.delete(&path).await?;
        }
        Ok(())
    }

    fn new_input(&self, path: &str) -> iceberg::Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), path.to_owned()))
    }

    fn new_output(&self, path: &str) -> iceberg::Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), path.to_owned()))
    }
}

#[typetag::serde(name = "icehaul")]
impl StorageFactory for Files {
    fn build(&self, _: &StorageConfig) -> iceberg::Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.clone()))
    }
}

/// The library's traits ask for it; open clients and their keys do not travel.
impl Serialize for Files {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom("a warehouse is opened from its configuration, not from a text"))
    }
}

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom("a warehouse is opened from its configuration, not from a text"))
    }
}
