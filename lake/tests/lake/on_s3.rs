//! A lake whose warehouse is on object storage: the same promises, and what only a network can break.
use std::{sync::Arc, time::Duration};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use futures::TryStreamExt;
use icehaul_lake::{At, Change, KeySource, Kind, S3Access, Scan, TableSpec};
use serde_json::{Value, json};

use crate::{
    help::{BUCKET, Fixture, access, batch, guard, load, name, rows, spec, write},
    proxy::{Proxy, SLOW_DOWN},
    python,
    s3_server::{ACCESS_KEY, S3Server, SECRET_KEY},
};

/// Rows of 2 KiB that hardly compress: 1.5 MB a thousand.
fn noise(rows: i64) -> RecordBatch {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 1_u64;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(LETTERS[(state >> 58) as usize])
    };
    let texts: StringArray = (0..rows).map(|_| Some((0..2048).map(|_| letter()).collect::<String>())).collect();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    batch(vec![("id", ids), ("text", Arc::new(texts))])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_written_changed_and_read_as_on_a_disk() {
    let (s3, disk) = (Fixture::s3().await, Fixture::sqlite().await);
    let (first, second) = (noise(12_000), rows(0..10));
    let second = batch(vec![("id", Arc::new(Int64Array::from_iter_values(0..10))), ("text", second.column(1).clone())]);
    let mut prints = Vec::new();
    for f in [&s3, &disk] {
        let target = f.lake.prepare(spec("raw.t", &first)).await.expect("prepare");
        let mut batches: Vec<_> = (0..12).map(|n| first.slice(n * 1000, 1000)).collect();
        let files = write(&target, "one/1", &batches).await.expect("write");
        assert!(files[0].bytes() > 16 << 20, "large enough for parts: {}", files[0].bytes());
        let back: Vec<RecordBatch> =
            target.read_back(&files[0], None).await.expect("open").stream.try_collect().await.expect("read");
        assert_eq!(back.iter().map(RecordBatch::num_rows).sum::<usize>(), 12_000);
        let one = f.lake.commit(&target, files, Change::Append, &guard("one")).await.expect("commit");
        load(&f.lake, spec("raw.t", &second), &second, Change::Append, "two").await.expect("append");
        batches.truncate(1);
        load(&f.lake, spec("raw.t", &batches[0]), &batches[0], Change::Overwrite, "three").await.expect("overwrite");
        let table = f.lake.table(&name("raw.t")).await.expect("table");
        let then = At::Snapshot(one.snapshot_id.expect("snapshot"));
        let mut seen = Vec::new();
        for at in [At::Current, then] {
            seen.push((table.count(at).await.expect("count"), table.fingerprint(at, None).await.expect("print")));
        }
        let scan = Scan { columns: Some(vec!["text".into()]), ..Scan::default() };
        let some: Vec<RecordBatch> = table.scan(scan).await.expect("scan").stream.try_collect().await.expect("rows");
        assert_eq!(some.iter().map(RecordBatch::num_rows).sum::<usize>(), 1000);
        f.assert_no_strays("raw.t").await;
        prints.push(seen);
    }
    assert_eq!(prints[0], prints[1], "object storage and disk hold the same rows");
    assert_eq!(s3.store.as_ref().expect("store").open_parts(BUCKET), 0);
}

/// Each request costs a way to the store and back: a file's footer is one, a row group another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_requests_write_and_read_a_table() {
    let f = Fixture::s3().await;
    let store = f.store.as_ref().expect("store");
    let columns = (0..30).map(|n| format!("c{n}")).collect::<Vec<_>>();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..5000));
    let wide = batch(columns.iter().map(|name| (name.as_str(), ids.clone())).collect());
    load(&f.lake, spec("raw.t", &wide), &wide, Change::Append, "one").await.expect("append");
    let table = f.lake.table(&name("raw.t")).await.expect("table");
    table.fingerprint(At::Current, None).await.expect("fingerprint");
    let count = |what: &str, suffix: &str| {
        store.requests().iter().filter(|request| request.starts_with(what) && request.ends_with(suffix)).count()
    };
    let logged = async {
        while count("GetObject", ".parquet") < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), logged).await.expect("the requests are logged");
    let all = store.requests();
    let counts = [(".parquet", 1, 2), (".avro", 2, 2), (".metadata.json", 1, 1)];
    for (suffix, put, get) in counts {
        assert_eq!((count("PutObject", suffix), count("GetObject", suffix)), (put, get), "{suffix}: {all:#?}");
    }
    assert!(all.iter().all(|request| !request.starts_with("Head") && !request.starts_with("List")), "{all:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_attempt_leaves_nothing() {
    let f = Fixture::s3().await;
    let big = noise(12_000);
    let target = f.lake.prepare(spec("raw.t", &big)).await.expect("prepare");
    let mut writer = target.writer("job/1", 0).await.expect("writer");
    writer.write(&big).await.expect("write");
    writer.abort().await;
    let files = write(&target, "job/2", std::slice::from_ref(&big)).await.expect("write");
    write(&target, "job/3", std::slice::from_ref(&big)).await.expect("write");
    assert_eq!(f.files().len(), 2);
    f.lake.commit(&target, files, Change::Append, &guard("job")).await.expect("commit");
    f.lake.discard_prefix(&name("raw.t"), "job").await;
    f.assert_no_strays("raw.t").await;
    let gone = async {
        while f.store.as_ref().expect("store").open_parts(BUCKET) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("the parts are thrown away");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_partitions_take_bounded_memory_and_lose_no_row() {
    let f = Fixture::s3().await;
    let many = rows(0..3000);
    let by = "truncate(50, id)".parse().expect("spelling");
    let spec = TableSpec { partition_by: vec![by], ..spec("raw.t", &many) };
    let done = load(&f.lake, spec, &many, Change::Append, "one").await.expect("append");
    assert_eq!(done.summary["total-records"], "3000");
    assert_eq!(f.lake.table(&name("raw.t")).await.expect("table").count(At::Current).await.expect("count"), 3000);
    f.assert_no_strays("raw.t").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pyiceberg_and_we_write_to_one_table_in_turns() {
    let f = Fixture::s3().await;
    let some = rows(0..20);
    load(&f.lake, spec("raw.t", &some), &some, Change::Append, "one").await.expect("append");
    let options = json!({
        "s3.endpoint": f.store.as_ref().expect("store").endpoint(), "s3.access-key-id": ACCESS_KEY,
        "s3.secret-access-key": SECRET_KEY, "s3.region": "us-east-1",
    });
    let python = |arguments: &[&str]| -> Option<Value> { python::run(&f, &options, arguments) };
    let Some(seen) = python(&["show", "raw.t"]) else { return };
    assert_eq!((&seen["rows"], &seen["bounds"]), (&json!(20), &json!("ok")));
    assert_eq!(seen["location"], "s3://lake/wh/raw/t");
    python(&["append", "raw.t", "20", "5"]);
    python(&["delete", "raw.t", "id < 10"]);
    let more = rows(25..30);
    load(&f.lake, spec("raw.t", &more), &more, Change::Append, "two").await.expect("append");
    let seen = python(&["show", "raw.t"]).expect("seen");
    assert_eq!((&seen["rows"], &seen["sums"]["id"]), (&json!(20), &json!((10..30).sum::<i32>().to_string())));
    assert_eq!(f.lake.table(&name("raw.t")).await.expect("table").count(At::Current).await.expect("count"), 20);
}

/// A lake behind a proxy before its store.
async fn behind_proxy() -> (Fixture, Proxy) {
    let store = S3Server::with_bucket(BUCKET).expect("an S3 server");
    let proxy = Proxy::before(store.address()).await;
    let f = Fixture::on_s3(access(format!("http://{}", proxy.address)), "s3://lake/wh").await;
    (Fixture { store: Some(store), ..f }, proxy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stumbles_costs_no_row() {
    let (f, proxy) = behind_proxy().await;
    let big = noise(8_000);
    let target = f.lake.prepare(spec("raw.t", &big)).await.expect("prepare");
    proxy.cut([SLOW_DOWN; 4]);
    let files = write(&target, "one/1", std::slice::from_ref(&big)).await.expect("write");
    proxy.cut([SLOW_DOWN; 2]);
    let done = f.lake.commit(&target, files, Change::Append, &guard("one")).await.expect("commit");
    assert_eq!(done.summary["total-records"], "8000");
    proxy.cut([SLOW_DOWN; 2]);
    let table = f.lake.table(&name("raw.t")).await.expect("table");
    proxy.cut([]);
    let print = table.fingerprint(At::Current, None).await.expect("fingerprint");
    let disk = Fixture::sqlite().await;
    load(&disk.lake, spec("raw.t", &big), &big, Change::Append, "one").await.expect("append");
    let there = disk.lake.table(&name("raw.t")).await.expect("table").fingerprint(At::Current, None).await;
    assert_eq!(print, there.expect("fingerprint"));
    f.assert_no_strays("raw.t").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_a_store_that_goes_away_fails_what_is_under_way_and_nothing_else() {
    let mut f = Fixture::s3().await;
    let big = noise(8_000);
    load(&f.lake, spec("raw.t", &big), &big, Change::Append, "one").await.expect("append");
    let target = f.lake.prepare(spec("raw.t", &big)).await.expect("prepare");
    let files = write(&target, "two/1", std::slice::from_ref(&big)).await.expect("write");
    let mut writer = target.writer("three/1", 0).await.expect("writer");
    writer.write(&big.slice(0, 4_000)).await.expect("write");
    f.store.as_mut().expect("store").kill().expect("kill");
    let writing = async {
        writer.write(&big.slice(4_000, 4_000)).await?;
        writer.close().await
    };
    let (two, raw) = (guard("two"), name("raw.t"));
    let ping = f.lake.ping();
    let committing = f.lake.commit(&target, files.clone(), Change::Append, &two);
    let table = f.lake.table(&raw);
    let (written, pinged, committed, table) = tokio::join!(writing, ping, committing, table);
    for error in [
        written.expect_err("away"),
        pinged.expect_err("away"),
        committed.map(drop).expect_err("away"),
        table.map(drop).expect_err("away"),
    ] {
        assert_eq!(error.kind(), Kind::StorageUnavailable, "{error:?}");
    }
    f.store.as_mut().expect("store").start_again().expect("start");
    let done = f.lake.commit(&target, files, Change::Append, &guard("two")).await.expect("commit");
    assert_eq!((done.already, &*done.summary["total-records"]), (false, "16000"));
    f.lake.discard_prefix(&name("raw.t"), "three").await;
    f.assert_no_strays("raw.t").await;
}

#[tokio::test]
async fn wrong_access_is_told_by_its_kind() {
    let store = S3Server::with_bucket(BUCKET).expect("an S3 server");
    let right = access(store.endpoint());
    let wrong = S3Access { secret_key: Some(KeySource::Value("no-secret-of-theirs".into())), ..right.clone() };
    let rows = rows(0..10);
    for (access, warehouse, kind) in
        [(wrong, "s3://lake/wh", Kind::ObjectForbidden), (right, "s3://no-such-bucket/wh", Kind::BucketNotFound)]
    {
        let f = Fixture::on_s3(access, warehouse).await;
        let error =
            load(&f.lake, spec("raw.t", &rows), &rows, Change::Append, "one").await.map(drop).expect_err("wrong");
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(!format!("{error:?}").contains("no-secret-of-theirs"), "{error:?}");
        assert_eq!(f.lake.ping().await.expect_err("wrong").kind(), kind);
        assert_eq!(f.lake.namespaces().await.expect("namespaces"), []);
    }
    assert!(store.keys(BUCKET).is_empty());
}

#[tokio::test]
async fn a_file_that_is_gone_is_named() {
    let f = Fixture::s3().await;
    let rows = rows(0..10);
    load(&f.lake, spec("raw.t", &rows), &rows, Change::Append, "one").await.expect("append");
    let parquet = f.files().into_iter().find(|path| path.extension().is_some_and(|e| e == "parquet")).expect("a file");
    std::fs::remove_file(f.root().join(&parquet)).expect("removed");
    let table = f.lake.table(&name("raw.t")).await.expect("table");
    let error = table.fingerprint(At::Current, None).await.expect_err("gone");
    assert_eq!(error.kind(), Kind::FileMissing, "{error:?}");
    assert!(error.message().contains(&*parquet.to_string_lossy()), "{error}");
    let metadata = f.files().into_iter().find(|path| path.to_string_lossy().ends_with(".metadata.json")).expect("one");
    std::fs::remove_file(f.root().join(&metadata)).expect("removed");
    let error = f.lake.table(&name("raw.t")).await.map(drop).expect_err("gone");
    assert_eq!(error.kind(), Kind::FileMissing, "{error:?}");
}

#[tokio::test]
async fn what_others_call_s3a_is_read() {
    let f = Fixture::s3().await;
    let some = rows(0..10);
    load(&f.lake, spec("raw.t", &some), &some, Change::Append, "one").await.expect("append");
    // As an engine on Hadoop would have written it.
    let metadata = f.files().into_iter().find(|path| path.to_string_lossy().ends_with(".metadata.json")).expect("one");
    let text = std::fs::read_to_string(f.root().join(&metadata)).expect("metadata");
    let there = f.root().join("raw/t/metadata/00000-s3a.metadata.json");
    std::fs::write(there, text.replace("s3://lake", "s3a://lake")).expect("written");
    let pool = sqlx::AnyPool::connect(&format!("sqlite:{}", f.dir.path().join("catalog.db").display()))
        .await
        .expect("catalog");
    sqlx::query("UPDATE iceberg_tables SET metadata_location = 's3a://lake/wh/raw/t/metadata/00000-s3a.metadata.json'")
        .execute(&pool)
        .await
        .expect("update");
    assert_eq!(f.lake.table(&name("raw.t")).await.expect("table").count(At::Current).await.expect("count"), 10);
    let more = rows(10..12);
    let done = load(&f.lake, spec("raw.t", &more), &more, Change::Append, "two").await.expect("append");
    assert_eq!(done.summary["total-records"], "12");
    assert_eq!(
        f.again().await.table(&name("raw.t")).await.expect("table").count(At::Current).await.expect("count"),
        12
    );
}
