//! One operation of the API: where it is, who answers, and what its documentation says.
use axum::{
    Router,
    extract::Request,
    handler::Handler,
    http::{HeaderMap, Method, header},
    middleware::{Next, from_fn},
    response::IntoResponse,
    routing::{MethodRouter, on},
};
use icehaul_jobs::{Code, Error, spec};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use crate::{AppState, problem::parameter};

/// Makes the schema of a type, once the generator is there.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A header of requests that an operation heeds.
#[derive(Clone, Copy)]
pub(crate) enum RequestHeader {
    IdempotencyKey,
    Prefer,
    IfNoneMatch,
    LastEventId,
}

/// A reply that is no error.
pub(crate) struct Reply {
    pub status: u16,
    pub about: &'static str,
    pub schema: Option<SchemaOf>,
    pub headers: &'static [&'static str],
}

/// One operation.
pub(crate) struct Operation {
    pub method: Method,
    pub path: String,
    pub tag: &'static str,
    pub id: String,
    pub summary: String,
    pub query: Option<Value>,
    pub request_headers: &'static [RequestHeader],
    pub body: Option<Value>,
    pub media: &'static str,
    /// Another media type in which it answers if that is asked for.
    pub also: &'static [&'static str],
    pub replies: Vec<Reply>,
    pub codes: Vec<Code>,
    handler: MethodRouter<AppState>,
}

impl Operation {
    fn new<H, T>(method: Method, path: impl Into<String>, tag: &'static str, id: impl Into<String>, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        let filter = method.clone().try_into().unwrap_or(axum::routing::MethodFilter::GET);
        Self {
            handler: on(filter, handler),
            method,
            path: path.into(),
            tag,
            id: id.into(),
            summary: String::new(),
            query: None,
            request_headers: &[],
            body: None,
            media: "application/json",
            also: &[],
            replies: Vec::new(),
            codes: vec![
                Code::InvalidParameter,
                Code::NotAcceptable,
                Code::HostNotAllowed,
                Code::OriginNotAllowed,
                Code::Internal,
            ],
        }
    }

    /// An operation that only reads.
    pub fn get<H: Handler<T, AppState>, T: 'static>(path: &str, tag: &'static str, id: &str, handler: H) -> Self {
        Self::new(Method::GET, path, tag, id, handler)
    }

    /// An operation that does something.
    pub fn post<H: Handler<T, AppState>, T: 'static>(path: &str, tag: &'static str, id: &str, handler: H) -> Self {
        Self::new(Method::POST, path, tag, id, handler)
    }

    /// One sentence about it.
    pub fn about(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// Takes the query parameters of `T`; without this call it takes none.
    pub fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(spec::schema_of::<T>());
        self
    }

    /// Heeds these headers.
    pub fn headers(mut self, headers: &'static [RequestHeader]) -> Self {
        self.request_headers = headers;
        self
    }

    /// Takes a JSON body of this schema.
    pub fn body(mut self, schema: Value) -> Self {
        self.body = Some(schema);
        self.fails(&[
            Code::InvalidJson,
            Code::EmptyBody,
            Code::UnsupportedMediaType,
            Code::BodyTooLarge,
            Code::RequestTimeout,
            Code::InvalidRequest,
            Code::InvalidField,
            Code::UnknownField,
            Code::MissingField,
            Code::DuplicateField,
            Code::ConflictingFields,
        ])
    }

    /// Answers in this media type instead of JSON.
    pub fn media(mut self, media: &'static str) -> Self {
        self.media = media;
        self
    }

    /// Answers in these media types too, if the caller wants one of them.
    pub fn also(mut self, media: &'static [&'static str]) -> Self {
        self.also = media;
        self
    }

    /// Answers with a `T`.
    pub fn reply<T: JsonSchema>(mut self, status: u16, about: &'static str, headers: &'static [&'static str]) -> Self {
        let schema: SchemaOf = |generator| generator.subschema_for::<T>();
        self.replies.push(Reply { status, about, schema: Some(schema), headers });
        self
    }

    /// Answers without a body of interest.
    pub fn plain(mut self, status: u16, about: &'static str) -> Self {
        self.replies.push(Reply { status, about, schema: None, headers: &[] });
        self
    }

    /// Fails with these codes, beside those that every operation has.
    pub fn fails(mut self, codes: &[Code]) -> Self {
        self.codes.extend_from_slice(codes);
        self
    }

    /// Adds it to a router, behind the checks that hold for all operations.
    pub fn mount(self, router: Router<AppState>) -> Router<AppState> {
        let (media, also, takes_query) = (self.media, self.also, self.query.is_some());
        let checked = move |request: Request, next: Next| async move {
            match check(&request, media, also, takes_query) {
                Ok(()) => next.run(request).await,
                Err(refusal) => refusal.into_response(),
            }
        };
        router.route(&self.path, self.handler.route_layer(from_fn(checked)))
    }
}

fn check(request: &Request, media: &str, also: &[&str], takes_query: bool) -> crate::Result<()> {
    if let Some(query) = request.uri().query().filter(|query| !takes_query && !query.is_empty()) {
        let name = query.split(['=', '&']).next().unwrap_or_default();
        return Err(parameter(&name.chars().take(60).collect::<String>(), "this address takes no parameters"));
    }
    if !accepts(request.headers(), media) && !also.iter().any(|also| accepts(request.headers(), also)) {
        return Err(Error::new(Code::NotAcceptable, format!("this address answers in {media} only")).into());
    }
    Ok(())
}

/// Whether the caller names this media type, as browsers do HTML, rather than JSON.
pub(crate) fn prefers(headers: &HeaderMap, media: &str) -> bool {
    let (named, json) = (weight(headers, media), weight(headers, "application/json"));
    named.is_some_and(|(rank, weight)| {
        rank > 1 && weight > 0.0 && json.is_none_or(|(known, other)| (rank, weight) > (known, other))
    })
}

/// Whether `Accept` allows the media type (RFC 9110, 12.5.1).
fn accepts(headers: &HeaderMap, media: &str) -> bool {
    let asks = headers.get_all(header::ACCEPT).iter().any(|value| !value.as_bytes().trim_ascii().is_empty());
    weight(headers, media).map_or(!asks, |(_, weight)| weight > 0.0)
}

/// How special the range of `Accept` is that fits the media type best, and its weight.
fn weight(headers: &HeaderMap, media: &str) -> Option<(usize, f32)> {
    let media = media.split(';').next().unwrap_or_default();
    let family = media.split('/').next().unwrap_or_default();
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut best: Option<(usize, f32)> = None;
    for range in values.flat_map(|value| value.split(',')).filter(|range| !range.trim().is_empty()) {
        let mut parts = range.split(';').map(|part| part.trim().to_ascii_lowercase());
        let rank = match parts.next().unwrap_or_default() {
            full if full == media => 3,
            part if part.strip_suffix("/*") == Some(family) => 2,
            all if all == "*/*" || all == "*" => 1,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=").map(|q| q.parse::<f32>().unwrap_or(1.0)));
        if best.is_none_or(|(known, _)| rank > known) {
            best = Some((rank, weight.unwrap_or(1.0)));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn accept_is_heeded() {
        for (accept, fine) in [
            ("application/json", true),
            ("application/*;q=0.1", true),
            ("*/*", true),
            ("text/html, application/xhtml+xml, */*;q=0.8", true),
            ("text/html", false),
            ("application/json;q=0, */*", false),
            ("", true),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_str(accept).expect("value"))]);
            assert_eq!(accepts(&headers, "application/json"), fine, "{accept}");
        }
        assert!(accepts(&HeaderMap::new(), "text/plain; version=0.0.4"));
    }

    #[test]
    fn a_browser_gets_the_page_and_a_program_the_document() {
        for (accept, html) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("text/html", true),
            ("application/json", false),
            ("*/*", false),
            ("", false),
            ("text/html;q=0.5, application/json", false),
            ("text/html;q=0", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_str(accept).expect("value"))]);
            assert_eq!(prefers(&headers, "text/html"), html, "{accept}");
        }
    }
}
