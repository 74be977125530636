//! Tables whose files are carried into another one as they are.
use super::*;
use crate::Content;

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

#[tokio::test]
async fn files_keep_their_deletes_ids_and_bytes() {
    let f = Fixture::new().await;
    let table = deleted(&f).await;
    assert_eq!(table.count(At::Current).await.expect("counted"), 146);
    let carry = table.carry(At::Current).await.expect("files");
    let mut contents: Vec<_> = carry.files().map(|file| file.content).collect();
    contents.sort_by_key(|content| *content as u8);
    assert_eq!(contents, [Content::Rows, Content::Rows, Content::Positions, Content::Equality]);
    let spec = TableSpec {
        name: TableName::new("kept", "orders").expect("a name"),
        schema: table.schema().expect("a schema"),
        partition_by: Vec::new(),
        schema_mode: SchemaMode::Evolve,
        compression: None,
        model: Some(table.exact_model(At::Current).expect("a model")),
    };
    let target = f.lake.prepare(spec.clone()).await.expect("a target");
    let mut copies = Vec::new();
    for (number, file) in carry.files().enumerate() {
        let copy = carry.copy(number, &target, "op/1").await.expect("copied").expect("something is left");
        assert_eq!(target.sha256(&copy).await.expect("read back"), copy.sha256);
        let bytes = |path: &str| std::fs::read(path.trim_start_matches("file://")).expect("bytes");
        assert_eq!(bytes(file.path) == bytes(&copy.path), file.content != Content::Positions, "{}", file.path);
        copies.push(Some(copy));
    }
    let guard = Guard {
        operation: "op".into(),
        permission: Arc::new(|| Box::pin(async { true })),
        cursor: None,
        summary: Default::default(),
    };
    let committed = f.lake.commit_carried(&target, &carry, &copies, &guard).await.expect("committed");
    assert_eq!(committed.summary["total-delete-files"], "2");
    let again = f.lake.commit_carried(&target, &carry, &copies, &guard).await.expect("found");
    assert!(again.already && again.snapshot_id == committed.snapshot_id);
    let copy = f.lake.table(&spec.name).await.expect("the copy");
    let (here, there) = (table.fingerprint(At::Current, None).await, copy.fingerprint(At::Current, None).await);
    assert_eq!(here.expect("read"), there.expect("read"), "the same rows are deleted");
    assert_eq!((copy.columns(), copy.metadata().uuid() == table.metadata().uuid()), (table.columns(), false));
    f.lake.discard_prefix(&spec.name, "op/1").await;

    // Nothing of the copy lies with the source.
    std::fs::remove_dir_all(table.metadata().location().trim_start_matches("file://")).expect("removed");
    assert_eq!(copy.count(At::Current).await.expect("counted"), 146);
    let mut expected: Vec<i64> = (0..150).filter(|id| ![7, 107, 50, 120].contains(id)).collect();
    expected.sort_unstable();
    assert_eq!(ids(&copy, Predicate::AlwaysTrue).await.as_ref(), Ok(&expected));
    let other = Guard { operation: "another".into(), ..guard };
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
