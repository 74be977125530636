//! The lake against real catalogs and files: one binary, a file per capability.
mod commit;
mod doubt;
mod files;
mod help;
#[allow(dead_code)]
#[path = "../../../tests/src/machine.rs"]
mod machine;
mod on_s3;
#[allow(dead_code)]
#[path = "../../../tests/src/proxy.rs"]
mod proxy;
mod python;
mod race;
mod s3;
mod s3_lies;
#[allow(dead_code)]
#[path = "../../../tests/src/s3.rs"]
mod s3_server;
mod schema;
mod sql;
