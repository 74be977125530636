//! A crawl that breaks off goes on where it was, and no page is asked for twice.
use std::path::PathBuf;

use icehaul_tests::{icehaul::Icehaul, site::Site};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::service::{Service, asked, environment, request};

/// The next page is asked for so long after the one before that a checkpoint lies between them.
const SLOW: f64 = 2.5;

fn crawl(site: &Site, fields: Value) -> Value {
    let mut all = json!({
        "selector": "table.rows", "delay_seconds": SLOW, "max_attempts": 5,
        "pagination": {"style": "next_selector", "path": "a[rel=next]@href", "max_pages": 3},
    });
    for (name, value) in fields.as_object().expect("fields") {
        all[name] = value.clone();
    }
    request(&site.url("/pages/1"), "crawled", all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_crawl_goes_on_where_it_broke_off() {
    let site = Site::start().await;
    let data = TempDir::new().expect("a folder");
    let lease = ("ICEHAUL_QUEUE__LEASE_SECONDS", "2".to_owned());
    let dies = ("ICEHAUL_FAILPOINTS", "scrape.checkpoint=exit".to_owned());
    let mut first = Icehaul::up(data.path(), &environment(&[lease.clone(), dies])).await;
    let id = first.submit_to("/scrape", &crawl(&site, json!({}))).await;
    first.process.ended().await;
    assert_eq!(asked(&site), ["/pages/1"]);
    let second = Icehaul::up(data.path(), &environment(&[lease])).await;
    let job = second.ended(&id).await;
    assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(2)), "{job:#}");
    assert_eq!((&job["result"]["rows_scraped"], &job["result"]["pages"]), (&json!(150), &json!(3)));
    assert_eq!(asked(&site), ["/pages/1", "/pages/2", "/pages/3"], "no page is asked for twice");
    let service = Service { icehaul: second, data };
    assert_eq!(service.snapshots("crawled").await, 1);
    let rows = service.icehaul.rows("select count(distinct id), count(*), max(page_number) from web.crawled").await;
    assert_eq!(rows, [json!([150, 150, 3])]);
    assert!(service.spooled("crawled").is_empty(), "nothing is left of the pages");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_crawl_leaves_nothing() {
    let (service, site) = (Service::new().await, Site::start().await);
    let id = service.icehaul.submit_to("/scrape", &crawl(&site, json!({}))).await;
    let written = async {
        while service.spooled("crawled").is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), written).await.expect("pages are written down");
    service.icehaul.post(&format!("/jobs/{id}/cancel"), &json!({})).await;
    assert_eq!(service.icehaul.ended(&id).await["status"], "cancelled");
    assert!(service.spooled("crawled").is_empty());
}

/// Runs Python's `warcio` over files.
async fn warcio(files: &[String]) -> Value {
    let python = std::env::var("ICEHAUL_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("py/warc.py");
    let output = Command::new(python).arg(script).args(files).output().await.expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_are_kept_are_read_by_other_tools() {
    let (service, site) = (Service::new().await, Site::start().await);
    let fields = json!({"keep_raw": true, "delay_seconds": 0, "body_sha256": true});
    let result = service.icehaul.done("/scrape", &crawl(&site, fields)).await;
    let raw = result["raw"].as_str().expect("a place").trim_start_matches("file://").to_owned();
    let files = crate::files_below(&PathBuf::from(&raw));
    assert!(!files.is_empty() && files.iter().all(|file| file.ends_with(".warc.gz")), "{files:?}");
    let records = warcio(&files).await;
    let records = records.as_array().expect("records");
    let pages: Vec<_> = records.iter().filter(|record| record["type"] == "response").collect();
    let uris: Vec<_> = pages.iter().map(|record| record["uri"].clone()).collect();
    assert_eq!(uris, (1..=3).map(|n| json!(site.url(&format!("/pages/{n}")))).collect::<Vec<_>>());
    assert!(pages.iter().all(|page| page["status"] == "200" && page["digest_holds"] == true), "{pages:#?}");
    let digests =
        service.icehaul.rows("select distinct body_sha256, page_number from web.crawled order by page_number").await;
    let theirs: Vec<_> = pages.iter().zip(1..).map(|(page, n)| json!([page["sha256"], n])).collect();
    assert_eq!(digests, theirs);
    assert!(service.spooled("crawled").is_empty());
}
