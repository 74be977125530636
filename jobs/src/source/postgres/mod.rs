//! PostgreSQL, by binary COPY decoded straight into Arrow.
//!
//! `plan` opens a read-only transaction, checks role and statement, and cuts a table into ranges of pages; each reader
//! joins the snapshot of that transaction on a connection of its own (`plan`, `relation`, `cursor`; `session`). The rows
//! are read from the socket and decoded in place (`copy`, `decode`, `columns`). `types` says what becomes of each type.
mod catalog;
mod columns;
mod connect;
mod copy;
mod cursor;
mod decode;
mod fault;
mod numeric;
mod plan;
mod relation;
mod select;
mod session;
mod tap;
mod tls;
mod types;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::{copy::Copying, decode::Decoder, plan::Held, relation::Part};
use super::{
    Names, Plan, Source, Split, Wish,
    database::{DatabaseRequest, Dialect},
};
use crate::{
    Batches, Code, Ctx, Error, FieldError, Result, Secret,
    transform::{Mark, Marks, Rows},
};

/// A query or table of a PostgreSQL database.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Postgres(DatabaseRequest);

impl Postgres {
    /// What the rows are of: the table or the query.
    pub(crate) fn described(&self) -> String {
        self.0.described()
    }
}

impl Source for Postgres {
    const TITLE: &'static str = Dialect::Postgres.title();
    const INCREMENTAL: bool = true;

    fn check(&self) -> Vec<FieldError> {
        self.0.check(Dialect::Postgres)
    }

    fn secrets(&mut self) -> Vec<&mut Secret> {
        self.0.password.iter_mut().collect()
    }

    fn check_names(&self, names: &Names<'_>) -> Vec<FieldError> {
        self.0.check_names(names, Dialect::Postgres)
    }

    fn cursor_source(&self, ctx: &Ctx) -> Result<String> {
        self.0.cursor_source(ctx, Dialect::Postgres)
    }

    async fn plan(&self, ctx: &Ctx, wish: &Wish) -> Result<Plan> {
        ctx.stop.or(plan::plan(&self.0, ctx, wish)).await
    }

    async fn read(&self, ctx: &Ctx, plan: &Plan, split: &Split) -> Result<Batches> {
        let foreign = || Error::new(Code::Internal, "the plan is not one of PostgreSQL");
        let held = plan.hold.as_ref().and_then(|hold| hold.downcast_ref::<Arc<Held>>()).ok_or_else(foreign)?.clone();
        let part: Part = serde_json::from_value(split.part.clone()).map_err(|e| foreign().caused_by(e))?;
        let starting = async {
            let decoder = Decoder::new(held.layout.clone(), &ctx.limits);
            Copying::start(held.session().await?, &held.copy(part), decoder).await
        };
        let rows = ctx.stop.or(starting).await.map_err(|e| held.told(e))?;
        let (schema, stop) = (held.layout.schema.clone(), ctx.stop.clone());
        let lineage: Marks = [Mark::Text(plan.origin.clone()), Mark::Time(held.at)].into();
        let stream = futures::stream::try_unfold(rows, move |mut rows| {
            let (held, stop, lineage) = (held.clone(), stop.clone(), lineage.clone());
            async move {
                match stop.or(rows.next()).await.map_err(|e| held.told(e))? {
                    Some(batch) => Ok(Some((Rows { batch, lineage }, rows))),
                    None => {
                        held.put_back(rows.into_session());
                        Ok(None)
                    }
                }
            }
        });
        Ok(Batches { schema, stream: Box::pin(stream) })
    }
}

/// Quotes an identifier.
fn ident(name: &str) -> String {
    Dialect::Postgres.ident(name)
}

/// Quotes a text literal, whatever `standard_conforming_strings` is.
fn literal(text: &str) -> String {
    postgres_protocol::escape::escape_literal(text)
}
