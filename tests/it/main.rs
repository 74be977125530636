//! Icehaul's integration tests: one binary, a module per capability, against real servers (`test.sh` starts them).
mod api;
mod audit;
mod cli;
mod crash;
mod docs;
mod files;
mod load;
mod migrate;
mod mysql;
mod on_s3;
mod parquet;
mod postgres;
mod pyiceberg;
mod queue;
mod scrape;
mod tidy;
mod trino;

/// The fields of a request that say where a test's database is.
fn connection(database: &icehaul_tests::postgres::Database) -> serde_json::Value {
    serde_json::json!({
        "host": database.host, "port": database.port, "database": database.name,
        "user": icehaul_tests::postgres::OWNER, "password": icehaul_tests::postgres::OWNER_PASSWORD,
    })
}

/// All files below a folder, sorted; none if it is not there.
fn files_below(folder: &std::path::Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => files.push(path.display().to_string()),
            }
        }
    }
    files.sort();
    files
}
