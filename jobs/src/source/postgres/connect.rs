//! Connections: how one is made, what is said on it, and how it ends.
use std::{future::Future, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use tokio::{io::AsyncWriteExt, net::TcpStream, runtime::Handle};
use tokio_postgres::{
    CancelToken, Client, NoTls, Row, Statement, config::SslMode as DriverSslMode, tls::MakeTlsConnect, types::ToSql,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    fault,
    sql::literal,
    tap::{Tap, TapTls, Wire},
    tls::{SslMode, client_config},
};
use crate::{Code, Error, Result, Secret};

type DriverResult<T> = Result<T, tokio_postgres::Error>;
type Driver = Pin<Box<dyn Future<Output = DriverResult<()>> + Send>>;

/// A server, a database and a role, and how to talk to them.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub password: Option<Secret>,
    pub sslmode: SslMode,
    pub sslrootcert: Option<PathBuf>,
    pub allow_superuser: bool,
    pub connect_timeout: Duration,
    pub statement_timeout: Duration,
    /// Shown in `pg_stat_activity`.
    pub application: String,
}

/// How often a peer that has gone silent is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long a statement waits for a lock that a writer of the source holds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a good-bye may take.
const GOODBYE: Duration = Duration::from_secs(5);

impl Endpoint {
    /// `host:port`, an IPv6 address in brackets.
    pub(super) fn address(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Where the rows come from, without credentials.
    pub(super) fn origin(&self) -> String {
        format!("postgres://{}/{}", self.address(), self.database)
    }

    /// Opens a connection in a read-only transaction: of its own snapshot, or of one that another has exported.
    ///
    /// # Errors
    /// [`Code::SourceUnreachable`], [`Code::AuthFailed`], [`Code::DatabaseNotFound`], [`Code::TlsError`];
    /// [`Code::SourceInterrupted`] if the snapshot is gone.
    pub(super) async fn session(self: &Arc<Self>, snapshot: Option<&str>) -> Result<Session> {
        let opening = async {
            let mut session = self.open().await?;
            session.begin(snapshot).await?;
            Ok(session)
        };
        tokio::time::timeout(self.connect_timeout, opening).await.unwrap_or_else(|_| {
            Err(self.unreachable(format!("no answer within {} s", self.connect_timeout.as_secs_f64())))
        })
    }

    async fn open(self: &Arc<Self>) -> Result<Session> {
        match self.sslmode {
            SslMode::Disable => self.plain().await,
            SslMode::Prefer => match self.encrypted(DriverSslMode::Prefer).await {
                Err(error)
                    if matches!(error.code(), Code::TlsError | Code::AuthFailed) && !is_wrong_password(&error) =>
                {
                    self.plain().await
                }
                opened => opened,
            },
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => self.encrypted(DriverSslMode::Require).await,
        }
    }

    async fn plain(self: &Arc<Self>) -> Result<Session> {
        let tap = Tap::new(self.socket().await?);
        let made = self.driver_config(DriverSslMode::Disable).connect_raw(tap.clone(), NoTls).await;
        let (client, driver) = made.map_err(|e| self.refused(e))?;
        Ok(Session::new(self, client, Box::pin(driver), Box::new(tap)))
    }

    async fn encrypted(self: &Arc<Self>, mode: DriverSslMode) -> Result<Session> {
        let tap = Tap::new(self.socket().await?);
        let tls = TapTls::new(self.tls::<Tap<TcpStream>>()?);
        let slot = tls.made();
        let made = self.driver_config(mode).connect_raw(tap.clone(), tls).await;
        let (client, driver) = made.map_err(|e| self.refused(e))?;
        let wire: Box<dyn Wire> = match slot.get() {
            Some(encrypted) => Box::new(encrypted.clone()),
            None => Box::new(tap),
        };
        Ok(Session::new(self, client, Box::pin(driver), wire))
    }

    async fn socket(&self) -> Result<TcpStream> {
        let opening = TcpStream::connect((self.host.as_str(), self.port));
        let socket = opening.await.map_err(|e| self.unreachable(e.to_string()).caused_by(e))?;
        let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE).with_retries(3);
        let tuned =
            socket.set_nodelay(true).and_then(|()| socket2::SockRef::from(&socket).set_tcp_keepalive(&keepalive));
        tuned.map_err(|e| self.unreachable(e.to_string()).caused_by(e))?;
        Ok(socket)
    }

    fn tls<S>(&self) -> Result<<MakeRustlsConnect as MakeTlsConnect<S>>::TlsConnect>
    where
        MakeRustlsConnect: MakeTlsConnect<S>,
        <MakeRustlsConnect as MakeTlsConnect<S>>::Error: std::error::Error + Send + Sync + 'static,
    {
        let config = client_config(self.sslmode, self.sslrootcert.as_deref())?;
        MakeRustlsConnect::new(config).make_tls_connect(&self.host).map_err(|e| {
            Error::new(Code::TlsError, format!("`{}` is no name that a certificate could have", self.host)).caused_by(e)
        })
    }

    fn driver_config(&self, mode: DriverSslMode) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.user(&self.user).dbname(&self.database).application_name(&self.application).ssl_mode(mode);
        if let Some(password) = &self.password {
            config.password(password.expose());
        }
        config
    }

    fn unreachable(&self, why: String) -> Error {
        let advice = "check host, port and firewall, and that the server runs";
        let message = format!("PostgreSQL at {} cannot be reached from the worker: {why}; {advice}", self.address());
        Error::new(Code::SourceUnreachable, message)
    }

    fn refused(&self, error: tokio_postgres::Error) -> Error {
        fault::connecting(error, &self.address(), &self.user, &self.database)
    }

    /// Asks the server, on a connection of its own, to end the statement that runs.
    async fn cancel(&self, running: &CancelToken) -> Result<()> {
        let socket = self.socket().await?;
        running.cancel_query_raw(socket, self.tls::<TcpStream>()?).await.map_err(|e| self.refused(e))
    }
}

/// Without TLS the same password would be as wrong.
fn is_wrong_password(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|e| e.downcast_ref::<tokio_postgres::Error>());
    cause.and_then(tokio_postgres::Error::code).is_some_and(|state| state.code() == "28P01")
}

/// A connection within its transaction. Dropping it while the server works cancels that work.
pub(super) struct Session {
    endpoint: Arc<Endpoint>,
    client: Client,
    driver: Driver,
    pub(super) wire: Box<dyn Wire>,
    /// The server is at work, or the talk has broken off at an unknown place.
    pub(super) busy: bool,
}

impl Session {
    fn new(endpoint: &Arc<Endpoint>, client: Client, driver: Driver, wire: Box<dyn Wire>) -> Self {
        Self { endpoint: endpoint.clone(), client, driver, wire, busy: false }
    }

    async fn begin(&mut self, snapshot: Option<&str>) -> Result<()> {
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

    /// Runs statements that give nothing of interest, and waits until the server is ready for the next.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn batch(&mut self, sql: &str) -> Result<()> {
        self.busy = true;
        let done = drive(&mut self.driver, self.client.batch_execute(sql)).await;
        self.busy = false;
        done.map_err(|e| fault::talking(e, None))
    }

    /// Prepares one statement: the server parses and checks it and names its columns.
    ///
    /// # Errors
    /// The server's; positions in them refer to `sql` if `shown`.
    pub(super) async fn prepare(&mut self, sql: &str, shown: bool) -> Result<Statement> {
        self.busy = true;
        let done = drive(&mut self.driver, self.client.prepare(sql)).await;
        self.busy = false;
        done.map_err(|e| fault::talking(e, shown.then_some(sql)))
    }

    /// Runs a query with parameters that gives at most one row.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn row(&mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>> {
        self.busy = true;
        let done = drive(&mut self.driver, self.client.query_opt(sql, parameters)).await;
        self.busy = false;
        done.map_err(|e| fault::talking(e, None))
    }

    /// The only column of the only row, which is text; `None` for no row or NULL.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn text(&mut self, sql: &str) -> Result<Option<String>> {
        match self.row(sql, &[]).await? {
            Some(row) => row.try_get(0).map_err(|e| fault::talking(e, None)),
            None => Ok(None),
        }
    }
}

/// Lets the driver work until an answer is there.
async fn drive<T>(driver: &mut Driver, answer: impl Future<Output = DriverResult<T>>) -> DriverResult<T> {
    tokio::pin!(answer);
    tokio::select! {
        biased;
        done = &mut answer => return done,
        ended = driver => ended?,
    }
    answer.await
}

impl Drop for Session {
    fn drop(&mut self) {
        // Without a runtime the closed socket must do.
        let Ok(runtime) = Handle::try_current() else { return };
        let mut wire = std::mem::replace(&mut self.wire, Box::new(tokio::io::empty()));
        let (endpoint, token, busy) = (self.endpoint.clone(), self.client.cancel_token(), self.busy);
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

/// The message that ends a session.
const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];
