//! Which statements are read, and what is said about the others.
use arrow_array::{Array, Int32Array, StringArray};
use icehaul_jobs::Code;
use icehaul_tests::postgres::Database;
use serde_json::json;

use super::{query, refusal};

#[tokio::test]
async fn a_query_gives_its_rows() {
    let db = Database::new().await;
    let loaded = query(&db, "select n, 'row ' || n as t from generate_series(1, 40000) n; -- all of them").await;
    let loaded = loaded.expect("rows");
    assert_eq!(loaded.rows(), 40_000);
    assert_eq!(loaded.plan.origin, format!("postgres://{}:{}/{}", db.host, db.port, db.name));
    let mut expected = 1;
    for batch in loaded.batches() {
        let numbers = batch.column(0).as_any().downcast_ref::<Int32Array>().expect("int");
        let texts = batch.column(1).as_any().downcast_ref::<StringArray>().expect("string");
        for row in 0..batch.num_rows() {
            assert_eq!((numbers.value(row), texts.value(row)), (expected, format!("row {expected}").as_str()));
            expected += 1;
        }
    }
}

#[tokio::test]
async fn no_rows_still_have_a_schema() {
    let db = Database::new().await;
    let loaded = query(&db, "select 1 as a, 'x'::text as b where false").await.expect("no rows");
    assert_eq!(loaded.rows(), 0);
    let names: Vec<_> = loaded.plan.schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test]
async fn what_is_no_single_read_only_query_is_refused_by_name() {
    let db = Database::new().await;
    db.run("create table t (a int, b text); insert into t values (1, 'x'); create sequence s").await;
    for (sql, code, says) in [
        ("select 1 1 from t", Code::QueryError, "line 1, column 10"),
        ("select a,\n  from t", Code::QueryError, "at line 2, column 3 (SQLSTATE 42601)"),
        ("select a / 0 from t", Code::QueryError, "division by zero"),
        ("select nope from t", Code::SourceColumnNotFound, "nope"),
        ("select * from nope", Code::SourceTableNotFound, "nope"),
        ("select * from nope.t", Code::SourceTableNotFound, "nope"),
        ("with d as (delete from t returning *) select * from d", Code::QueryNotAllowed, "leave out INSERT"),
        ("select a into u from t", Code::QueryNotAllowed, "no columns"),
        ("select * from t for update", Code::QueryNotAllowed, "read-only"),
        ("select nextval('s')", Code::QueryNotAllowed, "read-only"),
        ("select $1::int", Code::QueryNotAllowed, "parameters"),
        ("select 1 as a, 2 as a", Code::DuplicateColumn, "`a`"),
        ("select 1, 2", Code::DuplicateColumn, "?column?"),
        ("select pg_notify('a', 'b')", Code::UnsupportedType, "void"),
    ] {
        let error = refusal(&db, json!({"query": sql})).await;
        assert_eq!(error.code(), code, "{sql}: {error}");
        assert!(error.message().contains(says), "{sql}: {error}");
    }
    assert_eq!(query(&db, "select * from t").await.expect("untouched").rows(), 1);
}
