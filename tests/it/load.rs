//! Loads from end to end: PostgreSQL, the queue, a worker, the lake, the answers.
use icehaul_tests::{icehaul::Icehaul, postgres::Database, proxy::Proxy};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{connection, files_below};

/// A database, a data directory, and Icehaul on both.
struct Stand {
    database: Database,
    data: TempDir,
    icehaul: Icehaul,
}

async fn stand() -> Stand {
    let database = Database::new().await;
    let data = TempDir::new().expect("folder");
    let icehaul = Icehaul::up(data.path(), &[]).await;
    Stand { database, data, icehaul }
}

impl Stand {
    /// A load of `orders` with more fields.
    fn request(&self, fields: Value) -> Value {
        let mut body = connection(&self.database);
        body["table_name"] = "orders".into();
        body["namespace"] = "raw".into();
        for (name, value) in fields.as_object().expect("fields") {
            body[name] = value.clone();
        }
        body
    }

    fn data_files(&self) -> Vec<String> {
        let mut files = files_below(self.data.path().join("warehouse").as_path());
        files.retain(|file| file.ends_with(".parquet"));
        files
    }
}

const ORDERS: &str = "create table orders as select g::bigint as id, (g % 7)::int as customer, ('name ' || g)::text as name, \
     (g * 1.25)::numeric(12,2) as amount, timestamptz '2024-01-01 00:00:00Z' + g * interval '1 minute' as at \
     from generate_series(1, 50000) g";

#[tokio::test(flavor = "multi_thread")]
async fn a_table_arrives_exactly_and_says_so() {
    let stand = stand().await;
    stand.database.run(ORDERS).await;
    let result = stand.icehaul.loaded(&stand.request(json!({"table": "orders", "verify": "checksum"}))).await;
    assert_eq!(result["rows_loaded"], 50_000);
    assert_eq!(result["columns"], json!(["id", "customer", "name", "amount", "at"]));
    assert_eq!(result["table"], "raw.orders");
    assert_eq!(result["verification"]["match"], true, "{result:#}");
    assert_eq!(result["verification"]["fingerprint_read"], result["verification"]["fingerprint_written"]);
    let rows = stand
        .icehaul
        .rows("select count(*), sum(id), cast(sum(amount) as varchar), min(name), count(source_system), min(source_system) from raw.orders")
        .await;
    let origin = format!("postgres://{}:{}/{}", stand.database.host, stand.database.port, stand.database.name);
    assert_eq!(rows, [json!([50_000, 1_250_025_000_i64, "1562531250.00", "name 1", 50_000, origin])]);
    let (status, answer) = stand.icehaul.get("/tables/raw/orders/fingerprint?columns=id,customer,name,amount,at").await;
    assert_eq!((status, &answer["fingerprint"]), (StatusCode::OK, &result["fingerprint"]));
    let (status, answer) = stand.icehaul.get("/tables/raw/orders/fingerprint?source_columns=true").await;
    assert_eq!((status, &answer["fingerprint"]), (StatusCode::OK, &result["fingerprint"]), "{answer}");
    assert_eq!(answer["columns"], result["columns"]);
    let (status, answer) = stand.icehaul.get("/tables/raw/orders/fingerprint?source_columns=true&columns=id").await;
    assert_eq!((status, &answer["errors"][0]["field"]), (StatusCode::BAD_REQUEST, &json!("source_columns")));
    let (_, jobs) = stand.icehaul.get("/jobs").await;
    assert_eq!(jobs["jobs"][0]["progress"]["rows"], 50_000, "the last progress stays: {jobs:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn append_overwrite_and_incremental_do_what_they_say() {
    let stand = stand().await;
    stand.database.run(ORDERS).await;
    let count = "select count(*), count(distinct id) from raw.orders";
    stand.icehaul.loaded(&stand.request(json!({"table": "orders", "where": "id <= 100"}))).await;
    stand.icehaul.loaded(&stand.request(json!({"query": "select * from orders where id <= 50"}))).await;
    assert_eq!(stand.icehaul.rows(count).await, [json!([150, 100])]);
    let first = json!({"table": "orders", "where": "id <= 1000", "mode": "overwrite"});
    stand.icehaul.loaded(&stand.request(first)).await;
    assert_eq!(stand.icehaul.rows(count).await, [json!([1000, 1000])]);

    let step = stand.request(json!({"table": "orders", "table_name": "steps", "mode": "incremental", "cursor": "id"}));
    assert_eq!(stand.icehaul.loaded(&step).await["cursor"], json!({"column": "id", "from": null, "to": "50000"}));
    let again = stand.icehaul.loaded(&step).await;
    assert_eq!((&again["unchanged"], &again["rows_loaded"]), (&json!(true), &json!(0)));
    stand
        .database
        .run("insert into orders select id + 50000, customer, name, amount, at from orders where id <= 10")
        .await;
    assert_eq!(stand.icehaul.loaded(&step).await["rows_loaded"], 10);
    let steps = stand.icehaul.rows("select count(*), count(distinct id), max(id) from raw.steps").await;
    assert_eq!(steps, [json!([50_010, 50_010, 50_010])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_belongs_to_its_rows_and_their_source() {
    let stand = stand().await;
    stand.database.run(ORDERS).await;
    stand.database.run("create table others as select * from orders where id <= 7").await;
    let request = |fields: Value| {
        let mut body = stand.request(json!({"mode": "incremental", "cursor": "id", "table": "orders"}));
        fields.as_object().expect("fields").iter().for_each(|(name, value)| body[name] = value.clone());
        body
    };
    let refused = async |fields: Value| {
        let id = stand.icehaul.submit(&request(fields)).await;
        let job = stand.icehaul.ended(&id).await;
        assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("cursor_unknown")), "{job:#}");
        job["error"]["message"].as_str().expect("a message").to_owned()
    };
    let rows = async || stand.icehaul.rows("select count(*), count(distinct id) from raw.orders").await;

    stand.icehaul.loaded(&stand.request(json!({"table": "orders", "where": "id <= 100"}))).await;
    assert!(refused(json!({})).await.contains("has rows, but no cursor"));
    let full = request(json!({"mode": "overwrite"}));
    let (from, to) = (json!(null), json!("50000"));
    assert_eq!(stand.icehaul.loaded(&full).await["cursor"], json!({"column": "id", "from": from, "to": to}));
    assert_eq!(stand.icehaul.loaded(&request(json!({}))).await["rows_loaded"], 0);
    assert_eq!(rows().await, [json!([50_000, 50_000])]);

    assert!(refused(json!({"cursor": "at"})).await.contains("by the cursor `id`"));
    assert!(refused(json!({"table": "others"})).await.contains("others"));
    assert!(refused(json!({"where": "id > 5"})).await.contains("no cursor"));
    let two = request(json!({"table": "others", "cursor_start": "5"}));
    assert_eq!(stand.icehaul.loaded(&two).await["rows_loaded"], 2);
    assert_eq!(stand.icehaul.loaded(&two).await["rows_loaded"], 0, "the start is for the first load only");
    assert_eq!(stand.icehaul.loaded(&request(json!({}))).await["rows_loaded"], 0, "both cursors are kept");
    assert_eq!(rows().await, [json!([50_002, 50_000])]);

    stand.icehaul.loaded(&stand.request(json!({"table": "orders", "where": "id <= 10", "mode": "overwrite"}))).await;
    refused(json!({})).await;
    let beginning = request(json!({"table": "others", "cursor_start": "beginning"}));
    assert_eq!(stand.icehaul.loaded(&beginning).await["rows_loaded"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_loads_into_one_table_make_eight_snapshots() {
    let stand = stand().await;
    stand.database.run(ORDERS).await;
    let mut ids = Vec::new();
    for part in 0..8 {
        let query = format!("select * from orders where id % 8 = {part}");
        ids.push(stand.icehaul.submit(&stand.request(json!({"query": query}))).await);
    }
    for id in ids {
        let job = stand.icehaul.ended(&id).await;
        assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(1)), "{job:#}");
    }
    assert_eq!(
        stand.icehaul.rows("select count(*), count(distinct id) from raw.orders").await,
        [json!([50_000, 50_000])]
    );
    let (_, metadata) = stand.icehaul.get("/tables/raw/orders/metadata").await;
    assert_eq!((&metadata["snapshots"], &metadata["row_count"]), (&json!(8), &json!(50_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rows_still_make_the_table() {
    let stand = stand().await;
    let result =
        stand.icehaul.loaded(&stand.request(json!({"query": "select 1 as a, 'x'::text as b where false"}))).await;
    assert_eq!((&result["rows_loaded"], &result["unchanged"]), (&json!(0), &json!(true)));
    let (status, metadata) = stand.icehaul.get("/tables/raw/orders/metadata").await;
    assert_eq!((status, &metadata["row_count"]), (StatusCode::OK, &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_read_leaves_nothing_behind() {
    let stand = stand().await;
    stand.database.run(ORDERS).await;
    let proxy = Proxy::before(format!("{}:{}", stand.database.host, stand.database.port)).await;
    let request = |fields: Value| {
        let mut body = stand.request(fields);
        body["port"] = proxy.address.port().into();
        body["sslmode"] = "disable".into();
        body
    };
    proxy.cut_after(400_000);
    let job = stand.icehaul.load(&request(json!({"table": "orders", "max_attempts": 1}))).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("source_interrupted")), "{job:#}");
    assert_eq!(stand.icehaul.get("/tables/raw/orders/metadata").await.0, StatusCode::NOT_FOUND);
    assert_eq!(files_below(&stand.data.path().join("warehouse")), Vec::<String>::new());

    stand.icehaul.loaded(&stand.request(json!({"table": "orders"}))).await;
    let before = files_below(&stand.data.path().join("warehouse"));
    proxy.cut_after(400_000);
    let job = stand.icehaul.load(&request(json!({"table": "orders", "mode": "overwrite", "max_attempts": 1}))).await;
    assert_eq!(job["status"], "failed");
    assert_eq!(files_below(&stand.data.path().join("warehouse")), before);
    assert_eq!(stand.icehaul.rows("select count(*) from raw.orders").await, [json!([50_000])]);

    proxy.cut_after(400_000);
    let id = stand.icehaul.submit(&request(json!({"table": "orders", "table_name": "healed"}))).await;
    stand.icehaul.until(&id, |job| !job["attempts"][0]["ended_at"].is_null()).await;
    proxy.heal();
    let job = stand.icehaul.ended(&id).await;
    assert_eq!(job["status"], "succeeded", "{job:#}");
    assert!(job["attempt"].as_u64() > Some(1));
    assert_eq!(
        stand.icehaul.rows("select count(*), count(distinct id) from raw.healed").await,
        [json!([50_000, 50_000])]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_carried_is_refused_by_name() {
    let stand = stand().await;
    stand.database.run("create table wide as select g as id from generate_series(1, 20) g").await;
    let cases = [
        ("select id as a, id as a from wide", "duplicate_column", "`a`"),
        ("select id, 'infinity'::date as d from wide where id = 3", "unrepresentable_value", "`d`"),
        (
            "select id, (case when id = 7 then 'NaN' else '1' end)::numeric(10,2) as n from wide",
            "unrepresentable_value",
            "`n`",
        ),
        ("select id as source_system from wide", "lineage_column_clash", "source_system"),
        ("select nonsense from wide", "source_column_not_found", "nonsense"),
        ("selec 1", "query_not_allowed", ""),
        ("select 1 1 from wide", "query_error", "syntax"),
        ("delete from wide returning id", "query_not_allowed", ""),
        ("select 1 as a; drop table wide", "query_not_allowed", ""),
        ("select 1/0 as a", "query_error", "zero"),
        ("select repeat('x', 200 * 1024 * 1024) as big", "cell_too_large", "`big`"),
    ];
    for (query, code, names) in cases {
        let request = stand.request(json!({"query": query, "max_attempts": 3}));
        let (status, accepted) = stand.icehaul.post("/load/postgres", &request).await;
        if status == StatusCode::UNPROCESSABLE_ENTITY {
            assert_eq!(accepted["code"], code, "{query}: {accepted}");
            continue;
        }
        let job = stand.icehaul.ended(accepted["job_id"].as_str().expect("an id")).await;
        let error = &job["error"];
        assert_eq!((&job["status"], &error["code"]), (&json!("failed"), &json!(code)), "{query}: {job:#}");
        assert_eq!(job["attempt"], 1, "{query} is not worth another attempt");
        assert!(error["message"].as_str().is_some_and(|m| m.contains(names)), "{query}: {error}");
    }
    let mut wrong = stand.request(json!({"table": "no_such_table"}));
    assert_eq!(stand.icehaul.load(&wrong).await["error"]["code"], "source_table_not_found");
    wrong["database"] = "no_such_database".into();
    assert_eq!(stand.icehaul.load(&wrong).await["error"]["code"], "database_not_found");
    wrong["port"] = 1.into();
    wrong["max_attempts"] = 1.into();
    let unreachable = stand.icehaul.load(&wrong).await;
    assert_eq!(
        (&unreachable["error"]["code"], &unreachable["error"]["retryable"]),
        (&json!("source_unreachable"), &json!(true))
    );
    assert_eq!(files_below(&stand.data.path().join("warehouse")), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_hundred_columns_and_partitions_work() {
    let stand = stand().await;
    let columns: Vec<String> = (0..1600).map(|n| format!("{n}::int as c{n}")).collect();
    let query = format!("select {} from generate_series(1, 10)", columns.join(", "));
    let result = stand.icehaul.loaded(&stand.request(json!({"query": query, "table_name": "wide"}))).await;
    assert_eq!(result["columns"].as_array().map(Vec::len), Some(1600));
    assert_eq!(stand.icehaul.rows("select count(*), sum(c1599) from raw.wide").await, [json!([10, 15_990])]);

    stand.database.run(ORDERS).await;
    let by = json!({"table": "orders", "partition_by": ["day(at)", "bucket(4, customer)"], "compression": "snappy", "verify": "checksum"});
    stand.icehaul.loaded(&stand.request(by)).await;
    assert_eq!(
        stand.icehaul.rows("select count(*), count(distinct id) from raw.orders").await,
        [json!([50_000, 50_000])]
    );
    assert!(stand.data_files().len() > 35);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_load_can_be_cancelled() {
    let stand = stand().await;
    stand.database.run(ORDERS).await;
    let slow = "select g as id, pg_sleep(0.01)::text as pause from generate_series(1, 100000) g";
    let id = stand.icehaul.submit(&stand.request(json!({"query": slow}))).await;
    stand.icehaul.until(&id, |job| job["status"] == "running").await;
    let asked = std::time::Instant::now();
    assert_eq!(stand.icehaul.post(&format!("/jobs/{id}/cancel"), &json!({})).await.0, StatusCode::ACCEPTED);
    let job = stand.icehaul.ended(&id).await;
    assert_eq!(job["status"], "cancelled");
    assert!(asked.elapsed().as_secs() < 5, "{:?}", asked.elapsed());
    assert_eq!(files_below(&stand.data.path().join("warehouse")), Vec::<String>::new());
    let running = "select count(*) from pg_stat_activity where query like '%generate_series(1, 100000)%' and pid <> pg_backend_pid() and state = 'active'";
    for _ in 0..200 {
        if stand.database.owner().await.query_one(running, &[]).await.expect("count").get::<_, i64>(0) == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the statement still runs on the server");
}
