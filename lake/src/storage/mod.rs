//! The warehouse: where files lie, how they are written so that they last, and how they are removed without a trace.
//!
//! Files lie in folders of this machine or in buckets of object storage. Which it is, a location's scheme says; one lake may
//! have tables in both.
mod fault;
mod files;
mod local;
mod object;
mod output;

use std::{collections::HashSet, ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::TryStreamExt;
use iceberg::io::{FileIO, FileIOBuilder, FileRead as _};

pub(crate) use fault::{failed, ours};
use files::{Files, Place};
pub(crate) use output::Output;

use crate::{Error, FolderFile, Kind, Result, TableName, s3::S3Config};

/// How long the warehouse may take to show that it can be written to.
const PING: Duration = Duration::from_secs(10);
/// How long is tried to remove a file that nobody needs.
const REMOVAL: Duration = Duration::from_secs(20);

/// The files of one warehouse. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    io: FileIO,
    files: Files,
    /// `file:///absolute/path` or `s3://bucket/prefix`, without a slash at its end.
    warehouse: String,
}

impl Storage {
    /// The warehouse at a path, absolute or relative, or at a `file:` or `s3:` location.
    ///
    /// # Errors
    /// [`Kind::UnsupportedFeature`] for other schemes; [`Kind::InvalidIdentifier`] for a bucket or access that cannot be.
    pub(crate) fn new(warehouse: &str, s3: Option<&S3Config>) -> Result<Self> {
        let files = Files::new(s3);
        let warehouse = match files.place(warehouse)? {
            Place::Local(path) => {
                let path = std::path::absolute(path).map_err(|e| failed("find", warehouse, e))?;
                format!("file://{}", path.to_string_lossy().trim_end_matches('/'))
            }
            Place::Object(bucket, prefix) => {
                if s3.is_none_or(|s3| s3.access_key.is_none()) {
                    let message = "a warehouse on S3 needs `s3.access_key` and `s3.secret_key` beside it";
                    return Err(Error::new(Kind::InvalidIdentifier, message));
                }
                bucket.location(prefix.trim_matches('/')).trim_end_matches('/').to_owned()
            }
        };
        let io = FileIOBuilder::new(Arc::new(files.clone())).build();
        Ok(Self { io, files, warehouse })
    }

    pub(crate) const fn io(&self) -> &FileIO {
        &self.io
    }

    /// Where a new table of that name lies.
    pub(crate) fn table_location(&self, name: &TableName) -> String {
        format!("{}/{}/{}", self.warehouse, name.namespace(), name.table())
    }

    /// Whether the warehouse can be written to.
    pub(crate) async fn ping(&self) -> Result<()> {
        let probe = format!("{}/.icehaul-{}", self.warehouse, uuid::Uuid::new_v4().simple());
        let written = tokio::time::timeout(PING, self.write(&probe, Vec::new())).await;
        written.map_err(|_| {
            let message = format!("the warehouse `{}` does not answer", self.warehouse);
            Error::new(Kind::StorageUnavailable, message)
        })??;
        self.remove(&probe).await;
        Ok(())
    }

    /// Opens a new file.
    pub(crate) async fn create(&self, path: &str) -> Result<Output> {
        match self.files.place(path)? {
            Place::Local(_) => local::create(&self.io, path).await.map(Output::local),
            Place::Object(bucket, key) => Ok(Output::object(bucket.upload(&key, None).only_new())),
        }
    }

    /// Writes a whole file and makes it last.
    pub(crate) async fn write(&self, path: &str, content: Vec<u8>) -> Result<()> {
        let mut file = self.create(path).await?;
        file.put(content.into()).await.map_err(|e| failed("write", path, e))?;
        file.finish().await.map_err(|e| failed("write", path, e))
    }

    /// Writes a whole file over one that may be there: whoever reads sees the one or the other.
    pub(crate) async fn replace(&self, path: &str, content: Vec<u8>) -> Result<()> {
        match self.files.place(path)? {
            Place::Local(place) => {
                let aside = format!("{path}.{}", uuid::Uuid::new_v4().simple());
                self.write(&aside, content).await?;
                let renamed = std::fs::rename(local::path(&aside), place);
                renamed.map_err(|e| failed("write", path, e))
            }
            Place::Object(bucket, key) => bucket.put(&key, content.into()).await.map_err(|e| failed("write", path, e)),
        }
    }

    /// The content of a small file.
    pub(crate) async fn read(&self, path: &str) -> Result<Vec<u8>> {
        let read = async { self.io.new_input(path)?.read().await };
        read.await.map(Vec::from).map_err(|e| failed("read", path, e))
    }

    /// The names of the files in a folder.
    pub(crate) async fn names_in(&self, folder: &str) -> Result<Vec<String>> {
        match self.files.place(folder)? {
            Place::Local(place) => local::names_in(&place).map_err(|e| failed("list", folder, e)),
            Place::Object(bucket, key) => {
                let prefix = format!("{}/", key.trim_end_matches('/'));
                let objects: Vec<_> = bucket.list(&prefix).try_collect().await?;
                let names = objects.iter().filter_map(|object| object.key.strip_prefix(&prefix));
                Ok(names.filter(|name| !name.contains('/')).map(str::to_owned).collect())
            }
        }
    }

    /// The location of what lies below the warehouse.
    pub(crate) fn below(&self, path: &str) -> String {
        format!("{}/{path}", self.warehouse)
    }

    /// Reads a whole file, or a part of it.
    pub(crate) async fn read_part(&self, path: &str, part: Option<Range<u64>>) -> Result<Bytes> {
        let input = self.io.new_input(path).map_err(|e| failed("read", path, e))?;
        let read = async {
            match part {
                Some(part) => input.reader().await?.read(part).await,
                None => input.read().await,
            }
        };
        read.await.map_err(|e| failed("read", path, e))
    }

    /// All files under a directory, by their names from there, sorted.
    pub(crate) async fn list(&self, directory: &str) -> Result<Vec<FolderFile>> {
        let mut files = match self.files.place(directory)? {
            Place::Local(root) => local::list(root).await.map_err(|e| failed("list", directory, e))?,
            Place::Object(bucket, key) => {
                let prefix = format!("{}/", key.trim_end_matches('/'));
                let objects: Vec<_> = bucket.list(&prefix).try_collect().await?;
                let file = |object: crate::s3::Object| FolderFile {
                    name: object.key.get(prefix.len()..).unwrap_or_default().to_owned(),
                    size: object.size,
                    written_at: Some(object.last_modified.into()),
                };
                objects.into_iter().map(file).collect()
            }
        };
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    /// Removes a file, and the folders that it leaves empty. What cannot be removed is logged: it is unreachable.
    pub(crate) async fn remove(&self, path: &str) {
        match tokio::time::timeout(REMOVAL, self.io.delete(path)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(path, %error, "cannot remove a file that belongs to no table"),
            Err(_) => {
                tracing::warn!(path, "cannot remove a file that belongs to no table: the storage does not answer")
            }
        }
        self.prune(path, false);
    }

    /// Removes everything under a directory but the files in `keep`. Parts of uploads that a killed process left are no
    /// files yet: those the store's own rule for incomplete uploads takes.
    pub(crate) async fn remove_under(&self, directory: &str, keep: &HashSet<&str>) {
        if let Err(error) = self.try_remove_under(directory, keep).await {
            tracing::warn!(directory, %error, "cannot remove all files of an abandoned attempt");
        }
        self.prune(directory, true);
    }

    async fn try_remove_under(&self, directory: &str, keep: &HashSet<&str>) -> Result<()> {
        match self.files.place(directory)? {
            Place::Local(root) => {
                let keep = keep.iter().map(|path| local::path(path)).collect();
                local::remove_tree(&root, &keep).map_err(|e| failed("empty", directory, e))
            }
            Place::Object(bucket, key) => {
                let keep: HashSet<_> = keep.iter().filter_map(|path| object::key(path)).map(str::to_owned).collect();
                bucket.delete_all(&format!("{}/", key.trim_end_matches('/')), move |key| keep.contains(key)).await
            }
        }
    }

    /// Removes the folders that are empty now, up to the warehouse. Object storage has none.
    fn prune(&self, path: &str, itself: bool) {
        if object::key(path).is_none() && object::key(&self.warehouse).is_none() {
            let path = local::path(path);
            local::prune(if itself { Some(&path) } else { path.parent() }, &local::path(&self.warehouse));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> S3Config {
        S3Config { access_key: Some("a".into()), secret_key: Some("b".into()), ..S3Config::default() }
    }

    #[test]
    fn locations_have_one_form() {
        let name = TableName::parse("raw.orders").expect("name");
        for warehouse in ["/data/wh", "/data/wh/", "file:///data/wh", "file:/data/wh/"] {
            let storage = Storage::new(warehouse, None).expect(warehouse);
            assert_eq!(storage.table_location(&name), "file:///data/wh/raw/orders");
        }
        for warehouse in ["s3://lake/wh", "s3a://lake/wh/", "s3n://lake//wh"] {
            let storage = Storage::new(warehouse, Some(&keys())).expect(warehouse);
            assert_eq!(storage.table_location(&name), "s3://lake/wh/raw/orders");
        }
        let storage = Storage::new("s3://lake", Some(&keys())).expect("bucket alone");
        assert_eq!(storage.table_location(&name), "s3://lake/raw/orders");
    }

    #[test]
    fn what_cannot_be_a_warehouse_is_refused() {
        for (warehouse, s3, kind) in [
            ("gs://bucket/x", Some(keys()), Kind::UnsupportedFeature),
            ("s3://bucket/x", None, Kind::InvalidIdentifier),
            ("s3://bucket/x", Some(S3Config::default()), Kind::InvalidIdentifier),
            ("s3://b?/x", Some(keys()), Kind::InvalidIdentifier),
            ("s3://", Some(keys()), Kind::InvalidIdentifier),
        ] {
            assert_eq!(Storage::new(warehouse, s3.as_ref()).expect_err(warehouse).kind(), kind, "{warehouse}");
        }
    }

    #[tokio::test]
    async fn removing_leaves_no_empty_directory_and_keeps_what_it_is_told() {
        let dir = tempfile::tempdir().expect("temp dir");
        let root = dir.path().to_string_lossy().into_owned();
        let storage = Storage::new(&root, None).expect("storage");
        let (kept, gone) = (format!("file://{root}/n/t/data/j/1/a"), format!("file://{root}/n/t/data/j/2/b"));
        storage.write(&kept, b"1".to_vec()).await.expect("write");
        storage.write(&gone, b"2".to_vec()).await.expect("write");
        let job = format!("file://{root}/n/t/data/j");
        storage.remove_under(&job, &HashSet::from([kept.as_str()])).await;
        assert!(local::path(&kept).exists() && !local::path(&gone).parent().expect("parent").exists());
        storage.remove_under(&job, &HashSet::new()).await;
        assert_eq!(std::fs::read_dir(dir.path()).expect("list").count(), 0);
    }
}
