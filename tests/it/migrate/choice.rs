//! Which columns a verification compares.
use icehaul_tests::icehaul::binary;
use serde_json::{Value, json};

use super::Stand;

/// Two tables of the same rows, each loaded by itself: only the columns that Icehaul adds differ.
async fn loaded_twice() -> Stand {
    let stand = Stand::new().await;
    let query =
        "select g::int as id, 'name ' || g as name, (g / 8.0)::numeric(12,3) as price from generate_series(1, 500) g";
    for table in ["a", "b"] {
        let mut body = crate::connection(&stand.database);
        for (name, value) in [("query", query), ("table_name", table), ("namespace", "raw")] {
            body[name] = value.into();
        }
        stand.icehaul.loaded(&body).await;
    }
    stand
}

fn asked(fields: Value) -> Value {
    let mut body = json!({"source": "raw.a", "destination": "raw.b"});
    for (name, value) in fields.as_object().expect("fields") {
        body[name] = value.clone();
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_are_not_meant_are_left_out() {
    let stand = loaded_twice().await;
    let all = stand.icehaul.run("/verify", &asked(json!({}))).await;
    assert_eq!(all["error"]["code"], "verification_failed", "each load has its own time: {all:#}");

    let result = stand.icehaul.done("/verify", &asked(json!({"source_columns": true}))).await;
    assert_eq!((&result["verdict"], &result["column_count"]), (&json!("match"), &json!(3)), "{result:#}");
    let report = stand.report(&result["migration_id"]).await;
    assert_eq!(report["fingerprints"]["columns"], json!(["id", "name", "price"]));
    let not_checked = report["not_checked"].to_string();
    assert!(not_checked.contains("Columns that were not asked for: scraped_at, source_system"), "{not_checked}");
    // The very command compares the same columns again, and that comparison can be repeated too.
    let command = report["verify_again"].as_str().expect("a command").to_owned();
    let mut again: Vec<_> = command.split_whitespace().skip(1).collect();
    again.extend(["--url", &stand.icehaul.url]);
    let output = tokio::process::Command::new(binary()).args(&again).output().await.expect("icehaul runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let again = stand.icehaul.done("/verify", &json!({"report": result["migration_id"]})).await;
    let thrice = stand.icehaul.done("/verify", &json!({"report": again["migration_id"]})).await;
    assert_eq!((&thrice["verdict"], &thrice["column_count"]), (&json!("match"), &json!(3)), "{thrice:#}");

    // A key whose type differs helps nobody, and does not hide what differs.
    let text = "select g::text as id, case when g = 7 then 'x' else 'name ' || g end as name, (g / 8.0)::numeric(12,3) as price from generate_series(1, 500) g";
    stand.load("c", text).await;
    let keyed = json!({"source": "raw.a", "destination": "raw.c", "columns": ["id", "name", "price"], "key": ["id"]});
    let job = stand.icehaul.run("/verify", &keyed).await;
    let message = job["error"]["message"].as_str().expect("a message");
    assert!(message.contains("column `id` is INT") && message.contains("they differ in `name`"), "{message}");

    let two = stand.icehaul.done("/verify", &asked(json!({"columns": ["price", "id"], "level": "schema"}))).await;
    assert_eq!(two["column_count"], 2, "{two:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_report_is_held_to_what_it_compared() {
    let stand = loaded_twice().await;
    let by_columns = asked(json!({"columns": ["id", "name", "price"]}));
    let first = stand.icehaul.done("/verify", &by_columns).await;
    let again = async |fields: Value| {
        let mut body = json!({"report": first["migration_id"]});
        fields.as_object().expect("fields").iter().for_each(|(name, value)| body[name] = value.clone());
        let result = stand.icehaul.done("/verify", &body).await;
        let report = stand.report(&result["migration_id"]).await;
        (report["summary"].to_string(), report["not_checked"].to_string())
    };
    let (summary, _) = again(json!({})).await;
    assert!(summary.contains("as report"), "{summary}");
    for (fields, why) in
        [(json!({"level": "counts"}), "values were not compared"), (json!({"columns": ["id"]}), "other columns")]
    {
        let (summary, not_checked) = again(fields).await;
        assert!(!summary.contains("as report") && not_checked.contains(why), "{summary} {not_checked}");
    }
    // A report of numbers compares no values, and finds other numbers.
    let counts = stand.icehaul.done("/verify", &asked(json!({"level": "counts"}))).await;
    let repeated = stand.icehaul.done("/verify", &json!({"report": counts["migration_id"]})).await;
    assert_eq!(repeated["verdict"], "match", "{repeated:#}");

    // A schema change makes no snapshot: what the report compared is still there by its names.
    stand.first_contact().await;
    crate::pyiceberg::python(&["iceberg.py", &stand.sqlite(), "default", "rename", "raw.a", "name", "label"]).await;
    let (summary, _) = again(json!({})).await;
    assert!(summary.contains("as report"), "{summary}");
    let now = stand.icehaul.run("/verify", &by_columns).await;
    assert!(now["error"]["message"].to_string().contains("`name` is not in the source"), "{now:#}");

    // One table under two names is no comparison.
    let same = json!({"source": "default.raw.b", "destination": "raw.b"});
    assert_eq!(stand.icehaul.run("/verify", &same).await["error"]["code"], "same_table");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_no_columns_are_told_before_anything_is_read() {
    let stand = loaded_twice().await;
    for (fields, named) in [
        (json!({"columns": ["id", "nmae"]}), "columns.1"),
        (json!({"key": ["idd"]}), "key.0"),
        (json!({"columns": ["name"], "key": ["id"]}), "key.0"),
    ] {
        let job = stand.icehaul.run("/verify", &asked(fields.clone())).await;
        assert_eq!(job["error"]["code"], "source_column_not_found", "{fields}: {job:#}");
        let message = job["error"]["message"].as_str().expect("a message");
        assert!(
            message.starts_with(&format!("{named}: ")) && message.contains("those of the source are "),
            "{message}"
        );
    }
    for (fields, named, code) in [
        (json!({"columns": ["id"], "source_columns": true}), "source_columns", "conflicting_fields"),
        (json!({"columns": ["id", "id"]}), "columns.1", "duplicate_field"),
        (json!({"columns": (0..85_000).map(|n| format!("c{n}")).collect::<Vec<_>>()}), "columns", "invalid_field"),
        (json!({"postgres": {"a\u{1}": 1}}), "postgres.a\\u{1}", "unknown_field"),
        (json!({"key": ["id", "id"]}), "key.1", "duplicate_field"),
    ] {
        let (_, answer) = stand.icehaul.post("/verify", &asked(fields)).await;
        assert_eq!(
            (&answer["errors"][0]["field"], &answer["errors"][0]["code"]),
            (&json!(named), &json!(code)),
            "{answer:#}"
        );
    }
    // One wrong field is one fault: what it stands for is not said to be missing.
    for body in [json!({"postgres": {"hots": "x"}, "destination": "raw.a"}), json!({"report": "not an id"})] {
        let (_, answer) = stand.icehaul.post("/verify", &body).await;
        let missing = |error: &&Value| error["code"] == "missing_field" && !error["field"].to_string().contains('.');
        let errors = answer["errors"].as_array().expect("errors");
        assert!(!errors.is_empty() && errors.iter().find(missing).is_none(), "{answer:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_no_defect_of_icehaul() {
    let stand = loaded_twice().await;
    let file = stand.data_files().into_iter().find(|path| path.contains("/raw/b/")).expect("a file");
    let mut bytes = std::fs::read(&file).expect("bytes");
    bytes.iter_mut().skip(4).take(2000).for_each(|byte| *byte = !*byte);
    std::fs::write(&file, bytes).expect("written");
    let job = stand.icehaul.run("/verify", &asked(json!({"columns": ["id"]}))).await;
    assert_eq!((&job["error"]["code"], &job["attempt"]), (&json!("source_file_damaged"), &json!(1)), "{job:#}");
    let message = job["error"]["message"].as_str().expect("a message");
    // Nor is one that is larger than the table says; its beginning is no copy of it.
    let other = stand.data_files().into_iter().find(|path| path.contains("/raw/a/")).expect("a file");
    let longer = [std::fs::read(&other).expect("bytes"), b"more".to_vec()].concat();
    std::fs::write(&other, longer).expect("written");
    let copied = super::request("raw.a", "kept.a", json!({"copy": "files"}));
    assert_eq!(stand.icehaul.run("/migrate", &copied).await["error"]["code"], "source_file_damaged");
    assert!(message.contains("raw.b") && message.contains(file.rsplit('/').next().expect("a name")), "{message}");
}
