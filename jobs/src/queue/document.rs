//! A job's record in Redis and its document.
use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Attempt, JobDocument, JobError, NewJob};
use crate::{Code, Error, JobId, Result, Status, spec::Priority};

/// What never changes about a job; the scripts read it too.
#[derive(Serialize, Deserialize)]
pub(super) struct Head {
    /// Set by the script, on Redis' clock.
    #[serde(skip_serializing, default)]
    created: i64,
    kind: String,
    priority: Priority,
    /// How many attempts it is given, at first and each time that a person runs it again.
    tries: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    batch: Option<JobId>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    labels: BTreeMap<String, String>,
}

impl Head {
    pub(super) fn of(job: &NewJob) -> Self {
        Self {
            created: 0,
            kind: job.kind.clone(),
            priority: job.priority,
            tries: job.max_attempts,
            table: job.table.clone(),
            batch: job.batch,
            labels: job.labels.clone(),
        }
    }
}

/// An attempt as the scripts write it; times in milliseconds.
#[derive(Deserialize)]
struct Entry {
    worker: String,
    started: i64,
    ended: Option<i64>,
    error: Option<JobError>,
}

/// Makes the document of a record. Only a defect, or another program's hand, makes this fail.
pub(super) fn document(id: JobId, fields: &HashMap<String, String>) -> Result<JobDocument> {
    let head: Head = json(id, required(id, fields, "head")?)?;
    let text = |name: &str| fields.get(name).map(String::as_str);
    let number = |name: &str| required(id, fields, name)?.parse().map_err(|_| damaged(id, name));
    let time = |name: &str| text(name).and_then(|ms| ms.parse().ok()).and_then(DateTime::from_timestamp_millis);
    let mut attempts = fields
        .iter()
        .filter_map(|(name, entry)| Some((name.strip_prefix('a')?.parse().ok()?, entry)))
        .map(|(number, entry)| attempt(number, json(id, entry)?).ok_or_else(|| damaged(id, "attempts")))
        .collect::<Result<Vec<_>>>()?;
    attempts.sort_by_key(|attempt| attempt.attempt);
    Ok(JobDocument {
        job_id: id,
        kind: head.kind,
        status: Status::parse(required(id, fields, "status")?).ok_or_else(|| damaged(id, "status"))?,
        table: head.table,
        attempt: number("attempt")?,
        max_attempts: number("max")?,
        priority: head.priority,
        created_at: DateTime::from_timestamp_millis(head.created).ok_or_else(|| damaged(id, "head"))?,
        started_at: attempts.last().map(|attempt| attempt.started_at),
        finished_at: time("finished"),
        next_attempt_at: time("next"),
        progress: text("progress").map(|text| json(id, text)).transpose()?,
        result: text("result").map(|text| json(id, text)).transpose()?,
        error: text("error").map(|text| json(id, text)).transpose()?,
        attempts,
        spec: json(id, required(id, fields, "spec")?)?,
        batch_id: head.batch,
        labels: head.labels,
        cancel_requested: fields.contains_key("cancel"),
    })
}

fn attempt(number: u32, entry: Entry) -> Option<Attempt> {
    let time = DateTime::<Utc>::from_timestamp_millis;
    Some(Attempt {
        attempt: number,
        worker: entry.worker,
        started_at: time(entry.started)?,
        ended_at: entry.ended.and_then(time),
        error: entry.error,
    })
}

fn required<'a>(id: JobId, fields: &'a HashMap<String, String>, name: &str) -> Result<&'a str> {
    fields.get(name).map(String::as_str).ok_or_else(|| damaged(id, name))
}

fn json<T: DeserializeOwned>(id: JobId, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| damaged(id, "JSON").caused_by(e))
}

fn damaged(id: JobId, what: &str) -> Error {
    Error::new(Code::Internal, format!("the record of job {id} in Redis is damaged ({what})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> HashMap<String, String> {
        [
            ("head", r#"{"created":1000,"kind":"load.postgres","priority":"high","tries":5,"labels":{"a":"b"}}"#),
            ("status", "running"),
            ("epoch", "3"),
            ("attempt", "2"),
            ("max", "5"),
            ("spec", "{}"),
            ("a2", r#"{"worker":"w","started":3000}"#),
            ("a1", r#"{"worker":"v","started":1500,"ended":2000}"#),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    #[test]
    fn a_record_becomes_a_document() {
        let job = document(JobId::nil(), &record()).expect("document");
        assert_eq!((job.status, job.attempt, job.max_attempts), (Status::Running, 2, 5));
        assert_eq!(job.attempts.iter().map(|a| a.worker.as_str()).collect::<Vec<_>>(), ["v", "w"]);
        assert_eq!(job.started_at.map(|at| at.timestamp_millis()), Some(3000));
        assert_eq!(job.created_at.timestamp_millis(), 1000);
        assert_eq!(job.labels["a"], "b");
    }

    #[test]
    fn a_damaged_record_says_what_is_wrong() {
        let mut fields = record();
        fields.insert("status".into(), "asleep".into());
        let error = document(JobId::nil(), &fields).expect_err("damaged");
        assert!(error.message().contains("(status)"), "{}", error.message());
        fields.remove("max");
        fields.insert("status".into(), "failed".into());
        assert!(document(JobId::nil(), &fields).expect_err("damaged").message().contains("(max)"));
    }
}
