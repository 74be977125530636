//! Incremental loads: each row once, whatever the cursor's type.
use icehaul_jobs::{
    Code, Result,
    source::{CursorWish, Wish},
};
use icehaul_tests::postgres::Database;
use serde_json::{Value, json};

use super::{Loaded, ctx, load, numbers, spec};

async fn beyond(db: &Database, fields: Value, column: &str, after: Option<&str>, lag: Option<f64>) -> Result<Loaded> {
    let cursor = CursorWish { column: column.into(), after: after.map(Into::into), lag, nulls: false };
    load(&spec(db, fields), &ctx(), &Wish { cursor: Some(cursor), ..Wish::default() }).await
}

/// Loads everything, then what has come since, then nothing.
async fn three_loads(db: &Database, column: &str, more: &str) {
    for fields in [json!({"table": "t"}), json!({"query": "select * from t order by id desc;"})] {
        db.run("delete from t where id > 100").await;
        let first = beyond(db, fields.clone(), column, None, None).await.expect("a first load");
        assert_eq!(numbers(&first, "id"), (1..=100).collect::<Vec<i64>>(), "{column}");
        let newest = first.plan.cursor.expect("a value");
        db.run(more).await;
        let second = beyond(db, fields.clone(), column, Some(&newest), None).await.expect("a second load");
        assert_eq!(numbers(&second, "id"), (101..=110).collect::<Vec<i64>>(), "{column}");
        let next = second.plan.cursor.expect("a value");
        let third = beyond(db, fields, column, Some(&next), None).await.expect("a third load");
        assert_eq!((third.rows(), third.plan.cursor, third.plan.splits.len()), (0, None, 1), "{column}");
    }
}

#[tokio::test]
async fn every_type_that_has_an_order_can_be_the_cursor() {
    let db = Database::new().await;
    let columns = "id, id::int2 i2, id::int8 * 1000000000000 i8, id / 7.0 num, date '2024-01-01' + id d,
        timestamp '2024-01-01' + id * interval '1.000001 s' ts, timestamptz '2024-01-01' + id * interval '1.000001 s' tz,
        to_char(id, 'FM0000') s, ('00000000-0000-0000-0000-' || to_char(id, 'FM000000000000'))::uuid u";
    db.run(&format!("create table t as select {columns} from generate_series(1, 100) id")).await;
    let more = format!("insert into t select {columns} from generate_series(101, 110) id");
    for column in ["id", "i2", "i8", "num", "d", "ts", "tz", "s", "u"] {
        three_loads(&db, column, &more).await;
    }
}

#[tokio::test]
async fn a_lag_leaves_the_newest_rows_for_later() {
    let db = Database::new().await;
    db.run(
        "create table t as select id, id::numeric n, date '2024-01-01' + id d, timestamptz '2024-01-01' + id * interval '1 min' tz
         from generate_series(1, 100) id",
    )
    .await;
    for (column, lag, last) in [("id", 10.0, 90), ("n", 9.5, 90), ("d", 86_400.0 * 3.0, 97), ("tz", 90.0, 98)] {
        let loaded = beyond(&db, json!({"table": "t"}), column, None, Some(lag)).await.expect("rows");
        assert_eq!(numbers(&loaded, "id"), (1..=last).collect::<Vec<i64>>(), "{column}");
        let to = loaded.plan.cursor.expect("a value");
        let again = beyond(&db, json!({"table": "t"}), column, Some(&to), Some(lag)).await.expect("nothing");
        assert_eq!((again.rows(), again.plan.cursor), (0, None), "{column}");
    }
}

#[tokio::test]
async fn rows_without_a_cursor_value_are_told() {
    let db = Database::new().await;
    db.run("create table t as select n as id, nullif(n % 10, 0) as c from generate_series(1, 100) n; create table e (c int)").await;
    let loaded = beyond(&db, json!({"table": "t"}), "c", None, None).await.expect("rows");
    assert_eq!(loaded.rows(), 90);
    let note = loaded.plan.type_notes.iter().find(|note| note.column == "c").expect("a note");
    assert!(note.note.starts_with("10 rows have no value"), "{}", note.note);
    let cursor = CursorWish { column: "c".into(), nulls: true, ..CursorWish::default() };
    let all = Wish { cursor: Some(cursor), ..Wish::default() };
    let all = load(&spec(&db, json!({"table": "t"})), &ctx(), &all).await.expect("rows");
    assert_eq!((all.rows(), all.plan.cursor.as_deref()), (100, Some("9")));
    let empty = beyond(&db, json!({"table": "e"}), "c", None, None).await.expect("no rows");
    assert_eq!((empty.rows(), empty.plan.cursor), (0, None));
}

#[tokio::test]
async fn a_column_that_cannot_be_the_cursor_is_refused() {
    let db = Database::new().await;
    db.run("create table t (id int, j jsonb, s text)").await;
    for (column, lag, code) in [
        ("nope", None, Code::CursorColumnMissing),
        ("j", None, Code::CursorColumnMissing),
        ("s", Some(5.0), Code::InvalidField),
    ] {
        let refused = beyond(&db, json!({"table": "t"}), column, None, lag).await;
        assert_eq!(refused.err().map(|e| e.code()), Some(code), "{column}");
    }
}

#[tokio::test]
async fn a_cursor_value_too_long_for_the_metadata_is_refused() {
    let db = Database::new().await;
    db.run("create table t as select 1 as id, repeat('é', 512) as s").await;
    let loaded = beyond(&db, json!({"table": "t"}), "s", None, None).await.expect("1,024 bytes");
    assert_eq!(loaded.plan.cursor, Some("é".repeat(512)));
    db.run("insert into t values (2, repeat('é', 513)), (3, repeat('b', 3000000))").await;
    let error = beyond(&db, json!({"table": "t"}), "s", None, None).await.err().expect("an error");
    assert_eq!(error.code(), Code::CellTooLarge);
    assert_eq!(error.message(), "the newest value of the cursor `s` has more than 1024 bytes, the most that is kept");
}
