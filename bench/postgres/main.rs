//! How fast PostgreSQL is read and decoded: every batch is dropped at once.
//!
//! `bench_postgres HOST PORT DATABASE USER TABLE|QUERY [READERS]`; a password comes from `PGPASSWORD`.
#![expect(clippy::print_stdout, reason = "the figures are the result")]
use icehaul_jobs::{Result, source::LoadSpec};
use icehaul_tests::reading::read_all;
use serde_json::json;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, database, user, what, rest @ ..] = arguments.as_slice() else {
        println!("usage: bench_postgres HOST PORT DATABASE USER TABLE|QUERY [READERS]");
        return Ok(());
    };
    let readers: usize = rest.first().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut body = json!({
        "host": host, "port": port.parse::<u16>().unwrap_or(5432), "database": database, "user": user,
        "allow_superuser": true, "namespace": "n", "table_name": "t", "parallelism": readers,
    });
    body[if what.contains(' ') { "query" } else { "table" }] = json!(what);
    if let Ok(password) = std::env::var("PGPASSWORD") {
        body["password"] = json!(password);
    }
    println!("{}", read_all(LoadSpec::from_request("load.postgres", body)?, readers).await?);
    Ok(())
}
