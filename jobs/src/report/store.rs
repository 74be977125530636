//! Reports beside the tables: in the warehouse of the destination's catalog.
use icehaul_lake::{Lake, Lakes};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BatchReport, Report};
use crate::{Code, Error, Result};

const FOLDER: &str = "migrations";
/// Reports of attempts that have compared everything and have not told of a commit yet.
const PENDING: &str = "migrations/pending";

/// The reports in one warehouse.
pub struct Store<'a>(pub &'a Lake);

/// A report of one table, or one over many.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AnyReport {
    /// Of one migration or verification.
    One(Box<Report>),
    /// Over the tables of a batch.
    Batch(Box<BatchReport>),
}

/// A report as it lies in a warehouse.
pub struct StoredReport {
    /// The report.
    pub report: AnyReport,
    /// Its JSON, byte for byte.
    pub json: Vec<u8>,
}

impl Store<'_> {
    /// Keeps a report, over an earlier one of the same migration.
    ///
    /// # Errors
    /// [`Code::StorageUnavailable`], [`Code::StorageFull`].
    pub async fn keep(&self, report: &Report) -> Result<()> {
        Ok(self.0.write_record(&place(&report.migration_id), json(report)?).await?)
    }

    /// Keeps the report over a batch.
    ///
    /// # Errors
    /// As `keep`.
    pub async fn keep_batch(&self, report: &BatchReport) -> Result<()> {
        Ok(self.0.write_record(&place(&report.migration_id), json(report)?).await?)
    }

    /// Keeps what an attempt has found before it commits: should its worker die, the next attempt finishes the report.
    ///
    /// # Errors
    /// As `keep`.
    pub async fn keep_pending(&self, report: &Report) -> Result<()> {
        let place = pending(&report.migration_id, report.attempts.epoch);
        Ok(self.0.write_record(&place, json(report)?).await?)
    }

    /// What the attempt of this epoch had found.
    ///
    /// # Errors
    /// [`Code::StorageUnavailable`].
    pub async fn pending(&self, id: &str, epoch: u64) -> Result<Option<Report>> {
        let content = self.0.read_record(&pending(id, epoch)).await?;
        Ok(content.and_then(|json| serde_json::from_slice(&json).ok()))
    }

    /// Forgets what the attempt of this epoch had found: it did not commit.
    pub async fn forget_attempt(&self, id: &str, epoch: u64) {
        self.0.remove_record(&pending(id, epoch)).await;
    }

    /// Forgets what all attempts had found before their commits, once the report is kept.
    ///
    /// # Errors
    /// [`Code::StorageUnavailable`].
    pub async fn forget_pending(&self, id: &str) -> Result<()> {
        for name in self.0.records(PENDING).await?.iter().filter(|name| name.starts_with(&format!("{id}."))) {
            self.0.remove_record(&format!("{PENDING}/{name}")).await;
        }
        Ok(())
    }

    /// The report of a migration, if it is here.
    ///
    /// # Errors
    /// [`Code::StorageUnavailable`]; [`Code::Internal`] if it cannot be read.
    pub async fn get(&self, id: &str) -> Result<Option<StoredReport>> {
        let Some(json) = self.0.read_record(&place(id)).await? else { return Ok(None) };
        let report = serde_json::from_slice(&json)
            .map_err(|e| Error::new(Code::Internal, format!("the report of {id} is damaged")).caused_by(e))?;
        Ok(Some(StoredReport { report, json }))
    }

    /// The ids of the migrations whose reports are here, oldest first.
    ///
    /// # Errors
    /// [`Code::StorageUnavailable`].
    pub async fn ids(&self) -> Result<Vec<String>> {
        let names = self.0.records(FOLDER).await?;
        Ok(names.iter().filter_map(|name| name.strip_suffix(".json")).map(str::to_owned).collect())
    }

    /// The report of a migration, wherever it is.
    ///
    /// # Errors
    /// [`Code::ReportNotFound`]; [`Code::StorageUnavailable`] if a warehouse in which it may be does not answer.
    pub async fn find(lakes: &Lakes, id: &str) -> Result<StoredReport> {
        let mut unsure = None;
        for (_, lake) in lakes.iter() {
            match Store(lake).get(id).await {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {}
                Err(error) => unsure = Some(error),
            }
        }
        Err(unsure.unwrap_or_else(|| Error::new(Code::ReportNotFound, format!("there is no report of {id}"))))
    }
}

fn place(id: &str) -> String {
    format!("{FOLDER}/{id}.json")
}

fn pending(id: &str, epoch: u64) -> String {
    format!("{PENDING}/{id}.{epoch}.json")
}

fn json(report: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(report)
        .map_err(|e| Error::new(Code::Internal, "the report cannot be written").caused_by(e))
}
