//! Who may see what.
//!
//! `/login` has a form with a hidden token (also in a cookie) that is sent to `/session`; [`USER`] and [`PASSWORD`] are right,
//! and `/members` shows a table to who has come that way. `/basic` and `/bearer` want [`USER`] and [`PASSWORD`], or [`TOKEN`].
//! `/oauth/token` gives tokens to the client [`USER`] with [`PASSWORD`], for `/oauth/table` (`/oauth/token?seconds=2`: for so
//! long). `/echo` is a table of the request's headers.
use std::{fmt::Write, sync::Arc};

use axum::{
    Json,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{Asked, Shared, html, locked, small_table};

/// Who may log in.
pub const USER: &str = "reader";
/// By what.
pub const PASSWORD: &str = "canary-7391-hunter2";
/// What else is taken.
pub const TOKEN: &str = "canary-token-5512";

/// Both in base64, as basic authentication has them.
const BASIC: &str = "Basic cmVhZGVyOmNhbmFyeS03MzkxLWh1bnRlcjI=";
const CSRF: &str = "form-token-1";
const SESSION: &str = "session-of-reader";

pub(super) fn answer(shared: &Arc<Shared>, asked: &Asked, first: &str, second: &str) -> Response {
    let authorization = asked.header(header::AUTHORIZATION);
    match (first, second) {
        ("login", _) => {
            let cookie = [(header::SET_COOKIE, format!("csrf={CSRF}; Path=/; HttpOnly"))];
            (cookie, html(form(""))).into_response()
        }
        ("session", _) if asked.method == Method::POST => log_in(asked),
        ("members", _) if has_cookie(asked, "sid", SESSION) => {
            html(format!("<a class=logout href=/logout>Log out</a>{}", small_table("members")))
        }
        ("members", _) => (StatusCode::FOUND, [(header::LOCATION, "/login")]).into_response(),
        ("basic", _) if authorization == BASIC => html(small_table("basic")),
        ("basic", _) => unauthorized("Basic realm=\"site\""),
        ("bearer", _) if authorization == format!("Bearer {TOKEN}") => html(small_table("bearer")),
        ("bearer", _) => unauthorized("Bearer"),
        ("oauth", "token") => give_token(shared, asked, authorization),
        ("oauth", _) => match authorization.strip_prefix("Bearer ") {
            Some(token) if locked(&shared.tokens).iter().any(|own| own == token) => html(small_table("oauth")),
            _ => unauthorized("Bearer error=\"invalid_token\""),
        },
        ("echo", _) => html(echo(asked)),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn form(note: &str) -> String {
    format!(
        "<!doctype html><title>Sign in</title>{note}<form action='/search'><input name=q></form>\
         <form method=post action='/session'><input type=hidden name=csrf value='{CSRF}'>\
         <input name=user><input type=password name=pass><button name=go value=1>Sign in</button></form>"
    )
}

fn log_in(asked: &Asked) -> Response {
    let is = |name: &str, value: &str| asked.form.get(name).is_some_and(|own| own == value);
    let honest = is("csrf", CSRF) && has_cookie(asked, "csrf", CSRF) && is("go", "1");
    if !(honest && is("user", USER) && is("pass", PASSWORD)) {
        return html(form("<p class=error>Wrong."));
    }
    let cookie = format!("sid={SESSION}; Path=/; HttpOnly; SameSite=Lax");
    (StatusCode::SEE_OTHER, [(header::SET_COOKIE, cookie), (header::LOCATION, "/members".into())]).into_response()
}

fn has_cookie(asked: &Asked, name: &str, value: &str) -> bool {
    asked.header(header::COOKIE).split("; ").any(|pair| pair == format!("{name}={value}"))
}

fn give_token(shared: &Arc<Shared>, asked: &Asked, authorization: &str) -> Response {
    let is = |name: &str, value: &str| asked.form.get(name).is_some_and(|own| own == value);
    let known = authorization == BASIC || is("client_id", USER) && is("client_secret", PASSWORD);
    if asked.method != Method::POST || !known || !is("grant_type", "client_credentials") {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": "invalid_client"}))).into_response();
    }
    let token = format!("token-{}", uuid::Uuid::new_v4().simple());
    locked(&shared.tokens).push(token.clone());
    let seconds = asked.number("seconds", 3600);
    Json(json!({"access_token": token, "token_type": "Bearer", "expires_in": seconds})).into_response()
}

fn unauthorized(challenge: &'static str) -> Response {
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], "who asks?").into_response()
}

fn echo(asked: &Asked) -> String {
    let mut text = String::from("<!doctype html><title>echo</title><table><tr><th>name<th>value</tr>");
    for (name, value) in &asked.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).replace('&', "&amp;").replace('<', "&lt;");
        let _ = write!(text, "<tr><td>{name}<td>{value}</tr>");
    }
    text + "</table>"
}
