//! The cells of some records: places in the text that holds them.

/// A cell's place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    start: u32,
    /// The lowest bit: whether the cell stood in quotes.
    end: u32,
}

/// Texts of more bytes have no cells: a place and a bit must fit 32 bits.
pub(super) const MOST_BYTES: usize = 1 << 30;

impl Cell {
    #[inline(always)]
    pub(super) const fn new(start: usize, end: usize, quoted: bool) -> Self {
        Self { start: start as u32, end: (end as u32) << 1 | quoted as u32 }
    }

    /// Whether it stood in quotes.
    #[inline(always)]
    pub(super) const fn is_quoted(self) -> bool {
        self.end & 1 == 1
    }

    /// Whether nothing at all stands in its place.
    #[inline(always)]
    pub(super) const fn is_absent(self) -> bool {
        self.start << 1 == self.end
    }

    /// Its text.
    #[inline(always)]
    pub(super) fn of(self, text: &[u8]) -> &[u8] {
        &text[self.start as usize..(self.end >> 1) as usize]
    }

    /// Makes each doubled quote in it one. The text behind the cell is of no more use up to the old end.
    fn unescape(&mut self, text: &mut [u8], quote: u8) {
        let (start, end) = (self.start as usize, (self.end >> 1) as usize);
        let (mut from, mut to) = (start, start);
        while from < end {
            let byte = text[from];
            text[to] = byte;
            to += 1;
            from += if byte == quote { 2 } else { 1 };
        }
        *self = Self::new(start, to, self.is_quoted());
    }
}

/// Whole records of the same number of fields.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// All cells, record by record.
    pub cells: Vec<Cell>,
    /// How many line breaks stand before each record, from the begin of the block.
    pub lines: Vec<u32>,
    /// The cells that have doubled quotes.
    pub doubled: Vec<u32>,
}

impl Block {
    /// The number of records.
    pub(super) fn rows(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn clear(&mut self) {
        self.cells.clear();
        self.lines.clear();
        self.doubled.clear();
    }

    /// Makes doubled quotes single in the text.
    pub(super) fn unescape(&mut self, text: &mut [u8], quote: u8) {
        for place in &self.doubled {
            if let Some(cell) = self.cells.get_mut(*place as usize) {
                cell.unescape(text, quote);
            }
        }
        self.doubled.clear();
    }

    /// The cells of one column of several.
    #[inline]
    pub(super) fn column(&self, column: usize, width: usize) -> impl Iterator<Item = Cell> {
        self.cells.iter().skip(column).step_by(width.max(1)).copied()
    }
}
