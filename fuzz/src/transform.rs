//! What decides on types.
#[path = "../../jobs/src/transform/infer/mod.rs"]
pub mod infer;
