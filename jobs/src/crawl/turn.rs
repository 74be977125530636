//! Turns: at most so many requests to a host at once, and so much time between them, whoever asks and wherever.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};
use url::Url;

use super::lease::Lease;
use crate::{
    Code, Error, Result, Retry,
    queue::{Hosts, Turned, Wish},
};

/// How long a turn outlives its worker.
pub(super) const LEASE: Duration = Duration::from_secs(10);
/// The longest a job waits for a host that wants to be left alone; for longer ones it comes again later.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// The first and the longest pause between two looks whether a held turn is free.
const LOOKS: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(80)];
/// How many hosts are remembered by one job.
const MOST_HOSTS: usize = 64;

/// A host's turn. The next one begins only after it is dropped.
pub struct Turn {
    host: Arc<Host>,
    lease: Option<Lease>,
    /// With no delay the lease is kept for the next turn of this job, as long as nobody else wants it.
    keep: bool,
    _permit: OwnedSemaphorePermit,
}

impl Turn {
    /// Whose turn it is: `name:port`.
    pub(super) fn host(&self) -> &str {
        &self.host.name
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let free = self.lease.take().filter(|lease| self.keep && lease.is_good() && !self.host.is_paused());
        self.host.free().extend(free);
    }
}

/// A host, as one job sees it.
pub(super) struct Host {
    name: String,
    permits: Arc<Semaphore>,
    free: Mutex<Vec<Lease>>,
    /// Until when the host wants to be left alone, as this job was told.
    paused: Mutex<Option<Instant>>,
}

impl Host {
    fn free(&self) -> MutexGuard<'_, Vec<Lease>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_paused(&self) -> bool {
        let paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        paused.is_some_and(|until| Instant::now() < until)
    }

    /// Gives a lease back that is not in use; it is called when others want it.
    pub(super) fn give_up(host: &Weak<Self>, token: &str) {
        let Some(host) = host.upgrade() else { return };
        let given: Vec<_> = host.free().extract_if(.., |lease| lease.token() == token).collect();
        drop(given);
    }
}

/// All turns of one job.
pub(super) struct Turns {
    hosts: Hosts,
    owner: String,
    delay: Duration,
    connections: usize,
    /// The claim that this is, from 1: how often the job may have come again already.
    epoch: u64,
    known: Mutex<HashMap<String, Arc<Host>>>,
}

impl Turns {
    pub(super) fn new(hosts: Hosts, delay: Duration, connections: usize, epoch: u64) -> Self {
        let owner = uuid::Uuid::new_v4().simple().to_string();
        Self { hosts, owner, delay, connections, epoch, known: Mutex::default() }
    }

    pub(super) const fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    fn host(&self, name: &str) -> Arc<Host> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_HOSTS && !known.contains_key(name) {
            known.retain(|_, host| Arc::strong_count(host) > 1);
        }
        let made = || {
            let permits = Arc::new(Semaphore::new(self.connections));
            Arc::new(Host { name: name.to_owned(), permits, free: Mutex::default(), paused: Mutex::default() })
        };
        known.entry(name.to_owned()).or_insert_with(made).clone()
    }

    /// Leaves a host alone, as it wishes: all workers, and those of this job's requests that would not ask Redis again.
    pub(super) async fn pause(&self, name: &str, time: Duration) -> Result<()> {
        let host = self.host(name);
        *host.paused.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now().checked_add(time);
        let kept = std::mem::take(&mut *host.free());
        let paused = self.hosts.pause(name, time).await;
        drop(kept);
        paused
    }

    /// Waits for the turn of a host, which itself asks for `crawl_delay` between two requests.
    pub(super) async fn take(&self, name: &str, crawl_delay: Duration) -> Result<Turn> {
        let host = self.host(name);
        let permit = host.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|e| Error::new(Code::Internal, "the turns have ended").caused_by(e))?;
        let least = self.delay.max(crawl_delay);
        let keep = least.is_zero();
        let kept = host.free().pop().filter(|lease| keep && lease.is_good());
        let lease = match kept {
            Some(lease) => lease,
            None => self.wait(&host, least, keep).await?,
        };
        Ok(Turn { host, lease: Some(lease), keep, _permit: permit })
    }

    async fn wait(&self, host: &Arc<Host>, least: Duration, keep: bool) -> Result<Lease> {
        let token = uuid::Uuid::new_v4().simple().to_string();
        let mut wish = Wish {
            host: &host.name,
            token: &token,
            owner: &self.owner,
            lease: LEASE,
            most: self.connections,
            least,
            chance: self.delay.mul_f64(rand::random()),
            waited: Duration::ZERO,
        };
        let mut look = LOOKS[0];
        let first = Instant::now();
        loop {
            let asked = Instant::now();
            wish.waited = first.elapsed();
            match self.hosts.take(&wish).await? {
                Turned::Now => break,
                Turned::In(wait) if wait > LONGEST_WAIT.max(least * 2) => return Err(self.later(&host.name, wait)),
                Turned::In(wait) => sleep(wait).await,
                Turned::Held => {
                    sleep(look.max(asked.elapsed() * 2)).await;
                    look = (look * 2).min(LOOKS[1]);
                }
            }
        }
        Ok(Lease::new(self.hosts.clone(), Arc::downgrade(host), host.name.clone(), token, self.owner.clone(), keep))
    }

    /// The host wants to be left alone for longer than a worker should wait. Coming again costs no attempt, but not for ever.
    fn later(&self, host: &str, wait: Duration) -> Error {
        const OFTEN: u64 = 50;
        let message = format!("{host} wants to be left alone for another {} s", wait.as_secs());
        let retry = if self.epoch < OFTEN { Retry::Snooze(wait) } else { Retry::Never };
        Error::new(Code::Http429, message).with_retry(retry)
    }
}

/// A host as turns know it: `name:port`.
pub(super) fn host_of(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    format!("{name}:{}", url.port_or_known_default().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_known_by_name_and_port() {
        for (url, host) in [
            ("http://Example.ORG/a", "example.org:80"),
            ("https://example.org./", "example.org:443"),
            ("http://example.org:8080/?token=x", "example.org:8080"),
            ("http://[::1]:81/", "[::1]:81"),
        ] {
            assert_eq!(host_of(&Url::parse(url).expect("an address")), host);
        }
    }
}
