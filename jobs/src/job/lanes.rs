//! Rows into files, side by side: each lane is a reader and a writer with a short channel between them.
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use arrow_array::{Array, RecordBatch};
use icehaul_lake::{
    TableWriter, WrittenFile,
    measure::{Measured, Measurer},
};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{Code, Error, Result};

/// Batches between a lane's reader and its writer; small, so that memory stays bounded and the source feels it.
const CHANNEL_BATCHES: usize = 2;

/// The migrations that this process runs now.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// A migration's share of the lanes. Each lane holds a row group that is read and one that is written: where several tables are
/// copied side by side they keep the cores busy anyway, and more lanes for each would only take more memory.
pub(super) struct Share(());

impl Share {
    /// Counts one more migration, until this is dropped.
    pub fn take() -> Self {
        RUNNING.fetch_add(1, Relaxed);
        Self(())
    }

    /// How many of `most` lanes it may have now: at least one.
    pub fn of(&self, most: usize) -> usize {
        (most / RUNNING.load(Relaxed).max(1)).max(1)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Relaxed);
    }
}

/// The lanes under way: two tasks each.
pub(super) type Lanes = JoinSet<Result<Written>>;

/// What one lane, or all of them, have written.
#[derive(Default)]
pub(super) struct Written {
    pub files: Vec<WrittenFile>,
    pub rows: u64,
    pub measured: Option<Measured>,
}

impl Written {
    pub fn rows_in_files(&self) -> u64 {
        self.files.iter().map(WrittenFile::rows).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(WrittenFile::bytes).sum()
    }

    pub fn fingerprint(&self) -> Option<String> {
        self.measured.as_ref().map(|measured| measured.fingerprint().to_string())
    }

    fn add(&mut self, lane: Self) -> Result<()> {
        self.rows += lane.rows;
        self.files.extend(lane.files);
        match (&mut self.measured, lane.measured) {
            (Some(all), Some(more)) => all.merge(more)?,
            (all, more) => *all = all.take().or(more),
        }
        Ok(())
    }
}

/// Starts a lane's writer; its reader sends what `stamp` makes batches of.
pub(super) fn start<T: Send + 'static>(
    lanes: &mut Lanes,
    writer: TableWriter,
    measurer: Option<Measurer>,
    stamp: impl FnMut(T) -> Result<RecordBatch> + Send + 'static,
) -> mpsc::Sender<T> {
    let (sender, receiver) = mpsc::channel(CHANNEL_BATCHES);
    lanes.spawn(write(receiver, writer, measurer, stamp));
    sender
}

/// Waits for all lanes and puts together what they have written. The first failure is told.
pub(super) async fn finish(lanes: &mut Lanes) -> Result<Written> {
    let mut all = Written::default();
    while let Some(ended) = lanes.join_next().await {
        let lane = ended.map_err(|e| Error::new(Code::Internal, "a lane of the job panicked").caused_by(e))??;
        all.add(lane)?;
    }
    Ok(all)
}

/// Writes what one lane's reader passes on.
async fn write<T>(
    mut receiver: mpsc::Receiver<T>,
    mut writer: TableWriter,
    mut measurer: Option<Measurer>,
    mut stamp: impl FnMut(T) -> Result<RecordBatch>,
) -> Result<Written> {
    let mut rows = 0;
    while let Some(read) = receiver.recv().await {
        let batch = stamp(read)?;
        rows += batch.num_rows() as u64;
        if let Some(measurer) = &mut measurer {
            measurer.add(&batch)?;
        }
        writer.write(&batch).await?;
    }
    Ok(Written { files: writer.close().await?, rows, measured: measurer.map(Measurer::finish) })
}

/// The size of the values, not of the memory that was set aside for them.
pub(super) fn bytes_of(batch: &RecordBatch) -> u64 {
    let sizes = batch.columns().iter().filter_map(|column| column.to_data().get_slice_memory_size().ok());
    sizes.sum::<usize>() as u64
}
