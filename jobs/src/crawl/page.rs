//! What is asked of a site, and what comes back.
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    Code, Error, Result, Retry,
    http::{HeaderMap, header, shown},
};

/// The longest validator that is kept.
const LONGEST_VALIDATOR: usize = 1024;

/// A page to be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Where.
    pub url: &'a Url,
    /// What the last run knows of it: the site may then say that nothing has changed.
    pub validators: Option<&'a Validators>,
}

/// A page as it came.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it was found, after all redirects.
    pub url: Url,
    /// Its status: of a success, or 304.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its bytes, decompressed.
    pub body: Bytes,
    /// When it was asked for.
    pub fetched_at: DateTime<Utc>,
    /// Whether it is what the validators were of; then there is no body.
    pub not_modified: bool,
}

/// How a later run asks whether a page has changed (RFC 9110, 8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// `ETag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// `Last-Modified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

impl Page {
    /// A header's value, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The `Content-Type`.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.header(header::CONTENT_TYPE.as_str())
    }

    /// What a later run may ask with; `None` if the site gives nothing for that.
    #[must_use]
    pub fn validators(&self) -> Option<Validators> {
        let of = |name: header::HeaderName| {
            self.header(name.as_str()).filter(|value| value.len() <= LONGEST_VALIDATOR).map(String::from)
        };
        let found = Validators { etag: of(header::ETAG), last_modified: of(header::LAST_MODIFIED) };
        Some(found).filter(|found| *found != Validators::default())
    }
}

/// Whether a status is that of a page.
///
/// # Errors
/// The status' code, such as [`Code::Http404`]; 429, 408 and 5xx may be better later.
pub fn judge(status: u16, url: &Url) -> Result<()> {
    let code = match status {
        200..=299 => return Ok(()),
        400 => Code::Http400,
        401 => Code::Http401,
        403 => Code::Http403,
        404 => Code::Http404,
        405 => Code::Http405,
        410 => Code::Http410,
        429 => Code::Http429,
        500 => Code::Http500,
        502 => Code::Http502,
        503 => Code::Http503,
        504 => Code::Http504,
        _ => Code::HttpError,
    };
    let advice = match status {
        401 => "; give `auth`, or look whether it is right",
        403 => "; it may want a login (`auth`), other `headers`, or not be asked by programs at all",
        404 | 410 => "; look whether the address is right",
        429 => "; a longer `delay_seconds` helps",
        300..=399 => ", a redirect that does not say where to",
        _ => "",
    };
    let error = Error::new(code, format!("{} answers with status {status}{advice}", shown(url)));
    Err(if status == 408 || status >= 500 { error.with_retry(Retry::Backoff) } else { error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_tells_whether_to_come_again() {
        let url = Url::parse("https://example.org/a?key=hunter2").expect("an address");
        for (status, code, retry) in [
            (404, Code::Http404, Retry::Never),
            (429, Code::Http429, Retry::Backoff),
            (503, Code::Http503, Retry::Backoff),
            (418, Code::HttpError, Retry::Never),
            (302, Code::HttpError, Retry::Never),
            (520, Code::HttpError, Retry::Backoff),
            (408, Code::HttpError, Retry::Backoff),
        ] {
            let error = judge(status, &url).expect_err("no page");
            assert_eq!((error.code(), error.retry()), (code, retry), "{status}");
            assert!(error.message().contains("https://example.org/a answers") && !error.message().contains("hunter2"));
        }
        assert!(judge(204, &url).is_ok());
    }
}
