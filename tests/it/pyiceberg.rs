//! PyIceberg and an independent implementation of the fingerprint read what Icehaul writes; PyIceberg writes in between.
use std::path::Path;

use icehaul_tests::{icehaul::Icehaul, postgres::Database};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::connection;

/// One row per kind of value that is easily got wrong: empty and null, signs of zero, the ends of ranges, other scripts.
const VALUES: &str = "create table v (id bigint, small smallint, flag boolean, price numeric(12,2), wide numeric(38,10), ratio double precision, \
     word text, day date, local timestamp, at timestamptz, raw bytea, key uuid, numbers integer[]);\
     insert into v values \
     (1, -32768, true, -0.01, 1234567890123456789012345678.0123456789, '-0', '', '0001-01-01', '1969-12-31 23:59:59.999999', \
      '2024-03-31 01:30:00+02', '\\x00ff', '00000000-0000-0000-0000-000000000001', '{1,null,3}'), \
     (2, 32767, false, 9999999999.99, -0.0000000001, 'NaN', E'Zürich\\n\"李\" 🧊', '9999-12-31', '2024-02-29 00:00:00', \
      '1900-01-01 00:00:00Z', '', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '{}'), \
     (3, null, null, null, null, null, null, null, null, null, null, null, null)";

/// Runs a script of `tests/py` with the Python that has PyIceberg, and gives its output.
pub(crate) async fn python(arguments: &[&str]) -> String {
    python_with(arguments, &[]).await
}

/// The same with more variables.
pub(crate) async fn python_with(arguments: &[&str], env: &[(&str, String)]) -> String {
    let python = std::env::var("ICEHAUL_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("py");
    let output = Command::new(python)
        .args(arguments)
        .envs(env.iter().map(|(name, value)| (name, value)))
        .current_dir(scripts)
        .output()
        .await
        .expect("Python runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The address of the embedded catalog, as `SQLAlchemy` writes it.
pub(crate) fn catalog(data: &TempDir) -> String {
    format!("sqlite:///{}", data.path().join("catalog.db").display())
}

/// The request for a load of this table into `raw` under the same name.
fn request(database: &Database, table: &str, fields: Value) -> Value {
    let mut body = connection(database);
    body["table"] = table.into();
    body["table_name"] = table.into();
    body["namespace"] = "raw".into();
    for (name, value) in fields.as_object().expect("fields") {
        body[name] = value.clone();
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn three_fingerprints_agree() {
    let database = Database::new().await;
    database.run(VALUES).await;
    let data = TempDir::new().expect("folder");
    let icehaul = Icehaul::up(data.path(), &[]).await;
    let result = icehaul.loaded(&request(&database, "v", json!({"verify": "checksum"}))).await;
    let columns: Vec<_> = result["columns"].as_array().expect("columns").iter().filter_map(Value::as_str).collect();
    let uri = catalog(&data);
    let columns = columns.join(",");
    let iceberg = ["fingerprint.py", "iceberg", "--catalog-uri", &uri, "--table", "raw.v", "--columns", &columns];
    assert_eq!(python(&iceberg).await, result["fingerprint"]);
    let body = connection(&database);
    let text = |field: &str| body[field].as_str().expect("text").to_owned();
    let (user, password, name) = (text("user"), text("password"), text("database"));
    let dsn = format!("postgres://{user}:{password}@{}:{}/{name}", database.host, database.port);
    assert_eq!(python(&["fingerprint.py", "postgres", "--dsn", &dsn, "SELECT * FROM v"]).await, result["fingerprint"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pyiceberg_appends_and_deletes_in_between() {
    const ROWS: u64 = 2_000;
    const LOADS: u64 = 4;
    let database = Database::new().await;
    database
        .run(&format!(
            "create table orders as select g::bigint as id, 'n' || g as name from generate_series(1, {ROWS}) g"
        ))
        .await;
    let data = TempDir::new().expect("folder");
    let icehaul = Icehaul::up(data.path(), &[]).await;
    let load = request(&database, "orders", json!({}));
    icehaul.loaded(&load).await;
    let uri = catalog(&data);
    let arguments = ["interop.py", &uri, "raw.orders", "3"];
    let loads = async {
        for _ in 1..LOADS {
            icehaul.loaded(&load).await;
        }
    };
    let (churned, ()) = tokio::join!(python(&arguments), loads);
    let churned: Value = serde_json::from_str(&churned).expect("JSON");
    let number = |key: &str| churned[key].as_u64().expect("a number");
    let expected = LOADS * ROWS + number("appended") - number("deleted");
    assert_eq!(icehaul.rows("select count(*) from raw.orders").await, [json!([expected])]);
    let theirs = python(&["fingerprint.py", "iceberg", "--catalog-uri", &uri, "--table", "raw.orders"]).await;
    let (_, ours) = icehaul.get("/tables/raw/orders/fingerprint").await;
    assert_eq!(theirs, ours["fingerprint"]);
}
