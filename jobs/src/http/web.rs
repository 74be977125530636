//! The guarded client: for addresses that others choose. Each is checked as it is written, as DNS answers, and as it is
//! connected to; no proxy is asked, no redirect followed, and no answer is larger or slower than allowed.
use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{
    Method, Response,
    header::{self, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use url::Url;

use super::{
    decode::{ACCEPTED, Body, too_large},
    fault::{fault, shown},
    resolve::{Guarded, Lookup},
};
use crate::{Code, Error, Result, crawl::egress::Egress};

/// How long a connection is kept that nobody uses, and how many of them to a host.
const IDLE: Duration = Duration::from_secs(20);
const IDLE_CONNECTIONS: usize = 16;
/// What is read of an answer that is not wanted, so that its connection can be used again.
const UNWANTED_BYTES: usize = 64 << 10;

/// A client that keeps its connections, but nothing of what sites set. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Web {
    client: reqwest::Client,
    egress: Arc<Egress>,
}

/// What is asked: a page, or with a `form` the answer to it.
pub struct Call<'a> {
    /// Where.
    pub url: &'a Url,
    /// What is said beside the client's own headers.
    pub headers: HeaderMap,
    /// A form to send, URL-encoded.
    pub form: Option<String>,
    /// How long it may take, from the connection to the last byte.
    pub timeout: Duration,
    /// The most bytes of the body, decompressed.
    pub max_bytes: usize,
    /// Whether a larger body is cut there instead of refused.
    pub cut: bool,
}

/// What was answered, whatever it means.
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body of a success, decompressed; of other answers nothing.
    pub body: Bytes,
}

impl Web {
    /// A client that goes where `egress` lets it, by the addresses of `lookup`.
    ///
    /// # Errors
    /// [`Code::Internal`] if the system's certificates cannot be used or the user agent is no header.
    pub fn new(egress: Arc<Egress>, lookup: Lookup, user_agent: &str, connect_timeout: Duration) -> Result<Self> {
        let accepted = [
            (header::ACCEPT, "text/html,application/xhtml+xml,application/json,application/xml;q=0.9,*/*;q=0.8"),
            (header::ACCEPT_ENCODING, ACCEPTED),
        ];
        let accepted = accepted.map(|(name, value)| (name, HeaderValue::from_static(value)));
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .gzip(false)
            .brotli(false)
            .zstd(false)
            .http1_only()
            .dns_resolver(Arc::new(Guarded { egress: egress.clone(), lookup }))
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .default_headers(HeaderMap::from_iter(accepted))
            .user_agent(user_agent)
            .build()
            .map_err(|e| Error::new(Code::Internal, "the HTTP client cannot be set up").caused_by(e))?;
        Ok(Self { client, egress })
    }

    /// Asks once.
    ///
    /// # Errors
    /// [`Code::EgressBlocked`], [`Code::SourceUnreachable`], [`Code::TlsError`], [`Code::SourceTimeout`],
    /// [`Code::SourceInterrupted`], [`Code::ResponseTooLarge`], [`Code::DecompressedTooLarge`], [`Code::BadCompression`],
    /// [`Code::Truncated`]; a status that tells of a failure is an answer.
    pub async fn call(&self, call: Call<'_>) -> Result<Reply> {
        let Call { url, headers, form, timeout, max_bytes, cut } = call;
        self.egress.check(url)?;
        let method = if form.is_some() { Method::POST } else { Method::GET };
        let mut request = self.client.request(method, url.clone()).headers(headers).timeout(timeout);
        if let Some(form) = form {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        }
        let mut response = request.send().await.map_err(|e| fault(e, url))?;
        if response.remote_addr().is_some_and(|peer| !self.egress.permits(peer.ip())) {
            return Err(Error::new(Code::EgressBlocked, format!("{}: the connection led elsewhere", shown(url))));
        }
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let body = match status.is_success() {
            true => read(&mut response, &headers, url, max_bytes, cut).await?,
            false => {
                leave(&mut response).await;
                Bytes::new()
            }
        };
        Ok(Reply { status: status.as_u16(), headers, body })
    }
}

async fn read(response: &mut Response, headers: &HeaderMap, url: &Url, max: usize, cut: bool) -> Result<Bytes> {
    if !cut && response.content_length().is_some_and(|length| length > max as u64) {
        return Err(too_large(max));
    }
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    let mut body = Body::new(encoding, max)?;
    while let Some(chunk) = response.chunk().await.map_err(|e| fault(e, url))? {
        match body.take(&chunk) {
            Err(_) if cut && body.is_full() => return Ok(body.cut().into()),
            taken => taken?,
        }
    }
    body.end().map(Bytes::from)
}

/// Reads the rest of a short answer; the connection of a longer one is given up.
async fn leave(response: &mut Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read > UNWANTED_BYTES {
            return;
        }
    }
}

/// What is wrong with a header of a request: the client has some of its own, by which it is known or which it needs.
#[must_use]
pub fn refuse_header(name: &str, value: &str) -> Option<&'static str> {
    const OURS: [&str; 15] = [
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "if-modified-since",
        "if-none-match",
        "keep-alive",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    ];
    let name = name.to_ascii_lowercase();
    match () {
        () if name == "cookie" => Some("is given as `cookies`"),
        () if name == "user-agent" => Some("is `scrape.user_agent` of the configuration, so that sites know who asks"),
        () if OURS.contains(&name.as_str()) || name.starts_with("proxy-") => Some("is for the client to say"),
        () if HeaderName::from_bytes(name.as_bytes()).is_err() => Some("is no name of a header"),
        () if HeaderValue::from_str(value).is_err() => Some("has a value that no header can have"),
        () => None,
    }
}

/// Adds a header whose value no log shows; one that is none is left out.
pub fn add_header(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(mut value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
}
