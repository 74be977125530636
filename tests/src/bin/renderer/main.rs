//! A process with a browser, as a worker has one: it renders what comes by its standard input, and can be killed.
//!
//! `renderer REDIS_URL`, with the configuration's `scrape` as JSON in `RENDERER_SCRAPE`. Each line of input is
//! `{"url": …, "manners": {…}, "rendering": {…}}`, each of output `{"html": …}` or `{"code": …, "message": …}`.
use std::{io::Write, sync::Arc};

use icehaul_jobs::{
    Ctx, Result,
    config::ScrapeConfig,
    crawl::{
        Manners, Sites, Visits,
        browser::{Rendering, render},
    },
    queue::{Queue, QueueConfig},
};
use icehaul_tests::attempt::ctx;
use serde_json::{Value, json};
use url::Url;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    let redis = std::env::args().nth(1).expect("the URL of a Redis");
    let config = std::env::var("RENDERER_SCRAPE").expect("a configuration");
    let config: ScrapeConfig = serde_json::from_str(&config).expect("a configuration");
    let queue = runtime.block_on(Queue::connect(&redis, QueueConfig::default())).expect("a queue");
    let ctx = Ctx { sites: Arc::new(Sites::new(config, queue.hosts())), ..ctx() };
    for line in std::io::stdin().lines() {
        let asked = serde_json::from_str(&line.expect("input")).expect("JSON");
        let answer = match runtime.block_on(rendered(&ctx, &asked)) {
            Ok(html) => json!({"html": html}),
            Err(error) => json!({"code": error.code(), "message": format!("{error} {error:?}")}),
        };
        writeln!(std::io::stdout(), "{answer}").expect("output");
    }
}

async fn rendered(ctx: &Ctx, asked: &Value) -> Result<String> {
    let url = Url::parse(asked["url"].as_str().expect("an address")).expect("an address");
    let manners: Manners = serde_json::from_value(asked["manners"].clone()).expect("manners");
    let rendering: Rendering = serde_json::from_value(asked["rendering"].clone()).expect("a rendering");
    let visits = Visits::begin(ctx, &manners, &url).await?;
    let page = render(ctx, &visits, &url, &rendering, 1 << 20).await?;
    Ok(String::from_utf8_lossy(&page.body).into_owned())
}
