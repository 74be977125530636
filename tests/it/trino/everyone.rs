//! PyIceberg, Spark, DuckDB and Trino read every kind of table and see what Icehaul sees: each value by the fingerprint, each column by its
//! own, and the figures that every engine makes in its own way.
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{House, Kept};

const ROWS: &str = "select g::int as id, 9007199254740992 + g as big, (g / 7.0)::numeric(12,3) as amount, 'name ' || g % 9 as name, \
     date '2023-12-20' + g as day, timestamp '2023-12-31 20:00' + g * interval '97 minutes' as at, timestamptz '2024-03-31 00:30:00Z' + g * interval '1 hour' as zoned, \
     g % 3 = 0 as flag, g / 3.0::double precision as ratio, decode(lpad(to_hex(g), 4, '0'), 'hex') as raw, \
     ('00000000-0000-0000-0000-' || lpad(g::text, 12, '0'))::uuid as key, array[g, null, -g] as list \
     from generate_series";

fn rows(from: u32, to: u32) -> String {
    format!("{ROWS}({from}, {to}) g")
}

/// The table that Spark 3.5 does not open: it has no type for a time of the day.
const TIMED: &str = "timed";

/// Tables of every kind; gives their names.
async fn build(house: &House) -> Vec<String> {
    let mut tables = Vec::new();
    let mut made = |name: &str| {
        let name = format!("zoo.{name}");
        tables.push(name.clone());
        name
    };
    house.load(&rows(1, 50), &made("plain"), json!({"compression": "snappy"})).await;
    house.load(&rows(1, 0), &made("empty"), json!({})).await;
    house
        .load(
            "select g as id, time '12:00' + g * interval '1 second' as clock from generate_series(1, 9) g",
            &made(TIMED),
            json!({}),
        )
        .await;
    let transforms = [
        "name",
        "year(day)",
        "month(at)",
        "day(at)",
        "hour(zoned)",
        "bucket(3, key)",
        "truncate(5, name)",
        "truncate(10, id)",
        "bucket(2, amount)",
    ];
    for (n, transform) in transforms.into_iter().enumerate() {
        house.load(&rows(1, 20), &made(&format!("part{n}")), json!({"partition_by": [transform]})).await;
    }
    // By Icehaul: a new column and a wider one.
    let evolved = made("evolved");
    house
        .load(
            "select g::int as id, (g / 4.0)::real as ratio, 'a' as name from generate_series(1, 10) g",
            &evolved,
            json!({"partition_by": ["id"]}),
        )
        .await;
    house.load("select g::bigint as id, g / 4.0::double precision as ratio, 'b' as name, 'new' as more from generate_series(11, 20) g", &evolved, json!({"partition_by": ["id"]})).await;
    // By Trino: deletes, a dropped column that comes again, another name, a new place for rows.
    let changed = made("changed");
    house.load(&rows(1, 40), &changed, json!({"partition_by": ["flag"]})).await;
    for sql in [
        "DELETE FROM {}.zoo.changed WHERE id % 4 = 0",
        "ALTER TABLE {}.zoo.changed DROP COLUMN name",
        "ALTER TABLE {}.zoo.changed ADD COLUMN name varchar",
        "ALTER TABLE {}.zoo.changed RENAME COLUMN amount TO price",
        "UPDATE {}.zoo.changed SET name = 'again' WHERE id < 8",
        "ALTER TABLE {}.zoo.changed SET PROPERTIES partitioning = ARRAY['bucket(id, 2)']",
        "INSERT INTO {}.zoo.changed (id, flag, price) VALUES (900, true, DECIMAL '1.500'), (901, NULL, NULL)",
        "DELETE FROM {}.zoo.changed WHERE id IN (1, 900)",
        // The widened partition column: its deletes are found by everyone.
        "DELETE FROM {}.zoo.evolved WHERE id IN (3, 13) AND ratio < 100",
        "UPDATE {}.zoo.evolved SET more = 'changed' WHERE id = 4 AND ratio < 100",
        "DELETE FROM {}.zoo.plain WHERE big % 2 = 0",
    ] {
        house.run(sql).await;
    }
    house.run("CREATE TABLE {}.zoo.nested AS SELECT id, CAST(ROW(id, name, ARRAY[day]) AS row(x integer, y varchar, z array(date))) AS s, \
               MAP(ARRAY[name], ARRAY[big]) AS m, ARRAY[CAST(ROW(at) AS row(at timestamp(6)))] AS l FROM {}.zoo.part0").await;
    house.run("ALTER TABLE {}.zoo.nested ADD COLUMN s.w bigint").await;
    made("nested");
    tables
}

/// What Icehaul sees: rows, fingerprint, and one per column.
async fn seen_by_icehaul(house: &House, table: &str, columns: &[String]) -> (u64, String, BTreeMap<String, String>) {
    let (rows, whole) = house.fingerprint(table, &format!("?columns={}", columns.join(","))).await;
    let mut each = BTreeMap::new();
    for column in columns {
        each.insert(column.clone(), house.fingerprint(table, &format!("?columns={column}")).await.1);
    }
    (rows, whole, each)
}

/// Icehaul's own figures of the columns that an engine has given figures of, in the same form.
async fn figures(house: &House, table: &str, columns: &serde_json::Map<String, Value>) -> BTreeMap<String, Value> {
    let mut figures = BTreeMap::new();
    for (column, theirs) in columns.iter().filter(|(column, _)| *column != "*") {
        let sum = if theirs[3].is_null() { "NULL".to_owned() } else { format!("sum(\"{column}\")") };
        let row = house
            .icehaul
            .rows(&format!("SELECT count(\"{column}\"), min(\"{column}\"), max(\"{column}\"), {sum} FROM {table}"))
            .await;
        figures.insert(column.clone(), row[0].as_array().into_iter().flatten().map(plain).collect());
    }
    figures
}

/// A figure as `tests/py/engines.py` writes it: numbers without zeros at their end.
fn plain(value: &Value) -> Value {
    let text = match value {
        Value::Null => return Value::Null,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let decimal = text.contains('.') && text.bytes().all(|byte| byte.is_ascii_digit() || b".-".contains(&byte));
    if decimal { text.trim_end_matches('0').trim_end_matches('.').into() } else { text.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_every_engine_sees_the_same_in_every_table() {
    let house = House::new(Kept::Postgres).await;
    let tables = build(&house).await;
    for kind in ["trino", "pyiceberg", "duckdb", "spark"] {
        let mut engine = house.engine(kind).await;
        let opened = tables.iter().filter(|table| kind != "spark" || !table.ends_with(TIMED));
        for table in opened {
            let seen = engine.see(table).await;
            let columns: Vec<String> = seen["columns"].as_object().expect("columns").keys().cloned().collect();
            let (rows, whole, each) = seen_by_icehaul(&house, table, &columns).await;
            let theirs: BTreeMap<String, Value> = serde_json::from_value(seen["columns"].clone()).expect("columns");
            for (column, fingerprint) in &each {
                assert_eq!(&theirs[column], fingerprint, "{table}.{column} in {kind}");
            }
            assert_eq!((&seen["rows"], &seen["fingerprint"]), (&json!(rows), &json!(whole)), "{table} in {kind}");
            let made = seen["figures"].as_object().expect("figures");
            assert_eq!(made["*"], json!([rows.to_string()]), "{table} in {kind}");
            for (column, ours) in figures(&house, table, made).await {
                assert_eq!(made[&column], ours, "{table}.{column} in {kind}");
            }
        }
    }
}
