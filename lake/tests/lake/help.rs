//! A lake in a temporary directory, rows for it, and what lies on its disk.
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use iceberg::{
    io::{FileIOBuilder, LocalFsStorageFactory},
    spec::{FormatVersion, ManifestFile, ManifestList},
};
use icehaul_lake::{
    CatalogConfig, Change, Committed, Guard, KeySource, Lake, Result, S3Access, SchemaMode, TableName, TableSpec,
    Target, WrittenFile,
};
use tempfile::TempDir;

use crate::s3_server::{ACCESS_KEY, S3Server, SECRET_KEY};

/// The bucket of warehouses on object storage.
pub const BUCKET: &str = "lake";

/// A lake of one test.
pub struct Fixture {
    pub dir: TempDir,
    pub lake: Lake,
    pub config: CatalogConfig,
    /// Where the warehouse is if it is not in `dir`.
    pub store: Option<S3Server>,
}

impl Fixture {
    /// A lake with a SQLite catalog.
    pub async fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let config = CatalogConfig::Sqlite {
            path: dir.path().join("catalog.db"),
            warehouse: path(dir.path(), "wh"),
            catalog_name: None,
            s3: None,
        };
        Self::new(dir, config).await
    }

    /// A lake with a SQLite catalog and its warehouse on object storage.
    pub async fn s3() -> Self {
        let store = S3Server::with_bucket(BUCKET).expect("an S3 server");
        let access = access(store.endpoint());
        Self { store: Some(store), ..Self::on_s3(access, "s3://lake/wh").await }
    }

    /// The same with access of the test's own.
    pub async fn on_s3(access: S3Access, warehouse: &str) -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let config = CatalogConfig::Sqlite {
            path: dir.path().join("catalog.db"),
            warehouse: warehouse.to_owned(),
            catalog_name: None,
            s3: Some(access),
        };
        Self::new(dir, config).await
    }

    /// A lake with each catalog and storage that can be tested here.
    pub async fn all() -> Vec<Self> {
        let mut all = vec![Self::sqlite().await, Self::s3().await];
        match std::env::var("ICEHAUL_TEST_CATALOG_POSTGRES_URL") {
            Ok(uri) => {
                let dir = tempfile::tempdir().expect("temp dir");
                let catalog_name = Some(uuid::Uuid::new_v4().to_string());
                let config = CatalogConfig::Postgres { uri, warehouse: path(dir.path(), "wh"), catalog_name, s3: None };
                all.push(Self::new(dir, config).await);
            }
            Err(_) => eprintln!("not run on PostgreSQL: ICEHAUL_TEST_CATALOG_POSTGRES_URL is not set"),
        }
        all
    }

    async fn new(dir: TempDir, config: CatalogConfig) -> Self {
        let lake = Lake::connect("lake", &config).await.expect("lake");
        Self { dir, lake, config, store: None }
    }

    /// Another handle on the same catalog, as another process would have it.
    pub async fn again(&self) -> Lake {
        Lake::connect("lake", &self.config).await.expect("lake")
    }

    /// Fails unless the warehouse holds exactly what the metadata of the table reaches.
    pub async fn assert_no_strays(&self, table: &str) {
        let table = self.lake.table(&name(table)).await.expect("table");
        let io = FileIOBuilder::new(Arc::new(LocalFsStorageFactory)).build();
        let mut reached: BTreeSet<String> =
            table.metadata().metadata_log().iter().map(|log| log.metadata_file.clone()).collect();
        for snapshot in table.metadata().snapshots() {
            reached.insert(snapshot.manifest_list().to_owned());
            let list = io.new_input(self.seen(snapshot.manifest_list())).expect("list").read().await.expect("list");
            for manifest in ManifestList::parse_with_version(&list, FormatVersion::V2).expect("list").entries() {
                reached.insert(manifest.manifest_path.clone());
                let manifest = ManifestFile { manifest_path: self.seen(&manifest.manifest_path), ..manifest.clone() };
                let loaded = manifest.load_manifest(&io).await.expect("manifest");
                reached.extend(loaded.entries().iter().map(|entry| entry.file_path().to_owned()));
            }
        }
        let root = format!("file://{}/", self.root().display());
        let inside = |path: &String| self.seen(path).strip_prefix(&root).expect("in the warehouse").into();
        let reached: BTreeSet<PathBuf> = reached.iter().map(inside).collect();
        let files = self.files();
        assert!(reached.is_subset(&files), "missing: {:?}", reached.difference(&files).collect::<Vec<_>>());
        let more: Vec<_> = files.difference(&reached).collect();
        assert_eq!(more.len(), 1, "besides the current metadata file: {more:?}");
        assert!(more[0].to_string_lossy().ends_with(".metadata.json"), "{more:?}");
    }

    /// The folder of the warehouse. That of object storage is seen past the server.
    pub fn root(&self) -> PathBuf {
        self.store.as_ref().map_or_else(|| self.dir.path().join("wh"), |store| store.bucket(BUCKET).join("wh"))
    }

    /// A location of the warehouse as a file of this machine.
    fn seen(&self, location: &str) -> String {
        let folder = self.root();
        location.replacen("s3://lake/wh", &format!("file://{}", folder.display()), 1)
    }

    /// The files of the warehouse, relative to it, sorted. Directories end with a slash if they are empty; object storage
    /// has none.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        walk(&self.root(), &self.root(), &mut found);
        if self.store.is_some() {
            found.retain(|path| !path.to_string_lossy().ends_with('/'));
        }
        found
    }
}

/// The tests' keys for a store.
pub fn access(endpoint: String) -> S3Access {
    S3Access {
        endpoint: Some(endpoint),
        access_key: Some(KeySource::Value(ACCESS_KEY.to_owned())),
        secret_key: Some(KeySource::Value(SECRET_KEY.to_owned())),
        ..S3Access::default()
    }
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_string_lossy().into_owned()
}

fn walk(root: &Path, dir: &Path, found: &mut BTreeSet<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut empty = true;
    for entry in entries {
        empty = false;
        let path = entry.expect("entry").path();
        match path.is_dir() {
            true => walk(root, &path, found),
            false => drop(found.insert(path.strip_prefix(root).expect("inside").to_owned())),
        }
    }
    if empty && dir != root {
        found.insert(dir.strip_prefix(root).expect("inside").join(""));
    }
}

pub fn name(text: &str) -> TableName {
    TableName::parse(text).expect("name")
}

/// A batch of `id` (int) and `text` with the ids given.
pub fn rows(ids: std::ops::Range<i32>) -> RecordBatch {
    let texts: StringArray = ids.clone().map(|id| Some(format!("row {id}"))).collect();
    batch(vec![("id", Arc::new(Int32Array::from_iter_values(ids))), ("text", Arc::new(texts))])
}

pub fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .expect("batch")
}

pub fn spec(table: &str, batch: &RecordBatch) -> TableSpec {
    TableSpec {
        name: name(table),
        schema: batch.schema(),
        partition_by: Vec::new(),
        schema_mode: SchemaMode::Evolve,
        compression: None,
        model: None,
    }
}

pub fn guard(operation: &str) -> Guard {
    Guard {
        operation: operation.to_owned(),
        permission: Arc::new(|| Box::pin(async { true })),
        cursor: None,
        summary: BTreeMap::new(),
    }
}

pub async fn write(target: &Target, prefix: &str, batches: &[RecordBatch]) -> Result<Vec<WrittenFile>> {
    let mut writer = target.writer(prefix, 0).await?;
    for batch in batches {
        writer.write(batch).await?;
    }
    writer.close().await
}

/// Loads a batch into a table under an operation id.
pub async fn load(
    lake: &Lake,
    spec: TableSpec,
    rows: &RecordBatch,
    change: Change,
    operation: &str,
) -> Result<Committed> {
    let target = lake.prepare(spec).await?;
    let files = write(&target, &format!("{operation}/1"), std::slice::from_ref(rows)).await?;
    lake.commit(&target, files, change, &guard(operation)).await
}
