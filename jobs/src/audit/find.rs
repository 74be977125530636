//! Questions to the trail: newest first, from the events that wait and then from the table.
use chrono::{DateTime, Utc};

use super::{
    Record, Trail,
    record::event_id,
    table::{Head, of_job, read},
};
use crate::{Code, Error, JobId, Result};

/// The events that are asked for at once.
const CHUNK: usize = 1000;
/// The numbers that are read at once: at first, and at most.
const WINDOWS: (u64, u64) = (1000, 16_000);

/// Which records are wanted. All that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// With this action.
    pub action: Option<String>,
    /// Of this job.
    pub job: Option<JobId>,
    /// Of jobs that write this table.
    pub table: Option<String>,
    /// At or after this time.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
}

/// A page of records, newest first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// Where the next page begins; `None` at the end.
    pub next_cursor: Option<String>,
}

impl Question {
    fn wants(&self, record: &Record) -> bool {
        self.action.as_ref().is_none_or(|action| record.action.as_ref() == Some(action))
            && self.job.is_none_or(|job| record.job_id.as_ref() == Some(&job.to_string()))
            && self.table.as_ref().is_none_or(|table| record.table.as_ref() == Some(table))
            && self.since.is_none_or(|since| record.at >= since)
            && self.until.is_none_or(|until| record.at < until)
    }
}

/// Where a page begins: before this event that waits, or before this record.
#[derive(Clone, Copy)]
enum Place {
    Event((u64, u64)),
    Record(u64),
}

impl Place {
    fn parse(text: &str) -> Result<Self> {
        let place = match text.contains('-') {
            true => event_id(text).map(Self::Event),
            false => text.parse().ok().map(Self::Record),
        };
        place.ok_or_else(|| {
            Error::field("cursor", Code::InvalidParameter, "must be the `next_cursor` of the page before")
        })
    }

    /// Before this record.
    fn of(record: &Record) -> Option<String> {
        record.seq.map_or_else(|| record.event_id.clone(), |seq| Some(seq.to_string()))
    }
}

/// The newest records that a question wants, at most `limit`, from a place on. Memory is bounded by the limit.
///
/// # Errors
/// [`Code::InvalidParameter`] for a cursor that is none; Redis or the catalog is away.
pub async fn find(trail: &Trail, question: &Question, limit: usize, cursor: Option<&str>) -> Result<Page> {
    let place = cursor.map(Place::parse).transpose()?;
    let queue = trail.queue.audit_name().await?;
    // The stream before the table: what is written meanwhile is seen twice, not missed, and left out there.
    let (mut records, mut oldest) = (Vec::new(), None);
    if let None | Some(Place::Event(_)) = place {
        oldest = match place {
            Some(Place::Event(event)) => Some(event),
            _ => None,
        };
        while records.len() <= limit {
            let events = trail.queue.audit_events_before(oldest, CHUNK).await?;
            let Some(last) = events.last() else { break };
            oldest = Some(last.id);
            let waiting = events.iter().map(|event| Record::waiting(&queue, event));
            records.extend(waiting.filter(|record| question.wants(record)));
        }
    }
    let lake = trail.lakes.get(None)?;
    let seen = |record: &Record| {
        oldest.is_some() && record.queue.as_ref() == Some(&queue) && record.event().is_some_and(|id| Some(id) >= oldest)
    };
    let mut last = match place {
        Some(Place::Record(seq)) => seq.saturating_sub(1),
        _ => Head::load(lake).await?.seq,
    };
    if let Some(job) = question.job {
        let before = |record: &Record| record.seq.is_some_and(|seq| seq <= last);
        let mut found = of_job(lake, job, |record| before(record) && question.wants(record) && !seen(record)).await?;
        found.sort_by_key(|record| std::cmp::Reverse(record.seq));
        records.extend(found);
        last = 0;
    }
    let mut window = WINDOWS.0;
    while records.len() <= limit && last > 0 {
        let first = last.saturating_sub(window - 1).max(1);
        let wanted = |record: &Record| question.wants(record) && !seen(record);
        let mut found = read(lake, first.cast_signed(), last.cast_signed(), wanted).await?;
        found.sort_by_key(|record| std::cmp::Reverse(record.seq));
        records.extend(found);
        (last, window) = (first - 1, (2 * window).min(WINDOWS.1));
    }
    let more = records.len() > limit;
    records.truncate(limit);
    let next_cursor = records.last().filter(|_| more).and_then(Place::of);
    Ok(Page { records, next_cursor })
}
