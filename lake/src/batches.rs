//! Rows under way: what sources give, transforms change and the lake takes.
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures::stream::BoxStream;

/// A stream of record batches, read only as fast as it is taken, and the schema that every batch has.
///
/// `E` is the error of the side that produces the rows.
pub struct Batches<E = crate::Error> {
    /// The schema of every batch.
    pub schema: SchemaRef,
    /// The rows; dropping it stops the reader.
    pub stream: BoxStream<'static, Result<RecordBatch, E>>,
}
