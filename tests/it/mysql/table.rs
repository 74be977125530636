//! Tables: in parallel, in one state.
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use arrow_array::{Int64Array, cast::AsArray, types::Int32Type};
use futures::{TryStreamExt, future::try_join_all};
use icehaul_jobs::{Code, Result};
use icehaul_tests::{attempt::ctx, mysql::Database};
use mysql_async::prelude::Queryable;
use serde_json::{Value, json};

use super::{refusal, spec};
use crate::postgres::{Loaded, load, numbers, types::cells};

async fn read(db: &Database, fields: Value) -> Result<Loaded> {
    load(&spec(db, fields), &ctx(), &Default::default()).await
}

#[tokio::test]
async fn a_table_is_read_by_columns_and_condition() {
    let db = Database::new().await;
    db.run("create table `odd``name` (id int primary key, a varchar(5), `b.c` int)").await;
    db.run("insert into `odd``name` select seq, concat('v', seq), seq * 2 from seq_1_to_100").await;
    let fields = json!({"table": "`odd``name`", "columns": ["b.c", "id"], "where": "id > 90 or a = 'v3' -- few"});
    let loaded = read(&db, fields).await.expect("rows");
    assert_eq!(numbers(&loaded, "id"), [3, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100]);
    assert_eq!(loaded.plan.schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), ["b.c", "id"]);
    let whole = read(&db, json!({"table": format!("{}.`odd``name`", db.name)})).await.expect("rows");
    assert_eq!((whole.rows(), whole.plan.splits.len()), (100, 1));
    for (fields, code) in [
        (json!({"table": "nowhere"}), Code::SourceTableNotFound),
        (json!({"table": "mysql.user"}), Code::PermissionDenied),
        (json!({"table": "`odd``name`", "columns": ["z"]}), Code::SourceColumnNotFound),
        (json!({"table": "`odd``name`", "where": "1) or (1"}), Code::QueryError),
        (json!({"table": "`odd``name`", "where": "id = ?"}), Code::QueryNotAllowed),
    ] {
        let error = refusal(&db, fields.clone()).await;
        assert_eq!(error.code(), code, "{fields}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_connections_see_one_state_while_others_write() {
    let db = Database::new().await;
    db.run("create table accounts (id int primary key, amount bigint not null)").await;
    db.run("insert into accounts select seq * 7, 1000 from seq_1_to_20000").await;
    let done = Arc::new(AtomicBool::new(false));
    let writers = (0..3_u32).map(|writer| {
        let (done, db) = (done.clone(), Database { host: db.host.clone(), port: db.port, name: db.name.clone() });
        tokio::spawn(async move {
            let (mut owner, mut turn) = (db.owner().await, writer);
            while !done.load(Relaxed) {
                turn = turn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let (from, to) = (turn % 20_000 * 7 + 7, (turn >> 8) % 20_000 * 7 + 7);
                let moved = [
                    "begin".to_owned(),
                    format!("update accounts set amount = amount - 1 where id = {from}"),
                    format!("update accounts set amount = amount + 1 where id = {to}"),
                    format!("insert into accounts values ({}, 0)", turn % 1_000_000 * 7 + 200_001),
                ];
                for sql in moved {
                    // Deadlocks and keys that are there are nothing to this test.
                    let _ = owner.query_drop(sql).await;
                }
                let _ = owner.query_drop("commit").await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let spec = spec(&db, json!({"table": "accounts", "parallelism": 4}));
    for round in 0..5 {
        let ctx = ctx();
        let plan = spec.plan(&ctx, &Default::default()).await.expect("a plan");
        assert_eq!((plan.splits.len(), plan.parallelism), (16, Some(4)));
        // Twice from the same snapshots: a comparison does so.
        let mut seen = Vec::new();
        for _ in 0..2 {
            let (mut sum, mut ids) = (0, HashSet::new());
            for four in plan.splits.chunks(4) {
                let reads = four.iter().map(|split| async {
                    let batches = spec.read(&ctx, &plan, split).await?;
                    batches.stream.map_ok(|rows| rows.batch).try_collect::<Vec<_>>().await
                });
                for batch in try_join_all(reads).await.expect("rows").iter().flatten() {
                    sum += batch
                        .column(1)
                        .as_any()
                        .downcast_ref::<Int64Array>()
                        .expect("longs")
                        .values()
                        .iter()
                        .sum::<i64>();
                    for id in batch.column(0).as_primitive::<Int32Type>().values() {
                        assert!(ids.insert(*id), "the row {id} came twice");
                    }
                }
            }
            assert_eq!(sum, 20_000_000, "round {round}");
            seen.push(ids.len());
        }
        assert_eq!(seen[0], seen[1], "round {round}");
    }
    done.store(true, Relaxed);
    for writer in writers {
        writer.await.expect("a writer");
    }
}

#[tokio::test]
async fn what_has_no_key_or_no_snapshots_is_read_by_one() {
    let db = Database::new().await;
    db.run("create table keyless (id int)").await;
    db.run("create table texts (id varchar(5) primary key)").await;
    db.run("create table pairs (a int, b int, primary key (a, b))").await;
    db.run("create table plain (id int primary key) engine = Aria").await;
    db.run("create view seen as select * from keyless").await;
    db.run("create table empty (id int primary key)").await;
    db.run("create table edges (id bigint unsigned primary key)").await;
    db.run("insert into edges values (0), (1), (9223372036854775808), (18446744073709551615)").await;
    for (table, splits) in
        [("keyless", 1), ("texts", 1), ("pairs", 1), ("plain", 1), ("seen", 1), ("empty", 1), ("edges", 12)]
    {
        let loaded =
            read(&db, json!({"table": table, "parallelism": 3})).await.unwrap_or_else(|e| panic!("{table}: {e}"));
        assert_eq!(loaded.plan.splits.len(), splits, "{table}");
        if table == "edges" {
            let mut all: Vec<_> = loaded.batches().flat_map(|batch| cells(batch, "id")).collect();
            all.sort();
            assert_eq!(all, ["0", "1", "18446744073709551615", "9223372036854775808"]);
        }
    }
    let condition = json!({"table": "edges", "parallelism": 3, "where": "id in (select id from keyless)"});
    assert_eq!(read(&db, condition).await.expect("rows").plan.splits.len(), 1);

    let mut admin = db.admin().await;
    let user = format!("r_{}", &db.name[db.name.len() - 20..]);
    for sql in
        [format!("create user {user} identified by 'only-reads'"), format!("grant select on {}.* to {user}", db.name)]
    {
        admin.query_drop(sql).await.expect("the test's own SQL");
    }
    let mut fields = json!({"table": "edges", "user": user, "password": "only-reads"});
    assert_eq!(read(&db, fields.clone()).await.expect("rows").rows(), 4);
    fields["parallelism"] = 2.into();
    let error = refusal(&db, fields).await;
    assert_eq!(error.code(), Code::PermissionDenied);
    assert!(error.message().contains("LOCK TABLES"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_cannot_be_swapped_between_plan_and_read() {
    let db = Database::new().await;
    db.run("create table live (id int primary key)").await;
    db.run("insert into live select seq from seq_1_to_1000").await;
    db.run("create table live_new like live").await;
    let spec = spec(&db, json!({"table": "live"}));
    let plan = spec.plan(&ctx(), &Default::default()).await.expect("a plan");
    let other = Database { host: db.host.clone(), port: db.port, name: db.name.clone() };
    let swap = tokio::spawn(async move {
        other.run("rename table live to live_old, live_new to live").await;
    });
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert!(!swap.is_finished(), "the rename waits for the load");
    let rows: Vec<_> =
        spec.read(&ctx(), &plan, &plan.splits[0]).await.expect("a stream").stream.try_collect().await.expect("rows");
    assert_eq!(rows.iter().map(|rows| rows.batch.num_rows()).sum::<usize>(), 1000);
    drop(plan);
    swap.await.expect("renamed");
}
