//! Tables into other tables: pinned, copied, compared, and only then published.
mod begin;
mod changes;
mod evidence;
mod files;
mod migration;
mod request;
mod result;
mod transform;

use std::borrow::Cow;

use serde_json::Value;

pub(super) use request::Manner;
pub use request::MigrateTable;
use request::{CopyMode, History};
pub(in crate::job) use request::{MigrateMode, name_faults};

use crate::{
    Ctx, FieldError, Result,
    spec::{JobOptions, Task},
};
pub(super) use evidence::{Stopwatch, seconds};
use migration::Migration;
pub(super) use result::of as result_of;

impl Task for MigrateTable {
    const KIND: &'static str = "migrate.table";

    fn check(&self) -> Vec<FieldError> {
        self.faults()
    }

    fn options(&self) -> &JobOptions {
        &self.options
    }

    fn table(&self) -> Option<String> {
        Some(format!("{}.{}", self.dest_namespace, self.dest_table))
    }

    fn catalogs(&self) -> Vec<(Cow<'static, str>, Option<&str>)> {
        vec![
            ("source_catalog".into(), self.source_catalog.as_deref()),
            ("dest_catalog".into(), self.dest_catalog.as_deref()),
        ]
    }

    async fn run(&self, ctx: &Ctx) -> Result<Value> {
        let migration = Migration::new(self, ctx, ctx.job.to_string())?;
        match self.dry_run {
            true => migration.dry_run().await,
            false => Ok(result_of(&migration.run().await?)),
        }
    }
}
