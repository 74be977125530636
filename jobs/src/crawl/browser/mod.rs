//! Pages that scripts make: Chromium, told over its own protocol what to do, with no way out but through a guard.
//!
//! [`process`] starts and ends it, [`pipe`] speaks with it, [`pool`] keeps one for the worker. A page has a [`tab`] with its
//! own [`guard`], a [`handler`] that answers what it asks meanwhile and notes what is to be known in its [`watch`]; [`steps`]
//! are what the request wants done.
mod guard;
mod handler;
mod memory;
mod pipe;
mod pool;
mod process;
mod rendering;
mod steps;
mod tab;
mod watch;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use chrono::Utc;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use url::Url;

use self::{pipe::Fault, steps::Steps, tab::Tab, watch::Answer};
use super::{
    page::{Page, judge},
    retries::{Again, Retries},
    turn::host_of,
    visit::Visits,
};
use crate::{
    Code, Ctx, Error, Result, Retry,
    http::{HeaderMap, add_header, header, shown},
};
pub use pool::Browsers;
pub use rendering::Rendering;

/// The most bytes of a page that a browser makes.
const MOST_BYTES: u64 = 100 << 20;
/// How long an empty tab may take to open.
const OPEN: Duration = Duration::from_secs(30);
/// How long a page that did not become ready may take to say its title.
const LAST_WORD: Duration = Duration::from_secs(1);
/// What the browser shows as pages.
const PAGES: [&str; 2] = ["text/html", "application/xhtml+xml"];

/// Lets a browser make a page, and takes the HTML of its document. It waits for the turn of the page's host itself, and comes
/// again where that may help, as [`Visits::get`] does.
///
/// # Errors
/// Those of [`Visits::turn`] and of [`judge`]; [`Code::BrowserUnavailable`], [`Code::BrowserCrashed`],
/// [`Code::RenderTimeout`], [`Code::EgressBlocked`], [`Code::UnexpectedContentType`], [`Code::ResponseTooLarge`], and
/// those of the network.
pub async fn render(ctx: &Ctx, visits: &Visits, url: &Url, rendering: &Rendering, max_bytes: u64) -> Result<Page> {
    let max_bytes = max_bytes.min(MOST_BYTES);
    let browsers = ctx.sites.browsers();
    let work = async {
        let _seat = browsers.seat().await?;
        let (mut has_crashed, mut retries) = (false, Retries::default());
        loop {
            let browser = browsers.get().await?;
            let turn = Arc::new(tokio::sync::Mutex::new(Some(visits.turn(url).await?)));
            let tab = Tab::open(browser.clone(), ctx, visits, url, turn.clone(), max_bytes);
            let (made, unwelcome) = match timeout(OPEN, tab).await {
                Ok(Ok(tab)) => (make(&tab, url, rendering, max_bytes).await, tab.watch.look().unwelcome.take()),
                Ok(Err(fault)) => (Err(tab::fault(fault)), None),
                Err(_) => {
                    // It does not answer: no page of it will come any more.
                    browser.kill();
                    (Err(tab::fault(Fault::Gone)), None)
                }
            };
            *turn.lock().await = None;
            match made {
                Err(error) if let Some(answer) = unwelcome => {
                    match retries.after_status(answer.status, &headers(&answer.headers)) {
                        None => return Err(error),
                        Some(Again::After(time)) => sleep(time).await,
                        Some(Again::Pause(time)) => {
                            let at = Url::parse(&answer.url).unwrap_or_else(|_| url.clone());
                            visits.pause(&host_of(&at), time).await?;
                        }
                    }
                }
                Err(error) if error.code() == Code::BrowserCrashed && !has_crashed => {
                    tracing::warn!(job_id = %ctx.job, url = shown(url), cause = ?error, "the browser broke down; the page is asked for again");
                    has_crashed = true;
                }
                made => return made,
            }
        }
    };
    ctx.stop.or(work).await
}

/// Goes to a page, does the steps, and takes it.
async fn make(tab: &Tab, url: &Url, rendering: &Rendering, max_bytes: u64) -> Result<Page> {
    let fetched_at = Utc::now();
    let end = Instant::now() + rendering.time();
    let steps = Steps { tab, rendering, end, stage: Mutex::new("the site's answer".to_owned()) };
    let work = async {
        if let Some((load, why)) = tab.navigate(url).await.map_err(tab::fault)? {
            if !why.ends_with("ERR_ABORTED") {
                // What is known of it comes with the browser's own page about it.
                let soon = Instant::now() + LAST_WORD;
                tab.watch
                    .until(soon, |state| state.refusal.is_some() || (state.is_ready && state.loader == load))
                    .await;
            }
            return Err(no_page(tab, url, &load, &why));
        }
        steps.begin().await;
        arrived(tab, url)?;
        steps.take().await?;
        // A script may have led elsewhere since.
        let answer = arrived(tab, url)?;
        steps.stage("the page's text");
        Ok((take(tab, max_bytes).await?, answer))
    };
    let Ok(made) = timeout_at(end, work).await else { return Err(late(tab, &steps, url).await) };
    let (html, answer) = made?;
    let found = Url::parse(&answer.url).unwrap_or_else(|_| url.clone());
    Ok(Page {
        url: found,
        status: answer.status,
        headers: headers(&answer.headers),
        body: Bytes::from(html),
        fetched_at,
        not_modified: false,
    })
}

/// Whether the document that is there is the page, and how it came.
fn arrived(tab: &Tab, url: &Url) -> Result<Answer> {
    let mut state = tab.watch.look();
    if let Some(refusal) = state.refusal.take() {
        return Err(refusal);
    }
    if state.is_crashed {
        return Err(tab::fault(Fault::Gone));
    }
    if let Some(at) = state.unreachable.as_deref().and_then(|at| Url::parse(at).ok()) {
        let load = state.loader.clone();
        drop(state);
        return Err(no_page(tab, &at, &load, "the browser could not reach it"));
    }
    let Some(answer) = state.answer().cloned() else {
        return Err(Error::new(Code::EgressBlocked, format!("{} leads to what is no address of the web", shown(url))));
    };
    drop(state);
    answered(tab, url, answer)
}

/// Whether an answer is that of a page.
fn answered(tab: &Tab, url: &Url, answer: Answer) -> Result<Answer> {
    let at = Url::parse(&answer.url).unwrap_or_else(|_| url.clone());
    if answer.status == 502
        && let Some(refusal) = tab.guard.refusal(&at)
    {
        return Err(refusal);
    }
    if let Err(error) = judge(answer.status, &at) {
        tab.watch.look().unwelcome = Some(answer);
        return Err(error);
    }
    if PAGES.contains(&answer.mime.as_str()) {
        return Ok(answer);
    }
    let message =
        format!("{} is {}, and not a page that a browser makes; ask without `render`", shown(&at), answer.mime);
    Err(Error::new(Code::UnexpectedContentType, message))
}

/// Why no document came: by our word, by the guard's, by the site's status, by the browser's name for it.
fn no_page(tab: &Tab, url: &Url, load: &str, why: &str) -> Error {
    let mut state = tab.watch.look();
    let refusal = state.refusal.take();
    let answer = state.answers.get(load).cloned();
    drop(state);
    let judged = answer.and_then(|answer| answered(tab, url, answer).err());
    refusal.or(judged).or_else(|| tab.guard.refusal(url)).unwrap_or_else(|| no_answer(url, why))
}

/// Why no document came, by the browser's name for it.
fn no_answer(url: &Url, why: &str) -> Error {
    let at = shown(url);
    let why = why.trim_start_matches("net::");
    match why {
        _ if why.starts_with("ERR_CERT") || why.starts_with("ERR_SSL") => {
            Error::new(Code::TlsError, format!("{at}: no secure connection: {why}"))
        }
        "ERR_TOO_MANY_REDIRECTS" => Error::new(Code::TooManyRedirects, format!("{at} redirects without end")),
        // What the browser would save as a file ends so.
        "ERR_ABORTED" => Error::new(
            Code::UnexpectedContentType,
            format!("{at} is a file to download, and not a page that a browser makes; ask without `render`"),
        ),
        _ => Error::new(Code::SourceUnreachable, format!("{at}: no answer: {why}")),
    }
}

/// The document's HTML, in UTF-8.
async fn take(tab: &Tab, max_bytes: u64) -> Result<String> {
    // The length in bytes is at least that in UTF-16 units.
    let script = format!(
        "() => {{ const type = document.doctype ? new XMLSerializer().serializeToString(document.doctype) : ''; \
         const page = document.documentElement?.outerHTML ?? ''; \
         return page.length > {max_bytes} ? page.length : (type + page).toWellFormed(); }}"
    );
    let html = loop {
        match tab.run(&script).await {
            Ok(serde_json::Value::String(html)) => break html,
            Ok(_) => return Err(too_large(max_bytes)),
            // It is about to become another.
            Err(Fault::Refused(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(gone) => return Err(tab::fault(gone)),
        }
    };
    if html.len() as u64 > max_bytes {
        return Err(too_large(max_bytes));
    }
    if tab.guard.is_spent() {
        return Err(Error::new(Code::ResponseTooLarge, "the page asks for more data than a page may"));
    }
    Ok(html)
}

fn too_large(max: u64) -> Error {
    Error::new(
        Code::ResponseTooLarge,
        format!("the page that the browser makes has more than {max} bytes; raise `max_bytes`"),
    )
}

async fn late(tab: &Tab, steps: &Steps<'_>, url: &Url) -> Error {
    let has_come = tab.watch.look().answer().is_some();
    if has_come && let Err(error) = arrived(tab, url) {
        return error;
    }
    let title = timeout(LAST_WORD, tab.run("() => document.title")).await.ok().and_then(std::result::Result::ok);
    let title = title.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().trim();
    let title = if title.is_empty() {
        "it has no title".to_owned()
    } else {
        format!("its title is {:?}", title.chars().take(200).collect::<String>())
    };
    let stage = steps.stage.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let message = format!(
        "{}: waited for {stage} until `render_seconds` ({} s) were over; {title}",
        shown(url),
        steps.rendering.time().as_secs_f64()
    );
    // A page that was there and is not as expected will not be another time either.
    let retry = if tab.watch.look().is_loaded { Retry::Never } else { Retry::Backoff };
    Error::new(Code::RenderTimeout, message).with_retry(retry)
}

/// The site's headers, but for those that are not true of the document's HTML.
fn headers(site: &HashMap<String, String>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in site {
        add_header(&mut headers, name, value);
    }
    for name in [
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::ETAG,
        header::LAST_MODIFIED,
    ] {
        headers.remove(name);
    }
    add_header(&mut headers, header::CONTENT_TYPE.as_str(), "text/html; charset=utf-8");
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_browser_says_has_a_code() {
        let url = Url::parse("https://example.org/a?token=hunter2").expect("an address");
        for (why, code) in [
            ("net::ERR_CERT_AUTHORITY_INVALID", Code::TlsError),
            ("net::ERR_SSL_PROTOCOL_ERROR", Code::TlsError),
            ("net::ERR_TOO_MANY_REDIRECTS", Code::TooManyRedirects),
            ("net::ERR_ABORTED", Code::UnexpectedContentType),
            ("net::ERR_TUNNEL_CONNECTION_FAILED", Code::SourceUnreachable),
        ] {
            let error = no_answer(&url, why);
            assert_eq!(error.code(), code, "{why}");
            assert!(!error.message().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn headers_are_true_of_what_was_made() {
        let site = [("content-type", "text/html; charset=iso-8859-1"), ("content-encoding", "gzip"), ("x-a", "b")];
        let site = site.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let headers = headers(&site);
        assert_eq!(headers.get("content-type").and_then(|value| value.to_str().ok()), Some("text/html; charset=utf-8"));
        assert!(!headers.contains_key("content-encoding") && headers.contains_key("x-a"));
    }
}
