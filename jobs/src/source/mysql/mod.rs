//! MySQL and MariaDB, by the binary protocol of prepared statements.
//!
//! `plan` opens a read-only transaction with a consistent snapshot, checks role and statement, and cuts a table into ranges
//! of its key where several connections shall read it (`plan`, `relation`, `cursor`; `session`). The rows are read by a
//! task of their own (`rows`, `columns`). `types` says what becomes of each type.
mod columns;
mod cursor;
mod fault;
mod plan;
mod relation;
mod rows;
mod select;
mod session;
mod types;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::{plan::Held, relation::Part};
use super::{
    Names, Plan, Source, Split, Wish,
    database::{DatabaseRequest, Dialect},
};
use crate::{
    Batches, Code, Ctx, Error, FieldError, Result, Secret,
    transform::{Mark, Marks, Rows},
};

/// A query or table of a MySQL or MariaDB database.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct MySql(DatabaseRequest);

impl MySql {
    /// What the rows are of: the table or the query.
    pub(crate) fn described(&self) -> String {
        self.0.described()
    }
}

impl Source for MySql {
    const TITLE: &'static str = Dialect::MySql.title();
    const INCREMENTAL: bool = true;

    fn check(&self) -> Vec<FieldError> {
        self.0.check(Dialect::MySql)
    }

    fn secrets(&mut self) -> Vec<&mut Secret> {
        self.0.password.iter_mut().collect()
    }

    fn check_names(&self, names: &Names<'_>) -> Vec<FieldError> {
        self.0.check_names(names, Dialect::MySql)
    }

    fn cursor_source(&self, ctx: &Ctx) -> Result<String> {
        self.0.cursor_source(ctx, Dialect::MySql)
    }

    async fn plan(&self, ctx: &Ctx, wish: &Wish) -> Result<Plan> {
        ctx.stop.or(plan::plan(&self.0, ctx, wish)).await
    }

    async fn read(&self, ctx: &Ctx, plan: &Plan, split: &Split) -> Result<Batches> {
        let foreign = || Error::new(Code::Internal, "the plan is not one of MySQL");
        let held = plan.hold.as_ref().and_then(|hold| hold.downcast_ref::<Arc<Held>>()).ok_or_else(foreign)?.clone();
        let part: Part = serde_json::from_value(split.part.clone()).map_err(|e| foreign().caused_by(e))?;
        let lineage: Marks = [Mark::Text(plan.origin.clone()), Mark::Time(held.at)].into();
        let schema = held.layout.schema.clone();
        let rows = rows::start(held, part, &ctx.limits)?;
        let stop = ctx.stop.clone();
        let stream = futures::stream::try_unfold(rows, move |mut rows| {
            let (stop, lineage) = (stop.clone(), lineage.clone());
            async move {
                let next = stop.or(async { rows.recv().await.transpose() }).await?;
                Ok(next.map(|batch| (Rows { batch, lineage }, rows)))
            }
        });
        Ok(Batches { schema, stream: Box::pin(stream) })
    }
}

/// Quotes an identifier.
fn ident(name: &str) -> String {
    Dialect::MySql.ident(name)
}
