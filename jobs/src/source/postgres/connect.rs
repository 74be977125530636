//! Connections: how one is made. The driver does what it does well, TLS and authentication; all else is said by
//! [`Session`].
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_postgres::{CancelToken, NoTls, config::SslMode as DriverSslMode, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    fault::{self, ServerError},
    session::Session,
    tap::{Tap, TapTls, Wire},
    tls::client_config,
};
use crate::{
    Code, Error, Result,
    source::database::{Endpoint, KEEPALIVE, SslMode},
};

impl Endpoint {
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
        tokio::time::timeout(self.connect_timeout, opening).await.unwrap_or_else(|_| Err(self.no_answer()))
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
        let made = self.driver_config(DriverSslMode::Disable).connect_raw(tap.for_login(), NoTls).await;
        let (client, _) = made.map_err(|e| self.refused(e))?;
        Ok(Session::new(self, client.cancel_token(), Box::new(tap)))
    }

    async fn encrypted(self: &Arc<Self>, mode: DriverSslMode) -> Result<Session> {
        let tap = Tap::new(self.socket().await?);
        let tls = TapTls::new(self.tls::<Tap<TcpStream>>()?);
        let slot = tls.made();
        let made = self.driver_config(mode).connect_raw(tap.for_login(), tls).await;
        let (client, _) = made.map_err(|e| self.refused(e))?;
        let wire: Box<dyn Wire> = match slot.get() {
            Some(encrypted) => Box::new(encrypted.clone()),
            None => Box::new(tap),
        };
        Ok(Session::new(self, client.cancel_token(), wire))
    }

    async fn socket(&self) -> Result<TcpStream> {
        let opening = TcpStream::connect((self.host.as_str(), self.port));
        let socket = opening.await.map_err(|e| self.unreachable(&e.to_string()).caused_by(e))?;
        let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE).with_retries(3);
        let tuned =
            socket.set_nodelay(true).and_then(|()| socket2::SockRef::from(&socket).set_tcp_keepalive(&keepalive));
        tuned.map_err(|e| self.unreachable(&e.to_string()).caused_by(e))?;
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

    fn refused(&self, error: tokio_postgres::Error) -> Error {
        fault::connecting(error, &self.address(), &self.user, &self.database)
    }

    /// Asks the server, on a connection of its own, to end the statement that runs.
    pub(super) async fn cancel(&self, running: &CancelToken) -> Result<()> {
        let socket = self.socket().await?;
        running.cancel_query_raw(socket, self.tls::<TcpStream>()?).await.map_err(|e| self.refused(e))
    }
}

/// Without TLS the same password would be as wrong.
fn is_wrong_password(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|e| e.downcast_ref::<ServerError>());
    cause.is_some_and(|said| said.state == "28P01")
}
