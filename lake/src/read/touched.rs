//! Changes of another table's rows, as they are taken over: which files hold rows of changed keys, and what stays of those.
use std::{collections::HashSet, future::ready, sync::Arc, thread::available_parallelism};

use arrow_schema::SchemaRef;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use iceberg::scan::FileScanTask;
use tokio::{sync::Mutex, task::JoinSet};

use super::{At, Changes, Scan, Table, changes::conformed, rows::Reader};
use crate::{
    Batches, Error, Kind, Result,
    measure::{Depth, Measured, Measurer},
};

/// The files that hold rows of changed keys.
pub struct Touched {
    /// The snapshot at which they were found.
    pub at: Option<i64>,
    /// Their locations.
    pub files: HashSet<String>,
    /// The measure of the rows of all other files.
    pub rest: Measured,
}

impl Table {
    /// Looks for the files that hold rows of changed keys, and measures the rows of all others on the way.
    ///
    /// # Errors
    /// As `scan`; [`Kind::SchemaMismatch`] for a column of this table that the changed rows do not have: its values would be lost
    /// where files are written anew.
    pub async fn touched(&self, at: At, changes: &Arc<Changes>, depth: Depth) -> Result<Touched> {
        let alone = |name: &&String| changes.schema.index_of(name).is_err();
        if let Some(name) = self.schema_at(at)?.fields().iter().map(|field| field.name()).find(alone) {
            let message = format!("table {} has a column `{name}` that changed rows do not have", self.name);
            return Err(Error::new(Kind::SchemaMismatch, message));
        }
        let plan = self.plan(&Scan { at, ..Scan::default() }).await?;
        let tasks = Arc::new(Mutex::new(plan.tasks));
        let mut lanes = JoinSet::new();
        for _ in 0..available_parallelism().map_or(1, std::num::NonZero::get) {
            lanes.spawn(look(tasks.clone(), plan.reader.clone(), changes.clone(), depth));
        }
        let rest = Measurer::new(&changes.schema, None, depth)?.finish();
        let mut all = Touched { at: self.snapshot_id(at)?, files: HashSet::new(), rest };
        while let Some(ended) = lanes.join_next().await {
            let (files, rest) =
                ended.map_err(|e| Error::new(Kind::Internal, "a reader of rows died").caused_by(e))??;
            all.files.extend(files);
            all.rest.merge(rest)?;
        }
        Ok(all)
    }

    /// The rows of touched files that have none of the changed keys, as several streams that share the work.
    ///
    /// # Errors
    /// As `scan`.
    pub async fn kept(&self, at: At, changes: &Changes, touched: &Touched, streams: usize) -> Result<Vec<Batches>> {
        let mut plan = self.plan(&Scan { at, ..Scan::default() }).await?;
        let files = touched.files.clone();
        plan.tasks = plan.tasks.try_filter(move |task| ready(files.contains(&task.data_file_path))).boxed();
        let streams = plan.read_parallel(streams).into_iter();
        streams.map(|batches| changes.pick(conformed(batches, &changes.schema), false)).collect()
    }
}

impl Table {
    /// The rows of the files that are not touched, with the columns of `like`.
    pub(crate) async fn rest(&self, touched: &Touched, like: &SchemaRef, streams: usize) -> Result<Vec<Batches>> {
        let columns = like.fields().iter().map(|field| field.name().clone()).collect();
        let at = touched.at.map_or(At::Current, At::Snapshot);
        let mut plan = self.plan(&Scan { at, columns: Some(columns), ..Scan::default() }).await?;
        let files = touched.files.clone();
        plan.tasks = plan.tasks.try_filter(move |task| ready(!files.contains(&task.data_file_path))).boxed();
        Ok(plan.read_parallel(streams).into_iter().map(|batches| conformed(batches, like)).collect())
    }
}

/// Looks through one file after the other, among others.
async fn look(
    tasks: Arc<Mutex<BoxStream<'static, Result<FileScanTask>>>>,
    reader: Arc<Reader>,
    changes: Arc<Changes>,
    depth: Depth,
) -> Result<(Vec<String>, Measured)> {
    let mut files = Vec::new();
    let mut rest = Measurer::new(&changes.schema, None, depth)?.finish();
    loop {
        let task = tasks.lock().await.next().await.transpose()?;
        let Some(task) = task else { return Ok((files, rest)) };
        let path = task.data_file_path.clone();
        let batches = Batches { schema: reader.schema.clone(), stream: reader.clone().open(task) };
        match untouched(conformed(batches, &changes.schema), &changes, depth).await? {
            Some(measured) => rest.merge(measured)?,
            None => files.push(path),
        }
    }
}

/// The measure of a file's rows; `None` as soon as one of them has a changed key.
async fn untouched(mut batches: Batches, changes: &Changes, depth: Depth) -> Result<Option<Measured>> {
    let mut hasher = changes.hasher(&batches.schema)?;
    let mut measurer = Measurer::new(&batches.schema, None, depth)?;
    while let Some(batch) = batches.stream.try_next().await? {
        if changes.touch(&mut hasher, &batch)? {
            return Ok(None);
        }
        measurer.add(&batch)?;
    }
    Ok(Some(measurer.finish()))
}
