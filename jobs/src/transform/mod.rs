//! Batches to batches: what happens to rows between the source and the lake.
pub mod infer;
mod lineage;

pub use lineage::{Lineage, Mark, MarkKind, Marks, Rows};
