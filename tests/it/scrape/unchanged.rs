//! What has not changed makes no snapshot.
use icehaul_tests::site::Site;
use serde_json::json;

use super::service::{Service, Shelf, asked};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_says_so_is_not_even_sent() {
    let (service, site) = (Service::new().await, Site::start().await);
    let fields = || json!({"selector": "table.rows"});
    let url = site.url("/pages/7");
    let first = service.scrape(&url, "t", fields()).await;
    assert_eq!((&first["unchanged"], &first["rows_scraped"]), (&json!(false), &json!(50)), "{first:#}");
    let second = service.scrape(&url, "t", fields()).await;
    assert_eq!((&second["unchanged"], &second["rows_scraped"]), (&json!(true), &json!(0)), "{second:#}");
    assert_eq!((&second["snapshot_id"], service.snapshots("t").await), (&json!(null), 1));
    let asked = site.log().into_iter().filter(|hit| hit.path == "/pages/7").collect::<Vec<_>>();
    assert_eq!(asked.iter().map(|hit| hit.header("if-none-match")).collect::<Vec<_>>(), [None, Some("\"v1-7\"")]);
    site.set_version(2);
    assert_eq!(service.scrape(&url, "t", fields()).await["rows_scraped"], 50);
    assert_eq!(service.snapshots("t").await, 2);
    // Another request reads it all the same.
    assert_eq!(service.scrape(&url, "t", json!({"selector": "table"})).await["unchanged"], false);
    assert_eq!(service.snapshots("t").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_with_the_same_rows_make_no_snapshot() {
    let (service, site) = (Service::new().await, Site::start().await);
    let pagination = json!({"style": "page", "size": 50, "max_pages": 3});
    let fields = || json!({"selector": "table.rows", "pagination": pagination, "mode": "overwrite"});
    let url = site.url("/list");
    assert_eq!(service.scrape(&url, "t", fields()).await["unchanged"], false);
    let second = service.scrape(&url, "t", fields()).await;
    assert_eq!((&second["unchanged"], &second["pages"]), (&json!(true), &json!(3)), "{second:#}");
    assert_eq!((asked(&site).len(), service.snapshots("t").await), (6, 1));
    // The rows are others' now: the same content is news.
    let shelf = Shelf::new().await;
    let other = shelf.html("/o", "<table><tr><th>id<tr><td>1</table>");
    service.scrape(&other, "t", json!({"mode": "overwrite"})).await;
    assert_eq!(service.scrape(&url, "t", fields()).await["unchanged"], false);
    assert_eq!(service.icehaul.rows("select count(*) from web.t").await, [json!([150])]);
}
