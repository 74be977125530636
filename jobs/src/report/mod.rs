//! What a migration or a verification has found, for people and programs: the evidence, and what it does not cover.
//!
//! A report lies as JSON in the destination's warehouse, so it is there as long as the tables are.
mod batch;
mod begin;
mod compare;
mod files;
mod pairs;
mod schema;
mod store;

use chrono::{DateTime, Utc};
use icehaul_lake::{
    Changes, Touched,
    measure::{ColumnFigures, SampledRow},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::queue::Attempt;

pub use batch::{BatchLine, BatchReport};
pub use begin::limits;
pub use compare::Comparison;
pub use files::{FileCompared, FilesCompared};
pub use pairs::{PAIRED, RowPair, RowsDiffering};
pub use schema::{ColumnCompared, SchemaCompared, TextsCompared, compare_schemas};
pub use store::{AnyReport, Store, StoredReport};

/// A number with what it counts: `1 row`, `2 rows`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The version of the report's form.
pub const VERSION: u32 = 1;

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that was compared is the same.
    Match,
    /// Something differs; the report says what.
    Mismatch,
    /// The contents were not compared, as the request wanted it.
    NotCompared,
}

/// What a migration or a verification has found.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The version of this form.
    pub report_version: u32,
    /// The job's id; in a batch, with the number of the table after it.
    pub migration_id: String,
    /// The kind of job, such as `migrate.table`.
    pub kind: String,
    /// `success`, or `failed`.
    pub status: String,
    /// What came out.
    pub verdict: Verdict,
    /// The same in a sentence.
    pub summary: String,
    /// Whether the columns are the same on both sides, as far as the job wanted them to be.
    pub schema_match: bool,
    /// Whether both sides have as many rows; null if they were not compared.
    pub row_count_match: Option<bool>,
    /// Whether the fingerprints are equal; null if they were not compared.
    pub checksum_match: Option<bool>,
    /// Whether each column's figures are equal; null if they were not compared.
    pub figures_match: Option<bool>,
    /// Whether the sampled rows are equal; null if none were compared.
    pub sample_match: Option<bool>,
    /// When the attempt began that made the report.
    pub started_at: DateTime<Utc>,
    /// When the report was finished.
    pub finished_at: DateTime<Utc>,
    /// The time between.
    pub duration_seconds: f64,
    /// What made it.
    pub tool: Tool,
    /// The table that was read.
    pub source: TableState,
    /// The table that was written, or that the source was compared with.
    pub destination: TableState,
    /// How the rows came into the destination; null for a verification.
    pub transfer: Option<Transfer>,
    /// The columns and the partitioning of both sides.
    pub schema: SchemaCompared,
    /// The numbers of rows.
    pub rows: RowsCompared,
    /// The fingerprints.
    pub fingerprints: Fingerprints,
    /// The files and their copies, if they were copied as they are.
    pub files: Option<FilesCompared>,
    /// Each column's figures on both sides.
    pub columns: Vec<FiguresCompared>,
    /// Whole rows, compared value by value.
    pub sample: SampleCompared,
    /// What differs, in words; nothing if nothing does.
    pub found: Vec<String>,
    /// The rows that differ; null if none were looked for.
    pub differences: Option<RowsDiffering>,
    /// The steps and their times.
    pub phases: Vec<Phase>,
    /// The attempts of the job.
    pub attempts: Attempts,
    /// What this report does not vouch for.
    pub not_checked: Vec<String>,
    /// A command that compares both sides again at these very snapshots; null if they cannot be told apart from other rows.
    pub verify_again: Option<String>,
    /// The request, secrets left out.
    pub request: Value,
}

/// What made the report.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// `icehaul`.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Default for Tool {
    fn default() -> Self {
        Self { name: "icehaul".into(), version: env!("CARGO_PKG_VERSION").into() }
    }
}

/// A table at a snapshot.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct TableState {
    /// The catalog, as the configuration names it.
    pub catalog: String,
    /// The table, `namespace.table`.
    pub table: String,
    /// The table's own id.
    pub uuid: Option<uuid::Uuid>,
    /// The version of the Iceberg format.
    pub format_version: Option<u8>,
    /// Where the table lies.
    pub location: Option<String>,
    /// The metadata file that was read, or that was current after the commit.
    pub metadata_location: Option<String>,
    /// The snapshot; null for a table without one, and for a destination in which nothing was published.
    pub snapshot_id: Option<String>,
    /// When the snapshot was committed.
    pub snapshot_at: Option<DateTime<Utc>>,
    /// The snapshot that was current before; null for a new table.
    pub snapshot_before: Option<String>,
    /// The schema of the table that its rows were read with; null in reports of earlier releases.
    #[serde(default)]
    pub schema_id: Option<i32>,
    /// Only what was added after this snapshot was read; null if all of it was.
    pub since: Option<String>,
    /// The data files that were read or written.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

impl TableState {
    /// The whole name, with the catalog's; of a database what was read of it.
    #[must_use]
    pub fn whole(&self) -> String {
        match self.format_version {
            None if self.location.is_none() => self.table.clone(),
            _ => format!("{}.{}", self.catalog, self.table),
        }
    }
}

/// How rows came into the destination.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Transfer {
    /// What became of the rows that were in the destination.
    pub mode: String,
    /// How the rows were carried.
    pub copy: String,
    /// How the rows were changed on their way; null if they came as they are.
    pub transform: Option<Value>,
    /// The rows that were carried.
    pub rows: u64,
    /// Whether the destination was made by this job.
    pub created: bool,
    /// Whether the rows are visible: published in a snapshot.
    pub published: bool,
    /// Whether there was nothing to bring, so that no snapshot was made.
    #[serde(default)]
    pub unchanged: bool,
    /// The source's snapshots, if all of them were carried.
    #[serde(default)]
    pub snapshots: Option<u64>,
    /// What became of rows by their keys; null if rows were only added.
    #[serde(default)]
    pub changes: Option<RowChanges>,
}

/// Rows that were changed in the source and so in the destination, told apart by a key.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RowChanges {
    /// Rows that are there no more.
    pub deleted: u64,
    /// Rows with other values than before.
    pub replaced: u64,
    /// Rows that were not there.
    pub added: u64,
    /// The destination's data files that were written anew, without the rows that are gone.
    pub files_rewritten: u64,
}

impl RowChanges {
    /// Of what has changed, and the files that it concerns, if they are known.
    #[must_use]
    pub fn of(changes: &Changes, touched: Option<&Touched>) -> Self {
        let files_rewritten = touched.map_or(0, |touched| touched.files.len() as u64);
        Self { deleted: changes.deleted, replaced: changes.replaced, added: changes.added, files_rewritten }
    }
}

/// The numbers of rows of both sides.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RowsCompared {
    /// Rows that were read of the source.
    pub source: u64,
    /// Rows of the destination: those in the written files, or those of the table that was compared.
    pub destination: Option<u64>,
}

/// The fingerprints of both sides.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Fingerprints {
    /// The algorithm: `icehaul-fp-1`, whose specification is `docs/fingerprint.md`.
    pub algorithm: String,
    /// The columns that they are of.
    pub columns: Vec<String>,
    /// Of the rows that were read of the source.
    pub source: Option<String>,
    /// Of the rows read back from the destination.
    pub destination: Option<String>,
}

/// A column's figures on both sides.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FiguresCompared {
    /// The column.
    pub column: String,
    /// In the source.
    pub source: ColumnFigures,
    /// In the destination; null if they were not compared.
    pub destination: Option<ColumnFigures>,
    /// Whether they are equal; null if they were not compared.
    pub matches: Option<bool>,
}

/// Whole rows of both sides.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SampleCompared {
    /// How the rows were drawn.
    pub method: String,
    /// The columns, in the order of the values.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<RowCompared>,
}

/// A row that was drawn on either side.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RowCompared {
    /// In the source; null if it is not there.
    pub source: Option<SampledRow>,
    /// In the destination; null if it is not there.
    pub destination: Option<SampledRow>,
    /// Whether both have it, equally often and with equal values.
    pub matches: bool,
}

/// A step and its time.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Phase {
    /// `planning`, `copying`, `verifying`, `committing`.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
    /// The rows that it went through.
    pub rows: Option<u64>,
}

/// The attempts of a job, as far as the one that made the report knows.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Attempts {
    /// The attempt that published, or that found the difference.
    pub attempt: u32,
    /// Its lease's number, which names its files.
    pub epoch: u64,
    /// The attempt that finished the report, if that was a later one.
    pub finished_by_attempt: Option<u32>,
    /// All of them, with their workers, times and failures; the last one had not ended yet.
    #[serde(default)]
    pub all: Vec<Attempt>,
}
