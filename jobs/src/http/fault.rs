//! Why a site gave no answer, as an error of ours: nothing in it tells the address's parameters.
use std::{error::Error as StdError, io, iter};

use url::Url;

use crate::{Code, Error};

/// An address as errors and logs may show it: without what may be a token in it.
#[must_use]
pub fn shown(url: &Url) -> String {
    let mut shown = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
    if let Some(port) = url.port() {
        shown.push_str(&format!(":{port}"));
    }
    shown.extend(url.path().chars().take(200));
    shown
}

/// What the client's error means.
pub(super) fn fault(error: reqwest::Error, url: &Url) -> Error {
    let at = shown(url);
    // The outer messages repeat the address, in which there may be a secret.
    let error = error.without_url();
    let causes = || iter::successors(StdError::source(&error), |cause| (*cause).source());
    if let Some(ours) = causes().find_map(|cause| cause.downcast_ref::<Error>()) {
        return Error::new(ours.code(), format!("{at}: {}", ours.message()));
    }
    if let Some(tls) = causes().find_map(tls) {
        let message = format!("{at}: no secure connection: {tls}");
        return Error::new(Code::TlsError, message);
    }
    let last = causes().last().map(ToString::to_string).unwrap_or_default();
    let (code, message) = match () {
        () if error.is_timeout() && error.is_connect() => {
            (Code::SourceUnreachable, "takes no connection in time".into())
        }
        () if error.is_timeout() => {
            (Code::SourceTimeout, "did not end in the time that a page may take (`page_seconds`)".into())
        }
        () if error.is_connect() => (Code::SourceUnreachable, format!("takes no connection: {last}")),
        () => (Code::SourceInterrupted, format!("the connection broke: {last}")),
    };
    Error::new(code, format!("{at}: {message}")).caused_by(error)
}

fn tls<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    // One of I/O may hold another, which its own `source` passes over.
    let mut io = cause.downcast_ref::<io::Error>();
    while let Some(inner) = io.and_then(io::Error::get_ref) {
        if let Some(tls) = inner.downcast_ref() {
            return Some(tls);
        }
        io = inner.downcast_ref();
    }
    cause.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_parameter_is_shown() {
        let url = Url::parse("http://user:pw@example.org:8080/a/b?token=hunter2#x").expect("an address");
        assert_eq!(shown(&url), "http://example.org:8080/a/b");
        let long = Url::parse(&format!("https://example.org/{}", "a".repeat(1000))).expect("an address");
        assert_eq!(shown(&long).len(), "https://example.org".len() + 200);
    }
}
