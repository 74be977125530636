//! The body of an answer as it is meant: decompressed, within bounds that hold while it comes in.
use std::io::{self, Write};

use flate2::write::{MultiGzDecoder, ZlibDecoder};

use crate::{Code, Error, Result, Retry};

/// How many times as large as the bytes on the wire a body may be: more than honest text can be compressed.
const MOST_RATIO: u64 = 1000;
/// What any answer may decompress to.
const ANY: u64 = 1 << 20;
/// The largest window of zstd in HTTP (RFC 9659), as a power of 2.
const ZSTD_WINDOW: u32 = 23;

/// What the client takes.
pub(super) const ACCEPTED: &str = "gzip, br, zstd";

/// Takes the bytes as they come and keeps what they decompress to.
pub(super) struct Body {
    decoder: Decoder,
    wire: u64,
    max: usize,
}

enum Decoder {
    Plain(Capped),
    Gzip(MultiGzDecoder<Capped>),
    Deflate(ZlibDecoder<Capped>),
    Brotli(Box<brotli::DecompressorWriter<Capped>>),
    Zstd(zstd::stream::write::Decoder<'static, Capped>),
}

/// What was decompressed so far.
#[derive(Default)]
struct Capped {
    bytes: Vec<u8>,
    max: usize,
    over: bool,
}

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.max {
            self.over = true;
            let rest = self.max - self.bytes.len();
            self.bytes.extend_from_slice(bytes.get(..rest).unwrap_or_default());
            return Err(io::Error::other("too large"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Body {
    /// A body with this `Content-Encoding`, of at most `max` bytes.
    pub(super) fn new(encoding: Option<&str>, max: usize) -> Result<Self> {
        let to = Capped { max, ..Capped::default() };
        let decoder = match encoding.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Decoder::Plain(to),
            "gzip" | "x-gzip" => Decoder::Gzip(MultiGzDecoder::new(to)),
            "deflate" => Decoder::Deflate(ZlibDecoder::new(to)),
            "br" => Decoder::Brotli(Box::new(brotli::DecompressorWriter::new(to, 32 << 10))),
            "zstd" => {
                let broken = |e: io::Error| Error::new(Code::Internal, "zstd cannot be set up").caused_by(e);
                let mut decoder = zstd::stream::write::Decoder::new(to).map_err(broken)?;
                decoder.window_log_max(ZSTD_WINDOW).map_err(broken)?;
                Decoder::Zstd(decoder)
            }
            _ => {
                let message = format!("the site compresses in a way that was not asked for; it was {ACCEPTED}");
                return Err(Error::new(Code::BadCompression, message));
            }
        };
        Ok(Self { decoder, wire: 0, max })
    }

    /// Takes some bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.wire += bytes.len() as u64;
        let written = match &mut self.decoder {
            Decoder::Plain(to) => to.write_all(bytes),
            Decoder::Gzip(to) => to.write_all(bytes),
            Decoder::Deflate(to) => to.write_all(bytes),
            Decoder::Brotli(to) => to.write_all(bytes),
            Decoder::Zstd(to) => to.write_all(bytes),
        };
        let (length, over) = (self.sink().bytes.len() as u64, self.sink().over);
        if over || length > (self.wire * MOST_RATIO).max(ANY) {
            return Err(self.too_large());
        }
        written.map_err(|e| Error::new(Code::BadCompression, "the page is not compressed as it says").caused_by(e))
    }

    /// The whole body.
    pub(super) fn end(mut self) -> Result<Vec<u8>> {
        let ended = match &mut self.decoder {
            _ if self.wire == 0 => Ok(()),
            Decoder::Plain(_) => Ok(()),
            Decoder::Gzip(to) => to.try_finish(),
            Decoder::Deflate(to) => to.try_finish(),
            Decoder::Brotli(to) => to.close(),
            Decoder::Zstd(to) => to.do_finish(),
        };
        if self.sink().over {
            return Err(self.too_large());
        }
        ended.map_err(|e| {
            let error = Error::new(Code::Truncated, "the page's compressed bytes end too early");
            error.with_retry(Retry::Backoff).caused_by(e)
        })?;
        Ok(std::mem::take(&mut self.sink().bytes))
    }

    /// Whether there is more than may be.
    pub(super) fn is_full(&mut self) -> bool {
        self.sink().over
    }

    /// What there is up to the bound.
    pub(super) fn cut(mut self) -> Vec<u8> {
        std::mem::take(&mut self.sink().bytes)
    }

    fn sink(&mut self) -> &mut Capped {
        match &mut self.decoder {
            Decoder::Plain(to) => to,
            Decoder::Gzip(to) => to.get_mut(),
            Decoder::Deflate(to) => to.get_mut(),
            Decoder::Brotli(to) => to.get_mut(),
            Decoder::Zstd(to) => to.get_mut(),
        }
    }

    fn too_large(&self) -> Error {
        let max = self.max;
        match self.decoder {
            Decoder::Plain(_) => too_large(max),
            _ => Error::new(
                Code::DecompressedTooLarge,
                format!(
                    "the page decompresses to more than {max} bytes (`max_bytes`), or to more than {MOST_RATIO} times its size"
                ),
            ),
        }
    }
}

/// What is said of a body that is too large.
pub(super) fn too_large(max: usize) -> Error {
    Error::new(Code::ResponseTooLarge, format!("the page has more than {max} bytes; raise `max_bytes` if it is meant"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(encoding: &str, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match encoding {
            "gzip" => {
                let mut to = flate2::write::GzEncoder::new(&mut out, flate2::Compression::best());
                to.write_all(text).and_then(|()| to.try_finish()).expect("gzip");
            }
            "deflate" => {
                let mut to = flate2::write::ZlibEncoder::new(&mut out, flate2::Compression::best());
                to.write_all(text).and_then(|()| to.try_finish()).expect("deflate");
            }
            "br" => {
                let mut to = brotli::CompressorWriter::new(&mut out, 4096, 9, 22);
                to.write_all(text).expect("brotli");
                drop(to);
            }
            "zstd" => out = zstd::encode_all(text, 19).expect("zstd"),
            _ => out = text.to_vec(),
        }
        out
    }

    fn read(encoding: &str, bytes: &[u8], max: usize) -> Result<Vec<u8>, Code> {
        let mut body = Body::new(Some(encoding), max).map_err(|e| e.code())?;
        bytes.chunks(1000).try_for_each(|chunk| body.take(chunk)).map_err(|e| e.code())?;
        body.end().map_err(|e| e.code())
    }

    const ENCODINGS: [&str; 5] = ["identity", "gzip", "deflate", "br", "zstd"];

    #[test]
    fn every_encoding_is_read() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(|n| format!("{n} ").into_bytes()).collect();
        for encoding in ENCODINGS {
            assert_eq!(read(encoding, &packed(encoding, &text), 1 << 20).as_deref(), Ok(&*text), "{encoding}");
            assert_eq!(read(encoding, b"", 10).as_deref(), Ok(&b""[..]), "{encoding}");
        }
        assert_eq!(read("x-unknown", b"a", 10), Err(Code::BadCompression));
        assert_eq!(read("gzip, br", b"a", 10), Err(Code::BadCompression));
    }

    #[test]
    fn what_is_cut_or_no_compression_is_told() {
        let text: Vec<u8> = (0..9000_u32).flat_map(|n| format!("{n} ").into_bytes()).collect();
        for encoding in &ENCODINGS[1..] {
            let packed = packed(encoding, &text);
            assert_eq!(read(encoding, &packed[..packed.len() / 2], 1 << 20), Err(Code::Truncated), "{encoding}");
            let junk = read(encoding, &text[..900], 1 << 20);
            assert!(matches!(junk, Err(Code::BadCompression | Code::Truncated)), "{encoding} {junk:?}");
        }
    }

    #[test]
    fn bombs_are_cut_at_the_cap_and_by_their_ratio() {
        let zeros = vec![0; 20 << 20];
        for encoding in &ENCODINGS[1..] {
            let bomb = packed(encoding, &zeros);
            assert!(bomb.len() < zeros.len() / 500, "{encoding} {}", bomb.len());
            assert_eq!(read(encoding, &bomb, 1 << 20), Err(Code::DecompressedTooLarge), "{encoding}");
        }
        assert_eq!(read("br", &packed("br", &zeros), 64 << 20), Err(Code::DecompressedTooLarge), "by its ratio");
        assert_eq!(read("identity", &zeros, 1 << 20), Err(Code::ResponseTooLarge));
        let exact = vec![7; 1000];
        assert_eq!(read("identity", &exact, 1000).map(|body| body.len()), Ok(1000));
        assert_eq!(read("gzip", &packed("gzip", &exact), 999), Err(Code::DecompressedTooLarge));
    }
}
