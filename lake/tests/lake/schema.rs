//! How the schemas of rows and tables meet.
use std::{collections::HashMap, sync::Arc};

use arrow_array::{
    ArrayRef, Decimal128Array, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow_schema::{DataType, Field, Schema};
use icehaul_lake::{Change, Error, Kind, SchemaMode, TableSpec};

use crate::help::{Fixture, batch, load, name, rows, spec};

fn decimals(values: Vec<i128>, precision: u8, scale: i8) -> ArrayRef {
    Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale).expect("decimal"))
}

async fn columns(f: &Fixture) -> Vec<(i32, String, String)> {
    let table = f.lake.table(&name("raw.t")).await.expect("table");
    let fields = table.metadata().current_schema().as_struct().fields().to_vec();
    fields.iter().map(|field| (field.id, field.name.clone(), field.field_type.to_string())).collect()
}

async fn refused(f: &Fixture, spec: TableSpec) -> Error {
    f.lake.prepare(spec).await.map(drop).expect_err("refused")
}

#[tokio::test]
async fn a_table_grows_with_its_rows() {
    let f = Fixture::sqlite().await;
    let append = async |rows: RecordBatch, op: &str| {
        load(&f.lake, spec("raw.t", &rows), &rows, Change::Append, op).await.expect("append")
    };
    let first = batch(vec![
        ("a", Arc::new(Int32Array::from(vec![1]))),
        ("f", Arc::new(Float32Array::from(vec![1.5]))),
        ("d", decimals(vec![123], 10, 2)),
    ]);
    append(first.clone(), "one").await;
    let wider = batch(vec![
        ("new", Arc::new(StringArray::from(vec!["x"]))),
        ("d", decimals(vec![456], 14, 2)),
        ("f", Arc::new(Float64Array::from(vec![2.5]))),
        ("a", Arc::new(Int64Array::from(vec![1_i64 << 40]))),
    ]);
    append(wider, "two").await;
    let expected = [(1, "a", "long"), (2, "f", "double"), (3, "d", "decimal(14, 2)"), (4, "new", "string")];
    let expected: Vec<_> =
        expected.iter().map(|(id, name, kind)| (*id, (*name).to_owned(), (*kind).to_owned())).collect();
    assert_eq!(columns(&f).await, expected);
    // Narrower rows, and rows that lack a column, fit as they are.
    append(first, "three").await;
    append(batch(vec![("a", Arc::new(Int16Array::from(vec![7])))]), "four").await;
    assert_eq!(columns(&f).await, expected);
    assert_eq!(f.lake.table(&name("raw.t")).await.expect("table").metadata().schemas_iter().len(), 2);
    f.assert_no_strays("raw.t").await;
}

#[tokio::test]
async fn differences_are_named_with_both_types() {
    let f = Fixture::sqlite().await;
    let base = rows(0..3);
    load(&f.lake, spec("raw.t", &base), &base, Change::Append, "one").await.expect("append");
    let wrong =
        batch(vec![("id", Arc::new(StringArray::from(vec!["x"]))), ("TEXT", Arc::new(StringArray::from(vec!["x"])))]);
    let error = refused(&f, spec("raw.t", &wrong)).await;
    assert_eq!(error.kind(), Kind::SchemaMismatch);
    for part in [
        "`raw.t`",
        "`id` is int in the table and string in the rows",
        "`TEXT` differs from the table's `text` by case only",
    ] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    let more = batch(vec![("id", Arc::new(Int64Array::from(vec![1]))), ("more", Arc::new(Int32Array::from(vec![1])))]);
    let freeze = TableSpec { schema_mode: SchemaMode::Freeze, ..spec("raw.t", &more) };
    let error = refused(&f, freeze).await;
    for part in ["`id` is int in the table and long in the rows", "`text` is missing", "`more` is not in the table"] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    let same = TableSpec { schema_mode: SchemaMode::Freeze, ..spec("raw.t", &base) };
    load(&f.lake, same, &base, Change::Append, "two").await.expect("the same schema");
}

#[tokio::test]
async fn columns_that_cannot_be_are_named() {
    let f = Fixture::sqlite().await;
    let spec_of =
        |fields: Vec<Field>| TableSpec { schema: Arc::new(Schema::new(fields)), ..spec("raw.t", &rows(0..1)) };
    let int = |name: &str| Field::new(name, DataType::Int32, true);
    for (fields, kind, part) in [
        (vec![int("a"), int("a")], Kind::SchemaMismatch, "`a` and `a`"),
        (vec![int("a"), int("A")], Kind::SchemaMismatch, "`a` and `A`"),
        (vec![int("")], Kind::SchemaMismatch, "no name"),
        (vec![], Kind::SchemaMismatch, "no columns"),
        (vec![Field::new("n", DataType::Null, true)], Kind::UnsupportedFeature, "`n`"),
    ] {
        let error = refused(&f, spec_of(fields)).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(part), "{error}");
    }
    for (partition, part) in
        [("month(id)", "`month` cannot partition column `id` of type int"), ("gone", "`gone` is not in the table")]
    {
        let spec = TableSpec { partition_by: vec![partition.parse().expect("spelling")], ..spec("raw.t", &rows(0..1)) };
        let error = refused(&f, spec).await;
        assert_eq!((error.kind(), error.message().contains(part)), (Kind::InvalidPartition, true), "{error}");
    }
}

#[tokio::test]
async fn two_jobs_that_add_the_same_column_share_it() {
    let f = Fixture::sqlite().await;
    let base = rows(0..3);
    load(&f.lake, spec("raw.t", &base), &base, Change::Append, "one").await.expect("append");
    let with = |name: &str, value: ArrayRef| batch(vec![("id", Arc::new(Int32Array::from(vec![9]))), (name, value)]);
    let text = || -> ArrayRef { Arc::new(StringArray::from(vec!["x"])) };
    let (same, other) = (with("extra", text()), with("other", text()));
    let early = f.lake.prepare(spec("raw.t", &same)).await.expect("prepare");
    let clash = f.lake.prepare(spec("raw.t", &other)).await.expect("prepare");
    load(&f.lake, spec("raw.t", &same), &same, Change::Append, "two").await.expect("append");
    let files = crate::help::write(&early, "three/1", &[same]).await.expect("write");
    let done = f.lake.commit(&early, files, Change::Append, &crate::help::guard("three")).await.expect("shared");
    assert_eq!(done.summary["total-records"], "5");
    // A different column took the id that these files use: the job has to plan again.
    let files = crate::help::write(&clash, "four/1", &[other]).await.expect("write");
    let error = f.lake.commit(&clash, files, Change::Append, &crate::help::guard("four")).await.expect_err("conflict");
    assert_eq!(error.kind(), Kind::CommitConflict);
    clash.discard_prefix("four").await;
    f.assert_no_strays("raw.t").await;
}

#[tokio::test]
async fn docs_and_uuids_come_from_field_metadata() {
    let f = Fixture::sqlite().await;
    let meta = |key: &str, value: &str| HashMap::from([(key.to_owned(), value.to_owned())]);
    let fields = vec![
        Field::new("u", DataType::FixedSizeBinary(16), true).with_metadata(meta("ARROW:extension:name", "arrow.uuid")),
        Field::new("n", DataType::Int32, true).with_metadata(meta("doc", "how many")),
        Field::new("big", DataType::UInt64, true),
    ];
    let schema = Arc::new(Schema::new(fields));
    let empty = RecordBatch::new_empty(schema);
    load(&f.lake, spec("raw.t", &empty), &empty, Change::Append, "one").await.expect("create");
    let kinds: Vec<_> = columns(&f).await.into_iter().map(|(_, _, kind)| kind).collect();
    assert_eq!(kinds, ["uuid", "int", "decimal(20, 0)"]);
    let table = f.lake.table(&name("raw.t")).await.expect("table");
    assert_eq!(table.metadata().current_schema().as_struct().fields()[1].doc.as_deref(), Some("how many"));
}
