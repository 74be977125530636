//! What the cells of a file's columns have in common, and where the cell lies that says otherwise.
use super::{fault::shown, records::Records};
use crate::{Result, transform::infer::Guess};

/// Records that are looked at together, and their cells: so many stay in the processor's cache.
const BLOCK_ROWS: usize = 1024;
const BLOCK_CELLS: usize = 1 << 14;

/// How many records of a width are taken at once.
pub(super) fn block_rows(width: usize) -> usize {
    (BLOCK_CELLS / width.max(1)).clamp(1, BLOCK_ROWS)
}

/// What the cells of a column have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub guess: Guess,
    /// The first cell that is not NULL.
    first: Option<Found>,
    /// The cell that made the column text.
    broken: Option<Found>,
}

/// A cell: its line, and its value as it is shown.
#[derive(Clone, Debug)]
struct Found {
    line: u64,
    value: String,
}

impl Found {
    fn at(&self, file: &str) -> String {
        format!("{file}, line {}: `{}`", self.line, self.value)
    }
}

impl Seen {
    /// A column whose type is given: its cells are not looked at.
    pub(super) fn given() -> Self {
        Self { guess: Guess::text(), ..Self::default() }
    }

    /// Where the cell lies that made the column text.
    pub(super) fn place(&self, file: &str) -> Option<String> {
        self.broken.as_ref().map(|found| found.at(file))
    }

    /// Where the first cell lies that is not NULL.
    pub(super) fn first_place(&self, file: &str) -> Option<String> {
        self.first.as_ref().map(|found| found.at(file))
    }

    /// Takes what the cells behind have in common, whose lines are counted from `lines` on.
    pub(super) fn merge(&mut self, other: Self, lines: u64) {
        if self.guess.is_text() {
            return;
        }
        let moved = |found: Option<Found>| found.map(|found| Found { line: found.line + lines, ..found });
        let (first, broken) = (moved(other.first), moved(other.broken));
        if !self.guess.merge(&other.guess) {
            self.broken = broken.or_else(|| first.clone());
        }
        self.first = self.first.take().or(first);
    }

    /// Looks at the column's cells in the records at hand.
    fn look(&mut self, records: &Records, column: usize, width: usize) {
        let Self { guess, first, broken } = self;
        if guess.is_text() {
            return;
        }
        let found = |row: usize, value: &[u8]| Some(Found { line: records.line_of(row), value: shown(value) });
        let mut cells = records.column(column, width).enumerate().filter_map(|(row, cell)| Some((row, cell?)));
        if first.is_none() {
            let Some((row, value)) = cells.next() else { return };
            *first = found(row, value);
            if !guess.observe(value) {
                *broken = found(row, value);
                return;
            }
        }
        if let Some((row, value)) = cells.find(|(_, value)| !guess.observe(value)) {
            *broken = found(row, value);
        }
    }
}

/// What was found in some records that follow each other.
pub(super) struct Look {
    /// Where they begin, and where the next one does.
    pub from: u64,
    pub to: u64,
    /// How many they are.
    pub rows: u64,
    /// Their line breaks.
    pub lines: u64,
    /// The columns of the file.
    pub columns: Vec<Seen>,
}

impl Look {
    /// Looks at all that is left of some records.
    ///
    /// # Errors
    /// The file's, and its faults as a CSV file.
    pub(super) async fn at(mut records: Records, mut columns: Vec<Seen>) -> Result<Self> {
        let (from, line, width) = (records.offset, records.line, columns.len());
        let mut rows = 0;
        while records.next(Some(width), block_rows(width)).await? {
            rows += records.block().rows() as u64;
            columns.iter_mut().enumerate().for_each(|(n, column)| column.look(&records, n, width));
        }
        Ok(Self { from, to: records.offset, rows, lines: records.line - line, columns })
    }
}
