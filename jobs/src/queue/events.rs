//! What happens to a job, as it happens: documents, events, waiting for the end.
use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    JobDocument, JobEvent,
    document::document,
    redis::{Queue, parse},
};
use crate::{Code, Error, JobId, Result};

/// The id of the event that says that a job was accepted. It is not in the stream (most jobs' streams begin with their
/// first attempt, which saves memory) but made from the record; no id that Redis gives is as small.
const ACCEPTED: &str = "0-1";

type Entry = (String, Vec<String>);
type Streams = Option<Vec<(String, Vec<Entry>)>>;

impl Queue {
    /// A job's document. `job_not_found`, or `job_expired` for an id whose time has passed beyond the retention.
    pub async fn get(&self, id: JobId) -> Result<JobDocument> {
        let fields: HashMap<String, String> = self.redis.command(::redis::cmd("HGETALL").arg(self.job(id))).await?;
        if fields.is_empty() { Err(self.missing(id).await) } else { document(id, &fields) }
    }

    pub(super) fn job(&self, id: JobId) -> String {
        self.key(&format!("job:{id}"))
    }

    /// A job's events after `after` (`None`: from the first kept one); waits up to `wait` for the first.
    /// `job_not_found`, `invalid_parameter` for an id that is none.
    pub async fn events(&self, id: JobId, after: Option<&str>, wait: Duration) -> Result<Vec<JobEvent>> {
        let Some(after) = after else {
            let job = self.get(id).await?;
            let data = json!({"status": "queued", "attempt": 0, "at": rfc3339(job.created_at.timestamp_millis())});
            let mut events = vec![JobEvent { id: ACCEPTED.into(), event: "status".into(), data }];
            events.extend(self.read(id, ACCEPTED, Duration::ZERO).await?);
            return Ok(events);
        };
        if !is_event_id(after) {
            return Err(Error::new(Code::InvalidParameter, "Last-Event-ID is not the id of an event of this job"));
        }
        let events = self.read(id, after, Duration::ZERO).await?;
        if !events.is_empty() {
            return Ok(events);
        }
        let there: bool = self.redis.command(::redis::cmd("EXISTS").arg(self.job(id))).await?;
        if !there {
            return Err(self.missing(id).await);
        }
        if wait.is_zero() { Ok(events) } else { self.read(id, after, wait).await }
    }

    async fn read(&self, id: JobId, after: &str, wait: Duration) -> Result<Vec<JobEvent>> {
        let mut command = ::redis::cmd("XREAD");
        command.arg("COUNT").arg(500);
        if !wait.is_zero() {
            command.arg("BLOCK").arg(wait.as_millis().max(1) as u64);
        }
        command.arg("STREAMS").arg(self.key(&format!("events:{id}"))).arg(after);
        let streams: Streams = match wait.is_zero() {
            true => self.redis.command(&command).await?,
            false => self.redis.blocking(&command, wait).await?,
        };
        Ok(streams.into_iter().flatten().flat_map(|(_, entries)| entries).map(event).collect())
    }

    /// Waits until the job has ended or the time is over, and gives its document.
    pub async fn wait(&self, id: JobId, time: Duration) -> Result<JobDocument> {
        let until = Instant::now() + time;
        loop {
            // The stream's end is noted before the job is looked at: what happens in between ends the wait below.
            let mut last = ::redis::cmd("XREVRANGE");
            last.arg(self.key(&format!("events:{id}"))).arg("+").arg("-").arg("COUNT").arg(1);
            let last: Vec<Entry> = self.redis.command(&last).await?;
            let job = self.get(id).await?;
            let left = until.saturating_duration_since(Instant::now());
            if job.status.is_terminal() || left.is_zero() {
                return Ok(job);
            }
            self.read(id, last.first().map_or(ACCEPTED, |(id, _)| id), left).await?;
        }
    }

    /// Writes a line to the event stream of a job that has started.
    pub async fn log(&self, id: JobId, line: &str) -> Result<()> {
        let mut command = ::redis::cmd("XADD");
        command.arg(self.key(&format!("events:{id}"))).arg("NOMKSTREAM").arg("MAXLEN").arg("~").arg(200).arg("*");
        command.arg("event").arg("log").arg("data").arg(json!({"line": line}).to_string());
        self.redis.command::<Option<String>>(&command).await.map(|_| ())
    }
}

fn is_event_id(text: &str) -> bool {
    let mut parts = text.split('-').map(|part| part.parse::<u64>().is_ok());
    parts.next() == Some(true) && parts.next().unwrap_or(true) && parts.next().is_none()
}

/// An entry of the stream; its id tells the time, and times leave as RFC 3339.
fn event((id, fields): Entry) -> JobEvent {
    let mut fields = fields.into_iter();
    let mut named = HashMap::new();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        named.insert(name, value);
    }
    let mut data = named.get("data").map_or(Value::Null, |data| parse(data));
    if let Value::Object(members) = &mut data {
        if let Some(next) = members.remove("next").and_then(|next| next.as_i64()) {
            members.insert("next_attempt_at".into(), rfc3339(next));
        }
        let at = id.split('-').next().and_then(|ms| ms.parse().ok()).map_or(Value::Null, rfc3339);
        members.insert("at".into(), at);
    }
    JobEvent { id, event: named.remove("event").unwrap_or_default(), data }
}

fn rfc3339(ms: i64) -> Value {
    DateTime::from_timestamp_millis(ms).map_or(Value::Null, |at| at.to_rfc3339_opts(SecondsFormat::Millis, true).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_ids_are_checked() {
        assert!(["0-1", "1795421234567-12", "5"].into_iter().all(is_event_id));
        assert!(!["", "-", "1-2-3", "$", "+", "a-1", "1-"].into_iter().any(is_event_id));
    }

    #[test]
    fn times_leave_as_rfc_3339() {
        let fields = ["event", "status", "data", r#"{"status":"retrying","next":2000}"#].map(String::from);
        let event = event(("1000-0".into(), fields.into()));
        assert_eq!(event.event, "status");
        assert_eq!(event.data["next_attempt_at"], "1970-01-01T00:00:02.000Z");
        assert_eq!(event.data["at"], "1970-01-01T00:00:01.000Z");
    }
}
