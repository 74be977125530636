//! CSV: RFC 4180 with any delimiter, quote and encoding. `docs/csv.md` has the rules.
//!
//! Files are read twice. [`plan`] looks at every byte of all of them: what the columns are, which types all their cells
//! have in common, how many records there are, and where a file can be cut (`survey`, `seen`). [`read`] then makes typed
//! columns of the parts. Both see the same records: `text` (decompressed, in UTF-8), `records` (in bounded pieces),
//! `split` (fields, found by `marks`).
mod cells;
mod dialect;
mod fault;
mod marks;
mod names;
mod plan;
mod read;
mod records;
mod seen;
mod split;
mod survey;
mod text;

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};

use super::{Blob, FileFormat, Part, Reading, RowStream, Scanned};
use crate::{Ctx, FieldError, Result};

/// Comma-separated values.
pub struct Csv;

impl FileFormat for Csv {
    const NAME: &'static str = "csv";

    fn check(reading: &Reading) -> Vec<FieldError> {
        dialect::check(reading)
    }

    async fn scan(reading: &Reading, table: Option<&Schema>, blobs: &[Arc<dyn Blob>], ctx: &Ctx) -> Result<Scanned> {
        plan::scan(reading, table, blobs, ctx).await
    }

    async fn read(
        reading: &Reading,
        schema: &SchemaRef,
        blob: Arc<dyn Blob>,
        part: &Part,
        ctx: &Ctx,
    ) -> Result<RowStream> {
        read::read(reading, schema, blob, part, ctx).await
    }
}

#[cfg(test)]
mod tests;
