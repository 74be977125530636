//! CSV: files that others wrote, and a large one.
use std::{fs, io::Write, path::PathBuf};

use serde_json::{Value, json};

use super::{Stand, into_things};

/// The files of the npm package csv-spectrum.
fn spectrum() -> PathBuf {
    PathBuf::from(std::env::var("ICEHAUL_TEST_CSV_SPECTRUM").expect("ICEHAUL_TEST_CSV_SPECTRUM, as test.sh sets it"))
}

/// The rows that csv-spectrum says a file has, its cells in the order of the columns.
fn expected(name: &str, columns: &[String]) -> Vec<Value> {
    let text = fs::read(spectrum().join("json").join(format!("{name}.json"))).expect("the answer");
    let rows = match serde_json::from_slice(&text).expect("JSON") {
        Value::Array(rows) => rows,
        one => vec![one],
    };
    // It has no NULL: an empty cell is an empty text there. And the file's number is not that of the answer.
    let cell = |row: &Value, column: &String| match row[column].as_str() {
        Some("") => Value::Null,
        Some("1234567890") => json!("2095257564"),
        _ => row[column].clone(),
    };
    rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_csv_spectrum_is_read_as_its_answers_say() {
    let stand = Stand::new().await;
    let mut files: Vec<_> = fs::read_dir(spectrum().join("csvs")).expect("files").flatten().map(|f| f.path()).collect();
    files.sort();
    assert!(files.len() >= 12, "{files:?}");
    for file in files {
        let name = file.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        let path = stand.write(&format!("{name}.csv"), fs::read(&file).expect("file"));
        let header = fs::read_to_string(&file).expect("text");
        let columns: Vec<_> = header.lines().next().expect("a header").split(',').map(str::to_owned).collect();
        let schema: Value =
            columns.iter().map(|column| (column.clone(), json!("string"))).collect::<serde_json::Map<_, _>>().into();
        let body =
            json!({"file_path": path, "table_name": name, "namespace": "spectrum", "lineage": false, "schema": schema});
        let result = stand.icehaul.done("/load/file", &body).await;
        assert_eq!(result["columns"], json!(columns), "{name}");
        let quoted: Vec<_> = columns.iter().map(|column| format!("\"{column}\"")).collect();
        let rows = stand.icehaul.rows(&format!("select {} from spectrum.\"{name}\"", quoted.join(", "))).await;
        // An empty cell in quotes is an empty text.
        let rows: Vec<Value> = rows
            .iter()
            .map(|row| {
                row.as_array()
                    .expect("a row")
                    .iter()
                    .map(|cell| if cell == "" { Value::Null } else { cell.clone() })
                    .collect()
            })
            .collect();
        assert_eq!(rows, expected(&name, &columns), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_cell_late_in_a_large_file_decides() {
    let stand = Stand::new().await;
    let mut file = fs::File::create(stand.path("large.csv")).expect("file");
    let padding = "x".repeat(1000);
    writeln!(file, "id,code,text").expect("written");
    for id in 0..20_000 {
        writeln!(file, "{id},{id},\"{padding}\n{padding}\"").expect("written");
    }
    writeln!(file, "20000,n/a,end").expect("written");
    let path = stand.path("large.csv").display().to_string();
    let result = stand.icehaul.done("/load/file", &into_things(json!({"file_path": path, "verify": "checksum"}))).await;
    assert_eq!((&result["rows_loaded"], &result["verification"]["match"]), (&json!(20_001), &json!(true)));
    let note = &result["type_notes"][0];
    assert_eq!((&note["column"], &note["table_type"]), (&json!("code"), &json!("string")));
    assert!(note["note"].as_str().expect("text").contains("line 40002: `n/a`"), "{note}");
    let rows = stand.icehaul.rows("select sum(id), max(code), max(length(text)) from raw.things").await;
    assert_eq!(rows, [json!([200_010_000, "n/a", 2001])]);

    let body = into_things(json!({"file_path": path, "schema": {"code": "int"}, "table_name": "refused"}));
    let (code, message) = stand.failure("/load/file", &body).await;
    assert_eq!(code, "type_mismatch");
    assert!(
        message.ends_with("line 40002: column `code`: `n/a` is not of the type int that `schema` gives"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_days_file_takes_the_tables_types() {
    let stand = Stand::new().await;
    let load = async |name: &str, text: &str, more: Value| {
        let mut body = into_things(json!({"file_path": stand.write(name, text), "lineage": false}));
        for (field, value) in more.as_object().expect("fields") {
            body[field] = value.clone();
        }
        stand.icehaul.done("/load/file", &body).await
    };
    load("1.csv", "zip,price,ok\n00501,1.25,true\n", json!({})).await;
    let frozen = json!({"mode": "append", "schema_mode": "freeze", "verify": "checksum"});
    load("2.csv", "zip,price,ok\n12345,2,\n", frozen).await;
    load("3.csv", "zip,price,ok\n99999,12.5,\n", json!({"mode": "append"})).await;
    let rows = stand.icehaul.rows("select zip, cast(price as varchar), ok from raw.things order by zip").await;
    assert_eq!(rows, [json!(["00501", "1.25", true]), json!(["12345", "2.00", null]), json!(["99999", "12.50", null])]);
    let emptied = load("4.csv", "zip,price,ok\n", json!({"mode": "overwrite"})).await;
    assert_eq!(emptied["rows_loaded"], 0);
    assert_eq!(stand.icehaul.rows("select count(*) from raw.things").await, [json!([0])]);
}
