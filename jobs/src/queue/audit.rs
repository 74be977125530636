//! Audit events on their way to the table: the scripts note them, within the move that they are about, on one stream.
use std::{collections::HashMap, sync::Arc};

use redis::ScriptInvocation;
use sha2::{Digest, Sha256};

use super::{
    Outcome,
    redis::{Queue, unexpected},
    script,
};
use crate::Result;

/// The most events that may wait to be written; then no job is accepted. About 100 MB of Redis.
pub(super) const MAX_EVENTS: usize = 200_000;

type Entry = (String, HashMap<String, String>);

/// Who asks for a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    /// `anonymous` for a caller of the API, which has no users; `icehaul` for Icehaul itself.
    pub name: String,
    /// The program that the caller says it is (`User-Agent`).
    pub client: String,
    /// The address that the connection came from.
    pub address: String,
}

impl Default for Requester {
    fn default() -> Self {
        Self { name: "icehaul".into(), client: String::new(), address: String::new() }
    }
}

impl Requester {
    pub(super) fn sign<'a, 'b>(&self, call: &'a mut ScriptInvocation<'b>) -> &'a mut ScriptInvocation<'b> {
        call.arg(&self.name).arg(&self.client).arg(&self.address)
    }
}

/// An event that waits to be written.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id in the stream; later events have greater ones.
    pub id: (u64, u64),
    /// Its fields by name; those that say nothing are left out.
    pub fields: HashMap<String, String>,
}

impl Queue {
    /// The same queue, every move of which is noted for the audit trail.
    #[must_use]
    pub fn audited(mut self) -> Self {
        self.audit = Some(self.key("audit").into());
        self
    }

    /// Whether moves are noted.
    #[must_use]
    pub fn is_audited(&self) -> bool {
        self.audit.is_some()
    }

    /// The same queue in the name of someone.
    #[must_use]
    pub fn by(&self, requester: Requester) -> Self {
        let mut queue = self.clone();
        queue.by = Arc::new(requester);
        queue
    }

    /// Notes that a process of a role (`up`, `api`, `worker`) has started with a configuration, if the last one of that role
    /// had another. Gives whether it had.
    pub async fn configured(&self, role: &str, hash: &str) -> Result<bool> {
        let mut call = self.call(&script::CONFIGURED);
        self.redis.script(self.by.sign(call.arg(role).arg(hash))).await
    }

    /// The name of this queue's stream of events: made once, lost with the Redis that holds it.
    pub async fn audit_name(&self) -> Result<String> {
        let (key, fresh) = (self.key("audit:name"), uuid::Uuid::new_v4().to_string());
        self.redis.command::<Option<String>>(redis::cmd("SET").arg(&key).arg(fresh).arg("NX")).await?;
        self.redis.command(redis::cmd("GET").arg(key)).await
    }

    /// How many events wait.
    pub async fn audit_waiting(&self) -> Result<usize> {
        self.redis.command(redis::cmd("XLEN").arg(self.key("audit"))).await
    }

    /// The oldest events after an id.
    pub async fn audit_events(&self, after: (u64, u64), limit: usize) -> Result<Vec<Event>> {
        let mut command = redis::cmd("XRANGE");
        command.arg(self.key("audit")).arg(format!("({}", id(after))).arg("+").arg("COUNT").arg(limit);
        events(self.redis.command(&command).await?)
    }

    /// The newest events before an id, the newest first.
    pub async fn audit_events_before(&self, before: Option<(u64, u64)>, limit: usize) -> Result<Vec<Event>> {
        let before = before.map_or_else(|| "+".to_owned(), |before| format!("({}", id(before)));
        let mut command = redis::cmd("XREVRANGE");
        command.arg(self.key("audit")).arg(before).arg("-").arg("COUNT").arg(limit);
        events(self.redis.command(&command).await?)
    }

    /// Number and hash of the newest record of the table that this Redis knows of; 0 if of none.
    pub async fn audit_head(&self) -> Result<(u64, String)> {
        let mut command = redis::cmd("HMGET");
        let (seq, hash): (Option<u64>, Option<String>) =
            self.redis.command(command.arg(self.key("audit:head")).arg("seq").arg("hash")).await?;
        Ok((seq.unwrap_or(0), hash.unwrap_or_default()))
    }

    /// The table holds the record `seq` with `hash`, and every event up to `written`, which therefore go.
    pub async fn audit_written(&self, (seq, hash): (u64, &str), written: (u64, u64)) -> Result<()> {
        let mut call = self.call(&script::AUDITED);
        call.arg(seq).arg(hash).arg(id((written.0, written.1.saturating_add(1))));
        self.redis.script::<u64>(&call).await.map(drop)
    }

    /// Takes the turn to write the table for so long, unless someone has it. Only spares work: the table's own
    /// compare-and-swap is what keeps two writers apart.
    pub async fn audit_turn(&self, ms: u64) -> Result<bool> {
        let mut command = redis::cmd("SET");
        command.arg(self.key("audit:turn")).arg(1).arg("NX").arg("PX").arg(ms);
        Ok(self.redis.command::<Option<String>>(&command).await?.is_some())
    }

    /// Gives the turn back.
    pub async fn audit_turn_over(&self) -> Result<()> {
        self.redis.command::<u64>(redis::cmd("DEL").arg(self.key("audit:turn"))).await.map(drop)
    }
}

/// What a success has published: snapshot, rows, fingerprint. A verification names snapshots too, and a plan counts rows, but
/// neither has loaded or migrated any; nor has a job that found nothing new.
pub(super) fn published(outcome: &Outcome) -> [String; 3] {
    let Outcome::Succeeded(result) = outcome else { return Default::default() };
    if result["unchanged"] == true {
        return Default::default();
    }
    let text = |name: &str| match &result[name] {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let rows = ["rows_loaded", "rows_migrated"].map(text).into_iter().find(|rows| !rows.is_empty());
    rows.map(|rows| [text("snapshot_id"), rows, text("fingerprint")]).unwrap_or_default()
}

/// A SHA-256 in hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn id((ms, number): (u64, u64)) -> String {
    format!("{ms}-{number}")
}

fn events(entries: Vec<Entry>) -> Result<Vec<Event>> {
    let event = |(id, mut fields): Entry| {
        fields.retain(|_, value| !value.is_empty());
        let (ms, number) = id.split_once('-')?;
        Some(Event { id: (ms.parse().ok()?, number.parse().ok()?), fields })
    };
    entries.into_iter().map(|entry| event(entry).ok_or_else(unexpected)).collect()
}
