//! Read-only SQL over the lakes.
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use futures::TryStreamExt;
use icehaul_lake::{Change, Kind, Lake, Lakes, Result, sql};

use crate::help::{Fixture, batch, load, name, rows, spec};

const PATIENT: Duration = Duration::from_secs(60);

/// The rows of a query as text: columns apart by `|`.
async fn ask(lakes: &Lakes, text: &str) -> Result<Vec<String>> {
    let result = sql::query(lakes, text, PATIENT).await?;
    let batches: Vec<RecordBatch> = result.stream.try_collect().await?;
    let mut lines = Vec::new();
    for batch in &batches {
        assert_eq!(batch.schema(), result.schema);
        let text = |column: &ArrayRef, row| arrow_cast::display::array_value_to_string(column, row).expect("a text");
        lines.extend((0..batch.num_rows()).map(|row| {
            let values: Vec<String> = batch.columns().iter().map(|column| text(column, row)).collect();
            values.join("|")
        }));
    }
    Ok(lines)
}

async fn refused(lakes: &Lakes, text: &str) -> (Kind, String) {
    match ask(lakes, text).await {
        Ok(rows) => panic!("`{text}` gave {rows:?}"),
        Err(error) => (error.kind(), error.message().to_owned()),
    }
}

fn lakes(lake: &Lake) -> Lakes {
    Lakes::new(BTreeMap::from([("default".to_owned(), lake.clone())]), "default".to_owned())
}

async fn append(lake: &Lake, table: &str, rows: &RecordBatch, operation: &str) -> i64 {
    let committed = load(lake, spec(table, rows), rows, Change::Append, operation).await.expect("loaded");
    committed.snapshot_id.expect("a snapshot")
}

fn people() -> RecordBatch {
    let born = TimestampMicrosecondArray::from(vec![Some(0), Some(1_000_000), None]).with_timezone("+00:00");
    batch(vec![
        ("Id", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef),
        ("Full Name", Arc::new(StringArray::from(vec![Some("Ada"), None, Some("Grace")]))),
        ("score", Arc::new(Float64Array::from(vec![1.5, f64::NAN, -2.0]))),
        ("born", Arc::new(born)),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_queried_by_name() {
    let f = Fixture::sqlite().await;
    let lakes = lakes(&f.lake);
    append(&f.lake, "raw.t", &rows(0..1000), "one").await;
    append(&f.lake, "raw.people", &people(), "two").await;
    let count = async |text: &str| ask(&lakes, text).await.expect(text);
    assert_eq!(count("SELECT count(*) FROM raw.t").await, ["1000"]);
    assert_eq!(
        count("SELECT count(*), min(id), max(text) FROM default.raw.t WHERE id >= 990;").await,
        ["10|990|row 999"]
    );
    assert_eq!(count(r#"SELECT "Id", "Full Name" FROM "raw"."people" ORDER BY 1"#).await, ["1|Ada", "2|", "3|Grace"]);
    // Case: as written first, then the only name that differs in nothing else.
    assert_eq!(count("SELECT ID AS Total FROM RAW.People p WHERE P.id > 1 ORDER BY total DESC").await, ["3", "2"]);
    assert_eq!(count("SELECT count(*) FROM raw.people WHERE score > 0").await, ["2"]);
    assert_eq!(count("SELECT \"Id\" FROM raw.people WHERE born < TIMESTAMP '1970-01-01 00:00:01'").await, ["1"]);
    assert_eq!(
        count("SELECT \"Id\" FROM raw.people WHERE born IS NULL OR \"Full Name\" IS NULL ORDER BY 1").await,
        ["2", "3"]
    );
    assert_eq!(count("WITH x AS (SELECT id FROM raw.t LIMIT 3) SELECT count(*) FROM x").await, ["3"]);
    assert_eq!(
        count("SELECT t.text FROM raw.t JOIN raw.people p ON p.\"Id\" = t.id WHERE t.id BETWEEN 2 AND 2").await,
        ["row 2"]
    );
    let twice = "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r JOIN raw.people ON \"Id\" = n) \
                 SELECT sum(n) FROM r";
    assert_eq!(count(twice).await, ["10"]);
    assert_eq!(count("SELECT sum(value) FROM generate_series(1, 3)").await, ["6"]);
    assert_eq!(count("SELECT id FROM raw.t WHERE id IN (5, 7) AND text = 'row 7'").await, ["7"]);
    assert_eq!(count("VALUES (1), (2)").await, ["1", "2"]);
    assert_eq!(count("SHOW TABLES").await, ["default|raw|people", "default|raw|t"]);
    assert_eq!(count("DESCRIBE raw.t").await, ["id|Int32|YES", "text|Utf8|YES"]);
    assert!(count("EXPLAIN SELECT id FROM raw.t WHERE id > 5").await.join(" ").contains("StreamingTableExec"));
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_states_are_queried_by_snapshot_and_time() {
    let f = Fixture::sqlite().await;
    let lakes = lakes(&f.lake);
    let first = append(&f.lake, "raw.t", &rows(0..10), "one").await;
    append(&f.lake, "raw.t", &rows(10..15), "two").await;
    let table = f.lake.table(&name("raw.t")).await.expect("a table");
    let count = async |text: String| ask(&lakes, &text).await.expect("rows");
    assert_eq!(count(format!("SELECT count(*) FROM raw.t FOR VERSION AS OF {first}")).await, ["10"]);
    assert_eq!(count(format!("SELECT max(t.id) FROM raw.t VERSION AS OF {first} WHERE t.id < 100")).await, ["9"]);
    let both = format!(
        "SELECT count(*) FROM raw.t AS n LEFT JOIN raw.t FOR VERSION AS OF {first} AS o ON n.id = o.id WHERE o.id IS NULL"
    );
    assert_eq!(count(both).await, ["5"]);
    let now = table.snapshots()[1].committed_at_ms + 1;
    let time = chrono::DateTime::from_timestamp_millis(now).expect("a time").to_rfc3339();
    assert_eq!(count(format!("SELECT count(*) FROM raw.t FOR TIMESTAMP AS OF '{time}'")).await, ["15"]);
    let kind = async |text: &str| refused(&lakes, text).await.0;
    assert_eq!(kind("SELECT * FROM raw.t FOR VERSION AS OF 7").await, Kind::SnapshotNotFound);
    assert_eq!(kind("SELECT * FROM raw.t FOR TIMESTAMP AS OF TIMESTAMP '2001-01-01'").await, Kind::SnapshotNotFound);
    assert_eq!(kind("SELECT * FROM raw.t FOR TIMESTAMP AS OF 'yesterday'").await, Kind::InvalidQuery);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_reading_statement_is_allowed() {
    let f = Fixture::sqlite().await;
    let lakes = lakes(&f.lake);
    append(&f.lake, "raw.t", &rows(0..10), "one").await;
    for text in [
        "INSERT INTO raw.t VALUES (1, 'x')",
        "WITH x AS (SELECT 1) INSERT INTO raw.t SELECT 1, 'x'",
        "DELETE FROM raw.t",
        "UPDATE raw.t SET id = 1",
        "DROP TABLE raw.t",
        "CREATE TABLE x AS SELECT 1",
        "SELECT 1 INTO x",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "SET datafusion.execution.batch_size = 1",
        "EXPLAIN DELETE FROM raw.t",
        "SELECT 1; SELECT 2",
        "PREPARE p AS SELECT 1",
        "TRUNCATE TABLE raw.t",
    ] {
        let (kind, message) = refused(&lakes, text).await;
        assert!(matches!(kind, Kind::QueryNotAllowed | Kind::InvalidQuery), "{text}: {kind:?} {message}");
        if !text.contains("EXTERNAL") && !text.contains("COPY") {
            assert_eq!(kind, Kind::QueryNotAllowed, "{text}: {message}");
        }
    }
    assert_eq!(ask(&lakes, "SELECT count(*) FROM raw.t").await.expect("rows"), ["10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_named() {
    let f = Fixture::sqlite().await;
    let lakes = lakes(&f.lake);
    append(&f.lake, "raw.t", &rows(0..10), "one").await;
    let cases = [
        ("SELEC 1", Kind::InvalidQuery, "Line: 1"),
        ("SELECT 1 FROM", Kind::InvalidQuery, "Expected"),
        ("", Kind::InvalidQuery, "no statement"),
        ("SELECT nope FROM raw.t", Kind::InvalidQuery, "nope"),
        ("SELECT * FROM raw.nope", Kind::TableNotFound, "raw.nope"),
        ("SELECT * FROM nope.t", Kind::TableNotFound, "nope.t"),
        ("SELECT * FROM t", Kind::TableNotFound, "namespace.table"),
        ("SELECT * FROM other.raw.t", Kind::CatalogNotFound, "other"),
        ("SELECT * FROM '/etc/passwd'", Kind::TableNotFound, "passwd"),
        ("SELECT * FROM read_csv('/etc/passwd')", Kind::InvalidQuery, "read_csv"),
        ("SELECT 1 / (id - id) FROM raw.t", Kind::InvalidQuery, "ivide by zero"),
        ("SELECT CAST(text AS INT) FROM raw.t", Kind::InvalidQuery, "row 0"),
    ];
    for (text, kind, part) in cases {
        let (found, message) = refused(&lakes, text).await;
        assert_eq!(found, kind, "{text}: {message}");
        assert!(message.contains(part), "{text}: {message}");
    }
    let nested = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
    assert_eq!(refused(&lakes, &nested).await.0, Kind::InvalidQuery);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broken_table_does_not_stop_the_others() {
    let f = Fixture::sqlite().await;
    let lakes = lakes(&f.lake);
    append(&f.lake, "raw.t", &rows(0..10), "one").await;
    append(&f.lake, "raw.broken", &rows(0..10), "two").await;
    std::fs::remove_dir_all(f.dir.path().join("wh/raw/broken")).expect("removed");
    assert_eq!(ask(&lakes, "SELECT count(*) FROM raw.t").await.expect("rows"), ["10"]);
    let (kind, message) = refused(&lakes, "SELECT * FROM raw.broken").await;
    assert!(kind == Kind::FileMissing && message.contains("metadata.json"), "{kind:?} {message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_and_memory_are_bounded() {
    let f = Fixture::sqlite().await;
    let lakes = lakes(&f.again().await);
    append(&f.lake, "raw.t", &rows(0..20_000), "one").await;
    let endless = "SELECT count(*) FROM raw.t a, raw.t b, raw.t c WHERE a.id + b.id + c.id = -1";
    let late = async {
        let result = sql::query(&lakes, endless, Duration::from_millis(300)).await?;
        result.stream.try_collect::<Vec<_>>().await
    };
    let error = late.await.expect_err("too slow");
    assert_eq!((error.kind(), error.message()), (Kind::QueryTimeout, "the query took longer than 0.3 s"));
    let hungry = "SELECT repeat(a.text, 200) || b.text AS x, count(*) FROM raw.t a, raw.t b GROUP BY 1 ORDER BY 1";
    let (kind, message) = refused(&lakes, hungry).await;
    assert!(kind == Kind::InvalidQuery && message.contains("256 MiB"), "{kind:?} {message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_chains_are_refused_before_they_exhaust_the_stack() {
    let f = Fixture::sqlite().await;
    let lakes = lakes(&f.lake);
    append(&f.lake, "raw.t", &rows(0..10), "one").await;
    let chain = |head: &str, link: &str, links: usize| format!("{head}{}", link.repeat(links));
    for (text, part) in [
        (chain("SELECT 1", "+1", 49_000), "operators"),
        (chain("SELECT id FROM raw.t WHERE id=1", " OR id=2", 12_000), "operators"),
        (chain("SELECT 1", " UNION ALL SELECT 1", 5000), "operators"),
        (chain("SELECT 1", "::int", 19_000), "operators"),
        (chain("SELECT 1", " IS NULL", 12_000), "operators"),
        (chain("SELECT 1", " BETWEEN 1 AND 2", 6000), "operators"),
        (chain("SELECT 1 FROM raw.t", " JOIN raw.t USING (id)", 3000), "operators"),
        (chain("SELECT 1 FROM raw.t", ", raw.t", 10_000), "tables"),
        (chain("SELECT ", "INTERVAL ", 10_000), "operators"),
        (chain("SELECT CAST(1 AS ", "Nullable(", 10_000), "nested"),
        (chain("SELECT CAST(1 AS ", "ARRAY<", 15_000), "operators"),
    ] {
        let (kind, message) = refused(&lakes, &text).await;
        assert!(kind == Kind::InvalidQuery && message.contains(part), "{}: {kind:?} {message}", &text[..60]);
    }
    let count = async |text: String| ask(&lakes, &text).await.expect("rows");
    assert_eq!(count(chain("SELECT 1", "+1", 500)).await, ["501"]);
    assert_eq!(count(chain("SELECT count(*) FROM raw.t WHERE id=1", " OR id=2", 249)).await, ["2"]);
    assert_eq!(count(chain("SELECT 1", " UNION ALL SELECT 1", 500)).await.len(), 501);
    assert_eq!(count(chain("SELECT 1", "::int", 500)).await, ["1"]);
    assert_eq!(count(chain("SELECT 1", " IS NULL", 500)).await, ["false"]);
    let listed = format!("SELECT count(*) FROM raw.t WHERE id IN (1{})", ",2".repeat(5000));
    assert_eq!(count(listed).await, ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_with_that_doubles_itself_is_refused() {
    let f = Fixture::sqlite().await;
    let lakes = lakes(&f.lake);
    append(&f.lake, "raw.t", &rows(0..10), "one").await;
    let doubled = |times: usize| {
        let more =
            (1..=times).map(|n| format!(", a{n} AS (SELECT l.id FROM a{0} l JOIN a{0} r ON l.id = r.id)", n - 1));
        format!("WITH a0 AS (SELECT id FROM raw.t){} SELECT count(*) FROM a{times}", more.collect::<String>())
    };
    assert_eq!(ask(&lakes, &doubled(3)).await.expect("rows"), ["10"]);
    for times in [7, 25, 200] {
        let (kind, message) = refused(&lakes, &doubled(times)).await;
        assert!(kind == Kind::InvalidQuery && message.contains("more than 100 tables"), "{kind:?} {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_make_no_more_than_memory_allows() {
    let f = Fixture::sqlite().await;
    let lakes = lakes(&f.lake);
    append(&f.lake, "raw.t", &rows(0..3000), "one").await;
    for text in [
        "SELECT length(repeat('x', 2000000000))",
        "SELECT length(repeat(text, 20000)) FROM raw.t",
        "SELECT * FROM generate_series(1, length(repeat('x', 2000000000)))",
        "SELECT length(lpad('x', 2000000000, 'ab'))",
        "SELECT length(rpad(text, 2000000000 + id, 'ab')) FROM raw.t",
        "SELECT length(replace(repeat('a', 60000), 'a', repeat('b', 60000)))",
        "SELECT length(regexp_replace(repeat('a', 60000), 'a', repeat('b', 60000), 'g'))",
        "SELECT length(concat_ws(repeat('a', 60000), '', '', '', ''))",
        "SELECT array_length(range(0, 1000000000))",
        "SELECT count(*) FROM (SELECT unnest(range(0, 100000000)))",
        "SELECT array_length(generate_series(0, 1000000000))",
        "SELECT array_length(array_resize([1], 100000000000))",
        "SELECT array_length(array_repeat(1, 1000000000))",
        "SELECT levenshtein('a', 'b')",
    ] {
        let (kind, message) = refused(&lakes, text).await;
        assert_eq!(kind, Kind::InvalidQuery, "{text}: {message}");
    }
    // Each step makes eight times as much of the one before.
    for eightfold in ["s||s||s||s||s||s||s||s", "concat(s,s,s,s,s,s,s,s)", "[s,s,s,s,s,s,s,s]"] {
        let steps: String = (1..=12).map(|n| format!(", a{n} AS (SELECT {eightfold} AS s FROM a{})", n - 1)).collect();
        let text = format!("WITH a0 AS (SELECT text AS s FROM raw.t){steps} SELECT * FROM a12");
        let (kind, message) = refused(&lakes, &text).await;
        assert!(kind == Kind::InvalidQuery && message.contains("too much memory"), "{kind:?} {message}");
    }
    let one = async |text: &str| ask(&lakes, text).await.expect(text).concat();
    assert_eq!(
        one("SELECT repeat('ab', 2), lpad('x', 3, '-'), rpad('x', 2), replace('aXb', 'X', '--')").await,
        "abab|--x|x |a--b"
    );
    assert_eq!(
        one("SELECT 'a' || 'b' || 1, 'a' || NULL, concat('a', NULL, 'b'), concat_ws('-', 1, 2)").await,
        "ab1||ab|1-2"
    );
    assert_eq!(
        one("SELECT array_to_string([1, 2] || [3], '+'), regexp_replace('aXb', '[A-Z]', '_')").await,
        "1+2+3|a_b"
    );
    assert_eq!(
        one("SELECT text || '!' AS x, repeat(text, id) FROM raw.t WHERE text || id = 'row 22'").await,
        "row 2!|row 2row 2"
    );
    assert_eq!(one("SELECT text || '?', count(*) FROM raw.t WHERE id = 7 GROUP BY text || '?'").await, "row 7?|1");
    assert_eq!(one("SELECT count(DISTINCT replace(text, 'row', 'line')) FROM raw.t").await, "3000");
}
