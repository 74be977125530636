//! How each kind of job runs.
mod load;

use serde_json::Value;

pub use load::source_columns;

use crate::{Ctx, Result, spec::JobSpec};

/// Does the job and gives the `result` of its document. Safe to run again after a crash at any point.
///
/// # Errors
/// The job's failure; its code says whether the queue tries again.
pub async fn run(spec: &JobSpec, ctx: &Ctx) -> Result<Value> {
    match spec {
        JobSpec::Load(load) => load::run(load, ctx).await,
    }
}
