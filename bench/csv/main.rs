//! How fast files are looked at and read: every batch is dropped at once.
//!
//! `bench_csv FILE|PATTERN [READERS] [NAME=TYPE …]`; types of all columns spare the decision about them.
#![expect(clippy::print_stdout, reason = "the figures are the result")]
use icehaul_jobs::{Result, source::LoadSpec};
use icehaul_tests::reading::read_all;
use serde_json::{Map, Value, json};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, rest @ ..] = arguments.as_slice() else {
        println!("usage: bench_csv FILE|PATTERN [READERS] [NAME=TYPE …]");
        return Ok(());
    };
    let readers = rest.first().and_then(|n| n.parse().ok()).unwrap_or(2);
    let schema: Map<String, Value> =
        rest.iter().filter_map(|pair| pair.split_once('=')).map(|(name, kind)| (name.into(), kind.into())).collect();
    let mut body = json!({"file_path": path, "namespace": "n", "table_name": "t"});
    if !schema.is_empty() {
        body["schema"] = Value::Object(schema);
    }
    println!("{}", read_all(LoadSpec::from_request("load.file", body)?, readers).await?);
    Ok(())
}
