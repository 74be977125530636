//! Parquet: the lake reads the files, this makes one schema and parts of them.
mod fault;
mod part;
mod unify;

use std::{ops::Range, sync::Arc};

use arrow_schema::{Schema, SchemaRef};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use icehaul_lake::parquet_file::{Bounds, FileBytes, ParquetFile};

use self::{part::Groups, unify::Union};
use super::{Blob, FileFormat, FormatName, Part, Reading, RowStream, Scanned};
use crate::{Ctx, FieldError, Result, config::Limits, source::TypeNote};

/// Footers that are read at once.
const FOOTERS: usize = 16;

/// Parquet.
pub struct Parquet;

impl FileFormat for Parquet {
    const NAME: &'static str = "parquet";

    fn check(reading: &Reading) -> Vec<FieldError> {
        reading.refuse_csv_fields(FormatName::Parquet)
    }

    async fn scan(_reading: &Reading, table: Option<&Schema>, blobs: &[Arc<dyn Blob>], ctx: &Ctx) -> Result<Scanned> {
        let opening: Vec<_> = blobs.iter().map(|blob| opened(blob.clone(), ctx.limits.clone())).collect();
        let mut opened = stream::iter(opening).buffered(FOOTERS).enumerate().boxed();
        let (mut union, mut notes) = (Union::default(), Vec::new());
        let (mut parts, mut rows) = (Vec::new(), 0);
        while let Some((index, file)) = opened.next().await {
            ctx.stop.check()?;
            let file = file?;
            union.add(blobs[index].name(), file.schema())?;
            for remark in file.remarks() {
                let note = TypeNote {
                    column: remark.column,
                    source_type: remark.source_type,
                    table_type: remark.table_type,
                    note: remark.note.to_owned(),
                };
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
            rows += file.row_groups().iter().map(|group| group.rows).sum::<u64>();
            parts.extend(part::cut(index, file.row_groups(), blobs.len())?);
        }
        let schema = union.schema(&ctx.limits, table)?;
        // What has no values in one file may have some in another, or a type in the table.
        notes.retain(|note| note.source_type != unify::NOTHING || union.has_nothing(&note.column, table));
        notes.extend(union.notes(&schema));
        Ok(Scanned { schema, parts, rows: Some(rows), type_notes: notes })
    }

    async fn read(
        _reading: &Reading,
        schema: &SchemaRef,
        blob: Arc<dyn Blob>,
        part: &Part,
        ctx: &Ctx,
    ) -> Result<RowStream> {
        let groups = Groups::of(part)?;
        let file = Arc::new(opened(blob.clone(), ctx.limits.clone()).await?);
        groups.check(&blob, file.row_groups())?;
        let rows = file.read(Arc::new(Source(blob.clone())), groups.range(), schema);
        let stop = ctx.stop.clone();
        let rows = rows.map(move |batch| {
            stop.check()?;
            batch.map_err(|e| fault::of(blob.name(), e))
        });
        Ok(rows.boxed())
    }
}

async fn opened(blob: Arc<dyn Blob>, limits: Arc<Limits>) -> Result<ParquetFile> {
    let bounds = Bounds {
        footer_bytes: limits.max_footer_bytes,
        columns: limits.max_columns,
        cell_bytes: limits.max_cell_bytes,
    };
    ParquetFile::open(&Source(blob.clone()), bounds).await.map_err(|e| fault::of(blob.name(), e))
}

/// A blob as the lake wants bytes.
struct Source(Arc<dyn Blob>);

impl FileBytes for Source {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, Box<dyn std::error::Error + Send + Sync>>> {
        self.0.read(range).map(|bytes| bytes.map_err(Into::into)).boxed()
    }
}
