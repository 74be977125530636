//! What the site was asked, and when.
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::http::request::Parts;

/// A request, as it came.
#[derive(Clone, Debug)]
pub struct Hit {
    /// When, since the site began.
    pub at: Duration,
    /// `GET`, `POST`.
    pub method: String,
    /// The path and its query.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The other end of its connection.
    pub from: SocketAddr,
    /// How many requests were under way then, this one included.
    pub active: usize,
}

impl Hit {
    pub(super) fn new(began: Instant, parts: &Parts, path: &str, from: SocketAddr, active: usize) -> Self {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        Self {
            at: began.elapsed(),
            method: parts.method.to_string(),
            path: path.to_owned(),
            headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect(),
            from,
            active,
        }
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}
