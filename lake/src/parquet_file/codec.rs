//! Pages are decompressed here and not by the Parquet crate: its gzip and brotli write on whatever the size was said to be.
use std::io::Read;

use parquet::basic::Compression;

use super::{FileError, Result};

/// Bytes that a run of LZ4 or Snappy can make of one byte.
const BEST_RATIO: usize = 256;

/// Decompresses the pages of one column.
pub(super) enum Codec {
    None,
    Snappy,
    Gzip,
    Brotli,
    Lz4Hadoop,
    Lz4,
    Zstd(zstd::bulk::Decompressor<'static>),
}

impl Codec {
    pub(super) fn new(compression: Compression) -> Result<Self> {
        Ok(match compression {
            Compression::UNCOMPRESSED => Self::None,
            Compression::SNAPPY => Self::Snappy,
            Compression::GZIP(_) => Self::Gzip,
            Compression::BROTLI(_) => Self::Brotli,
            Compression::LZ4 => Self::Lz4Hadoop,
            Compression::LZ4_RAW => Self::Lz4,
            Compression::ZSTD(_) => Self::Zstd(
                zstd::bulk::Decompressor::new()
                    .map_err(|e| FileError::invalid(format!("cannot be decompressed: {e}")))?,
            ),
            Compression::LZO => {
                return Err(FileError::invalid(
                    "is compressed with LZO, which is not supported; write it with zstd or snappy",
                ));
            }
        })
    }

    /// Appends exactly `size` bytes to `out`, or fails.
    pub(super) fn decompress(&mut self, input: &[u8], size: usize, out: &mut Vec<u8>) -> Result<()> {
        let begin = out.len();
        let done = match self {
            Self::None => {
                out.extend_from_slice(input);
                Ok(())
            }
            Self::Snappy => snappy(input, size, out),
            Self::Gzip => bounded(flate2::read::MultiGzDecoder::new(input), size, out),
            Self::Brotli => bounded(brotli::Decompressor::new(input, 4096), size, out),
            Self::Lz4 => lz4(input, size, out),
            Self::Lz4Hadoop => lz4_hadoop(input, size, out),
            Self::Zstd(decompressor) => zstd(decompressor, input, size, out),
        };
        match done {
            Ok(()) if out.len() - begin == size => Ok(()),
            Ok(()) => Err(FileError::invalid(format!("is broken: a page of {size} bytes has another size"))),
            Err(cause) => Err(FileError::invalid(format!("is broken: a page cannot be decompressed: {cause}"))),
        }
    }
}

type Done = std::result::Result<(), String>;
type Way = fn(&[u8], usize, &mut Vec<u8>) -> Done;

/// Reads on only as far as one byte beyond the size.
fn bounded(decoder: impl Read, size: usize, out: &mut Vec<u8>) -> Done {
    let read = decoder.take(size as u64 + 1).read_to_end(out);
    read.map(|_| ()).map_err(|e| e.to_string())
}

fn snappy(input: &[u8], size: usize, out: &mut Vec<u8>) -> Done {
    let own = snap::raw::decompress_len(input).map_err(|e| e.to_string())?;
    if own != size || size > input.len().saturating_mul(BEST_RATIO) {
        return Err(format!("{size} bytes are claimed"));
    }
    let begin = out.len();
    out.resize(begin + size, 0);
    snap::raw::Decoder::new().decompress(input, &mut out[begin..]).map(|_| ()).map_err(|e| e.to_string())
}

fn lz4(input: &[u8], size: usize, out: &mut Vec<u8>) -> Done {
    if size > input.len().saturating_mul(BEST_RATIO) {
        return Err(format!("{size} bytes are claimed"));
    }
    let begin = out.len();
    out.resize(begin + size, 0);
    let written = lz4_flex::block::decompress_into(input, &mut out[begin..]).map_err(|e| e.to_string())?;
    out.truncate(begin + written);
    Ok(())
}

/// Hadoop's framing of LZ4, else LZ4's own frames, else none: writers of the deprecated codec did all three.
fn lz4_hadoop(input: &[u8], size: usize, out: &mut Vec<u8>) -> Done {
    let begin = out.len();
    let ways: [Way; 3] =
        [hadoop, |input, size, out| bounded(lz4_flex::frame::FrameDecoder::new(input), size, out), lz4];
    let mut last = Ok(());
    for way in ways {
        out.truncate(begin);
        last = way(input, size, out);
        if last.is_ok() && out.len() - begin == size {
            return Ok(());
        }
    }
    last
}

/// Frames of a decompressed size, a compressed size (big-endian, 4 bytes each) and a block.
fn hadoop(mut input: &[u8], size: usize, out: &mut Vec<u8>) -> Done {
    let mut left = size;
    while let Some((head, rest)) = input.split_first_chunk::<8>() {
        let [a, b, c, d, e, f, g, h] = *head;
        let (becomes, takes) = (u32::from_be_bytes([a, b, c, d]) as usize, u32::from_be_bytes([e, f, g, h]) as usize);
        if takes > rest.len() || becomes > left {
            return Err("no frame of Hadoop's".to_owned());
        }
        lz4(&rest[..takes], becomes, out)?;
        left -= becomes;
        input = &rest[takes..];
    }
    Ok(())
}

fn zstd(decompressor: &mut zstd::bulk::Decompressor<'static>, input: &[u8], size: usize, out: &mut Vec<u8>) -> Done {
    // The library writes behind what is there, into capacity that it does not zero first.
    let mut page = Vec::with_capacity(size);
    decompressor.decompress_to_buffer(input, &mut page).map_err(|e| e.to_string())?;
    if out.is_empty() {
        *out = page;
    } else {
        out.extend_from_slice(&page);
    }
    Ok(())
}
