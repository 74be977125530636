//! The pages for people, and the OpenAPI document that one of them shows.
use std::sync::LazyLock;

use axum::{
    Router,
    http::{HeaderName, header},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::AppState;

/// What our pages may load: their own files, and answers of this API.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";

/// The pages: self-contained, nothing is loaded from elsewhere.
pub(super) fn router() -> Router<AppState> {
    let page = |media: &'static str, text: &'static str| get(move || async move { file(media, text) });
    Router::new()
        .route("/", page(HTML, include_str!("../pages/index.html")))
        .route("/docs", page(HTML, include_str!("../pages/docs.html")))
        .route("/docs/docs.js", page("text/javascript; charset=utf-8", include_str!("../pages/docs.js")))
        .route("/docs/page.css", page("text/css; charset=utf-8", include_str!("../pages/page.css")))
}

fn file(media: &'static str, text: &'static str) -> Response {
    const HEADERS: [(HeaderName, &str); 2] =
        [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-cache")];
    (HEADERS, [(header::CONTENT_TYPE, media)], text).into_response()
}

pub(crate) async fn openapi() -> Response {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| crate::openapi().to_string());
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}
