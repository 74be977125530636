//! Turns in Redis: what they cost, and that they pass from one job to the next.
use std::time::{Duration, Instant};

use futures::future::join;
use icehaul_jobs::queue::{Turned, Wish};
use icehaul_tests::redis::RedisServer;
use serde_json::json;

use super::{Stand, get};

/// How many scripts Redis has run so far.
fn scripts(redis: &RedisServer) -> u64 {
    let mut connection = redis.connection().expect("connected");
    let info: String = redis::cmd("INFO").arg("commandstats").query(&mut connection).expect("figures");
    let calls = |line: &str| line.split_once("calls=")?.1.split(',').next()?.parse().ok();
    info.lines().filter(|line| line.starts_with("cmdstat_evalsha:")).find_map(calls).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_delay_pages_cost_no_round_trip() {
    let stand = Stand::new().await;
    let visits = stand.visits(json!({})).await;
    get(&visits, &stand.site.url("/pages/1")).await.expect("a page");
    let (before, began) = (scripts(&stand.redis), Instant::now());
    for page in 1..=200 {
        get(&visits, &stand.site.url(&format!("/pages/{page}"))).await.expect("a page");
    }
    // The turn is renewed twice a second; on a machine so busy that a renewal is late it is taken anew, which is far from every page.
    let renewals = began.elapsed().as_millis() as u64 / 500 + 1;
    let used = scripts(&stand.redis) - before;
    assert!(used <= renewals + 20, "{used} scripts for 200 pages in {:?}", began.elapsed());
    let connections: std::collections::HashSet<_> = stand.site.log().iter().map(|hit| hit.from).collect();
    // Now and then a request begins before the last one's connection is back in its pool.
    assert!(connections.len() < 20, "{} connections for 200 pages", connections.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_a_delay_lets_others_in() {
    let stand = Stand::new().await;
    let (greedy, late) = (stand.visits(json!({})).await, stand.visits(json!({})).await);
    let done = std::sync::atomic::AtomicBool::new(false);
    let first = async {
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            get(&greedy, &stand.site.url("/pages/1")).await.expect("a page");
        }
    };
    let second = async {
        while stand.site.paths().len() < 10 {
            tokio::task::yield_now().await;
        }
        let began = Instant::now();
        for _ in 0..20 {
            get(&late, &stand.site.url("/pages/2")).await.expect("a page");
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        drop(late);
        // And the first one goes on.
        let so_far = stand.site.paths().len();
        while stand.site.paths().len() < so_far + 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    tokio::time::timeout(Duration::from_secs(30), join(first, second)).await.expect("both go on");
    assert!(stand.site.log().iter().all(|hit| hit.active == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_jobs_turn_is_for_others() {
    let stand = Stand::new().await;
    let idle = stand.visits(json!({"respect_robots": false})).await;
    get(&idle, &stand.site.url("/pages/1")).await.expect("a page");
    let other = stand.visits(json!({"respect_robots": false})).await;
    let began = Instant::now();
    get(&other, &stand.site.url("/pages/2")).await.expect("a page");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    get(&idle, &stand.site.url("/pages/3")).await.expect("a page");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_workers_turn_ends_by_itself() {
    let stand = Stand::new().await;
    let hosts = stand.hosts().await;
    let host = format!("127.0.0.1:{}", stand.site.port());
    let wish = Wish {
        host: &host,
        token: "dead",
        owner: "dead",
        lease: Duration::from_secs(1),
        most: 1,
        least: Duration::ZERO,
        chance: Duration::ZERO,
        waited: Duration::ZERO,
    };
    assert_eq!(hosts.take(&wish).await.expect("a turn"), Turned::Now);
    assert_eq!(hosts.take(&wish).await.expect("a turn"), Turned::Now, "the same call again is the same turn");
    assert_eq!(hosts.take(&Wish { token: "other", owner: "other", ..wish }).await.expect("an answer"), Turned::Held);
    let visits = stand.visits(json!({"respect_robots": false})).await;
    let began = Instant::now();
    get(&visits, &stand.site.url("/pages/1")).await.expect("a page");
    assert!((0.5..3.0).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
    let keys: Vec<String> =
        redis::cmd("KEYS").arg("*").query(&mut stand.redis.connection().expect("connected")).expect("keys");
    assert!(keys.iter().all(|key| key.ends_with(&host)), "{keys:?}");
}
