//! Files made by the Parquet crate's own writer, whole and broken.
mod hostile;
mod mutated;
mod page;
mod values;

use std::{ops::Range, sync::Arc};

use arrow_array::{ArrayRef, RecordBatch};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};

use super::{Bounds, FileBytes, FileError, ParquetFile};

const BOUNDS: Bounds = Bounds { footer_bytes: 16 << 20, columns: 2000, cell_bytes: 64 << 20 };

/// A file in memory.
pub(super) struct Memory(pub Bytes);

impl FileBytes for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, Box<dyn std::error::Error + Send + Sync>>> {
        let whole = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let inside = whole.filter(|(start, end)| start <= end && *end <= self.0.len());
        let bytes = inside.map(|(start, end)| self.0.slice(start..end)).ok_or("asked for bytes beyond the end".into());
        async move { bytes }.boxed()
    }
}

/// A file of these columns.
fn written(columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a footer");
    bytes
}

/// All rows, with the types that the table would have.
async fn rows(bytes: impl Into<Bytes>) -> Result<Vec<RecordBatch>, FileError> {
    rows_within(bytes, BOUNDS).await
}

async fn rows_within(bytes: impl Into<Bytes>, bounds: Bounds) -> Result<Vec<RecordBatch>, FileError> {
    let file: Arc<dyn FileBytes> = Arc::new(Memory(bytes.into()));
    let own = Arc::new(ParquetFile::open(file.as_ref(), bounds).await?);
    let groups = 0..own.row_groups().len();
    let schema = own.schema().clone();
    let mut stream = own.read(file, groups, &schema);
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        batches.push(batch?);
    }
    Ok(batches)
}
