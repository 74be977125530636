//! What a commit leaves in the table, and what it leaves on disk.
use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use icehaul_lake::{At, CatalogConfig, Change, Cursor, CursorMove, Guard, Kind, Lake, Replaced, WrittenFile};

use crate::help::{Fixture, guard, load, name, rows, spec, write};

fn total(committed: &icehaul_lake::Committed) -> &str {
    &committed.summary["total-records"]
}

#[tokio::test]
async fn rows_are_appended_and_replaced() {
    let f = Fixture::sqlite().await;
    assert_eq!(f.lake.table(&name("raw.t")).await.map(drop).expect_err("none yet").kind(), Kind::NamespaceNotFound);
    let append = async |ids, op| {
        let rows = rows(ids);
        load(&f.lake, spec("raw.t", &rows), &rows, Change::Append, op).await.expect("append")
    };
    assert_eq!(total(&append(0..10, "one").await), "10");
    let two = append(10..15, "two").await;
    assert_eq!((total(&two), &*two.summary["added-records"], &*two.summary["operation"]), ("15", "5", "append"));
    let again = append(10..15, "two").await;
    assert_eq!((again.already, again.snapshot_id, again.unused.len()), (true, two.snapshot_id, 1));
    let fresh = rows(0..3);
    let over = load(&f.lake, spec("raw.t", &fresh), &fresh, Change::Overwrite, "three").await.expect("overwrite");
    assert_eq!(
        (total(&over), &*over.summary["deleted-records"], &*over.summary["operation"]),
        ("3", "15", "overwrite")
    );
    assert_eq!(over.summary["deleted-data-files"], "2");
    let table = f.lake.table(&name("raw.t")).await.expect("table");
    assert_eq!(table.metadata().snapshots().len(), 3);
    assert!(table.metadata().location().starts_with("file:///"));
    assert_eq!(f.lake.namespaces().await.expect("namespaces"), [("raw".to_owned(), 1)]);
    let found = f.lake.table(&name("raw.t")).await.expect("table").committed("one").expect("found");
    assert_eq!((total(&found), found.already), ("10", true));
}

#[tokio::test]
async fn some_files_are_exchanged_and_the_others_stay() {
    let f = Fixture::sqlite().await;
    let (all, more) = ([rows(0..10), rows(10..15)], rows(15..18));
    let target = f.lake.prepare(spec("raw.t", &all[0])).await.expect("prepare");
    let mut files = Vec::new();
    for (split, rows) in all.iter().enumerate() {
        files.extend(write(&target, &format!("one/{split}"), std::slice::from_ref(rows)).await.expect("write"));
    }
    let first = f.lake.commit(&target, files.clone(), Change::Append, &guard("one")).await.expect("commit");
    load(&f.lake, spec("raw.t", &more), &more, Change::Append, "two").await.expect("append");
    let current = async || f.lake.table(&name("raw.t")).await.expect("table").snapshot_id(At::Current).expect("there");
    let replace = async |operation: &str, gone: &str, at, with: std::ops::Range<i32>| {
        let rows = rows(with);
        let replaced = Replaced { files: HashSet::from([gone.to_owned()]), at };
        load(&f.lake, spec("raw.t", &rows), &rows, Change::Replace(Arc::new(replaced)), operation).await
    };
    let stale = replace("three", files[0].path(), first.snapshot_id, 0..8).await.expect_err("other rows came");
    assert_eq!(stale.kind(), Kind::CommitConflict);
    let done = replace("four", files[0].path(), current().await, 0..8).await.expect("exchanged");
    let said = ["operation", "added-records", "deleted-records", "deleted-data-files"].map(|key| &*done.summary[key]);
    assert_eq!((said, total(&done)), (["overwrite", "8", "10", "1"], "16"));
    let gone = replace("five", files[1].path(), None, 0..0).await.expect("removed");
    assert_eq!((&*gone.summary["operation"], total(&gone)), ("delete", "11"));
    let table = f.lake.table(&name("raw.t")).await.expect("table");
    assert_eq!(
        (table.count(At::Current).await.ok(), table.files(At::Current).await.ok().map(|f| f.0)),
        (Some(11), Some(2))
    );
    // Nothing to exchange, and nothing else to keep: no snapshot.
    let none = rows(0..0);
    let idle = load(&f.lake, spec("raw.t", &none), &none, Change::Replace(Arc::default()), "six").await.expect("idle");
    assert_eq!(idle.snapshot_id, None);
}

#[tokio::test]
async fn without_rows_only_a_new_table_is_made() {
    let f = Fixture::sqlite().await;
    let empty = rows(0..0);
    let made = load(&f.lake, spec("raw.t", &empty), &empty, Change::Append, "one").await.expect("create");
    assert_eq!((made.snapshot_id, made.already), (None, false));
    let table = f.lake.table(&name("raw.t")).await.expect("table");
    assert_eq!(table.metadata().current_schema().as_struct().fields().len(), 2);
    f.assert_no_strays("raw.t").await;
    let before = f.files();
    for change in [Change::Append, Change::Overwrite] {
        let none = load(&f.lake, spec("raw.t", &empty), &empty, change, "two").await.expect("nothing");
        assert_eq!(none.snapshot_id, None);
    }
    assert_eq!(f.files(), before);
    let some = rows(0..4);
    load(&f.lake, spec("raw.t", &some), &some, Change::Append, "three").await.expect("append");
    let cleared = load(&f.lake, spec("raw.t", &empty), &empty, Change::Overwrite, "four").await.expect("clear");
    assert_eq!((total(&cleared), &*cleared.summary["deleted-records"]), ("0", "4"));
    f.assert_no_strays("raw.t").await;
}

#[tokio::test]
async fn a_refused_commit_leaves_nothing() {
    let f = Fixture::sqlite().await;
    let rows = rows(0..10);
    let refused = async |operation: &str| {
        let target = f.lake.prepare(spec("raw.t", &rows)).await.expect("prepare");
        let files = write(&target, "job/1", std::slice::from_ref(&rows)).await.expect("write");
        let guard = Guard { permission: Arc::new(|| Box::pin(async { false })), ..guard(operation) };
        let error = f.lake.commit(&target, files.clone(), Change::Append, &guard).await.expect_err("refused");
        assert_eq!(error.kind(), Kind::GuardRefused);
        target.discard_prefix("job").await;
        files
    };
    refused("one").await;
    assert_eq!(f.files(), BTreeSet::new(), "not even a directory");
    assert_eq!(f.lake.namespaces().await.expect("namespaces"), []);
    load(&f.lake, spec("raw.t", &rows), &rows, Change::Append, "two").await.expect("append");
    let before = f.files();
    refused("three").await;
    assert_eq!(f.files(), before);
}

#[tokio::test]
async fn a_cursor_moves_only_from_where_it_was_read() {
    let f = Fixture::sqlite().await;
    let rows = rows(0..10);
    let at = |value: &str| Cursor { column: "id".into(), value: value.into() };
    let cursors = async || {
        let table = f.lake.look(&name("raw.t")).await.expect("look");
        table.map(|table| table.cursors().expect("cursors")).unwrap_or_default()
    };
    let step = async |operation: &str, from: Option<&str>, to: &str| {
        let target = f.lake.prepare(spec("raw.t", &rows)).await.expect("prepare");
        let seen = cursors().await.remove("db#t").map(|cursor| cursor.value);
        let files = write(&target, operation, std::slice::from_ref(&rows)).await.expect("write");
        let cursor = Some(CursorMove { source: "db#t".into(), from: from.map(at), to: at(to) });
        let done = f.lake.commit(&target, files, Change::Append, &Guard { cursor, ..guard(operation) }).await;
        if done.is_err() {
            target.discard_prefix(operation).await;
        }
        (seen, done.map(|done| done.summary["icehaul.cursors"].clone()).map_err(|error| error.kind()))
    };
    assert_eq!(step("a", Some("1"), "9").await, (None, Err(Kind::CursorMoved)));
    let kept = |value: &str| format!("{{\"db#t\":{{\"column\":\"id\",\"value\":\"{value}\"}}}}");
    assert_eq!(step("b", None, "9").await, (None, Ok(kept("9"))));
    assert_eq!(step("c", None, "9").await, (Some("9".into()), Err(Kind::CursorMoved)));
    load(&f.lake, spec("raw.t", &rows), &rows, Change::Append, "d").await.expect("without a cursor");
    assert_eq!(step("e", Some("9"), "12").await, (Some("9".into()), Ok(kept("12"))));
    let table = f.lake.table(&name("raw.t")).await.expect("table");
    assert_eq!(table.metadata().properties()["icehaul.cursors"], kept("12"));
    load(&f.lake, spec("raw.t", &rows), &rows, Change::Overwrite, "f").await.expect("an overwrite");
    assert_eq!(cursors().await.len(), 0, "the rows that the cursor stood for are gone");
    assert_eq!(step("g", None, "3").await, (None, Ok(kept("3"))));
    f.assert_no_strays("raw.t").await;
}

#[tokio::test]
async fn files_taken_up_again_are_not_called_unused() {
    let f = Fixture::sqlite().await;
    let rows = rows(0..10);
    let target = f.lake.prepare(spec("raw.t", &rows)).await.expect("prepare");
    let kept = write(&target, "job/1", std::slice::from_ref(&rows)).await.expect("write");
    let recorded = serde_json::to_string(&kept).expect("to JSON");
    f.lake.commit(&target, kept, Change::Append, &guard("job")).await.expect("commit");
    // The first attempt died after its commit; the second one has its record and writes another split again.
    let target = f.lake.prepare(spec("raw.t", &rows)).await.expect("prepare");
    let mut files: Vec<WrittenFile> = serde_json::from_str(&recorded).expect("from JSON");
    let new = write(&target, "job/2", std::slice::from_ref(&rows)).await.expect("write");
    files.extend(new.clone());
    let again = f.lake.commit(&target, files.clone(), Change::Append, &guard("job")).await.expect("already");
    assert!(again.already);
    assert_eq!(again.unused, [new[0].path()]);
    f.lake.discard_prefix(&name("raw.t"), "job").await;
    target.discard_prefix_except("job", &files[..1]).await;
    f.assert_no_strays("raw.t").await;
}

#[tokio::test]
async fn a_catalog_that_is_away_is_told_and_used_when_it_is_back() {
    let dir = tempfile::tempdir().expect("temp dir");
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").expect("port").local_addr().expect("address");
    let uri = format!("postgres://user:hushhush@{proxy}/db");
    let warehouse = dir.path().to_string_lossy().into_owned();
    let config = CatalogConfig::Postgres { uri, warehouse, catalog_name: None, s3: None };
    let lake = Lake::connect("lake", &config).await.expect("connects when used");
    let error = lake.ping().await.expect_err("away");
    assert_eq!(error.kind(), Kind::CatalogUnavailable);
    let all = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
    assert!(!all.contains("hushhush"), "{all}");
}
