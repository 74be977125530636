//! Scrapes by real processes: an API, workers of the test's choice, and what the site's own log says of them.
use std::{net::IpAddr, time::Duration};

use futures::future::{join, join_all};
use icehaul_tests::{
    icehaul::{Icehaul, Process},
    redis::RedisServer,
    site::{Hit, Site},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::guard::ways;

/// An API and workers on one Redis, and a site that they may ask.
struct Cluster {
    icehaul: Icehaul,
    site: Site,
    _workers: Vec<Process>,
    _redis: RedisServer,
    _data: TempDir,
}

impl Cluster {
    /// With so many worker processes, of so many jobs at once each.
    async fn new(workers: usize, slots: usize, more: &[(&'static str, String)]) -> Self {
        let (redis, data) = (RedisServer::start().expect("redis-server"), TempDir::new().expect("a folder"));
        let mut env = vec![
            ("ICEHAUL_REDIS_URL", redis.url()),
            ("ICEHAUL_DATA_DIR", data.path().display().to_string()),
            ("ICEHAUL_SCRAPE__ALLOW_NETWORKS", "127.0.0.1".into()),
            ("ICEHAUL_WORKER__SLOTS", slots.to_string()),
        ];
        env.extend_from_slice(more);
        let icehaul = Icehaul::serve(&["api", "--bind", "127.0.0.1:0"], &env).await;
        let started = (0..workers).map(|_| Process::start(&["worker"], &env, false));
        let workers = join_all(started).await.into_iter().map(|(process, _)| process).collect();
        Self { icehaul, site: Site::start().await, _workers: workers, _redis: redis, _data: data }
    }

    /// The document of a scrape into a table of its own, or the problem that it was refused with.
    async fn scrape(&self, url: &str, table: &str, fields: Value) -> Value {
        let mut body =
            json!({"url": url, "namespace": "web", "table_name": table, "delay_seconds": 0, "max_attempts": 1});
        body.as_object_mut().expect("fields").extend(fields.as_object().cloned().expect("fields"));
        let (status, answer) = self.icehaul.post("/scrape", &body).await;
        match status {
            StatusCode::ACCEPTED => self.icehaul.ended(answer["job_id"].as_str().expect("an id")).await,
            _ => answer,
        }
    }

    /// The code that a scrape ends with, at its submission or later.
    async fn code(&self, url: &str, table: &str) -> String {
        let answer = self.scrape(url, table, json!({})).await;
        let code = answer["error"]["code"].as_str().or(answer["code"].as_str());
        code.unwrap_or_else(|| panic!("{url}: {answer:#}")).to_owned()
    }

    fn pages(&self) -> Vec<Hit> {
        self.site.log().into_iter().filter(|hit| hit.path != "/robots.txt").collect()
    }
}

/// How many jobs share the site, and how many pages each of them reads.
const JOBS: usize = 4;
const PAGES: usize = 12;

/// Runs the jobs side by side.
async fn scrapes(cluster: &Cluster) -> Vec<Value> {
    let one = async |job: usize| {
        let pagination = json!({"style": "page", "start": job * PAGES + 1, "max_pages": PAGES});
        let fields = json!({"pagination": pagination, "delay_seconds": 0.2});
        cluster.scrape(&cluster.site.url("/list"), &format!("t{job}"), fields).await
    };
    join_all((0..JOBS).map(one)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_keep_the_pace_of_one() {
    let (one, four) = join(Cluster::new(1, JOBS, &[]), Cluster::new(4, 1, &[])).await;
    let (by_one, by_four) = join(scrapes(&one), scrapes(&four)).await;
    for (cluster, jobs, workers) in [(&one, by_one, 1), (&four, by_four, 4)] {
        for job in &jobs {
            assert_eq!(job["result"]["rows_loaded"], PAGES * 50, "{job:#}");
        }
        let ran: std::collections::HashSet<_> = jobs.iter().map(|job| job["attempts"][0]["worker"].as_str()).collect();
        assert_eq!(ran.len(), workers);
        let hits = cluster.pages();
        assert_eq!(hits.len(), JOBS * PAGES);
        assert!(hits.iter().all(|hit| hit.active == 1), "one request at a time");
        let robots = cluster.site.log().len() - hits.len();
        assert_eq!(robots, 1, "robots.txt is asked for once");
        let gaps: Vec<_> = hits.windows(2).map(|pair| (pair[1].at - pair[0].at).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        assert!((0.27..0.33).contains(&mean), "{workers} workers: a request each {mean} s: {gaps:?}");
        assert!(gaps.iter().all(|gap| *gap > 0.19), "{workers} workers: {gaps:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_wait_when_a_site_says_so_and_ask_for_nothing_forbidden() {
    let cluster = Cluster::new(2, 1, &[]).await;
    let told = async { cluster.scrape(&cluster.site.url("/busy?times=1&after=2"), "told", json!({})).await };
    let other = async {
        while cluster.pages().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cluster.scrape(&cluster.site.url("/pages/1"), "other", json!({})).await
    };
    let (told, other) = join(told, other).await;
    assert_eq!((&told["status"], &other["status"]), (&json!("succeeded"), &json!("succeeded")), "{told:#} {other:#}");
    let hits = cluster.pages();
    assert!(hits.len() >= 3 && (hits[1].at - hits[0].at).as_secs_f64() > 1.99, "{hits:?}");

    for (n, path) in ["/private/1", "/redirect?to=/private/2", "/%70rivate/3"].iter().enumerate() {
        let code = cluster.code(&cluster.site.url(path), &format!("forbidden{n}")).await;
        assert_eq!(code, "robots_disallowed", "{path}");
    }
    let asked = cluster.site.paths().into_iter().filter(|path| path.contains("rivate") && !path.contains("redirect"));
    assert_eq!(asked.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_site_wants_hours_comes_again_and_blocks_no_worker() {
    let cluster = Cluster::new(1, 1, &[]).await;
    let body = json!({"url": cluster.site.url("/busy?times=9&after=3600"), "namespace": "web", "table_name": "later",
        "delay_seconds": 0, "max_attempts": 1});
    let id = cluster.icehaul.submit_to("/scrape", &body).await;
    cluster.icehaul.until(&id, |job| job["status"] == "retrying").await;
    let (_, job) = cluster.icehaul.get(&format!("/jobs/{id}")).await;
    let next: chrono::DateTime<chrono::Utc> = serde_json::from_value(job["next_attempt_at"].clone()).expect("a time");
    let wait = (next - chrono::Utc::now()).num_seconds();
    assert!((3500..=3600).contains(&wait), "{job:#}");
    assert_eq!(job["attempt"], 0, "no attempt is spent: {job:#}");
    assert_eq!((&job["error"]["code"], &job["error"]["retryable"]), (&json!("http_429"), &json!(true)), "{job:#}");
    assert_eq!(cluster.pages().len(), 1);
    let (status, _) = cluster.icehaul.post(&format!("/jobs/{id}/cancel"), &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_process_is_led_inside() {
    let trap = Site::start_on(IpAddr::from([127, 0, 0, 2])).await;
    // A proxy of the environment would be asked for everything.
    let proxies = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"];
    let env: Vec<_> = proxies.into_iter().map(|name| (name, trap.url("/"))).collect();
    let cluster = Cluster::new(1, 8, &env).await;
    let mut ways = ways(trap.port());
    ways.extend(
        ["file:///etc/passwd", "gopher://127.0.0.1/", "http://user:pw@127.0.0.1/", "http://127.0.0.1:6379/"]
            .map(String::from),
    );
    assert!(ways.len() >= 30);
    let tries = ways.iter().enumerate().map(|(n, way)| {
        let to: String = url::form_urlencoded::byte_serialize(way.as_bytes()).collect();
        let redirect = cluster.site.url(&format!("/redirect?to={to}"));
        let cluster = &cluster;
        async move {
            let code = cluster.code(way, &format!("way{n}")).await;
            assert!(["egress_blocked", "invalid_field"].contains(&code.as_str()), "{way}: {code}");
            assert_eq!(cluster.code(&redirect, &format!("redirect{n}")).await, "egress_blocked", "redirect to {way}");
        }
    });
    join_all(tries).await;
    let fine = cluster.scrape(&cluster.site.url("/pages/1"), "fine", json!({})).await;
    assert_eq!(fine["status"], "succeeded", "{fine:#}");
    assert!(trap.log().is_empty(), "{:?}", trap.paths());
}
