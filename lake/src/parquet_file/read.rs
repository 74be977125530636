//! Row groups to batches of a wished-for schema, decoded on a blocking thread while the next group is fetched.
use std::{ops::Range, sync::Arc};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures::{Stream, StreamExt, stream};
use parquet::{
    arrow::arrow_reader::{ParquetRecordBatchReader, RowGroups},
    column::page::PageIterator,
    errors::Result as ParquetResult,
    file::metadata::{ParquetMetaData, RowGroupMetaData},
};
use tokio::{
    runtime::Handle,
    sync::mpsc,
    task::{JoinSet, spawn_blocking},
};

use super::{
    FileBytes, FileError, ParquetFile, Result,
    codec::Codec,
    pages::{Claims, OneChunk, Pages, Shared},
    shape::spelled_out,
    window::Fetched,
};
use crate::write::Conform;

/// The most rows of a batch.
const BATCH_ROWS: usize = 8192;
/// What the values of a batch should stay below, spelled out.
const BATCH_BYTES: usize = 32 << 20;
/// What the lists of a row group may become without making its batches smaller.
const LIST_BYTES: u64 = 128 << 20;
/// Batches that wait to be taken.
const WAITING: usize = 2;

/// The rows of some row groups; dropping it ends the reading.
pub type RowBatches = stream::BoxStream<'static, Result<RecordBatch, FileError>>;

impl ParquetFile {
    /// The rows of row groups, as batches of `schema`: columns by name, widened where it is wider, NULL where the file has
    /// none of the name.
    pub fn read(self: Arc<Self>, file: Arc<dyn FileBytes>, groups: Range<usize>, schema: &SchemaRef) -> RowBatches {
        let (sender, receiver) = mpsc::channel(WAITING);
        let reading = Reading { own: self, file, conform: None, sender }.toward(schema);
        let mut task = JoinSet::new();
        task.spawn(reading.run(groups));
        Taken { receiver, task }.stream().boxed()
    }
}

/// The far end of a reading; the task ends with it.
struct Taken {
    receiver: mpsc::Receiver<Result<RecordBatch>>,
    task: JoinSet<()>,
}

impl Taken {
    fn stream(self) -> impl Stream<Item = Result<RecordBatch>> {
        stream::unfold(self, |mut taken| async move {
            if let Some(batch) = taken.receiver.recv().await {
                return Some((batch, taken));
            }
            match taken.task.join_next().await {
                Some(Err(_)) => Some((Err(FileError::invalid("is broken: its decoder gave up")), taken)),
                _ => None,
            }
        })
    }
}

struct Reading {
    own: Arc<ParquetFile>,
    file: Arc<dyn FileBytes>,
    /// The way to the wished-for schema, if it is another than the file's.
    conform: Option<Conform>,
    sender: mpsc::Sender<Result<RecordBatch>>,
}

impl Reading {
    fn toward(self, schema: &SchemaRef) -> Self {
        let same = self.own.schema().fields() == schema.fields();
        let conform = (!same).then(|| Conform::new(self.own.schema(), schema, |_| true));
        Self { conform, ..self }
    }

    async fn run(self, groups: Range<usize>) {
        let reading = Arc::new(self);
        if let Err(error) = reading.clone().groups(groups).await {
            // Nobody waits for it if the send fails.
            let _ = reading.sender.send(Err(error)).await;
        }
    }

    /// Fetches one group ahead of the one that is decoded.
    async fn groups(self: Arc<Self>, groups: Range<usize>) -> Result<()> {
        let mut fetched = None;
        let with_rows = |index: &usize| self.own.row_groups().get(*index).is_none_or(|group| group.rows > 0);
        let groups: Vec<usize> = groups.filter(with_rows).collect();
        for (place, index) in groups.iter().copied().enumerate() {
            let bytes = match fetched.take() {
                Some(bytes) => bytes,
                None => self.fetch(index).await?,
            };
            let (reading, handle) = (self.clone(), Handle::current());
            let decode = spawn_blocking(move || reading.decode(index, &bytes, &handle));
            let ahead = async {
                match groups.get(place + 1) {
                    Some(next) => self.fetch(*next).await.map(Some),
                    None => Ok(None),
                }
            };
            let (decoded, ahead) = tokio::join!(decode, ahead);
            let more = decoded.unwrap_or_else(|_| Err(FileError::invalid("is broken: its decoder gave up")))?;
            if !more {
                return Ok(());
            }
            fetched = ahead?;
        }
        Ok(())
    }

    async fn fetch(&self, index: usize) -> Result<Fetched> {
        let group =
            self.own.row_groups().get(index).ok_or_else(|| FileError::invalid("has fewer row groups than it had"))?;
        Fetched::new(self.file.as_ref(), &group.chunks).await
    }

    /// Sends the rows of a group; whether anybody still takes them.
    fn decode(&self, index: usize, bytes: &Fetched, handle: &Handle) -> Result<bool> {
        let group = &self.own.row_groups()[index];
        let sender = self.sender.clone();
        let shared = Arc::new(Shared::new(group.bytes, move || !sender.is_closed()));
        let chunks = Chunks { reading: self, index, bytes, handle, shared: shared.clone() };
        let told = |said: FileError| shared.fault().unwrap_or(said);
        let reader =
            ParquetRecordBatchReader::try_new_with_row_groups(&self.own.levels, &chunks, self.batch_rows(index), None);
        let mut rows = 0_u64;
        let first: u64 = self.own.row_groups()[..index].iter().map(|group| group.rows).sum();
        for batch in reader.map_err(|e| told(e.into()))? {
            let batch = self.finish(&batch.map_err(|e| told(e.into()))?, first + rows + 1)?;
            rows += batch.num_rows() as u64;
            if rows > group.rows {
                break;
            }
            if !self.send(batch)? {
                return Ok(false);
            }
        }
        match rows == group.rows {
            true => Ok(true),
            false => Err(FileError::Invalid(format!(
                "is broken: row group {index} has {}{rows} rows, its footer says {}",
                if rows > group.rows { "at least " } else { "" },
                group.rows
            ))),
        }
    }

    /// Rows of a batch: fewer where lists are long.
    fn batch_rows(&self, index: usize) -> usize {
        let group = &self.own.metadata.row_groups()[index];
        let lists = group.columns().iter().filter(|column| column.column_descr().max_rep_level() > 0);
        let bytes: u64 = lists.map(|column| column.num_values().unsigned_abs().saturating_mul(16)).sum();
        let rows = group.num_rows().unsigned_abs().max(1);
        let fixed: usize = self
            .own
            .schema()
            .fields()
            .iter()
            .filter_map(|field| match field.data_type() {
                arrow_schema::DataType::FixedSizeBinary(width) => usize::try_from(*width).ok(),
                _ => None,
            })
            .sum();
        let most = BATCH_BYTES.checked_div(fixed).map_or(BATCH_ROWS, |rows| rows.clamp(1, BATCH_ROWS));
        match bytes > LIST_BYTES {
            true => usize::try_from(LIST_BYTES / (bytes / rows).max(1)).unwrap_or(BATCH_ROWS).clamp(1, most),
            false => most,
        }
    }

    /// The table's types, then the wished-for schema.
    fn finish(&self, batch: &RecordBatch, first_row: u64) -> Result<RecordBatch> {
        let schema = self.own.schema();
        let columns =
            self.own.shapes.iter().zip(batch.columns()).zip(schema.fields()).map(|((shape, column), field)| {
                shape.convert(column, self.own.bounds.cell_bytes).map_err(|fault| fault.of(field.name(), first_row))
            });
        let batch = RecordBatch::try_new(schema.clone(), columns.collect::<Result<_>>()?)?;
        match &self.conform {
            Some(conform) => conform.apply(&batch).map_err(|e| FileError::invalid(e.message())),
            None => Ok(batch),
        }
    }

    /// Sends a batch in pieces that are not too large; whether anybody still takes them.
    fn send(&self, batch: RecordBatch) -> Result<bool> {
        let bytes: usize = batch.columns().iter().map(|column| spelled_out(column)).sum();
        if bytes <= BATCH_BYTES || batch.num_rows() < 2 {
            return Ok(self.sender.blocking_send(Ok(batch)).is_ok());
        }
        let half = batch.num_rows() / 2;
        Ok(self.send(batch.slice(0, half))? && self.send(batch.slice(half, batch.num_rows() - half))?)
    }
}

/// A row group, as the decoder wants it.
struct Chunks<'a> {
    reading: &'a Reading,
    index: usize,
    bytes: &'a Fetched,
    handle: &'a Handle,
    shared: Arc<Shared>,
}

impl RowGroups for Chunks<'_> {
    fn num_rows(&self) -> usize {
        usize::try_from(self.reading.own.row_groups()[self.index].rows).unwrap_or(usize::MAX)
    }

    fn column_chunks(&self, column: usize) -> ParquetResult<Box<dyn PageIterator>> {
        let own = &self.reading.own;
        let chunk = own.metadata.row_group(self.index).column(column);
        let descriptor = chunk.column_descr();
        let claims = Claims {
            physical: descriptor.physical_type(),
            length: descriptor.type_length(),
            max_definition: descriptor.max_def_level(),
            max_repetition: descriptor.max_rep_level(),
            values: chunk.num_values(),
            cell_bytes: own.bounds.cell_bytes,
        };
        let range = own.row_groups()[self.index].chunks[column].clone();
        let bytes = self.bytes.column(column, range, &self.reading.file, self.handle);
        let codec =
            Codec::new(chunk.compression()).map_err(|e| parquet::errors::ParquetError::General(e.to_string()))?;
        Ok(Box::new(OneChunk(Some(Box::new(Pages::new(bytes, codec, claims, self.shared.clone()))))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.reading.own.metadata.row_group(self.index)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.reading.own.metadata
    }
}
