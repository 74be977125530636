//! Tables that Trino has changed, migrated: deletes by position, statistics, files put together; Trino's answers on both sides.
use serde_json::{Value, json};

use super::{House, Kept};
use crate::pyiceberg::python;

const ROWS: &str = "select g::int as id, g % 5 as grp, 'n' || g as name, (g / 3.0)::numeric(12,3) as amount from generate_series(1, 2000) g";
/// What Trino says of a table's rows.
const ASKED: &str = "SELECT count(*), sum(id), checksum(name), max(name) FROM";

impl House {
    async fn migrate(&self, dest: &str, fields: Value) -> Value {
        let mut body =
            json!({"source_namespace": "raw", "source_table": "t", "dest_namespace": "kept", "dest_table": dest});
        for (name, value) in fields.as_object().expect("fields") {
            body[name] = value.clone();
        }
        self.icehaul.done("/migrate", &body).await
    }

    /// What Trino sees in a table, or in one of its snapshots.
    async fn asked(&self, table: &str, snapshot: Option<&Value>) -> Vec<Value> {
        let id = snapshot.map(|id| format!(" FOR VERSION AS OF {}", id.as_str().expect("an id")));
        self.rows(&format!("{ASKED} {{}}.{table}{}", id.unwrap_or_default())).await
    }

    async fn told(&self, table: &str) -> Value {
        let catalog = json!(self.fingerprint(table, "").await);
        json!([catalog, self.asked(table, None).await])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_by_position_are_applied_or_carried() {
    let house = House::new(Kept::Sqlite).await;
    house.load(ROWS, "raw.t", json!({"partition_by": ["grp"], "lineage": false})).await;
    house.run("DELETE FROM {}.raw.t WHERE id % 7 = 0").await;
    house.run("UPDATE {}.raw.t SET name = name || 'u' WHERE id % 11 = 0").await;
    house.run("ANALYZE {}.raw.t").await;
    let deletes = house.one("SELECT count(*) FROM {}.raw.\"t$files\" WHERE content = 1").await;
    assert!(deletes.as_u64().is_some_and(|count| count > 0), "Trino wrote files of positions: {deletes}");
    let home = house.told("raw.t").await;
    for (dest, fields) in
        [("rows", json!({})), ("files", json!({"copy": "files"})), ("all", json!({"copy": "files", "history": "all"}))]
    {
        let result = house.migrate(dest, fields).await;
        assert_eq!(result["verdict"], "match", "{dest}: {result:#}");
        assert_eq!(house.told(&format!("kept.{dest}")).await, home, "{dest}");
        let left = house.one(&format!("SELECT count(*) FROM {{}}.kept.\"{dest}$files\" WHERE content = 1")).await;
        assert_eq!(left, if dest == "rows" { json!(0) } else { deletes.clone() }, "{dest}");
    }
    let (old, new) = (house.snapshots("raw.t").await, house.snapshots("kept.all").await);
    assert_eq!(new.len(), old.len());
    for snapshot in &old {
        let id = &snapshot["snapshot_id"];
        assert_eq!(house.asked("kept.all", Some(id)).await, house.asked("raw.t", Some(id)).await, "{id}");
    }
    let shown = house.rows("SHOW STATS FOR {}.raw.t").await;
    assert_eq!(house.rows("SHOW STATS FOR {}.kept.all").await, shown, "statistics came along");
    // Trino goes on with what was carried.
    house.run("DELETE FROM {}.kept.all WHERE id > 1000").await;
    assert_eq!(house.one("SELECT max(id) FROM {}.kept.all").await, json!(1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_trino_changes_is_taken_over_and_what_it_only_puts_together_is_not() {
    let house = House::new(Kept::Sqlite).await;
    house.load(ROWS, "raw.t", json!({"lineage": false})).await;
    let keyed = json!({"mode": "incremental", "key": ["id"]});
    house.migrate("t", keyed.clone()).await;
    house.run("DELETE FROM {}.raw.t WHERE id <= 50").await;
    house.run("UPDATE {}.raw.t SET amount = amount + 1 WHERE id BETWEEN 100 AND 119").await;
    house
        .run("INSERT INTO {}.raw.t SELECT CAST(n AS integer), 1, 'new', NULL FROM UNNEST(sequence(5001, 5030)) u (n)")
        .await;
    let result = house.migrate("t", keyed.clone()).await;
    let told = ["deleted", "replaced", "added"].map(|what| result["changes"][what].as_u64());
    assert_eq!(told, [50, 20, 30].map(Some), "{result:#}");
    assert_eq!(house.told("kept.t").await, house.told("raw.t").await);
    house.run("ALTER TABLE {}.raw.t EXECUTE optimize").await;
    assert_eq!(house.snapshots("raw.t").await[0]["operation"], "replace");
    // Without a key too: no row has changed.
    let none = house.migrate("t", json!({"mode": "incremental"})).await;
    assert_eq!((&none["rows_migrated"], &none["changes"]), (&json!(0), &Value::Null), "{none:#}");
    assert_eq!(house.migrate("t", keyed).await["unchanged"], true);
    assert_eq!(house.told("kept.t").await, house.told("raw.t").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_by_value_are_applied_carried_and_taken_over() {
    let house = House::new(Kept::Sqlite).await;
    let warehouse = format!("file://{}", house.data.path().join("warehouse").display());
    python(&["snapshots.py", &house.uri, "make", "v2", "raw.t", &warehouse]).await;
    let keyed = json!({"mode": "incremental", "key": ["id"]});
    assert_eq!(house.migrate("t", keyed.clone()).await["rows_migrated"], 40);
    python(&["snapshots.py", &house.uri, "equality", "raw.t", "3", "17", "4711"]).await;
    let home = house.fingerprint("raw.t", "").await;
    let left = json!([38, (0..40).sum::<u32>() - 3 - 17]);
    assert_eq!(house.rows("SELECT count(*), sum(id) FROM {}.raw.t").await, std::slice::from_ref(&left));
    for (dest, fields) in
        [("rows", json!({})), ("files", json!({"copy": "files"})), ("all", json!({"copy": "files", "history": "all"}))]
    {
        let result = house.migrate(dest, fields).await;
        assert_eq!((&result["verdict"], &result["rows_migrated"]), (&json!("match"), &json!(38)), "{dest}: {result:#}");
        assert_eq!(house.fingerprint(&format!("kept.{dest}"), "").await, home, "{dest}");
        let seen = house.rows(&format!("SELECT count(*), sum(id) FROM {{}}.kept.\"{dest}\"")).await;
        assert_eq!(seen, std::slice::from_ref(&left), "{dest}: Trino applies them too");
    }
    // PyIceberg calls such a snapshot an append: what it adds tells that it is none.
    let result = house.migrate("t", keyed).await;
    assert_eq!((&result["changes"]["deleted"], &result["rows_migrated"]), (&json!(2), &json!(0)), "{result:#}");
    assert_eq!(house.fingerprint("kept.t", "").await, home);
}
