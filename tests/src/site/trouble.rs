//! A site in trouble.
//!
//! `/busy?times=2&after=1[&date=1][&status=503]` answers `times` times with 429 (or `status`) and `Retry-After`, in seconds
//! or as a date, then a table; `after=no` sends none. `/flaky?times=2` answers 500 so often. `/slow?ms=300` takes its time, `/drip?ms=100`
//! sends a byte each 100 ms for ever, `/hang` never answers, `/broken` breaks off in the middle, `/status/404` is a status.
//! `/redirect?to=URL[&status=302]` leads anywhere, `/loop` to itself, `/chain?n=3` by three steps to a table.
use std::{
    convert::Infallible,
    io,
    time::{Duration, SystemTime},
};

use axum::{
    body::{Body, Bytes},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use tokio::time::sleep;

use super::{Asked, html, small_table};

pub(super) async fn answer(asked: &Asked, first: &str, second: &str) -> Response {
    let pause = Duration::from_millis(asked.number("ms", 100) as u64);
    match first {
        "busy" if asked.before < asked.number("times", 1) => busy(asked),
        "flaky" if asked.before < asked.number("times", 1) => (StatusCode::INTERNAL_SERVER_ERROR, "oh").into_response(),
        "slow" => {
            sleep(pause).await;
            html(small_table("slow"))
        }
        "drip" => {
            let bytes = stream::repeat(()).then(move |()| async move {
                sleep(pause).await;
                Ok::<_, Infallible>(Bytes::from_static(b"<"))
            });
            html(Body::from_stream(bytes))
        }
        "hang" => std::future::pending().await,
        "broken" => {
            let parts = [Ok(Bytes::from_static(b"<table><tr><td>1")), Err(io::Error::other("broken"))];
            // Half of it must have gone out before it breaks.
            let parts = stream::iter(parts).then(|part| async {
                sleep(Duration::from_millis(20)).await;
                part
            });
            html(Body::from_stream(parts))
        }
        "status" => {
            let status = second.parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
            (status.unwrap_or(StatusCode::BAD_REQUEST), "a status").into_response()
        }
        "redirect" => {
            let to = asked.query.get("to").cloned().unwrap_or_default();
            redirect(asked.number("status", 302) as u16, &to)
        }
        "loop" => redirect(302, "/loop"),
        "chain" => match asked.number("n", 3) {
            0 => html(small_table("chain")),
            n => redirect(301, &format!("/chain?n={}", n - 1)),
        },
        _ => html(small_table(first)),
    }
}

fn busy(asked: &Asked) -> Response {
    let status = StatusCode::from_u16(asked.number("status", 429) as u16).expect("a status");
    let seconds = asked.number("after", 1) as u64;
    let value = match asked.query.contains_key("date") {
        // A date has whole seconds: rounded up, so that it is not over at once.
        true => httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds + 1)),
        false => seconds.to_string(),
    };
    match asked.query.get("after").map(String::as_str) {
        Some("no") => (status, "busy").into_response(),
        _ => (status, [(header::RETRY_AFTER, value)], "busy").into_response(),
    }
}

fn redirect(status: u16, to: &str) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [(header::LOCATION, to.to_owned())], "elsewhere").into_response()
}
