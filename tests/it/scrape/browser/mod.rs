//! Pages that a real Chromium makes, of the site's pages of scripts.
mod processes;
mod safe;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use icehaul_jobs::{
    Code, Ctx, Result,
    config::ScrapeConfig,
    crawl::{
        Page, Visits,
        browser::{Rendering, render},
    },
    extract::{Document, Extraction, Limits, extract},
};
use serde_json::{Value, json};
use url::Url;

use super::{Stand, manners, text, url};

/// The configuration of a worker with a browser, as root: without a sandbox.
fn config() -> ScrapeConfig {
    ScrapeConfig { browser_sandbox: false, ..ScrapeConfig::default() }
}

/// A stand and a worker with a browser of its own.
struct Browsing {
    stand: Stand,
    ctx: Ctx,
}

impl Browsing {
    async fn new() -> Self {
        let stand = Stand::new().await;
        let ctx = stand.worker_with(config(), None).await;
        Self { stand, ctx }
    }

    async fn page(&self, path: &str, rendering: Value) -> Result<Page> {
        self.page_by(json!({}), path, rendering).await
    }

    async fn page_by(&self, fields: Value, path: &str, rendering: Value) -> Result<Page> {
        let first = url(&self.stand.site.url(path));
        let visits = Visits::begin(&self.ctx, &manners(fields), &first).await?;
        let rendering: Rendering = serde_json::from_value(rendering).expect("a rendering");
        assert_eq!(rendering.check(), []);
        render(&self.ctx, &visits, &first, &rendering, 1 << 20).await
    }

    /// How many rows the table of a page has.
    async fn rows(&self, path: &str, rendering: Value) -> usize {
        rows(&self.page(path, rendering).await.unwrap_or_else(|error| panic!("{path}: {error} {error:?}")))
    }

    async fn code(&self, path: &str, rendering: Value) -> Code {
        match self.page(path, rendering).await {
            Ok(page) => panic!("{path}: {}", text(&page)),
            Err(error) => error.code(),
        }
    }
}

fn rows(page: &Page) -> usize {
    let document = Document::parse(&text(page), Some(&page.url), &Limits::default()).expect("a page");
    extract(&document, &Extraction::default(), &Limits::default()).expect("a table").rows
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_a_page_is_taken_once_its_scripts_have_run() {
    let browsing = Browsing::new().await;
    let page = browsing.page("/script/table?ms=300#part", json!({})).await.expect("a page");
    assert_eq!((rows(&page), page.status), (3, 200));
    assert_eq!(page.url.as_str(), browsing.stand.site.url("/script/table?ms=300"));
    assert_eq!(page.content_type(), Some("text/html; charset=utf-8"));
    assert!(text(&page).starts_with("<!DOCTYPE html><html>"), "{}", text(&page));
    let hits = browsing.stand.site.log();
    let agents: Vec<_> = hits.iter().filter_map(|hit| hit.header("user-agent")).collect();
    assert_eq!(agents, [ScrapeConfig::default().user_agent.as_str(); 2], "robots.txt and the page");
    // Without a browser there is nothing.
    assert_eq!(browsing.rows("/script/fetch", json!({})).await, 5);
    assert_eq!(browsing.rows("/script/alert", json!({})).await, 3);
    assert_eq!(browsing.rows("/charset/header", json!({})).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_steps_bring_what_is_not_there_yet() {
    let browsing = Browsing::new().await;
    assert_eq!(browsing.rows("/script/table?ms=1500", json!({"wait_for": "#t tbody tr"})).await, 3);
    assert_eq!(browsing.rows("/script/more", json!({})).await, 10);
    assert_eq!(browsing.rows("/script/more", json!({"click": "#more", "max_clicks": 1})).await, 20);
    assert_eq!(browsing.rows("/script/more", json!({"click": "#more"})).await, 40);
    assert_eq!(browsing.rows("/script/more", json!({"click": "#no-such-button"})).await, 10);
    assert_eq!(browsing.rows("/script/scroll", json!({"scroll": 20, "render_seconds": 60})).await, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_what_does_not_come_is_told_in_time() {
    let browsing = Browsing::new().await;
    browsing.rows("/pages/1", json!({})).await; // the browser runs
    for (path, seconds) in [("/script/never", 1.0), ("/script/busy", 1.0), ("/hang", 1.0)] {
        let began = Instant::now();
        let rendering = json!({"wait_for": "#t tr", "render_seconds": seconds});
        let error = browsing.page(path, rendering).await.expect_err("nothing comes");
        assert_eq!(error.code(), Code::RenderTimeout, "{path}: {error}");
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(5), "{path}: {took:?}");
        if path == "/script/never" {
            let told = ["`#t tr`", "\"nothing comes\"", "1 s", "/script/never"];
            assert!(told.iter().all(|word| error.message().contains(word)), "{error}");
            assert_eq!(error.retry(), icehaul_jobs::Retry::Never);
        }
    }
    // Requests without end are waited for a while only, and a page that computes for ever stops no other.
    let began = Instant::now();
    assert_eq!(browsing.rows("/script/polling", json!({})).await, 3);
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    assert_eq!(browsing.rows("/pages/2", json!({})).await, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_what_is_no_page_has_a_code() {
    let browsing = Browsing::new().await;
    for (path, code) in [
        ("/status/404", Code::Http404),
        ("/status/503", Code::Http503),
        ("/typed/json", Code::UnexpectedContentType),
        ("/typed/pdf", Code::UnexpectedContentType),
        ("/typed/image", Code::UnexpectedContentType),
        ("/script/file", Code::UnexpectedContentType),
        ("/loop", Code::TooManyRedirects),
        ("/private/1", Code::RobotsDisallowed),
        ("/redirect?to=/private/1", Code::RobotsDisallowed),
    ] {
        assert_eq!(browsing.code(path, json!({})).await, code, "{path}");
    }
    let first = url(&browsing.stand.site.url("/pages/1"));
    let visits = Visits::begin(&browsing.ctx, &manners(json!({})), &first).await.expect("begun");
    let error = render(&browsing.ctx, &visits, &first, &Rendering::default(), 1000).await.expect_err("larger");
    assert_eq!(error.code(), Code::ResponseTooLarge, "{error}");
    let closed = icehaul_tests::free_port().expect("a port");
    let first = url(&format!("http://127.0.0.1:{closed}/"));
    let visits = Visits::begin(&browsing.ctx, &manners(json!({"respect_robots": false})), &first).await.expect("begun");
    let error = render(&browsing.ctx, &visits, &first, &Rendering::default(), 1 << 20).await.expect_err("nobody there");
    assert_eq!(error.code(), Code::SourceUnreachable, "{error}");
    // A download that a page begins is nothing, and where it leads is followed.
    assert_eq!(browsing.rows("/script/drops", json!({})).await, 3);
    let page = browsing.page("/script/moved", json!({})).await.expect("a page");
    assert_eq!((page.url.path(), rows(&page)), ("/script/table", 3));
    let page = browsing.page("/redirect?to=/script/table", json!({})).await.expect("a page");
    assert_eq!((page.url.path(), rows(&page)), ("/script/table", 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_a_host_that_says_so_is_left_alone_by_all() {
    let browsing = Browsing::new().await;
    let site = &browsing.stand.site;
    assert_eq!(browsing.rows("/flaky?times=1", json!({})).await, 2, "a failure is tried again");
    for (path, seconds) in [("/busy?times=1&after=2", 2.0), ("/busy?times=1&after=2&status=503&date=1", 1.0)] {
        site.forget();
        let other = browsing.stand.visits(json!({})).await;
        let plain = async {
            while site.paths().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            super::get(&other, &site.url("/pages/1")).await.expect("a page");
        };
        let (rows, ()) = tokio::join!(browsing.rows(path, json!({})), plain);
        assert_eq!(rows, 2, "{path}");
        let hits: Vec<_> = site
            .log()
            .into_iter()
            .filter(|hit| hit.path.starts_with("/busy") || hit.path.starts_with("/pages"))
            .collect();
        assert_eq!(hits.len(), 3, "{path} {hits:?}");
        let first = hits[1].at.checked_sub(hits[0].at).expect("in order").as_secs_f64();
        assert!(first > seconds - 0.01 && first < seconds + 3.0, "{path} {first}");
    }
    // A long wait hands the job back.
    let error = browsing.page("/busy?times=9&after=3600", json!({})).await.expect_err("not now");
    assert!(matches!((error.code(), error.retry()), (Code::Http429, icehaul_jobs::Retry::Snooze(_))), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_secrets_go_to_the_pages_own_host_only() {
    let browsing = Browsing::new().await;
    let other = icehaul_tests::site::Site::start().await;
    let fields = json!({
        "headers": {"x-key": "canary-key"}, "cookies": {"sid": "canary-cookie"},
        "auth": {"basic": {"user": "reader", "password": "canary-password"}},
    });
    let path = format!("/script/echoes?port={}", other.port());
    let page = browsing.page_by(fields, &path, json!({"wait_for": "#t tbody tr"})).await.expect("a page");
    assert_eq!(rows(&page), 3);
    let told = |hit: &icehaul_tests::site::Hit| {
        ["x-key", "cookie", "authorization"].map(|name| hit.header(name).is_some_and(|value| !value.is_empty()))
    };
    let own: Vec<_> = browsing.stand.site.log().into_iter().filter(|hit| hit.path.starts_with("/echo")).collect();
    assert!(!own.is_empty() && own.iter().all(|hit| told(hit) == [true; 3]), "{own:?}");
    let asked: Vec<_> = other.log().into_iter().map(|hit| (told(&hit), hit)).collect();
    assert!(asked.iter().any(|(_, hit)| hit.path.starts_with("/echo")), "{asked:?}");
    // Cookies know no ports: the browser, and every other client, sends them to both.
    assert!(asked.iter().all(|(told, _)| !told[0] && !told[2]), "{asked:?}");
    let bare = browsing.page("/echo", json!({})).await.expect("a page");
    assert!(!text(&bare).contains("canary"), "the next job begins with nothing: {}", text(&bare));
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_jobs_share_a_browser_and_end_with_their_attempt() {
    let browsing = Arc::new(Browsing::new().await);
    browsing.rows("/pages/1", json!({})).await;
    let pages = (1..=6).map(|n| {
        let browsing = browsing.clone();
        tokio::spawn(async move { browsing.rows(&format!("/script/table?ms={}", n * 50), json!({})).await })
    });
    let pages = futures::future::join_all(pages).await;
    assert!(pages.into_iter().all(|rows| rows.expect("a page") == 3));
    let other = browsing.clone();
    let waiting = tokio::spawn(async move { other.page("/script/never", json!({"wait_for": "#t"})).await.map(|_| ()) });
    while !browsing.stand.site.paths().iter().any(|path| path == "/script/never") {
        tokio::task::yield_now().await;
    }
    browsing.ctx.stop.set(icehaul_jobs::StopReason::Cancelled);
    let error = waiting.await.expect("no panic").expect_err("cancelled");
    assert_eq!(error.code(), Code::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_pages_that_lead_to_each_others_hosts_do_not_wait_for_each_other() {
    let (one, two) = (Stand::new().await, icehaul_tests::site::Site::start().await);
    let shown = json!({"render_seconds": 20, "wait_for": "#t tr"});
    let rendering: Rendering = serde_json::from_value(shown).expect("a rendering");
    let (home, away) = (&one.site, &two);
    let led = |from: &icehaul_tests::site::Site, to: &icehaul_tests::site::Site| {
        url(&from.url(&format!("/script/moved?to={}", to.url("/script/table"))))
    };
    let pages = async |first: Url| {
        let ctx = one.worker_with(config(), None).await;
        let visits = Visits::begin(&ctx, &manners(json!({})), &first).await.expect("visits");
        let page = async |at: &Url| render(&ctx, &visits, at, &rendering, 1 << 20).await.expect("a page");
        // Once the browser is there the others come as fast as pages do: both jobs often have their first turn at once.
        page(&first.join("/script/table").expect("an address")).await;
        for _ in 0..5 {
            let page = page(&first).await;
            assert_eq!(rows(&page), 3);
            assert_ne!(page.url.port(), first.port());
        }
    };
    futures::join!(pages(led(home, away)), pages(led(away, home)));
}
