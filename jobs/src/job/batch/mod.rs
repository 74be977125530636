//! Many migrations as one: each table has a job of its own in the queue, and the batch looks after them.
//!
//! The batch holds no worker's slot while it waits: an attempt submits what may run, looks at what has ended, and hands itself
//! back to be called again soon. What it knows lies in the destination's warehouse.
mod plan;
mod request;
mod watch;

use std::borrow::Cow;

use serde_json::Value;

pub use request::MigrateBatch;

use crate::{
    Ctx, FieldError, Result,
    spec::{JobOptions, Task},
};

impl Task for MigrateBatch {
    const KIND: &'static str = "migrate.batch";

    fn check(&self) -> Vec<FieldError> {
        self.faults()
    }

    fn options(&self) -> &JobOptions {
        &self.options
    }

    fn catalogs(&self) -> Vec<(Cow<'static, str>, Option<&str>)> {
        let mut all: Vec<(Cow<'static, str>, Option<&str>)> = vec![
            ("source_catalog".into(), self.source_catalog.as_deref()),
            ("dest_catalog".into(), self.dest_catalog.as_deref()),
        ];
        all.extend(self.source_catalogs.iter().map(|name| ("source_catalogs".into(), Some(name.as_str()))));
        all.extend(self.migrations.iter().enumerate().flat_map(|(n, entry)| {
            let named = entry.catalogs().into_iter().filter(|(_, catalog)| catalog.is_some());
            named.map(move |(side, catalog)| (format!("migrations.{n}.{side}").into(), catalog))
        }));
        all
    }

    async fn run(&self, ctx: &Ctx) -> Result<Value> {
        watch::run(self, ctx).await
    }
}
