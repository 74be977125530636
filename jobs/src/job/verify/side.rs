//! What is compared: a table at a snapshot, or the rows of a database.
use arrow_schema::SchemaRef;
use icehaul_lake::{
    At, Column, Table,
    measure::{Partitioning, Rows},
};

use super::{database::Database, request::Named};
use crate::{
    Ctx, Result,
    job::{missing, state_of},
    report::TableState,
};

/// One of the two, pinned: whenever it is read, it gives the same rows.
pub(super) enum Side {
    Table { catalog: String, table: Box<Table>, at: At },
    Database(Box<Database>),
}

impl Side {
    /// A table, at the snapshot that is its current one now if none is named, read with a schema of its own if one is.
    pub async fn table(ctx: &Ctx, (field, name): (&str, &str), at: At, schema: Option<i32>) -> Result<Self> {
        let named = Named::parse(name)?;
        let table = ctx.lake(named.catalog)?.table(&named.table).await.map_err(|e| missing(field, e))?;
        let table = Box::new(match schema {
            Some(id) => table.read_as(id)?,
            None => table,
        });
        let at = table.snapshot_id(at)?.map_or(At::Current, At::Snapshot);
        let catalog = named.catalog.unwrap_or(ctx.lakes.default_name()).to_owned();
        Ok(Self::Table { catalog, table, at })
    }

    /// Whether both are one table in one state; a replica elsewhere may have the same id and snapshots.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Table { table, at, .. }, Self::Table { table: other, at: there, .. }) => {
                let (table, other) = (table.metadata(), other.metadata());
                table.uuid() == other.uuid() && table.location() == other.location() && at == there
            }
            _ => false,
        }
    }

    pub fn rows(&self) -> Rows<'_> {
        match self {
            Self::Table { table, at, .. } => Rows::Table(table, *at),
            Self::Database(database) => Rows::Foreign(database.as_ref()),
        }
    }

    /// The number of rows.
    pub async fn count(&self) -> Result<u64> {
        match self {
            Self::Table { table, at, .. } => Ok(table.count(*at).await?),
            Self::Database(database) => database.count().await,
        }
    }

    pub fn schema(&self) -> Result<SchemaRef> {
        match self {
            Self::Table { table, at, .. } => Ok(table.schema_at(*at)?),
            Self::Database(database) => Ok(database.schema().clone()),
        }
    }

    /// The columns, beside those of the other side.
    pub fn columns(&self, other: &[Column]) -> Result<Vec<Column>> {
        match self {
            Self::Table { table, at, .. } => Ok(table.columns_at(*at)?),
            Self::Database(database) => database.columns(other),
        }
    }

    /// The columns that the newest load has noted as those of its source; for a database all that it has.
    pub fn source_columns(&self) -> Option<Vec<String>> {
        match self {
            Self::Table { table, at, .. } => crate::job::source_columns(table, *at),
            Self::Database(database) => {
                Some(database.schema().fields().iter().map(|field| field.name().clone()).collect())
            }
        }
    }

    pub fn partitioning(&self) -> Option<String> {
        match self {
            Self::Table { table, .. } => table.partitioning(),
            Self::Database(_) => None,
        }
    }

    /// The partitions in which differences are looked for.
    pub fn partitions(&self) -> Option<Partitioning> {
        match self {
            Self::Table { table, .. } => Partitioning::of_table(table),
            Self::Database(_) => None,
        }
    }

    pub fn sort_order(&self) -> Option<String> {
        match self {
            Self::Table { table, .. } => table.sort_order(),
            Self::Database(_) => None,
        }
    }

    /// As reports tell it.
    pub async fn state(&self) -> Result<TableState> {
        match self {
            Self::Table { catalog, table, at } => {
                let (files, bytes) = table.files(*at).await?;
                Ok(TableState { files, bytes, ..state_of(catalog, table, *at) })
            }
            Self::Database(database) => Ok(database.state()),
        }
    }

    /// The failure of a read, as the side itself tells it.
    pub fn told<T>(&self, read: icehaul_lake::Result<T>) -> Result<T> {
        read.map_err(|error| match self {
            Self::Database(database) => database.failure().unwrap_or_else(|| error.into()),
            Self::Table { .. } => error.into(),
        })
    }
}
