//! One socket with two users: the driver for the talk before a COPY, our own reader for the rows.
//!
//! The driver hands every row over a channel as a message of its own, which costs more than decoding it. So it does what
//! it does well (TLS, authentication, statements), and the rows are read from the same socket once it is silent.
use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// Anything that bytes are read from and written to.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A stream that can be held twice. The holders must take turns.
pub(super) struct Tap<S>(Arc<Mutex<S>>);

impl<S> Tap<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(Arc::new(Mutex::new(stream)))
    }

    fn lock(&self) -> MutexGuard<'_, S> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Clone for Tap<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write(cx, buf)
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(cx)
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_shutdown(cx)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Tap<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.lock().channel_binding()
    }
}

/// A TLS connector that keeps a second hold on the stream it makes.
pub(super) struct TapTls<S, T: TlsConnect<S>> {
    inner: T,
    made: Arc<OnceLock<Tap<T::Stream>>>,
}

impl<S, T: TlsConnect<S>> TapTls<S, T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner, made: Arc::default() }
    }

    /// Where the stream will be found, if the server speaks TLS.
    pub(super) fn made(&self) -> Arc<OnceLock<Tap<T::Stream>>> {
        self.made.clone()
    }
}

impl<S, T> TlsConnect<S> for TapTls<S, T>
where
    S: Send + 'static,
    T: TlsConnect<S> + Send + 'static,
    T::Future: Send,
    T::Stream: Send + Sync,
{
    type Stream = Tap<T::Stream>;
    type Error = T::Error;
    type Future = BoxFuture<'static, Result<Self::Stream, Self::Error>>;

    fn connect(self, stream: S) -> Self::Future {
        let connecting = self.inner.connect(stream);
        Box::pin(async move {
            let tap = Tap::new(connecting.await?);
            // A connector is used once, so the place is free.
            let _ = self.made.set(tap.clone());
            Ok(tap)
        })
    }
}
