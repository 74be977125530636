//! Reading what the lake has written, and what other engines leave behind.
use std::{collections::HashMap, fs::File, path::Path, sync::Arc};

use arrow_array::{
    Array, ArrayRef, FixedSizeBinaryArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    cast::AsArray,
    types::{Int32Type, Int64Type},
};
use arrow_schema::{DataType, Field, Schema};
use futures::TryStreamExt;
use iceberg::{
    expr::{Predicate, Reference},
    spec::{
        DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, FormatVersion, MAIN_BRANCH,
        ManifestListWriter, ManifestWriterBuilder, NestedField, Operation, PrimitiveType, Schema as IcebergSchema,
        Snapshot, Struct, Summary, TableMetadata, Type,
    },
};
use parquet::arrow::ArrowWriter;

mod carried;
mod evolved;

use super::{At, Scan, Table};
use crate::{CatalogConfig, Change, Guard, Kind, Lake, Result, SchemaMode, TableName, TableSpec, fingerprint::Hasher};

struct Fixture {
    lake: Lake,
    dir: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let warehouse = dir.path().join("wh").to_string_lossy().into_owned();
        let config =
            CatalogConfig::Sqlite { path: dir.path().join("catalog.db"), warehouse, catalog_name: None, s3: None };
        Self { lake: Lake::connect("lake", &config).await.expect("a lake"), dir }
    }

    /// Appends the batches (none: makes an empty table) and loads the table.
    async fn append(&self, operation: &str, schema: &RecordBatch, batches: &[RecordBatch]) -> Table {
        let spec = TableSpec {
            name: name(),
            schema: schema.schema(),
            partition_by: Vec::new(),
            schema_mode: SchemaMode::Evolve,
            compression: None,
            model: None,
        };
        self.append_to(operation, spec, batches).await
    }

    async fn append_to(&self, operation: &str, spec: TableSpec, batches: &[RecordBatch]) -> Table {
        let target = self.lake.prepare(spec).await.expect("a target");
        let mut writer = target.writer(operation, 0).await.expect("a writer");
        for batch in batches {
            writer.write(batch).await.expect("written");
        }
        let files = writer.close().await.expect("closed");
        let guard = Guard {
            operation: operation.to_owned(),
            permission: Arc::new(|| Box::pin(async { true })),
            cursor: None,
            summary: Default::default(),
        };
        self.lake.commit(&target, files, Change::Append, &guard).await.expect("committed");
        self.lake.table(&name()).await.expect("the table")
    }
}

fn name() -> TableName {
    TableName::new("raw", "orders").expect("a name")
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns).expect("a batch")
}

fn ints(ids: std::ops::Range<i32>) -> RecordBatch {
    let texts: StringArray = ids.clone().map(|id| (id % 3 > 0).then(|| format!("n{id}"))).collect();
    batch(vec![("id", Arc::new(Int32Array::from_iter_values(ids))), ("text", Arc::new(texts))])
}

fn longs(ids: std::ops::Range<i64>) -> RecordBatch {
    let texts: StringArray = ids.clone().map(|id| (id % 3 > 0).then(|| format!("n{id}"))).collect();
    batch(vec![("id", Arc::new(Int64Array::from_iter_values(ids))), ("text", Arc::new(texts))])
}

async fn read(table: &Table, scan: Scan) -> Result<Vec<RecordBatch>> {
    let batches = table.scan(scan).await?;
    let rows: Vec<RecordBatch> = batches.stream.try_collect().await?;
    assert!(rows.iter().all(|batch| batch.schema() == batches.schema));
    Ok(rows)
}

/// The ids (or their failure's kind) of the rows for which a filter holds, sorted.
async fn ids(table: &Table, filter: Predicate) -> std::result::Result<Vec<i64>, Kind> {
    let columns = Some(vec!["id".to_owned()]);
    let batches = read(table, Scan { filter: Some(filter), columns, ..Scan::default() }).await.map_err(|e| e.kind())?;
    let mut ids = Vec::new();
    for batch in batches {
        let long = arrow_cast::cast(batch.column(0), &DataType::Int64).expect("integers");
        ids.extend(long.as_primitive::<Int64Type>().values());
    }
    ids.sort_unstable();
    Ok(ids)
}

fn id() -> Reference {
    Reference::new("id")
}

/// The table after another engine's change of its metadata.
fn changed(table: &Table, change: impl FnOnce(TableMetadata) -> TableMetadata) -> Table {
    let inner = &table.inner;
    let metadata = change(inner.metadata().clone());
    let inner = iceberg::table::Table::builder()
        .file_io(inner.file_io().clone())
        .identifier(inner.identifier().clone())
        .metadata(metadata)
        .runtime(iceberg::Runtime::current())
        .build();
    Table::new(table.name().clone(), inner.expect("a table"))
}

fn with_schema(metadata: TableMetadata, fields: Vec<NestedField>) -> TableMetadata {
    let schema = IcebergSchema::builder().with_fields(fields.into_iter().map(Arc::new)).build().expect("a schema");
    metadata.into_builder(None).add_current_schema(schema).expect("added").build().expect("metadata").metadata
}

#[tokio::test]
async fn states_columns_filters_and_batches_are_as_asked() {
    let f = Fixture::new().await;
    let empty = f.append("none", &ints(0..0), &[]).await;
    assert_eq!((empty.count(At::Current).await.expect("none"), empty.snapshots().len()), (0, 0));
    assert_eq!(read(&empty, Scan::default()).await.expect("none"), []);
    assert_eq!(empty.fingerprint(At::Current, None).await.expect("none").rows(), 0);

    let one = f.append("one", &ints(0..1000), &[ints(0..1000)]).await;
    let two = f.append("two", &ints(0..0), &[ints(1000..1500)]).await;
    let [first, second] = &two.snapshots()[..] else { panic!("two snapshots") };
    assert_eq!(second.parent_id.as_ref(), Some(&first.snapshot_id));
    assert!(first.is_current_ancestor && second.is_current_ancestor);
    let at = At::Snapshot(first.snapshot_id.parse().expect("an id"));
    assert_eq!((two.count(at).await.expect("one"), two.count(At::Current).await.expect("both")), (1000, 1500));
    let then = At::Timestamp(first.committed_at_ms);
    assert_eq!(
        two.count(then).await.expect("then"),
        if first.committed_at_ms == second.committed_at_ms { 1500 } else { 1000 }
    );
    assert_eq!(two.fingerprint(at, None).await.expect("old"), one.fingerprint(At::Current, None).await.expect("old"));
    for missing in [At::Snapshot(7), At::Timestamp(first.committed_at_ms - 1)] {
        assert_eq!(two.count(missing).await.expect_err("none").kind(), Kind::SnapshotNotFound);
    }
    assert_eq!(two.files(At::Current).await.expect("files").0, 2);

    let columns = Some(vec!["text".to_owned(), "id".to_owned()]);
    let filter = Some(id().less_than(Datum::int(5)).and(Reference::new("text").is_not_null()));
    let batches = read(&two, Scan { columns, filter, batch_size: Some(3), ..Scan::default() }).await.expect("rows");
    assert!(batches.iter().all(|batch| batch.num_rows() <= 3));
    let rows = arrow_select::concat::concat_batches(&batches[0].schema(), &batches).expect("one batch");
    assert_eq!(rows.column(0).as_string::<i32>(), &StringArray::from(vec!["n1", "n2", "n4"]));
    assert_eq!(rows.column(1).as_primitive::<Int32Type>(), &Int32Array::from(vec![1, 2, 4]));
    let none = read(&two, Scan { columns: Some(Vec::new()), ..Scan::default() }).await.expect("rows without columns");
    assert_eq!((none[0].num_columns(), none.iter().map(RecordBatch::num_rows).sum::<usize>()), (0, 1500));
    for columns in [vec!["nope".to_owned()], vec!["id".to_owned(), "id".to_owned()]] {
        let error = read(&two, Scan { columns: Some(columns), ..Scan::default() }).await.expect_err("no such columns");
        assert_eq!(error.kind(), Kind::SchemaMismatch);
    }
    assert_eq!(ids(&two, Reference::new("nope").is_null()).await, Err(Kind::SchemaMismatch));
}

#[tokio::test]
async fn a_column_that_nothing_was_written_to_yet_is_null() {
    let f = Fixture::new().await;
    let table = f.append("one", &ints(0..10), &[ints(0..10)]).await;
    let table = changed(&table, |metadata| {
        let optional = |id, name: &str, of| NestedField::optional(id, name, Type::Primitive(of));
        // The name `text` moves to a new column.
        let fields = vec![
            optional(1, "id", PrimitiveType::Int),
            optional(2, "label", PrimitiveType::String),
            optional(3, "text", PrimitiveType::String),
        ];
        with_schema(metadata, fields)
    });
    let rows = read(&table, Scan::default()).await.expect("rows");
    assert_eq!(rows[0].column_by_name("text").map(|column| column.null_count()), Some(10));
    assert_eq!(rows[0].column_by_name("label").map(|column| column.null_count()), Some(4));
    assert_eq!(ids(&table, Reference::new("text").is_null()).await.map(|ids| ids.len()), Ok(10));
    assert_eq!(ids(&table, Reference::new("text").equal_to(Datum::string("n1"))).await, Ok(vec![]));
    assert_eq!(ids(&table, Reference::new("label").equal_to(Datum::string("n1"))).await, Ok(vec![1]));
}

#[tokio::test]
async fn no_row_is_lost_to_a_filter_on_a_promoted_column() {
    let f = Fixture::new().await;
    f.append("one", &ints(0..1000), &[ints(0..1000)]).await;
    let table = f.append("two", &longs(0..0), &[longs(1000..1005)]).await;
    assert_eq!(table.schema().expect("a schema").field(0).data_type(), &DataType::Int64);
    assert_eq!(ids(&table, id().greater_than_or_equal_to(Datum::long(990))).await, Ok((990..1005).collect()));
    assert_eq!(ids(&table, id().equal_to(Datum::long(7))).await, Ok(vec![7]));
    assert_eq!(ids(&table, id().is_in([Datum::long(3), Datum::long(1002), Datum::long(-1)])).await, Ok(vec![3, 1002]));
    let not = (!id().less_than(Datum::long(1002))).and(Reference::new("text").is_null());
    assert_eq!(ids(&table, not).await, Ok(vec![1002]));
    let either = id().equal_to(Datum::long(1)).or(Reference::new("text").starts_with(Datum::string("n99")));
    assert_eq!(ids(&table, either).await, Ok(vec![1, 991, 992, 994, 995, 997, 998]));
    assert_eq!(ids(&table, id().is_not_in([Datum::long(0)])).await.map(|ids| ids.len()), Ok(1004));
    // The fingerprint is that of the values, whatever width they had when they were written.
    let mut hasher = Hasher::new(&longs(0..0).schema(), None).expect("a hasher");
    hasher.add(&longs(0..1005)).expect("hashed");
    assert_eq!(table.fingerprint(At::Current, None).await.expect("read"), hasher.finish());
}

#[tokio::test]
async fn nested_values_and_uuids_come_back_as_plain_arrow() {
    let f = Fixture::new().await;
    let uuids = FixedSizeBinaryArray::try_from_iter([[7u8; 16], [9; 16]].into_iter()).expect("uuids");
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    let marked = HashMap::from([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())]);
    let schema = Schema::new(vec![
        Field::new("u", DataType::FixedSizeBinary(16), true).with_metadata(marked),
        Field::new("l", lists.data_type().clone(), true),
    ]);
    let rows = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(uuids), Arc::new(lists)]).expect("a batch");
    let table = f.append("one", &rows, std::slice::from_ref(&rows)).await;
    let schema = table.schema().expect("a schema");
    assert_eq!(schema.field(0).extension_type_name(), Some("arrow.uuid"));
    let DataType::List(item) = schema.field(1).data_type() else { panic!("a list") };
    assert!(item.metadata().is_empty() && schema.field(1).metadata().is_empty());
    let mut hasher = Hasher::new(&rows.schema(), None).expect("a hasher");
    hasher.add(&rows).expect("hashed");
    assert_eq!(table.fingerprint(At::Current, None).await.expect("read"), hasher.finish());
    assert_eq!(read(&table, Scan::default()).await.expect("rows")[0].num_rows(), 2);
}

/// The table after a snapshot that adds delete files.
async fn with_deletes(table: &Table, files: Vec<DataFile>) -> Table {
    let (metadata, io) = (table.metadata(), table.inner.file_io());
    let (snapshot, sequence) = (4242, metadata.next_sequence_number());
    let path = |file: &str| format!("{}/metadata/{file}", metadata.location());
    let (schema, spec) = (metadata.current_schema().clone(), metadata.default_partition_spec().as_ref().clone());
    let output = io.new_output(path("deletes.avro")).expect("an output");
    let mut writer = ManifestWriterBuilder::new(output, Some(snapshot), schema, spec).build_v2_deletes();
    files.into_iter().for_each(|file| writer.add_file(file, sequence).expect("added"));
    let manifest = writer.write_manifest_file().await.expect("a manifest");
    let current = metadata.current_snapshot().expect("a snapshot");
    let old = table.inner.manifest_list_reader(current).load().await.expect("a manifest list");
    let output = io.new_output(path("list.avro")).expect("an output").writer().await.expect("a writer");
    let mut list = ManifestListWriter::v2(output, snapshot, metadata.current_snapshot_id(), sequence);
    list.add_manifests(old.entries().iter().cloned().chain([manifest])).expect("added");
    list.close().await.expect("closed");
    let snapshot = Snapshot::builder()
        .with_snapshot_id(snapshot)
        .with_parent_snapshot_id(metadata.current_snapshot_id())
        .with_sequence_number(sequence)
        .with_timestamp_ms(metadata.last_updated_ms() + 1)
        .with_manifest_list(path("list.avro"))
        .with_schema_id(metadata.current_schema_id())
        .with_summary(Summary { operation: Operation::Overwrite, additional_properties: HashMap::new() })
        .build();
    changed(table, |metadata| {
        let builder = metadata.into_builder(None).set_branch_snapshot(snapshot, MAIN_BRANCH).expect("set");
        builder.build().expect("metadata").metadata
    })
}

/// Writes a delete file; the columns have field ids.
fn delete_file(table: &Table, file: &str, columns: Vec<(&str, i32, ArrayRef)>) -> DataFileBuilder {
    let path = format!("{}/data/{file}", table.metadata().location());
    let (fields, arrays): (Vec<_>, Vec<_>) = columns
        .into_iter()
        .map(|(name, id, array)| {
            let metadata = HashMap::from([("PARQUET:field_id".to_owned(), id.to_string())]);
            (Field::new(name, array.data_type().clone(), false).with_metadata(metadata), array)
        })
        .unzip();
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("a batch");
    let local = path.trim_start_matches("file://").to_owned();
    let mut writer =
        ArrowWriter::try_new(File::create(&local).expect("a file"), rows.schema(), None).expect("a writer");
    writer.write(&rows).expect("written");
    writer.close().expect("closed");
    let mut builder = DataFileBuilder::default();
    builder
        .file_path(path)
        .file_format(DataFileFormat::Parquet)
        .file_size_in_bytes(std::fs::metadata(&local).expect("there").len())
        .record_count(rows.num_rows() as u64)
        .partition(Struct::empty())
        .partition_spec_id(table.metadata().default_partition_spec_id());
    builder
}

#[tokio::test]
async fn deleted_rows_are_gone() {
    let f = Fixture::new().await;
    let table = f.append("one", &ints(0..100), &[ints(0..100)]).await;
    let files: Vec<_> = table.data_files(At::Current).await.expect("files").try_collect().await.expect("files");
    let paths: ArrayRef = Arc::new(StringArray::from(vec![files[0].path.as_str(); 2]));
    let positions: ArrayRef = Arc::new(Int64Array::from(vec![0, 99]));
    let by_position =
        delete_file(&table, "p.parquet", vec![("file_path", 2147483546, paths), ("pos", 2147483545, positions)])
            .content(DataContentType::PositionDeletes)
            .build()
            .expect("a file");
    let values: ArrayRef = Arc::new(Int32Array::from(vec![50, 51, 52]));
    let by_value = delete_file(&table, "e.parquet", vec![("id", 1, values)])
        .content(DataContentType::EqualityDeletes)
        .equality_ids(Some(vec![1]))
        .build()
        .expect("a file");
    let table = with_deletes(&table, vec![by_position, by_value]).await;
    assert_eq!(table.count(At::Current).await.expect("counted"), 95);
    let left: Vec<i64> = (1..50).chain(53..99).collect();
    assert_eq!(ids(&table, Predicate::AlwaysTrue).await.as_ref(), Ok(&left));
    assert_eq!(ids(&table, id().less_than(Datum::int(55))).await.map(|ids| ids.len()), Ok(51));
    let mut hasher = Hasher::new(&ints(0..0).schema(), None).expect("a hasher");
    [ints(1..50), ints(53..99)].iter().for_each(|rows| hasher.add(rows).expect("hashed"));
    assert_eq!(table.fingerprint(At::Current, None).await.expect("read"), hasher.finish());
    let again: Vec<_> = table.data_files(At::Current).await.expect("files").try_collect().await.expect("files");
    assert!(again[0].has_deletes && again[0].path == files[0].path);
}

#[tokio::test]
async fn what_cannot_be_read_rightly_is_refused() {
    let f = Fixture::new().await;
    let table = f.append("one", &ints(0..10), &[ints(0..10)]).await;
    let refused = async |table: &Table| {
        let error = table.fingerprint(At::Current, None).await.expect_err("refused");
        (error.kind(), error.message().to_owned())
    };
    let newer = changed(&table, |metadata| {
        let builder = metadata.into_builder(None).upgrade_format_version(FormatVersion::V3).expect("upgraded");
        builder.build().expect("metadata").metadata
    });
    assert_eq!(refused(&newer).await.0, Kind::UnsupportedFeature);
    let elsewhere = changed(&table, |metadata| {
        let location = format!("{}/elsewhere", metadata.location());
        metadata.into_builder(None).set_location(location).build().expect("metadata").metadata
    });
    let (kind, message) = refused(&elsewhere).await;
    assert_eq!(kind, Kind::UnsupportedFeature);
    assert!(message.contains("outside of its location"), "{message}");

    let files: Vec<_> = table.data_files(At::Current).await.expect("files").try_collect().await.expect("files");
    let local = files[0].path.trim_start_matches("file://");
    assert!(Path::new(local).starts_with(f.dir.path()));
    std::fs::write(local, b"no parquet").expect("overwritten");
    let (kind, message) = refused(&table).await;
    assert!(kind == Kind::FileDamaged && message.contains(&files[0].path), "{message}");
    std::fs::remove_file(local).expect("removed");
    let (kind, message) = refused(&table).await;
    assert!(kind == Kind::FileMissing && message.contains(&files[0].path), "{message}");

    let current = table.metadata().current_snapshot().expect("a snapshot");
    let list = table.inner.manifest_list_reader(current).load().await.expect("a manifest list");
    for path in [list.entries()[0].manifest_path.as_str(), current.manifest_list()] {
        std::fs::remove_file(path.trim_start_matches("file://")).expect("removed");
        let table = changed(&table, |metadata| metadata);
        let (kind, message) = refused(&table).await;
        assert!(
            kind == Kind::FileMissing && message.contains(path.trim_start_matches("file://")),
            "{kind:?} {message}"
        );
    }
}
