//! What a request for a migration says.
use icehaul_lake::{At, Namespace, PartitionField, TableName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::transform::Transform;
use crate::{
    Code, FieldError, Result,
    spec::{CompressionName, JobOptions, MOST_COLUMNS, SchemaModeName, repeated, reserved, yes},
};

/// The most rows that a report shows.
const MOST_SAMPLED: u32 = 100;

/// A table into another one, proven before it is visible.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MigrateTable {
    /// The namespace of the table that is read.
    #[schemars(example = &"staging")]
    pub source_namespace: String,
    /// Its name.
    #[schemars(example = &"orders")]
    pub source_table: String,
    /// The catalog in which it is; default: the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_catalog: Option<String>,
    /// As it was at this snapshot; default: as it is when the job begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^-?[0-9]{1,19}$"))]
    pub source_snapshot: Option<String>,
    /// The namespace of the table that is written; it is made if it is missing.
    #[schemars(example = &"production")]
    pub dest_namespace: String,
    /// Its name.
    #[schemars(example = &"orders")]
    pub dest_table: String,
    /// The catalog in which it is; default: the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dest_catalog: Option<String>,
    /// Only says what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// How it is done.
    #[serde(flatten)]
    pub manner: Manner,
    /// How the job is run.
    #[serde(flatten)]
    pub options: JobOptions,
}

/// How tables are migrated.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Manner {
    /// What becomes of the rows that are in the destination.
    #[serde(default)]
    pub mode: MigrateMode,
    /// How the rows are carried.
    #[serde(default)]
    pub copy: CopyMode,
    /// Which of the source's snapshots are carried.
    #[serde(default)]
    pub history: History,
    /// Compares what was read with what was written, before it is published. Without it rows are counted only, and the
    /// report says so.
    #[serde(default = "yes")]
    pub validate: bool,
    /// The columns that tell the source's rows apart, for `mode` `incremental`: rows that were deleted or replaced since the last
    /// migration are found by them. What comes of it must be what the source is, else nothing is published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = &["id"], length(max = MOST_COLUMNS))]
    pub key: Vec<String>,
    /// How rows are changed on their way; they come as they are without it. The comparison is then of the changed rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<Transform>,
    /// The partitioning of a new table: `col`, `year(col)`, `month(col)`, `day(col)`, `hour(col)`, `bucket(n, col)` or
    /// `truncate(n, col)`; default: the source's, or none with `transform`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition_by: Vec<String>,
    /// How data files are compressed; default: as the destination says, else as the source says, else `zstd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<CompressionName>,
    /// What to do when the source has columns or types that an existing destination lacks.
    #[serde(default)]
    pub schema_mode: SchemaModeName,
    /// So many rows are shown in the report, drawn by their digests; 5 if not given, none with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub sample_rows: Option<u32>,
}

/// What becomes of the rows that are in the destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MigrateMode {
    /// There must be no such table.
    #[default]
    Create,
    /// They go, in the same snapshot.
    Overwrite,
    /// They stay.
    Append,
    /// They stay, and only what the source has gained since the last migration from it is copied. Rows that were deleted or
    /// replaced there in between are so here too, if `key` tells rows apart; else that is refused. The first time all rows are
    /// copied.
    Incremental,
}

impl MigrateMode {
    /// The spelling of requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Overwrite => "overwrite",
            Self::Append => "append",
            Self::Incremental => "incremental",
        }
    }
}

/// How the rows are carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CopyMode {
    /// They are read and written anew: deletes applied, small files put together.
    #[default]
    Rows,
    /// The files are copied byte for byte, delete files too, under new names: nothing is decoded. Only into a new table.
    Files,
}

impl CopyMode {
    /// The spelling of requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Files => "files",
        }
    }
}

/// Which of the source's snapshots are carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum History {
    /// The one that is current, or that `source_snapshot` names.
    #[default]
    Latest,
    /// All, with their ids, sequence numbers, times and summaries, and the table's branches, tags and statistics: with `copy`
    /// `files` only.
    All,
}

impl Manner {
    /// Finds what is wrong without any I/O.
    pub(in crate::job) fn check(&self) -> Vec<FieldError> {
        let mut wrong = Vec::new();
        for (n, text) in self.partition_by.iter().enumerate() {
            if let Err(e) = text.parse::<PartitionField>() {
                let (field, detail) = (format!("partition_by.{n}"), e.message().into());
                wrong.push(FieldError { field, code: Code::InvalidPartition, detail });
            }
        }
        wrong.extend(self.transform.iter().flat_map(Transform::check));
        if !self.key.is_empty() && self.mode != MigrateMode::Incremental {
            let detail = "goes with `mode` `incremental` only".to_owned();
            wrong.push(FieldError { field: "key".into(), code: Code::ConflictingFields, detail });
        }
        if let Some(n) = repeated(&self.key) {
            let detail = "is named twice".to_owned();
            wrong.push(FieldError { field: format!("key.{n}"), code: Code::DuplicateField, detail });
        }
        if self.history == History::All && self.copy != CopyMode::Files {
            let detail = "rows are those of one snapshot: `all` goes with `copy` `files` only".to_owned();
            wrong.push(FieldError { field: "history".into(), code: Code::ConflictingFields, detail });
        }
        if self.copy == CopyMode::Files {
            let given = [
                (
                    "mode",
                    self.mode != MigrateMode::Create,
                    "`files` makes a new table: it goes with `mode` `create` only",
                ),
                (
                    "partition_by",
                    !self.partition_by.is_empty(),
                    "files keep their partitions: goes with `copy` `rows` only",
                ),
                ("transform", self.transform.is_some(), "files stay as they are: goes with `copy` `rows` only"),
                ("compression", self.compression.is_some(), "files stay as they are: goes with `copy` `rows` only"),
            ];
            for (field, _, detail) in given.into_iter().filter(|(_, given, _)| *given) {
                wrong.push(FieldError { field: field.into(), code: Code::ConflictingFields, detail: detail.into() });
            }
        }
        if self.sample_rows.is_some_and(|rows| rows > MOST_SAMPLED) {
            let detail = format!("at most {MOST_SAMPLED} rows are shown");
            wrong.push(FieldError { field: "sample_rows".into(), code: Code::InvalidField, detail });
        }
        wrong
    }

    /// The parsed partitioning.
    pub(super) fn partition_fields(&self) -> Result<Vec<PartitionField>> {
        self.partition_by.iter().map(|text| Ok(text.parse()?)).collect()
    }
}

/// What is wrong with the names of two tables, each of catalog, namespace and table; the fields are those of [`MigrateTable`].
pub(in crate::job) fn name_faults(
    source: (Option<&str>, &str, &str),
    dest: (Option<&str>, &str, &str),
) -> Vec<FieldError> {
    let names = [
        ("source_namespace", Namespace::new(source.1).err()),
        ("source_table", TableName::new("n", source.2).err()),
        ("dest_namespace", Namespace::new(dest.1).err()),
        ("dest_table", TableName::new("n", dest.2).err()),
    ];
    let told = names.into_iter().filter_map(|(field, error)| Some((field, error?.message().to_owned())));
    let refused = told.chain(reserved(dest.1).map(|detail| ("dest_namespace", detail)));
    let fault =
        |(field, detail): (&str, String)| FieldError { field: field.into(), code: Code::InvalidIdentifier, detail };
    let mut wrong: Vec<_> = refused.map(fault).collect();
    if source == dest {
        let detail = "source and destination are the same table".to_owned();
        wrong.push(FieldError { field: "dest_table".into(), code: Code::SameTable, detail });
    }
    wrong
}

impl MigrateTable {
    /// Finds what is wrong without any I/O.
    pub(super) fn faults(&self) -> Vec<FieldError> {
        let source = (self.source_catalog.as_deref(), &*self.source_namespace, &*self.source_table);
        let dest = (self.dest_catalog.as_deref(), &*self.dest_namespace, &*self.dest_table);
        let mut wrong = [self.options.check(), self.manner.check(), name_faults(source, dest)].concat();
        if self.source_snapshot.as_deref().is_some_and(|text| text.parse::<i64>().is_err()) {
            let detail = "must be a snapshot id: a whole number of 64 bits".to_owned();
            wrong.push(FieldError { field: "source_snapshot".into(), code: Code::InvalidField, detail });
        }
        if self.source_snapshot.is_some() && self.manner.history == History::All {
            let detail = "goes with `history` `latest` only".to_owned();
            wrong.push(FieldError { field: "source_snapshot".into(), code: Code::ConflictingFields, detail });
        }
        wrong
    }

    /// The table that is read.
    pub(super) fn source(&self) -> Result<TableName> {
        Ok(TableName::new(&self.source_namespace, &self.source_table)?)
    }

    /// The table that is written.
    pub(super) fn destination(&self) -> Result<TableName> {
        Ok(TableName::new(&self.dest_namespace, &self.dest_table)?)
    }

    /// The state that is asked for; `None` for the one that is current when the job begins.
    pub(super) fn pinned(&self) -> Option<At> {
        self.source_snapshot.as_deref().and_then(|text| text.parse().ok()).map(At::Snapshot)
    }
}
