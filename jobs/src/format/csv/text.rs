//! A file's bytes as UTF-8 text: decompressed, without the mark of its order of bytes, and in one encoding.
use std::{ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::{
    super::{Blob, decompress::Compression},
    dialect::Dialect,
};
use crate::{Error, Result, config::Limits};

/// Why a text breaks off.
#[derive(Debug)]
pub(super) enum Broken {
    /// The file cannot be read further.
    File(Error),
    /// What follows is no text in the encoding.
    NotText(&'static str),
}

/// The chunks of a text.
pub(super) type Chunks = BoxStream<'static, Result<Bytes, Broken>>;

/// How many bytes are read of a file to see what it is.
const HEAD_BYTES: u64 = 64 << 10;
/// How many bytes are read beyond a range, until its last record is whole.
const BEYOND_BYTES: u64 = 256 << 10;

/// The mark that UTF-8 files may begin with.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// A file's text, from its begin.
pub(super) struct Text {
    /// The text, without a mark.
    pub chunks: Chunks,
    /// The bytes of the mark, if the text is the file as it is and can be read from any place; else `None`.
    pub plain: Option<u64>,
}

/// Begins to read a file. `whole`: it is meant to be read to its end, else little more than its head.
///
/// # Errors
/// The file's, and [`crate::Code::BadCompression`].
pub(super) async fn open(blob: &Arc<dyn Blob>, dialect: &Dialect, limits: &Limits, whole: bool) -> Result<Text> {
    let size = blob.size();
    let raw = if whole { blob.clone().stream(0..size) } else { from(blob, 0..size.min(HEAD_BYTES)) };
    let (head, raw) = peek(raw, 4).await?;
    let compression = Compression::of(blob.name(), &head)?;
    let decoded = compression.decode(raw, blob.name(), limits);
    let (head, decoded) = peek(decoded, 3).await?;
    let encoding = encoding(dialect, &head);
    let mark = if head.starts_with(BOM) { BOM.len() } else { 0 };
    if encoding != UTF_8 {
        return Ok(Text { chunks: transcode(decoded, encoding), plain: None });
    }
    let chunks = decoded.map_err(Broken::File).boxed();
    let chunks = if mark > 0 { skip(chunks, mark) } else { chunks };
    Ok(Text { chunks, plain: (compression == Compression::None).then_some(mark as u64) })
}

/// The text of a range of a plain file and, for as long as it is asked for, that behind it.
pub(super) fn plain(blob: &Arc<dyn Blob>, bytes: Range<u64>) -> Chunks {
    from(blob, bytes).map_err(Broken::File).boxed()
}

/// The text of a range of a plain file.
pub(super) fn exactly(blob: &Arc<dyn Blob>, bytes: Range<u64>) -> Chunks {
    match bytes.is_empty() {
        true => stream::empty().boxed(),
        false => blob.clone().stream(bytes).map_err(Broken::File).boxed(),
    }
}

/// The bytes of a range and, for as long as they are asked for, those behind it.
fn from(blob: &Arc<dyn Blob>, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
    let (size, end) = (blob.size(), range.end);
    let behind = stream::try_unfold((blob.clone(), end), move |(blob, at)| async move {
        if at >= size {
            return Ok(None);
        }
        let end = size.min(at + BEYOND_BYTES);
        let bytes = blob.read(at..end).await?;
        Ok(Some((bytes, (blob, end))))
    });
    blob.clone().stream(range).chain(behind).boxed()
}

/// The encoding by the file's mark, else by the request, else UTF-8.
fn encoding(dialect: &Dialect, head: &[u8]) -> &'static Encoding {
    match head {
        [0xef, 0xbb, 0xbf, ..] => UTF_8,
        [0xff, 0xfe, ..] if dialect.is_utf8() || dialect.encoding == Some(UTF_16LE) => UTF_16LE,
        [0xfe, 0xff, ..] if dialect.is_utf8() || dialect.encoding == Some(UTF_16LE) => UTF_16BE,
        _ => dialect.encoding.unwrap_or(UTF_8),
    }
}

/// The first bytes of a stream, at least `wanted` if it has them, and the whole stream again.
async fn peek(
    mut chunks: BoxStream<'static, Result<Bytes>>,
    wanted: usize,
) -> Result<(Bytes, BoxStream<'static, Result<Bytes>>)> {
    let mut head = Bytes::new();
    while head.len() < wanted {
        let Some(chunk) = chunks.try_next().await? else { break };
        head = if head.is_empty() { chunk } else { [head, chunk].concat().into() };
    }
    let first = stream::iter((!head.is_empty()).then(|| Ok(head.clone())));
    Ok((head.clone(), first.chain(chunks).boxed()))
}

/// The stream without its first bytes, all of which are in the first chunk.
fn skip(chunks: Chunks, bytes: usize) -> Chunks {
    let mut left = bytes;
    chunks
        .map_ok(move |chunk| {
            let skipped = left.min(chunk.len());
            left -= skipped;
            chunk.slice(skipped..)
        })
        .boxed()
}

/// Text in another encoding as UTF-8; its mark is left out.
fn transcode(chunks: BoxStream<'static, Result<Bytes>>, encoding: &'static Encoding) -> Chunks {
    let state =
        Transcoding { chunks, decoder: encoding.new_decoder_with_bom_removal(), encoding, state: State::Reading };
    stream::unfold(state, |mut state| async move { state.next().await.map(|chunk| (chunk, state)) }).boxed()
}

struct Transcoding {
    chunks: BoxStream<'static, Result<Bytes>>,
    decoder: Decoder,
    encoding: &'static Encoding,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Reading,
    /// The text up to the broken bytes was given.
    Broken,
    Ended,
}

impl Transcoding {
    async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        loop {
            let chunk = match self.state {
                State::Ended => return None,
                State::Broken => {
                    self.state = State::Ended;
                    return Some(Err(Broken::NotText(self.encoding.name())));
                }
                State::Reading => match self.chunks.next().await {
                    Some(Ok(chunk)) => chunk,
                    Some(Err(error)) => {
                        self.state = State::Ended;
                        return Some(Err(Broken::File(error)));
                    }
                    None => {
                        self.state = State::Ended;
                        Bytes::new()
                    }
                },
            };
            let last = self.state == State::Ended;
            let mut text = BytesMut::zeroed(self.decoder.max_utf8_buffer_length_without_replacement(chunk.len())?);
            let (result, _, written) = self.decoder.decode_to_utf8_without_replacement(&chunk, &mut text, last);
            text.truncate(written);
            if matches!(result, DecoderResult::Malformed(..)) {
                self.state = State::Broken;
            }
            if !text.is_empty() || self.state == State::Broken {
                return Some(Ok(text.freeze()));
            }
        }
    }
}
