//! The queue in numbers.
use std::collections::{BTreeMap, HashMap};

use chrono::DateTime;
use serde::Deserialize;

use super::{Stats, WorkerInfo, redis::Queue};
use crate::{JobId, Result, Status};

/// A worker as the heartbeat writes it.
#[derive(Deserialize)]
struct Known {
    at: i64,
    slots: u32,
    #[serde(default)]
    has_browser: bool,
    running: Vec<JobId>,
}

impl Queue {
    /// The queue in numbers.
    pub async fn stats(&self) -> Result<Stats> {
        let now = self.now().await?;
        let names: Vec<String> = self.redis.command(::redis::cmd("SMEMBERS").arg(self.key("kinds"))).await?;
        let pairs: Vec<_> = names.iter().flat_map(|kind| Status::ALL.map(|status| (kind, status))).collect();
        let mut statuses: BTreeMap<_, _> = Status::ALL.map(|status| (status.as_str().to_owned(), 0)).into();
        let mut kinds: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for ((kind, status), count) in pairs.iter().zip(self.counts(&pairs).await?) {
            *statuses.entry(status.as_str().to_owned()).or_default() += count;
            kinds.entry((*kind).clone()).or_default().insert(status.as_str().to_owned(), count);
        }
        let (queue_depth, oldest_ms) = self.waiting().await?;
        let silent = now.timestamp_millis() - (self.config().lease_seconds * 1000.0) as i64;
        Ok(Stats {
            statuses,
            kinds,
            queue_depth,
            oldest_wait_seconds: oldest_ms.map_or(0.0, |at| ((now.timestamp_millis() - at) as f64 / 1000.0).max(0.0)),
            workers: self.workers(silent).await?,
        })
    }

    async fn counts(&self, pairs: &[(&String, Status)]) -> Result<Vec<u64>> {
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = ::redis::pipe();
        for (kind, status) in pairs {
            pipe.zcard(self.jobs(kind, *status));
        }
        self.redis.pipeline(&pipe).await
    }

    /// How many jobs are ready, and since when the oldest of them.
    async fn waiting(&self) -> Result<(u64, Option<i64>)> {
        let mut pipe = ::redis::pipe();
        for priority in ["high", "normal", "low"] {
            let set = self.key(&format!("ready:{priority}"));
            pipe.zcard(&set).cmd("ZRANGE").arg(&set).arg(0).arg(0).arg("WITHSCORES");
        }
        type Ready = (u64, Vec<(String, f64)>);
        let (high, normal, low): (Ready, Ready, Ready) = {
            let (a, b, c, d, e, f) = self.redis.pipeline(&pipe).await?;
            ((a, b), (c, d), (e, f))
        };
        let all = [high, normal, low];
        // The turn of a ready job is its time in units of 1/1024 ms (`ready` in common.lua).
        let oldest = all.iter().flat_map(|(_, first)| first).map(|(_, turn)| (turn / 1024.0) as i64).min();
        Ok((all.iter().map(|(count, _)| count).sum(), oldest))
    }

    async fn workers(&self, since_ms: i64) -> Result<Vec<WorkerInfo>> {
        let known: HashMap<String, String> =
            self.redis.command(::redis::cmd("HGETALL").arg(self.key("workers"))).await?;
        let info = |(id, text): (String, String)| {
            let known: Known = serde_json::from_str(&text).ok().filter(|known: &Known| known.at >= since_ms)?;
            let heartbeat_at = DateTime::from_timestamp_millis(known.at)?;
            let Known { slots, has_browser, running, .. } = known;
            Some(WorkerInfo { id, slots, has_browser, running, heartbeat_at })
        };
        let mut workers: Vec<_> = known.into_iter().filter_map(info).collect();
        workers.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(workers)
    }
}
