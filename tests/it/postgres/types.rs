//! Every type, exactly or refused by name.
use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use icehaul_jobs::{Code, source::TypeNote};
use icehaul_tests::postgres::Database;
use serde_json::json;

use super::{Loaded, query, refusal};

/// The column's cells as text; NULL is `∅`.
pub(crate) fn cells(batch: &RecordBatch, column: &str) -> Vec<String> {
    let array = batch.column_by_name(column).expect(column);
    let options = FormatOptions::new().with_null("∅");
    let shown = ArrayFormatter::try_new(array, &options).expect("a type that can be shown");
    (0..array.len()).map(|row| shown.value(row).to_string()).collect()
}

pub(crate) fn note<'a>(loaded: &'a Loaded, column: &str) -> Option<&'a TypeNote> {
    loaded.plan.type_notes.iter().find(|note| note.column == column)
}

/// A column of one SQL expression per row: its Arrow type, its cells, and whether there is a note.
async fn column(db: &Database, expressions: &[&str]) -> (String, Vec<String>, Option<TypeNote>) {
    let rows: Vec<_> = expressions.iter().map(|e| format!("select {e} as v")).collect();
    let loaded = query(db, &rows.join(" union all ")).await.unwrap_or_else(|e| panic!("{expressions:?}: {e}"));
    let ty = loaded.plan.schema.field(0).data_type().to_string();
    (ty, cells(loaded.only(), "v"), note(&loaded, "v").cloned())
}

#[tokio::test]
async fn values_are_carried_exactly() {
    let db = Database::new().await;
    let long = "1".repeat(60);
    let long_numeric = format!("{long}.5::numeric");
    let long_text = format!("{long}.5");
    for (expressions, ty, expected) in [
        (&["true", "false", "null"][..], "Boolean", &["true", "false", "∅"][..]),
        (&["1::int2", "-32768"], "Int32", &["1", "-32768"]),
        (&["2147483647", "-2147483648"], "Int32", &["2147483647", "-2147483648"]),
        (&["9223372036854775807", "-9223372036854775808"], "Int64", &["9223372036854775807", "-9223372036854775808"]),
        (&["4294967295::oid"], "Int64", &["4294967295"]),
        (&["'NaN'::float4", "'-inf'", "1.5"], "Float32", &["NaN", "-inf", "1.5"]),
        (&["'NaN'::float8", "'inf'", "'-0'", "0.1"], "Float64", &["NaN", "inf", "-0.0", "0.1"]),
        (
            &["12.34::numeric(12,2)", "(-0.01)::numeric(12,2)", "9999999999.99::numeric(12,2)"],
            "Decimal128(12, 2)",
            &["12.34", "-0.01", "9999999999.99"],
        ),
        (&["12399::numeric(3,-2)"], "Decimal128(5, 0)", &["12400"]),
        (&["0.00123::numeric(3,5)"], "Decimal128(5, 5)", &["0.00123"]),
        (&["1.10::numeric", "'NaN'", "'Infinity'", &long_numeric], "Utf8", &["1.10", "NaN", "Infinity", &long_text]),
        (&["12.3::numeric(50,2)"], "Utf8", &["12.30"]),
        (&["'12.34'::money", "'-0.01'"], "Decimal128(19, 2)", &["12.34", "-0.01"]),
        (
            &["'2024-02-29'::date", "'0044-03-15 BC'", "'9999-12-31'"],
            "Date32",
            &["2024-02-29", "-0043-03-15", "9999-12-31"],
        ),
        (&["'23:59:59.999999'::time"], "Time64(µs)", &["23:59:59.999999"]),
        (&["'24:00:00+02'::timetz"], "Utf8", &["24:00:00+02"]),
        (&["'2024-01-02 03:04:05.000006'::timestamp"], "Timestamp(µs)", &["2024-01-02T03:04:05.000006"]),
        (&["'2024-01-02 03:04:05+02'::timestamptz"], "Timestamp(µs, \"UTC\")", &["2024-01-02T01:04:05Z"]),
        (&["'1 year 2 days 03:00:01.5'::interval", "'-1 day'"], "Utf8", &["P1Y2DT3H1.5S", "P-1D"]),
        (
            &["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid"],
            "FixedSizeBinary(16)",
            &["a0eebc999c0b4ef8bb6d6bb9bd380a11"],
        ),
        (&["'{\"a\":  1}'::json"], "Utf8", &["{\"a\":  1}"]),
        (&["'{\"b\": 1e400, \"a\": [null]}'::jsonb"], "Utf8", &["{\"a\": [null], \"b\": 10"]),
        (&["'\\x00ff'::bytea", "''"], "Binary", &["00ff", ""]),
        (&["'é\u{1F600}'::text", "''"], "Utf8", &["é\u{1F600}", ""]),
        (&["'ab'::varchar(5)"], "Utf8", &["ab"]),
        (&["'ab'::char(4)"], "Utf8", &["ab  "]),
        (&["'x'::\"char\"", "'pg_class'::name::\"char\""], "Utf8", &["x", "p"]),
        (&["'<a>é</a>'::xml"], "Utf8", &["<a>é</a>"]),
        (&["b'101'::bit(3)"], "Utf8", &["101"]),
        (&["'10.0.0.1'::inet", "'::1/64'"], "Utf8", &["10.0.0.1", "::1/64"]),
        (&["'10.0.0.0/8'::cidr"], "Utf8", &["10.0.0.0/8"]),
        (&["'[1,5)'::int4range", "'empty'"], "Utf8", &["[1,5)", "empty"]),
        (&["'{[1,2),[4,5)}'::int4multirange"], "Utf8", &["{[1,2),[4,5)}"]),
        (&["'(1.5,2)'::point"], "Utf8", &["(1.5,2)"]),
        (&["'a:1 b:2'::tsvector"], "Utf8", &["'a':1 'b':2"]),
        (&["row(1, 'x', null)"], "Utf8", &["(1,x,)"]),
        (&["'16/B374D848'::pg_lsn"], "Utf8", &["16/B374D848"]),
    ] {
        let (found, values, _) = column(&db, expressions).await;
        assert_eq!(found, ty, "{expressions:?}");
        for (value, expected) in values.iter().zip(expected) {
            assert!(
                value == expected || (expected.len() > 20 && value.starts_with(expected)),
                "{expressions:?}: {value}"
            );
        }
        assert_eq!(values.len(), expected.len());
    }
}

#[tokio::test]
async fn arrays_are_lists_with_nulls() {
    let db = Database::new().await;
    for (expression, ty, expected) in [
        ("array[1, null, 3]", "List(Int32, field: 'element')", "[1, ∅, 3]"),
        ("'{}'::int8[]", "List(Int64, field: 'element')", "[]"),
        ("array['a', null, '']", "List(Utf8, field: 'element')", "[a, ∅, ]"),
        ("array[1.5, 2]::numeric(5,2)[]", "List(Decimal128(5, 2), field: 'element')", "[1.50, 2.00]"),
        ("array[1.5, 2]::numeric[]", "List(Utf8, field: 'element')", "[1.5, 2]"),
        ("array['1 day'::interval]", "List(Utf8, field: 'element')", "[P1D]"),
        ("array['{\"a\": 1}'::jsonb]", "List(Utf8, field: 'element')", "[{\"a\": 1}]"),
        ("'1 2'::int2vector", "Utf8", "1 2"),
        ("null::int4[]", "List(Int32, field: 'element')", "∅"),
    ] {
        let (found, values, _) = column(&db, &[expression]).await;
        assert_eq!(found, ty, "{expression}");
        assert_eq!(values, [expected], "{expression}");
    }
    for bad in ["array[[1,2],[3,4]]", "'[0:1]={1,2}'::int4[]"] {
        let error = refusal(&db, json!({"query": format!("select 1 as a, {bad} as v")})).await;
        assert_eq!(error.code(), Code::UnrepresentableValue, "{bad}: {error}");
        assert!(error.message().starts_with("row 1, column `v`"), "{error}");
    }
}

#[tokio::test]
async fn types_of_the_users_own() {
    let db = Database::new().await;
    db.run(
        "create type mood as enum ('fine', 'so so'); create domain age as int check (value >= 0);
         create domain price as numeric(10,2); create type pair as (a int, b text);
         create table t (m mood, ms mood[], a age, aa age[], p price, c pair, cs pair[]);
         insert into t values ('so so', '{fine,NULL}', 7, '{1,2}', 1.5, (1, 'x y'), array[(2, 'z')::pair])",
    )
    .await;
    let loaded = query(&db, "select * from t").await.expect("rows");
    let row = loaded.only();
    for (column, ty, value) in [
        ("m", "Utf8", "so so"),
        ("ms", "List(Utf8, field: 'element')", "[fine, ∅]"),
        ("a", "Int32", "7"),
        ("aa", "List(Int32, field: 'element')", "[1, 2]"),
        ("p", "Decimal128(10, 2)", "1.50"),
        ("c", "Utf8", "(1,\"x y\")"),
        ("cs", "List(Utf8, field: 'element')", "[(2,z)]"),
    ] {
        assert_eq!(row.schema().field_with_name(column).expect(column).data_type().to_string(), ty, "{column}");
        assert_eq!(cells(row, column), [value], "{column}");
    }
    assert_eq!(note(&loaded, "m").map(|n| n.source_type.as_str()), Some("mood"));
    assert_eq!(note(&loaded, "a"), None);
}

#[tokio::test]
async fn notes_name_what_is_not_kept_as_it_was() {
    let db = Database::new().await;
    let loaded = query(&db, "select 1 as i, 1.5::numeric as n, '{}'::jsonb as j, now() as t").await.expect("rows");
    let notes: Vec<_> = loaded.plan.type_notes.iter().map(|n| (n.column.as_str(), n.source_type.as_str())).collect();
    assert_eq!(notes, [("n", "numeric"), ("j", "jsonb")]);
    let field = query(&db, "select gen_random_uuid() as u").await.expect("rows").plan.schema.field(0).clone();
    assert_eq!(field.metadata().get("ARROW:extension:name").map(String::as_str), Some("arrow.uuid"));
}

#[tokio::test]
async fn values_without_an_image_are_refused_with_row_and_column() {
    let db = Database::new().await;
    for (good, bad, code) in [
        ("1::numeric(5,2)", "'NaN'::numeric(5,2)", Code::UnrepresentableValue),
        ("'2024-01-01'::date", "'infinity'::date", Code::UnrepresentableValue),
        ("'2024-01-01'::timestamp", "'-infinity'::timestamp", Code::UnrepresentableValue),
        ("'2024-01-01'::timestamptz", "'infinity'::timestamptz", Code::UnrepresentableValue),
        ("'2024-01-01'::timestamp", "'294276-12-31'::timestamp", Code::UnrepresentableValue),
        ("'10:00'::time", "'24:00'::time", Code::UnrepresentableValue),
    ] {
        let sql =
            format!("select n, case n when 20001 then {bad} else {good} end as v from generate_series(1, 30000) n");
        let error = refusal(&db, json!({"query": sql})).await;
        assert_eq!(error.code(), code, "{bad}: {error}");
        assert!(error.message().starts_with("row 20001, column `v`"), "{error}");
    }
}

#[tokio::test]
async fn types_of_ones_own_are_followed_to_an_end() {
    let db = Database::new().await;
    let domains: Vec<_> = (1..40).map(|n| format!("create domain d{n} as d{}", n - 1)).collect();
    db.run(&format!("create domain d0 as int4; create type mood as enum ('fine'); {}", domains.join("; "))).await;
    let loaded = query(&db, "select array[7]::d20[] as a, 8::d20 as b, array['fine'::mood] as c").await.expect("a row");
    let shown = ["a", "b", "c"].map(|name| cells(loaded.only(), name).remove(0));
    assert_eq!(shown, ["[7]", "8", "[fine]"]);
    assert_eq!(loaded.plan.schema.field(0).data_type().to_string(), "List(Int32, field: 'element')");
    let error = refusal(&db, json!({"query": "select array[7]::d39[] as deep"})).await;
    assert_eq!(error.code(), Code::UnsupportedType);
    assert!(error.message().starts_with("the column `deep` is of a type that is nested too deep"), "{error}");
}
