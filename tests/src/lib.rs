//! What the integration tests stand on: real servers and processes on private ports, and a fault proxy.
pub mod attempt;
pub mod engine;
pub mod handler;
pub mod icehaul;
pub mod machine;
pub mod mysql;
pub mod postgres;
pub mod proxy;
pub mod reading;
pub mod redis;
pub mod s3;
pub mod site;
pub mod trino;

pub use machine::{free_port, signal};
