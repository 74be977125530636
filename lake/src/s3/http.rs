//! How the store is reached: the one HTTP client of this crate. What it answers is bounded here, for the library collects
//! all of an answer; contents of objects are bounded where they are read.
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt;
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    },
};
use reqwest::{Client, Method, redirect::Policy};
use url::Url;

use super::invalid;
use crate::{Error, Kind, Result};

/// The longest answer that is no object: a thousand keys of a listing are less than half of it.
const MOST_ANSWER: usize = 16 << 20;
/// As much of a refusal is read; none says more.
const MOST_REFUSAL: usize = 1 << 20;
/// How long such an answer may take once it began. Stores keep a connection alive while they join an upload's parts.
const ANSWER_TIME: Duration = Duration::from_mins(5);

/// Makes clients that take no proxy from the environment and follow no redirect: both would lead signed requests to others.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) https_only: bool,
    pub(super) connect_timeout: Duration,
    pub(super) silence_timeout: Duration,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = Client::builder()
            .user_agent(concat!("icehaul/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(Policy::none())
            .https_only(self.https_only)
            // One connection a request is faster than many requests over one connection.
            .http1_only()
            // Bodies as they are: their sizes are those of the objects.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.silence_timeout)
            .build();
        let client = client.map_err(|e| object_store::Error::Generic { store: "S3", source: Box::new(e) })?;
        Ok(HttpClient::new(Bounded(client)))
    }
}

/// A client whose answers, but for the contents of objects, have an end in size and time.
#[derive(Debug)]
struct Bounded(Client);

#[async_trait]
impl HttpService for Bounded {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let of_object = request.method() == Method::GET && request.uri().query().is_none();
        let (parts, body) = self.0.call(request).await?.into_parts();
        let body = match parts.status.is_success() {
            true if of_object => body,
            true => in_time(answer(body)).await?.into(),
            false => in_time(refusal(body)).await?.into(),
        };
        Ok(HttpResponse::from_parts(parts, body))
    }
}

async fn in_time<T>(reading: impl Future<Output = Result<T, HttpError>>) -> Result<T, HttpError> {
    let read = tokio::time::timeout(ANSWER_TIME, reading).await;
    read.unwrap_or_else(|late| Err(HttpError::new(HttpErrorKind::Timeout, late)))
}

async fn answer(body: HttpResponseBody) -> Result<Vec<u8>, HttpError> {
    let (bytes, is_whole) = collect(body, MOST_ANSWER).await?;
    let long = || Error::new(Kind::StoreUnreachable, "the store's answer has more than 16 MiB: no S3 store's has");
    // Of this kind nothing is tried again.
    if is_whole { Ok(bytes) } else { Err(HttpError::new(HttpErrorKind::Decode, long())) }
}

/// What is said of a refusal, cut where it is too long: its status tells more.
async fn refusal(body: HttpResponseBody) -> Result<String, HttpError> {
    let (bytes, _) = collect(body, MOST_REFUSAL).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The first bytes of a body, and whether these are all.
async fn collect(body: HttpResponseBody, most: usize) -> Result<(Vec<u8>, bool), HttpError> {
    let (mut bytes, mut pieces) = (Vec::new(), body.bytes_stream());
    while let Some(piece) = pieces.try_next().await? {
        let room = most - bytes.len();
        bytes.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            return Ok((bytes, false));
        }
    }
    Ok((bytes, true))
}

/// An endpoint as configured.
pub(super) fn endpoint(text: &str) -> Result<Url> {
    let wrong =
        || invalid("the endpoint must be like `https://host:port`, without user, password and query".to_owned());
    let url = Url::parse(text).map_err(|_| wrong())?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let known = ["http", "https"].contains(&url.scheme());
    if known && plain && url.fragment().is_none() && url.host_str().is_some() { Ok(url) } else { Err(wrong()) }
}

/// The endpoint without a slash at its end; with the bucket in the host's name if one is given.
pub(super) fn address(endpoint: &Url, bucket: Option<&str>) -> String {
    let mut url = endpoint.clone();
    if let (Some(bucket), Some(host)) = (bucket, endpoint.host_str()) {
        // A host that is an address takes no name before it: then the bucket is not found, which is said.
        let _ = url.set_host(Some(&format!("{bucket}.{host}")));
    }
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_stands_where_it_is_wanted() {
        let url = endpoint("http://s3.example.com:9000/").expect("endpoint");
        assert_eq!(address(&url, None), "http://s3.example.com:9000");
        assert_eq!(address(&url, Some("raw")), "http://raw.s3.example.com:9000");
    }
}
