//! A table held to the rows of a database: a query, or a table that is read in parallel, in one state.
use icehaul_tests::postgres::OWNER_PASSWORD;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::Stand;
use crate::connection;

const ORDERS: &str = "create table orders (id int not null, small smallint, price numeric(12,2), note text, at timestamptz, tags text[]); \
    insert into orders select g, g % 100, g / 4.0, case when g % 9 > 0 then 'note ' || g end, timestamptz '2024-01-01 00:00Z' + g * interval '1 minute', \
    array['a', null] from generate_series(1, 20000) g; analyze orders";

/// A request to hold `raw.table` to rows of the stand's database.
fn request(stand: &Stand, rows: Value, table: &str) -> Value {
    let mut postgres = connection(&stand.database);
    for (name, value) in rows.as_object().expect("fields") {
        postgres[name] = value.clone();
    }
    json!({"postgres": postgres, "destination": format!("raw.{table}")})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_held_to_the_rows_of_a_database() {
    let stand = Stand::new().await;
    stand.database.run(ORDERS).await;
    let loaded = async |table: &str, query: &str, lineage: bool| {
        let mut body = connection(&stand.database);
        for (name, value) in [("query", query), ("table_name", table), ("namespace", "raw"), ("verify", "checksum")] {
            body[name] = value.into();
        }
        body["lineage"] = lineage.into();
        stand.icehaul.loaded(&body).await
    };
    let load = loaded("orders", "select * from orders", true).await;
    for rows in
        [json!({"query": "select * from orders order by id desc"}), json!({"table": "orders", "parallelism": 3})]
    {
        let result = stand.icehaul.done("/verify", &request(&stand, rows.clone(), "orders")).await;
        assert_eq!((&result["verdict"], &result["checksum_match"]), (&json!("match"), &json!(true)), "{result:#}");
        assert_eq!(result["source_checksum"], load["fingerprint"], "{rows}: of the same rows as the load's");
        let report = stand.report(&result["migration_id"]).await;
        assert_eq!(report["rows"], json!({"source": 20000, "destination": 20000}));
        let origin = format!("postgres://{}:{}/{}", stand.database.host, stand.database.port, stand.database.name);
        assert_eq!((&report["source"]["catalog"], &report["verify_again"]), (&json!(origin), &Value::Null));
        assert!(report["not_checked"].to_string().contains("source_system, scraped_at"), "{}", report["not_checked"]);
        assert!(!report.to_string().contains(OWNER_PASSWORD), "a password in the report");
    }
    let counts = {
        let mut body = request(&stand, json!({"query": "select * from orders where id > 5"}), "orders");
        body["level"] = "counts".into();
        stand.icehaul.run("/verify", &body).await
    };
    let message = counts["error"]["message"].as_str().expect("a message");
    assert!(message.contains("19995 rows in the source, 20000 in the destination"), "{message}");
    assert!(!counts.to_string().contains(OWNER_PASSWORD), "a password in the job's document");

    // One value, a row lost and one doubled, another type: found, named, the rows shown by their key.
    stand.database.run("update orders set note = 'other' where id = 77; delete from orders where id = 100; insert into orders select * from orders where id = 200").await;
    let mut body = request(&stand, json!({"table": "orders"}), "orders");
    body["key"] = json!(["id"]);
    let job = stand.icehaul.run("/verify", &body).await;
    assert_eq!(job["error"]["code"], "verification_failed", "{job:#}");
    let report = stand.report(&job["job_id"]).await;
    let pairs = report["differences"]["pairs"].as_array().expect("pairs");
    assert_eq!(pairs.len(), 3, "{pairs:#?}");
    let changed = pairs.iter().find(|pair| pair["columns"] == json!(["note"])).expect("the changed row");
    assert_eq!(
        (&changed["source"]["values"][3], &changed["destination"]["values"][3]),
        (&json!("other"), &json!("note 77"))
    );
    let typed = request(
        &stand,
        json!({"query": "select id::bigint as id, small, price::numeric(12,3), note, at, tags from orders"}),
        "orders",
    );
    let job = stand.icehaul.run("/verify", &typed).await;
    let message = job["error"]["message"].as_str().expect("a message");
    for named in [
        "column `id` is BIGINT in the source and INT in the destination",
        "column `price` is DECIMAL(12, 3) in the source",
    ] {
        assert!(message.contains(named), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_held_to_the_rows_of_mysql() {
    let (stand, shop) = (Stand::new().await, icehaul_tests::mysql::Database::new().await);
    shop.run(
        "create table orders (id int primary key, small smallint, big bigint unsigned, price decimal(12,2), note varchar(40) character set utf8mb4, \
         made datetime(6), at timestamp(6) null, spent time, raw varbinary(9), ok bit(1))",
    )
    .await;
    shop.run(
        "insert into orders select seq, seq % 100, 18446744073709551615 - seq, seq / 4, if(seq % 9 > 0, concat('note ', seq), null), \
         '2024-01-01' + interval seq * 1.5 second, '2024-01-01' + interval seq minute, sec_to_time(seq * 100), unhex(lpad(hex(seq), 8, '0')), seq % 2 \
         from seq_1_to_20000",
    )
    .await;
    let with = |fields: Value| {
        let mut all = shop.connection();
        for (name, value) in fields.as_object().expect("fields") {
            all[name] = value.clone();
        }
        all
    };
    let load = with(
        json!({"table": "orders", "parallelism": 2, "table_name": "orders", "namespace": "raw", "verify": "checksum"}),
    );
    let load = stand.icehaul.done("/load/mysql", &load).await;
    let proof = &load["verification"];
    assert_eq!((&load["rows_loaded"], &proof["fingerprint_read"]), (&json!(20000), &proof["fingerprint_written"]));
    assert_eq!(proof["fingerprint_read"], load["fingerprint"], "{load:#}");
    let held = |rows: Value| json!({"mysql": with(rows), "destination": "raw.orders", "key": ["id"]});
    for rows in
        [json!({"query": "select * from orders order by id desc"}), json!({"table": "orders", "parallelism": 3})]
    {
        let result = stand.icehaul.done("/verify", &held(rows.clone())).await;
        assert_eq!((&result["verdict"], &result["checksum_match"]), (&json!("match"), &json!(true)), "{result:#}");
        assert_eq!(result["source_checksum"], load["fingerprint"], "{rows}: of the same rows as the load's");
        let report = stand.report(&result["migration_id"]).await;
        assert_eq!(report["rows"], json!({"source": 20000, "destination": 20000}));
        let origin = format!("mysql://{}:{}/{}", shop.host, shop.port, shop.name);
        assert_eq!(report["source"]["catalog"], json!(origin));
        assert!(!report.to_string().contains(OWNER_PASSWORD), "a password in the report");
    }
    shop.run("update orders set note = 'other' where id = 77").await;
    shop.run("delete from orders where id = 100").await;
    shop.run("update orders set made = made + interval 1 microsecond where id = 200").await;
    let job = stand.icehaul.run("/verify", &held(json!({"table": "orders"}))).await;
    assert_eq!(job["error"]["code"], "verification_failed", "{job:#}");
    assert!(!job.to_string().contains(OWNER_PASSWORD), "a password in the job's document");
    let report = stand.report(&job["job_id"]).await;
    let pairs = report["differences"]["pairs"].as_array().expect("pairs");
    assert_eq!(pairs.len(), 3, "{pairs:#?}");
    let columns: Vec<_> = pairs.iter().map(|pair| pair["columns"].to_string()).collect();
    for named in [r#"["note"]"#, r#"["made"]"#] {
        assert!(columns.iter().any(|columns| columns == named), "{columns:?}");
    }
    let counts = {
        let mut body = held(json!({"query": "select * from orders where id > 5"}));
        body["level"] = "counts".into();
        stand.icehaul.run("/verify", &body).await
    };
    let message = counts["error"]["message"].as_str().expect("a message");
    assert!(message.contains("19994 rows in the source, 20000 in the destination"), "{message}");
    for (query, code) in [
        ("select nothing from nowhere", "source_table_not_found"),
        ("select missing from orders", "source_column_not_found"),
    ] {
        let job = stand.icehaul.run("/verify", &held(json!({"query": query}))).await;
        assert_eq!(job["error"]["code"], code, "{query}: {job:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_such_request_is_refused_and_failures_are_those_of_a_load() {
    let stand = Stand::new().await;
    stand.load("orders", "select 1::int as id").await;
    let refused = async |body: &Value| {
        let (status, problem) = stand.icehaul.post("/verify", body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| format!("{} {}", error["field"], error["code"]).replace('"', "")).collect::<Vec<_>>()
    };
    assert_eq!(refused(&json!({"destination": "raw.orders"})).await, ["source missing_field"]);
    let mut both = request(&stand, json!({"query": "select 1"}), "orders");
    both["source"] = "raw.other".into();
    both["source_snapshot"] = "5".into();
    assert_eq!(refused(&both).await, ["postgres conflicting_fields", "source_snapshot conflicting_fields"]);
    let mut wrong = request(&stand, json!({"query": "select 1", "table": "x", "colour": "red"}), "orders");
    assert_eq!(refused(&wrong).await[0], "postgres.colour unknown_field");
    wrong["postgres"].as_object_mut().expect("fields").remove("colour");
    assert_eq!(refused(&wrong).await, ["postgres.table conflicting_fields"]);
    wrong["postgres"] = json!({"connection": "nowhere", "query": "select 1"});
    assert_eq!(refused(&wrong).await, ["postgres.connection connection_not_found"]);
    wrong["mysql"] = json!({"connection": "elsewhere", "query": "select 1"});
    assert_eq!(refused(&wrong).await, ["mysql conflicting_fields"]);
    wrong.as_object_mut().expect("fields").remove("postgres");
    assert_eq!(refused(&wrong).await, ["mysql.connection connection_not_found"]);
    wrong["mysql"] = json!({"host": "h", "database": "d", "user": "u", "query": "call p()"});
    assert_eq!(refused(&wrong).await, ["mysql.query query_not_allowed"]);
    wrong.as_object_mut().expect("fields").remove("mysql");

    wrong["postgres"] = json!({"host": "h", "database": "d", "user": "u", "query": "delete from orders"});
    assert_eq!(refused(&wrong).await, ["postgres.query query_not_allowed"]);
    let fails = "select 1 / (g - 500) as id from generate_series(1, 1000) g";
    for (query, code) in [("select nothing from nowhere", "source_table_not_found"), (fails, "query_error")] {
        let job = stand.icehaul.run("/verify", &request(&stand, json!({"query": query}), "orders")).await;
        assert_eq!(job["error"]["code"], code, "{query}: {job:#}");
    }
}
