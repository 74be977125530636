//! Bounds: columns, cells, time, and statements that nobody waits for any more.
use std::time::Duration;

use futures::TryStreamExt;
use icehaul_jobs::{
    Code, Ctx, StopReason,
    config::{Connections, Limits},
    source::Wish,
};
use icehaul_tests::postgres::Database;
use serde_json::json;

use super::{ctx, ctx_with, load, query, refusal, spec};

#[tokio::test]
async fn sixteen_hundred_columns_are_read() {
    let db = Database::new().await;
    let columns = |ty: &str| (1..=1600).map(|n| format!("c{n} {ty}")).collect::<Vec<_>>().join(", ");
    let values = (1..=1600).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    db.run(&format!(
        "create table wide ({}); insert into wide values ({values}); insert into wide select * from wide",
        columns("int2")
    ))
    .await;
    let loaded = query(&db, "select * from wide").await.expect("rows");
    assert_eq!((loaded.only().num_rows(), loaded.only().num_columns()), (2, 1600));
    let few = ctx_with(Limits { max_columns: 1599, ..Limits::default() }, Connections::default());
    let refused = load(&spec(&db, json!({"table": "wide"})), &few, &Wish::default()).await;
    assert_eq!(refused.err().map(|e| e.code()), Some(Code::TooManyColumns));
}

#[tokio::test]
async fn a_huge_cell_is_refused_with_its_place() {
    let db = Database::new().await;
    for (sql, place) in [
        (
            "select 1 as id, repeat('x', 200000000) as big, 2 as more",
            "row 1, column `big`: the value has 200000000 bytes",
        ),
        (
            "select n as id, repeat('x', case n when 20001 then 70000000 else 3 end) as big from generate_series(1, 30000) n",
            "row 20001, column `big`: the value has 70000000 bytes",
        ),
        (
            "select repeat('x', 60000000) as a, repeat('x', 60000000) as b, repeat('x', 60000000) as c",
            "row 1 has 1800000",
        ),
    ] {
        let error = refusal(&db, json!({"query": sql})).await;
        assert_eq!(error.code(), Code::CellTooLarge, "{error}");
        assert!(error.message().starts_with(place), "{error}");
    }
    let large = query(&db, "select n, repeat('x', 3000000) as big from generate_series(1, 9) n").await.expect("rows");
    assert_eq!(large.rows(), 9);
    assert!(large.batches().count() > 1, "batches are bounded by bytes");
}

/// Waits until the server works, or works no more, for the attempt.
async fn until(db: &Database, ctx: &Ctx, works: bool) {
    let admin = db.admin().await;
    let sql =
        "select count(*) from pg_stat_activity where application_name = $1 and state = 'active' and query like 'COPY%'";
    let name = format!("icehaul {}", ctx.job);
    for _ in 0..1000 {
        let busy: i64 = admin.query_one(sql, &[&name]).await.expect("a count").get(0);
        if (busy > 0) == works {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the server {} for the attempt", if works { "never works" } else { "still works" });
}

/// Rows without end, and a statement that gives none for very long. In a FROM, the series would first be written to disk.
const ENDLESS: &str = "select generate_series(1, 100000000000) as n";
const SILENT: &str = "select count(*) from (select generate_series(1, 100000000000)) as n";

#[tokio::test]
async fn a_dropped_reader_ends_its_statement() {
    let db = Database::new().await;
    for sql in [ENDLESS, SILENT] {
        let (spec, ctx) = (spec(&db, json!({"query": sql})), ctx());
        let plan = spec.plan(&ctx, &Wish::default()).await.expect("a plan");
        let mut reader = spec.read(&ctx, &plan, &plan.splits[0]).await.expect("a reader").stream;
        if sql == ENDLESS {
            assert!(reader.try_next().await.expect("rows").is_some());
        } else {
            assert!(tokio::time::timeout(Duration::from_millis(50), reader.try_next()).await.is_err());
        }
        drop(reader);
        drop(plan);
        until(&db, &ctx, false).await;
    }
}

#[tokio::test]
async fn a_stopped_attempt_ends_at_once() {
    let db = Database::new().await;
    let (spec, ctx) = (spec(&db, json!({"query": SILENT})), ctx());
    let stop = ctx.stop.clone();
    let wish = Wish::default();
    let (ended, ()) = tokio::join!(load(&spec, &ctx, &wish), async {
        until(&db, &ctx, true).await;
        stop.set(StopReason::Cancelled);
    });
    assert_eq!(ended.err().map(|e| e.code()), Some(Code::Cancelled));
    until(&db, &ctx, false).await;
}

#[tokio::test]
async fn a_statement_over_its_time_is_ended_by_the_server() {
    let db = Database::new().await;
    let error = refusal(&db, json!({"query": SILENT, "statement_timeout_seconds": 0.2})).await;
    assert_eq!(error.code(), Code::QueryTimeout, "{error}");
}
