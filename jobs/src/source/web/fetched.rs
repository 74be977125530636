//! A page at hand: as it came, or as the spool has kept it.
use bytes::Bytes;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use url::Url;

use crate::crawl;

/// Headers that are not kept: they speak of the connection, or hold a session.
const NOT_KEPT: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "keep-alive",
    "set-cookie",
    "set-cookie2",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A page.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    /// Its number, from 1.
    pub number: u32,
    /// Where it was found, after all redirects.
    pub url: Url,
    pub status: u16,
    /// Names in small letters, and values.
    pub headers: Vec<(String, String)>,
    /// Decompressed.
    pub body: Bytes,
    pub at: DateTime<Utc>,
}

impl Fetched {
    pub(super) fn new(number: u32, page: crawl::Page) -> Self {
        let text = |value: &[u8]| String::from_utf8_lossy(value).replace(['\r', '\n'], " ");
        let headers = page.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())));
        let headers = headers.filter(|(name, _)| !NOT_KEPT.contains(&name.as_str())).collect();
        Self { number, url: page.url, status: page.status, headers, body: page.body, at: page.fetched_at }
    }

    /// The first header of a name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// All headers of a name, as one.
    pub(super) fn joined(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self.headers.iter().filter(|(other, _)| other == name).map(|(_, v)| v.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The SHA-256 of the body.
    pub(super) fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.body).into()
    }

    #[cfg(test)]
    #[expect(clippy::unwrap_used, reason = "a test's own address")]
    pub(super) fn empty() -> Self {
        let url = Url::parse("https://example.org/").unwrap();
        Self { number: 1, url, status: 200, headers: Vec::new(), body: Bytes::new(), at: DateTime::UNIX_EPOCH }
    }
}
