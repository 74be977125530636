//! Which tables a batch migrates, and where each goes: worked out once and kept, so that every attempt means the same.
use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use icehaul_lake::{Lake, Namespace};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::request::{MOST_TABLES, MigrateBatch, Place, Tables, pattern};
use crate::{Code, Ctx, Error, JobId, Result, Status, audit, queue::JobError};

/// What is to be done, and how far it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    pub started_at: DateTime<Utc>,
    /// When something changed last.
    pub changed_at: DateTime<Utc>,
    /// Which run of the batch has last looked: in another one a person wants that what failed or was cancelled is tried again.
    #[serde(default)]
    pub run: Option<String>,
    pub tables: Vec<Line>,
}

/// One table of a batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Line {
    pub source: Place,
    pub dest: Place,
    pub job: JobId,
    /// Its job is in the queue, or was.
    pub submitted: bool,
    pub ended: Option<Ended>,
}

impl Line {
    /// Ends it before there is a job: the request for it is refused.
    pub fn refused(&mut self, error: &Error) {
        let error = Some(JobError::of(error, 0));
        self.ended = Some(Ended { status: Status::Failed, attempts: 0, result: serde_json::Value::Null, error });
    }
}

/// How one table's job has ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ended {
    pub status: Status,
    pub attempts: u32,
    pub result: serde_json::Value,
    pub error: Option<JobError>,
}

impl Plan {
    /// The tables that a request means.
    pub async fn make(request: &MigrateBatch, ctx: &Ctx) -> Result<Self> {
        let pairs = match &request.tables {
            None => request.listed()?,
            Some(tables) => chosen(request, tables, ctx).await?,
        };
        if pairs.is_empty() {
            return Err(Error::field("tables", Code::TableNotFound, "no table is of such a name"));
        }
        if pairs.len() > MOST_TABLES {
            let detail = format!("{} tables: at most {MOST_TABLES} go in one request", pairs.len());
            return Err(Error::field("tables", Code::InvalidField, detail));
        }
        check(&pairs, ctx.lakes.default_name())?;
        let line = |(source, dest): (Place, Place)| Line {
            job: id_of(ctx.job, &source, &dest),
            source,
            dest,
            submitted: false,
            ended: None,
        };
        let now = Utc::now();
        Ok(Self {
            started_at: now,
            changed_at: now,
            run: ctx.run().await?,
            tables: pairs.into_iter().map(line).collect(),
        })
    }
}

impl MigrateBatch {
    fn listed(&self) -> Result<Vec<(Place, Place)>> {
        let pair = |entry: &super::request::Entry| {
            Ok((entry.source_place(self.source_catalog.as_ref())?, entry.dest_place(self.dest_catalog.as_ref())?))
        };
        self.migrations.iter().map(pair).collect()
    }
}

async fn chosen(request: &MigrateBatch, tables: &Tables, ctx: &Ctx) -> Result<Vec<(Place, Place)>> {
    let catalogs = match request.source_catalogs.is_empty() {
        true => vec![request.source_catalog.clone()],
        false => request.source_catalogs.iter().cloned().map(Some).collect(),
    };
    let mut pairs = Vec::new();
    for catalog in catalogs {
        for (namespace, table) in names(ctx.lake(catalog.as_deref())?, request, tables).await? {
            let source = Place { catalog: catalog.clone(), namespace, table };
            let dest = request.destination(&source, ctx.lakes.default_name());
            pairs.push((source, dest));
        }
    }
    if let Tables::Names(names) = tables
        && let Some(name) = names.iter().find(|name| pairs.iter().all(|(source, _)| source.table != **name))
    {
        return Err(Error::field(
            "tables",
            Code::TableNotFound,
            format!("there is no table `{name}` where they are looked for"),
        ));
    }
    Ok(pairs)
}

/// The chosen tables of one catalog, by namespace and name.
async fn names(lake: &Lake, request: &MigrateBatch, tables: &Tables) -> Result<Vec<(String, String)>> {
    let namespaces = match &request.source_namespace {
        Some(namespace) => vec![namespace.clone()],
        // Our own is not meant by a whole catalog: each has its own, which nobody else can write.
        None => {
            let all = lake.namespaces().await?.into_iter().map(|(namespace, _)| namespace);
            all.filter(|namespace| namespace != audit::NAMESPACE).collect()
        }
    };
    let mut found = Vec::new();
    for namespace in namespaces {
        let Ok(known) = Namespace::new(&namespace) else {
            // It is not silently left out: its line fails, and says why.
            found.push((namespace, "*".to_owned()));
            continue;
        };
        let there = lake.tables(&known).await?;
        let wanted: Vec<String> = match tables {
            Tables::Pattern(text) => {
                let pattern = pattern(text).map_err(|detail| Error::field("tables", Code::InvalidField, detail))?;
                there.into_iter().filter(|table| pattern.is_match(table)).collect()
            }
            Tables::Names(names) => there.into_iter().filter(|table| names.contains(table)).collect(),
        };
        found.extend(wanted.into_iter().map(|table| (namespace.clone(), table)));
    }
    Ok(found)
}

/// Two tables into one, one into itself, or one that is read and written is never meant: what comes out would depend on which
/// is first.
fn check(pairs: &[(Place, Place)], default: &str) -> Result<()> {
    let mut taken: HashMap<String, String> = HashMap::new();
    let read: HashSet<String> = pairs.iter().map(|(source, _)| source.whole(default)).collect();
    for (source, dest) in pairs {
        let (source, dest) = (source.whole(default), dest.whole(default));
        if source == dest {
            return Err(Error::new(Code::SameTable, format!("`{source}` would go into itself")));
        }
        if let Some(other) = taken.insert(dest.to_lowercase(), source.clone()) {
            let advice = "give them different names (chosen tables by `dest_namespace` or `dest_table`, such as `{catalog}_{table}`)";
            let message = format!("`{other}` and `{source}` would both become `{dest}`: {advice}");
            return Err(Error::new(Code::NameClash, message));
        }
        if read.contains(&dest) {
            let message = format!("`{dest}` would be read and written in one batch: migrate the one before the other");
            return Err(Error::new(Code::NameClash, message));
        }
    }
    Ok(())
}

/// The id of a table's job: the same in every attempt, so that none is submitted twice.
fn id_of(batch: JobId, source: &Place, dest: &Place) -> JobId {
    let text = serde_json::json!([batch, source, dest]).to_string();
    let mut bytes: [u8; 16] = *batch.as_bytes();
    // The time of the batch's own id stays, so that ids still sort by when they were made.
    bytes[6..].copy_from_slice(&Sha256::digest(text)[..10]);
    bytes[6] = 0x70 | bytes[6] & 0x0f;
    bytes[8] = 0x80 | bytes[8] & 0x3f;
    JobId::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        Place::parse(text, None).expect("a name")
    }

    #[test]
    fn two_tables_never_become_one() {
        let fails = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs.iter().map(|(a, b)| (place(a), place(b))).collect();
            check(&pairs, "default").err().map(|error| error.code())
        };
        assert_eq!(fails(&[("a.x", "c.x"), ("b.x", "c.y")]), None);
        assert_eq!(fails(&[("a.x", "c.x"), ("b.x", "c.X")]), Some(Code::NameClash), "letter case is folded by engines");
        assert_eq!(fails(&[("a.x", "c.x"), ("b.x", "default.c.x")]), Some(Code::NameClash));
        assert_eq!(fails(&[("a.x", "default.a.x")]), Some(Code::SameTable));
        assert_eq!(fails(&[("a.x", "a.y"), ("default.a.y", "a.z")]), Some(Code::NameClash), "read and written");
    }

    #[test]
    fn ids_are_the_same_in_every_attempt_and_sort_by_time() {
        let batch = JobId::now_v7();
        let (a, b) = (id_of(batch, &place("a.x"), &place("b.x")), id_of(batch, &place("a.y"), &place("b.y")));
        assert_eq!(a, id_of(batch, &place("a.x"), &place("b.x")));
        assert!(a != b && a.as_bytes()[..6] == batch.as_bytes()[..6]);
        assert_eq!((a.get_version_num(), a.get_variant()), (7, uuid::Variant::RFC4122));
    }
}
