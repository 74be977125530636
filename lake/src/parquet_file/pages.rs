//! The pages of a column, checked before they are decompressed and again before they are decoded.
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use bytes::Bytes;
use parquet::{
    basic::{Encoding, Type as Physical},
    column::page::{Page, PageIterator, PageMetadata, PageReader},
    errors::{ParquetError, Result as ParquetResult},
};

use super::{
    FileError, Result,
    codec::Codec,
    delta,
    header::{Header, Kind, encoding},
    levels::Rows,
    window::Column,
};

/// The largest page, decompressed.
const PAGE_BYTES: usize = 256 << 20;
/// The longest page header.
const HEADER_BYTES: u64 = 16 << 20;
/// The header bytes that are looked at first.
const FIRST_LOOK: u64 = 16 << 10;

/// What the columns of a row group share: the room for open pages, and what went wrong first.
pub(super) struct Shared {
    room: usize,
    open: AtomicUsize,
    fault: Mutex<Option<FileError>>,
    /// Whether anybody still takes the rows.
    wanted: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Shared {
    /// For a row group of so many compressed bytes.
    pub(super) fn new(compressed: u64, wanted: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        let room = usize::try_from(compressed.saturating_mul(64)).unwrap_or(usize::MAX);
        Self {
            room: room.clamp(PAGE_BYTES, 8 * PAGE_BYTES),
            open: AtomicUsize::new(0),
            fault: Mutex::new(None),
            wanted: Box::new(wanted),
        }
    }

    /// The first fault, once.
    pub(super) fn fault(&self) -> Option<FileError> {
        self.fault.lock().ok().and_then(|mut fault| fault.take())
    }
}

/// What of a column's schema and metadata its pages are held to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claims {
    pub physical: Physical,
    pub length: i32,
    pub max_definition: i16,
    pub max_repetition: i16,
    pub values: i64,
    /// The most bytes of one value.
    pub cell_bytes: usize,
}

impl Claims {
    /// The least that a value takes among plainly encoded ones.
    fn width(&self) -> usize {
        match self.physical {
            Physical::BOOLEAN => usize::MAX,
            Physical::INT32 | Physical::FLOAT | Physical::BYTE_ARRAY => 4,
            Physical::INT64 | Physical::DOUBLE => 8,
            Physical::INT96 => 12,
            Physical::FIXED_LEN_BYTE_ARRAY => usize::try_from(self.length).unwrap_or(usize::MAX),
        }
    }
}

/// Reads the pages of a column chunk in order.
pub(super) struct Pages {
    column: Column,
    codec: Codec,
    claims: Claims,
    shared: Arc<Shared>,
    peeked: Option<Header>,
    dictionary: bool,
    began: bool,
    values: i64,
    rows: Option<Rows>,
    /// The bytes of the dictionary and of the page given last.
    held: (usize, usize),
}

impl Pages {
    pub(super) fn new(column: Column, codec: Codec, claims: Claims, shared: Arc<Shared>) -> Self {
        let per_value = claims.width().clamp(8, 4096);
        let rows = (claims.max_repetition > 0)
            .then(|| Rows::new(claims.max_repetition, (claims.cell_bytes / per_value) as u64));
        Self {
            column,
            codec,
            claims,
            shared,
            peeked: None,
            dictionary: false,
            began: false,
            values: 0,
            rows,
            held: (0, 0),
        }
    }

    /// The next header; `None` at the end.
    fn header(&mut self) -> Result<Option<Header>> {
        if let Some(header) = self.peeked.take() {
            return Ok(Some(header));
        }
        loop {
            if self.column.is_empty() {
                return Ok(None);
            }
            let header = self.read_header()?;
            self.column.take(header.length as u64)?;
            if header.kind == Kind::Index {
                self.column.take(header.compressed as u64)?;
                continue;
            }
            return Ok(Some(header));
        }
    }

    fn read_header(&mut self) -> Result<Header> {
        let mut least = FIRST_LOOK;
        loop {
            let left = self.column.left();
            let here = self.column.look(least)?;
            match Header::read(here) {
                Ok(header) => return Ok(header),
                Err(error) if here.len() as u64 >= left.min(HEADER_BYTES) => return Err(error),
                Err(_) => least = (here.len() as u64 * 4).min(HEADER_BYTES),
            }
        }
    }

    fn page(&mut self) -> Result<Option<Page>> {
        if !(self.shared.wanted)() {
            return Err(FileError::invalid("is not read on"));
        }
        let Some(header) = self.header()? else {
            if self.values != self.claims.values {
                let what =
                    format!("is broken: a column has {} values, its footer says {}", self.values, self.claims.values);
                return Err(FileError::Invalid(what));
            }
            return Ok(None);
        };
        let by_dictionary = header.kind != Kind::Dictionary && header.by_dictionary();
        if by_dictionary && !self.dictionary {
            // A column of NULLs only may do without one; values then find nothing in it.
            (self.dictionary, self.peeked) = (true, Some(header));
            let (buf, encoding) = (Bytes::new(), Encoding::PLAIN);
            return Ok(Some(Page::DictionaryPage { buf, num_values: 0, encoding, is_sorted: false }));
        }
        self.make_room(&header)?;
        let compressed = self.column.take(header.compressed as u64)?;
        check_sum(&header, &compressed)?;
        match header.kind {
            Kind::Dictionary => self.dictionary_page(&header, &compressed).map(Some),
            Kind::DataV2 => self.data_page_v2(&header, &compressed).map(Some),
            _ => self.data_page(&header, &compressed).map(Some),
        }
    }

    /// Counts the page in the place of the one before.
    fn make_room(&mut self, header: &Header) -> Result<()> {
        let needs = header.uncompressed.max(header.compressed);
        let gives = if header.kind == Kind::Dictionary { &mut self.held.0 } else { &mut self.held.1 };
        let open = self.shared.open.fetch_add(needs, Relaxed) + needs - *gives;
        self.shared.open.fetch_sub(*gives, Relaxed);
        *gives = needs;
        if needs > PAGE_BYTES {
            return Err(FileError::TooLarge(format!(
                "has a page that claims {needs} bytes; at most {PAGE_BYTES} are read"
            )));
        }
        if open > self.shared.room {
            return Err(FileError::TooLarge(format!(
                "has open pages of {open} bytes in one row group; at most {} are held",
                self.shared.room
            )));
        }
        Ok(())
    }

    /// The body of a page whose first `plain` bytes are not compressed.
    fn body(&mut self, header: &Header, compressed: &Bytes, plain: usize) -> Result<Bytes> {
        if matches!(self.codec, Codec::None) || header.plain {
            return Ok(compressed.clone());
        }
        if plain > compressed.len() || plain > header.uncompressed {
            return Err(FileError::invalid("is broken: a page is shorter than its levels"));
        }
        let size = header.uncompressed - plain;
        let mut body = Vec::new();
        body.extend_from_slice(&compressed[..plain]);
        if size > 0 {
            self.codec.decompress(&compressed[plain..], size, &mut body)?;
        }
        Ok(body.into())
    }

    fn dictionary_page(&mut self, header: &Header, compressed: &Bytes) -> Result<Page> {
        if self.dictionary || self.began {
            return Err(FileError::invalid("is broken: a column has a dictionary behind its values, or two of them"));
        }
        self.dictionary = true;
        let buf = self.body(header, compressed, 0)?;
        if (header.values as usize).saturating_mul(self.claims.width()) > buf.len() {
            let what = format!("is broken: a dictionary of {} bytes claims {} values", buf.len(), header.values);
            return Err(FileError::Invalid(what));
        }
        Ok(Page::DictionaryPage {
            buf,
            num_values: header.values,
            encoding: encoding(header.encoding)?,
            is_sorted: false,
        })
    }

    fn data_page(&mut self, header: &Header, compressed: &Bytes) -> Result<Page> {
        let buf = self.body(header, compressed, 0)?;
        let (repetition, definition) = (self.claims.max_repetition, self.claims.max_definition);
        let repetition = levels_end(&buf, 0, repetition, header.repetition, header.values)?;
        let values = levels_end(&buf, repetition, definition, header.definition, header.values)?;
        if self.claims.max_repetition > 0 {
            let rle = header.repetition == 3;
            self.count_rows(if rle { buf.get(4..repetition) } else { None }, header)?;
        }
        self.check_values(&buf[values..], header, header.values)?;
        Ok(Page::DataPage {
            buf,
            num_values: header.values,
            encoding: encoding(header.encoding)?,
            def_level_encoding: encoding(header.definition)?,
            rep_level_encoding: encoding(header.repetition)?,
            statistics: None,
        })
    }

    fn data_page_v2(&mut self, header: &Header, compressed: &Bytes) -> Result<Page> {
        let (repetition, definition) = (header.repetition_bytes as usize, header.definition_bytes as usize);
        let levels = repetition + definition;
        let buf = self.body(header, compressed, levels)?;
        if levels > buf.len() || header.nulls > header.values {
            return Err(FileError::invalid("is broken: a page is shorter than its levels"));
        }
        if self.claims.max_repetition > 0 {
            self.count_rows(buf.get(..repetition), header)?;
        }
        self.check_values(&buf[levels..], header, header.values - header.nulls)?;
        Ok(Page::DataPageV2 {
            buf,
            num_values: header.values,
            encoding: encoding(header.encoding)?,
            num_nulls: header.nulls,
            num_rows: header.rows,
            def_levels_byte_len: header.definition_bytes,
            rep_levels_byte_len: header.repetition_bytes,
            is_compressed: false,
            statistics: None,
        })
    }

    /// Counts the values of the page's rows, by its levels if these are runs.
    fn count_rows(&mut self, runs: Option<&[u8]>, header: &Header) -> Result<()> {
        let values = u64::from(header.values);
        match (&mut self.rows, runs) {
            (Some(rows), Some(runs)) => rows.page(runs, values),
            (Some(rows), None) => rows.outdated(values),
            (None, _) => Ok(()),
        }
    }

    /// Counts the values, and checks those encodings by whose own claims the decoder would allocate.
    fn check_values(&mut self, values: &[u8], header: &Header, most: u32) -> Result<()> {
        self.began = true;
        self.values += i64::from(header.values);
        if values.is_empty() {
            return Ok(());
        }
        match encoding(header.encoding)? {
            Encoding::DELTA_BINARY_PACKED | Encoding::DELTA_LENGTH_BYTE_ARRAY => delta::check(values, most),
            Encoding::DELTA_BYTE_ARRAY => {
                let (total, longest) = delta::byte_arrays(values, most)?;
                if longest > self.claims.cell_bytes as u64 {
                    return Err(FileError::CellTooLarge(format!("has a value of {longest} bytes")));
                }
                if total > PAGE_BYTES as u64 {
                    return Err(FileError::TooLarge(format!("has a page whose values become {total} bytes")));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn told<T>(&self, result: Result<T>) -> ParquetResult<T> {
        result.map_err(|error| {
            let said = ParquetError::General(error.to_string());
            if let Ok(mut fault) = self.shared.fault.lock() {
                fault.get_or_insert(error);
            }
            said
        })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(self.held.0 + self.held.1, Relaxed);
    }
}

/// Where the levels end that begin at `from`; at `from` if the column has none.
fn levels_end(buf: &Bytes, from: usize, max_level: i16, coded: i64, values: u32) -> Result<usize> {
    if max_level == 0 {
        return Ok(from);
    }
    let length = match coded {
        3 => {
            buf.get(from..).and_then(|rest| rest.first_chunk::<4>()).map(|head| 4 + u32::from_le_bytes(*head) as usize)
        }
        4 => Some((values as usize * (16 - max_level.leading_zeros()) as usize).div_ceil(8)),
        _ => None,
    };
    match length.and_then(|length| from.checked_add(length)) {
        Some(end) if end <= buf.len() => Ok(end),
        _ => Err(FileError::invalid("is broken: a page is shorter than its levels")),
    }
}

fn check_sum(header: &Header, bytes: &Bytes) -> Result<()> {
    let Some(expected) = header.crc else { return Ok(()) };
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    match crc.sum() == expected {
        true => Ok(()),
        false => Err(FileError::invalid("is damaged: the checksum of a page does not match")),
    }
}

impl Iterator for Pages {
    type Item = ParquetResult<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> ParquetResult<Option<Page>> {
        let page = self.page();
        self.told(page)
    }

    fn peek_next_page(&mut self) -> ParquetResult<Option<PageMetadata>> {
        let header = self.header();
        let header = self.told(header)?;
        self.peeked = header;
        Ok(header.map(|header| PageMetadata {
            num_rows: (header.kind == Kind::DataV2).then_some(header.rows as usize),
            num_levels: (header.kind != Kind::Dictionary).then_some(header.values as usize),
            is_dict: header.kind == Kind::Dictionary,
        }))
    }

    fn skip_next_page(&mut self) -> ParquetResult<()> {
        self.get_next_page().map(|_| ())
    }
}

/// One column of one row group, as the decoder wants it.
pub(super) struct OneChunk(pub Option<Box<dyn PageReader>>);

impl Iterator for OneChunk {
    type Item = ParquetResult<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for OneChunk {}
