//! Planted differences: each is found and named by a verification, and the first differing rows of both sides with it.
use serde_json::{Value, json};

use super::Stand;

/// The rows that all others are compared with.
const ORIGINAL: &str = "select g::int as id, 'name ' || g as name, case when g = 7 then '' else 'note ' || g end as note, \
    case when g = 5 then 0.0 else g / 8.0 end::float8 as ratio, (g * 3)::numeric(12,2) as price, g % 3 = 0 as flag \
    from generate_series(1, 3000) g";

async fn compare(stand: &Stand, table: &str) -> (Value, Value) {
    let body = json!({"source": "raw.original", "destination": format!("raw.{table}")});
    let job = stand.icehaul.run("/verify", &body).await;
    let report = stand.report(&job["job_id"]).await;
    (job, report)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_planted_difference_is_found_and_named() {
    let stand = Stand::new().await;
    stand.load("original", ORIGINAL).await;
    stand.load("shuffled", &format!("select * from ({ORIGINAL}) t order by md5(id::text)")).await;
    let (job, report) = compare(&stand, "shuffled").await;
    assert_eq!((&job["status"], &report["verdict"]), (&json!("succeeded"), &json!("match")), "{job:#}");
    let edited = |what: &str, with: &str| {
        let columns = " id, name, note, ratio, price, flag".replacen(what, with, 1);
        format!("select{columns} from ({ORIGINAL}) t")
    };
    // The table's name, its rows, the columns that are named, how many rows of the source and of the destination are shown.
    let cases = [
        (
            "one_bit",
            edited(" name,", " case when id = 1234 then 'name 1235' else name end as name,"),
            vec!["name"],
            (1, 1),
        ),
        (
            "lost_and_doubled",
            format!("select * from ({ORIGINAL}) t where id <> 11 union all select * from ({ORIGINAL}) t where id = 12"),
            vec![],
            (1, 1),
        ),
        (
            "swapped",
            edited(" note,", " case id when 21 then 'note 22' when 22 then 'note 21' else note end as note,"),
            vec!["note"],
            (2, 2),
        ),
        ("null_for_empty", edited(" note,", " nullif(note, '') as note,"), vec!["note"], (1, 1)),
        (
            "minus_zero",
            edited(" ratio,", " case when id = 5 then '-0'::float8 else ratio end as ratio,"),
            vec!["ratio"],
            (1, 1),
        ),
        (
            "cents",
            edited(" price,", " case when id = 99 then (price + 0.01)::numeric(12,2) else price end as price,"),
            vec!["price"],
            (1, 1),
        ),
    ];
    for (table, query, columns, (here, there)) in cases {
        stand.load(table, &query).await;
        let (job, report) = compare(&stand, table).await;
        assert_eq!(
            (&job["status"], &job["error"]["code"]),
            (&json!("failed"), &json!("verification_failed")),
            "{table}: {job:#}"
        );
        assert_eq!((&report["verdict"], &report["checksum_match"]), (&json!("mismatch"), &json!(false)), "{table}");
        assert_eq!((&report["row_count_match"], &report["schema_match"]), (&json!(true), &json!(true)), "{table}");
        let pairs = report["differences"]["pairs"].as_array().expect("pairs");
        let shown = |side: &str| pairs.iter().filter(|pair| !pair[side].is_null()).count();
        assert_eq!((shown("source"), shown("destination")), (here, there), "{table}: {:#}", report["differences"]);
        assert_eq!(report["differences"]["complete"], true, "{table}");
        if !columns.is_empty() {
            assert!(pairs.iter().all(|pair| pair["columns"] == json!(columns)), "{table}: {pairs:#?}");
        }
        let message = job["error"]["message"].as_str().expect("a message");
        assert!(message.contains("first differing row"), "{table}: {message}");
    }
    // A row with two of its kind there is no row of another kind: both are shown, with their counts.
    let (_, report) = compare(&stand, "lost_and_doubled").await;
    let text = report["differences"]["pairs"].to_string();
    assert!(
        text.contains("\"name 11\"") && text.contains("\"name 12\"") && text.contains("\"destination_count\":2"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_type_scale_or_column_is_found_though_the_values_are_the_same() {
    let stand = Stand::new().await;
    stand.load("original", ORIGINAL).await;
    for (table, what, with, named) in [
        ("type", " id,", " id::bigint as id,", "column `id` is INT in the source and BIGINT in the destination"),
        (
            "scale",
            " price,",
            " price::numeric(12,3) as price,",
            "column `price` is DECIMAL(12, 2) in the source and DECIMAL(12, 3)",
        ),
        ("text", " flag ", " flag::text as flag ", "column `flag` is BOOLEAN in the source and VARCHAR"),
        ("less", ", flag ", " ", "column `flag` is not in the destination"),
    ] {
        let query = format!("select id, name, note, ratio, price, flag from ({ORIGINAL}) t").replacen(what, with, 1);
        stand.load(table, &query).await;
        let (job, report) = compare(&stand, table).await;
        assert_eq!(job["error"]["code"], "verification_failed", "{table}: {job:#}");
        assert_eq!((&report["schema_match"], &report["checksum_match"]), (&json!(false), &json!(true)), "{table}");
        assert!(report["summary"].as_str().is_some_and(|text| text.contains(named)), "{table}: {}", report["summary"]);
    }
    let body = json!({"source": "raw.original", "destination": "raw.type", "level": "counts"});
    assert_eq!(
        stand.icehaul.run("/verify", &body).await["error"]["code"],
        "verification_failed",
        "the type still differs"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_differences_are_shown_by_key_and_snapshots_of_one_table_are_compared() {
    let stand = Stand::new().await;
    let first = stand.load("original", ORIGINAL).await;
    let query = format!("select id, name || '!' as name, note, ratio, price, flag from ({ORIGINAL}) t");
    stand.load("all", &query).await;
    let body = json!({"source": "raw.original", "destination": "raw.all", "key": ["id"], "sample_rows": 3});
    let job = stand.icehaul.run("/verify", &body).await;
    let report = stand.report(&job["job_id"]).await;
    let differences = &report["differences"];
    assert_eq!(differences["differing_rows"], 6000, "{job:#}");
    let pairs = differences["pairs"].as_array().expect("pairs");
    assert_eq!(pairs.len(), 10);
    assert!(pairs.iter().all(|pair| pair["columns"] == json!(["name"]) && !pair["source"].is_null()), "{pairs:#?}");
    // Without a key too a changed row stands beside what it was, as long as there are not too many.
    let some = format!(
        "select id, name, case when id <= 40 then note || '!' else note end as note, ratio, price, flag from ({ORIGINAL}) t"
    );
    stand.load("some", &some).await;
    let (_, report) = compare(&stand, "some").await;
    let pairs = report["differences"]["pairs"].as_array().expect("pairs");
    assert_eq!((pairs.len(), &report["differences"]["complete"]), (10, &json!(false)));
    assert!(
        pairs.iter().all(|pair| pair["columns"] == json!(["note"])
            && pair["source"]["values"][0] == pair["destination"]["values"][0]),
        "{pairs:#?}"
    );
    assert!(report["summary"].to_string().contains("with `key`"), "{}", report["summary"]);
    assert_eq!(differences["complete"], false);

    stand.load("original", "select 1::int as id, null::text as name, null::text as note, null::float8 as ratio, null::numeric(12,2) as price, null::boolean as flag").await;
    let same =
        json!({"source": "raw.original", "destination": "raw.original", "source_snapshot": first["snapshot_id"]});
    let job = stand.icehaul.run("/verify", &same).await;
    assert!(
        job["error"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("3000 rows in the source, 3001 in the destination")),
        "{job:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_are_followed_down_to_their_partitions() {
    let stand = Stand::new().await;
    let rows = "select g as id, case g % 4 when 0 then null when 1 then 'Oslo' else 'Zürich/' || g % 4 end as city, date '2024-01-15' + g / 100 as day from generate_series(1, 9000) g";
    let load = async |table: &str, query: String, by: Value| {
        let mut body = crate::connection(&stand.database);
        for (name, value) in [("query", query.as_str()), ("table_name", table), ("namespace", "raw")] {
            body[name] = value.into();
        }
        body["lineage"] = false.into();
        body["partition_by"] = by;
        stand.icehaul.loaded(&body).await;
    };
    load("plain", rows.to_owned(), json!([])).await;
    load("parted", format!("select id, case id when 5001 then 'Bergen' else city end as city, day from ({rows}) t where id not in (1000, 1004)"), json!(["city", "month(day)"])).await;
    // Either side's partitioning will do.
    for (source, destination, turned) in [("plain", "parted", false), ("parted", "plain", true)] {
        let body =
            json!({"source": format!("raw.{source}"), "destination": format!("raw.{destination}"), "key": ["id"]});
        let job = stand.icehaul.run("/verify", &body).await;
        assert_eq!(job["error"]["code"], "verification_failed", "{job:#}");
        let report = stand.report(&job["job_id"]).await;
        let found = &report["differences"]["partitions"];
        assert_eq!(
            (&found["by"], &found["partitions"], &found["differing"]),
            (&json!("PARTITION BY city, day MONTH"), &json!(17), &json!(3)),
            "{found:#}"
        );
        let seen: Vec<_> = found["first"]
            .as_array()
            .expect("partitions")
            .iter()
            .map(|partition| {
                let sides = ["source_rows", "destination_rows"].map(|side| partition[side].as_u64());
                let name = partition["partition"].as_str().expect("a name").to_owned();
                assert_eq!(partition["source_fingerprint"].is_null(), sides[0] == Some(0), "{partition}");
                (name, if turned { (sides[1], sides[0]) } else { (sides[0], sides[1]) })
            })
            .collect();
        assert!(seen.contains(&("city=Bergen, day_month=2024-03".to_owned(), (Some(0), Some(1)))), "{seen:?}");
        assert!(
            seen.iter().any(|(name, (here, there))| name == "city=Oslo, day_month=2024-03"
                && here.zip(*there).is_some_and(|(here, there)| here == there + 1)),
            "{seen:?}"
        );
        assert!(
            seen.iter().any(|(name, (here, there))| name == "city=null, day_month=2024-01"
                && here.zip(*there).is_some_and(|(here, there)| here == there + 2)),
            "{seen:?}"
        );
        assert!(
            job["error"]["message"]
                .as_str()
                .is_some_and(|text| text.contains("3 of 17 partitions differ, the first is `city=")),
            "{job:#}"
        );
        assert_eq!(report["differences"]["pairs"].as_array().map(Vec::len), Some(3));
        let id = job["job_id"].as_str().expect("an id");
        let page = reqwest::get(format!("{}/api/v1/migrations/{id}/report?format=html", stand.icehaul.url))
            .await
            .expect("an answer")
            .text()
            .await
            .expect("text");
        assert!(page.contains("<td>city=Bergen, day_month=2024-03</td>"), "{page}");
    }
}
