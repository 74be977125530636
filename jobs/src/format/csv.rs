//! CSV.
use std::sync::Arc;

use arrow_schema::SchemaRef;

use super::{Blob, FileFormat, Part, Reading, RowStream, Scanned, not_yet};
use crate::{Ctx, FieldError, Result};

/// CSV.
pub struct Csv;

impl FileFormat for Csv {
    const NAME: &'static str = "csv";

    fn check(_reading: &Reading) -> Vec<FieldError> {
        Vec::new()
    }

    async fn scan(_reading: &Reading, _blobs: &[Arc<dyn Blob>], _ctx: &Ctx) -> Result<Scanned> {
        Err(not_yet("CSV"))
    }

    async fn read(
        _reading: &Reading,
        _schema: &SchemaRef,
        _blob: Arc<dyn Blob>,
        _part: &Part,
        _ctx: &Ctx,
    ) -> Result<RowStream> {
        Err(not_yet("CSV"))
    }
}
