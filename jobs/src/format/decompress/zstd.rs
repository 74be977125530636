//! Zstandard, by the reference library.
use zstd::stream::raw::{DParameter, Decoder as Raw, InBuffer, Operation, OutBuffer};

use super::{Bad, Decoder};
use crate::{Code, Error, Result};

/// The largest window, as a power of two: 128 MiB, as with the command line tool.
const WINDOW_LOG: u32 = 27;

/// Decompresses frames, one after the other.
pub(super) struct Zstd {
    raw: Raw<'static>,
    /// Whether a frame has just ended.
    at_end: bool,
}

impl Zstd {
    pub(super) fn new() -> Result<Self> {
        let failed = |e: std::io::Error| Error::new(Code::Internal, "zstd cannot be started").caused_by(e);
        let mut raw = Raw::new().map_err(failed)?;
        raw.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(failed)?;
        Ok(Self { raw, at_end: false })
    }
}

impl Decoder for Zstd {
    fn run(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, Bad> {
        let start = output.len();
        if input.is_empty() && self.at_end {
            return Ok(0);
        }
        let mut from = InBuffer::around(input);
        let mut to = OutBuffer::around_pos(output, start);
        let left = self.raw.run(&mut from, &mut to).map_err(|e| Bad(told(&e.to_string())))?;
        let (used, written) = (from.pos(), to.pos() - start);
        if used > 0 || written > 0 {
            self.at_end = left == 0;
        }
        Ok(used)
    }

    fn is_complete(&self) -> bool {
        self.at_end
    }
}

/// The library's words, or better ones for what people can change.
fn told(words: &str) -> String {
    match words.contains("too much memory") {
        true => "its window is larger than 128 MiB; compress it without `--long` or `--ultra`".into(),
        false => words.to_owned(),
    }
}
