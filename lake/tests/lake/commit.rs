//! What a commit leaves in the table, and what it leaves on disk.
use icehaul_lake::{Change, Kind};

use crate::help::{Fixture, load, name, rows, spec};

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
    let found = f.lake.committed(&name("raw.t"), "one").await.expect("look").expect("found");
    assert_eq!((total(&found), found.already), ("10", true));
}
