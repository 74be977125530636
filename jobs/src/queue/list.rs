//! Listing jobs, newest first: the smallest fitting index is walked, everything else is checked in the documents.
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{JobDocument, JobFilter, JobPage, document::document, redis::Queue};
use crate::{Code, Error, JobId, Result, Status};

/// How many jobs one call looks at. A page that is not full by then comes with a cursor all the same.
const EXAMINED: usize = 2000;
/// How many documents one round trip brings: they come whole, and one may have two megabytes.
const CHUNK: usize = 32;
/// The longest text of a request in a list, in characters; [`Queue::get`] gives it whole.
const LONGEST: usize = 4096;

/// A place in the list: the time of acceptance in milliseconds, and the id among those of one millisecond.
type Place = (i64, JobId);

impl Queue {
    /// Jobs that fit, newest first. `invalid_parameter` for a cursor that is not ours.
    pub async fn list(&self, filter: &JobFilter, limit: usize, cursor: Option<&str>) -> Result<JobPage> {
        let mut place = cursor.map(read_cursor).transpose()?;
        let index = self.smallest_index(filter).await?;
        let mut page = JobPage { jobs: Vec::new(), next_cursor: None };
        let mut examined = 0;
        while examined < EXAMINED {
            // One more than the page can take shows whether there is a next page.
            let wanted = (limit - page.jobs.len() + 1).max(if filter.is_empty() { 1 } else { CHUNK }).min(CHUNK);
            let places = self.places(&index, filter, place, wanted).await?;
            let last = places.len() < wanted;
            let jobs = self.documents(&places).await?;
            for (at, job) in places.into_iter().zip(jobs) {
                if page.jobs.len() == limit {
                    page.next_cursor = place.map(write_cursor);
                    return Ok(page);
                }
                examined += 1;
                place = Some(at);
                page.jobs.extend(job.filter(|job| filter.fits(job)).map(shortened));
            }
            if last {
                return Ok(page);
            }
        }
        page.next_cursor = place.map(write_cursor);
        Ok(page)
    }

    /// The sets of which every job that fits is in one: those of its table, label or batch, or of its kind and status.
    async fn smallest_index(&self, filter: &JobFilter) -> Result<Vec<String>> {
        let kinds = match &filter.kind {
            Some(kind) => vec![kind.clone()],
            None => self.redis.command(::redis::cmd("SMEMBERS").arg(self.key("kinds"))).await?,
        };
        let statuses = filter.status.map_or_else(|| Status::ALL.to_vec(), |status| vec![status]);
        let of_kind = |kind: &String| statuses.iter().map(|s| self.jobs(kind, *s)).collect::<Vec<_>>();
        let mut choices = vec![kinds.iter().flat_map(of_kind).collect::<Vec<_>>()];
        let others = [
            filter.table.as_ref().map(|table| format!("table:{table}")),
            filter.label.as_ref().map(|label| format!("label:{label}")),
            filter.batch.map(|batch| format!("batch:{batch}")),
        ];
        choices.extend(others.into_iter().flatten().map(|name| vec![self.key(&name)]));
        if choices.len() == 1 {
            return Ok(choices.swap_remove(0));
        }
        let mut count = ::redis::pipe();
        for set in choices.iter().flatten() {
            count.zcard(set);
        }
        let mut sizes = self.redis.pipeline::<Vec<u64>>(&count).await?.into_iter();
        let size = |sets: Vec<String>| (sizes.by_ref().take(sets.len()).sum::<u64>(), sets);
        let sized: Vec<_> = choices.into_iter().map(size).collect();
        Ok(sized.into_iter().min_by_key(|(size, _)| *size).map(|(_, sets)| sets).unwrap_or_default())
    }

    /// The sorted set of one kind and status.
    pub(super) fn jobs(&self, kind: &str, status: Status) -> String {
        self.key(&format!("jobs:{kind}:{}", status.as_str()))
    }

    /// The next `wanted` places after `after`, merged from several sets.
    async fn places(
        &self,
        sets: &[String],
        filter: &JobFilter,
        after: Option<Place>,
        wanted: usize,
    ) -> Result<Vec<Place>> {
        if sets.is_empty() {
            return Ok(Vec::new());
        }
        let (low, mut high) = filter.bounds();
        let mut before = vec![0; sets.len()];
        if let Some((ms, _)) = after {
            // Jobs of the same millisecond may have been given already; they come again and are dropped below.
            high = ms.to_string();
            let mut count = ::redis::pipe();
            for set in sets {
                count.cmd("ZCOUNT").arg(set).arg(ms).arg(ms);
            }
            before = self.redis.pipeline(&count).await?;
        }
        let mut range = ::redis::pipe();
        for (set, before) in sets.iter().zip(before) {
            range.cmd("ZREVRANGEBYSCORE").arg(set).arg(&high).arg(&low).arg("WITHSCORES");
            range.arg("LIMIT").arg(0).arg(wanted + before);
        }
        let found: Vec<Vec<(String, f64)>> = self.redis.pipeline(&range).await?;
        let place = |(id, score): (String, f64)| Some((score as i64, id.parse().ok()?));
        let mut places: Vec<Place> = found.into_iter().flatten().filter_map(place).collect();
        places.retain(|place| after.is_none_or(|after| *place < after));
        places.sort_unstable_by(|a, b| b.cmp(a));
        // A job that moves while the sets are read is in two of them.
        places.dedup();
        places.truncate(wanted);
        Ok(places)
    }

    /// The documents at these places; `None` for one that has just been forgotten, or is damaged.
    async fn documents(&self, places: &[Place]) -> Result<Vec<Option<JobDocument>>> {
        let mut get = ::redis::pipe();
        for (_, id) in places {
            get.cmd("HGETALL").arg(self.job(*id));
        }
        let records: Vec<HashMap<String, String>> =
            if places.is_empty() { Vec::new() } else { self.redis.pipeline(&get).await? };
        // One damaged record must not hide all others; asked for by its id it says what is wrong.
        let read = |((_, id), fields): (&Place, HashMap<_, _>)| {
            let found = (!fields.is_empty()).then(|| document(*id, &fields))?;
            found.inspect_err(|error| tracing::warn!(job_id = %id, %error, "a job's record is left out of a list")).ok()
        };
        Ok(places.iter().zip(records).map(read).collect())
    }
}

impl JobFilter {
    fn is_empty(&self) -> bool {
        self.status.is_none()
            && [&self.kind, &self.table, &self.label, &self.text].into_iter().all(Option::is_none)
            && self.batch.is_none()
    }

    /// The least and the greatest time, as Redis takes them, to the millisecond; `fits` is exact.
    fn bounds(&self) -> (String, String) {
        let ms = |at: DateTime<Utc>| at.timestamp_millis();
        let low = self.created_after.map_or("-inf".into(), |at| ms(at).to_string());
        let high = self.created_before.map_or("+inf".into(), |at| ms(at).to_string());
        (low, high)
    }

    fn fits(&self, job: &JobDocument) -> bool {
        self.status.is_none_or(|status| job.status == status)
            && self.kind.as_ref().is_none_or(|kind| job.kind == *kind)
            && self.table.as_ref().is_none_or(|table| job.table.as_ref() == Some(table))
            && self.batch.is_none_or(|batch| job.batch_id == Some(batch))
            && self.label.as_ref().is_none_or(|label| match label.split_once(':') {
                Some((name, value)) => job.labels.get(name).is_some_and(|is| is == value),
                None => job.labels.contains_key(label),
            })
            && self.created_after.is_none_or(|at| job.created_at >= at)
            && self.created_before.is_none_or(|at| job.created_at < at)
            && self.text.as_ref().is_none_or(|text| {
                let text = text.to_lowercase();
                let error = job.error.iter().map(|error| format!("{} {}", error.code.as_str(), error.message));
                std::iter::once(job.spec.to_string()).chain(error).any(|place| place.to_lowercase().contains(&text))
            })
    }
}

/// The job with the long texts of its request cut, which a list of five hundred has no room for.
fn shortened(mut job: JobDocument) -> JobDocument {
    shorten(&mut job.spec);
    job
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(LONGEST) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

fn write_cursor((ms, id): Place) -> String {
    format!("{ms:x}.{}", id.simple())
}

fn read_cursor(text: &str) -> Result<Place> {
    let place = text.split_once('.').and_then(|(ms, id)| {
        let plain = id.len() == 32;
        Some((i64::from_str_radix(ms, 16).ok()?, id.parse().ok().filter(|_| plain)?))
    });
    place.ok_or_else(|| Error::new(Code::InvalidParameter, "cursor: must be the next_cursor of an earlier page"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_it_was_written_and_nothing_else_does() {
        let place = (1_795_421_234_567, JobId::from_u128(7));
        assert_eq!(read_cursor(&write_cursor(place)).expect("cursor"), place);
        for wrong in ["", ".", "1a", "1a.", "zz.00000000000000000000000000000007", "1a.7", "1a.%00"] {
            assert_eq!(read_cursor(wrong).expect_err(wrong).code(), Code::InvalidParameter);
        }
    }
}
