//! The pace at which a site is asked, whatever the number of workers; and what it says of the pace.
use std::time::{Duration, Instant};

use futures::future::{join, join_all};
use icehaul_jobs::{Code, Retry, StopReason};
use icehaul_tests::site::Site;
use serde_json::json;

use super::{Stand, get, manners, url};

/// The seconds between two requests after another, robots.txt left out.
fn gaps(site: &Site) -> Vec<f64> {
    let hits: Vec<_> = site.log().into_iter().filter(|hit| hit.path != "/robots.txt").collect();
    hits.windows(2).map(|pair| (pair[1].at - pair[0].at).as_secs_f64()).collect()
}

/// Asks for `pages` pages by so many workers, each for its share.
async fn crawl(stand: &Stand, workers: usize, pages: usize, fields: serde_json::Value) {
    let mut work = tokio::task::JoinSet::new();
    for worker in 0..workers {
        let visits = stand.visits(fields.clone()).await;
        let own: Vec<_> = (worker + 1..=pages).step_by(workers).collect();
        let own: Vec<_> = own.into_iter().map(|page| stand.site.url(&format!("/pages/{page}"))).collect();
        work.spawn(async move {
            for page in own {
                get(&visits, &page).await.expect("a page");
            }
        });
    }
    work.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_and_four_keep_the_same_pace() {
    const PAGES: usize = 48;
    let (one, four) = (Stand::new().await, Stand::new().await);
    let fields = json!({"delay_seconds": 0.2});
    join(crawl(&one, 1, PAGES, fields.clone()), crawl(&four, 4, PAGES, fields)).await;
    for (stand, workers) in [(&one, 1), (&four, 4)] {
        let gaps = gaps(&stand.site);
        assert_eq!(gaps.len(), PAGES - 1);
        // Redis counts whole milliseconds, and a request takes some to arrive.
        let shortest = gaps.iter().copied().fold(f64::MAX, f64::min);
        assert!(shortest > 0.19, "{workers} workers: {gaps:?}");
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        assert!((0.27..0.33).contains(&mean), "{workers} workers: a request each {mean} s, {gaps:?}");
        assert!(stand.site.log().iter().all(|hit| hit.active == 1), "{workers} workers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_has_as_many_connections_as_the_request_says() {
    let stand = Stand::new().await;
    for (connections, most) in [(1, 1), (3, 3)] {
        stand.site.forget();
        let work = (0..4).map(|_| async {
            let visits = stand.visits(json!({"connections": connections, "respect_robots": false})).await;
            let pages = (0..4).map(|_| async { get(&visits, &stand.site.url("/slow?ms=30")).await.expect("a page") });
            join_all(pages).await;
        });
        join_all(work).await;
        let log = stand.site.log();
        assert_eq!(log.len(), 16);
        assert_eq!(log.iter().map(|hit| hit.active).max(), Some(most), "{connections}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_workers_wait_when_a_site_says_so() {
    for (path, seconds) in [
        ("/busy?times=1&after=1", 1.0),
        ("/busy?times=1&after=1&date=1", 1.0),
        ("/busy?times=1&after=2&status=503", 2.0),
    ] {
        let stand = Stand::new().await;
        let (told, other) = (stand.visits(json!({})).await, stand.visits(json!({})).await);
        let waits = async {
            let page = get(&told, &stand.site.url(path)).await.expect("a page in the end");
            assert_eq!(page.status, 200);
        };
        let next = async {
            while stand.site.paths().is_empty() {
                tokio::task::yield_now().await;
            }
            get(&other, &stand.site.url("/pages/1")).await.expect("a page");
        };
        join(waits, next).await;
        let hits: Vec<_> = stand.site.log().into_iter().filter(|hit| hit.path != "/robots.txt").collect();
        assert_eq!(hits.len(), 3, "{path} {hits:?}");
        let first = hits[1].at.checked_sub(hits[0].at).expect("in order").as_secs_f64();
        assert!(first > seconds - 0.01 && first < seconds + 2.0, "{path} {first}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_wait_is_no_workers_wait() {
    let stand = Stand::new().await;
    let (told, other) = (stand.visits(json!({})).await, stand.visits(json!({})).await);
    let began = Instant::now();
    for (visits, path) in [(&told, "/busy?times=9&after=3600"), (&other, "/pages/1")] {
        let error = get(visits, &stand.site.url(path)).await.expect_err("not now");
        assert_eq!(error.code(), Code::Http429);
        let Retry::Snooze(time) = error.retry() else { panic!("{error:?}") };
        assert!((3590..=3600).contains(&time.as_secs()), "{time:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(stand.site.paths().len(), 1, "nobody asks while it wants to be left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_tried_again_a_few_times_and_refusals_not() {
    let stand = Stand::new().await;
    let visits = stand.visits(json!({})).await;
    let ask = async |path: &str| {
        stand.site.forget();
        let answer = get(&visits, &stand.site.url(path)).await;
        (answer.map(|page| page.status).map_err(|error| error.code()), stand.site.paths().len())
    };
    assert_eq!(ask("/flaky?times=2").await, (Ok(200), 3));
    assert_eq!(ask("/status/502").await, (Err(Code::Http502), 4));
    assert_eq!(ask("/broken").await, (Err(Code::SourceInterrupted), 4));
    for (status, code) in [(404, Code::Http404), (403, Code::Http403), (401, Code::Http401), (410, Code::Http410)] {
        assert_eq!(ask(&format!("/status/{status}")).await, (Err(code), 1));
    }
    assert_eq!(ask("/busy?times=1&after=no").await, (Ok(200), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_stops_at_once() {
    let stand = Stand::new().await;
    let ctx = stand.worker().await;
    let first = url(&stand.site.url("/pages/1"));
    let fields = json!({"delay_seconds": 60, "respect_robots": false});
    let visits = icehaul_jobs::crawl::Visits::begin(&ctx, &manners(fields), &first).await.expect("begun");
    get(&visits, first.as_str()).await.expect("a page");
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        ctx.stop.set(StopReason::Cancelled);
    };
    let began = Instant::now();
    let (error, ()) = join(get(&visits, first.as_str()), stopping).await;
    assert_eq!(error.map(|page| page.status).map_err(|error| error.code()), Err(Code::Cancelled));
    assert!(began.elapsed() < Duration::from_secs(2));

    let visits = stand.visits(json!({"max_seconds": 0.3, "respect_robots": false})).await;
    let error = get(&visits, &stand.site.url("/hang")).await.expect_err("no time");
    assert_eq!((error.code(), error.retry()), (Code::Timeout, Retry::Never));
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_pages_are_not_sent_again() {
    use icehaul_jobs::crawl::{Ask, Validators};
    let stand = Stand::new().await;
    let visits = stand.visits(json!({})).await;
    let page = url(&stand.site.url("/pages/7"));
    let first = get(&visits, page.as_str()).await.expect("a page");
    let known = first.validators().expect("validators");
    assert_eq!(known.etag.as_deref(), Some("\"v1-7\""));
    let dated = Validators { etag: None, ..known.clone() };
    for validators in [&known, &dated] {
        let again = visits.get(&Ask { url: &page, validators: Some(validators) }).await.expect("an answer");
        assert!(again.not_modified && again.body.is_empty() && again.status == 304);
    }
    stand.site.set_version(2);
    for validators in [&known, &dated] {
        let again = visits.get(&Ask { url: &page, validators: Some(validators) }).await.expect("an answer");
        assert!(!again.not_modified && again.status == 200 && !again.body.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wants_more_time_gets_a_turn_beside_the_hasty() {
    let stand = Stand::new().await;
    let hasty = stand.visits(json!({"delay_seconds": 0.05, "respect_robots": false})).await;
    let slow = stand.visits(json!({"delay_seconds": 0.5, "respect_robots": false})).await;
    get(&slow, &stand.site.url("/pages/1")).await.expect("a page");
    let many = async {
        loop {
            get(&hasty, &stand.site.url("/pages/2")).await.expect("a page");
        }
    };
    let few = async {
        for _ in 0..3 {
            get(&slow, &stand.site.url("/pages/3")).await.expect("a page");
        }
    };
    // Chance decides who comes first at each turn; the patient one needs no luck of 40 s.
    tokio::select! {
        () = many => {}
        done = tokio::time::timeout(Duration::from_secs(40), few) => done.expect("turns beside the hasty"),
    }
}
