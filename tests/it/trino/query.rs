//! `POST /query` with `engine: "trino"`.
use std::time::Duration;

use icehaul_tests::{icehaul::binary, trino::server};
use serde_json::{Value, json};

use super::{House, Kept};

/// The state of the newest query in whose text the word stands.
async fn state_of(house: &House, word: &str) -> String {
    let sql = format!(
        "SELECT state FROM system.runtime.queries WHERE query LIKE '%{word}%' AND source = 'icehaul' ORDER BY created DESC LIMIT 1"
    );
    house.rows(&sql).await.first().and_then(|row| row[0].as_str().map(str::to_owned)).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_queries_run_on_trino() {
    let name = format!("q{}", uuid::Uuid::new_v4().simple());
    let url = tokio::task::spawn_blocking(server).await.expect("Trino").url.clone();
    let env = [
        ("ICEHAUL_TRINO__URL", url),
        ("ICEHAUL_TRINO__USER", "icehaul".to_owned()),
        ("ICEHAUL_TRINO__CATALOG", name.clone()),
    ];
    let house = House::named(Kept::Sqlite, &name, &env).await;
    let values = "select g as id, 9007199254740992 + g as big, (g * 1.5)::numeric(12,2) as price, 'n' || g as name, timestamp '2024-01-01' + g * interval '1 ms' as local, \
                  timestamptz '2024-01-01 00:00:00Z' + g * interval '1 us' as at, date '2024-01-01' as day, '\\x00ff'::bytea as raw, time '01:02:03' as clock, \
                  array[g, null] as list, 0.1::double precision as ratio, '00000000-0000-0000-0000-000000000001'::uuid as key from generate_series(1, 5) g";
    house.load(values, "raw.v", json!({"lineage": false})).await;

    // The same question gets the same answer, whoever is asked.
    let ask = async |engine: &str, fields: Value| {
        let mut body = json!({"engine": engine, "sql": "SELECT * FROM raw.v ORDER BY id"});
        fields.as_object().into_iter().flatten().for_each(|(field, value)| body[field] = value.clone());
        house.icehaul.post("/query", &body).await
    };
    let (_, embedded) = ask("embedded", json!({})).await;
    let (status, trino) = ask("trino", json!({})).await;
    assert_eq!(status, 200, "{trino}");
    for part in ["columns", "rows", "row_count", "truncated"] {
        assert_eq!(trino[part], embedded[part], "{part}");
    }
    assert_eq!(trino["rows"][0][1], "9007199254740993");
    let (_, some) = ask("trino", json!({"limit": 2})).await;
    assert_eq!((&some["row_count"], &some["truncated"]), (&json!(2), &json!(true)));
    let (_, none) = ask("trino", json!({"sql": "SELECT id FROM raw.v WHERE id > 9"})).await;
    assert_eq!((&none["rows"], &none["columns"][0]["name"]), (&json!([]), &json!("id")));
    let (_, shown) = ask("trino", json!({"sql": "SHOW TABLES FROM raw; -- all"})).await;
    assert_eq!(shown["rows"], json!([["v"]]));

    for (sql, code) in [
        ("SELECT nope FROM raw.v", "invalid_query"),
        ("SELECT * FROM raw.nowhere", "invalid_query"),
        ("SELECT 1/0", "invalid_query"),
        ("DELETE FROM raw.v", "query_not_allowed"),
        ("EXPLAIN ANALYZE DELETE FROM raw.v", "query_not_allowed"),
        ("CALL system.rollback_to_snapshot('raw', 'v', 1)", "query_not_allowed"),
    ] {
        let (status, problem) = ask("trino", json!({"sql": sql})).await;
        assert_eq!((status.as_u16(), problem["code"].as_str()), (422, Some(code)), "{sql}: {problem}");
    }
    let (_, problem) = ask("trino", json!({"sql": "SELECT nope FROM raw.v"})).await;
    assert!(
        problem["detail"].as_str().is_some_and(|text| text.contains("Column 'nope' cannot be resolved")),
        "{problem}"
    );
    assert_eq!(house.count("raw.v").await, 5);

    // When the time is over, or nobody waits any more, the query ends on the cluster too.
    let long = |word: &str| format!("SELECT count(*) AS {word} FROM tpch.sf10000.lineitem");
    let (status, problem) = ask("trino", json!({"sql": long("too_late"), "timeout_seconds": 3})).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (422, Some("query_timeout")), "{problem}");
    let leaving = ask("trino", json!({"sql": long("gone_away")}));
    let _ = tokio::time::timeout(Duration::from_secs(3), leaving).await;
    for word in ["too_late", "gone_away"] {
        let mut state = String::new();
        for _ in 0..100 {
            state = state_of(&house, &format!("AS {word}")).await;
            if state == "FAILED" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(state, "FAILED", "{word}");
    }
    let mut command = tokio::process::Command::new(binary());
    let command =
        command.args(["query", "SELECT count(*) AS n FROM raw.v", "--engine", "trino", "--url", &house.icehaul.url]);
    let printed = command.output().await.expect("icehaul runs");
    assert_eq!(String::from_utf8_lossy(&printed.stdout), "n\n5\n");
}
