//! What handlers take from a request; whatever is wrong with it becomes an [`ApiError`].
use std::{net::IpAddr, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
    http::{HeaderMap, header, request::Parts},
};
use futures::StreamExt;
use icehaul_jobs::{Code, Error, FieldError, JobId, TableName, queue::Requester, spec};
use icehaul_lake::Namespace;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    AppState, Result,
    config::seconds,
    problem::{ApiError, parameter},
};

/// The most characters of a `User-Agent` that are kept.
const MAX_AGENT: usize = 200;

/// The query string, read as strictly as a body: `T`'s schema names the parameters, here and in the documentation.
pub(crate) struct Params<T>(pub T);

impl<T: DeserializeOwned + JsonSchema> FromRequestParts<AppState> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self> {
        params(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn params<T: DeserializeOwned + JsonSchema>(query: &str) -> Result<T> {
    let schema = spec::schema_of::<T>();
    let mut fields = Map::new();
    for (name, text) in url::form_urlencoded::parse(query.as_bytes()) {
        if text.contains(char::REPLACEMENT_CHARACTER) {
            return Err(parameter(&name, "must be percent-encoded UTF-8"));
        }
        let value = typed(&schema["properties"][name.as_ref()], text.into_owned());
        if fields.insert(name.to_string(), value).is_some() {
            return Err(parameter(&name, "this parameter is given twice"));
        }
    }
    spec::read_request(fields.into(), |_| Vec::new()).map_err(|error| {
        let faults = error.field_errors().iter();
        Error::fields(faults.map(|fault| FieldError { code: Code::InvalidParameter, ..fault.clone() }).collect()).into()
    })
}

/// The text as a number or truth value where the schema asks for one; what is none stays text, for the schema to refuse.
fn typed(schema: &Value, text: String) -> Value {
    let is = |name: &str| match &schema["type"] {
        Value::Array(types) => types.iter().any(|one| one == name),
        one => one == name,
    };
    if is("integer") {
        return text.parse::<i64>().map_or_else(|_| text.into(), Value::from);
    }
    if is("boolean") {
        return text.parse::<bool>().map_or_else(|_| text.into(), Value::from);
    }
    text.into()
}

/// The body of a JSON request: of the right type, not too large, not too slow.
pub(crate) struct JsonBody(pub Vec<u8>);

impl FromRequest<AppState> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self> {
        if !is_json(request.headers()) {
            let message = "send the body as JSON, with the header `Content-Type: application/json`";
            return Err(Error::new(Code::UnsupportedMediaType, message).into());
        }
        if request.headers().get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            let message = "send the body as it is, without compression and the header `Content-Encoding`";
            return Err(Error::new(Code::UnsupportedMediaType, message).into());
        }
        let (time, most) = (seconds(state.config.body_timeout_seconds), state.config.max_body_bytes);
        match tokio::time::timeout(time, read(request.into_body(), most)).await {
            Ok(body) => body.map(Self),
            Err(_) => Err(Error::new(Code::RequestTimeout, format!("the body took longer than {time:?}")).into()),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(text)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let mut parts = text.split(';').map(|part| part.trim().to_ascii_lowercase());
    let essence = parts.next().unwrap_or_default();
    let json = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    json && parts
        .all(|part| !part.starts_with("charset=") || part.trim_start_matches("charset=").trim_matches('"') == "utf-8")
}

/// Reads a body. One that is somewhat too large is read to its end and forgotten, because many clients look for an
/// answer only after they have sent everything.
async fn read(body: Body, most: usize) -> Result<Vec<u8>> {
    let (mut bytes, mut seen) = (Vec::new(), 0_usize);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|e| Error::new(Code::InvalidJson, "the body broke off").caused_by(e))?;
        seen += chunk.len();
        if seen > most {
            bytes = Vec::new();
        } else {
            bytes.extend_from_slice(&chunk);
        }
        if seen > most.saturating_mul(16) {
            break;
        }
    }
    if seen > most {
        return Err(Error::new(Code::BodyTooLarge, format!("the body may have at most {most} bytes")).into());
    }
    Ok(bytes)
}

/// The path's parameter `{name}`, decoded.
async fn path_param(parts: &mut Parts, state: &AppState, name: &str) -> Result<String> {
    let params = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| parameter(name, "must be percent-encoded UTF-8"))?;
    Ok(params.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).unwrap_or_default())
}

/// The path's job id.
pub(crate) struct JobPath(pub JobId);

impl FromRequestParts<AppState> for JobPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self> {
        let text = path_param(parts, state, "job_id").await?;
        let id = Some(&text).filter(|text| text.len() == 36).and_then(|text| text.parse().ok());
        id.map(Self).ok_or_else(|| parameter("job_id", "a job id is a UUID: 36 characters, with hyphens"))
    }
}

/// The path's migration id: a job's id, in a batch with the number of the table after it.
pub(crate) struct MigrationPath(pub String);

impl FromRequestParts<AppState> for MigrationPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self> {
        let text = path_param(parts, state, "migration_id").await?;
        let (job, part) = text.split_once('.').map_or((text.as_str(), None), |(job, part)| (job, Some(part)));
        // The id becomes part of a file's name: nothing but this form passes.
        let is_job = job.len() == 36 && job.parse::<JobId>().is_ok_and(|id| id.to_string() == job);
        let is_part = |part: &str| (1..=6).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        match is_job && part.is_none_or(is_part) {
            true => Ok(Self(text)),
            false => {
                Err(parameter("migration_id", "a migration id is that of its job, in a batch with `.` and a number"))
            }
        }
    }
}

/// The path's namespace.
pub(crate) struct NamespacePath(pub Namespace);

impl FromRequestParts<AppState> for NamespacePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self> {
        let text = path_param(parts, state, "namespace").await?;
        let name =
            Namespace::new(&text).map_err(|e| Error::field("namespace", Code::InvalidIdentifier, e.message()))?;
        Ok(Self(name))
    }
}

/// The path's namespace and table.
pub(crate) struct TablePath(pub TableName);

impl FromRequestParts<AppState> for TablePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self> {
        let NamespacePath(namespace) = NamespacePath::from_request_parts(parts, state).await?;
        let text = path_param(parts, state, "table").await?;
        let name = TableName::new(namespace.as_str(), &text)
            .map_err(|e| Error::field("table", Code::InvalidIdentifier, e.message()))?;
        Ok(Self(name))
    }
}

/// `Prefer: wait=N` (RFC 7240), at most as long as configured. What is malformed is no preference, as the RFC has it.
pub(crate) struct Wait(pub Option<Duration>);

impl FromRequestParts<AppState> for Wait {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self> {
        let longest = state.config.max_wait_seconds;
        Ok(Self(preferred_wait(&parts.headers).map(|seconds| Duration::from_secs(seconds.min(longest)))))
    }
}

fn preferred_wait(headers: &HeaderMap) -> Option<u64> {
    let all = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences =
        all.flat_map(|value| value.split(',')).filter_map(|one| one.split(';').next()?.split_once('='));
    let (_, seconds) = preferences.find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))?;
    seconds.trim().trim_matches('"').parse().ok()
}

/// `Idempotency-Key`.
pub(crate) struct IdempotencyKey(pub Option<String>);

impl FromRequestParts<AppState> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self> {
        const NAME: &str = "idempotency-key";
        let wrong = || parameter("Idempotency-Key", "must be given once, with 1 to 255 printable ASCII characters");
        let mut keys = parts.headers.get_all(NAME).iter();
        let Some(key) = keys.next() else { return Ok(Self(None)) };
        let key = key.to_str().ok().filter(|key| (1..=255).contains(&key.len())).ok_or_else(wrong)?;
        if keys.next().is_some() || !key.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Err(wrong());
        }
        Ok(Self(Some(key.to_owned())))
    }
}

/// The address at the other end of the connection.
#[derive(Clone, Copy)]
pub(crate) struct PeerAddress(pub IpAddr);

/// Who asks, as far as it can be known without users: the program's own word, and the connection's address.
pub(crate) struct Caller(pub Requester);

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self> {
        let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let peer = parts.extensions.get::<PeerAddress>();
        Ok(Self(Requester {
            name: "anonymous".to_owned(),
            client: agent.chars().take(MAX_AGENT).collect(),
            address: peer.map(|peer| peer.0.to_canonical().to_string()).unwrap_or_default(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::HeaderName::from_static(name), HeaderValue::from_str(value).expect("value"))])
    }

    #[test]
    fn content_types_that_are_json() {
        for (text, json) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/merge-patch+json", true),
            ("application/json; charset=latin1", false),
            ("text/json", false),
            ("application/x-www-form-urlencoded", false),
        ] {
            assert_eq!(is_json(&headers("content-type", text)), json, "{text}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn preferences_are_read_as_the_rfc_says() {
        for (text, seconds) in [
            ("wait=5", Some(5)),
            ("respond-async, WAIT = \"7\"; x=1", Some(7)),
            ("wait", None),
            ("wait=-1", None),
            ("wait=soon", None),
            ("wait=1, wait=2", Some(1)),
        ] {
            assert_eq!(preferred_wait(&headers("prefer", text)), seconds, "{text}");
        }
    }

    #[test]
    fn parameters_are_read_strictly() {
        #[derive(Debug, PartialEq, serde::Deserialize, JsonSchema)]
        struct Page {
            #[schemars(range(min = 1, max = 500))]
            limit: Option<u32>,
            q: Option<String>,
        }
        let read = |query: &str| params::<Page>(query).map_err(|e| format!("{e:?}"));
        assert_eq!(read("limit=5&q=7+a"), Ok(Page { limit: Some(5), q: Some("7 a".into()) }));
        assert_eq!(read(""), Ok(Page { limit: None, q: None }));
        for (query, word) in [
            ("limit=0", "limit"),
            ("limit=ten", "limit"),
            ("q=1&q=1", "twice"),
            ("limits=1", "limits"),
            ("q=%ff", "UTF-8"),
        ] {
            let error = read(query).expect_err(query);
            assert!(error.contains(word) && error.contains("InvalidParameter"), "{query}: {error}");
        }
    }
}
