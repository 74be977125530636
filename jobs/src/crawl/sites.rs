//! What all attempts of a worker share when they ask sites: one client, one guard, one place for the turns of hosts.
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::{browser::Browsers, egress::Egress};
use crate::{
    Code, Error, Result,
    config::ScrapeConfig,
    http::{Lookup, Web, system_lookup},
    queue::Hosts,
};

/// The worker's side of all sites. The default one asks none: it has no queue by which to be polite.
#[derive(Default)]
pub struct Sites {
    config: ScrapeConfig,
    egress: Arc<Egress>,
    lookup: Option<Lookup>,
    hosts: Option<Hosts>,
    /// Made when it is first needed: it reads all root certificates.
    web: OnceLock<Web>,
    browsers: Browsers,
}

impl Sites {
    /// Sites as the configuration wants them asked, with their turns kept in the queue's Redis.
    #[must_use]
    pub fn new(config: ScrapeConfig, hosts: Hosts) -> Self {
        let egress = Arc::new(Egress::new(config.allow_networks.0.clone()));
        let browsers = Browsers::new(&config);
        Self { config, egress, hosts: Some(hosts), browsers, ..Self::default() }
    }

    /// The same with another way to look names up: what tests of the guard use.
    #[must_use]
    pub fn with_lookup(self, lookup: Lookup) -> Self {
        Self { lookup: Some(lookup), ..self }
    }

    /// Where requests may go.
    #[must_use]
    pub const fn egress(&self) -> &Arc<Egress> {
        &self.egress
    }

    /// How names become addresses; what comes of it must pass [`Egress::filter`].
    #[must_use]
    pub fn lookup(&self) -> Lookup {
        self.lookup.clone().unwrap_or_else(system_lookup)
    }

    /// How sites are asked.
    #[must_use]
    pub const fn config(&self) -> &ScrapeConfig {
        &self.config
    }

    /// The browser, for pages that scripts make.
    #[must_use]
    pub const fn browsers(&self) -> &Browsers {
        &self.browsers
    }

    pub(super) fn hosts(&self) -> Result<Hosts> {
        let missing = || Error::new(Code::Internal, "sites are asked only by a worker that has a queue");
        self.hosts.clone().ok_or_else(missing)
    }

    pub(super) fn web(&self, connect_timeout: Duration) -> Result<Web> {
        if let Some(web) = self.web.get() {
            return Ok(web.clone());
        }
        let web = Web::new(self.egress.clone(), self.lookup(), &self.config.user_agent, connect_timeout)?;
        Ok(self.web.get_or_init(|| web).clone())
    }
}
