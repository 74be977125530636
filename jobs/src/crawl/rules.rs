//! A site's robots.txt, fetched once for all workers: kept a day in Redis, a failure for a minute.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use url::Url;

use super::{
    egress::MOST_REDIRECTS,
    retries::{Again, Retries},
    robots::{MOST_BYTES, Robots},
    turn::{Turn, host_of},
    visit::{Visits, location},
};
use crate::{
    Code, Error, Result, Retry,
    http::{Call, HeaderMap, shown},
    queue::Hosts,
};

/// How long the rules hold, at most (RFC 9309, 2.4).
const A_DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a failure does: the site may be back soon.
const A_MINUTE: Duration = Duration::from_secs(60);
/// How long a job trusts its own copy: what Redis has may be newer.
const OWN: Duration = Duration::from_secs(600);
/// How many hosts' rules a job keeps.
const MOST_HOSTS: usize = 16;
/// The longest Crawl-delay that is waited for, in seconds.
const LONGEST_DELAY: f64 = 300.0;

/// The rules that a job has seen.
#[derive(Default)]
pub(super) struct Rules(Mutex<HashMap<String, (Instant, Arc<Robots>)>>);

impl Rules {
    fn get(&self, host: &str) -> Option<Arc<Robots>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(host).filter(|(since, _)| since.elapsed() < OWN).map(|(_, robots)| robots.clone())
    }

    fn set(&self, host: &str, robots: &Arc<Robots>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_HOSTS {
            known.clear();
        }
        known.insert(host.to_owned(), (Instant::now(), robots.clone()));
    }
}

impl Visits {
    /// Checks a page by its site's rules, and gives the time between two requests that the site asks for.
    pub(super) async fn rules(&self, url: &Url) -> Result<Duration> {
        if !self.manners().respect_robots {
            return Ok(Duration::ZERO);
        }
        let robots = self.robots(url).await?;
        if !robots.allows(url) {
            return Err(match robots.is_failure() {
                true => failed(url),
                false => Error::new(
                    Code::RobotsDisallowed,
                    format!(
                        "{} is not to be asked for, says the site's robots.txt; with its owner's consent, `respect_robots` may be false",
                        shown(url)
                    ),
                ),
            });
        }
        match robots.crawl_delay().unwrap_or_default() {
            delay if delay <= LONGEST_DELAY => Ok(Duration::from_secs_f64(delay)),
            delay => {
                let message =
                    format!("the site's robots.txt wants {delay} s between two requests, which is as good as none");
                Err(Error::new(Code::RobotsDisallowed, message))
            }
        }
    }

    async fn robots(&self, url: &Url) -> Result<Arc<Robots>> {
        let host = host_of(url);
        if let Some(robots) = self.seen().get(&host) {
            return Ok(robots);
        }
        let robots = match kept(self.hosts(), &host).await? {
            Some(robots) => robots,
            None => self.fetched(&host, url).await?,
        };
        let robots = Arc::new(robots);
        // A failure is looked up again: another worker may have had an answer since.
        if !robots.is_failure() {
            self.seen().set(&host, &robots);
        }
        Ok(robots)
    }

    /// Asks the site. A host that does not answer at all is an error of its own, and nothing is kept.
    async fn fetched(&self, host: &str, url: &Url) -> Result<Robots> {
        let mut retries = Retries::default();
        loop {
            let turn = self.turn_of(host, Duration::ZERO).await?;
            // Others have waited for the same turn to ask the same.
            if let Some(robots) = kept(self.hosts(), host).await? {
                return Ok(robots);
            }
            let error = match self.file(url, turn).await {
                Ok(robots) => {
                    let time = if robots.is_failure() { A_MINUTE } else { A_DAY };
                    if let Ok(text) = serde_json::to_vec(&robots) {
                        self.hosts().keep_robots(host, &text, time).await?;
                    }
                    return Ok(robots);
                }
                Err(error) => error,
            };
            match retries.after_fault(error.code()) {
                Some(Again::After(time)) => sleep(time).await,
                _ => return Err(error),
            }
        }
    }

    /// Fetches the file as nobody, by as many redirects as pages may have, to other hosts too (RFC 9309, 2.3.1.2).
    async fn file(&self, url: &Url, mut turn: Turn) -> Result<Robots> {
        let mut address = url.clone();
        address.set_path("/robots.txt");
        address.set_query(None);
        address.set_fragment(None);
        let mut followed = 0;
        loop {
            let call = Call { max_bytes: MOST_BYTES + 1, cut: true, ..self.call(&address, HeaderMap::new(), None) };
            let reply = self.send_plain(call).await;
            drop(turn);
            let reply = reply?;
            if let Some(Again::Pause(time)) = Retries::default().after_status(reply.status, &reply.headers) {
                self.pause(&host_of(&address), time).await?;
            }
            let next = location(&address, &reply).filter(|_| followed < MOST_REDIRECTS);
            let Some(next) = next else {
                return Ok(Robots::of_answer(Some(reply.status), &reply.body, self.user_agent()));
            };
            self.egress().check_redirect(&next, followed)?;
            followed += 1;
            turn = self.turn_of(&host_of(&next), Duration::ZERO).await?;
            address = next;
        }
    }
}

async fn kept(hosts: &Hosts, host: &str) -> Result<Option<Robots>> {
    // What cannot be read was written by another release.
    Ok(hosts.robots(host).await?.and_then(|text| serde_json::from_slice(&text).ok()))
}

fn failed(url: &Url) -> Error {
    let host = url.host_str().unwrap_or_default();
    let message = format!(
        "{host} fails to say by robots.txt what may be asked for, which counts as nothing; it may be back soon"
    );
    Error::new(Code::RobotsDisallowed, message).with_retry(Retry::Backoff)
}
