//! Compressed streams: gzip of any number of members, Zstandard of any number of frames. Nothing is held but a window and
//! a chunk, and what grows without measure is refused.
use bytes::{Buf, Bytes};
use futures::{StreamExt, stream::BoxStream};

use crate::{Code, Error, Result, config::Limits};

mod gzip;
mod zstd;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

/// How much is decompressed at once.
const CHUNK: usize = 256 << 10;
/// Up to here no ratio is too large.
const FREE_BYTES: u64 = 64 << 20;
/// Beyond that, the most decompressed bytes for each compressed one.
const MOST_RATIO: u64 = 1000;
/// Members or frames in a row that may hold nothing.
const MOST_EMPTY: u32 = 1000;
/// After so many steps whoever waits for this thread has its turn: a chunk may be made of a great many members.
const STEPS: u32 = 64;

impl Compression {
    /// Tells it from a file's first bytes, and holds the name to it.
    ///
    /// # Errors
    /// [`Code::BadCompression`] if the name promises a compression that the bytes are not in.
    pub fn of(name: &str, head: &[u8]) -> Result<Self> {
        let found = match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        };
        let lower = name.to_ascii_lowercase();
        let promised = match lower.rsplit_once('.').map(|(_, suffix)| suffix) {
            Some("gz") => Self::Gzip,
            Some("zst" | "zstd") => Self::Zstd,
            _ => Self::None,
        };
        if promised != Self::None && promised != found && !head.is_empty() {
            let message = format!("{name}: the file is not compressed as its name says; give it another name");
            return Err(Error::new(Code::BadCompression, message));
        }
        Ok(found)
    }

    /// What the compressed chunks hold, in chunks of some hundred kibibytes.
    ///
    /// Items are [`Code::Truncated`] if the chunks end too early, [`Code::BadCompression`] for data that is not
    /// compressed so, [`Code::DecompressedTooLarge`] for more than the limits permit, and the errors of the chunks.
    pub fn decode(
        self,
        chunks: BoxStream<'static, Result<Bytes>>,
        name: &str,
        limits: &Limits,
    ) -> BoxStream<'static, Result<Bytes>> {
        let decoder: Box<dyn Decoder> = match self {
            Self::None => return chunks,
            Self::Gzip => Box::new(gzip::Gzip::default()),
            Self::Zstd => match zstd::Zstd::new() {
                Ok(decoder) => Box::new(decoder),
                Err(error) => return futures::stream::once(async { Err(error) }).boxed(),
            },
        };
        let decoding = Decoding {
            chunks,
            decoder,
            input: Bytes::new(),
            ended: false,
            name: name.to_owned(),
            taken: 0,
            given: 0,
            empty: 0,
            holds: false,
            most: limits.max_decompressed_bytes,
        };
        futures::stream::try_unfold(decoding, |mut decoding| async {
            Ok(decoding.next().await?.map(|chunk| (chunk, decoding)))
        })
        .boxed()
    }
}

/// One algorithm.
trait Decoder: Send {
    /// Decompresses some of the input to the output's end: how many bytes of it were used. Neither using nor giving any is
    /// only right if the input is empty.
    fn run(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, Bad>;

    /// Whether the data may end here.
    fn is_complete(&self) -> bool;
}

/// Why data cannot be decompressed, in the library's words.
struct Bad(String);

struct Decoding {
    chunks: BoxStream<'static, Result<Bytes>>,
    decoder: Box<dyn Decoder>,
    input: Bytes,
    ended: bool,
    name: String,
    taken: u64,
    given: u64,
    /// Members in a row that held nothing.
    empty: u32,
    /// Whether the member under way holds something.
    holds: bool,
    most: u64,
}

impl Decoding {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let mut output = Vec::with_capacity(CHUNK);
        for step in 1_u32.. {
            if step.is_multiple_of(STEPS) {
                tokio::task::yield_now().await;
            }
            if self.input.is_empty() && !self.ended {
                match self.chunks.next().await {
                    Some(chunk) => self.input = chunk?,
                    None => self.ended = true,
                }
            }
            let before = output.len();
            let used = self.decoder.run(&self.input, &mut output).map_err(|bad| self.bad(bad))?;
            self.count_empty(used, output.len() > before)?;
            self.input.advance(used);
            self.taken += used as u64;
            let idle = used == 0 && output.len() == before;
            if output.len() == output.capacity() || (self.ended && idle) {
                break;
            }
            if idle && !self.input.is_empty() {
                return Err(self.bad(Bad("no progress".into())));
            }
        }
        self.given += output.len() as u64;
        self.check_size()?;
        match output.is_empty() {
            false => Ok(Some(output.into())),
            true if self.decoder.is_complete() => Ok(None),
            true => {
                let message = format!("{}: the compressed data ends too early; the file is not whole", self.name);
                Err(Error::new(Code::Truncated, message))
            }
        }
    }

    /// Refuses too many members in a row that hold nothing: they cost time and no bytes.
    fn count_empty(&mut self, used: usize, grown: bool) -> Result<()> {
        self.holds |= grown;
        if (used > 0 || grown) && self.decoder.is_complete() {
            self.empty = if self.holds { 0 } else { self.empty + 1 };
            self.holds = false;
        }
        match self.empty > MOST_EMPTY {
            true => Err(self.bad(Bad(format!("more than {MOST_EMPTY} members in a row hold nothing")))),
            false => Ok(()),
        }
    }

    fn check_size(&self) -> Result<()> {
        let most = self.most.min(FREE_BYTES.saturating_add(self.taken.saturating_mul(MOST_RATIO)));
        if self.given <= most {
            return Ok(());
        }
        let message = match self.given > self.most {
            true => format!(
                "{}: the data has more than {} bytes, which `limits.max_decompressed_bytes` permits",
                self.name, self.most
            ),
            false => format!("{}: the data is more than {MOST_RATIO} times as large as its compressed form", self.name),
        };
        Err(Error::new(Code::DecompressedTooLarge, message))
    }

    #[cold]
    fn bad(&self, bad: Bad) -> Error {
        let message = format!("{}: the compressed data is broken: {}", self.name, bad.0);
        Error::new(Code::BadCompression, message)
    }
}

#[cfg(test)]
mod tests;
