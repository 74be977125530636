//! A tab: a browser within the browser, with cookies, storage and a way out of its own, for one page.
use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use super::{
    guard::Guard,
    handler::{Handler, HeldTurn},
    pipe::{Fault, Pipe},
    pool::Browser,
    watch::Watch,
};
use crate::{Code, Ctx, Error, Result, crawl::visit::Visits};

/// What a page may cost beside itself: scripts, styles and data that it asks for.
const MORE_BYTES: u64 = 200 << 20;

/// An open tab; it is closed, with all that was in it, when this is dropped.
pub(super) struct Tab {
    browser: Arc<Browser>,
    context: String,
    session: String,
    frame: String,
    /// What is known of it.
    pub watch: Arc<Watch>,
    /// Its way out.
    pub guard: Arc<Guard>,
    _end: DropGuard,
}

/// A context that is given back if the tab in it does not come up.
struct Opening<'a> {
    pipe: &'a Pipe,
    context: Option<String>,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if let Some(context) = self.context.take() {
            self.pipe.tell("", "Target.disposeBrowserContext", &json!({"browserContextId": context}));
        }
    }
}

impl Tab {
    /// Opens a tab for a page of at most `max_bytes`.
    ///
    /// # Errors
    /// [`Fault::Gone`] if the browser has crashed.
    pub(super) async fn open(
        browser: Arc<Browser>,
        ctx: &Ctx,
        visits: &Visits,
        first: &Url,
        turn: HeldTurn,
        max_bytes: u64,
    ) -> Result<Self, Fault> {
        let patience = ctx.limits.connect_timeout();
        let bytes = MORE_BYTES.saturating_add(max_bytes);
        let guard = Guard::start(visits.egress().clone(), ctx.sites.lookup(), patience, bytes).await;
        let guard = Arc::new(guard.map_err(|e| Fault::Refused(format!("no proxy for the tab: {e}")))?);
        let pipe = browser.pipe();
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();

        let proxy = json!({"proxyServer": guard.url(), "proxyBypassList": "<-loopback>", "disposeOnDetach": true});
        let context = text(&pipe.call("", "Target.createBrowserContext", proxy).await?, "browserContextId");
        let mut opening = Opening { pipe, context: Some(context.clone()) };
        let denied = json!({"behavior": "deny", "browserContextId": context});
        pipe.call("", "Browser.setDownloadBehavior", denied).await?;
        pipe.call("", "Browser.grantPermissions", json!({"permissions": [], "browserContextId": context})).await?;
        let blank = json!({"url": "about:blank", "browserContextId": context});
        let frame = text(&pipe.call("", "Target.createTarget", blank).await?, "targetId");
        let attach = json!({"targetId": frame, "flatten": true});
        let session = text(&pipe.call("", "Target.attachToTarget", attach).await?, "sessionId");

        let (place, events) = Pipe::events();
        pipe.listen(&session, place.clone());
        let watch = Arc::new(Watch::new());
        let mut bare = first.clone();
        bare.set_fragment(None);
        let end = CancellationToken::new();
        let handler = Arc::new(Handler {
            pipe: pipe.clone(),
            watch: watch.clone(),
            guard: guard.clone(),
            visits: visits.clone(),
            first: bare,
            frame: frame.clone(),
            place,
            turn,
            end: end.clone(),
        });
        tokio::spawn(end.clone().run_until_cancelled_owned(handler.run(events)));
        let (gone, told) = (pipe.clone().closed(), watch.clone());
        tokio::spawn(end.clone().run_until_cancelled_owned(async move {
            gone.await;
            told.note(|state| state.is_crashed = true);
        }));
        opening.context = None;
        let tab = Self { browser: browser.clone(), context, session, frame, watch, guard, _end: end.drop_guard() };
        for (method, parameters) in Handler::commands() {
            tab.call(method, parameters).await?;
        }
        tab.call("Page.setLifecycleEventsEnabled", json!({"enabled": true})).await?;
        tab.call("Inspector.enable", json!({})).await?;
        let cookies: Vec<_> = visits
            .cookies_for(first)
            .into_iter()
            .map(|(name, value)| json!({"name": name, "value": value, "url": first.as_str(), "path": "/"}))
            .collect();
        if !cookies.is_empty() {
            tab.call("Network.setCookies", json!({"cookies": cookies})).await?;
        }
        Ok(tab)
    }

    /// Goes to a page; when this returns its answer begins to come. If none does, the load's name and why.
    pub(super) async fn navigate(&self, url: &Url) -> Result<Option<(String, String)>, Fault> {
        let went = self.call("Page.navigate", json!({"url": url.as_str()})).await?;
        let text = |key: &str| went[key].as_str().map(String::from);
        Ok(text("errorText").map(|why| (text("loaderId").unwrap_or_default(), why)))
    }

    /// Runs a script of ours beside the page's, which cannot touch it. It is a function that answers with JSON.
    pub(super) async fn run(&self, script: &str) -> Result<Value, Fault> {
        let world = json!({"frameId": self.frame, "worldName": "icehaul"});
        let world = self.call("Page.createIsolatedWorld", world).await?;
        let run = json!({
            "expression": format!("({script})()"), "contextId": world["executionContextId"], "returnByValue": true,
        });
        let mut done = self.call("Runtime.evaluate", run).await?;
        match &done["exceptionDetails"] {
            Value::Null => Ok(done["result"]["value"].take()),
            fault => {
                Err(Fault::Refused(fault["exception"]["description"].as_str().unwrap_or("a script broke").to_owned()))
            }
        }
    }

    async fn call(&self, method: &str, params: Value) -> Result<Value, Fault> {
        tokio::select! {
            answer = self.browser.pipe().call(&self.session, method, params) => answer,
            () = self.crash() => Err(Fault::Gone),
        }
    }

    async fn crash(&self) {
        let far = tokio::time::Instant::now() + Duration::from_secs(86_400);
        while !self.watch.until(far, |state| state.is_crashed).await {}
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        let pipe = self.browser.pipe();
        // A page that computes for ever would hear nothing else.
        pipe.tell(&self.session, "Runtime.terminateExecution", &json!({}));
        pipe.tell("", "Target.disposeBrowserContext", &json!({"browserContextId": self.context}));
    }
}

/// What the browser did as an error: it is tried again with another one.
pub(super) fn fault(fault: Fault) -> Error {
    match fault {
        Fault::Gone => Error::new(
            Code::BrowserCrashed,
            "the browser broke down over the page: it may need more memory than the worker gives it",
        ),
        Fault::Refused(why) => Error::new(Code::BrowserCrashed, "the browser did not do what it was told")
            .caused_by(std::io::Error::other(why)),
    }
}
