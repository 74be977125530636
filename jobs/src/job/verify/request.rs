//! What a request for a verification says.
use icehaul_lake::{At, TableName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::database::Queried;
use crate::{
    Code, Error, FieldError, Result,
    source::{MySql, Names, Postgres, Source},
    spec::{JobOptions, MOST_COLUMNS, closed, repeated},
};

/// The most rows that a report shows.
const MOST_SAMPLED: u32 = 100;

/// Two tables, two snapshots of one, or the rows of a database and a table, compared where they are.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VerifyTables {
    /// A table, as `[catalog.]namespace.table`. Either this, or one of `postgres` and `mysql`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"staging.orders")]
    pub source: Option<String>,
    /// A query or table of a PostgreSQL database, with the fields of a load: the rows that the table must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = closed)]
    pub postgres: Option<Box<Postgres>>,
    /// The same of a MySQL or MariaDB database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = closed)]
    pub mysql: Option<Box<MySql>>,
    /// The table that it is compared with, in the same form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"production.orders")]
    pub destination: Option<String>,
    /// In place of all these: an earlier report, by the id of its migration or verification. Its tables are compared again at
    /// its snapshots, with each other and with what it says of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9a-f-]{36}$"))]
    pub report: Option<String>,
    /// The source as it was at this snapshot; default: as it is when the job begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^-?[0-9]{1,19}$"))]
    pub source_snapshot: Option<String>,
    /// The same of the destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^-?[0-9]{1,19}$"))]
    pub destination_snapshot: Option<String>,
    /// How much is compared.
    #[serde(default)]
    pub level: Level,
    /// Only these columns are compared; without it all of them are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MOST_COLUMNS))]
    pub columns: Vec<String>,
    /// Only the columns are compared that the newest load of either table took from its source: not those that Icehaul adds,
    /// such as when a row was loaded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub source_columns: bool,
    /// Columns that tell rows apart: rows of one key are shown beside each other. Without it a differing row is shown beside the
    /// one with the most equal values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MOST_COLUMNS))]
    pub key: Vec<String>,
    /// So many rows are shown in the report, drawn by their digests; 5 if not given. As many differing ones, but at least 10;
    /// with 0 no row is shown at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub sample_rows: Option<u32>,
    /// How the job is run.
    #[serde(flatten)]
    pub options: JobOptions,
}

/// How much is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The columns.
    Schema,
    /// The columns and the numbers of rows.
    Counts,
    /// Everything: every value of every row.
    #[default]
    Checksum,
}

/// A table in a catalog.
pub(super) struct Named<'a> {
    pub catalog: Option<&'a str>,
    pub table: TableName,
}

impl<'a> Named<'a> {
    /// Reads `[catalog.]namespace.table`.
    pub fn parse(text: &'a str) -> Result<Self> {
        let parts: Vec<&str> = text.split('.').collect();
        Ok(match parts[..] {
            [namespace, table] => Self { catalog: None, table: TableName::new(namespace, table)? },
            [catalog, namespace, table] => Self { catalog: Some(catalog), table: TableName::new(namespace, table)? },
            _ => {
                let message = "must be `namespace.table` or `catalog.namespace.table`";
                return Err(Error::new(Code::InvalidIdentifier, message));
            }
        })
    }
}

impl VerifyTables {
    /// Finds what is wrong without any I/O.
    pub(super) fn faults(&self) -> Vec<FieldError> {
        let mut wrong = self.options.check();
        let mut fault =
            |field: &str, code, detail: String| wrong.push(FieldError { field: field.into(), code, detail });
        for (field, name) in [("source", self.source.as_ref()), ("destination", self.destination.as_ref())] {
            if let Some(Err(e)) = name.map(|name| Named::parse(name)) {
                fault(field, Code::InvalidIdentifier, e.message().into());
            }
        }
        if self.destination.is_none() && self.report.is_none() {
            fault("destination", Code::MissingField, "this field is required".into());
        }
        let given = [
            ("source", self.source.is_some()),
            ("postgres", self.postgres.is_some()),
            ("mysql", self.mysql.is_some()),
            ("destination", self.destination.is_some()),
            ("source_snapshot", self.source_snapshot.is_some()),
            ("destination_snapshot", self.destination_snapshot.is_some()),
        ];
        for (field, _) in given.into_iter().filter(|(_, given)| *given && self.report.is_some()) {
            fault(field, Code::ConflictingFields, "the `report` says what is compared: leave this out".into());
        }
        if self.report.is_none() {
            let sides = &given[..3];
            let mut named = sides.iter().filter_map(|(field, given)| given.then_some(*field));
            if named.next().is_none() {
                let detail = "name a table here, or a query in `postgres` or `mysql`";
                fault("source", Code::MissingField, detail.into());
            }
            for field in named {
                fault(field, Code::ConflictingFields, "the other side is named already: give one of them".into());
            }
        }
        if self.database().is_some() && self.source_snapshot.is_some() {
            fault("source_snapshot", Code::ConflictingFields, "a database has no snapshots to choose from".into());
        }
        let snapshots =
            [("source_snapshot", &self.source_snapshot), ("destination_snapshot", &self.destination_snapshot)];
        for (field, snapshot) in snapshots {
            if snapshot.as_deref().is_some_and(|text| text.parse::<i64>().is_err()) {
                fault(field, Code::InvalidField, "must be a snapshot id: a whole number of 64 bits".into());
            }
        }
        if self.source.is_some() && self.source == self.destination && self.source_snapshot == self.destination_snapshot
        {
            fault("destination", Code::SameTable, "is the source itself: name another table or snapshot".into());
        }
        if self.source_columns && !self.columns.is_empty() {
            fault("source_columns", Code::ConflictingFields, "goes without `columns`: each names the columns".into());
        }
        for (field, names) in [("columns", &self.columns), ("key", &self.key)] {
            if let Some(n) = repeated(names) {
                let detail = format!("`{}` is named twice", names[n]);
                fault(&format!("{field}.{n}"), Code::DuplicateField, detail);
            }
        }
        if self.sample_rows.is_some_and(|rows| rows > MOST_SAMPLED) {
            fault("sample_rows", Code::InvalidField, format!("at most {MOST_SAMPLED} rows are shown"));
        }
        wrong.extend(self.postgres.iter().flat_map(|postgres| within("postgres", postgres.check())));
        wrong.extend(self.mysql.iter().flat_map(|mysql| within("mysql", mysql.check())));
        wrong
    }

    /// What names of the configuration are wrong.
    pub(super) fn unknown_names(&self, names: &Names<'_>) -> Vec<FieldError> {
        let postgres = self.postgres.iter().flat_map(|postgres| within("postgres", postgres.check_names(names)));
        let mysql = self.mysql.iter().flat_map(|mysql| within("mysql", mysql.check_names(names)));
        postgres.chain(mysql).collect()
    }

    /// The rows of a database that stand instead of the source.
    pub(super) fn database(&self) -> Option<Queried> {
        let postgres = self.postgres.clone().map(Queried::Postgres);
        postgres.or_else(|| self.mysql.clone().map(Queried::MySql))
    }

    /// A state that a snapshot's id names.
    pub(super) fn at(snapshot: Option<&str>) -> At {
        snapshot.and_then(|text| text.parse().ok()).map_or(At::Current, At::Snapshot)
    }
}

/// The faults of a member, under its name.
fn within(member: &str, faults: Vec<FieldError>) -> Vec<FieldError> {
    faults.into_iter().map(|fault| FieldError { field: format!("{member}.{}", fault.field), ..fault }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_two_parts_or_three() {
        let read =
            |text| Named::parse(text).map(|named| (named.catalog, named.table.to_string())).map_err(|e| e.code());
        assert_eq!(read("raw.orders"), Ok((None, "raw.orders".into())));
        assert_eq!(read("lake.raw.orders"), Ok((Some("lake"), "raw.orders".into())));
        for wrong in ["orders", "a.b.c.d", "raw.", "raw.or ders"] {
            assert_eq!(read(wrong), Err(Code::InvalidIdentifier), "{wrong}");
        }
    }
}
