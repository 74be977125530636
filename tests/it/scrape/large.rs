//! More pages than memory, on object storage; and what other programs see of the tables.
use std::path::Path;

use icehaul_tests::{
    icehaul::{Icehaul, binary},
    s3::{ACCESS_KEY, S3Server, SECRET_KEY},
    site::Site,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::service::{Service, Shelf, asked, environment, request};

const BUCKET: &str = "lakehouse";

/// A warehouse in a bucket, and no memory for pages.
fn on_s3(store: &S3Server, data: &TempDir) -> Vec<(&'static str, String)> {
    vec![
        ("ICEHAUL_CATALOGS__DEFAULT__KIND", "sqlite".into()),
        ("ICEHAUL_CATALOGS__DEFAULT__PATH", data.path().join("catalog.db").display().to_string()),
        ("ICEHAUL_CATALOGS__DEFAULT__WAREHOUSE", format!("s3://{BUCKET}/warehouse")),
        ("ICEHAUL_CATALOGS__DEFAULT__S3__ENDPOINT", store.endpoint()),
        ("ICEHAUL_CATALOGS__DEFAULT__S3__ACCESS_KEY", ACCESS_KEY.into()),
        ("ICEHAUL_CATALOGS__DEFAULT__S3__SECRET_KEY", SECRET_KEY.into()),
        ("ICEHAUL_LIMITS__MAX_KEPT_BYTES", "1".into()),
        ("ICEHAUL_QUEUE__LEASE_SECONDS", "2".into()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_do_not_fit_into_memory_are_read_twice_and_asked_once() {
    let (site, data) = (Site::start().await, TempDir::new().expect("a folder"));
    let store = S3Server::with_bucket(BUCKET).expect("an S3 server");
    let mut env = environment(&on_s3(&store, &data));
    env.push(("ICEHAUL_FAILPOINTS", "scrape.checkpoint=exit".to_owned()));
    let mut first = Icehaul::up(data.path(), &env).await;
    let pagination = json!({"style": "page", "size": 50, "max_pages": 4});
    let fields = json!({"selector": "table.rows", "pagination": pagination, "delay_seconds": 2.5, "max_attempts": 5});
    let id = first.submit_to("/scrape", &request(&site.url("/list"), "pages", fields)).await;
    first.process.ended().await;
    let pages = |store: &S3Server| store.keys(BUCKET).iter().filter(|key| key.ends_with(".warc.gz")).count();
    assert_eq!(pages(&store), 1, "{:?}", store.keys(BUCKET));
    let second = Icehaul::up(data.path(), &environment(&on_s3(&store, &data))).await;
    let job = second.ended(&id).await;
    assert_eq!((&job["status"], &job["result"]["rows_scraped"]), (&json!("succeeded"), &json!(200)), "{job:#}");
    assert_eq!(asked(&site).len(), 4, "{:?}", asked(&site));
    assert_eq!(pages(&store), 0, "{:?}", store.keys(BUCKET));
    let places =
        "select count(*), sum(id), count(distinct page_number) from web.pages where page_number = (id - 1) / 50 + 1";
    assert_eq!(second.rows(places).await, [json!([200, 200 * 201 / 2, 4])]);
    let service = Service { icehaul: second, data };
    let types: Vec<_> = service.types("pages").await.into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(types[..5], ["INT", "VARCHAR", "DECIMAL(5, 2)", "VARCHAR", "DATE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_table_takes_little_memory() {
    let (service, shelf) = (Service::new().await, Shelf::new().await);
    let row = |n: usize| format!("<tr><td>{n}<td>name {n}<td>{}.50</td></tr>\n", n % 1000);
    let rows: String = (0..40_000).map(row).collect();
    let url = shelf.html("/large", &format!("<table><tr><th>id<th>name<th>price</tr>{rows}</table>"));
    assert_eq!(service.scrape(&url, "large", json!({})).await["rows_scraped"], 40_000);
    let sums = service.icehaul.rows("select count(*), sum(id), count(distinct name) from web.large").await;
    assert_eq!(sums, [json!([40_000, 40_000_u64 * 39_999 / 2, 40_000])]);
    let peak = service.icehaul.process.peak_bytes() >> 20;
    assert!(peak < 300, "{peak} MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn pyiceberg_reads_what_was_scraped() {
    let (service, shelf) = (Service::new().await, Shelf::new().await);
    let answer = json!({"rows": [
        {"id": 1, "at": "2024-05-01T10:00:00+02:00", "price": 1.5, "ok": true, "who": {"n": [1, 2]}},
        {"id": 4_000_000_000_u64, "at": null, "price": 12.25, "ok": false},
    ]});
    let url = shelf.json("/rows", &answer);
    service.scrape_api(&url, "rows", json!({"selector": "rows", "nested": "struct"})).await;
    let python = std::env::var("ICEHAUL_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let catalog = format!("sqlite:///{}", service.data.path().join("catalog.db").display());
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("py");
    let arguments = ["iceberg.py", &catalog, "default", "show", "web.rows"];
    let output = Command::new(python).args(arguments).current_dir(scripts).output().await.expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let kind = |name: &str| seen["schema"][name][1].as_str().expect(name).to_owned();
    let kinds = ["id", "at", "price", "ok", "source_url", "scraped_timestamp", "page_number"].map(kind);
    assert_eq!(kinds, ["long", "timestamptz", "decimal(4, 2)", "boolean", "string", "timestamptz", "int"]);
    assert!(kind("who").starts_with("struct<"), "{}", kind("who"));
    assert_eq!(seen["values"]["price"], json!(["1.50", "12.25"]));
    assert_eq!((&seen["rows"], &seen["values"]["source_url"][0]), (&json!(2), &json!(url)));
    assert_eq!(seen["snapshots"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_scrapes() {
    let (service, site) = (Service::new().await, Site::start().await);
    let run = |arguments: Vec<String>| {
        let mut command = Command::new(binary());
        command.args(arguments).env("ICEHAUL_URL", &service.icehaul.url);
        async move { command.output().await.expect("icehaul runs") }
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let page =
        format!("scrape {} --selector table.rows --namespace web --table-name page --json", site.url("/pages/3"));
    let output = run(words(&page)).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let job: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&job["kind"], &job["result"]["rows_scraped"]), (&json!("scrape.html"), &json!(50)), "{job:#}");
    let api = format!(
        "scrape {} --api --selector data.items --params size=7 --pagination style=page --pagination max_pages=2 \
         --delay-seconds 0 --namespace web --table-name api",
        site.url("/api/page")
    );
    let output = run(words(&api)).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(service.icehaul.rows("select count(*) from web.api").await, [json!([14])]);
    let wrong = run(words("scrape https://example.org/ --selector //div --namespace web --table-name t")).await;
    assert_eq!(wrong.status.code(), Some(2), "{}", String::from_utf8_lossy(&wrong.stderr));
}
