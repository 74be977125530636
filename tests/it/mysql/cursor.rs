//! Incremental reads: only what is new, within one snapshot.
use icehaul_jobs::{
    Code,
    source::{CursorWish, Wish},
};
use icehaul_tests::{attempt::ctx, mysql::Database};
use serde_json::json;

use super::spec;
use crate::postgres::{load, numbers};

fn wish(column: &str, after: Option<&str>, lag: Option<f64>) -> Wish {
    let cursor = CursorWish { column: column.into(), after: after.map(Into::into), nulls: false, lag };
    Wish { cursor: Some(cursor), ..Wish::default() }
}

#[tokio::test]
async fn later_reads_go_on_where_the_last_one_ended() {
    let db = Database::new().await;
    db.run("create table t (id int primary key, price decimal(6,2), d date, at datetime(6), ts timestamp(3) null, big bigint unsigned)").await;
    let rows = "insert into t select seq, seq / 4, '2024-01-01' + interval seq day, '2024-01-01' + interval seq second, \
                '2024-01-01' + interval seq hour, 18446744073709550000 + seq from seq_1_to_100";
    db.run(rows).await;
    db.run("insert into t values (200, null, null, null, null, null)").await;
    for fields in [json!({"table": "t"}), json!({"query": "select * from t"}), json!({"table": "t", "parallelism": 2})]
    {
        for (column, after, newest, lag, lagged) in [
            ("price", "22.50", "25.00", 1.0, "24"),
            ("d", "2024-03-31", "2024-04-10", 86400.0, "2024-04-09"),
            ("at", "2024-01-01 00:01:30.000000", "2024-01-01 00:01:40.000000", 1.5, "2024-01-01 00:01:38.5"),
            ("ts", "2024-01-04 18:00:00.000", "2024-01-05 04:00:00.000", 3600.0, "2024-01-05 03:00:00"),
            ("big", "18446744073709550090", "18446744073709550100", 2.0, "18446744073709550098"),
        ] {
            let spec = spec(&db, fields.clone());
            let all = load(&spec, &ctx(), &wish(column, None, None)).await.unwrap_or_else(|e| panic!("{column}: {e}"));
            assert_eq!((all.rows(), all.plan.cursor.as_deref()), (100, Some(newest)), "{fields} {column}");
            let note = all.plan.type_notes.iter().find(|note| note.note.starts_with("1 rows have no value"));
            assert_eq!(note.map(|note| note.column.as_str()), Some(column));
            let new = load(&spec, &ctx(), &wish(column, Some(after), None)).await.expect("rows");
            assert_eq!(numbers(&new, "id"), (91..=100).collect::<Vec<_>>(), "{column}");
            let none = load(&spec, &ctx(), &wish(column, Some(newest), None)).await.expect("no rows");
            assert_eq!((none.rows(), none.plan.cursor), (0, None), "{column}");
            let late = load(&spec, &ctx(), &wish(column, Some(after), Some(lag))).await.expect("rows");
            assert_eq!(late.plan.cursor.as_deref(), Some(lagged), "{column}");
            assert!(late.rows() < 10 && late.rows() > 0, "{column}: {}", late.rows());
        }
    }
    let nulls = Wish {
        cursor: Some(CursorWish { column: "d".into(), nulls: true, ..CursorWish::default() }),
        ..Wish::default()
    };
    assert_eq!(load(&spec(&db, json!({"table": "t"})), &ctx(), &nulls).await.expect("rows").rows(), 101);
}

#[tokio::test]
async fn what_is_no_cursor_or_no_value_of_it_is_refused() {
    let db = Database::new().await;
    db.run("create table t (id int, name varchar(9), d date)").await;
    db.run("insert into t values (1, 'a', '2024-01-01')").await;
    for (column, after, code) in [
        ("nothing", None, Code::CursorColumnMissing),
        ("name", None, Code::CursorColumnMissing),
        ("id", Some("1' or '1"), Code::InvalidField),
        ("d", Some("2024-13-77"), Code::InvalidField),
    ] {
        let found = load(&spec(&db, json!({"table": "t"})), &ctx(), &wish(column, after, None)).await;
        assert_eq!(found.err().map(|e| e.code()), Some(code), "{column} {after:?}");
    }
}

#[tokio::test]
async fn the_newest_of_numbers_with_many_digits_is_read_too() {
    let db = Database::new().await;
    db.run("create table w (id int, d decimal(38,0))").await;
    db.run("insert into w values (1, 1), (2, 10000000000000000000000000000000000000), (3, 2)").await;
    db.run("create table f (id int, d decimal(38,35))").await;
    db.run("insert into f values (1, 0.1), (2, 0.99999999999999999999999999999944444)").await;
    for (table, rows) in [("w", 3), ("f", 2)] {
        let spec = spec(&db, json!({"table": table}));
        let all = load(&spec, &ctx(), &wish("d", None, None)).await.expect("rows");
        assert_eq!(all.rows(), rows, "{table}");
        let newest = all.plan.cursor.expect("a newest one");
        assert_eq!(load(&spec, &ctx(), &wish("d", Some(&newest), None)).await.expect("none").rows(), 0, "{table}");
    }
    let odd = load(&spec(&db, json!({"table": "w"})), &ctx(), &wish("id", Some("2024-01-01"), None)).await;
    assert_eq!(odd.err().map(|e| e.code()), Some(Code::InvalidField));
}
