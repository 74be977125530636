//! Text into records and fields, by RFC 4180 and what its peers make of the rest.
//!
//! Records end with LF, CR LF or CR. A field that begins with a quote ends with the next single one; a doubled quote in it
//! is one quote, and everything else is text. A quote within an unquoted field is text. Blank lines are no records, except
//! in a file of one column, where each is a NULL.
use super::{
    cells::{Block, Cell},
    dialect::Dialect,
    fault::{At, Fault},
    marks::Marks,
};

/// What is asked of [`split`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Where the first record begins.
    pub from: usize,
    /// Records that begin here or later are not wanted.
    pub until: usize,
    /// Whether the text ends where the file does.
    pub ended: bool,
    /// The most records.
    pub rows: usize,
    /// The fields of each record; `None`: as many as the first one has.
    pub width: Option<usize>,
    /// The most fields, where `width` does not say.
    pub most_fields: usize,
    /// The longest field, in bytes.
    pub most_bytes: usize,
}

/// What [`split`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Split {
    /// Where the first record begins that was not taken.
    pub end: usize,
    /// The line breaks before it.
    pub lines: u32,
}

/// What follows a field.
enum Next {
    /// Another field of the record, which begins here.
    Field(usize),
    /// Another record, which begins here.
    Record(usize),
    /// The text ends before the field does; it began here, behind so many line breaks.
    More(usize, u32),
}

/// Takes whole records into the block, which is cleared first.
///
/// # Errors
/// The first record's fault, with the line breaks before it.
pub(super) fn split(text: &[u8], dialect: &Dialect, wanted: Wanted, block: &mut Block) -> Result<Split, At> {
    block.clear();
    let quote = dialect.quote.unwrap_or(b'\n');
    let marks = Marks::new(text, wanted.from, [dialect.delimiter, b'\n', b'\r', quote]);
    Splitter { text, marks, dialect, wanted, lines: 0, block }.records()
}

struct Splitter<'a> {
    text: &'a [u8],
    marks: Marks<'a>,
    dialect: &'a Dialect,
    wanted: Wanted,
    /// Line breaks so far.
    lines: u32,
    block: &'a mut Block,
}

impl Splitter<'_> {
    fn records(mut self) -> Result<Split, At> {
        let mut record = self.wanted.from;
        let until = self.wanted.until.min(self.text.len());
        let most = self.wanted.width.unwrap_or(self.wanted.most_fields);
        while record < until && self.block.rows() < self.wanted.rows {
            let (before, first, doubled) = (self.lines, self.block.cells.len(), self.block.doubled.len());
            let (mut at, mut fields) = (record, 0);
            let next = loop {
                let (cell, next) = self.field(at)?;
                if matches!(next, Next::More(..)) {
                    break next;
                }
                if fields < most {
                    self.block.cells.push(cell);
                }
                fields += 1;
                match next {
                    Next::Field(place) => at = place,
                    end => break end,
                }
            };
            let end = match next {
                Next::Record(end) => end,
                Next::More(start, lines) => {
                    let (open, whole) = (self.text.len() - start, self.text.len() - record);
                    self.block.cells.truncate(first);
                    self.block.doubled.truncate(doubled);
                    self.check_size(open, whole, lines)?;
                    self.lines = before;
                    break;
                }
                Next::Field(_) => break,
            };
            if end - record > self.wanted.most_bytes {
                self.check_sizes(first, end - record, before)?;
            }
            if fields == 1 && self.wanted.width != Some(1) && self.is_blank(first) {
                self.block.cells.truncate(first);
            } else if self.wanted.width.is_some_and(|width| fields != width) {
                return Err(self.fault_at(before, Fault::Ragged { fields, width: most }));
            } else if fields > most {
                return Err(self.fault_at(before, Fault::TooManyColumns { fields, most }));
            } else {
                self.block.lines.push(before);
            }
            record = end;
        }
        Ok(Split { end: record, lines: self.lines })
    }

    /// The field that begins at a place.
    #[inline(always)]
    fn field(&mut self, at: usize) -> Result<(Cell, Next), At> {
        let mut start = at;
        if self.dialect.trim {
            start += self.text[at..].iter().take_while(|byte| self.is_blank_byte(**byte)).count();
        }
        if self.dialect.quote.is_some() && self.text.get(start).copied() == self.dialect.quote {
            return self.quoted(start);
        }
        let mut end = match self.plain_end() {
            Some(end) => end,
            None if self.wanted.ended => self.text.len(),
            None => return Ok((Cell::new(0, 0, false), Next::More(at, self.lines))),
        };
        let next = match self.after(end) {
            Some(next) => next,
            None => return Ok((Cell::new(0, 0, false), Next::More(at, self.lines))),
        };
        if self.dialect.trim {
            end -= self.text[start..end].iter().rev().take_while(|byte| self.is_blank_byte(**byte)).count();
        }
        Ok((Cell::new(start, end, false), next))
    }

    /// Where an unquoted field ends: quotes in it are text.
    #[inline(always)]
    fn plain_end(&mut self) -> Option<usize> {
        loop {
            let place = self.marks.next()?;
            if Some(self.text[place]) != self.dialect.quote {
                return Some(place);
            }
        }
    }

    /// The field whose opening quote stands at a place.
    #[inline(always)]
    fn quoted(&mut self, opening: usize) -> Result<(Cell, Next), At> {
        let before = self.lines;
        let mut doubled = false;
        self.marks.next();
        let close = loop {
            let Some(place) = self.marks.next() else {
                return match self.wanted.ended {
                    true => Err(self.fault_at(before, Fault::Unterminated)),
                    false => Ok((Cell::new(0, 0, true), Next::More(opening, before))),
                };
            };
            let byte = self.text[place];
            if Some(byte) == self.dialect.quote {
                match self.text.get(place + 1) {
                    Some(next) if *next == byte => {
                        self.marks.next();
                        doubled = true;
                    }
                    None if !self.wanted.ended => return Ok((Cell::new(0, 0, true), Next::More(opening, before))),
                    _ => break place,
                }
            } else if byte == b'\n' || (byte == b'\r' && self.text.get(place + 1) != Some(&b'\n')) {
                self.lines += 1;
            }
        };
        let mut end = close + 1;
        if self.dialect.trim {
            end += self.text[end..].iter().take_while(|byte| self.is_blank_byte(**byte)).count();
        }
        if end == self.text.len() && !self.wanted.ended {
            return Ok((Cell::new(0, 0, true), Next::More(opening, before)));
        }
        let parts = end == self.text.len()
            || matches!(self.text[end], b'\n' | b'\r')
            || self.text[end] == self.dialect.delimiter;
        if !parts {
            return Err(self.fault_at(self.lines, Fault::AfterQuote));
        }
        if end < self.text.len() {
            self.marks.next();
        }
        if doubled {
            self.block.doubled.push(self.block.cells.len() as u32);
        }
        let next = self.after(end).unwrap_or(Next::More(opening, before));
        Ok((Cell::new(opening + 1, close, true), next))
    }

    /// What follows a field that ends at a place, which is a delimiter, a line break or the text's end; `None` if that is
    /// not known yet.
    #[inline(always)]
    fn after(&mut self, end: usize) -> Option<Next> {
        match self.text.get(end) {
            Some(byte) if *byte == self.dialect.delimiter => Some(Next::Field(end + 1)),
            Some(b'\n') => {
                self.lines += 1;
                Some(Next::Record(end + 1))
            }
            Some(_) => match self.text.get(end + 1) {
                Some(b'\n') => {
                    self.marks.next();
                    self.lines += 1;
                    Some(Next::Record(end + 2))
                }
                None if !self.wanted.ended => None,
                _ => {
                    self.lines += 1;
                    Some(Next::Record(end + 1))
                }
            },
            None => Some(Next::Record(end)),
        }
    }

    #[inline(always)]
    fn is_blank_byte(&self, byte: u8) -> bool {
        byte == b' ' || (byte == b'\t' && self.dialect.delimiter != b'\t')
    }

    /// Whether the only field of a record is nothing, not even quotes.
    fn is_blank(&self, cell: usize) -> bool {
        self.block.cells.get(cell).is_some_and(|cell| cell.is_absent())
    }

    /// Refuses a field or record that is too large, or has grown so already.
    fn check_size(&self, field: usize, record: usize, lines: u32) -> Result<(), At> {
        let most = self.wanted.most_bytes;
        match (field > most, record > 2 * most) {
            (true, _) => Err(self.fault_at(lines, Fault::CellTooLarge { bytes: field })),
            (_, true) => Err(self.fault_at(lines, Fault::RowTooLarge { bytes: record })),
            _ => Ok(()),
        }
    }

    /// Refuses a record of many bytes if one of its fields is too large.
    #[cold]
    fn check_sizes(&self, first: usize, record: usize, lines: u32) -> Result<(), At> {
        let cells = self.block.cells.get(first..).unwrap_or_default();
        let largest = cells.iter().map(|cell| cell.of(self.text).len()).max().unwrap_or(0);
        self.check_size(largest, record, lines)
    }

    #[cold]
    fn fault_at(&self, lines: u32, fault: Fault) -> At {
        At { lines, fault }
    }
}
