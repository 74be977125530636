//! Every type, exactly or refused by name.
use icehaul_jobs::Code;
use icehaul_tests::mysql::Database;
use serde_json::json;

use super::{query, refusal};
use crate::postgres::types::{cells, note};

#[tokio::test]
async fn values_are_carried_exactly() {
    let db = Database::new().await;
    // A column's type, its values as they are written, and as what they arrive.
    let max = "99999999999999999999999999999999999.999";
    let wide = format!("'{}.5'", "1".repeat(60));
    for (ty, values, arrow, expected, noted) in [
        ("tinyint", &["-128", "127", "null"][..], "Int32", &["-128", "127", "∅"][..], true),
        ("tinyint(1)", &["0", "2"], "Int32", &["0", "2"], true),
        ("tinyint unsigned", &["255"], "Int32", &["255"], true),
        ("smallint unsigned", &["65535"], "Int32", &["65535"], true),
        ("mediumint", &["-8388608"], "Int32", &["-8388608"], true),
        ("mediumint unsigned", &["16777215"], "Int32", &["16777215"], true),
        ("int", &["-2147483648", "2147483647"], "Int32", &["-2147483648", "2147483647"], false),
        ("int unsigned", &["4294967295"], "Int64", &["4294967295"], true),
        ("bigint", &["-9223372036854775808"], "Int64", &["-9223372036854775808"], false),
        ("bigint unsigned", &["18446744073709551615", "0"], "Decimal128(20, 0)", &["18446744073709551615", "0"], true),
        ("int(5) zerofill", &["42"], "Int64", &["42"], true),
        ("float", &["1.5", "-0.1"], "Float32", &["1.5", "-0.1"], false),
        ("double", &["0.1", "1e300", "-0e0"], "Float64", &["0.1", "1e300", "0.0"], false),
        ("decimal(12,2)", &["12.34", "-0.01"], "Decimal128(12, 2)", &["12.34", "-0.01"], false),
        ("decimal(10,0) unsigned", &["9999999999"], "Decimal128(10, 0)", &["9999999999"], false),
        ("decimal(38,3)", &[max], "Decimal128(38, 3)", &[max], false),
        (
            "decimal(38,38)",
            &["-0.00000000000000000000000000000000000001"],
            "Decimal128(38, 38)",
            { &["-0.00000000000000000000000000000000000001"] },
            false,
        ),
        ("decimal(62,2)", &[&wide], "Utf8", &[&format!("{}.50", "1".repeat(60))], true),
        ("date", &["'2024-02-29'", "'1000-01-01'"], "Date32", &["2024-02-29", "1000-01-01"], false),
        (
            "datetime(6)",
            &["'2024-01-02 03:04:05.000006'", "'9999-12-31 23:59:59.999999'"],
            "Timestamp(µs)",
            &["2024-01-02T03:04:05.000006", "9999-12-31T23:59:59.999999"],
            false,
        ),
        ("datetime", &["'1000-01-01 00:00:01'"], "Timestamp(µs)", &["1000-01-01T00:00:01"], false),
        ("time", &["'-838:59:59'", "'00:00:00'", "'25:00:01'"], "Utf8", &["-838:59:59", "00:00:00", "25:00:01"], true),
        ("time(3)", &["'01:02:03.45'", "'-00:00:00.001'"], "Utf8", &["01:02:03.450", "-00:00:00.001"], true),
        ("year", &["2155", "1901"], "Int32", &["2155", "1901"], true),
        ("bit(1)", &["b'1'", "b'0'", "null"], "Boolean", &["true", "false", "∅"], true),
        ("bit(12)", &["b'100000000001'"], "Binary", &["0801"], true),
        ("char(4)", &["'ab'", "''"], "Utf8", &["ab", ""], false),
        ("varchar(9) character set utf8mb4", &["'é\u{1F600}'"], "Utf8", &["é\u{1F600}"], false),
        ("varchar(9) character set latin1", &["'é'"], "Utf8", &["é"], false),
        ("longtext character set utf8mb4", &["'x'"], "Utf8", &["x"], false),
        ("binary(3)", &["'ab'"], "Binary", &["616200"], false),
        ("varbinary(9)", &["x'00ff'"], "Binary", &["00ff"], false),
        ("blob", &["x'00ff'", "''"], "Binary", &["00ff", ""], false),
        ("enum('a','b')", &["'b'"], "Utf8", &["b"], true),
        ("set('a','b')", &["'b,a'", "''"], "Utf8", &["a,b", ""], true),
        ("json", &["'{\"a\":  1}'"], "Utf8", &["{\"a\":  1}"], false),
        (
            "uuid",
            &["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
            "Utf8",
            { &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"] },
            false,
        ),
        ("inet6", &["'::1'"], "Utf8", &["::1"], false),
        ("point", &["point(1, 2)"], "Binary", &["000000000101000000000000000000f03f0000000000000040"], true),
    ] {
        let mut owner = db.owner().await;
        let values = values.iter().map(|value| format!("({value})")).collect::<Vec<_>>().join(", ");
        for sql in [
            "drop table if exists v".to_owned(),
            format!("create table v (v {ty})"),
            "set names utf8mb4".to_owned(),
            format!("insert into v values {values}"),
        ] {
            mysql_async::prelude::Queryable::query_drop(&mut owner, sql).await.expect("the test's own SQL");
        }
        let loaded = query(&db, "select v from v").await.unwrap_or_else(|e| panic!("{ty}: {e}"));
        assert_eq!(loaded.plan.schema.field(0).data_type().to_string(), arrow, "{ty}");
        assert_eq!(cells(loaded.only(), "v"), expected, "{ty}");
        assert_eq!(note(&loaded, "v").is_some(), noted, "{ty}: {:?}", loaded.plan.type_notes);
    }
}

#[tokio::test]
async fn times_do_not_depend_on_the_server_s_zone() {
    let db = Database::new().await;
    let mut owner = db.owner().await;
    for sql in ["set time_zone = '+05:30'", "create table t (at timestamp(6) null)", {
        "insert into t values ('2024-07-01 12:00:00.5'), (null)"
    }] {
        mysql_async::prelude::Queryable::query_drop(&mut owner, sql).await.expect("the test's own SQL");
    }
    let loaded = query(&db, "select at from t").await.expect("rows");
    assert_eq!(loaded.plan.schema.field(0).data_type().to_string(), "Timestamp(µs, \"UTC\")");
    assert_eq!(cells(loaded.only(), "at"), ["2024-07-01T06:30:00.500Z", "∅"]);
}

#[tokio::test]
async fn expressions_have_types_too() {
    let db = Database::new().await;
    db.run("create table t (price decimal(10,2), n bigint unsigned)").await;
    db.run("insert into t values (1.10, 3), (2.05, 4)").await;
    let sql = "select sum(price) as s, avg(price) as a, sum(n) as n, count(*) as c, max(price) * 3 as m, null as nothing, \
               concat('a', 1) as t, 1 = 1 as b, now(6) > '2020-01-01' as later, cast('2024-05-06' as date) as d from t";
    let loaded = query(&db, sql).await.expect("rows");
    let shown = |column: &str| {
        let ty = loaded.plan.schema.field_with_name(column).expect(column).data_type().to_string();
        format!("{ty} {}", cells(loaded.only(), column).join(","))
    };
    assert_eq!(shown("s"), "Decimal128(32, 2) 3.15");
    assert_eq!(shown("a"), "Decimal128(14, 6) 1.575000");
    assert_eq!(shown("n"), "Utf8 7");
    assert_eq!(shown("c"), "Int64 2");
    assert_eq!(shown("m"), "Decimal128(11, 2) 6.15");
    assert_eq!(shown("nothing"), "Utf8 ∅");
    assert_eq!(shown("t"), "Utf8 a1");
    assert_eq!(shown("b"), "Int32 1");
    assert_eq!(shown("d"), "Date32 2024-05-06");
}

#[tokio::test]
async fn what_no_type_can_hold_is_refused_by_row_and_column() {
    let db = Database::new().await;
    db.run("create table t (id int, d date, at datetime, big varchar(2000))").await;
    db.run("insert into t values (1, '2024-01-01', '2024-01-01', repeat('x', 2000)), (2, '0000-00-00', '2024-02-00 01:00:00', '')").await;
    for column in ["d", "at"] {
        let error = refusal(&db, json!({"query": format!("select {column} from t order by id")})).await;
        assert_eq!(error.code(), Code::UnrepresentableValue, "{error}");
        assert!(error.message().starts_with(&format!("row 2, column `{column}`: the value is no day")), "{error}");
    }
    let limits = icehaul_jobs::config::Limits { max_cell_bytes: 1000, ..Default::default() };
    let ctx = crate::postgres::ctx_with(limits, Default::default());
    let error = super::refusal_in(&ctx, &db, json!({"query": "select big from t"})).await;
    assert_eq!(error.code(), Code::CellTooLarge);
    assert!(error.message().starts_with("row 1, column `big`: the value has 2000 bytes"), "{error}");
    // A packet that is larger than any row may be is not even taken.
    let huge = json!({"query": "select repeat('x', 5000000) as v"});
    let error = super::refusal_in(&ctx, &db, huge).await;
    assert_eq!(error.code(), Code::CellTooLarge, "{error}");
}

#[tokio::test]
async fn bits_are_bits_also_where_they_are_computed() {
    let db = Database::new().await;
    db.run("create table b (id int, b1 bit(1), b8 bit(8), b64 bit(64))").await;
    db.run("insert into b values (1, 1, 5, 18446744073709551615), (2, 0, 255, 1), (3, null, null, null)").await;
    let sql =
        "select b1, b8, b64, coalesce(b8, b8) as c, max(b8) as m, ifnull(b1, b1) as i from b group by id order by id";
    let loaded = query(&db, sql).await.expect("rows");
    let shown = |column: &str| cells(loaded.only(), column).join(",");
    assert_eq!((shown("b1"), shown("i")), ("true,false,∅".into(), "true,false,∅".into()));
    assert_eq!((shown("b8"), shown("c"), shown("m")), ("05,ff,∅".into(), "05,ff,∅".into(), "05,ff,∅".into()));
    assert_eq!(shown("b64"), "ffffffffffffffff,0000000000000001,∅");
}

#[tokio::test]
async fn text_that_the_server_would_make_question_marks_of_is_refused() {
    let db = Database::new().await;
    db.run("create table t (id int primary key, r varchar(20) charset cp1251, a varchar(20) charset ascii, g varchar(20) charset greek, u varchar(20) charset utf16)").await;
    db.run(
        "insert into t values (1, _cp1251 x'cff0', 'a?', _greek x'e1', _utf16 x'00e9'), (2, null, null, null, null)",
    )
    .await;
    let loaded = query(&db, "select * from t").await.expect("rows");
    let shown = |column: &str| cells(loaded.only(), column).remove(0);
    assert_eq!([shown("r"), shown("a"), shown("g"), shown("u")], ["Пр", "a?", "α", "é"].map(String::from));
    for (column, bytes) in [("r", "x'4198'"), ("a", "x'41ff'"), ("g", "x'41aa'")] {
        db.run(&format!("replace into t (id, {column}) values (3, {bytes})")).await;
        for fields in [json!({"query": "select * from t order by id"}), json!({"table": "t"})] {
            let error = refusal(&db, fields).await;
            assert_eq!(error.code(), Code::UnrepresentableValue, "{column}: {error}");
            assert!(error.message().starts_with(&format!("row 3, column `{column}`: the value has bytes")), "{error}");
        }
    }
    let bytes = query(&db, "select cast(g as binary) as g from t where id = 3").await.expect("rows");
    assert_eq!(cells(bytes.only(), "g"), ["41aa"]);
}
