//! The parts of `icehaul-jobs` that read what others wrote, built without the rest: with a fuzzer's instrumentation the whole
//! would take half an hour.
#![allow(dead_code, unused_imports, missing_docs)]

pub mod crawl;
#[path = "../../jobs/src/error.rs"]
mod error;
#[path = "../../jobs/src/extract/mod.rs"]
pub mod extract;
pub mod transform;

pub use error::{Code, Error, FieldError, Result, Retry};

/// Bounds like those of jobs, smaller where a fuzzer would only wait.
#[must_use]
pub fn limits() -> extract::Limits {
    extract::Limits {
        page_bytes: 1 << 20,
        nodes: 100_000,
        cells: 200_000,
        text_bytes: 4 << 20,
        looks: 2_000_000,
        ..extract::Limits::default()
    }
}
