//! Tables whose files are carried into another one as they are.
use super::*;
use crate::{Carry, Content, CopiedFile, SnapshotInfo, Target};

/// Both kinds of delete files over two data files; one names a file that is gone, too.
async fn deleted(f: &Fixture) -> Table {
    f.append("one", &ints(0..100), &[ints(0..100)]).await;
    let table = f.append("two", &ints(0..0), &[ints(100..150)]).await;
    let files: Vec<_> = table.data_files(At::Current).await.expect("files").try_collect().await.expect("files");
    let mut names: Vec<_> = files.iter().map(|file| file.path.clone()).collect();
    names.push(format!("{}/data/gone.parquet", table.metadata().location()));
    names.sort();
    let positions: ArrayRef = Arc::new(Int64Array::from(vec![7; names.len()]));
    let paths: ArrayRef = Arc::new(StringArray::from(names));
    let by_position =
        delete_file(&table, "p.parquet", vec![("file_path", 2147483546, paths), ("pos", 2147483545, positions)])
            .content(DataContentType::PositionDeletes)
            .build()
            .expect("a file");
    let values: ArrayRef = Arc::new(Int32Array::from(vec![50, 120]));
    let by_value = delete_file(&table, "e.parquet", vec![("id", 1, values)])
        .content(DataContentType::EqualityDeletes)
        .equality_ids(Some(vec![1]))
        .build()
        .expect("a file");
    with_deletes(&table, vec![by_position, by_value]).await
}

fn kept() -> TableName {
    TableName::new("kept", "orders").expect("a name")
}

fn guard(operation: &str) -> Guard {
    Guard {
        operation: operation.into(),
        permission: Arc::new(|| Box::pin(async { true })),
        cursor: None,
        summary: Default::default(),
    }
}

/// Copies all files for a table `kept.orders`.
async fn copied(f: &Fixture, table: &Table, carry: &Carry) -> (Target, Vec<Option<CopiedFile>>) {
    let spec = TableSpec {
        name: kept(),
        schema: table.schema().expect("a schema"),
        partition_by: Vec::new(),
        schema_mode: SchemaMode::Evolve,
        compression: None,
        model: Some(table.exact_model(At::Current).expect("a model")),
    };
    let target = f.lake.prepare(spec).await.expect("a target");
    let mut copies = Vec::new();
    for number in 0..carry.files().count() {
        let copy = carry.copy(number, &target, "op/1").await.expect("copied").expect("something is left");
        assert_eq!(target.sha256(&copy).await.expect("read back"), copy.sha256);
        copies.push(Some(copy));
    }
    (target, copies)
}

#[tokio::test]
async fn all_snapshots_are_carried_as_they_are() {
    let f = Fixture::new().await;
    let table = deleted(&f).await;
    let carry = table.carry_all().await.expect("files");
    assert_eq!((carry.snapshots(), carry.files().count()), (3, 4));
    let (target, copies) = copied(&f, &table, &carry).await;
    let done = f.lake.commit_carried(&target, &carry, &copies, &guard("op")).await.expect("committed");
    assert_eq!((done.snapshot_id, done.already), (table.snapshot_id(At::Current).expect("there"), false));
    let again = f.lake.commit_carried(&target, &carry, &copies, &guard("op")).await.expect("found");
    assert!(again.already && again.snapshot_id == done.snapshot_id);
    let copy = f.lake.table(&kept()).await.expect("the copy");
    let told = |table: &Table| {
        let snapshot = |s: SnapshotInfo| (s.snapshot_id, s.parent_id, s.committed_at_ms, s.operation);
        table.snapshots().into_iter().map(snapshot).collect::<Vec<_>>()
    };
    assert_eq!(told(&copy), told(&table));
    let log = |table: &Table| table.metadata().history().iter().map(|e| e.snapshot_id).collect::<Vec<_>>();
    assert_eq!(
        (log(&copy), copy.metadata().last_sequence_number()),
        (log(&table), table.metadata().last_sequence_number())
    );
    let mut before = Vec::new();
    for snapshot in table.metadata().snapshots() {
        let at = At::Snapshot(snapshot.snapshot_id());
        before.push((at, table.fingerprint(at, None).await.expect("read")));
    }
    // Nothing of the copy lies with the source.
    std::fs::remove_dir_all(table.metadata().location().trim_start_matches("file://")).expect("removed");
    for (at, fingerprint) in before {
        assert_eq!(copy.fingerprint(at, None).await.expect("read"), fingerprint, "{at:?}");
    }
    // It goes on as any other table does.
    let spec = TableSpec { model: None, ..target.spec.clone() };
    let target = f.lake.prepare(spec).await.expect("a target");
    let mut writer = target.writer("more", 0).await.expect("a writer");
    writer.write(&ints(200..210)).await.expect("written");
    let files = writer.close().await.expect("closed");
    f.lake.commit(&target, files, Change::Append, &guard("more")).await.expect("appended");
    let copy = f.lake.table(&kept()).await.expect("the copy");
    assert_eq!((copy.metadata().snapshots().len(), copy.count(At::Current).await.ok()), (4, Some(156)));
}

#[tokio::test]
async fn files_keep_their_deletes_ids_and_bytes() {
    let f = Fixture::new().await;
    let table = deleted(&f).await;
    assert_eq!(table.count(At::Current).await.expect("counted"), 146);
    let carry = table.carry(At::Current).await.expect("files");
    let mut contents: Vec<_> = carry.files().map(|file| file.content).collect();
    contents.sort_by_key(|content| *content as u8);
    assert_eq!(contents, [Content::Rows, Content::Rows, Content::Positions, Content::Equality]);
    let (target, copies) = copied(&f, &table, &carry).await;
    for (file, copy) in carry.files().zip(copies.iter().flatten()) {
        let bytes = |path: &str| std::fs::read(path.trim_start_matches("file://")).expect("bytes");
        assert_eq!(bytes(file.path) == bytes(&copy.path), file.content != Content::Positions, "{}", file.path);
    }
    let guard = guard("op");
    let committed = f.lake.commit_carried(&target, &carry, &copies, &guard).await.expect("committed");
    assert_eq!(committed.summary["total-delete-files"], "2");
    let again = f.lake.commit_carried(&target, &carry, &copies, &guard).await.expect("found");
    assert!(again.already && again.snapshot_id == committed.snapshot_id);
    let copy = f.lake.table(&kept()).await.expect("the copy");
    let (here, there) = (table.fingerprint(At::Current, None).await, copy.fingerprint(At::Current, None).await);
    assert_eq!(here.expect("read"), there.expect("read"), "the same rows are deleted");
    assert_eq!((copy.columns(), copy.metadata().uuid() == table.metadata().uuid()), (table.columns(), false));
    f.lake.discard_prefix(&kept(), "op/1").await;

    // Nothing of the copy lies with the source.
    std::fs::remove_dir_all(table.metadata().location().trim_start_matches("file://")).expect("removed");
    assert_eq!(copy.count(At::Current).await.expect("counted"), 146);
    let mut expected: Vec<i64> = (0..150).filter(|id| ![7, 107, 50, 120].contains(id)).collect();
    expected.sort_unstable();
    assert_eq!(ids(&copy, Predicate::AlwaysTrue).await.as_ref(), Ok(&expected));
    let other = self::guard("another");
    let refused = f.lake.commit_carried(&target, &carry, &copies, &other).await.expect_err("there is one");
    assert_eq!(refused.kind(), Kind::TableExists);
}

#[tokio::test]
async fn what_would_not_be_the_same_elsewhere_is_refused() {
    let f = Fixture::new().await;
    let table = f.append("one", &ints(0..10), &[ints(0..10)]).await;
    let refused =
        async |table: &Table| table.carry(At::Current).await.err().map(|e| (e.kind(), e.message().to_owned()));
    let newer = changed(&table, |metadata| {
        let builder = metadata.into_builder(None).upgrade_format_version(FormatVersion::V3).expect("upgraded");
        builder.build().expect("metadata").metadata
    });
    let (kind, message) = refused(&newer).await.expect("refused");
    assert!(kind == Kind::UnsupportedFeature && message.contains("format version 3"), "{message}");
    let elsewhere = changed(&table, |metadata| {
        let location = format!("{}/elsewhere", metadata.location());
        metadata.into_builder(None).set_location(location).build().expect("metadata").metadata
    });
    let (kind, message) = refused(&elsewhere).await.expect("refused");
    assert!(kind == Kind::UnsupportedFeature && message.contains("outside of its location"), "{message}");
    assert_eq!(refused(&table).await, None);
}
