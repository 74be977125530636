//! Pieces of files to batches, on one stream or on several that share the work.
use std::{collections::VecDeque, sync::Arc};

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use iceberg::{arrow::ArrowReader, expr::BoundPredicate, io::FileIO, scan::FileScanTask};
use tokio::sync::Mutex;

use super::{arrow, error, filter, plan::Plan, shape};
use crate::{Batches, Error, Kind, Result, TableName};

/// Larger files are shared between streams in pieces of about this many bytes.
const PIECE_BYTES: u64 = 32 << 20;

/// How a piece of a file is read.
pub(super) struct Reader {
    pub table: Arc<TableName>,
    pub io: FileIO,
    pub files: ArrowReader,
    /// What is read of the files, in the order of the output and with field ids.
    pub wanted: Schema,
    /// The same as plain Arrow.
    pub scanned: SchemaRef,
    /// What is handed on: the first `keep` columns of it.
    pub schema: SchemaRef,
    pub keep: usize,
    /// Whether files may hold the columns otherwise than the table: then each is looked at.
    pub look: bool,
    /// The part of the filter that the file reader does not do, over the scanned columns.
    pub filter: Option<BoundPredicate>,
}

impl Plan {
    pub fn read(self) -> Batches {
        let Self { tasks, reader } = self;
        let schema = reader.schema.clone();
        Batches { schema, stream: tasks.map_ok(move |task| reader.clone().open(task)).try_flatten().boxed() }
    }

    pub fn read_parallel(self, streams: usize) -> Vec<Batches> {
        let Self { tasks, reader } = self;
        let source = Arc::new(Mutex::new((tasks, VecDeque::new())));
        let stream = |_| {
            let tasks = futures::stream::try_unfold(source.clone(), |source| async {
                let task = next_piece(&mut *source.lock().await).await?;
                Ok(task.map(|task| (task, source)))
            });
            Plan { tasks: tasks.boxed(), reader: reader.clone() }.read()
        };
        (0..streams.max(1)).map(stream).collect()
    }
}

/// The tasks still to be found, and the pieces of the last one.
type Source = (BoxStream<'static, Result<FileScanTask>>, VecDeque<FileScanTask>);

async fn next_piece((tasks, pieces): &mut Source) -> Result<Option<FileScanTask>> {
    if pieces.is_empty() {
        match tasks.next().await.transpose()? {
            // Positions in delete files count from the file's start: such a file is read in one piece.
            Some(task) if task.deletes.is_empty() => pieces.extend(cut(&task)),
            Some(task) => pieces.push_back(task),
            None => {}
        }
    }
    Ok(pieces.pop_front())
}

/// Byte ranges that cover a file; a row group belongs to the one range that holds its middle.
fn cut(task: &FileScanTask) -> impl Iterator<Item = FileScanTask> {
    let size = task.file_size_in_bytes;
    let count = size.div_ceil(PIECE_BYTES).max(1);
    let bounds = move |i: u64| if i == count { size } else { i * (size / count) };
    (0..count).map(move |i| FileScanTask {
        start: bounds(i),
        length: bounds(i + 1) - bounds(i),
        record_count: task.record_count.filter(|_| count == 1),
        ..task.clone()
    })
}

impl Reader {
    /// The rows of a piece.
    pub fn open(self: Arc<Self>, task: FileScanTask) -> BoxStream<'static, Result<RecordBatch>> {
        let deletes = task.deletes.iter().map(|delete| delete.file_path.clone());
        let paths: Arc<[String]> = std::iter::once(task.data_file_path.clone()).chain(deletes).collect();
        let (look, io) = (self.look, self.io.clone());
        let task = async move { if look { shape::fit(task, &io).await } else { Ok(task) } };
        let stream = match self.files.clone().read(futures::stream::once(task).boxed()) {
            Ok(result) => result.stream(),
            Err(cause) => futures::stream::once(async { Err(cause) }).boxed(),
        };
        let finished = stream.then(move |batch| {
            let (reader, paths) = (self.clone(), paths.clone());
            async move {
                match batch {
                    Ok(batch) => reader.finish(&batch).map_err(|cause| reader.misfit(&paths[0], cause)),
                    Err(cause) => Err(error::reading(&reader.table, &reader.io, &paths, cause).await),
                }
            }
        });
        finished.try_filter(|batch| futures::future::ready(batch.num_rows() > 0)).boxed()
    }

    /// Filters a batch of the file reader and brings it to the schema asked for.
    fn finish(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let mut batch = arrow::conform(batch, &self.wanted, &self.scanned)?;
        if let Some(filter) = &self.filter {
            batch = arrow_select::filter::filter_record_batch(&batch, &filter::mask(filter, &batch)?)?;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns = batch.columns()[..self.keep].to_vec();
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
    }

    fn misfit(&self, path: &str, cause: ArrowError) -> Error {
        let message = format!("the rows of `{path}` do not fit the schema of table {}: {cause}", self.table);
        Error::new(Kind::Internal, message).caused_by(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_a_file_without_overlap() {
        for size in [1, PIECE_BYTES, PIECE_BYTES + 1, 5 * PIECE_BYTES - 3, 512 << 20] {
            let task = FileScanTask::builder()
                .with_file_size_in_bytes(size)
                .with_start(0)
                .with_length(size)
                .with_data_file_path("file:///f".to_owned())
                .with_data_file_format(iceberg::spec::DataFileFormat::Parquet)
                .with_schema(Arc::new(iceberg::spec::Schema::builder().build().expect("a schema")))
                .with_project_field_ids(Vec::new())
                .with_case_sensitive(true)
                .build();
            let end = cut(&task).fold(0, |end, piece| {
                assert_eq!(piece.start, end);
                assert!(piece.length > 0 && piece.length <= 2 * PIECE_BYTES);
                end + piece.length
            });
            assert_eq!(end, size);
        }
    }
}
