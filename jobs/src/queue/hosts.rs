//! The turns of sites' hosts over all workers, and what their robots.txt says; on Redis' clock. Only hosts are named there,
//! no addresses.
use std::{sync::Arc, time::Duration};

use ::redis::cmd;

use super::{Queue, connection::Connection, redis::unexpected, script};
use crate::Result;

/// Where workers agree on whose turn it is. Cheap to clone.
#[derive(Clone)]
pub struct Hosts {
    redis: Connection,
    prefix: Arc<str>,
}

/// A wish for a turn.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// The host, `name:port`.
    pub host: &'a str,
    /// The turn's name: no other has it.
    pub token: &'a str,
    /// Whoever holds several turns one after another.
    pub owner: &'a str,
    /// How long it is held if it is not renewed.
    pub lease: Duration,
    /// How many may hold one at once.
    pub most: usize,
    /// The least time since the last turn began.
    pub least: Duration,
    /// By how much longer the next one waits.
    pub chance: Duration,
    /// How long it has waited already.
    pub waited: Duration,
}

/// What came of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// It is this one's turn.
    Now,
    /// It is nobody's turn for so long.
    In(Duration),
    /// Others hold all turns that there are.
    Held,
}

/// What became of a turn that was renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It ran out.
    Lost,
    /// It is held.
    Held,
    /// It is held, and others wait for it.
    Wanted,
}

impl Queue {
    /// The turns of hosts, beside the jobs in the same Redis.
    #[must_use]
    pub fn hosts(&self) -> Hosts {
        Hosts { redis: self.redis.clone(), prefix: self.key("").into() }
    }
}

impl Hosts {
    async fn call(&self, arguments: &[&str]) -> Result<i64> {
        let mut call = script::HOST.prepare_invoke();
        call.key(&*self.prefix);
        for argument in arguments {
            call.arg(*argument);
        }
        self.redis.script(&call).await
    }

    /// Asks for a turn.
    ///
    /// # Errors
    /// [`crate::Code::QueueUnavailable`]; of the other calls too.
    pub async fn take(&self, wish: &Wish<'_>) -> Result<Turned> {
        let (lease, most) = (millis(wish.lease), wish.most.to_string());
        let [least, chance, waited] = [wish.least, wish.chance, wish.waited].map(millis);
        let call = ["take", wish.host, wish.token, wish.owner, &lease, &most, &least, &chance, &waited];
        match self.call(&call).await? {
            0 => Ok(Turned::Now),
            -1 => Ok(Turned::Held),
            wait => u64::try_from(wait).map(|ms| Turned::In(Duration::from_millis(ms))).map_err(|_| unexpected()),
        }
    }

    /// Renews a turn.
    ///
    /// # Errors
    /// See [`Hosts::take`].
    pub async fn keep(&self, host: &str, token: &str, lease: Duration) -> Result<Kept> {
        match self.call(&["keep", host, token, &millis(lease)]).await? {
            0 => Ok(Kept::Lost),
            1 => Ok(Kept::Held),
            2 => Ok(Kept::Wanted),
            _ => Err(unexpected()),
        }
    }

    /// Gives a turn back. If it was kept over many requests, it counts from now on, and others go first for a moment.
    ///
    /// # Errors
    /// See [`Hosts::take`].
    pub async fn give(&self, host: &str, token: &str, owner: &str, was_kept: bool) -> Result<()> {
        self.call(&["give", host, token, owner, if was_kept { "1" } else { "0" }]).await.map(drop)
    }

    /// Lets nobody ask a host for a while, as it wishes.
    ///
    /// # Errors
    /// See [`Hosts::take`].
    pub async fn pause(&self, host: &str, time: Duration) -> Result<()> {
        self.call(&["pause", host, &millis(time)]).await.map(drop)
    }

    /// What was kept of a host's robots.txt.
    ///
    /// # Errors
    /// See [`Hosts::take`].
    pub async fn robots(&self, host: &str) -> Result<Option<Vec<u8>>> {
        self.redis.command(cmd("GET").arg(self.robots_key(host))).await
    }

    /// Keeps it for all workers.
    ///
    /// # Errors
    /// See [`Hosts::take`].
    pub async fn keep_robots(&self, host: &str, rules: &[u8], time: Duration) -> Result<()> {
        let mut set = cmd("SET");
        set.arg(self.robots_key(host)).arg(rules).arg("PX").arg(millis(time));
        self.redis.command(&set).await
    }

    fn robots_key(&self, host: &str) -> String {
        format!("{}robots:{host}", self.prefix)
    }
}

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}
