//! Both write to one table in turns, statement by statement; what each says of itself in Trino's metadata tables.
use serde_json::{Value, json};

use super::{House, Kept};

const ORDERS: &str = "select g as id, 'c' || g % 7 as city, (g * 1.25)::numeric(12,2) as amount, date '2024-01-01' + g % 90 as day, \
                      case when g % 5 = 0 then 'cancelled' else 'open' end as status from generate_series";

fn orders(from: u32, to: u32) -> String {
    format!("{ORDERS}({from}, {to}) g")
}

async fn both_write(kept: Kept, partition_by: Value) {
    let house = House::new(kept).await;
    let (load, table) = (json!({"partition_by": partition_by, "verify": "checksum"}), "raw.orders");
    house.load(&orders(1, 100), table, load.clone()).await;
    let (mut trino, mut pyiceberg) = (house.engine("trino").await, house.engine("pyiceberg").await);
    assert_eq!(house.agrees(&mut trino, table, "the first load").await, 100);
    let first = house.snapshots(table).await[0]["snapshot_id"].as_str().expect("an id").to_owned();
    let (_, first_fingerprint) = house.fingerprint(table, "").await;

    let columns = "id, city, amount, day, status";
    let merge = "MERGE INTO {}.raw.orders t USING (VALUES (1, 'shipped'), (1001, 'new')) s (id, status) ON t.id = s.id \
                 WHEN MATCHED THEN UPDATE SET status = s.status \
                 WHEN NOT MATCHED THEN INSERT (id, city, amount, day, status) VALUES (s.id, 'cm', DECIMAL '7.00', DATE '2024-02-02', s.status)";
    let steps: [(&str, String, Option<u64>, u64); 9] = [
        (
            "INSERT",
            format!(
                "INSERT INTO {{}}.raw.orders ({columns}) VALUES (500, 'ci', DECIMAL '1.00', DATE '2024-01-05', 'open'), (501, NULL, NULL, NULL, NULL)"
            ),
            Some(2),
            102,
        ),
        (
            "UPDATE",
            "UPDATE {}.raw.orders SET status = 'shipped', amount = amount + 1 WHERE id BETWEEN 10 AND 19".into(),
            Some(10),
            102,
        ),
        (
            "DELETE",
            "DELETE FROM {}.raw.orders WHERE status = 'cancelled' AND id BETWEEN 51 AND 1000".into(),
            Some(10),
            92,
        ),
        ("MERGE", merge.into(), Some(2), 93),
        ("ADD COLUMN", "ALTER TABLE {}.raw.orders ADD COLUMN discount decimal(10,2)".into(), None, 93),
        ("an update of it", "UPDATE {}.raw.orders SET discount = DECIMAL '0.50' WHERE id < 5".into(), Some(4), 93),
        ("RENAME COLUMN", "ALTER TABLE {}.raw.orders RENAME COLUMN discount TO reduction".into(), None, 93),
        ("optimize", "ALTER TABLE {}.raw.orders EXECUTE optimize".into(), None, 93),
        (
            "a deletion of all that is in few files",
            "DELETE FROM {}.raw.orders WHERE id % 2 = 0 AND id < 1000".into(),
            Some(46),
            47,
        ),
    ];
    let mut expected = 100;
    for (n, (what, sql, changed, rows)) in steps.into_iter().enumerate() {
        let done = house.run(&sql).await;
        assert!(changed.is_none() || done == changed, "{what}: {done:?}");
        // Icehaul's own loads come in between, in turns.
        let added = 3 * n as u64;
        assert_eq!(house.agrees(&mut trino, table, what).await, rows + added, "{what}");
        expected = rows + added + 3;
        let from = 2001 + 6 * n as u32;
        house.load(&format!("{} where g % 2 = 1", orders(from, from + 5)), table, load.clone()).await;
        assert_eq!(house.agrees(&mut trino, table, &format!("the load after {what}")).await, expected);
    }
    assert_eq!(house.agrees(&mut pyiceberg, table, "all of it").await, expected);
    assert_eq!(house.one("SELECT count(*) FROM {}.raw.orders WHERE reduction = DECIMAL '0.50'").await, json!(2));
    assert_eq!(house.icehaul.rows("SELECT count(*) FROM raw.orders WHERE reduction = 0.5").await, [json!([2])]);

    // Time travel is the same from both sides.
    let at_first = house.fingerprint(table, &format!("?snapshot_id={first}")).await;
    assert_eq!(at_first, (100, first_fingerprint.clone()));
    let sql = format!("SELECT count(*) FROM {{}}.raw.orders FOR VERSION AS OF {first}");
    assert_eq!(house.one(&sql).await, json!(100));
    let seen = trino.ask(&json!({"table": table, "snapshot": first.parse::<i64>().expect("an id")})).await;
    assert_eq!(seen["fingerprint"], json!(first_fingerprint));
    let moment =
        house.one(&format!("SELECT committed_at FROM {{}}.raw.\"orders$snapshots\" WHERE snapshot_id = {first}")).await;
    let moment = moment.as_str().expect("a time").trim_end_matches(" UTC").to_owned();
    let sql = format!("SELECT count(*) FROM {{}}.raw.orders FOR TIMESTAMP AS OF TIMESTAMP '{moment} UTC'");
    assert_eq!(house.one(&sql).await, json!(100));
    let sql = format!("SELECT count(*) FROM raw.orders FOR TIMESTAMP AS OF '{moment}'");
    assert_eq!(house.icehaul.rows(&sql).await, [json!([100])]);

    metadata_tables(&house, table).await;

    // Trino goes back, copies, throws away; Icehaul goes on.
    house.run(&format!("ALTER TABLE {{}}.raw.orders EXECUTE rollback_to_snapshot({first})")).await;
    assert_eq!(house.agrees(&mut trino, table, "rollback").await, 100);
    house.load(&orders(3001, 3010), table, load.clone()).await;
    assert_eq!(house.agrees(&mut trino, table, "the load after rollback").await, 110);
    house.run("ALTER TABLE {}.raw.orders EXECUTE expire_snapshots(retention_threshold => '0s')").await;
    assert_eq!(house.snapshots(table).await.len(), 1);
    house.run("ALTER TABLE {}.raw.orders EXECUTE remove_orphan_files(retention_threshold => '0s')").await;
    assert_eq!(house.agrees(&mut pyiceberg, table, "the removal of old files").await, 110);
    house.load(&orders(4001, 4010), table, load.clone()).await;
    assert_eq!(house.agrees(&mut pyiceberg, table, "the last load").await, 120);
    house
        .run("CREATE TABLE {}.raw.copy WITH (partitioning = ARRAY['bucket(id, 4)']) AS SELECT * FROM {}.raw.orders")
        .await;
    assert_eq!(house.agrees(&mut trino, "raw.copy", "CREATE TABLE AS").await, 120);
    assert_eq!(house.fingerprint("raw.copy", "").await, house.fingerprint(table, "").await);
    let again = json!({"partition_by": ["bucket(4, id)"]});
    house.load(&orders(5001, 5005), "raw.copy", again).await;
    assert_eq!(house.agrees(&mut pyiceberg, "raw.copy", "a load into Trino's table").await, 125);
}

/// What Trino's metadata tables say of a table that both have written to.
async fn metadata_tables(house: &House, table: &str) {
    let (namespace, name) = table.split_once('.').expect("two parts");
    let of = |part: &str, sql: &str| sql.replace("{of}", &format!("{{}}.{namespace}.\"{name}${part}\""));
    let snapshots = house.snapshots(table).await;
    let rows = house
        .rows(&of(
            "snapshots",
            "SELECT CAST(snapshot_id AS varchar), operation, summary FROM {of} ORDER BY committed_at DESC",
        ))
        .await;
    assert_eq!(rows.len(), snapshots.len());
    let ids = |id: &Value| id.as_str().expect("an id").to_owned();
    let mut theirs: Vec<String> = rows.iter().map(|row| ids(&row[0])).collect();
    let mut ours: Vec<String> = snapshots.iter().map(|snapshot| ids(&snapshot["snapshot_id"])).collect();
    theirs.sort();
    ours.sort();
    assert_eq!(theirs, ours);
    assert!(rows.iter().any(|row| row[2]["icehaul.job-id"].is_string()), "{rows:?}");
    assert_eq!(
        house.one(&of("history", "SELECT count(*) FROM {of} WHERE is_current_ancestor")).await,
        json!(ours.len())
    );
    let count = house.one(&format!("SELECT count(*) FROM {{}}.{table}")).await.as_i64().expect("a number");
    let files = of("files", "SELECT sum(CASE WHEN content = 0 THEN record_count ELSE -record_count END) FROM {of}");
    assert_eq!(house.one(&files).await, json!(count));
    assert!(house.one(&of("partitions", "SELECT count(*) FROM {of}")).await.as_i64() > Some(0));
    assert!(house.one(&of("manifests", "SELECT count(*) FROM {of}")).await.as_i64() > Some(0));
    assert_eq!(house.one(&of("refs", "SELECT name FROM {of}")).await, json!("main"));
    let versions =
        house.rows(&of("metadata_log_entries", "SELECT latest_schema_id FROM {of} ORDER BY timestamp")).await;
    assert!(versions.len() > ours.len(), "{versions:?}");
    // Every data file that we write has its sort order: without it Trino fails here.
    let entries = of("entries", "SELECT count(*) FROM {of} WHERE status < 2");
    assert_eq!(house.one(&entries).await, house.one(&of("files", "SELECT count(*) FROM {of}")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_trino_and_icehaul_write_in_turns() {
    both_write(Kept::Postgres, json!([])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_they_do_so_with_partitions_in_the_embedded_catalog() {
    both_write(Kept::Sqlite, json!(["month(day)"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_they_do_so_on_s3() {
    both_write(Kept::S3, json!(["bucket(4, id)"])).await;
}
