//! The original system's Trino statements (`trino/sql/shapes.sql`) over tables that Icehaul loaded from the sample database, across
//! catalogs, with the values that the samples give; and the walk-through of its snapshots.
use std::collections::BTreeMap;

use icehaul_tests::trino::{checkout, jdbc_url};
use serde_json::{Value, json};

use super::{House, Kept};

/// The statements by their number.
fn shapes() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(checkout().join("trino/sql/shapes.sql")).expect("the statements");
    let parts = text.split("\n-- T").skip(1).map(|part| {
        let (head, sql) = part.split_once('\n').expect("a statement");
        (format!("T{}", head.split(' ').next().unwrap_or_default()), sql.trim().to_owned())
    });
    parts.collect()
}

/// The sample database as `samples/init-db.sql` makes it, and a login that may read it.
async fn samples(house: &House) {
    let script = std::fs::read_to_string(checkout().join("samples/init-db.sql")).expect("the samples");
    let script: String =
        script.lines().filter(|line| !line.starts_with('\\')).map(|line| format!("{line}\n")).collect();
    let admin = house.source.admin().await;
    admin.batch_execute(&script).await.expect("the samples");
    let grants = ["public", "sales", "customers", "products", "analytics"]
        .map(|schema| format!("GRANT USAGE ON SCHEMA {schema} TO icehaul_test; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO icehaul_test;"));
    admin.batch_execute(&grants.concat()).await.expect("granted");
}

/// Every table that the statements name.
const TABLES: [(&str, &str); 17] = [
    ("raw.customers", "select * from customers.customer_info"),
    ("raw.orders", "select * from sales.orders"),
    ("raw.table1", "select * from public.table1"),
    ("sales_data.orders", "select * from sales.orders"),
    ("ecommerce.orders", "select * from sales.orders"),
    ("ecommerce.customers", "select customer_id, name as customer_name from customers.customer_info"),
    ("ecommerce.products", "select product_id, product_name from products.product_catalog"),
    ("customer_data.customers", "select customer_id, name from customers.customer_info"),
    ("warehouse.orders", "select order_id, customer_id, product_id from sales.orders"),
    ("realtime.orders_hourly", "select customer_id, product_id, amount, unit_price from sales.orders"),
    (
        "market_data.competitor_prices",
        "select product_id, competitor_price::numeric(10,2) from (values (101, 870.00), (103, 460.00)) v (product_id, competitor_price)",
    ),
    (
        "validation.staging_data",
        "select id, amount::numeric(10,2), customer_id from (values (1, -5.00, 1), (2, 10, null), (3, 20, 3)) v (id, amount, customer_id)",
    ),
    (
        "operational.sales",
        "select customer_id, max(product_id) as product_id from sales.orders where customer_id < 4 group by 1",
    ),
    (
        "historical.sales",
        "select customer_id, amount::numeric(10,2) from (values (1, 10.50), (3, 20)) v (customer_id, amount)",
    ),
    (
        "competitive.pricing",
        "select product_id, competitor_price::numeric(10,2) from (values (107, 70.00)) v (product_id, competitor_price)",
    ),
    ("analytics.orders", "select order_id as id, customer_id, amount, status, created_at from sales.orders"),
    (
        "staging.orders",
        "select order_id as id, customer_id, amount, 'completed' as status, created_at from sales.orders where order_id in (1004, 1010) \
         union all select 1016, 2, 12.50::numeric(10,2), 'pending', timestamp '2024-06-01 08:00:00'",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn slow_the_statements_of_the_original_give_what_the_samples_hold() {
    let house = House::named(Kept::Postgres, "iceberg", &[]).await;
    samples(&house).await;
    for (table, query) in TABLES {
        house.load(query, table, json!({})).await;
    }
    let raw = house.data.path().join("raw/products");
    std::fs::create_dir_all(&raw).expect("a folder");
    std::fs::write(
        raw.join("products.csv"),
        "id,product_name\n101,\"Laptop 14\"\"\"\n103,\"Desk, standing\"\n107,Backpack 30 l\n",
    )
    .expect("written");
    let (user, password) = ("admin".to_owned(), "admin123".to_owned());
    let variables =
        [("POSTGRES_JDBC_URL", jdbc_url(&house.source)), ("POSTGRES_USER", user), ("POSTGRES_PASSWORD", password)];
    house.trino.create_catalog("postgres", "catalogs/postgres.properties", &variables).await;
    let metastore = format!("local://{}", house.data.path().join("hive").display());
    house.trino.create_catalog("s3", "catalogs/s3.properties", &[("HIVE_METASTORE", metastore)]).await;
    house.run("CREATE SCHEMA s3.datalake").await;
    // The files lie where anybody puts them; columns of CSV are text for Hive's connector.
    let files = format!(
        "CREATE TABLE s3.datalake.products_csv (id varchar, product_name varchar) \
         WITH (format = 'CSV', skip_header_line_count = 1, external_location = 'local://{}')",
        raw.display()
    );
    house.run(&files).await;
    house.run("CREATE VIEW s3.datalake.products AS SELECT CAST(id AS integer) AS id, product_name FROM s3.datalake.products_csv").await;

    let snapshot = house.snapshots("ecommerce.orders").await[0]["snapshot_id"].as_str().expect("an id").to_owned();
    let sql = "SELECT max(committed_at) FROM (SELECT committed_at FROM {}.ecommerce.\"orders$snapshots\" UNION ALL SELECT committed_at FROM {}.raw.\"customers$snapshots\") t";
    let moment = house.one(sql).await.as_str().expect("a time").to_owned();
    // What came later is not there then.
    house.load("select * from sales.orders", "ecommerce.orders", json!({})).await;
    house.load("select * from customers.customer_info", "raw.customers", json!({"mode": "overwrite"})).await;

    let shapes = shapes();
    assert_eq!(shapes.len(), 37);
    let expected = expected();
    for (id, sql) in &shapes {
        let sql = sql.replace("{moment}", &moment).replace("{snapshot}", &snapshot);
        let answer = house.trino.query(&sql).await.unwrap_or_else(|message| panic!("{id}: {message}: {sql}"));
        match expected.get(id.as_str()) {
            Some(Seen::Rows(rows)) => assert_eq!(&Value::Array(answer.rows), rows, "{id}: {sql}"),
            Some(Seen::Among(rows)) => {
                assert!(rows.iter().all(|row| answer.rows.contains(row)), "{id}: {:?}", answer.rows)
            }
            Some(Seen::Count(rows)) => assert_eq!(answer.rows.len(), *rows, "{id}: {sql}"),
            Some(Seen::Changed(rows)) => assert_eq!(answer.changed, Some(*rows), "{id}: {sql}"),
            Some(Seen::Done) => {}
            None => panic!("{id} has no expectation"),
        }
    }
    // What the changing ones left, as Icehaul sees it.
    let status = "SELECT status, count(*) FROM analytics.orders GROUP BY status ORDER BY status";
    assert_eq!(
        house.icehaul.rows(status).await,
        [json!(["completed", 7]), json!(["pending", 2]), json!(["shipped", 6])]
    );
    assert_eq!(house.icehaul.rows("SELECT count(*), count(discount) FROM analytics.orders").await, [json!([15, 0])]);
    assert_eq!(house.icehaul.rows("SELECT count(*) FROM raw.orders WHERE status = 'shipped'").await, [json!([4])]);
    assert_eq!(house.count("analytics.events").await, 0);
    let mut pyiceberg = house.engine("pyiceberg").await;
    for table in ["analytics.orders", "raw.orders", "ecommerce.orders", "analytics.events"] {
        house.agrees(&mut pyiceberg, table, "the statements").await;
    }
}

/// What a statement gives.
enum Seen {
    /// These rows.
    Rows(Value),
    /// These among others.
    Among(Vec<Value>),
    /// So many rows.
    Count(usize),
    /// So many rows changed.
    Changed(u64),
    /// Nothing.
    Done,
}

fn expected() -> BTreeMap<&'static str, Seen> {
    use Seen::{Among, Changed, Count, Done, Rows};
    let names = [
        "Ana Silva",
        "Ben Okafor",
        "Chen Wei",
        "Dana Müller",
        "Elif Yılmaz",
        "Frank O'Neill",
        "Grace Kim",
        "Hugo Martín",
        "Ines \"Nina\" Roy",
        "李 娜",
    ];
    let customers = [1, 2, 3, 4, 5, 4, 6, 7, 8, 9, 1, 2, 3, 7, 10];
    let with_names = (1001..).zip(customers).map(|(order, customer): (i32, usize)| json!([order, names[customer - 1]]));
    let city = |name: &str| json!([name, 1]);
    let mut cities: Vec<Value> =
        ["Galway", "Hamburg", "Izmir", "Lagos", "Lisbon", "Seoul", "Singapore", "Valencia", "Vancouver"]
            .map(city)
            .into();
    cities.push(json!([null, 1]));
    let best = json!([
        [7, 2, "1886.00"],
        [3, 2, "1348.50"],
        [1, 2, "998.96"],
        [10, 1, "899.00"],
        [5, 1, "567.00"],
        [4, 2, "481.50"],
        [2, 2, "209.88"],
        [9, 1, "189.00"],
        [8, 1, "79.95"],
        [6, 1, "71.40"]
    ]);
    let ranked = best.as_array().into_iter().flatten().enumerate().map(|(n, row)| json!([row[0], row[2], n + 1]));
    let later = json!([
        [1006, "Dana Müller", "Desk, standing", "449.50"],
        [1007, "Frank O'Neill", "Café mug", "71.40"],
        [1008, "Grace Kim", "Laptop 14\"", "1758.00"],
        [1009, "Hugo Martín", "Backpack 30 l", "79.95"],
        [1010, "Ines \"Nina\" Roy", "Office chair", "189.00"],
        [1011, "Ana Silva", "Wireless mouse", "99.96"],
        [1012, "Ben Okafor", "Backpack 30 l", "159.90"],
        [1013, "Chen Wei", "Laptop 14\"", "899.00"],
        [1014, "Grace Kim", "Notebook, ruled, A5", "128.00"],
        [1015, "李 娜", "Desk, standing", "899.00"]
    ]);
    // T07 reads ecommerce.orders, which was loaded twice.
    let twice: Vec<Value> = later.as_array().into_iter().flatten().flat_map(|row| [row.clone(), row.clone()]).collect();
    let three = json!([
        [1001, "Ana Silva", "Laptop 14\""],
        [1003, "Chen Wei", "Desk, standing"],
        [1006, "Dana Müller", "Desk, standing"],
        [1008, "Grace Kim", "Laptop 14\""],
        [1009, "Hugo Martín", "Backpack 30 l"],
        [1012, "Ben Okafor", "Backpack 30 l"],
        [1013, "Chen Wei", "Laptop 14\""],
        [1015, "李 娜", "Desk, standing"]
    ]);
    BTreeMap::from([
        ("T01", Among(vec![json!(["iceberg"]), json!(["postgres"]), json!(["s3"])])),
        ("T02", Rows(json!([["raw", "customers"], ["raw", "orders"], ["raw", "table1"]]))),
        ("T03", Count(10)),
        ("T04", Rows(cities.into())),
        (
            "T05",
            Rows(json!([
                [1001, "899.00", "completed"],
                [1006, "449.50", "completed"],
                [1012, "159.90", "completed"],
                [1014, "128.00", "completed"]
            ])),
        ),
        (
            "T06",
            Rows(json!([
                [1001, "Ana Silva", "899.00", "2023-11-03"],
                [1005, "Elif Yılmaz", "567.00", "2023-12-31"],
                [1008, "Grace Kim", "1758.00", "2024-02-02"],
                [1013, "Chen Wei", "899.00", "2024-04-09"],
                [1015, "李 娜", "899.00", "2024-05-06"]
            ])),
        ),
        ("T07", Rows(twice.into())),
        ("T08", Rows(with_names.collect())),
        ("T09", Count(15)),
        ("T10", Rows(three)),
        ("T11", Rows((1..=10).map(|n| json!([n, n * n, n * n * n])).collect())),
        (
            "T12",
            Rows(json!([
                ["Africa", 2, "209.88", "104.94"],
                ["Asia", 5, "3801.50", "760.30"],
                ["Europe", 6, "1631.81", "271.97"],
                ["North America", 2, "1088.00", "544.00"]
            ])),
        ),
        ("T13", Rows(best.clone())),
        ("T14", Rows(ranked.collect())),
        (
            "T15",
            Rows(json!([
                [101, "870.00", "3556.00", "-22.33"],
                [102, null, "149.94", null],
                [103, "460.00", "1798.00", "10.50"],
                [104, null, "756.00", null],
                [105, null, "160.00", null],
                [106, null, "71.40", null],
                [107, null, "239.85", null]
            ])),
        ),
        ("T16", Rows(json!([[1], [2]]))),
        ("T17", Rows(json!([[1, "10.50", null], [2, null, "70.00"], [3, "20.00", null]]))),
        ("T18", Rows(json!([[15]]))),
        ("T19", Rows(json!([[10]]))),
        ("T20", Rows(json!([[15]]))),
        ("T21", Rows(json!([[true, true], [true, false]]))),
        ("T22", Rows(json!([[2]]))),
        ("T23", Rows(json!([["append", "15"], ["append", "30"]]))),
        ("T24", Changed(1)),
        ("T25", Changed(3)),
        ("T26", Changed(1)),
        ("T27", Changed(1)),
        ("T28", Changed(3)),
        ("T29", Done),
        ("T30", Done),
        ("T31", Done),
        ("T32", Done),
        ("T33", Done),
        ("T34", Rows(json!([[101, "Laptop 14\""], [103, "Desk, standing"], [107, "Backpack 30 l"]]))),
        ("T35", Rows(json!([[1]]))),
        ("T36", Rows(json!([[1]]))),
        ("T37", Rows(json!([[10, 10]]))),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_the_walk_through_of_snapshots() {
    let house = House::new(Kept::Sqlite).await;
    let rows = |from: u32, to: u32| format!("select g as id, 'pending' as status from generate_series({from}, {to}) g");
    house.load(&rows(1, 100), "analytics.orders", json!({})).await;
    let count = async || house.one("SELECT count(*) FROM {}.analytics.orders").await;
    assert_eq!(count().await, 100);
    let first = house.snapshots("analytics.orders").await[0]["snapshot_id"].as_str().expect("an id").to_owned();
    house.load(&rows(101, 150), "analytics.orders", json!({})).await;
    assert_eq!(count().await, 150);
    let second = house.snapshots("analytics.orders").await[0]["snapshot_id"].as_str().expect("an id").to_owned();
    assert_eq!(house.run("UPDATE {}.analytics.orders SET status = 'shipped' WHERE id <= 10").await, Some(10));
    assert_eq!(count().await, 150);
    assert_eq!(house.run("DELETE FROM {}.analytics.orders WHERE id > 145").await, Some(5));
    assert_eq!(count().await, 145);
    for (id, rows) in [(first, 100), (second, 150)] {
        let sql = format!("SELECT count(*) FROM {{}}.analytics.orders FOR VERSION AS OF {id}");
        assert_eq!(house.one(&sql).await, rows);
        let sql = format!("SELECT count(*) FROM analytics.orders FOR VERSION AS OF {id}");
        assert_eq!(house.icehaul.rows(&sql).await, [json!([rows])]);
    }
    assert_eq!(house.count("analytics.orders").await, 145);
    assert_eq!(
        house.icehaul.rows("SELECT count(*) FROM analytics.orders WHERE status = 'shipped'").await,
        [json!([10])]
    );
    assert_eq!(house.snapshots("analytics.orders").await.len(), 4);
}
