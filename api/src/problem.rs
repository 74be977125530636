//! Errors as RFC 9457 problems.
use std::sync::Arc;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use icehaul_jobs::{Code, Error, FieldError};
use schemars::JsonSchema;
use serde::Serialize;

/// The media type of problems.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// How long a caller should wait after a failure that passes, in seconds.
const RETRY_AFTER_SECONDS: u64 = 5;

/// The body of every error (RFC 9457).
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// Where the code is explained, relative to the API's address.
    #[serde(rename = "type")]
    pub kind: String,
    /// What holds for every problem with this code.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong here, and what to do about it.
    pub detail: String,
    /// The stable name to act upon.
    pub code: Code,
    /// The fields or parameters it concerns.
    pub errors: Vec<FieldError>,
    /// Names this answer in the server's log.
    pub request_id: String,
}

impl Problem {
    pub(crate) fn new(error: &Error, request_id: &str) -> Self {
        let code = error.code();
        // A defect's message may quote what nobody has reviewed; the log has it.
        let detail = match code {
            Code::Internal => "Something broke inside Icehaul. Its log tells what, under this request_id.".to_owned(),
            _ => error.message().to_owned(),
        };
        Self {
            kind: format!("/docs#{}", code.as_str()),
            title: code.title(),
            status: code.http(),
            detail,
            code,
            errors: error.field_errors().to_vec(),
            request_id: request_id.to_owned(),
        }
    }
}

/// An error on its way out; [`crate::edge`] writes its body, because only there the request's id is known.
#[derive(Debug)]
pub(crate) struct ApiError(Error);

impl<E: Into<Error>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// What [`ApiError`] leaves in a response for the edge to find.
#[derive(Clone)]
pub(crate) struct Failure(pub Arc<Error>);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.code().http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
        }
        response.extensions_mut().insert(Failure(Arc::new(self.0)));
        response
    }
}

/// A wrong query, path or header parameter.
pub(crate) fn parameter(name: &str, detail: impl Into<String>) -> ApiError {
    Error::field(name, Code::InvalidParameter, detail).into()
}

/// The table that a list is narrowed to: jobs and records know it as `namespace.table`.
pub(crate) fn table_parameter(table: Option<String>) -> Result<Option<String>, ApiError> {
    match &table {
        Some(name) if name.split('.').count() != 2 => {
            Err(parameter("table", "must be `namespace.table`, without a catalog"))
        }
        _ => Ok(table),
    }
}

/// Sets a header whose value is text of our own making.
pub(crate) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
