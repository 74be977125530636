//! The warehouse: where files lie, how they are written so that they last, and how they are removed without a trace.
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use iceberg::io::{FileIO, FileIOBuilder, FileWrite, LocalFsStorageFactory};

use crate::{Error, Kind, Result, TableName};

/// The files of one warehouse. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    io: FileIO,
    /// `file:///absolute/path`, without a slash at its end.
    warehouse: String,
}

impl Storage {
    /// The warehouse at an absolute or relative path or a `file:` location.
    pub(crate) fn new(warehouse: &str) -> Result<Self> {
        if warehouse.contains("://") && !warehouse.starts_with("file://") {
            let scheme = warehouse.split("://").next().unwrap_or_default();
            let message = format!("a warehouse on `{scheme}://` is not supported; use a path or file:///…");
            return Err(Error::new(Kind::UnsupportedFeature, message));
        }
        let path = std::path::absolute(local(warehouse)).map_err(|e| failed("find", warehouse, e))?;
        let warehouse = format!("file://{}", path.to_string_lossy().trim_end_matches('/'));
        Ok(Self { io: file_io(), warehouse })
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
        self.write(&probe, Vec::new()).await?;
        self.remove(&probe).await;
        Ok(())
    }

    /// Opens a new file. A directory that another job's clean-up removed in between is made again.
    pub(crate) async fn create(&self, path: &str) -> Result<Box<dyn FileWrite>> {
        let mut tries = 0;
        loop {
            let opened =
                async { self.io.new_output(path)?.writer().await }.await.map_err(|e| failed("create", path, e));
            match opened {
                Err(error) if error.kind() == Kind::FileMissing && tries < 5 => tries += 1,
                Err(error) if error.kind() == Kind::FileMissing => {
                    return Err(Error::new(Kind::StorageUnavailable, error.message().to_owned()));
                }
                other => return other,
            }
        }
    }

    /// Writes a whole file and makes it last.
    pub(crate) async fn write(&self, path: &str, content: Vec<u8>) -> Result<()> {
        let mut file = self.create(path).await?;
        file.write(content.into()).await.map_err(|e| failed("write", path, e))?;
        file.close().await.map_err(|e| failed("write", path, e))
    }

    /// Removes a file and the directories that it leaves empty. What cannot be removed is logged: it is unreachable.
    pub(crate) async fn remove(&self, path: &str) {
        if let Err(error) = self.io.delete(path).await {
            tracing::warn!(path, %error, "cannot remove a file that belongs to no table");
        }
        self.prune(local(path).parent());
    }

    /// Removes everything under a directory but the files in `keep`.
    pub(crate) async fn remove_under(&self, directory: &str, keep: &HashSet<&str>) {
        let root = local(directory);
        if let Err(error) = remove_tree(&root, &keep.iter().map(|path| local(path)).collect()) {
            tracing::warn!(directory, %error, "cannot remove all files of an abandoned attempt");
        }
        self.prune(Some(&root));
    }

    /// Removes a directory and its parents as long as they are empty, up to the warehouse itself.
    fn prune(&self, mut directory: Option<&Path>) {
        let warehouse = local(&self.warehouse);
        while let Some(path) = directory.filter(|path| path.starts_with(&warehouse) && *path != warehouse) {
            match fs::remove_dir(path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => return,
            }
            directory = path.parent();
        }
    }
}

/// The one place that says how files are reached.
fn file_io() -> FileIO {
    FileIOBuilder::new(Arc::new(LocalFsStorageFactory)).build()
}

/// The path of a `file:` location, which may also be a bare path.
fn local(location: &str) -> PathBuf {
    PathBuf::from(location.strip_prefix("file://").or_else(|| location.strip_prefix("file:")).unwrap_or(location))
}

fn remove_tree(directory: &Path, keep: &HashSet<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            remove_tree(&path, keep)?;
            // Fails, as it should, when a kept file is inside.
            let _ = fs::remove_dir(&path);
        } else if !keep.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// An error of reading or writing `path`. The libraries below keep the cause as text only, so the text tells the kind.
pub(crate) fn failed(action: &str, path: &str, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    let text = format!("{cause} {cause:?}");
    let has = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
    let (kind, reason) = if has(&["os error 28", "No space left", "os error 122"]) {
        (Kind::StorageFull, "the disk is full")
    } else if has(&["os error 2)", "No such file"]) {
        (Kind::FileMissing, "it is not there")
    } else if has(&["os error 13)", "os error 30)"]) {
        (Kind::StorageUnavailable, "permission denied")
    } else {
        (Kind::StorageUnavailable, "the storage failed")
    };
    Error::new(kind, format!("cannot {action} `{path}`: {reason}")).caused_by(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_missing_file() {
        let full = iceberg::Error::new(iceberg::ErrorKind::Unexpected, "Failed: No space left on device (os error 28)");
        assert_eq!(failed("write", "x", full).kind(), Kind::StorageFull);
        let gone = iceberg::Error::new(iceberg::ErrorKind::DataInvalid, "Failed: No such file (os error 2)");
        assert_eq!(failed("read", "x", gone).kind(), Kind::FileMissing);
    }

    #[test]
    fn locations_have_three_slashes() {
        let name = TableName::parse("raw.orders").expect("name");
        for warehouse in ["/data/wh", "/data/wh/", "file:///data/wh", "file:/data/wh/"] {
            let storage = Storage::new(warehouse).expect(warehouse);
            assert_eq!(storage.table_location(&name), "file:///data/wh/raw/orders");
        }
        assert_eq!(Storage::new("s3://bucket/x").expect_err("s3").kind(), Kind::UnsupportedFeature);
    }

    #[tokio::test]
    async fn removing_leaves_no_empty_directory_and_keeps_what_it_is_told() {
        let dir = tempfile::tempdir().expect("temp dir");
        let root = dir.path().to_string_lossy().into_owned();
        let storage = Storage::new(&root).expect("storage");
        let (kept, gone) = (format!("file://{root}/n/t/data/j/1/a"), format!("file://{root}/n/t/data/j/2/b"));
        storage.write(&kept, b"1".to_vec()).await.expect("write");
        storage.write(&gone, b"2".to_vec()).await.expect("write");
        let job = format!("file://{root}/n/t/data/j");
        storage.remove_under(&job, &HashSet::from([kept.as_str()])).await;
        assert!(local(&kept).exists() && !local(&gone).parent().expect("parent").exists());
        storage.remove_under(&job, &HashSet::new()).await;
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 0);
    }
}
