//! The rows of one COPY, read from the socket and decoded in place.
use arrow_array::RecordBatch;

use super::{
    decode::Decoder,
    fault::{self, ServerError},
    session::{HEAD, Session, execute},
};
use crate::{Error, Result};

/// How much is read at once.
const READ_BYTES: usize = 256 << 10;
/// A buffer that one large row has made larger than this is given back.
const KEPT_BYTES: usize = 4 << 20;

/// A COPY under way. Dropping it cancels the statement on the server.
pub(super) struct Copying {
    session: Session,
    decoder: Decoder,
    buffer: Vec<u8>,
    /// The part of the buffer that is filled and not yet decoded.
    start: usize,
    end: usize,
}

/// What the bytes at hand came to.
enum Step {
    /// A batch is full.
    Full,
    /// The server is done and ready for the next statement.
    Ready,
    /// A message of this length, head included, has not arrived whole.
    Need(usize),
}

impl Copying {
    /// Starts the COPY. `sql` is one statement; the server would refuse a second one here.
    ///
    /// # Errors
    /// [`crate::Code::SourceInterrupted`].
    pub(super) async fn start(mut session: Session, sql: &str, decoder: Decoder) -> Result<Self> {
        session.send(&execute(sql, &[])?).await?;
        let mut buffer = session.unread.split().to_vec();
        let end = buffer.len();
        buffer.resize(end.max(READ_BYTES), 0);
        Ok(Self { session, decoder, buffer, start: 0, end })
    }

    /// The next rows; `None` once all of them were given.
    ///
    /// # Errors
    /// The decoder's, the server's, and [`crate::Code::SourceInterrupted`] if the rows end before their end mark.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while self.session.busy {
            match self.step()? {
                Step::Full => return self.decoder.take(),
                Step::Ready => self.session.busy = false,
                Step::Need(bytes) if bytes > HEAD + 2 * self.decoder.max_cell_bytes() => {
                    return Err(self.find_large_cell(bytes).await?);
                }
                Step::Need(bytes) => self.fill(bytes).await?,
            }
        }
        match self.decoder.has_ended() {
            true => self.decoder.take(),
            false => Err(fault::interrupted()),
        }
    }

    /// The session, ready for the next statement of its transaction.
    pub(super) fn into_session(mut self) -> Session {
        self.session.unread.extend_from_slice(&self.buffer[self.start..self.end]);
        self.session
    }

    /// Decodes the messages at hand.
    fn step(&mut self) -> Result<Step> {
        loop {
            let Some((head, rest)) = self.buffer[self.start..self.end].split_first_chunk::<HEAD>() else {
                return Ok(Step::Need(HEAD));
            };
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let Some(body) = length.checked_sub(4) else { return Err(unexpected()) };
            let Some(body) = rest.get(..body) else { return Ok(Step::Need(1 + length)) };
            self.start += 1 + length;
            match head[0] {
                b'd' => {
                    self.decoder.message(body)?;
                    if self.decoder.is_full() {
                        return Ok(Step::Full);
                    }
                }
                b'Z' => return Ok(Step::Ready),
                b'E' => {
                    // The transaction is lost, and with it the session; there is nothing to cancel.
                    self.session.busy = false;
                    return Err(fault::server(&ServerError::parse(body), None));
                }
                // ParseComplete, BindComplete, CopyOutResponse, CopyDone, CommandComplete; notices and parameters.
                b'1' | b'2' | b'H' | b'c' | b'C' | b'N' | b'S' => {}
                _ => return Err(unexpected()),
            }
        }
    }

    /// Reads more, with room for a message of `bytes`.
    async fn fill(&mut self, bytes: usize) -> Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let size = bytes.max(self.end + 1).max(READ_BYTES);
        let too_small = self.buffer.len() < size;
        let needlessly_large = self.buffer.len() > KEPT_BYTES && size <= KEPT_BYTES;
        if too_small || needlessly_large {
            let mut buffer = vec![0; size];
            buffer[..self.end].copy_from_slice(&self.buffer[..self.end]);
            self.buffer = buffer;
        }
        self.end += self.session.receive(&mut self.buffer[self.end..]).await?;
        Ok(())
    }

    /// Walks through a row that is too large to be held, to say which column makes it so.
    async fn find_large_cell(&mut self, bytes: usize) -> Result<Error> {
        if self.buffer[self.start] != b'd' {
            return Err(unexpected());
        }
        let before_cells = HEAD + self.decoder.header_bytes() + 2;
        let mut left = bytes - before_cells;
        self.skip(before_cells).await?;
        for column in 0..self.decoder.width() {
            if left < 4 {
                break;
            }
            while self.end - self.start < 4 {
                self.fill(4).await?;
            }
            let head = &self.buffer[self.start..self.start + 4];
            let length = usize::try_from(i32::from_be_bytes([head[0], head[1], head[2], head[3]])).unwrap_or(0);
            if length > self.decoder.max_cell_bytes() {
                return Ok(self.decoder.too_large(Some((column, length)), bytes));
            }
            self.skip(4 + length).await?;
            left = left.saturating_sub(4 + length);
        }
        Ok(self.decoder.too_large(None, bytes))
    }

    async fn skip(&mut self, mut bytes: usize) -> Result<()> {
        loop {
            let here = bytes.min(self.end - self.start);
            self.start += here;
            bytes -= here;
            if bytes == 0 {
                return Ok(());
            }
            self.fill(HEAD).await?;
        }
    }
}

fn unexpected() -> Error {
    fault::interrupted().caused_by("the server sent a message that has no place in a COPY")
}
