//! Parquet.
use std::sync::Arc;

use arrow_schema::SchemaRef;

use super::{Blob, FileFormat, Part, Reading, RowStream, Scanned, not_yet};
use crate::{Ctx, FieldError, Result};

/// Parquet.
pub struct Parquet;

impl FileFormat for Parquet {
    const NAME: &'static str = "parquet";

    fn check(_reading: &Reading) -> Vec<FieldError> {
        Vec::new()
    }

    async fn scan(_reading: &Reading, _blobs: &[Arc<dyn Blob>], _ctx: &Ctx) -> Result<Scanned> {
        Err(not_yet("Parquet"))
    }

    async fn read(
        _reading: &Reading,
        _schema: &SchemaRef,
        _blob: Arc<dyn Blob>,
        _part: &Part,
        _ctx: &Ctx,
    ) -> Result<RowStream> {
        Err(not_yet("Parquet"))
    }
}
