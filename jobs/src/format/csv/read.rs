//! The rows of a part, as batches.
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::SchemaRef;
use futures::StreamExt;

use super::{
    super::{Blob, Part, Reading, RowStream},
    dialect::Dialect,
    fault::{Fault, shown},
    plan::At,
    records::Records,
    seen::block_rows,
    survey::names_of,
    text,
};
use crate::{
    Code, Ctx, Error, Result,
    transform::infer::{Column, Kind},
};

/// A batch ends with whichever comes first.
const BATCH_ROWS: usize = 16_384;
const BATCH_BYTES: u64 = 8 << 20;
/// The cells that a batch first makes room for, over all columns.
const FIRST_CELLS: usize = 1 << 17;

/// Begins to read a part.
///
/// # Errors
/// The file's; [`Code::SourceChanged`] if it is not what [`super::plan::scan`] has seen.
pub(super) async fn read(
    reading: &Reading,
    schema: &SchemaRef,
    blob: Arc<dyn Blob>,
    part: &Part,
    ctx: &Ctx,
) -> Result<RowStream> {
    let foreign = || Error::new(Code::Internal, "the part is not one of a CSV file");
    let at: At = serde_json::from_value(part.at.clone()).map_err(|e| foreign().caused_by(e))?;
    let name: Arc<str> = blob.name().into();
    let dialect = Arc::new(Dialect::new(reading, &name));
    let places = at.places.unwrap_or_else(|| (0..schema.fields().len()).collect());
    // Where the table has a type that no text can have, there are no values.
    let kind = |place: &usize| Some(Kind::of(schema.fields().get(*place)?.data_type()).unwrap_or(Kind::String));
    let rows = (FIRST_CELLS / places.len().max(1)).clamp(1, BATCH_ROWS);
    let columns: Option<Vec<_>> = places.iter().map(|place| Some(Column::new(kind(place)?, rows))).collect();
    let columns = columns.ok_or_else(foreign)?;
    let records = match &at.piece.bytes {
        Some(bytes) => Records::new(text::exactly(&blob, bytes.clone()), name.clone(), dialect.clone(), ctx)
            .starting_at(bytes.start, at.piece.line),
        None => {
            let opened = text::open(&blob, &dialect, &ctx.limits, true).await.map_err(|e| told(&name, e))?;
            let mut records = Records::new(opened.chunks, name.clone(), dialect.clone(), ctx);
            let names = names_of(&mut records, &name, dialect.header).await.map_err(|e| told(&name, e))?;
            if names.is_none_or(|names| names.len() != places.len()) {
                return Err(changed(&name));
            }
            records
        }
    };
    let rows = Rows {
        records: records.trusted(),
        dialect,
        columns,
        places,
        schema: schema.clone(),
        name,
        left: at.piece.rows,
    };
    let batches =
        futures::stream::try_unfold(rows, |mut rows| async move { Ok(rows.next().await?.map(|batch| (batch, rows))) });
    Ok(batches.boxed())
}

/// The rows of a part that are not read yet.
struct Rows {
    records: Records,
    dialect: Arc<Dialect>,
    /// The file's columns, and the place of each in the schema.
    columns: Vec<Column>,
    places: Vec<usize>,
    schema: SchemaRef,
    name: Arc<str>,
    left: u64,
}

impl Rows {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let (mut rows, begin, width) = (0, self.records.offset, self.columns.len());
        while rows < BATCH_ROWS && self.records.offset - begin < BATCH_BYTES {
            let most = block_rows(width).min(BATCH_ROWS - rows);
            if !self.records.next(Some(width), most).await.map_err(|e| told(&self.name, e))? {
                break;
            }
            self.append()?;
            rows += self.records.block().rows();
        }
        self.left = self.left.checked_sub(rows as u64).ok_or_else(|| changed(&self.name))?;
        if rows > 0 {
            return self.batch(rows).map(Some);
        }
        if self.left == 0 { Ok(None) } else { Err(changed(&self.name)) }
    }

    /// Appends the records at hand to the columns.
    fn append(&mut self) -> Result<()> {
        let width = self.columns.len();
        let mut first: Option<(usize, usize)> = None;
        for (n, column) in self.columns.iter_mut().enumerate() {
            if let Err(row) = column.extend(self.records.column(n, width))
                && first.is_none_or(|(before, _)| row < before)
            {
                first = Some((row, n));
            }
        }
        first.map_or(Ok(()), |(row, n)| Err(self.mismatch(row, n)))
    }

    /// A value does not have the type of its column.
    #[cold]
    fn mismatch(&self, row: usize, column: usize) -> Error {
        let field = self.places.get(column).and_then(|place| self.schema.fields().get(*place));
        let (Some(field), Some(cell)) = (field, self.records.cell(row, column, self.columns.len())) else {
            return changed(&self.name);
        };
        let Some(kind) = self.dialect.kinds.get(field.name()) else { return changed(&self.name) };
        let value = shown(cell.of(self.records.text()));
        let fault = Fault::Mismatch { column: field.name().clone(), value, kind: kind.to_string() };
        fault.error(&self.name, self.records.line_of(row))
    }

    fn batch(&mut self, rows: usize) -> Result<RecordBatch> {
        let mut arrays: Vec<Option<ArrayRef>> = vec![None; self.schema.fields().len()];
        for (column, place) in self.columns.iter_mut().zip(&self.places) {
            let array = column.finish().map_err(|e| changed(&self.name).caused_by(e))?;
            if let Some(slot) = arrays.get_mut(*place) {
                *slot = Some(array);
            }
        }
        let arrays = arrays.into_iter().zip(self.schema.fields()).map(|(array, field)| match array {
            Some(array) if array.data_type() == field.data_type() => Ok(array),
            Some(array) if array.null_count() < rows => Err(changed(&self.name)),
            _ => Ok(new_null_array(field.data_type(), rows)),
        });
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map_err(|e| Error::new(Code::Internal, "the columns do not make a batch").caused_by(e))
    }
}

/// The file was looked through before: what is wrong with it now was not so then.
fn told(name: &str, error: Error) -> Error {
    match error.code() {
        Code::RaggedRow
        | Code::CsvUnterminatedQuote
        | Code::CsvInvalid
        | Code::InvalidText
        | Code::InvalidIdentifier
        | Code::TooManyColumns
        | Code::CellTooLarge
        | Code::BadCompression
        | Code::Truncated
        | Code::DecompressedTooLarge => changed(name).caused_by(error),
        _ => error,
    }
}

#[cold]
fn changed(name: &str) -> Error {
    Error::new(Code::SourceChanged, format!("{name}: the file is not what it was when the load began"))
}
