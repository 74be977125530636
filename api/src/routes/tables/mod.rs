//! What is in the catalogs.
mod list;
mod rows;
mod table;

use icehaul_jobs::{Code, Error, TableName};
use icehaul_lake::{Lake, Table};
use schemars::JsonSchema;
use serde::Deserialize;

use super::jobs::DEFAULT_LIMIT;
use crate::{AppState, Result};

pub(crate) use list::{Namespaces, Page, TableNames, Tables, all, namespaces, tables};
pub(crate) use rows::{Fingerprinted, Preview, WhichRows, WhichState, fingerprint, preview};
pub(crate) use table::{Count, Metadata, SchemaReply, SnapshotPage, Snapshots, count, metadata, schema, snapshots};

/// Which catalog is meant.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct WhichCatalog {
    /// A configured catalog; default: the default one.
    catalog: Option<String>,
}

/// The lake of a catalog, and the name by which it goes.
fn lake<'a>(state: &'a AppState, catalog: Option<&'a str>) -> Result<(&'a Lake, &'a str)> {
    let name = catalog.unwrap_or(state.lakes.default_name());
    Ok((state.lakes.get(Some(name))?, name))
}

async fn load(state: &AppState, catalog: Option<&str>, name: &TableName) -> Result<Table> {
    Ok(lake(state, catalog)?.0.table(name).await?)
}

/// Ends work that reads data after the configured time.
async fn bounded<T>(state: &AppState, work: impl Future<Output = Result<T>>) -> Result<T> {
    let time = state.config.query_timeout();
    match tokio::time::timeout(time, work).await {
        Ok(done) => done,
        Err(_) => Err(Error::new(Code::QueryTimeout, format!("reading the table took longer than {time:?}")).into()),
    }
}
