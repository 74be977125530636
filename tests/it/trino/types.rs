//! Every type, both ways, with exact values.
use serde_json::{Value, json};

use super::{House, Kept};

/// One row per kind of value that is easily got wrong, as PostgreSQL has them.
const VALUES: &str = "select id, small, flag, price::numeric(12,2), wide::numeric(38,10), ratio, single, word, day, local, at, raw, key, clock, numbers from (values \
     (1::bigint, (-32768)::smallint, true, -0.01, 1234567890123456789012345678.0123456789, '-0'::double precision, \
      0.1::real, ''::text, date '0001-01-01', timestamp '1969-12-31 23:59:59.999999', timestamptz '2024-03-31 01:30:00+02', '\\x00ff'::bytea, \
      '00000000-0000-0000-0000-000000000001'::uuid, time '23:59:59.999999', '{1,null,3}'::integer[]), \
     (9223372036854775807, 32767, false, 9999999999.99, -0.0000000001, 'NaN', 'Infinity', E'Zürich\\n\"李\" 🧊', '9999-12-31', \
      '2024-02-29 00:00:00', '1900-01-01 00:00:00Z', '', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '00:00:00', '{}'), \
     (3, null, null, null, null, null, null, null, null, null, null, null, null, null, null)) \
     v (id, small, flag, price, wide, ratio, single, word, day, local, at, raw, key, clock, numbers)";

/// The same in Trino, with its own values, nested ones too.
const TRINO: &str = "CREATE TABLE {}.raw.theirs (id bigint, n integer, flag boolean, price decimal(9,2), wide decimal(38,10), ratio double, \
     single real, word varchar, day date, local timestamp(6), at timestamp(6) with time zone, raw varbinary, key uuid, clock time(6), \
     numbers array(integer), pairs map(varchar, bigint), nest row(x integer, y varchar, z row(d date, l array(varchar)))) \
     WITH (partitioning = ARRAY['day'])";
const ROWS: &str = "INSERT INTO {}.raw.theirs VALUES \
     (BIGINT '-9223372036854775808', -1, true, DECIMAL '-1234567.89', DECIMAL '-9999999999999999999999999999.9999999999', DOUBLE '-0.0', REAL '0.1', \
      'é\"🧊', DATE '1969-12-31', TIMESTAMP '1969-12-31 23:59:59.999999', TIMESTAMP '2024-03-31 01:30:00.000001 UTC', X'00ff', \
      UUID '00000000-0000-0000-0000-000000000001', TIME '23:59:59.999999', ARRAY[1, NULL], MAP(ARRAY['a', ''], ARRAY[BIGINT '9007199254740993', NULL]), \
      ROW(1, 's', ROW(DATE '2024-02-29', ARRAY['p', NULL]))), \
     (2, NULL, NULL, NULL, NULL, nan(), CAST(infinity() AS real), NULL, NULL, NULL, NULL, NULL, NULL, NULL, ARRAY[], MAP(), ROW(NULL, NULL, NULL)), \
     (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)";

#[tokio::test(flavor = "multi_thread")]
async fn slow_every_type_goes_both_ways() {
    let house = House::new(Kept::Postgres).await;
    let table = "raw.ours";
    house.load(VALUES, table, json!({"verify": "checksum", "partition_by": ["day", "bucket(3, key)"]})).await;
    let (mut trino, mut pyiceberg) = (house.engine("trino").await, house.engine("pyiceberg").await);
    for engine in [&mut trino, &mut pyiceberg] {
        assert_eq!(house.agrees(engine, table, "the load").await, 3);
    }
    let first = house.rows("SELECT id, small, flag, price, wide, ratio, single, word, day, local, at, raw, key, clock, numbers FROM {}.raw.ours WHERE id = 1").await;
    let expected = json!([
        1,
        -32768,
        true,
        "-0.01",
        "1234567890123456789012345678.0123456789",
        -0.0,
        0.1,
        "",
        "0001-01-01",
        "1969-12-31 23:59:59.999999",
        "2024-03-30 23:30:00.000000 UTC",
        "AP8=",
        "00000000-0000-0000-0000-000000000001",
        "23:59:59.999999",
        [1, null, 3]
    ]);
    assert_eq!(first[0].to_string(), expected.to_string());

    // Trino's copy holds the same, to the bit; what Trino changes, Icehaul reads.
    house.run("CREATE TABLE {}.raw.copy AS SELECT * FROM {}.raw.ours").await;
    assert_eq!(house.fingerprint("raw.copy", "").await, house.fingerprint(table, "").await);
    house.run("UPDATE {}.raw.ours SET word = 'x', price = DECIMAL '0.01', raw = X'01', at = at + INTERVAL '1' HOUR, numbers = numbers || 9 WHERE id < 4").await;
    for engine in [&mut trino, &mut pyiceberg] {
        assert_eq!(house.agrees(engine, table, "the update").await, 3);
    }

    house.run(TRINO).await;
    house.run(ROWS).await;
    for engine in [&mut trino, &mut pyiceberg] {
        assert_eq!(house.agrees(engine, "raw.theirs", "Trino's rows").await, 3);
    }
    let read = house.icehaul.rows("SELECT * FROM raw.theirs WHERE n = -1").await;
    let expected = json!([
        "-9223372036854775808", -1, true, "-1234567.89", "-9999999999999999999999999999.9999999999", -0.0, 0.1, "é\"🧊", "1969-12-31",
        "1969-12-31T23:59:59.999999", "2024-03-31T01:30:00.000001Z", "00ff", "00000000-0000-0000-0000-000000000001", "23:59:59.999999",
        [1, null], [["a", "9007199254740993"], ["", null]], {"x": 1, "y": "s", "z": {"d": "2024-02-29", "l": ["p", null]}}
    ]);
    assert_eq!(sorted_map(&read[0]).to_string(), sorted_map(&expected).to_string());

    // Members of a struct come, go and change their names.
    for (what, change) in [
        ("a new member", "ALTER TABLE {}.raw.theirs ADD COLUMN nest.w bigint"),
        ("a renamed member", "ALTER TABLE {}.raw.theirs RENAME COLUMN nest.y TO why"),
        ("a dropped member", "ALTER TABLE {}.raw.theirs DROP COLUMN nest.x"),
        ("the same name again", "ALTER TABLE {}.raw.theirs ADD COLUMN nest.x integer"),
        ("a member deeper inside", "ALTER TABLE {}.raw.theirs ADD COLUMN nest.z.u uuid"),
        ("a wider member", "ALTER TABLE {}.raw.theirs ALTER COLUMN nest.x SET DATA TYPE bigint"),
        ("a wider column", "ALTER TABLE {}.raw.theirs ALTER COLUMN n SET DATA TYPE bigint"),
        ("a wider decimal", "ALTER TABLE {}.raw.theirs ALTER COLUMN price SET DATA TYPE decimal(12,2)"),
        ("a double", "ALTER TABLE {}.raw.theirs ALTER COLUMN single SET DATA TYPE double"),
    ] {
        house.run(change).await;
        assert_eq!(house.agrees(&mut trino, "raw.theirs", what).await, 3);
    }
    house.run("INSERT INTO {}.raw.theirs (id, nest) VALUES (4, ROW('w', ROW(DATE '2024-01-01', ARRAY[], UUID '00000000-0000-0000-0000-000000000002'), 5, 6))").await;
    assert_eq!(house.agrees(&mut trino, "raw.theirs", "a row of the new shape").await, 4);
    assert_eq!(house.agrees(&mut pyiceberg, "raw.theirs", "a row of the new shape").await, 4);
    assert_eq!(
        house.icehaul.rows("SELECT id FROM raw.theirs WHERE numbers IS NULL ORDER BY id").await,
        [json!([3]), json!([4])]
    );
}

/// The order of a map's pairs says nothing.
fn sorted_map(row: &Value) -> Value {
    let mut row = row.clone();
    if let Some(pairs) = row[15].as_array_mut() {
        pairs.sort_by_key(ToString::to_string);
    }
    row
}
