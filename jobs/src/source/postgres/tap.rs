//! One socket with two users: the driver until the server has taken the login, then our own reader.
//!
//! The driver hands every row over a channel as a message of its own, which costs more than decoding it; it holds messages
//! of any size, and looks up types as deep as the server leads it. So it does what it does well, TLS and authentication,
//! and reads no more than that needs.
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

/// The most bytes that a login takes.
const LOGIN_BYTES: usize = 1 << 20;

/// A stream that can be held twice. The holders must take turns.
pub(super) struct Tap<S> {
    stream: Arc<Mutex<S>>,
    /// How many bytes this holder may still read; beyond them by what one read brings.
    left: usize,
}

impl<S> Tap<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream: Arc::new(Mutex::new(stream)), left: usize::MAX }
    }

    /// A hold on the stream that gives no more than a login needs.
    pub(super) fn for_login(&self) -> Self {
        Self { left: LOGIN_BYTES, ..self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, S> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hold on the stream that gives whatever comes.
impl<S> Clone for Tap<S> {
    fn clone(&self) -> Self {
        Self { stream: self.stream.clone(), left: usize::MAX }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other("the server says more than a login takes")));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut *self.lock()).poll_read(cx, buf);
        self.left = self.left.saturating_sub(buf.filled().len() - before);
        polled
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

impl<S, T> TlsConnect<Tap<S>> for TapTls<Tap<S>, T>
where
    S: Send + 'static,
    T: TlsConnect<Tap<S>> + Send + 'static,
    T::Future: Send,
    T::Stream: Send + Sync,
{
    type Stream = Tap<T::Stream>;
    type Error = T::Error;
    type Future = BoxFuture<'static, Result<Self::Stream, Self::Error>>;

    fn connect(self, stream: Tap<S>) -> Self::Future {
        // What lies within TLS is what counts from here on.
        let connecting = self.inner.connect(stream.clone());
        Box::pin(async move {
            let tap = Tap::new(connecting.await?);
            // A connector is used once, so the place is free.
            let _ = self.made.set(tap.clone());
            Ok(tap.for_login())
        })
    }
}
