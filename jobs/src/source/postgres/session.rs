//! What is said on a connection before and between the rows: statements with small answers.
use std::{future::Future, io, sync::Arc, time::Duration};

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::{
    IsNull,
    message::{
        backend::{ERROR_RESPONSE_TAG, Header, Message},
        frontend,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Handle,
    time::{Instant, timeout},
};
use tokio_postgres::CancelToken;

use super::{
    fault::{self, ServerError},
    literal,
    tap::Wire,
};
use crate::{Code, Error, Result, source::database::Endpoint};

/// How long a statement waits for a lock that a writer of the source holds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a good-bye may take.
const GOODBYE: Duration = Duration::from_secs(5);
/// The longest answer to a statement other than COPY: 1,600 columns with long names have a tenth of it.
const ANSWER_BYTES: usize = 1 << 20;
/// A message's type and length.
pub(super) const HEAD: usize = 5;
/// The message that ends a session.
const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];

/// A row of an answer; every value is the text that PostgreSQL prints.
pub(super) type TextRow = Vec<Option<String>>;

/// What a statement takes and gives.
pub(super) struct Described {
    /// The number of its parameters, such as `$1`.
    pub parameters: usize,
    /// Name, type and type modifier of its columns.
    pub columns: Vec<(String, u32, i32)>,
}

/// A connection within its transaction. Dropping it while the server works cancels that work.
pub(super) struct Session {
    endpoint: Arc<Endpoint>,
    token: CancelToken,
    wire: Box<dyn Wire>,
    /// What has come and was not yet looked at.
    pub(super) unread: BytesMut,
    /// The server is at work, or the talk has broken off at an unknown place.
    pub(super) busy: bool,
    /// When the statement under way was begun.
    begun: Instant,
}

impl Session {
    /// A connection that the server has just taken; `token` ends its statements.
    pub(super) fn new(endpoint: &Arc<Endpoint>, token: CancelToken, wire: Box<dyn Wire>) -> Self {
        let (endpoint, unread) = (endpoint.clone(), BytesMut::new());
        Self { endpoint, token, wire, unread, busy: false, begun: Instant::now() }
    }

    /// Begins a read-only transaction of its own snapshot, or of one that another has exported.
    ///
    /// # Errors
    /// The server's; [`Code::SourceInterrupted`] if the snapshot is gone.
    pub(super) async fn begin(&mut self, snapshot: Option<&str>) -> Result<()> {
        let begin = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
        match snapshot {
            None => self.batch(begin).await?,
            Some(id) => {
                let import = format!("{begin}; SET TRANSACTION SNAPSHOT {}", literal(id));
                self.batch(&import).await.map_err(|e| fault::snapshot_gone().caused_by(e))?;
            }
        }
        // Times and intervals as text must not depend on how the role is set up, and nothing but our own time-outs ends
        // the transaction.
        self.batch(&format!(
            "SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}; \
             SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL client_encoding = 'UTF8'; \
             SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'iso_8601'; \
             SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = 'hex'; \
             SELECT pg_catalog.set_config('transaction_timeout', '0', true) \
             WHERE pg_catalog.current_setting('server_version_num')::int4 >= 170000",
            self.endpoint.statement_timeout.as_millis().clamp(1, i32::MAX as u128),
            LOCK_TIMEOUT.as_millis(),
        ))
        .await
    }

    /// Runs statements of our own that give nothing of interest.
    async fn batch(&mut self, sql: &str) -> Result<()> {
        let request = request(|to| frontend::query(sql, to))?;
        self.ask(&request, None).await.map(drop)
    }

    /// Lets the server parse and check one statement; it refuses a second one here.
    ///
    /// # Errors
    /// The server's; positions in them refer to `sql` if `shown`.
    pub(super) async fn describe(&mut self, sql: &str, shown: bool) -> Result<Described> {
        let request = request(|to| {
            frontend::parse("", sql, [], to)?;
            frontend::describe(b'S', "", to)?;
            frontend::sync(to);
            Ok(())
        })?;
        let mut described = Described { parameters: 0, columns: Vec::new() };
        for message in self.ask(&request, shown.then_some(sql)).await? {
            match message {
                Message::ParameterDescription(body) => {
                    described.parameters = body.parameters().count().map_err(fault::broken)?;
                }
                Message::RowDescription(body) => {
                    let columns = body.fields().map(|c| Ok((c.name().to_owned(), c.type_oid(), c.type_modifier())));
                    described.columns = columns.collect().map_err(fault::broken)?;
                }
                _ => {}
            }
        }
        Ok(described)
    }

    /// Runs a query, with its parameters as text, that gives few rows.
    ///
    /// # Errors
    /// The server's, and [`Code::UnrepresentableValue`] for text that is not UTF-8.
    pub(super) async fn rows(&mut self, sql: &str, parameters: &[&str]) -> Result<Vec<TextRow>> {
        let mut rows = Vec::new();
        for message in self.ask(&execute(sql, parameters)?, None).await? {
            let Message::DataRow(body) = message else { continue };
            let cells: Vec<_> = body.ranges().collect().map_err(fault::broken)?;
            let text = |at: std::ops::Range<usize>| String::from_utf8(body.buffer()[at].to_vec());
            let row: Result<TextRow, _> = cells.into_iter().map(|cell| cell.map(text).transpose()).collect();
            rows.push(row.map_err(|e| {
                Error::new(Code::UnrepresentableValue, "the server sent text that is not UTF-8").caused_by(e)
            })?);
        }
        Ok(rows)
    }

    /// The only column of the first row; `None` for no row or NULL.
    ///
    /// # Errors
    /// Those of [`Session::rows`].
    pub(super) async fn text(&mut self, sql: &str, parameters: &[&str]) -> Result<Option<String>> {
        let first = self.rows(sql, parameters).await?.into_iter().next();
        Ok(first.and_then(|row| row.into_iter().next().flatten()))
    }

    /// Sends a request and collects the answer.
    async fn ask(&mut self, request: &[u8], statement: Option<&str>) -> Result<Vec<Message>> {
        self.send(request).await?;
        let (mut messages, mut left) = (Vec::new(), ANSWER_BYTES);
        loop {
            let (tag, length) = self.arrived(left).await?;
            left -= length;
            if tag == ERROR_RESPONSE_TAG {
                // The transaction is lost, and with it the session; there is nothing to cancel.
                self.busy = false;
                return Err(fault::server(&ServerError::parse(&self.unread[HEAD..length]), statement));
            }
            match Message::parse(&mut self.unread).map_err(fault::broken)? {
                Some(Message::ReadyForQuery(_)) => {
                    self.busy = false;
                    return Ok(messages);
                }
                message => messages.extend(message),
            }
        }
    }

    /// Waits for a whole message of at most `most` bytes: its type, and its length with the head.
    async fn arrived(&mut self, most: usize) -> Result<(u8, usize)> {
        let mut part = [0; 4096];
        loop {
            if let Some(header) = Header::parse(&self.unread).map_err(fault::broken)? {
                let length = 1 + usize::try_from(header.len()).unwrap_or(usize::MAX - 1);
                if length > most {
                    return Err(fault::long_answer(ANSWER_BYTES));
                }
                if length <= self.unread.len() {
                    return Ok((header.tag(), length));
                }
            }
            let read = self.receive(&mut part).await?;
            self.unread.extend_from_slice(&part[..read]);
        }
    }

    /// Begins a statement.
    ///
    /// # Errors
    /// [`Code::SourceInterrupted`].
    pub(super) async fn send(&mut self, request: &[u8]) -> Result<()> {
        (self.busy, self.begun) = (true, Instant::now());
        let wire = &mut self.wire;
        let sending = async {
            wire.write_all(request).await?;
            wire.flush().await
        };
        within(self.endpoint.patience(), sending).await
    }

    /// Reads some of the answer.
    ///
    /// # Errors
    /// [`Code::SourceInterrupted`] if the connection has ended, or if the statement takes longer than the server should
    /// have let it.
    pub(super) async fn receive(&mut self, to: &mut [u8]) -> Result<usize> {
        let left = self.endpoint.patience().saturating_sub(self.begun.elapsed());
        match within(left, self.wire.read(to)).await? {
            0 => Err(fault::broken(io::ErrorKind::UnexpectedEof.into())),
            read => Ok(read),
        }
    }
}

/// The messages that run one statement, with its parameters as text; the server takes no second statement in them.
///
/// # Errors
/// [`Code::QueryError`] for a NUL.
pub(super) fn execute(sql: &str, parameters: &[&str]) -> Result<BytesMut> {
    request(|to| {
        frontend::parse("", sql, [], to)?;
        let text = |text: &&str, to: &mut BytesMut| {
            to.extend_from_slice(text.as_bytes());
            Ok(IsNull::No)
        };
        frontend::bind("", "", [], parameters, text, [], to).map_err(|_| io::ErrorKind::InvalidInput)?;
        frontend::execute("", 0, to)?;
        frontend::sync(to);
        Ok(())
    })
}

fn request(write: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> Result<BytesMut> {
    let mut request = BytesMut::new();
    let unsendable = |e| Error::new(Code::QueryError, "the statement cannot be sent: it holds a NUL").caused_by(e);
    write(&mut request).map_err(unsendable)?;
    Ok(request)
}

async fn within<T>(time: Duration, talk: impl Future<Output = io::Result<T>>) -> Result<T> {
    timeout(time, talk).await.map_err(|_| fault::silent())?.map_err(fault::broken)
}

impl Drop for Session {
    fn drop(&mut self) {
        // Without a runtime the closed socket must do.
        let Ok(runtime) = Handle::try_current() else { return };
        let mut wire = std::mem::replace(&mut self.wire, Box::new(tokio::io::empty()));
        let (endpoint, token, busy) = (self.endpoint.clone(), self.token.clone(), self.busy);
        runtime.spawn(tokio::time::timeout(GOODBYE, async move {
            if busy {
                if let Err(error) = endpoint.cancel(&token).await {
                    tracing::warn!(%error, "a running statement could not be cancelled; the closed connection ends it");
                }
            } else {
                // If the server has gone already, there is nobody to take leave of.
                let _ = wire.write_all(&TERMINATE).await;
                let _ = wire.flush().await;
            }
        }));
    }
}
