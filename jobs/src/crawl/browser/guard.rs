//! The only way out for a tab: a proxy on the loopback interface, known to this one tab by a secret, that looks names up
//! itself and connects to nothing but what [`Egress`] permits. What the browser says about addresses counts for nothing.
mod meter;

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    client::conn::http1 as client,
    header::{self, HeaderName, HeaderValue},
    server::conn::http1 as server,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::{Host, Url};

use self::meter::{Meter, Metered};
use crate::{
    Code, Error, Result,
    crawl::egress::Egress,
    http::{Lookup, shown},
};

/// The user of the secret.
pub(super) const USER: &str = "icehaul";
/// Connections at once; a browser opens 32 to a proxy.
const CONNECTIONS: usize = 128;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(30);
/// The most hosts whose refusal is remembered.
const REFUSALS: usize = 1000;

/// What concerns one connection and is not handed on.
const HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// A running proxy; it ends, with all its connections, when this is dropped.
pub(super) struct Guard {
    address: SocketAddr,
    secret: String,
    shared: Arc<Shared>,
    _end: DropGuard,
}

struct Shared {
    egress: Arc<Egress>,
    lookup: Lookup,
    patience: Duration,
    authorization: HeaderValue,
    meter: Arc<Meter>,
    refusals: Mutex<HashMap<String, (Code, String)>>,
    end: CancellationToken,
}

impl Guard {
    /// Starts a proxy through which `bytes` may come and go.
    pub(super) async fn start(egress: Arc<Egress>, lookup: Lookup, patience: Duration, bytes: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let secret = format!("{:032x}", rand::random::<u128>());
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{secret}")));
        let authorization = HeaderValue::try_from(basic).map_err(io::Error::other)?;
        let end = CancellationToken::new();
        let shared = Arc::new(Shared {
            egress,
            lookup,
            patience,
            authorization,
            meter: Arc::new(Meter::new(bytes)),
            refusals: Mutex::default(),
            end: end.clone(),
        });
        tokio::spawn(end.clone().run_until_cancelled_owned(accept(listener, shared.clone())));
        Ok(Self { address, secret, shared, _end: end.drop_guard() })
    }

    /// As the browser is told of it.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the browser answers when it is asked who it is.
    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// Why the last connection to the host of an address was not made.
    pub(super) fn refusal(&self, url: &Url) -> Option<Error> {
        let refusals = self.shared.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let (code, message) = refusals.get(&place(url))?;
        Some(Error::new(*code, format!("{}: {message}", shown(url))))
    }

    /// Whether the tab has had all the bytes that it may have.
    pub(super) fn is_spent(&self) -> bool {
        self.shared.meter.is_spent()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(seat) = seats.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (of_service, end) = (shared.clone(), shared.end.clone());
        let service = service_fn(move |request| {
            let shared = of_service.clone();
            async move { Ok::<_, Infallible>(shared.answer(request).await) }
        });
        let mut builder = server::Builder::new();
        builder.preserve_header_case(true).timer(TokioTimer::new()).header_read_timeout(HEAD);
        let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
        tokio::spawn(end.run_until_cancelled_owned(async move {
            let _ = connection.await;
            drop(seat);
        }));
    }
}

impl Shared {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        if request.headers().get(header::PROXY_AUTHORIZATION) != Some(&self.authorization) {
            let mut response = empty(StatusCode::PROXY_AUTHENTICATION_REQUIRED);
            let challenge = HeaderValue::from_static("Basic realm=\"icehaul\"");
            response.headers_mut().insert(header::PROXY_AUTHENTICATE, challenge);
            return response;
        }
        let is_tunnel = request.method() == Method::CONNECT;
        let address = if is_tunnel { format!("https://{}/", request.uri()) } else { request.uri().to_string() };
        let Ok(url) = Url::parse(&address) else { return empty(StatusCode::BAD_REQUEST) };
        let stream = match self.connect(&url).await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(host = place(&url), code = error.code().as_str(), "a page's request was refused");
                return self.refuse(&url, &error);
            }
        };
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).remove(&place(&url));
        if is_tunnel {
            let end = self.end.clone();
            tokio::spawn(end.run_until_cancelled_owned(tunnel(request, stream, self.meter.clone())));
            return empty(StatusCode::OK);
        }
        match self.forward(request, stream).await {
            Ok(response) => response,
            Err(error) => {
                let message = "the connection broke before the answer";
                self.refuse(&url, &Error::new(Code::SourceInterrupted, message).caused_by(error))
            }
        }
    }

    async fn connect(&self, url: &Url) -> Result<TcpStream> {
        self.egress.check(url)?;
        if self.meter.is_spent() {
            return Err(Error::new(Code::ResponseTooLarge, "the page asks for more bytes than it may have"));
        }
        let answers = match url.host() {
            Some(Host::Ipv4(address)) => vec![IpAddr::V4(address)],
            Some(Host::Ipv6(address)) => vec![IpAddr::V6(address)],
            Some(Host::Domain(name)) => (self.lookup)(name.to_owned())
                .await
                .map_err(|e| Error::new(Code::SourceUnreachable, "the host's name has no address").caused_by(e))?,
            None => Vec::new(),
        };
        let port = url.port_or_known_default().unwrap_or_default();
        // Connected to is what was checked: a second answer of DNS is not asked for.
        for address in self.egress.filter(answers)? {
            if let Ok(Ok(stream)) = timeout(self.patience, TcpStream::connect((address, port))).await {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
        }
        Err(Error::new(Code::SourceUnreachable, "the host takes no connection"))
    }

    /// Hands a request on over a connection of its own, and the answer back.
    async fn forward(&self, request: Request<Incoming>, stream: TcpStream) -> hyper::Result<Response<Body>> {
        let (mut sender, connection) =
            client::Builder::new().preserve_header_case(true).handshake(TokioIo::new(stream)).await?;
        tokio::spawn(self.end.clone().run_until_cancelled_owned(connection));
        let (mut parts, body) = request.into_parts();
        parts.uri = parts.uri.path_and_query().map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()));
        strip(&mut parts.headers);
        let response = sender.send_request(Request::from_parts(parts, Metered::new(body, self.meter.clone()))).await?;
        let (mut parts, body) = response.into_parts();
        strip(&mut parts.headers);
        Ok(Response::from_parts(parts, Metered::new(body, self.meter.clone()).boxed_unsync()))
    }

    fn refuse(&self, url: &Url, error: &Error) -> Response<Body> {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() < REFUSALS {
            refusals.insert(place(url), (error.code(), error.message().to_owned()));
        }
        // The page learns no more than that there was no answer.
        empty(StatusCode::BAD_GATEWAY)
    }
}

async fn tunnel(request: Request<Incoming>, stream: TcpStream, meter: Arc<Meter>) {
    if let Ok(upgraded) = hyper::upgrade::on(request).await {
        let mut metered = meter::Stream::new(stream, meter);
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(upgraded), &mut metered).await;
    }
}

/// A host and its port.
fn place(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<_> = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok()).collect();
    let named: Vec<_> = named.iter().flat_map(|names| names.split(',')).map(|name| name.trim().to_owned()).collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
