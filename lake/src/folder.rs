//! A job's own files beside its table: what it writes down while it runs, on whatever the warehouse lies on.
use std::{collections::HashSet, ops::Range, time::SystemTime};

use bytes::Bytes;

use crate::{Lake, Result, TableName, storage::Storage};

/// A folder of the warehouse that no table has anything to do with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Folder {
    storage: Storage,
    location: String,
}

/// A file of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderFile {
    /// Its name, with `/` if it lies in a folder of the folder.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// When it was last written to, if the storage tells.
    pub written_at: Option<SystemTime>,
}

impl Lake {
    /// The folder `<table>.<purpose>` beside the place where tables of that name lie. No table can have that name.
    #[must_use]
    pub fn folder(&self, table: &TableName, purpose: &str) -> Folder {
        let location = format!("{}.{purpose}", self.storage.table_location(table));
        Folder { storage: self.storage.clone(), location }
    }
}

impl Folder {
    /// A folder in it.
    #[must_use]
    pub fn within(&self, name: &str) -> Self {
        Self { storage: self.storage.clone(), location: format!("{}/{name}", self.location) }
    }

    /// Where it is: `file:///…` or `s3://…`.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Writes a new file. One of that name must not be there.
    ///
    /// # Errors
    /// [`crate::Kind::StorageUnavailable`], [`crate::Kind::StorageFull`].
    pub async fn write(&self, name: &str, content: Vec<u8>) -> Result<()> {
        self.storage.write(&self.path(name), content).await
    }

    /// Reads a file, or a part of it.
    ///
    /// # Errors
    /// [`crate::Kind::FileMissing`], [`crate::Kind::StorageUnavailable`].
    pub async fn read(&self, name: &str, part: Option<Range<u64>>) -> Result<Bytes> {
        self.storage.read_part(&self.path(name), part).await
    }

    /// All files, sorted by name; none if there is no such folder.
    ///
    /// # Errors
    /// [`crate::Kind::StorageUnavailable`].
    pub async fn files(&self) -> Result<Vec<FolderFile>> {
        self.storage.list(&self.location).await
    }

    /// Deletes a file. What cannot be deleted is logged.
    pub async fn delete(&self, name: &str) {
        self.storage.remove(&self.path(name)).await;
    }

    /// Deletes all files. What cannot be deleted is logged.
    pub async fn clear(&self) {
        self.storage.remove_under(&self.location, &HashSet::new()).await;
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.location)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[tokio::test]
    async fn files_come_back_and_go_without_a_trace() {
        let dir = tempfile::tempdir().expect("a folder");
        let storage = Storage::new(&dir.path().display().to_string(), None).expect("storage");
        let location = storage.table_location(&TableName::parse("web.prices").expect("a name"));
        let all = Folder { storage, location: format!("{location}.pages") };
        let folder = all.within("job");
        assert_eq!(folder.files().await.expect("nothing"), []);
        folder.write("2", b"later".to_vec()).await.expect("written");
        folder.write("1", b"0123456".to_vec()).await.expect("written");
        let files = folder.files().await.expect("files");
        assert_eq!(files.iter().map(|f| (f.name.as_str(), f.size)).collect::<Vec<_>>(), [("1", 7), ("2", 5)]);
        assert!(files.iter().all(|file| file.written_at.is_some()));
        assert_eq!(all.files().await.expect("files")[1].name, "job/2");
        assert_eq!(folder.read("1", None).await.expect("bytes"), "0123456");
        assert_eq!(folder.read("1", Some(2..5)).await.expect("bytes"), "234");
        assert_eq!(folder.read("3", None).await.expect_err("missing").kind(), Kind::FileMissing);
        folder.delete("1").await;
        folder.clear().await;
        assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0);
    }
}
