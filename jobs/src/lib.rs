//! What a job is, how it waits, and how it is done.
//!
//! A request body becomes a [`spec::JobSpec`]; the [`queue`] keeps it in Redis; a worker claims it and calls
//! [`job::run`] with a [`Ctx`]; a [`source`] gives batches, the lake takes them, and the result says what is proven.

mod after;
pub mod audit;
pub mod config;
pub mod crawl;
mod ctx;
mod error;
pub mod extract;
pub mod format;
pub mod http;
pub mod job;
mod lake_error;
pub mod queue;
pub mod report;
mod secret;
pub mod source;
pub mod spec;
mod status;
pub mod transform;

pub use after::AfterFailure;
pub use ctx::{Children, Ctx, Progress, ProgressSnapshot, Stop, StopReason};
pub use error::{Code, Error, FieldError, Result, Retry};
pub use icehaul_lake::{Lakes, Permission, TableName, fingerprint};
pub use secret::{REDACTED, Sealer, Secret};
pub use status::{Event, Status};

/// A job's id: a `UUIDv7` (RFC 9562), so ids sort by the time they were made.
pub type JobId = uuid::Uuid;

/// Rows under way from a source: read only as fast as they are taken.
pub struct Batches {
    /// The schema of every batch, without the lineage columns.
    pub schema: arrow_schema::SchemaRef,
    /// The rows with their lineage; dropping it stops the reader.
    pub stream: futures::stream::BoxStream<'static, Result<transform::Rows>>,
}
