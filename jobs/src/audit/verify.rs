//! Whether the table is the chain that was written.
use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Record, START, Trail,
    table::{Head, read, stray},
};
use crate::Result;

/// How many records are held at once.
const WINDOW: u64 = 10_000;
/// How often the table is read again because it grew meanwhile.
const MOST_LOOKS: u32 = 5;

/// What a check of the trail has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verified {
    /// Whether the chain is whole.
    pub intact: bool,
    /// The records that were checked before the first fault.
    pub records: u64,
    /// The number of the first broken record.
    pub broken: Option<i64>,
    /// What is wrong with it.
    pub fault: Option<String>,
    /// The hash of the newest record; write it down elsewhere, and no later change goes unseen.
    pub head: Option<String>,
    /// Events that wait to be written.
    pub waiting: u64,
}

/// The chain as far as it was followed.
struct Chain {
    seq: u64,
    hash: String,
    events: HashMap<String, (u64, u64)>,
    known: (u64, String),
}

type Fault = (i64, String);

/// Reads the whole table and checks that its records are those of the chain: none changed, missing, added or doubled, and
/// the newest one that Redis knows of among them. Memory is bounded.
///
/// # Errors
/// Redis or the catalog is away.
pub async fn verify(trail: &Trail) -> Result<Verified> {
    let mut looks = 1;
    loop {
        let (found, seq) = look(trail).await?;
        // What was written while the table was read looks like a fault, and is none.
        let grew = !found.intact && looks < MOST_LOOKS && Head::load(trail.lakes.get(None)?).await?.seq > seq;
        if !grew {
            return Ok(found);
        }
        looks += 1;
    }
}

/// Looks through the table once; also gives the number of the newest record when that began.
async fn look(trail: &Trail) -> Result<(Verified, u64)> {
    let lake = trail.lakes.get(None)?;
    // Before the table is looked at: what does not wait any more is in it then.
    let waiting = trail.queue.audit_waiting().await? as u64;
    let known = trail.queue.audit_head().await?;
    let head = Head::load(lake).await?;
    let mut chain = Chain { seq: 0, hash: START.to_owned(), events: HashMap::new(), known };
    let mut fault = None;
    while fault.is_none() && chain.seq < head.seq {
        let (first, last) = (chain.seq + 1, (chain.seq + WINDOW).min(head.seq));
        let mut records = read(lake, first.cast_signed(), last.cast_signed(), |_| true).await?;
        records.sort_by_key(|record| record.seq);
        fault = records.iter().find_map(|record| chain.follow(record).err());
        if fault.is_none() && chain.seq < last {
            fault = Some(missing(chain.seq + 1));
        }
    }
    if fault.is_none() {
        fault = chain.ends(&head);
    }
    if fault.is_none() {
        fault = stray(lake, head.seq).await?.map(|seq| (seq, "it was not written by Icehaul".to_owned()));
    }
    let found = Verified {
        intact: fault.is_none(),
        records: chain.seq,
        head: Some(chain.hash).filter(|_| chain.seq > 0),
        broken: fault.as_ref().map(|(seq, _)| *seq),
        fault: fault.map(|(_, what)| what),
        waiting,
    };
    Ok((found, head.seq))
}

impl Chain {
    /// Goes on to the next record, or says what is wrong with it.
    fn follow(&mut self, record: &Record) -> Result<(), Fault> {
        let seq = record.seq.unwrap_or_default();
        let at = |what: &str| Err((seq.cast_signed(), what.to_owned()));
        if seq <= self.seq {
            return at("there are two records of this number");
        }
        if seq > self.seq + 1 {
            return Err(missing(self.seq + 1));
        }
        if record.previous_hash.as_deref() != Some(&self.hash) {
            return at("it does not follow the record before: one of the two was changed");
        }
        let hash = record.computed();
        if record.hash.as_ref() != Some(&hash) {
            return at("its content was changed: its hash is another");
        }
        let (Some(queue), Some(event)) = (record.queue.clone(), record.event()) else {
            return at("it names no event");
        };
        if self.events.insert(queue, event).is_some_and(|before| before >= event) {
            return at("its event was recorded before");
        }
        if self.known.0 == seq && self.known.1 != hash {
            return at("its hash is not the one that Redis keeps: the chain was written anew");
        }
        (self.seq, self.hash) = (seq, hash);
        Ok(())
    }

    /// Whether the chain ends where it was written to.
    fn ends(&self, head: &Head) -> Option<Fault> {
        let seq = self.seq.cast_signed();
        if self.known.0 > self.seq {
            return Some(missing(self.seq + 1));
        }
        (self.hash != head.hash).then(|| (seq, "its hash is not the one in the table's metadata".to_owned()))
    }
}

fn missing(seq: u64) -> Fault {
    (seq.cast_signed(), "it is missing".to_owned())
}
