//! The outermost layer: request ids, bodies of errors, security headers, figures, the log of failures.
use std::{error::Error as _, panic::AssertUnwindSafe, time::Instant};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use icehaul_jobs::{Code, Error};
use uuid::Uuid;

use crate::{
    AppState, guard,
    problem::{ApiError, Failure, PROBLEM_JSON, Problem, set},
};

/// Names a request in answers and logs.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every answer carries unless its page says otherwise.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

pub(crate) async fn edge(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);

    let handled = async {
        match guard::check(&request, &state.config) {
            Ok(()) => next.run(request).await,
            Err(refusal) => ApiError::from(refusal).into_response(),
        }
    };
    let handled = AssertUnwindSafe(handled).catch_unwind().await;
    let mut response =
        handled.unwrap_or_else(|_| ApiError::from(Error::new(Code::Internal, "a handler panicked")).into_response());
    if let Some(Failure(error)) = response.extensions_mut().remove::<Failure>() {
        if response.status().is_server_error() {
            log(&error, &id, method.as_str(), route);
        }
        let body = serde_json::to_vec(&Problem::new(&error, &id)).unwrap_or_default();
        *response.body_mut() = Body::from(body);
        response.headers_mut().remove(header::CONTENT_LENGTH);
        set(&mut response, header::CONTENT_TYPE, PROBLEM_JSON);
    }
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    set(&mut response, REQUEST_ID, &id);
    state.metrics.count(&method, route, response.status(), started.elapsed());
    response
}

/// The caller's id if it is harmless in a log, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let harmless = |text: &&str| {
        (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    };
    given.filter(harmless).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

fn log(error: &Error, request_id: &str, method: &str, route: &str) {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    // Many an error repeats the one that it wraps.
    causes.dedup();
    let code = error.code().as_str();
    tracing::error!(request_id, method, route, code, cause = causes.join(": "), "request failed: {error}");
}
