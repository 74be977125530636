//! Rows of `COPY … (FORMAT binary)` into record batches.
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};

use super::{
    columns::{Column, Fault},
    fault,
    types::Carried,
};
use crate::{
    Code, Error, Result,
    config::Limits,
    source::database::{BATCH_BYTES, BATCH_ROWS},
};

/// The rows that a column first makes room for, over all columns.
const FIRST_CELLS: usize = 1 << 17;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// The flag of the old format with an object id before each row.
const HAS_OIDS: u32 = 1 << 16;

/// The columns of a result, as they are sent and as they are kept.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub schema: SchemaRef,
    pub kinds: Arc<[Carried]>,
}

impl Layout {
    pub(super) fn new(columns: &[(String, Carried)]) -> Self {
        let fields: Vec<_> = columns.iter().map(|(name, kind)| kind.field(name)).collect();
        Self { schema: Arc::new(Schema::new(fields)), kinds: columns.iter().map(|(_, kind)| kind.clone()).collect() }
    }
}

/// Takes the messages of one COPY in their order and gives batches.
pub(super) struct Decoder {
    layout: Layout,
    columns: Vec<Column>,
    max_cell_bytes: usize,
    /// Rows and bytes of the batch under way.
    rows: usize,
    bytes: usize,
    /// Rows of the batches before it.
    done: u64,
    begun: bool,
    ended: bool,
}

impl Decoder {
    pub(super) fn new(layout: Layout, limits: &Limits) -> Self {
        let rows = (FIRST_CELLS / layout.kinds.len().max(1)).clamp(1, BATCH_ROWS);
        let columns = layout.kinds.iter().map(|kind| Column::new(kind, rows)).collect();
        let max_cell_bytes = limits.max_cell_bytes;
        Self { layout, columns, max_cell_bytes, rows: 0, bytes: 0, done: 0, begun: false, ended: false }
    }

    /// Takes one CopyData message, which is one row; the first has the header before it, and the last is the trailer.
    ///
    /// # Errors
    /// [`Code::UnrepresentableValue`], [`Code::DecimalOverflow`] or [`Code::CellTooLarge`] with row and column;
    /// [`Code::SourceInterrupted`] for bytes that are no COPY.
    #[inline]
    pub(super) fn message(&mut self, message: &[u8]) -> Result<()> {
        if self.begun { self.row(message) } else { self.first(message) }
    }

    fn first(&mut self, message: &[u8]) -> Result<()> {
        self.begun = true;
        let body = message.strip_prefix(SIGNATURE.as_slice()).and_then(|rest| {
            let (flags, rest) = rest.split_first_chunk::<4>()?;
            let (extension, rest) = rest.split_first_chunk::<4>()?;
            let skip = usize::try_from(i32::from_be_bytes(*extension)).ok()?;
            (u32::from_be_bytes(*flags) & HAS_OIDS == 0).then_some(())?;
            rest.get(skip..)
        });
        match body.ok_or_else(nonsense)? {
            [] => Ok(()),
            row => self.row(row),
        }
    }

    #[inline]
    fn row(&mut self, message: &[u8]) -> Result<()> {
        let (count, mut rest) = message.split_first_chunk::<2>().ok_or_else(nonsense)?;
        let count = i16::from_be_bytes(*count);
        if count == -1 && rest.is_empty() && !self.ended {
            self.ended = true;
            return Ok(());
        }
        if usize::try_from(count) != Ok(self.columns.len()) || self.ended {
            return Err(nonsense());
        }
        let mut bytes = message.len();
        for (index, column) in self.columns.iter_mut().enumerate() {
            let (length, after) = rest.split_first_chunk::<4>().ok_or_else(nonsense)?;
            rest = after;
            let length = i32::from_be_bytes(*length);
            if length == -1 {
                column.push_null();
                continue;
            }
            let cell = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
            let (cell, after) = cell.ok_or_else(nonsense)?;
            rest = after;
            let size = column.size(cell);
            bytes += size - cell.len();
            if bytes > 2 * self.max_cell_bytes {
                return Err(self.too_large(None, bytes));
            }
            let pushed = if size > self.max_cell_bytes { Err(Fault::TooLarge(size)) } else { column.push(cell) };
            if let Err(fault) = pushed {
                return Err(self.refuse(index, self.rows, fault));
            }
        }
        if !rest.is_empty() {
            return Err(nonsense());
        }
        self.rows += 1;
        self.bytes += bytes;
        Ok(())
    }

    /// A row of `bytes` bytes is more than is taken at once; `column` is the one to blame, where there is one.
    pub(super) fn too_large(&self, column: Option<(usize, usize)>, bytes: usize) -> Error {
        match column {
            Some((index, length)) => self.refuse(index, self.rows, Fault::TooLarge(length)),
            None => Error::new(
                Code::CellTooLarge,
                format!(
                    "row {} has {bytes} bytes, more than twice `limits.max_cell_bytes`; read fewer of its columns",
                    self.number(self.rows)
                ),
            ),
        }
    }

    /// The longest cell that is taken, in bytes.
    pub(super) const fn max_cell_bytes(&self) -> usize {
        self.max_cell_bytes
    }

    /// The number of columns.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// The bytes before the row in the next message.
    pub(super) const fn header_bytes(&self) -> usize {
        if self.begun { 0 } else { SIGNATURE.len() + 8 }
    }

    /// Whether the batch under way is large enough.
    #[inline]
    pub(super) const fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Whether the end of all rows was seen.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// The rows taken since the last batch, if there are any.
    ///
    /// # Errors
    /// [`Code::UnrepresentableValue`] for text that is not UTF-8.
    pub(super) fn take(&mut self) -> Result<Option<RecordBatch>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (index, column) in self.columns.iter_mut().enumerate() {
            arrays.push(column.finish().map_err(|e| {
                let name = self.layout.schema.field(index).name();
                let rows = format!("rows {} to {}", self.done + 1, self.done + self.rows as u64);
                Error::new(
                    Code::UnrepresentableValue,
                    format!("column `{name}` holds text that is not UTF-8 in {rows}"),
                )
                .caused_by(e)
            })?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(self.layout.schema.clone(), arrays, &options)
            .map_err(|e| Error::new(Code::Internal, "the columns do not make a batch").caused_by(e))?;
        self.done += self.rows as u64;
        (self.rows, self.bytes) = (0, 0);
        Ok(Some(batch))
    }

    fn number(&self, row: usize) -> u64 {
        self.done + row as u64 + 1
    }

    #[cold]
    fn refuse(&self, column: usize, row: usize, fault: Fault) -> Error {
        let name = self.layout.schema.field(column).name();
        Error::new(fault.code(), format!("row {}, column `{name}`: the value {fault}", self.number(row)))
    }
}

/// The server sent what no COPY is made of.
#[cold]
fn nonsense() -> Error {
    fault::interrupted().caused_by("the bytes are not those of a binary COPY")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder() -> Decoder {
        Decoder::new(Layout::new(&[("n".into(), Carried::Int4), ("t".into(), Carried::Text)]), &Limits::default())
    }

    fn header() -> Vec<u8> {
        [SIGNATURE.as_slice(), &[0; 8]].concat()
    }

    fn row(number: i32, text: Option<&[u8]>) -> Vec<u8> {
        let mut row = [&2_i16.to_be_bytes()[..], &4_i32.to_be_bytes(), &number.to_be_bytes()].concat();
        match text {
            Some(text) => {
                row.extend((text.len() as i32).to_be_bytes());
                row.extend(text);
            }
            None => row.extend((-1_i32).to_be_bytes()),
        }
        row
    }

    #[test]
    fn rows_become_a_batch() {
        let mut decoder = decoder();
        decoder.message(&[header(), row(7, Some(b"seven"))].concat()).expect("header and row");
        decoder.message(&row(-1, None)).expect("row");
        assert!(!decoder.has_ended());
        decoder.message(&(-1_i16).to_be_bytes()).expect("trailer");
        assert!(decoder.has_ended());
        let batch = decoder.take().expect("valid").expect("rows");
        assert_eq!(batch.num_rows(), 2);
        assert_eq!(format!("{:?}", batch.column(1)), "StringArray\n[\n  \"seven\",\n  null,\n]");
        assert!(decoder.take().expect("valid").is_none());
    }

    #[test]
    fn bytes_that_are_no_copy_are_refused() {
        let good = row(7, Some(b"seven"));
        let minus_two = [&good[..10], &(-2_i32).to_be_bytes()].concat();
        for bad in
            [&[][..], &[0], &minus_two, &good[..7], &good[..good.len() - 1], &[&good[..], &[0]].concat(), &[0, 3]]
        {
            let mut decoder = decoder();
            decoder.message(&header()).expect("header");
            assert_eq!(decoder.message(bad).expect_err("bad").code(), Code::SourceInterrupted, "{bad:?}");
        }
        assert_eq!(decoder().message(b"PGCOPY\n\xff\r\n").expect_err("short").code(), Code::SourceInterrupted);
        let oids = [SIGNATURE.as_slice(), &[0, 1, 0, 0, 0, 0, 0, 0]].concat();
        assert_eq!(decoder().message(&oids).expect_err("oids").code(), Code::SourceInterrupted);
    }

    /// A row of one cell: an array of so many NULLs.
    fn nulls(count: i32) -> Vec<u8> {
        let cell: Vec<u8> = [1, 1, 1700, count, 1].into_iter().flat_map(i32::to_be_bytes).collect();
        let cell = [cell, vec![0xff; 4 * count as usize]].concat();
        [&1_i16.to_be_bytes()[..], &(cell.len() as i32).to_be_bytes(), &cell].concat()
    }

    #[test]
    fn arrays_of_nulls_count_as_what_they_become() {
        let lists = || {
            let kind = Carried::List(Box::new(Carried::Decimal { precision: 9, scale: 2 }));
            Decoder::new(Layout::new(&[("l".into(), kind)]), &Limits { max_cell_bytes: 10 << 20, ..Limits::default() })
        };
        let mut decoder = lists();
        decoder.message(&[header(), nulls(300_000)].concat()).expect("4.8 MB");
        assert!(!decoder.is_full());
        decoder.message(&nulls(300_000)).expect("4.8 MB");
        assert!(decoder.is_full(), "9.6 MB, of which 2.4 were sent");
        let error = lists().message(&[header(), nulls(1_000_000)].concat()).expect_err("16 MB");
        assert_eq!(error.code(), Code::CellTooLarge);
        assert!(error.message().starts_with("row 1, column `l`: the value has 16000000 bytes"), "{error}");
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_with_its_column() {
        let mut decoder = decoder();
        decoder.message(&[header(), row(7, Some(b"\xff"))].concat()).expect("row");
        let error = decoder.take().expect_err("not UTF-8");
        assert_eq!(error.code(), Code::UnrepresentableValue);
        assert!(error.message().contains("column `t`"), "{error}");
    }
}
