//! TPC-H, with rows that Trino has deleted, from SQLite and a folder to PostgreSQL and S3 in both modes: Trino's 22 answers and the contents of
//! all tables are the same. `ICEHAUL_TEST_TPCH_SCALE` gives another scale than 0.01.
use icehaul_tests::trino::{checkout, server};
use serde_json::json;

use super::{
    Stand,
    side::{Side, deletes},
};

const TABLES: [&str; 8] = ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"];

#[tokio::test(flavor = "multi_thread")]
async fn slow_tpch_gives_the_same_answers_where_it_was_migrated_to() {
    let scale = std::env::var("ICEHAUL_TEST_TPCH_SCALE").unwrap_or_else(|_| "0.01".to_owned());
    let stand = Stand::new().await;
    stand.first_contact().await;
    let server = tokio::task::spawn_blocking(server).await.expect("Trino");
    let (near, far) = (Side::near(&stand, server).await, Side::far(&stand, server).await);
    let run = async |sql: String| server.query(&sql).await.unwrap_or_else(|message| panic!("{sql}: {message}"));
    let mut rows = 0;
    run(format!("CREATE SCHEMA {}.tpch", near.name)).await;
    for table in TABLES {
        let made = format!("CREATE TABLE {}.tpch.{table} AS SELECT * FROM tpch.\"sf{scale}\".{table}", near.name);
        rows += run(made).await.changed.expect("a count");
    }
    for (table, key) in [("orders", "o_orderkey"), ("lineitem", "l_orderkey"), ("customer", "c_custkey")] {
        let gone = format!("DELETE FROM {}.tpch.{table} WHERE {key} % 97 = 1", near.name);
        rows -= run(gone).await.changed.expect("a count");
        assert!(deletes(server, &near, &format!("tpch.{table}")).await > 0, "{table}: Trino writes files of positions");
    }
    for copy in ["rows", "files"] {
        let body = json!({"tables": "*", "source_namespace": "tpch", "dest_catalog": "far", "dest_namespace": copy, "copy": copy});
        let result = stand.icehaul.done("/migrate/bulk", &body).await;
        assert_eq!((&result["succeeded"], &result["rows_migrated"]), (&json!(8), &json!(rows)), "{result:#}");
    }
    for table in TABLES {
        let home = stand.fingerprint(&format!("tpch.{table}"), "default").await;
        let columns = server.rows(&format!("SHOW COLUMNS FROM {}.tpch.{table}", near.name)).await;
        let columns: Vec<&str> = columns.iter().filter_map(|row| row[0].as_str()).collect();
        let digest =
            |of: String| format!("SELECT count(*), to_hex(checksum(ROW({}))) FROM {of}.{table}", columns.join(", "));
        let told = server.rows(&digest(format!("{}.tpch", near.name))).await;
        for copy in ["rows", "files"] {
            assert_eq!(stand.fingerprint(&format!("{copy}.{table}"), "far").await, home, "{copy}.{table}");
            assert_eq!(server.rows(&digest(format!("{}.{copy}", far.name))).await, told, "{copy}.{table}");
        }
    }
    let queries = std::fs::read_to_string(checkout().join("trino/sql/tpch.sql")).expect("the queries");
    let queries: Vec<(&str, &str)> = queries.split("\n-- Q").skip(1).filter_map(|part| part.split_once('\n')).collect();
    assert_eq!(queries.len(), 22);
    for (number, sql) in queries {
        let home = server.rows_in(&format!("{}.tpch", near.name), sql).await;
        for copy in ["rows", "files"] {
            assert_eq!(server.rows_in(&format!("{}.{copy}", far.name), sql).await, home, "Q{number} on {copy}");
        }
    }
}
