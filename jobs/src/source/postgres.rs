//! PostgreSQL, by binary COPY decoded straight into Arrow.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Plan, Source, Split, Wish};
use crate::{Batches, Ctx, FieldError, Result, Secret};

/// A query or table of a PostgreSQL database.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Postgres {
    /// The server's name or address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

impl Source for Postgres {
    const TITLE: &'static str = "PostgreSQL";

    fn check(&self) -> Vec<FieldError> {
        Vec::new()
    }
    fn secrets(&mut self) -> Vec<&mut Secret> {
        self.password.iter_mut().collect()
    }
    async fn plan(&self, _ctx: &Ctx, _wish: &Wish) -> Result<Plan> {
        unimplemented!()
    }
    async fn read(&self, _ctx: &Ctx, _plan: &Plan, _split: &Split) -> Result<Batches> {
        unimplemented!()
    }
}
