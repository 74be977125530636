//! The server: connections in, answers out, with bounds on how long a peer may dawdle.
use std::{
    io,
    net::IpAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::Router;
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{AppState, config::seconds, extract::PeerAddress, router};

/// How long answers under way may take after the server was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// The wait after a failed accept (no file handles left, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The longest head of a request.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Serves until `shutdown`, then lets the answers under way finish, for at most ten seconds.
///
/// # Errors
/// If the listener is broken. A connection's failure ends that connection only.
pub async fn serve(listener: TcpListener, mut state: AppState, shutdown: CancellationToken) -> io::Result<()> {
    state.shutdown = shutdown.clone();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(seconds(state.config.header_timeout_seconds))
        .max_buf_size(MAX_HEAD_BYTES);
    let room = Arc::new(Semaphore::new(state.config.max_connections));
    let patience = seconds(state.config.write_timeout_seconds);
    let server = Server { http, patience, app: router(state), room, connections: TaskTracker::new(), shutdown };

    tracing::info!(address = %listener.local_addr()?, "listening");
    server.accept(listener).await;
    server.connections.close();
    if tokio::time::timeout(DRAIN, server.connections.wait()).await.is_err() {
        tracing::warn!(connections = server.connections.len(), "closing connections that are still busy");
    }
    Ok(())
}

#[derive(Clone)]
struct Server {
    http: http1::Builder,
    patience: Duration,
    app: Router,
    room: Arc<Semaphore>,
    connections: TaskTracker,
    shutdown: CancellationToken,
}

impl Server {
    async fn accept(&self, listener: TcpListener) {
        let accepting = async {
            while let Ok(permit) = self.room.clone().acquire_owned().await {
                match listener.accept().await {
                    Ok((stream, address)) => {
                        drop(self.connections.spawn(self.clone().converse(stream, address.ip(), permit)));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        self.shutdown.run_until_cancelled(accepting).await;
    }

    async fn converse(self, stream: TcpStream, address: IpAddr, _permit: OwnedSemaphorePermit) {
        // Small answers must not wait for an acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let app = TowerToHyperService::new(self.app);
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(PeerAddress(address));
            app.call(request)
        });
        let peer = Peer { stream, patience: self.patience, stall: None };
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(peer), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke off");
        }
    }
}

/// A connection that breaks off when nothing of what is sent is taken for too long.
struct Peer {
    stream: TcpStream,
    patience: Duration,
    /// Runs while a write waits.
    stall: Option<Pin<Box<Sleep>>>,
}

impl Peer {
    fn watch(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let patience = self.patience;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        let up = || Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not take its answer"));
        stall.as_mut().poll(cx).map(|()| up())
    }
}

impl AsyncRead for Peer {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Peer {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
