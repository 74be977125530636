//! Objects of a bucket: one, all below a prefix, or all that a pattern means.
//!
//! The bucket is reached by a configured connection or the request's own fields (`access`). Objects are pinned by the
//! `ETag` that the listing tells: what was overwritten since is not read (`object`).
mod access;
mod object;
mod place;

use chrono::{TimeDelta, Utc};
use futures::TryStreamExt;
use icehaul_lake::s3::{Bucket, Object};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::access::{S3Access, check_endpoint};
use self::object::S3Object;
pub(crate) use self::place::{check_bucket, check_key};
use super::{
    Names, Plan, Source, Split, Wish,
    many::{self, Found},
    pattern::{MOST_SEEN, Pattern},
};
use crate::{
    Batches, Code, Ctx, Error, FieldError, Result, Secret,
    format::Reading,
    transform::{Mark, MarkKind},
};

/// The lineage columns of objects.
const LINEAGE: &[(&str, MarkKind)] = &[("source_bucket", MarkKind::Text), ("source_key", MarkKind::Text)];

/// Objects of an S3 bucket.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct S3 {
    /// The bucket.
    #[schemars(example = &"datalake")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// An object's key; a prefix that ends in `/`, for all objects below it whose names do not begin with `.` or `_`; or a
    /// pattern: `*`, `?`, `[…]` and `{…,…}` within a name, `**` for any folders.
    #[schemars(example = &"input/sales.csv")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Bucket and key in one: `s3://bucket/key` or `s3a://bucket/key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_path: Option<String>,
    /// How the bucket is reached.
    #[serde(flatten)]
    pub access: S3Access,
    /// How the objects are read.
    #[serde(flatten)]
    pub reading: Reading,
}

/// Which objects are meant.
enum Meant<'a> {
    One,
    Below,
    Matching(&'a Pattern),
}

impl Source for S3 {
    const TITLE: &'static str = "S3";

    fn check(&self) -> Vec<FieldError> {
        let mut faults = self.access.check();
        let mut fault = |field: &str, code, detail: &str| {
            faults.push(FieldError { field: field.into(), code, detail: detail.into() })
        };
        if self.s3_path.is_some() {
            for (field, given) in [("bucket", &self.bucket), ("key", &self.key)] {
                if given.is_some() {
                    fault(field, Code::ConflictingFields, "is part of `s3_path`; give only one of them");
                }
            }
        } else {
            for (field, given) in [("bucket", &self.bucket), ("key", &self.key)] {
                if given.is_none() {
                    fault(field, Code::MissingField, "is required, unless `s3_path` is given");
                }
            }
        }
        let (bucket_field, key_field) = match self.s3_path.as_deref().map(place::parse) {
            None => ("bucket", "key"),
            Some(Some(_)) => ("s3_path", "s3_path"),
            Some(None) => {
                fault("s3_path", Code::InvalidField, "must be of the form s3://bucket/key or s3a://bucket/key");
                return faults;
            }
        };
        if let Some((bucket, key)) = self.place() {
            let is_pattern = Pattern::is_meant(key);
            let many = is_pattern || key.ends_with('/');
            faults.extend(check_bucket(bucket_field, bucket));
            faults.extend(check_key(key_field, key, many));
            faults.extend(many::check(&self.reading, key_field, key, !many));
            if let (true, Err(detail)) = (is_pattern, Pattern::new(key)) {
                faults.push(FieldError { field: key_field.into(), code: Code::InvalidField, detail });
            }
        }
        faults
    }

    fn check_names(&self, names: &Names<'_>) -> Vec<FieldError> {
        self.place().map(|(bucket, _)| self.access.check_names(bucket, names.connections)).unwrap_or_default()
    }

    fn secrets(&mut self) -> Vec<&mut Secret> {
        self.access.secrets()
    }

    fn old_keys(&self, result: &Value) -> Vec<(&'static str, Value)> {
        let (bucket, key) = self.place().unwrap_or_default();
        let echo = self.s3_path.clone().unwrap_or_else(|| format!("s3a://{bucket}/{key}"));
        vec![
            ("rows", result["rows_loaded"].clone()),
            ("s3_source", format!("s3://{bucket}/{key}").into()),
            ("s3_path", echo.into()),
        ]
    }

    async fn plan(&self, ctx: &Ctx, wish: &Wish) -> Result<Plan> {
        let missing = || Error::field("key", Code::MissingField, "is required");
        let (name, key) = self.place().ok_or_else(missing)?;
        let bucket = self.access.bucket(name, ctx)?;
        let objects = ctx.stop.or(find_settled(&bucket, name, key, ctx.limits.max_files)).await?;
        let found = objects.into_iter().map(|object| {
            let marks = [Mark::Text(name.to_owned()), Mark::Text(object.key.clone())].into();
            Found { blob: S3Object::of(&bucket, name, object), marks }
        });
        many::plan(ctx, &self.reading, wish, format!("s3://{name}/{key}"), LINEAGE, found.collect()).await
    }

    async fn read(&self, ctx: &Ctx, plan: &Plan, split: &Split) -> Result<Batches> {
        many::read(ctx, plan, split)
    }
}

impl S3 {
    /// Bucket and key, however they are given.
    fn place(&self) -> Option<(&str, &str)> {
        match &self.s3_path {
            Some(path) => place::parse(path),
            None => self.bucket.as_deref().zip(self.key.as_deref()),
        }
    }
}

/// How long an object must have lain there to be told from another by its time, which stores tell in whole seconds.
const SETTLED: TimeDelta = TimeDelta::seconds(2);

/// As [`find`]. Where a store tells no `ETag`, objects of this very moment are looked at again a little later: another one
/// in their place would have the same time.
async fn find_settled(bucket: &Bucket, name: &str, key: &str, most: usize) -> Result<Vec<Object>> {
    let found = find(bucket, name, key, most).await?;
    let now = Utc::now();
    let is_fresh = |object: &Object| object.etag.is_none() && (now - object.last_modified).abs() < SETTLED;
    if !found.iter().any(is_fresh) {
        return Ok(found);
    }
    tokio::time::sleep(SETTLED.to_std().unwrap_or_default()).await;
    find(bucket, name, key, most).await
}

/// The objects that a key means, sorted; at least one.
async fn find(bucket: &Bucket, name: &str, key: &str, most: usize) -> Result<Vec<Object>> {
    let pattern = match Pattern::is_meant(key) {
        true => Some(Pattern::new(key).map_err(|why| Error::field("key", Code::InvalidField, why))?),
        false => None,
    };
    let (meant, prefix) = match &pattern {
        Some(pattern) => (Meant::Matching(pattern), pattern.prefix()),
        None if key.ends_with('/') => (Meant::Below, key),
        None => (Meant::One, key),
    };
    if matches!(meant, Meant::One) {
        return Ok(vec![bucket.head(key).await?]);
    }
    let mut found = Vec::new();
    let mut objects = bucket.list(prefix);
    let mut seen = 0;
    while let Some(object) = objects.try_next().await? {
        if !object.key.ends_with('/') && meant.has(&object.key, prefix) {
            found.push(object);
        }
        if found.len() > most {
            let what = format!("`s3://{name}/{key}` means more than {most} objects; load them in parts");
            return Err(Error::new(Code::TooManyFiles, what));
        }
        seen += 1;
        if seen > MOST_SEEN {
            let what =
                format!("more than {MOST_SEEN} keys begin with `{prefix}`: begin `s3://{name}/{key}` more narrowly");
            return Err(Error::new(Code::TooManyFiles, what));
        }
    }
    if found.is_empty() {
        let (code, what) = match meant {
            Meant::Matching(_) => (Code::S3NotFound, "no object matches"),
            _ => (Code::EmptySource, "there is no object below"),
        };
        return Err(Error::new(code, format!("{what} `s3://{name}/{key}`")));
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    check_once(&found)?;
    Ok(found)
}

/// Refuses a listing that has a key twice: its rows would be loaded twice.
fn check_once(sorted: &[Object]) -> Result<()> {
    let Some(pair) = sorted.windows(2).find(|pair| pair[0].key == pair[1].key) else { return Ok(()) };
    let message = format!("the store lists `{}` twice, as if its objects changed while they were listed", pair[0].key);
    Err(Error::new(Code::SourceChanged, message))
}

impl Meant<'_> {
    fn has(&self, key: &str, prefix: &str) -> bool {
        match self {
            Self::One => key == prefix,
            Self::Matching(pattern) => pattern.matches(key),
            // What engines leave beside their data: `_SUCCESS`, `_temporary/…`, `.crc`.
            Self::Below => {
                key.strip_prefix(prefix).is_some_and(|rest| !rest.split('/').any(|n| n.starts_with(['.', '_'])))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_listed_twice_is_not_read_twice() {
        let listed = |keys: &[&str]| {
            let object = |key: &&str| Object {
                key: (*key).to_owned(),
                size: 1,
                etag: None,
                last_modified: chrono::DateTime::UNIX_EPOCH,
            };
            check_once(&keys.iter().map(object).collect::<Vec<_>>()).map_err(|error| error.code())
        };
        assert_eq!(listed(&["a", "b", "c"]), Ok(()));
        assert_eq!(listed(&["a", "b", "b"]), Err(Code::SourceChanged));
    }
}
