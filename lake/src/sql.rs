//! Embedded read-only SQL over the lakes (DataFusion); tables are resolved when a query names them.
use std::time::Duration;

use crate::{Batches, Lakes, Result};

/// Runs one read-only statement. Tables are `namespace.table` of the default catalog or `catalog.namespace.table`.
///
/// # Errors
/// [`crate::Kind::InvalidQuery`], [`crate::Kind::QueryNotAllowed`], [`crate::Kind::TableNotFound`],
/// [`crate::Kind::QueryTimeout`].
pub async fn query(_lakes: &Lakes, _sql: &str, _timeout: Duration) -> Result<Batches> {
    unimplemented!()
}
