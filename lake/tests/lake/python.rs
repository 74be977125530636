//! PyIceberg reads our tables, and writes to them in between.
use std::{process::Command, sync::Arc};

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int16Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, types::Int32Type,
};
use arrow_schema::{DataType, Field, Fields, Schema};
use icehaul_lake::{Change, TableSpec};
use serde_json::{Value, json};

use crate::help::{Fixture, load, rows, spec};

fn python(f: &Fixture, arguments: &[&str]) -> Option<Value> {
    run(f, &json!({}), arguments)
}

/// Runs `tests/py/iceberg.py` on the fixture's SQLite catalog with more options; `None` where there is no PyIceberg.
pub fn run(f: &Fixture, options: &Value, arguments: &[&str]) -> Option<Value> {
    let Ok(python) = std::env::var("ICEHAUL_TEST_PYTHON") else {
        eprintln!("not run with PyIceberg: ICEHAUL_TEST_PYTHON is not set");
        return None;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/py/iceberg.py");
    let uri = format!("sqlite:///{}/catalog.db", f.dir.path().display());
    let mut command = Command::new(python);
    command.args([script, &uri, "lake"]).args(arguments).env("ICEBERG_OPTIONS", options.to_string());
    let done = command.output().expect("python");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    Some(serde_json::from_slice(&done.stdout).expect("JSON"))
}

async fn append(f: &Fixture, rows: RecordBatch, operation: &str) {
    load(&f.lake, spec("raw.t", &rows), &rows, Change::Append, operation).await.expect("append");
}

#[tokio::test]
async fn both_write_to_one_table_in_turns() {
    let f = Fixture::sqlite().await;
    append(&f, rows(0..20), "one").await;
    let Some(seen) = python(&f, &["show", "raw.t"]) else { return };
    assert_eq!((&seen["rows"], &seen["bounds"]), (&json!(20), &json!("ok")));
    assert_eq!(seen["schema"], json!({"id": [1, "int", false], "text": [2, "string", false]}));
    assert_eq!(seen["snapshots"][0]["icehaul.job-id"], "one");
    python(&f, &["append", "raw.t", "20", "5"]);
    append(&f, rows(25..30), "two").await;
    python(&f, &["delete", "raw.t", "id < 10"]);
    append(&f, rows(30..31), "three").await;
    let seen = python(&f, &["show", "raw.t"]).expect("seen");
    assert_eq!((&seen["rows"], &seen["records_in_files"]), (&json!(21), &json!(21)));
    assert_eq!(seen["sums"]["id"], json!((10..31).sum::<i32>().to_string()));
    let last = seen["snapshots"].as_array().and_then(|all| all.last()).expect("snapshot").clone();
    assert_eq!((&last["total-records"], &last["total-data-files"]), (&json!("21"), &json!(seen["files"].to_string())));
    let few = rows(100..103);
    load(&f.lake, spec("raw.t", &few), &few, Change::Overwrite, "four").await.expect("overwrite");
    let seen = python(&f, &["show", "raw.t"]).expect("seen");
    assert_eq!(
        (&seen["rows"], &seen["files"], &seen["values"]["id"]),
        (&json!(3), &json!(1), &json!(["100", "101", "102"]))
    );
}

#[tokio::test]
async fn a_table_made_by_pyiceberg_is_written_to() {
    let f = Fixture::sqlite().await;
    let warehouse = format!("file://{}/wh", f.dir.path().display());
    if python(&f, &["create", "raw.t", &warehouse]).is_none() {
        return;
    }
    append(&f, rows(0..4), "one").await;
    let seen = python(&f, &["show", "raw.t", "id >= 2"]).expect("seen");
    assert_eq!((&seen["rows"], &seen["values"]["text"]), (&json!(2), &json!(["row 2", "row 3"])));
}

/// A batch with every type, its odd values and nulls.
fn everything() -> RecordBatch {
    let uuid = [("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())].into();
    let inner = Fields::from(vec![Field::new("x", DataType::Int32, true), Field::new("y", DataType::Utf8, true)]);
    let pairs = StructArray::new(
        inner.clone(),
        vec![Arc::new(Int32Array::from(vec![Some(1), None])), Arc::new(StringArray::from(vec![Some("s"), None]))],
        None,
    );
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(3), None]), None]);
    let decimal = |value: i128, precision, scale| -> ArrayRef {
        let array = Decimal128Array::from(vec![Some(value), None]).with_precision_and_scale(precision, scale);
        Arc::new(array.expect("decimal"))
    };
    let bytes = FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some([9_u8; 16]), None].into_iter(), 16);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("b", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("i16", Arc::new(Int16Array::from(vec![Some(-3), None]))),
        ("i64", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
        ("f32", Arc::new(Float32Array::from(vec![Some(f32::NAN), None]))),
        ("f64", Arc::new(Float64Array::from(vec![Some(-0.0), Some(f64::NAN)]))),
        ("s", Arc::new(StringArray::from(vec![Some("a text longer than sixteen characters é"), None]))),
        ("bin", Arc::new(BinaryArray::from_opt_vec(vec![Some(&[255_u8; 20][..]), None]))),
        ("date", Arc::new(Date32Array::from(vec![Some(-1), None]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![Some(86_399_999_999), None]))),
        ("ts", Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), None]))),
        ("tstz", Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None]).with_timezone("UTC"))),
        ("d9", decimal(-12_345, 9, 2)),
        ("d18", decimal(-123_456_789_012, 18, 4)),
        ("d38", decimal(-(10_i128.pow(37)), 38, 10)),
        ("u", Arc::new(bytes.expect("bytes"))),
        ("l", Arc::new(lists)),
        ("st", Arc::new(pairs)),
    ];
    let field = |(name, array): &(&str, ArrayRef)| match *name {
        "u" => Field::new("u", DataType::FixedSizeBinary(16), true).with_metadata(uuid_metadata(&uuid)),
        name => Field::new(name, array.data_type().clone(), true),
    };
    let fields: Vec<Field> = columns.iter().map(field).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("batch")
}

fn uuid_metadata(map: &std::collections::HashMap<String, String>) -> std::collections::HashMap<String, String> {
    map.clone()
}

#[tokio::test]
async fn every_type_is_read_as_it_was_written() {
    let f = Fixture::sqlite().await;
    append(&f, everything(), "one").await;
    let Some(seen) = python(&f, &["show", "raw.t"]) else { return };
    assert_eq!(seen["bounds"], "ok");
    let first = |column: &str| seen["values"][column][0].clone();
    for (column, value) in [
        ("b", "True"),
        ("i16", "-3"),
        ("i64", "-9223372036854775808"),
        ("f64", "-0.0"),
        ("s", "a text longer than sixteen characters é"),
        ("date", "1969-12-31"),
        ("time", "23:59:59.999999"),
        ("ts", "1969-12-31 23:59:59.999999"),
        ("tstz", "1970-01-01 00:00:00.000001+00:00"),
        ("d9", "-123.45"),
        ("d18", "-12345678.9012"),
        ("d38", "-1000000000000000000000000000.0000000000"),
        ("l", "[3, None]"),
        ("st", "{'x': 1, 'y': 's'}"),
    ] {
        assert_eq!(first(column), value, "{column}");
    }
    assert_eq!(seen["schema"]["u"][1], "uuid");
    assert_eq!(seen["sums"]["d9"], "-123.45");
    let nulls: Vec<_> = seen["values"].as_object().expect("values").iter().filter(|(_, v)| v[1].is_null()).collect();
    assert_eq!(nulls.len(), 15, "all but f64 and the struct");
}

#[tokio::test]
async fn partitions_are_read_and_pruned_by_pyiceberg() {
    for by in ["id", "truncate(3, text)", "bucket(4, id)"] {
        let f = Fixture::sqlite().await;
        let rows = rows(0..30);
        let spec = TableSpec { partition_by: vec![by.parse().expect("spelling")], ..spec("raw.t", &rows) };
        load(&f.lake, spec, &rows, Change::Append, "one").await.expect("append");
        let Some(seen) = python(&f, &["show", "raw.t"]) else { return };
        assert_eq!((&seen["rows"], &seen["bounds"]), (&json!(30), &json!("ok")), "{by}");
        let some = python(&f, &["show", "raw.t", "id >= 25"]).expect("seen");
        assert_eq!(some["rows"], 5, "{by}");
    }
}
