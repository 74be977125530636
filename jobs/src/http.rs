//! The only door to the HTTP client: requests to other services, bounded in time and size.
//!
//! [`Http`] is for services that the configuration names, [`Web`] for whatever addresses come along.
mod decode;
mod fault;
mod resolve;
mod web;

use std::{error::Error as _, time::Duration};

use reqwest::Method;
pub use reqwest::header::{self, HeaderMap};

pub use fault::shown;
pub use resolve::{Lookup, system as system_lookup};
pub use web::{Call, Reply, Web, add_header, refuse_header};

use crate::{Code, Error, Result, Secret};

/// A client that keeps its connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Http(reqwest::Client);

/// What is asked.
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// Where.
    pub url: &'a str,
    /// Names and values.
    pub headers: &'a [(&'static str, &'a str)],
    /// Who asks, if that is to be proven (RFC 7617).
    pub basic: Option<(&'a str, &'a Secret)>,
    /// What is sent.
    pub body: Option<String>,
    /// How long it may take, from the connection to the last byte of the answer.
    pub timeout: Duration,
    /// The most bytes of an answer's body, decompressed.
    pub max_bytes: usize,
}

/// What was answered, whatever it means.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why there was no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// The time was over.
    Late,
    /// The body is larger than allowed.
    TooLarge,
    /// The service could not be reached, or the connection broke; a sentence without the address.
    Broken(String),
}

impl Http {
    /// A client that follows no redirects and asks no proxy: where it sends what is for its caller to say.
    ///
    /// # Errors
    /// [`Code::Internal`] if the system's certificates cannot be used.
    pub fn new(connect_timeout: Duration) -> Result<Self> {
        let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let client =
            builder.connect_timeout(connect_timeout).user_agent(concat!("icehaul/", env!("CARGO_PKG_VERSION")));
        let broken = |e| Error::new(Code::Internal, "the HTTP client cannot be set up").caused_by(e);
        client.build().map(Self).map_err(broken)
    }

    /// Sends a request and reads the answer to its end.
    ///
    /// # Errors
    /// See [`NoAnswer`]; a status that tells of a failure is an answer.
    pub async fn send(&self, request: Request<'_>) -> Result<Answer, NoAnswer> {
        let Request { method, url, headers, basic, body, timeout, max_bytes } = request;
        let mut asked = self.0.request(method, url).timeout(timeout);
        for (name, value) in headers {
            asked = asked.header(*name, *value);
        }
        if let Some((user, password)) = basic {
            asked = asked.basic_auth(user, Some(password.expose()));
        }
        if let Some(body) = body {
            asked = asked.body(body);
        }
        let mut response = asked.send().await.map_err(no_answer)?;
        let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
            if body.len() + chunk.len() > max_bytes {
                return Err(NoAnswer::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body })
    }
}

fn no_answer(error: reqwest::Error) -> NoAnswer {
    if error.is_timeout() {
        return NoAnswer::Late;
    }
    // The outer messages repeat the address, in which there may be a secret.
    let error = error.without_url();
    let mut message = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        message = cause.to_string();
        next = cause.source();
    }
    NoAnswer::Broken(message)
}
