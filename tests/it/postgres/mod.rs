//! `load.postgres` up to the batches: plan and read.
mod connect;
mod cursor;
mod liar;
mod limits;
mod query;
mod table;
pub(crate) mod types;

use std::sync::Arc;

use arrow_array::{Int32Array, Int64Array, RecordBatch};
use futures::TryStreamExt;
use icehaul_jobs::{
    Ctx, Error, Result,
    config::{Connections, Limits},
    source::{LoadSpec, Plan, Wish},
};
use icehaul_tests::{
    attempt::ctx,
    postgres::{Database, OWNER, OWNER_PASSWORD},
};
use serde_json::{Value, json};

pub(crate) fn ctx_with(limits: Limits, connections: Connections) -> Ctx {
    Ctx { limits: Arc::new(limits), connections: Arc::new(connections), ..ctx() }
}

/// The fields of a request beside those that say where the database is.
fn request(database: &Database, fields: Value) -> Value {
    let mut all = json!({
        "host": database.host, "port": database.port, "database": database.name, "user": OWNER,
        "password": OWNER_PASSWORD, "namespace": "n", "table_name": "t",
    });
    for (name, value) in fields.as_object().expect("fields") {
        all[name] = value.clone();
    }
    all
}

fn spec(database: &Database, fields: Value) -> LoadSpec {
    LoadSpec::from_request("load.postgres", request(database, fields)).expect("a request")
}

/// All that a load gives: the plan and, split by split, the batches.
pub(crate) struct Loaded {
    pub plan: Plan,
    pub splits: Vec<Vec<RecordBatch>>,
}

impl Loaded {
    pub fn rows(&self) -> usize {
        self.batches().map(RecordBatch::num_rows).sum()
    }

    pub fn batches(&self) -> impl Iterator<Item = &RecordBatch> {
        self.splits.iter().flatten()
    }

    /// The rows of a small result.
    pub fn only(&self) -> &RecordBatch {
        let all: Vec<_> = self.batches().collect();
        assert_eq!(all.len(), 1, "one batch");
        all[0]
    }
}

pub(crate) async fn load(spec: &LoadSpec, ctx: &Ctx, wish: &Wish) -> Result<Loaded> {
    let plan = spec.plan(ctx, wish).await?;
    let mut splits = Vec::new();
    for split in &plan.splits {
        let batches = spec.read(ctx, &plan, split).await?;
        assert_eq!(batches.schema, plan.schema);
        splits.push(batches.stream.map_ok(|rows| rows.batch).try_collect().await?);
    }
    Ok(Loaded { plan, splits })
}

/// All values of a column of integers, sorted.
pub(crate) fn numbers(loaded: &Loaded, column: &str) -> Vec<i64> {
    let mut all = Vec::with_capacity(loaded.rows());
    for batch in loaded.batches() {
        let array = batch.column_by_name(column).expect(column);
        match array.as_any().downcast_ref::<Int32Array>() {
            Some(small) => all.extend(small.values().iter().map(|n| i64::from(*n))),
            None => all.extend(array.as_any().downcast_ref::<Int64Array>().expect("integers").values()),
        }
    }
    all.sort_unstable();
    all
}

async fn query(database: &Database, sql: &str) -> Result<Loaded> {
    load(&spec(database, json!({"query": sql})), &ctx(), &Wish::default()).await
}

async fn refusal(database: &Database, fields: Value) -> Error {
    match load(&spec(database, fields), &ctx(), &Wish::default()).await {
        Ok(loaded) => panic!("{} rows instead of an error", loaded.rows()),
        Err(error) => error,
    }
}
