//! Queries: one, and only one that reads.
use icehaul_jobs::{Code, source::LoadSpec};
use icehaul_tests::{attempt::ctx, mysql::Database};
use mysql_async::prelude::Queryable;
use serde_json::json;

use super::{query, refusal, request, spec};
use crate::postgres::types::cells;

#[tokio::test]
async fn a_query_may_end_with_a_semicolon_and_comments() {
    let db = Database::new().await;
    let sql =
        "-- why\nwith x as (select 1 as n union all select 2) select n, '\\';' as `odd;` from x # all\n ; -- done;";
    let loaded = query(&db, sql).await.expect("rows");
    assert_eq!((cells(loaded.only(), "n"), cells(loaded.only(), "odd;")), {
        let text = |all: [&str; 2]| all.map(String::from).to_vec();
        (text(["1", "2"]), text(["';", "';"]))
    });
    assert_eq!(loaded.plan.origin, format!("mysql://localhost:{}/{}", db.port, db.name));
    let none = query(&db, "select 1 as n from dual where false").await.expect("no rows");
    assert_eq!((none.rows(), none.plan.schema.fields().len()), (0, 1));
}

#[tokio::test]
async fn what_is_not_one_query_is_refused_at_once() {
    let db = Database::new().await;
    for sql in [
        "select 1; drop table t",
        "delete from t",
        "call p()",
        "show tables",
        "/*! delete from t */",
        "set @a = 1",
        "select 1 from t lock in share mode",
        "select 1 from t for update",
    ] {
        let error = LoadSpec::from_request("load.mysql", request(&db, json!({"query": sql}))).expect_err(sql);
        assert_eq!(error.code(), Code::QueryNotAllowed, "{sql}: {error}");
    }
}

#[tokio::test]
async fn nothing_can_be_written() {
    let db = Database::new().await;
    db.run("create table t (n int)").await;
    db.run("create sequence s").await;
    db.run("create function f() returns int begin insert into t values (1); return 1; end").await;
    let mut admin = db.admin().await;
    for (sql, code) in [
        ("select f() as n", Code::QueryNotAllowed),
        ("select nextval(s) as n", Code::QueryNotAllowed),
        ("select 1 as n into @a", Code::QueryNotAllowed),
        ("select 1 as n into outfile '/tmp/icehaul-never'", Code::PermissionDenied),
        ("with x as (select 1 as n) delete from t", Code::QueryError),
        ("select ? as n", Code::QueryNotAllowed),
        ("select :name as n", Code::QueryNotAllowed),
        ("select 1 as n, 2 as n", Code::DuplicateColumn),
        ("select nothing from t", Code::SourceColumnNotFound),
        ("select 1 as n from nowhere", Code::SourceTableNotFound),
        ("select User from mysql.user", Code::PermissionDenied),
        ("select 1 as n frm t", Code::QueryError),
    ] {
        let error = refusal(&db, json!({"query": sql})).await;
        assert_eq!(error.code(), code, "{sql}: {error}");
    }
    let left: Option<i64> = admin.query_first("select count(*) from t").await.expect("a count");
    assert_eq!(left, Some(0));
}

#[tokio::test]
async fn a_user_who_may_touch_files_is_refused_unless_it_is_permitted() {
    let db = Database::new().await;
    let mut admin = db.admin().await;
    let user = format!("f_{}", &db.name[db.name.len() - 20..]);
    for sql in
        [format!("create user {user} identified by 'secret-of-files'"), format!("grant select, file on *.* to {user}")]
    {
        admin.query_drop(sql).await.expect("the test's own SQL");
    }
    let mut fields = json!({"query": "select 1 as n", "user": user, "password": "secret-of-files"});
    let error = refusal(&db, fields.clone()).await;
    assert_eq!(error.code(), Code::RoleTooPowerful, "{error}");
    fields["allow_superuser"] = true.into();
    let loaded = crate::postgres::load(&spec(&db, fields), &ctx(), &Default::default()).await.expect("rows");
    assert_eq!(loaded.rows(), 1);
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_ended_and_one_that_nobody_wants_too() {
    let db = Database::new().await;
    let slow = "select seq, sleep(0.05) as s from seq_1_to_1000";
    let error = refusal(&db, json!({"query": slow, "statement_timeout_seconds": 0.5})).await;
    assert_eq!(error.code(), Code::QueryTimeout, "{error}");

    let spec =
        spec(&db, json!({"query": "select seq, repeat('x', 1000) as v from seq_1_to_2000000 where sleep(0.0001) = 0"}));
    let plan = spec.plan(&ctx(), &Default::default()).await.expect("a plan");
    let mut batches = spec.read(&ctx(), &plan, &plan.splits[0]).await.expect("a stream");
    assert!(futures::StreamExt::next(&mut batches.stream).await.is_some_and(|rows| rows.is_ok()), "a first batch");
    drop((batches, plan));
    let running = "select count(*) from information_schema.processlist where info like '%seq_1_to_2000000%' and info not like '%processlist%'";
    let mut admin = db.admin().await;
    for _ in 0..100 {
        if admin.query_first::<i64, _>(running).await.expect("a count") == Some(0) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the statement still runs");
}

#[tokio::test]
async fn a_server_that_limits_selects_does_not_cut_a_load() {
    let db = Database::new().await;
    let mut admin = db.admin().await;
    admin.query_drop("set global sql_select_limit = 10").await.expect("set");
    let loaded = query(&db, "select seq from seq_1_to_100").await;
    admin.query_drop("set global sql_select_limit = default").await.expect("set");
    assert_eq!(loaded.expect("rows").rows(), 100);
}
