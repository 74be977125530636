//! Connections: how one is made, and what is said on it before and between the rows.
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use futures::TryStreamExt;
use mysql_async::{
    Column, Conn, DriverError, Error as DriverFailure, OptsBuilder, Params, Row, SslOpts, Value, prelude::Queryable,
};
use rustls::RootCertStore;
use tokio::{runtime::Handle, time::timeout};

use super::fault;
use crate::{
    Code, Error, Result,
    source::database::{Endpoint, KEEPALIVE, SslMode},
};

/// How long a statement waits for a lock that others hold, and the server for the next statement of who holds one, in
/// seconds.
const LOCK_SECONDS: u64 = 60;
/// How long the server waits between two reads, in seconds: as long as MySQL does by itself.
const IDLE_SECONDS: u64 = 28_800;
/// How long it waits while we write what was read, in seconds.
const STALL_SECONDS: u64 = 3_600;
/// How long ending a statement that runs may take, how often it is tried, and how long it waits between.
const GOODBYE: Duration = Duration::from_secs(5);
const GOODBYES: u32 = 5;
/// `ER_NO_SUCH_THREAD`.
const NO_SUCH_THREAD: u16 = 1094;
const BETWEEN_GOODBYES: Duration = Duration::from_secs(3);
/// The most that a packet has beside the values of a row.
const PACKET_HEAD: usize = 1 << 20;
/// The most that a query of our own may bring, in bytes.
const ANSWER_BYTES: usize = 1 << 20;

/// A row of an answer, as text.
pub(super) type TextRow = Vec<Option<String>>;

/// A connection. Dropping it while the server works ends that work.
pub(super) struct Session {
    endpoint: Arc<Endpoint>,
    /// There until the session is dropped.
    conn: Option<Conn>,
    /// The server is at work, or the talk has broken off at an unknown place.
    pub(super) busy: bool,
    /// The server is MariaDB.
    mariadb: bool,
}

impl Session {
    /// The connection itself.
    ///
    /// # Errors
    /// None but of a defect.
    pub(super) fn conn(&mut self) -> Result<&mut Conn> {
        self.conn.as_mut().ok_or_else(fault::interrupted)
    }

    /// Begins a transaction that only reads. Its snapshot is made by its first read of rows; what the tables of `from` are
    /// is held fast before that, so that no other table can take the name of one of them between.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn begin(&mut self, from: &str) -> Result<()> {
        self.run("START TRANSACTION READ ONLY").await?;
        self.pin(from).await
    }

    /// A statement that opens tables locks their definitions until the transaction ends.
    async fn pin(&mut self, from: &str) -> Result<()> {
        self.rows(&format!("SELECT 1 FROM {from} LIMIT 0"), &[]).await.map(drop)
    }

    /// Connections in transactions whose snapshots have the same rows of `table`: nobody can write to it while they begin.
    /// It must be of an engine with snapshots.
    ///
    /// # Errors
    /// As of [`Session::open`], and [`Code::PermissionDenied`].
    pub(super) async fn snapshots(
        endpoint: &Arc<Endpoint>,
        max_cell_bytes: usize,
        table: &str,
        count: usize,
    ) -> Result<Vec<Self>> {
        let mut guard = Self::open(endpoint, max_cell_bytes).await?;
        // If we are cut off, the server must not keep the lock.
        guard.run(&format!("SET SESSION wait_timeout = {LOCK_SECONDS}")).await?;
        let guarded = async {
            // This waits until every transaction that has written to the table has ended.
            guard.run(&format!("LOCK TABLES {table} READ")).await.map_err(|error| match error.code() {
                Code::PermissionDenied => {
                    let why = "several connections need the right to LOCK TABLES, to begin at one state of the table; \
                               grant it, or leave `parallelism` out";
                    Error::new(Code::PermissionDenied, why).caused_by(error)
                }
                _ => error,
            })?;
            let begun = (0..count).map(|_| async {
                let mut session = Self::open(endpoint, max_cell_bytes).await?;
                session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
                session.pin(table).await?;
                Ok::<_, Error>(session)
            });
            let sessions = futures::future::try_join_all(begun).await?;
            guard.run("UNLOCK TABLES").await?;
            Ok(sessions)
        };
        let most = Duration::from_secs(LOCK_SECONDS).saturating_add(endpoint.connect_timeout);
        timeout(most, guarded).await.unwrap_or_else(|_| Err(fault::silent()))
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// [`Code::SourceUnreachable`], [`Code::AuthFailed`], [`Code::DatabaseNotFound`], [`Code::TlsError`].
    pub(super) async fn open(endpoint: &Arc<Endpoint>, max_cell_bytes: usize) -> Result<Self> {
        let opening = async {
            let conn = connect(endpoint, max_cell_bytes).await?;
            let mut session = Self { endpoint: endpoint.clone(), conn: Some(conn), busy: false, mariadb: false };
            session.set_up().await?;
            Ok(session)
        };
        timeout(endpoint.connect_timeout, opening).await.unwrap_or_else(|_| Err(endpoint.no_answer()))
    }

    /// Times as UTC, text as UTF-8, all rows, and only our own time-outs end anything.
    async fn set_up(&mut self) -> Result<()> {
        let version = self.rows("SELECT VERSION()", &[]).await?;
        let version = version.into_iter().flatten().flatten().next().unwrap_or_default();
        let limit = self.endpoint.statement_timeout.min(Duration::from_secs(31_536_000));
        self.mariadb = version.contains("MariaDB");
        let limit = match self.mariadb {
            true => format!("max_statement_time = {}", limit.as_secs_f64().max(0.001)),
            false => format!("max_execution_time = {}", limit.as_millis().max(1)),
        };
        self.run("SET NAMES utf8mb4").await?;
        self.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
        self.run(&format!(
            "SET SESSION time_zone = '+00:00', {limit}, lock_wait_timeout = {LOCK_SECONDS}, \
             net_write_timeout = {STALL_SECONDS}, wait_timeout = {IDLE_SECONDS}, sql_select_limit = {}",
            u64::MAX
        ))
        .await
    }

    /// Runs a statement of our own that gives nothing of interest.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn run(&mut self, sql: &str) -> Result<()> {
        let patience = self.endpoint.patience();
        self.busy = true;
        let done = within(patience, self.conn()?.query_drop(sql)).await;
        self.answered(done)
    }

    /// Runs a query, with its parameters as text, that gives few rows.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn rows(&mut self, sql: &str, parameters: &[Option<String>]) -> Result<Vec<TextRow>> {
        let patience = self.endpoint.patience();
        let parameters = match parameters {
            [] => Params::Empty,
            some => Params::Positional(some.iter().map(Value::from).collect()),
        };
        self.busy = true;
        let conn = self.conn()?;
        let asking = async {
            let (mut all, mut bytes) = (Vec::new(), 0);
            let mut rows = conn.exec_stream::<Row, _, _>(sql, parameters).await.map_err(fault::failed)?;
            while let Some(row) = rows.try_next().await.map_err(fault::failed)? {
                let row: TextRow = (0..row.len()).map(|index| row.as_ref(index).and_then(text)).collect();
                bytes +=
                    row.iter().map(|cell| size_of::<String>() + cell.as_ref().map_or(0, String::len)).sum::<usize>();
                if bytes > ANSWER_BYTES {
                    return Err(fault::long_answer(ANSWER_BYTES));
                }
                all.push(row);
            }
            Ok(all)
        };
        let rows = timeout(patience, asking).await.unwrap_or_else(|_| Err(fault::silent()));
        self.answered(rows)
    }

    /// The only column of the first row; `None` for no row or NULL.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn text(&mut self, sql: &str) -> Result<Option<String>> {
        let first = self.rows(sql, &[]).await?.into_iter().next();
        Ok(first.and_then(|row| row.into_iter().next().flatten()))
    }

    /// Lets the server parse and check one statement, of which it takes no second one here: the number of its parameters,
    /// and its columns.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn describe(&mut self, sql: &str) -> Result<(u16, Arc<[Column]>)> {
        let patience = self.endpoint.patience();
        self.busy = true;
        let statement = within(patience, self.conn()?.prep(sql)).await;
        let statement = self.answered(statement)?;
        let described = (statement.num_params(), statement.columns());
        within(patience, self.conn()?.close(statement)).await?;
        Ok(described)
    }

    /// The names of the character sets that the texts of a statement are of, by the columns' places, where the server knows
    /// them.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn charsets(&mut self, sql: &str) -> Result<Vec<Option<String>>> {
        // So the server tells what the columns are, and not what it would send.
        self.run("SET character_set_results = NULL").await?;
        let described = self.describe(sql).await?;
        self.run("SET character_set_results = utf8mb4").await?;
        let ids: Vec<_> = described.1.iter().map(Column::character_set).collect();
        let list = ids.iter().collect::<BTreeSet<_>>().into_iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        // Since MariaDB 10.10 some collations are of several character sets, and have their numbers elsewhere.
        let places = ["COLLATIONS", "COLLATION_CHARACTER_SET_APPLICABILITY"];
        let mut names = BTreeMap::new();
        for place in &places[..if self.mariadb { 2 } else { 1 }] {
            let asked = format!("SELECT ID, CHARACTER_SET_NAME FROM information_schema.{place} WHERE ID IN ({list})");
            match self.rows(&asked, &[]).await {
                Ok(rows) => names.extend(rows.into_iter().filter_map(|row| match row.as_slice() {
                    [Some(id), Some(name)] => Some((id.parse::<u16>().ok()?, name.clone())),
                    _ => None,
                })),
                // An older MariaDB has no numbers there, and needs none.
                Err(error) if error.code() == Code::SourceColumnNotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ids.iter().map(|id| names.get(id).cloned()).collect())
    }

    /// After an answer, even one that refuses, the server is at rest.
    fn answered<T>(&mut self, answer: Result<T>) -> Result<T> {
        self.busy =
            answer.as_ref().is_err_and(|error| matches!(error.code(), Code::SourceInterrupted | Code::QueryError));
        answer
    }
}

/// A value as text; those of the server's own tables are texts and numbers.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}

async fn within<T>(time: Duration, talk: impl Future<Output = Result<T, DriverFailure>>) -> Result<T> {
    timeout(time, talk).await.map_err(|_| fault::silent())?.map_err(fault::failed)
}

async fn connect(endpoint: &Endpoint, max_cell_bytes: usize) -> Result<Conn> {
    let made = match (endpoint.sslmode, Conn::new(options(endpoint, max_cell_bytes, endpoint.sslmode)?).await) {
        // Without TLS a wrong password would be as wrong.
        (SslMode::Prefer, Err(error)) if is_of_tls(&error) => {
            Conn::new(options(endpoint, max_cell_bytes, SslMode::Disable)?).await
        }
        (_, made) => made,
    };
    made.map_err(|error| fault::connecting(error, endpoint))
}

fn is_of_tls(error: &DriverFailure) -> bool {
    match error {
        DriverFailure::Driver(DriverError::NoClientSslFlagFromServer) => true,
        DriverFailure::Io(mysql_async::IoError::Tls(_)) => true,
        DriverFailure::Io(mysql_async::IoError::Io(io)) => io.get_ref().is_some_and(|e| e.is::<rustls::Error>()),
        _ => false,
    }
}

fn options(endpoint: &Endpoint, max_cell_bytes: usize, mode: SslMode) -> Result<OptsBuilder> {
    let password = endpoint.password.as_ref().map(crate::Secret::expose);
    Ok(OptsBuilder::default()
        .ip_or_hostname(endpoint.host.as_str())
        .tcp_port(endpoint.port)
        .user(Some(endpoint.user.as_str()))
        .pass(password)
        .db_name(Some(endpoint.database.as_str()))
        .tcp_keepalive(Some(KEEPALIVE))
        // Never another way in than the one that the request names.
        .prefer_socket(false)
        .stmt_cache_size(0)
        .wait_timeout(Some(IDLE_SECONDS as usize))
        .max_allowed_packet(Some(2 * max_cell_bytes + PACKET_HEAD))
        .connect_attribute("program_name", endpoint.application.as_str())
        .ssl_opts(tls(endpoint, mode)?))
}

/// The client's side of TLS, with libpq's meaning of the modes; but for `verify-ca` the driver wants the name to fit too.
fn tls(endpoint: &Endpoint, mode: SslMode) -> Result<Option<SslOpts>> {
    let unchecked = || SslOpts::default().with_danger_accept_invalid_certs(true);
    let roots = match (mode, &endpoint.sslrootcert) {
        (SslMode::Disable, _) => return Ok(None),
        (SslMode::Prefer, _) | (SslMode::Require, None) => return Ok(Some(unchecked())),
        (_, Some(file)) => vec![file.clone().into()],
        (_, None) => {
            let mut seen = RootCertStore::empty();
            let native = rustls_native_certs::load_native_certs().certs.into_iter();
            let usable = native.filter(|certificate| seen.add(certificate.clone()).is_ok());
            usable.map(|certificate| certificate.to_vec().into()).collect()
        }
    };
    if roots.is_empty() {
        let why = "there are no root certificates to check the server's with; configure `sslrootcert`";
        return Err(Error::new(Code::TlsError, why));
    }
    let checked = SslOpts::default().with_root_certs(roots).with_disable_built_in_roots(true);
    Ok(Some(checked.with_danger_skip_domain_validation(mode != SslMode::VerifyFull)))
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        // Without a runtime the closed socket must do.
        let (Ok(runtime), true) = (Handle::try_current(), self.busy) else { return };
        let endpoint = self.endpoint.clone();
        runtime.spawn(async move {
            let mut killed = Ok(());
            for turn in 0..GOODBYES {
                tokio::time::sleep(if turn == 0 { Duration::ZERO } else { BETWEEN_GOODBYES }).await;
                killed =
                    timeout(GOODBYE, kill(&endpoint, conn.id())).await.unwrap_or_else(|_| Err(endpoint.no_answer()));
                if killed.is_ok() {
                    break;
                }
            }
            if let Err(error) = killed.map_err(|error| endpoint.told(error)) {
                tracing::warn!(%error, "a running statement could not be ended on the server");
            }
            // Where there is no runtime, the driver cannot read on to the end of the rows, but closes.
            let closing = std::thread::Builder::new().spawn(move || drop(conn));
            closing
                .map(drop)
                .unwrap_or_else(|error| tracing::warn!(%error, "a connection could not be closed at once"));
        });
    }
}

/// Ends the statement of another connection.
async fn kill(endpoint: &Endpoint, id: u32) -> Result<()> {
    let mut conn = connect(endpoint, 0).await?;
    match conn.query_drop(format!("KILL QUERY {id}")).await {
        // It has ended with its connection.
        Err(DriverFailure::Server(error)) if error.code == NO_SUCH_THREAD => {}
        killed => killed.map_err(fault::failed)?,
    }
    conn.disconnect().await.map_err(fault::failed)
}
