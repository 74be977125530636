//! One record, its canonical bytes and its hash.
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::queue::{Event, sha256};

/// The hash before the first record's.
pub const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";

macro_rules! record {
    ($($name:ident $about:literal;)*) => {
        /// A record of the trail.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub struct Record {
            /// Its place in the chain, from 1; null while it waits to be written.
            pub seq: Option<u64>,
            /// When it happened, on Redis' clock, in milliseconds.
            pub at: DateTime<Utc>,
            /// The rows that were published.
            pub rows: Option<u64>,
            $(#[doc = $about] pub $name: Option<String>,)*
            /// The hash of the record before; null while it waits.
            pub previous_hash: Option<String>,
            /// Its own hash; null while it waits.
            pub hash: Option<String>,
        }

        impl Record {
            /// The names of the columns that are text, in the order of the canonical form.
            pub(super) const TEXTS: &[&str] = &[$(stringify!($name)),*];

            /// The values of those columns.
            pub(super) fn texts(&self) -> Vec<Option<&str>> {
                vec![$(self.$name.as_deref()),*]
            }

            /// A record of these values, not yet in a chain.
            pub(super) fn of(at: DateTime<Utc>, rows: Option<u64>, mut text: impl FnMut(&str) -> Option<String>) -> Self {
                Self { seq: None, at, rows, $($name: text(stringify!($name)),)* previous_hash: None, hash: None }
            }
        }
    };
}

record! {
    queue "The stream that the event came by.";
    event_id "Its id there; within a stream they only grow.";
    action "`submit`, `retry`, `cancel` (someone asked for it), `commit` (a job has published a snapshot), `migrate` (a migration has succeeded), `end` (a job has ended otherwise), `configure` (a process has started with another configuration).";
    requester "Who asked: `anonymous`, a caller of the API, which knows no users; `icehaul`, Icehaul itself, for a part of a batch.";
    client "The program that the caller says it is.";
    address "The address that the caller's connection came from.";
    job_id "The job.";
    kind "Its kind; of `configure` the role of the process.";
    table "The table that it writes.";
    batch_id "The job that made it.";
    request_sha256 "The SHA-256 of the request as the job's document shows it (`spec`), or of the configuration as `icehaul config check` prints it; both without secrets.";
    status "The job's status after it.";
    error_code "Why it failed.";
    snapshot_id "The snapshot that it has published.";
    fingerprint "The fingerprint of the rows that it has published, where it was computed.";
}

impl Record {
    /// The record of an event that waits.
    pub(super) fn waiting(queue: &str, event: &Event) -> Self {
        let number = |name: &str| event.fields.get(name).and_then(|text| text.parse::<u64>().ok());
        let ms = number("at").unwrap_or(event.id.0);
        let at = DateTime::from_timestamp_millis(ms.cast_signed()).unwrap_or_default();
        Self::of(at, number("rows"), |name| match name {
            "queue" => Some(queue.to_owned()),
            "event_id" => Some(format!("{}-{}", event.id.0, event.id.1)),
            name => event.fields.get(name).cloned(),
        })
    }

    /// Puts it behind the record with that number and hash.
    pub(super) fn chain(mut self, (seq, hash): (u64, &str)) -> Self {
        self.seq = Some(seq + 1);
        self.previous_hash = Some(hash.to_owned());
        self.hash = Some(self.computed());
        self
    }

    /// The hash that it must have.
    #[must_use]
    pub fn computed(&self) -> String {
        let mut text = self.previous_hash.clone().unwrap_or_default();
        let mut field = |name: &str, value: Option<&str>| {
            let value = value.map(|value| format!("{}:{value}", value.len()));
            text.push_str(&format!("{name}={}\n", value.unwrap_or_default()));
        };
        let number = |value: Option<u64>| value.map(|value| value.to_string());
        field("seq", number(self.seq).as_deref());
        // Records are of milliseconds: a finer time was put there by somebody else, and must not have the same hash.
        let finer = Some(self.at.timestamp_subsec_nanos() % 1_000_000).filter(|rest| *rest > 0);
        let finer = finer.map(|rest| format!("+{rest}ns")).unwrap_or_default();
        field("at", Some(&format!("{}{finer}", self.at.timestamp_millis())));
        field("rows", number(self.rows).as_deref());
        for (name, value) in Self::TEXTS.iter().zip(self.texts()) {
            field(name, value);
        }
        sha256(text.as_bytes())
    }

    /// Its event's id, in the order of the stream.
    pub(super) fn event(&self) -> Option<(u64, u64)> {
        event_id(self.event_id.as_deref()?)
    }
}

/// An event's id, in the order of the stream.
pub(super) fn event_id(text: &str) -> Option<(u64, u64)> {
    let (ms, number) = text.split_once('-')?;
    Some((ms.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_specification() {
        let record = Record::of(DateTime::from_timestamp_millis(5).expect("a time"), None, |name| {
            (name == "action").then(|| "é\n".to_owned())
        });
        let record = record.chain((0, START));
        let names = Record::TEXTS.iter().map(|name| match *name {
            "action" => "action=3:é\n\n".to_owned(),
            name => format!("{name}=\n"),
        });
        let text = format!("{START}seq=1:1\nat=1:5\nrows=\n{}", names.collect::<String>());
        assert_eq!(record.hash.as_deref(), Some(sha256(text.as_bytes()).as_str()));
    }
}
