//! Scraping, against a site of our own.
mod api;
mod bad_input;
mod browser;
mod guard;
mod html;
mod large;
mod polite;
mod resume;
mod robots;
mod service;
mod session;
mod turns;
mod unchanged;
mod workers;

use std::sync::Arc;

use icehaul_jobs::{
    Ctx, Result,
    config::{Networks, ScrapeConfig},
    crawl::{Ask, Manners, Page, Sites, Visits},
    http::Lookup,
    queue::{Hosts, Queue, QueueConfig},
};
use icehaul_tests::{attempt::ctx, redis::RedisServer, site::Site};
use serde_json::{Value, json};
use url::Url;

/// A site and a Redis; workers come as they are asked for.
struct Stand {
    redis: RedisServer,
    site: Site,
}

impl Stand {
    async fn new() -> Self {
        Self { redis: RedisServer::start().expect("redis"), site: Site::start().await }
    }

    async fn hosts(&self) -> Hosts {
        Queue::connect(&self.redis.url(), QueueConfig::default()).await.expect("a queue").hosts()
    }

    /// The surroundings of an attempt on a worker of its own, that may ask 127.0.0.1 and no other address of this machine.
    async fn worker(&self) -> Ctx {
        self.worker_by(None).await
    }

    async fn worker_by(&self, lookup: Option<Lookup>) -> Ctx {
        self.worker_with(ScrapeConfig::default(), lookup).await
    }

    async fn worker_with(&self, config: ScrapeConfig, lookup: Option<Lookup>) -> Ctx {
        let allow_networks = Networks(vec!["127.0.0.1/32".parse().expect("a network")]);
        let config = ScrapeConfig { allow_networks, ..config };
        let sites = Sites::new(config, self.hosts().await);
        Ctx { sites: Arc::new(lookup.into_iter().fold(sites, Sites::with_lookup)), ..ctx() }
    }

    /// Visits of a worker of their own.
    async fn visits(&self, fields: Value) -> Visits {
        self.begun(fields).await.expect("begun")
    }

    async fn begun(&self, fields: Value) -> Result<Visits> {
        Visits::begin(&self.worker().await, &manners(fields), &url(&self.site.url("/"))).await
    }
}

/// Manners without a delay, but for `fields`.
fn manners(fields: Value) -> Manners {
    let mut all = json!({"delay_seconds": 0});
    for (name, value) in fields.as_object().expect("fields") {
        all[name] = value.clone();
    }
    let manners: Manners = serde_json::from_value(all).expect("manners");
    assert_eq!(manners.check(), []);
    manners
}

fn url(text: &str) -> Url {
    Url::parse(text).expect("an address")
}

async fn get(visits: &Visits, address: &str) -> Result<Page> {
    visits.get(&Ask { url: &url(address), validators: None }).await
}

fn text(page: &Page) -> String {
    String::from_utf8_lossy(&page.body).into_owned()
}
