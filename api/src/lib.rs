//! HTTP in, HTTP out: requests become jobs, questions about jobs and tables become answers.
//!
//! `routes` is one page: every path with its handler and its documentation. The router and the OpenAPI document
//! are both made from it. Every answer leaves through `edge.rs`, which gives errors their body.
mod config;
mod edge;
mod extract;
mod guard;
mod metrics;
mod openapi;
mod operation;
mod problem;
mod report;
mod room;
mod routes;
mod rows;
mod serve;
mod state;
mod trino;

pub use config::{ApiConfig, TrinoConfig, address, check_bind};
pub use openapi::openapi;
pub use routes::router;
pub use serve::serve;
pub use state::AppState;
pub use trino::Trino;

/// What a handler gives.
type Result<T, E = problem::ApiError> = std::result::Result<T, E>;
