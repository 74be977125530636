//! Rows from a source into a table.
use serde_json::Value;

use crate::{Ctx, Result, source::LoadSpec};

pub(super) async fn run(_load: &LoadSpec, _ctx: &Ctx) -> Result<Value> {
    unimplemented!()
}
