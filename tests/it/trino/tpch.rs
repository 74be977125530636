//! TPC-H: the 22 queries on Trino over tables that Icehaul loaded equal those over Trino's own data, from which PostgreSQL was filled.
//! `ICEHAUL_TEST_TPCH_SCALE` gives another scale than 0.1.
use icehaul_tests::{
    postgres::{OWNER, OWNER_PASSWORD},
    trino::{checkout, jdbc_url},
};
use serde_json::{Value, json};

use super::{House, Kept};

const TABLES: [&str; 8] = ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"];

#[tokio::test(flavor = "multi_thread")]
async fn slow_the_queries_of_tpch_give_the_same_on_loaded_tables() {
    let scale = std::env::var("ICEHAUL_TEST_TPCH_SCALE").unwrap_or_else(|_| "0.1".to_owned());
    let house = House::new(Kept::Postgres).await;
    let (origin, source) = (format!("tpch.\"sf{scale}\""), format!("{}_source", house.name));
    let variables = [
        ("POSTGRES_JDBC_URL", jdbc_url(&house.source) + "&reWriteBatchedInserts=true"),
        ("POSTGRES_USER", OWNER.to_owned()),
        ("POSTGRES_PASSWORD", OWNER_PASSWORD.to_owned()),
    ];
    house.trino.create_catalog(&source, "catalogs/postgres.properties", &variables).await;
    house.run(&format!("CREATE SCHEMA {source}.tpch")).await;
    for table in TABLES {
        let rows = house
            .run(&format!("CREATE TABLE {source}.tpch.{table} AS SELECT * FROM {origin}.{table}"))
            .await
            .expect("a count");
        let by = match table {
            "orders" => json!(["year(o_orderdate)"]),
            "lineitem" => json!(["bucket(2, l_orderkey)"]),
            _ => json!([]),
        };
        let loaded = house
            .load(
                &format!("select * from tpch.{table}"),
                &format!("tpch.{table}"),
                json!({"partition_by": by, "lineage": false}),
            )
            .await;
        assert_eq!(loaded["rows_loaded"], json!(rows), "{table}");
        // The rows themselves are those of the generator, not only what the queries take from them.
        let columns = house.rows(&format!("SHOW COLUMNS FROM {origin}.{table}")).await;
        let columns: Vec<&str> = columns.iter().filter_map(|row| row[0].as_str()).collect();
        let digest = |of: &str| format!("SELECT to_hex(checksum(ROW({}))) FROM {of}.{table}", columns.join(", "));
        assert_eq!(house.one(&digest("{}.tpch")).await, house.one(&digest(&origin)).await, "{table}");
    }
    let queries = std::fs::read_to_string(checkout().join("trino/sql/tpch.sql")).expect("the queries");
    let queries: Vec<(&str, &str)> = queries.split("\n-- Q").skip(1).filter_map(|part| part.split_once('\n')).collect();
    assert_eq!(queries.len(), 22);
    let mut empty = Vec::new();
    for (number, sql) in queries {
        let ask = async |schema: &str| -> Vec<Value> { house.trino.rows_in(schema, sql).await };
        let ours = ask(&format!("{}.tpch", house.name)).await;
        assert_eq!(ours, ask(&origin).await, "Q{number}");
        if ours.is_empty() {
            empty.push(number);
        }
    }
    // Little data has no order of more than 300 pieces in some scales; all other queries find something.
    assert!(empty.len() <= 2, "these find nothing: {empty:?}");
}
