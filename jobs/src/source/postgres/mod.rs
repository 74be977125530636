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
mod request;
mod select;
mod session;
pub(crate) mod sql;
mod tap;
mod tls;
mod types;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::tls::SslMode;
use self::{copy::Copying, decode::Decoder, plan::Held, relation::Part};
use super::{Names, Plan, Source, Split, Wish};
use crate::{
    Batches, Code, Ctx, Error, FieldError, Result, Secret,
    config::PostgresConnection,
    transform::{Mark, Marks, Rows},
};

/// A query or table of a PostgreSQL database.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Postgres {
    /// A named connection of the configuration, instead of the fields from `host` to `sslmode`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The server's name or address.
    #[schemars(example = &"db.example.com")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The server's port; default 5432.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The database.
    #[schemars(example = &"shop")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The role.
    #[schemars(example = &"reader")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// How the connection is encrypted, as in libpq; default `prefer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sslmode: Option<SslMode>,
    /// Permits a role that could do more than read (a superuser, or one that may run programs or touch the server's
    /// files), although no read-only transaction binds it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_superuser: bool,
    /// One query: SELECT, VALUES, TABLE or WITH. Either this or `table`.
    #[schemars(example = &"SELECT * FROM orders")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// A table or view, as `table` or `schema.table`; names with dots in double quotes. It is read in parallel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// With `table`: only these columns, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// With `table`: only rows that fulfil this SQL condition.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// With `table`: how many connections read at once; default: the configured one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16))]
    pub parallelism: Option<u8>,
    /// How long a statement may run, in seconds; default: the configured one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_timeout_seconds: Option<f64>,
}

impl Source for Postgres {
    const TITLE: &'static str = "PostgreSQL";
    const INCREMENTAL: bool = true;

    fn check(&self) -> Vec<FieldError> {
        request::check(self)
    }

    fn secrets(&mut self) -> Vec<&mut Secret> {
        self.password.iter_mut().collect()
    }

    fn check_names(&self, names: &Names<'_>) -> Vec<FieldError> {
        names.connections.check::<PostgresConnection>(self.connection.as_deref())
    }

    fn cursor_source(&self, ctx: &Ctx) -> Result<String> {
        request::cursor_source(self, ctx)
    }

    async fn plan(&self, ctx: &Ctx, wish: &Wish) -> Result<Plan> {
        ctx.stop.or(plan::plan(self, ctx, wish)).await
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
