//! How many values the rows of a page have, by its repetition levels: a row begins where the level is zero.
use super::{FileError, Result, thrift::Walk};

/// Values up to which a page is not looked into.
const FEW: u64 = 1 << 20;

/// Counts the values of the row under way over a column's pages.
pub(super) struct Rows {
    width: u32,
    most: u64,
    /// The values of the row under way, or more than those.
    open: u64,
}

impl Rows {
    /// For a column whose repetition level is at most `max_level`, with rows of at most `most` values.
    pub(super) fn new(max_level: i16, most: u64) -> Self {
        Self { width: 16 - max_level.leading_zeros(), most: most.max(FEW), open: 0 }
    }

    /// Looks at the levels of a page with so many values.
    pub(super) fn page(&mut self, levels: &[u8], values: u64) -> Result<()> {
        if self.open + values <= FEW {
            self.open += values;
            return Ok(());
        }
        let mut left = values;
        let mut walk = Walk::new(levels);
        while left > 0 {
            let head = walk.varint().map_err(|_| broken())?;
            if head & 1 == 0 {
                let run = (head >> 1).min(left);
                let bytes = self.width.div_ceil(8);
                let mut level = 0_u64;
                for _ in 0..bytes {
                    level |= u64::from(walk.byte().map_err(|_| broken())?);
                }
                self.run(run, level == 0)?;
                left -= run;
                if run == 0 {
                    return Err(broken());
                }
            } else {
                left -= self.packed(&mut walk, (head >> 1).saturating_mul(8), left)?;
            }
        }
        Ok(())
    }

    /// Takes a page whose levels are in the outdated encoding `BIT_PACKED`: few values need no look, and files of more have
    /// been written otherwise since 2013.
    pub(super) fn outdated(&mut self, values: u64) -> Result<()> {
        self.open += values;
        if self.open <= FEW {
            return Ok(());
        }
        Err(FileError::CellTooLarge(format!(
            "has lists of more than {FEW} values whose repetition levels are in the outdated encoding BIT_PACKED"
        )))
    }

    fn run(&mut self, length: u64, begins: bool) -> Result<()> {
        match begins {
            true => self.open = 1,
            false => self.open += length,
        }
        if self.open <= self.most {
            return Ok(());
        }
        Err(FileError::CellTooLarge(format!("has a row with lists of more than {} values", self.most)))
    }

    /// Levels packed bit by bit; gives how many there were.
    fn packed(&mut self, walk: &mut Walk<'_>, claimed: u64, left: u64) -> Result<u64> {
        let count = claimed.min(left);
        let (mut word, mut bits) = (0_u64, 0);
        for _ in 0..count {
            while bits < self.width {
                word |= u64::from(walk.byte().map_err(|_| broken())?) << bits;
                bits += 8;
            }
            self.run(1, word & ((1 << self.width) - 1) == 0)?;
            word >>= self.width;
            bits -= self.width;
        }
        if count == 0 { Err(broken()) } else { Ok(count) }
    }
}

fn broken() -> FileError {
    FileError::invalid("is broken: a page ends before its repetition levels")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_encoding_hides_a_long_row() {
        let mut packed = Rows::new(1, 10 * FEW);
        packed.outdated(FEW).expect("few values");
        assert!(matches!(packed.outdated(1), Err(FileError::CellTooLarge(_))));

        // A run of 2 * FEW levels of value 1: one row.
        let (mut rle, run) = (Rows::new(1, 2 * FEW), [0x80, 0x80, 0x80, 0x02, 1]);
        rle.page(&run, 2 * FEW).expect("as many as are permitted");
        assert!(matches!(rle.page(&run, 2 * FEW), Err(FileError::CellTooLarge(_))));
    }
}
