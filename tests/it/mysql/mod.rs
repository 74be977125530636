//! `load.mysql` up to the batches: plan and read, from a real MariaDB.
mod connect;
mod cursor;
mod query;
mod table;
mod types;

use icehaul_jobs::{
    Ctx, Error, Result,
    source::{LoadSpec, Wish},
};
use icehaul_tests::{attempt::ctx, mysql::Database};
use serde_json::{Value, json};

use crate::postgres::{Loaded, load};

/// The fields of a request beside those that say where the database is.
fn request(database: &Database, fields: Value) -> Value {
    let mut all = database.connection();
    for (name, value) in
        json!({"namespace": "n", "table_name": "t"}).as_object().into_iter().chain(fields.as_object()).flatten()
    {
        all[name] = value.clone();
    }
    all
}

fn spec(database: &Database, fields: Value) -> LoadSpec {
    LoadSpec::from_request("load.mysql", request(database, fields)).expect("a request")
}

async fn query(database: &Database, sql: &str) -> Result<Loaded> {
    load(&spec(database, json!({"query": sql})), &ctx(), &Wish::default()).await
}

async fn refusal(database: &Database, fields: Value) -> Error {
    refusal_in(&ctx(), database, fields).await
}

async fn refusal_in(ctx: &Ctx, database: &Database, fields: Value) -> Error {
    match load(&spec(database, fields), ctx, &Wish::default()).await {
        Ok(loaded) => panic!("{} rows instead of an error", loaded.rows()),
        Err(error) => error,
    }
}
