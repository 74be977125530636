//! Many at once: every commit lands, none twice, and no loser leaves a file.
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::future::join_all;
use icehaul_lake::{Change, Guard};

use crate::help::{Fixture, guard, load, name, rows, spec, write};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_at_once_commit_all_their_rows() {
    for f in Fixture::all().await {
        let work = async |worker: i32| {
            let lake = f.again().await;
            for step in 0..3 {
                let rows = rows(worker * 1000 + step * 100..worker * 1000 + step * 100 + 100);
                let operation = format!("job-{worker}-{step}");
                load(&lake, spec("raw.t", &rows), &rows, Change::Append, &operation).await.expect("append");
            }
        };
        join_all((0..8).map(work)).await;
        let table = f.lake.table(&name("raw.t")).await.expect("table");
        let current = table.metadata().current_snapshot().expect("snapshot");
        assert_eq!(table.metadata().snapshots().len(), 24);
        assert_eq!(current.summary().additional_properties["total-records"], "2400");
        assert_eq!(current.sequence_number(), 24);
        f.assert_no_strays("raw.t").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn six_attempts_of_one_operation_commit_once() {
    for f in Fixture::all().await {
        let first = rows(0..1);
        load(&f.lake, spec("raw.t", &first), &first, Change::Append, "first").await.expect("append");
        let barrier = tokio::sync::Barrier::new(6);
        let work = async |attempt: i32| {
            let (lake, rows) = (f.again().await, rows(0..100));
            let target = lake.prepare(spec("raw.t", &rows)).await.expect("prepare");
            let prefix = format!("job/{attempt}");
            let files = write(&target, &prefix, &[rows]).await.expect("write");
            barrier.wait().await;
            let done = lake.commit(&target, files, Change::Append, &guard("job")).await.expect("commit");
            if done.already {
                assert_eq!(done.unused.len(), 1);
                target.discard_prefix(&prefix).await;
            }
            done
        };
        let done = join_all((0..6).map(work)).await;
        assert_eq!(done.iter().filter(|done| !done.already).count(), 1);
        assert!(done.iter().all(|each| each.snapshot_id == done[0].snapshot_id));
        assert_eq!(done[0].summary["total-records"], "101");
        f.assert_no_strays("raw.t").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_that_make_the_same_table_share_it() {
    for f in Fixture::all().await {
        let barrier = tokio::sync::Barrier::new(2);
        let work = async |worker: i32| {
            let (lake, rows) = (f.again().await, rows(worker * 10..worker * 10 + 10));
            let target = lake.prepare(spec("raw.t", &rows)).await.expect("prepare");
            assert!(!target.exists());
            let files = write(&target, &format!("job-{worker}/1"), &[rows]).await.expect("write");
            barrier.wait().await;
            lake.commit(&target, files, Change::Append, &guard(&format!("job-{worker}"))).await.expect("commit")
        };
        let done = join_all((0..2).map(work)).await;
        assert!(done.iter().any(|done| done.summary["total-records"] == "20"));
        assert_eq!(f.lake.namespaces().await.expect("namespaces"), [("raw".to_owned(), 1)]);
        f.assert_no_strays("raw.t").await;
    }
}

#[tokio::test]
async fn a_lost_race_leaves_no_file_and_asks_again() {
    for f in Fixture::all().await {
        let first = rows(0..1);
        load(&f.lake, spec("raw.t", &first), &first, Change::Append, "first").await.expect("append");
        let rows = rows(0..10);
        let target = f.lake.prepare(spec("raw.t", &rows)).await.expect("prepare");
        let files = write(&target, "slow/1", std::slice::from_ref(&rows)).await.expect("write");
        // Whenever this commit asks whether it may swap, another one slips in, three times.
        let (asked, rival) = (Arc::new(AtomicUsize::new(0)), f.again().await);
        let permission = {
            let asked = asked.clone();
            Arc::new(move || -> std::pin::Pin<Box<dyn Future<Output = bool> + Send>> {
                let (turn, rival, rows) = (asked.fetch_add(1, Ordering::SeqCst), rival.clone(), rows.clone());
                Box::pin(async move {
                    if turn < 3 {
                        let operation = format!("rival-{turn}");
                        load(&rival, spec("raw.t", &rows), &rows, Change::Append, &operation).await.expect("rival");
                    }
                    true
                })
            })
        };
        let done = f.lake.commit(&target, files, Change::Overwrite, &Guard { permission, ..guard("slow") }).await;
        let done = done.expect("commit");
        assert_eq!(asked.load(Ordering::SeqCst), 4);
        assert_eq!((&*done.summary["total-records"], &*done.summary["deleted-records"]), ("10", "31"));
        f.assert_no_strays("raw.t").await;
    }
}
