//! A lake in a temporary directory, rows for it, and what lies on its disk.
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use icehaul_lake::{
    CatalogConfig, Change, Committed, Guard, Lake, Result, SchemaMode, TableName, TableSpec, Target, WrittenFile,
};
use tempfile::TempDir;

/// A lake of one test.
pub struct Fixture {
    pub dir: TempDir,
    pub lake: Lake,
}

impl Fixture {
    /// A lake with a SQLite catalog.
    pub async fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let lake = open(dir.path()).await;
        Self { dir, lake }
    }

    /// The files of the warehouse, relative to it, sorted. Directories end with a slash if they are empty.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        walk(&self.dir.path().join("wh"), &self.dir.path().join("wh"), &mut found);
        found
    }
}

/// Another handle on the same catalog, as another process would have it.
pub async fn open(dir: &Path) -> Lake {
    let warehouse = dir.join("wh").to_string_lossy().into_owned();
    let config = CatalogConfig::Sqlite { path: dir.join("catalog.db"), warehouse, catalog_name: None };
    Lake::connect("lake", &config).await.expect("lake")
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
