//! Records of ours: small files beside the tables that say what was done to them. They outlive the queue.
use crate::{Kind, Lake, Result};

/// The folder of all records. No namespace can have this name.
const FOLDER: &str = ".icehaul";

impl Lake {
    /// Writes a record (`folder/name`), over one that may be there: as a whole or not at all.
    ///
    /// # Errors
    /// [`Kind::StorageUnavailable`], [`Kind::StorageFull`].
    pub async fn write_record(&self, name: &str, content: Vec<u8>) -> Result<()> {
        self.storage.replace(&self.record(name), content).await
    }

    /// A record's content, if there is one of that name.
    ///
    /// # Errors
    /// [`Kind::StorageUnavailable`].
    pub async fn read_record(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match self.storage.read(&self.record(name)).await {
            Ok(content) => Ok(Some(content)),
            Err(error) if matches!(error.kind(), Kind::FileMissing | Kind::BucketNotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names of the records in a folder, without the folder, sorted.
    ///
    /// # Errors
    /// [`Kind::StorageUnavailable`].
    pub async fn records(&self, folder: &str) -> Result<Vec<String>> {
        let mut names = self.storage.names_in(&self.record(folder)).await?;
        names.sort_unstable();
        Ok(names)
    }

    /// Removes a record. One that is not there is no error.
    pub async fn remove_record(&self, name: &str) {
        self.storage.remove(&self.record(name)).await;
    }

    fn record(&self, name: &str) -> String {
        self.storage.below(&format!("{FOLDER}/{name}"))
    }
}

#[cfg(test)]
mod tests {
    use crate::{CatalogConfig, Lake};

    #[tokio::test]
    async fn a_record_is_replaced_as_a_whole_and_leaves_nothing() {
        let dir = tempfile::tempdir().expect("temp dir");
        let warehouse = dir.path().join("wh");
        let config = CatalogConfig::Sqlite {
            path: dir.path().join("catalog.db"),
            warehouse: warehouse.to_string_lossy().into_owned(),
            catalog_name: None,
            s3: None,
        };
        let lake = Lake::connect("lake", &config).await.expect("lake");
        assert_eq!(lake.read_record("reports/a.json").await.expect("read"), None);
        assert_eq!(lake.records("reports").await.expect("list"), Vec::<String>::new());
        for content in ["one", "2"] {
            lake.write_record("reports/a.json", content.into()).await.expect("write");
            assert_eq!(lake.read_record("reports/a.json").await.expect("read"), Some(content.into()));
        }
        lake.write_record("reports/b.json", "3".into()).await.expect("write");
        assert_eq!(lake.records("reports").await.expect("list"), ["a.json", "b.json"]);
        for name in ["reports/a.json", "reports/b.json", "reports/none"] {
            lake.remove_record(name).await;
        }
        assert_eq!(std::fs::read_dir(&warehouse).expect("list").count(), 0, "not even a folder");
    }
}
