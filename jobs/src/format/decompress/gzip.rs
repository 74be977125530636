//! gzip: headers and trailers of the members are read here, the data by flate2.
use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{Bad, Decoder};

/// Decompresses members, one after the other.
pub(super) struct Gzip {
    state: State,
    inflate: Decompress,
    crc: Crc,
    /// A header or trailer that has not arrived whole.
    part: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a member; `first` is before the first one.
    Header {
        first: bool,
    },
    Data,
    Trailer,
}

/// Names and comments in headers may be this long.
const MOST_HEADER: usize = 64 << 10;

impl Default for Gzip {
    fn default() -> Self {
        let state = State::Header { first: true };
        Self { state, inflate: Decompress::new(false), crc: Crc::new(), part: Vec::new() }
    }
}

impl Decoder for Gzip {
    fn run(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, Bad> {
        match self.state {
            State::Header { .. } => self.header(input),
            State::Data => self.data(input, output),
            State::Trailer => self.trailer(input),
        }
    }

    fn is_complete(&self) -> bool {
        self.state == State::Header { first: false } && self.part.is_empty()
    }
}

impl Gzip {
    fn header(&mut self, input: &[u8]) -> Result<usize, Bad> {
        let before = self.part.len();
        self.part.extend_from_slice(&input[..input.len().min(MOST_HEADER + 1 - before.min(MOST_HEADER))]);
        match header_len(&self.part)? {
            Some(length) => {
                self.part.clear();
                self.inflate.reset(false);
                self.crc = Crc::new();
                self.state = State::Data;
                Ok(length - before)
            }
            None if self.part.len() > MOST_HEADER => Err(Bad("a header is too long".into())),
            None => Ok(self.part.len() - before),
        }
    }

    fn data(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, Bad> {
        let (taken, start) = (self.inflate.total_in(), output.len());
        let status =
            self.inflate.decompress_vec(input, output, FlushDecompress::None).map_err(|e| Bad(e.to_string()))?;
        self.crc.update(&output[start..]);
        let used = (self.inflate.total_in() - taken) as usize;
        if status != Status::StreamEnd {
            return Ok(used);
        }
        // The end may be told late, when the data had been used up before: then only the trailer moves on.
        self.state = State::Trailer;
        Ok(used + self.trailer(&input[used..])?)
    }

    /// The checksum and the length modulo 2^32.
    fn trailer(&mut self, input: &[u8]) -> Result<usize, Bad> {
        let used = input.len().min(8 - self.part.len());
        self.part.extend_from_slice(&input[..used]);
        if let [a, b, c, d, e, f, g, h] = self.part[..] {
            let right = u32::from_le_bytes([a, b, c, d]) == self.crc.sum()
                && u32::from_le_bytes([e, f, g, h]) == self.crc.amount();
            if !right {
                return Err(Bad("its checksum is wrong".into()));
            }
            self.part.clear();
            self.state = State::Header { first: false };
        }
        Ok(used)
    }
}

/// The length of the header at the begin of some bytes, or `None` if they end within it.
fn header_len(bytes: &[u8]) -> Result<Option<usize>, Bad> {
    let magic = [0x1f, 0x8b, 8];
    if bytes.iter().zip(magic).any(|(byte, expected)| *byte != expected) {
        return Err(Bad("it is not gzip".into()));
    }
    let Some(flags) = bytes.get(3).copied() else { return Ok(None) };
    let mut at = 10;
    if flags & 4 != 0 {
        let Some(&[low, high]) = bytes.get(at..at + 2) else { return Ok(None) };
        at += 2 + usize::from(u16::from_le_bytes([low, high]));
    }
    // A name, and a comment.
    for flag in [8, 16] {
        if flags & flag != 0 {
            let Some(end) = bytes.get(at..).and_then(|rest| memchr::memchr(0, rest)) else { return Ok(None) };
            at += end + 1;
        }
    }
    at += if flags & 2 != 0 { 2 } else { 0 };
    Ok((bytes.len() >= at).then_some(at))
}
