//! Records out of a text that arrives in chunks: a bounded piece of it is held at a time.
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures::StreamExt;

use super::{
    cells::{Block, Cell, MOST_BYTES},
    dialect::Dialect,
    fault::Fault,
    split::{Wanted, split},
    text::{BOM, Broken, Chunks},
};
use crate::{Ctx, Error, Result, Stop};

/// How much text is added at once: so much stays in the processor's cache. Tests take little, so that much ends at a step.
const STEP: usize = if cfg!(test) { 50 } else { 256 << 10 };
/// The most bytes of blank lines that are kept before the first record of a file without header.
const MOST_BLANK: usize = 16 << 20;

/// Reads records block by block.
pub(super) struct Records {
    chunks: Chunks,
    /// What has arrived and is not in `text` yet.
    arrived: Bytes,
    text: Vec<u8>,
    /// Where the next record begins in `text`.
    at: usize,
    ended: bool,
    /// Where it begins in the file's text.
    pub offset: u64,
    /// Its line; the first is 1.
    pub line: u64,
    /// The line of the block's first record.
    first_line: u64,
    /// Records that begin here or later are not read.
    until: u64,
    dialect: Arc<Dialect>,
    block: Block,
    /// Whether bytes that are no text are refused here.
    strict: bool,
    /// Whether the records at hand stay the next ones.
    peeking: bool,
    most_bytes: usize,
    most_fields: usize,
    name: Arc<str>,
    stop: Stop,
}

impl Records {
    /// From the begin of a file's text on.
    pub(super) fn new(chunks: Chunks, name: Arc<str>, dialect: Arc<Dialect>, ctx: &Ctx) -> Self {
        Self {
            chunks,
            arrived: Bytes::new(),
            text: Vec::new(),
            at: 0,
            ended: false,
            offset: 0,
            line: 1,
            first_line: 1,
            until: u64::MAX,
            dialect,
            block: Block::default(),
            strict: true,
            peeking: false,
            // Three times as many must have places.
            most_bytes: ctx.limits.max_cell_bytes.min((MOST_BYTES - STEP - MOST_BLANK) / 3),
            most_fields: ctx.limits.max_columns,
            name,
            stop: ctx.stop.clone(),
        }
    }

    /// The chunks begin at this place of the file's text, where a record begins at this line.
    pub(super) const fn starting_at(mut self, offset: u64, line: u64) -> Self {
        (self.offset, self.line) = (offset, line);
        self
    }

    /// Records that begin at this place or later are not read.
    pub(super) const fn until(mut self, until: u64) -> Self {
        self.until = until;
        self
    }

    /// Fields of more bytes are refused.
    pub(super) fn at_most(mut self, bytes: usize) -> Self {
        self.most_bytes = self.most_bytes.min(bytes);
        self
    }

    /// The text was looked through before: whether its bytes are UTF-8 is not asked again here. The columns of text ask, and
    /// no other type has values of such bytes.
    pub(super) const fn trusted(mut self) -> Self {
        self.strict = false;
        self
    }

    /// Goes to the next records: at most `rows` of them, each of `width` fields, or of any number if that is not known yet.
    /// `false` if there are none.
    ///
    /// # Errors
    /// The file's, and its faults as a CSV file.
    pub(super) async fn next(&mut self, width: Option<usize>, rows: usize) -> Result<bool> {
        loop {
            let left = usize::try_from(self.until.saturating_sub(self.offset)).unwrap_or(usize::MAX);
            if left == 0 {
                return Ok(false);
            }
            let wanted = Wanted {
                from: self.at,
                until: self.at.saturating_add(left),
                ended: self.ended,
                rows,
                width,
                most_fields: self.most_fields,
                most_bytes: self.most_bytes,
            };
            let found = split(&self.text, &self.dialect, wanted, &mut self.block);
            let found = found.map_err(|at| at.fault.error(&self.name, self.line + u64::from(at.lines)))?;
            let progress = found.end > self.at;
            if progress {
                self.take(found.end, found.lines)?;
            }
            if self.block.rows() > 0 {
                return Ok(true);
            }
            if !progress || self.peeking {
                if self.ended {
                    return Ok(false);
                }
                self.check_blank(found.end)?;
                self.fill().await?;
            }
        }
    }

    /// The file's first record, as texts: its header.
    ///
    /// # Errors
    /// As [`Records::next`].
    pub(super) async fn header(&mut self) -> Result<Option<Vec<String>>> {
        if !self.next(None, 1).await? {
            return Ok(None);
        }
        self.check_mark()?;
        let texts = self.block.cells.iter().map(|cell| String::from_utf8_lossy(cell.of(&self.text)).into_owned());
        Ok(Some(texts.collect()))
    }

    /// The number of fields of the file's first record, which stays the next one.
    ///
    /// # Errors
    /// As [`Records::next`].
    pub(super) async fn width(&mut self) -> Result<Option<usize>> {
        self.peeking = true;
        let found = self.next(None, 1).await;
        self.peeking = false;
        if !found? {
            return Ok(None);
        }
        self.check_mark()?;
        Ok(Some(self.block.cells.len()))
    }

    /// Passes by the rest of the line at hand, and so comes to the begin of a record if no quote is open there. `false` if
    /// no line begins in the next bytes.
    ///
    /// # Errors
    /// The file's.
    pub(super) async fn skip_line(&mut self) -> Result<bool> {
        self.fill().await?;
        let Some(end) = memchr::memchr2(b'\n', b'\r', &self.text) else { return Ok(false) };
        if self.text[end] == b'\r' && end + 1 == self.text.len() && !self.ended {
            return Ok(false);
        }
        let end = end + if self.text[end..].starts_with(b"\r\n") { 2 } else { 1 };
        self.at = end;
        self.offset += end as u64;
        Ok(true)
    }

    /// The records at hand.
    pub(super) const fn block(&self) -> &Block {
        &self.block
    }

    /// The text that the block's cells lie in.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The text and NULLs of a column of the block.
    #[inline]
    pub(super) fn column(&self, column: usize, width: usize) -> impl Iterator<Item = Option<&[u8]>> {
        let (text, dialect) = (&self.text[..], &*self.dialect);
        self.block.column(column, width).map(move |cell| {
            let value = cell.of(text);
            (!dialect.is_null(value, cell.is_quoted())).then_some(value)
        })
    }

    /// The line of a record of the block.
    pub(super) fn line_of(&self, row: usize) -> u64 {
        self.first_line + u64::from(self.block.lines.get(row).copied().unwrap_or(0))
    }

    /// The cell of a record of the block.
    pub(super) fn cell(&self, row: usize, column: usize, width: usize) -> Option<Cell> {
        self.block.cells.get(row * width + column).copied()
    }

    /// Takes the records up to a place: they are whole. Whoever peeks takes none, not even blank lines: in a file of one
    /// column they are rows.
    fn take(&mut self, end: usize, lines: u32) -> Result<()> {
        self.check_text(self.at, end)?;
        if self.peeking {
            return Ok(());
        }
        if let Some(quote) = self.dialect.quote {
            self.block.unescape(&mut self.text, quote);
        }
        self.first_line = self.line;
        self.line += u64::from(lines);
        self.offset += (end - self.at) as u64;
        self.at = end;
        Ok(())
    }

    fn check_text(&self, from: usize, to: usize) -> Result<()> {
        let text = &self.text[from..to];
        let fault = match std::str::from_utf8(if self.strict { text } else { b"" }) {
            Err(e) => Some((e.valid_up_to(), Fault::NotText { encoding: "UTF-8" })),
            Ok(_) => memchr::memchr(0, text).map(|at| (at, Fault::Nul)),
        };
        fault.map_or(Ok(()), |(at, fault)| Err(fault.error(&self.name, self.line + line_breaks(&text[..at]))))
    }

    /// Refuses a second mark of the order of bytes before the first record: it would be part of a name or a value.
    fn check_mark(&self) -> Result<()> {
        match self.block.cells.first() {
            Some(cell) if cell.of(&self.text).starts_with(BOM) => {
                Err(Fault::SecondMark.error(&self.name, self.line_of(0)))
            }
            _ => Ok(()),
        }
    }

    /// Refuses too many blank lines to keep: they end here.
    fn check_blank(&self, end: usize) -> Result<()> {
        let bytes = end - self.at;
        match bytes > MOST_BLANK.min(self.most_bytes) {
            true => Err(Fault::BlankBegin { bytes }.error(&self.name, self.line)),
            false => Ok(()),
        }
    }

    /// Adds text: a step, or as much as is there already, so that a long record is not looked through too often.
    async fn fill(&mut self) -> Result<()> {
        self.stop.check()?;
        // Whoever waits for this thread has its turn.
        tokio::task::yield_now().await;
        self.text.drain(..self.at);
        self.at = 0;
        let wanted = self.text.len() + self.text.len().max(STEP).min(self.most_bytes.max(STEP));
        self.text.reserve_exact(wanted - self.text.len());
        while self.text.len() < wanted {
            if self.arrived.is_empty() {
                match self.stop.or(async { Ok(self.chunks.next().await) }).await? {
                    Some(Ok(chunk)) => self.arrived = chunk,
                    Some(Err(broken)) => return Err(self.broken(broken)),
                    None => {
                        self.ended = true;
                        return Ok(());
                    }
                }
            }
            let step = self.arrived.len().min(wanted - self.text.len());
            self.text.extend_from_slice(&self.arrived[..step]);
            self.arrived.advance(step);
        }
        Ok(())
    }

    fn broken(&self, broken: Broken) -> Error {
        match broken {
            Broken::File(error) => error,
            Broken::NotText(encoding) => {
                Fault::NotText { encoding }.error(&self.name, self.line + line_breaks(&self.text[self.at..]))
            }
        }
    }
}

/// The number of line breaks in a text.
fn line_breaks(text: &[u8]) -> u64 {
    let ends = memchr::memchr2_iter(b'\n', b'\r', text);
    ends.filter(|at| text[*at] == b'\n' || text.get(at + 1) != Some(&b'\n')).count() as u64
}
