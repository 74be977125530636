//! The fields that every load has, whatever its source.
use icehaul_lake::{Compression, PartitionField, SchemaMode, TableName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::JobOptions;
use crate::{
    Code, FieldError, Result,
    source::{Source, no_cursor},
};

/// A load request: where the rows come from, where they go, and how the job is run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Load<S> {
    /// Where the rows come from.
    #[serde(flatten)]
    pub source: S,
    /// Where they go.
    #[serde(flatten)]
    pub target: Target,
    /// How the job is run.
    #[serde(flatten)]
    pub options: JobOptions,
}

impl<S: Source> Load<S> {
    /// Finds what is wrong without any I/O.
    #[must_use]
    pub fn check(&self) -> Vec<FieldError> {
        let mut faults = [self.options.check(), self.source.check(), self.target.check()].concat();
        if self.target.cursor.is_some() && !S::INCREMENTAL {
            faults.push(no_cursor::<S>("cursor"));
        }
        if self.target.lag.is_some() && !S::LAGS {
            let detail = format!("{} cannot leave rows for the next run", S::TITLE);
            faults.push(FieldError { field: "lag".into(), code: Code::ConflictingFields, detail });
        }
        faults
    }
}

/// What becomes of the rows that are in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoadMode {
    /// They stay.
    #[default]
    Append,
    /// They go, in the same snapshot.
    Overwrite,
    /// They stay, and only rows beyond the last committed value of `cursor` are read.
    Incremental,
}

/// How the load is proven before it is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// Not at all.
    None,
    /// The rows read are counted against the rows in the written files.
    #[default]
    Counts,
    /// The written files are read back and their fingerprint is compared with that of the rows read.
    Checksum,
}

/// How data files are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompressionName {
    /// Zstandard.
    Zstd,
    /// Snappy.
    Snappy,
    /// Gzip.
    Gzip,
    /// Not at all.
    None,
}

impl From<CompressionName> for Compression {
    fn from(name: CompressionName) -> Self {
        match name {
            CompressionName::Zstd => Self::Zstd,
            CompressionName::Snappy => Self::Snappy,
            CompressionName::Gzip => Self::Gzip,
            CompressionName::None => Self::None,
        }
    }
}

/// What to do when the rows have columns or types that the table lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SchemaModeName {
    /// New columns are added, types are widened.
    #[default]
    Evolve,
    /// The load is refused.
    Freeze,
}

impl From<SchemaModeName> for SchemaMode {
    fn from(name: SchemaModeName) -> Self {
        match name {
            SchemaModeName::Evolve => Self::Evolve,
            SchemaModeName::Freeze => Self::Freeze,
        }
    }
}

/// Where the rows go.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// The table; it is made if it is missing.
    #[schemars(example = &"orders")]
    pub table_name: String,
    /// Its namespace; it is made if it is missing.
    #[schemars(example = &"raw")]
    pub namespace: String,
    /// A configured catalog; default: the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<String>,
    /// What becomes of the rows that are in the table.
    #[serde(default)]
    pub mode: LoadMode,
    /// The column whose value only grows. With `mode` `incremental` only rows beyond the last committed value are read;
    /// with `mode` `overwrite` all are, and incremental loads can go on from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// With `mode` `incremental`: where to begin if the table has rows, but none by this cursor from this source: a value
    /// of the cursor, or `beginning`. Without it such a load is refused, as its rows may be there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor_start: Option<String>,
    /// With `cursor`: rows whose cursor lies within this distance (seconds for times, units for numbers) of
    /// the newest one are left for the next run, so that late commits of the source are not missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<f64>,
    /// The partitioning of a new table: `col`, `year(col)`, `month(col)`, `day(col)`, `hour(col)`, `bucket(n, col)` or
    /// `truncate(n, col)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition_by: Vec<String>,
    /// How data files are compressed; default: as the table says, else `zstd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<CompressionName>,
    /// What to do when the rows have columns or types that the table lacks.
    #[serde(default)]
    pub schema_mode: SchemaModeName,
    /// Adds the lineage columns, which say where each row comes from and when it was read.
    #[serde(default = "yes")]
    pub lineage: bool,
    /// How the load is proven before it is published.
    #[serde(default)]
    pub verify: Verify,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.namespace, self.table_name)
    }
}

pub(crate) const fn yes() -> bool {
    true
}

impl Target {
    /// The checked name.
    ///
    /// # Errors
    /// [`Code::InvalidIdentifier`].
    pub fn name(&self) -> Result<TableName> {
        Ok(TableName::new(&self.namespace, &self.table_name)?)
    }

    /// The parsed partitioning.
    ///
    /// # Errors
    /// [`Code::InvalidPartition`].
    pub fn partition_fields(&self) -> Result<Vec<PartitionField>> {
        self.partition_by.iter().map(|text| Ok(text.parse::<PartitionField>()?)).collect()
    }

    /// Finds what is wrong without any I/O.
    #[must_use]
    pub fn check(&self) -> Vec<FieldError> {
        let mut wrong = Vec::new();
        let mut fault =
            |field: &str, code, detail: String| wrong.push(FieldError { field: field.into(), code, detail });
        if let Err(e) = TableName::new("n", &self.table_name) {
            fault("table_name", Code::InvalidIdentifier, e.message().into());
        }
        if let Err(e) = icehaul_lake::Namespace::new(&self.namespace) {
            fault("namespace", Code::InvalidIdentifier, e.message().into());
        }
        for (n, text) in self.partition_by.iter().enumerate() {
            if let Err(e) = text.parse::<PartitionField>() {
                fault(&format!("partition_by.{n}"), Code::InvalidPartition, e.message().into());
            }
        }
        let incremental = self.mode == LoadMode::Incremental;
        match (incremental, &self.cursor) {
            (true, None) => fault("cursor", Code::MissingField, "`mode` `incremental` needs a `cursor` column".into()),
            (false, Some(_)) if self.mode != LoadMode::Overwrite => {
                let detail = "goes with `mode` `incremental` or `overwrite`";
                fault("cursor", Code::ConflictingFields, detail.into());
            }
            _ => {}
        }
        if self.cursor_start.is_some() && !incremental {
            fault("cursor_start", Code::ConflictingFields, "goes with `mode` `incremental` only".into());
        }
        if self.lag.is_some() && self.cursor.is_none() {
            fault("lag", Code::ConflictingFields, "goes with `cursor` only".into());
        }
        if self.lag.is_some_and(|lag| !(lag >= 0.0 && lag.is_finite())) {
            fault("lag", Code::InvalidField, "must not be negative".into());
        }
        wrong
    }
}
