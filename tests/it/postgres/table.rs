//! Whole tables, in parallel, in one snapshot.
use futures::TryStreamExt;
use icehaul_jobs::{Code, source::Wish};
use icehaul_tests::postgres::Database;
use serde_json::{Value, json};

use super::{Loaded, ctx, load, numbers, refusal, spec};

async fn table(db: &Database, fields: Value) -> Loaded {
    load(&spec(db, fields), &ctx(), &Wish::default()).await.expect("rows")
}

/// About 45 MB.
const LARGE: &str =
    "create table large as select n as id, repeat('x', 200) as filler from generate_series(1, 180000) n";

#[tokio::test]
async fn a_large_table_is_split_and_every_row_is_read_once() {
    let db = Database::new().await;
    db.run(LARGE).await;
    db.run("analyze large").await;
    let loaded = table(&db, json!({"table": "large", "parallelism": 2})).await;
    assert!((4..=8).contains(&loaded.splits.len()), "{}", loaded.splits.len());
    assert!(loaded.splits.iter().all(|split| !split.is_empty()));
    assert_eq!(loaded.plan.rows_estimate, Some(180_000));
    assert_eq!(loaded.plan.parallelism, Some(2));
    assert_eq!(numbers(&loaded, "id"), (1..=180_000).collect::<Vec<i64>>());
    assert_eq!(table(&db, json!({"table": "large", "parallelism": 1})).await.splits.len(), 1);
}

#[tokio::test]
async fn all_readers_see_the_state_of_the_plan() {
    let db = Database::new().await;
    db.run(LARGE).await;
    let (spec, ctx) = (spec(&db, json!({"table": "public.large", "parallelism": 3})), ctx());
    let plan = spec.plan(&ctx, &Wish::default()).await.expect("a plan");
    db.run("delete from large where id % 2 = 0; update large set id = -id; insert into large select 1, 'new' from generate_series(1, 9999)")
        .await;
    let mut readers = Vec::new();
    for split in &plan.splits {
        readers.push(spec.read(&ctx, &plan, split).await.expect("a reader").stream);
    }
    let mut splits = Vec::new();
    for reader in readers {
        splits.push(reader.map_ok(|rows| rows.batch).try_collect().await.expect("rows"));
    }
    let loaded = Loaded { plan, splits };
    assert_eq!(numbers(&loaded, "id"), (1..=180_000).collect::<Vec<i64>>());
}

#[tokio::test]
async fn partitions_and_children_belong_to_their_table() {
    let db = Database::new().await;
    db.run(
        "create table parts (id int, filler text) partition by range (id);
         create table parts_a partition of parts for values from (0) to (90001);
         create table parts_b (filler text, id int);
         alter table parts attach partition parts_b for values from (90001) to (1000000);
         insert into parts select n, repeat('x', 200) from generate_series(1, 180000) n;
         create table parent (id int, filler text); create table child () inherits (parent);
         insert into parent select n, repeat('x', 200) from generate_series(1, 60000) n;
         insert into child select n, repeat('x', 200) from generate_series(60001, 120000) n",
    )
    .await;
    for (name, rows) in [("parts", 180_000_i64), ("parent", 120_000)] {
        let loaded = table(&db, json!({"table": name, "parallelism": 2})).await;
        assert!(loaded.splits.len() > 1, "{name}");
        assert_eq!(numbers(&loaded, "id"), (1..=rows).collect::<Vec<i64>>(), "{name}");
    }
}

#[tokio::test]
async fn columns_and_conditions_are_taken() {
    let db = Database::new().await;
    db.run(
        "create schema \"Odd one\"; create table \"Odd one\".\"a.b\" (id int, \"Name\" text, c numeric);
         insert into \"Odd one\".\"a.b\" select n, 'n' || n, n from generate_series(1, 100) n;
         create view v as select id from \"Odd one\".\"a.b\"; create table empty (a int)",
    )
    .await;
    let odd = "Odd one.\"a.b\"";
    let loaded = table(&db, json!({"table": odd, "columns": ["c", "Name"], "where": "id > 90 -- the last ones"})).await;
    let names: Vec<_> = loaded.plan.schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!((names.as_slice(), loaded.rows()), (&["c", "Name"][..], 10));
    assert_eq!(table(&db, json!({"table": "V"})).await.rows(), 100);
    assert_eq!(table(&db, json!({"table": "empty"})).await.rows(), 0);
    for (fields, code) in [
        (json!({"table": "nope"}), Code::SourceTableNotFound),
        (json!({"table": "nope.nope"}), Code::SourceTableNotFound),
        (json!({"table": "v", "columns": ["nope"]}), Code::SourceColumnNotFound),
        (json!({"table": "v", "where": "nope = 1"}), Code::SourceColumnNotFound),
        (json!({"table": "v", "where": "id > 90) or (true"}), Code::QueryError),
        (json!({"table": "v", "where": "true order by 1"}), Code::QueryError),
        (json!({"table": "v", "where": "id > 'x'"}), Code::QueryError),
    ] {
        let error = refusal(&db, fields.clone()).await;
        assert_eq!(error.code(), code, "{fields}: {error}");
    }
}

#[tokio::test]
async fn what_the_role_may_not_read_is_refused() {
    let db = Database::new().await;
    let admin = db.admin().await;
    admin
        .batch_execute("create table secret (a int); create schema closed; create table closed.t (a int)")
        .await
        .expect("tables");
    for name in ["secret", "closed.t"] {
        let error = refusal(&db, json!({"table": name})).await;
        assert_eq!(error.code(), Code::PermissionDenied, "{name}: {error}");
    }
    assert_eq!(refusal(&db, json!({"query": "select * from secret"})).await.code(), Code::PermissionDenied);
    assert_eq!(
        refusal(&db, json!({"query": "select pg_read_file('/etc/passwd')"})).await.code(),
        Code::PermissionDenied
    );
}
