//! The data files: partitions, sizes, codecs, reading back.
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use arrow_array::{Date32Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use futures::TryStreamExt;
use icehaul_lake::{Change, Compression, Kind, TableSpec};
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::help::{Fixture, batch, guard, load, name, rows, spec, write};

/// Rows over two months, many names and a few odd values.
fn events() -> RecordBatch {
    let days: Vec<Option<i32>> = (0..60).map(|day| (day != 59).then_some(19_000 + day)).collect();
    let micros = days.iter().map(|day| day.map(|day| i64::from(day) * 86_400_000_000 + 3_600_000_000));
    let names = (0..60).map(|n| match n % 4 {
        0 => Some("../../etc/pass wd%2F"),
        1 => Some("ünï"),
        2 => None,
        _ => Some("plain"),
    });
    batch(vec![
        ("id", Arc::new(Int32Array::from_iter_values(0..60))),
        ("day", Arc::new(Date32Array::from(days.clone()))),
        ("at", Arc::new(TimestampMicrosecondArray::from_iter(micros).with_timezone("UTC"))),
        ("name", Arc::new(StringArray::from_iter(names))),
    ])
}

async fn partitioned(by: &str) -> (Fixture, BTreeSet<String>) {
    let (f, rows) = (Fixture::sqlite().await, events());
    let spec = TableSpec { partition_by: vec![by.parse().expect("spelling")], ..spec("raw.t", &rows) };
    let done = load(&f.lake, spec.clone(), &rows, Change::Append, "one").await.expect("append");
    assert_eq!(done.summary["total-records"], "60", "{by}");
    // Once more with the spec left out, and with another one.
    load(&f.lake, TableSpec { partition_by: vec![], ..spec.clone() }, &rows, Change::Append, "two")
        .await
        .expect("append");
    let other = TableSpec { partition_by: vec!["bucket(3, id)".parse().expect("spelling")], ..spec };
    assert_eq!(f.lake.prepare(other).await.map(drop).expect_err("other").kind(), Kind::InvalidPartition);
    f.assert_no_strays("raw.t").await;
    let (files, is_data) = (f.files(), |path: &&PathBuf| path.extension().is_some_and(|e| e == "parquet"));
    let parent = |path: &PathBuf| path.parent().and_then(|dir| dir.file_name()).expect("directory").to_owned();
    let directories = files.iter().filter(is_data).map(|path| parent(path).to_string_lossy().into_owned()).collect();
    (f, directories)
}

#[tokio::test]
async fn every_transform_sorts_rows_into_its_partitions() {
    for (by, count, sample) in [
        ("month(day)", 4, "day_month=2022-01"),
        ("year(at)", 2, "at_year=2022"),
        ("day(at)", 60, "at_day=2022-01-08"),
        ("hour(at)", 60, "at_hour=2022-01-08-01"),
        ("bucket(4, id)", 4, "id_bucket=0"),
        ("truncate(10, id)", 6, "id_trunc=50"),
        ("name", 4, "name=______etc_pass_wd_2F"),
    ] {
        let (_, directories) = partitioned(by).await;
        assert_eq!(directories.len(), count, "{by}: {directories:?}");
        assert!(directories.contains(sample), "{by}: {directories:?}");
    }
}

#[tokio::test]
async fn more_partitions_than_may_be_open_give_more_files_and_all_rows() {
    let f = Fixture::sqlite().await;
    let rows = rows(0..200);
    let spec = TableSpec { partition_by: vec!["id".parse().expect("spelling")], ..spec("raw.t", &rows) };
    let target = f.lake.prepare(spec).await.expect("prepare");
    let files = write(&target, "job/1", &[rows.clone(), rows]).await.expect("write");
    assert_eq!(files.iter().map(icehaul_lake::WrittenFile::rows).sum::<u64>(), 400);
    assert!(files.len() > 200, "{}", files.len());
    let done = f.lake.commit(&target, files, Change::Append, &guard("job")).await.expect("commit");
    assert_eq!(done.summary["total-records"], "400");
}

#[tokio::test]
async fn files_roll_at_the_tables_target_size_and_have_its_codec() {
    let f = Fixture::sqlite().await;
    let first = rows(0..1);
    let spec = TableSpec { compression: Some(Compression::Snappy), ..spec("raw.t", &first) };
    load(&f.lake, spec.clone(), &first, Change::Append, "one").await.expect("create");
    assert_eq!(
        f.lake.table(&name("raw.t")).await.expect("table").metadata().properties()["write.parquet.compression-codec"],
        "snappy"
    );
    let table = f.lake.prepare(TableSpec { compression: None, ..spec }).await.expect("prepare");
    let batches: Vec<_> = (0..10).map(|n| rows(n * 1000..n * 1000 + 1000)).collect();
    let files = write(&table, "job/1", &batches).await.expect("write");
    assert_eq!(files.len(), 1);
    let file = std::fs::File::open(files[0].path().trim_start_matches("file://")).expect("file");
    let footer = SerializedFileReader::new(file).expect("parquet");
    let column = footer.metadata().row_group(0).column(0);
    assert_eq!(column.compression(), parquet::basic::Compression::SNAPPY);
    assert_eq!(column.column_descr().self_type().get_basic_info().id(), 1);
    assert_eq!(files[0].bytes(), footer.metadata().file_metadata().num_rows().unsigned_abs().max(files[0].bytes()));
    table.discard_prefix("job").await;
}

#[tokio::test]
async fn written_files_read_back_as_the_rows_were() {
    let f = Fixture::sqlite().await;
    let rows = events();
    let target = f.lake.prepare(spec("raw.t", &rows)).await.expect("prepare");
    let files = write(&target, "job/1", std::slice::from_ref(&rows)).await.expect("write");
    let back = target.read_back(&files[0], None).await.expect("open");
    let batches: Vec<RecordBatch> = back.stream.try_collect().await.expect("read");
    assert_eq!(batches, std::slice::from_ref(&rows));
    let back = target.read_back(&files[0], Some(&["name".into(), "id".into()])).await.expect("open");
    let batches: Vec<RecordBatch> = back.stream.try_collect().await.expect("read");
    assert_eq!(batches, [rows.project(&[3, 0]).expect("columns")]);
    let writer = target.writer("job/2", 1).await.expect("writer");
    writer.abort().await;
    f.lake.discard(&files).await;
    assert_eq!(f.files(), BTreeSet::new());
}

#[tokio::test]
async fn an_aborted_writer_leaves_nothing() {
    let f = Fixture::sqlite().await;
    let rows = rows(0..10);
    let target = f.lake.prepare(spec("raw.t", &rows)).await.expect("prepare");
    let mut writer = target.writer("job/1", 7).await.expect("writer");
    writer.write(&rows).await.expect("write");
    assert_eq!(f.files().len(), 1);
    writer.abort().await;
    assert_eq!(f.files(), BTreeSet::new());
}
