//! One Parquet file in the making.
use std::{collections::BTreeMap, mem};

use arrow_array::{ArrayRef, RecordBatch, cast::AsArray, types};
use arrow_schema::{DataType, Field};
use parquet::arrow::ArrowWriter;

use super::{Layout, WrittenFile, layout::field_id};
use crate::{
    Error, Kind, Result, failpoint,
    storage::{self, Output},
};

/// A Parquet file that is being written. Row groups leave as they are full.
pub(super) struct OpenFile {
    path: String,
    partition: Vec<serde_json::Value>,
    arrow: ArrowWriter<Vec<u8>>,
    out: Output,
    written: u64,
    nans: BTreeMap<i32, u64>,
}

impl OpenFile {
    pub(super) async fn create(layout: &Layout, path: String, partition: Vec<serde_json::Value>) -> Result<Self> {
        let arrow = ArrowWriter::try_new_with_options(Vec::new(), layout.conform.schema.clone(), layout.options());
        let arrow =
            arrow.map_err(|e| Error::new(Kind::Internal, "the Parquet writer refuses the schema").caused_by(e))?;
        let out = layout.storage.create(&path).await?;
        Ok(Self { path, partition, arrow, out, written: 0, nans: BTreeMap::new() })
    }

    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            count_nans(field, column, &mut self.nans);
        }
        self.arrow.write(batch).map_err(|e| storage::failed("encode", &self.path, e))?;
        self.drain().await
    }

    /// The size that the file would have if it were closed now.
    pub(super) fn bytes(&self) -> usize {
        usize::try_from(self.written).unwrap_or(usize::MAX).saturating_add(self.arrow.in_progress_size())
    }

    /// The memory that the rows under way take.
    pub(super) fn memory(&self) -> usize {
        self.arrow.memory_size()
    }

    /// The memory of what is encoded and waits to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.out.waiting()
    }

    /// Writes the rows under way as a row group.
    pub(super) async fn flush(&mut self) -> Result<()> {
        self.arrow.flush().map_err(|e| storage::failed("encode", &self.path, e))?;
        self.drain().await
    }

    /// Sends out what the encoder has finished.
    async fn drain(&mut self) -> Result<()> {
        let ready = mem::take(self.arrow.inner_mut());
        if ready.is_empty() {
            return Ok(());
        }
        self.written += ready.len() as u64;
        self.out.put(ready.into()).await.map_err(|e| storage::failed("write", &self.path, e))
    }

    pub(super) async fn close(mut self, layout: &Layout) -> Result<WrittenFile> {
        let footer = self.arrow.finish().map_err(|e| storage::failed("encode", &self.path, e))?;
        self.drain().await?;
        self.out.finish().await.map_err(|e| storage::failed("write", &self.path, e))?;
        failpoint::hit("write.file_closed").await?;
        Ok(WrittenFile::new(self.path, self.written, &footer, &layout.schema, self.partition, &self.nans))
    }
}

/// Counts the NaNs of float columns, also inside structs and lists, by field id.
fn count_nans(field: &Field, array: &ArrayRef, nans: &mut BTreeMap<i32, u64>) {
    let mut add = |count: usize| {
        if let Some(id) = field_id(field) {
            *nans.entry(id).or_default() += count as u64;
        }
    };
    match field.data_type() {
        DataType::Float32 => {
            add(array.as_primitive::<types::Float32Type>().iter().flatten().filter(|v| v.is_nan()).count())
        }
        DataType::Float64 => {
            add(array.as_primitive::<types::Float64Type>().iter().flatten().filter(|v| v.is_nan()).count())
        }
        DataType::Struct(fields) => {
            for (field, array) in fields.iter().zip(array.as_struct().columns()) {
                count_nans(field, array, nans);
            }
        }
        DataType::List(element) => count_nans(element, array.as_list::<i32>().values(), nans),
        _ => {}
    }
}
