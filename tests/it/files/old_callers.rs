//! The calls of the older system's users, word for word, in the spelling of either of its services.
use serde_json::{Map, Value, json};

use super::{Stand, csv, put, store};

/// `table_name` as `tableName`.
fn camel_case(body: &Value) -> Value {
    let name = |name: &str| {
        let mut words = name.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |all, word| all + &word[..1].to_uppercase() + &word[1..])
    };
    Value::Object(
        body.as_object().expect("fields").iter().map(|(key, value)| (name(key), value.clone())).collect::<Map<_, _>>(),
    )
}

/// A Parquet file of some rows, as Icehaul itself writes it.
async fn parquet(stand: &Stand, rows: usize) -> Vec<u8> {
    let path = stand.write("made.csv", csv(1, rows));
    let body = json!({"file_path": path, "namespace": "made", "table_name": "parquet", "lineage": false});
    stand.icehaul.done("/load/file", &body).await;
    let files = crate::files_below(&stand.data.path().join("warehouse/made"));
    let file = files.iter().find(|file| file.ends_with(".parquet")).expect("a data file");
    std::fs::read(file).expect("its bytes")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_systems_calls_load_and_answer_as_they_did() {
    let server = store();
    for bucket in ["data-exports", "exports", "archive"] {
        server.make_bucket(bucket).expect("bucket");
    }
    let buckets = ("ICEHAUL_CONNECTIONS__STORE__BUCKETS", "datalake,data-exports,exports,archive".to_owned());
    let stand = Stand::beside(&server, &[buckets]).await;
    let products = parquet(&stand, 40).await;
    put(&server, "data-exports", "monthly/products.parquet", &products);
    put(&server, "datalake", "data/products.parquet", &products);
    put(&server, "datalake", "input/sales.csv", csv(1, 20));
    put(&server, "datalake", "input/data.csv", csv(1, 30));
    let customers = stand.write("data/customers.csv", csv(1, 10));
    let goods = stand.write("data/products.parquet", &products);
    let results = stand.write("data/analysis_results.csv", csv(1, 5));

    let s3 = |bucket: &str, key: &str, format: &str, table: &str, namespace: &str| json!({"bucket": bucket, "key": key, "format": format, "table_name": table, "namespace": namespace});
    let by_path = json!({
        "s3_path": "s3a://datalake/data/products.parquet", "format": "parquet", "table_name": "products", "namespace": "raw",
        "endpoint": server.endpoint(), "access_key": icehaul_tests::s3::ACCESS_KEY, "secret_key": icehaul_tests::s3::SECRET_KEY,
    });
    let file = |path: &str, format: &str, table: &str| json!({"file_path": path, "format": format, "table_name": table, "namespace": "raw"});
    let columns = json!(["id", "name"]);
    // Row of the table of calls, call, body, and the keys of both older services with what they say.
    let calls = [
        (
            2,
            "/load/s3",
            s3("data-exports", "monthly/products.parquet", "parquet", "products", "ecommerce"),
            json!({"table": "ecommerce.products", "rows_loaded": 40, "s3_source": "s3://data-exports/monthly/products.parquet"}),
        ),
        (
            11,
            "/load/s3",
            by_path,
            json!({"table": "raw.products", "rows": 40, "s3_path": "s3a://datalake/data/products.parquet", "message": "Data loaded from S3"}),
        ),
        (12, "/load/file", file(&customers, "csv", "customers"), json!({"table": "raw.customers", "rows": 10})),
        (
            15,
            "/load/s3",
            s3("datalake", "input/sales.csv", "csv", "sales", "raw"),
            json!({"table": "raw.sales", "rows_loaded": 20, "s3_source": "s3://datalake/input/sales.csv"}),
        ),
        (
            18,
            "/load/file",
            file(&goods, "parquet", "products"),
            json!({"table": "raw.products", "rows_loaded": 40, "columns": columns}),
        ),
        (
            20,
            "/upload/s3",
            json!({"file_path": results, "bucket": "datalake", "key": "output/analysis_results.csv"}),
            json!({"file": results, "s3_location": "s3://datalake/output/analysis_results.csv"}),
        ),
        (
            31,
            "/load/s3",
            s3("datalake", "input/data.csv", "csv", "imported_data", "raw"),
            json!({"table": "raw.imported_data", "rows_loaded": 30, "s3_source": "s3://datalake/input/data.csv"}),
        ),
    ];
    for (row, path, body, keys) in calls {
        for body in [body.clone(), camel_case(&body)] {
            let result = stand.icehaul.done(path, &body).await;
            assert_eq!(result["status"], "success", "{row}");
            for (key, value) in keys.as_object().expect("keys") {
                assert_eq!(&result[key], value, "{row}: {key} of {result:#}");
            }
        }
    }
    let rows = stand.icehaul.rows("select count(*), count(distinct id) from raw.imported_data").await;
    assert_eq!(rows, [json!([60, 30])], "each call was one load");
}
