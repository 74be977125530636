//! What is done with a page until it is taken: it loads, something appears, it is scrolled, "load more" is clicked.
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{pipe::Fault, rendering::Rendering, tab, tab::Tab, watch::State};
use crate::{Code, Error, Result};

/// How often is looked.
const LOOK: Duration = Duration::from_millis(50);
/// How long a page that has loaded must ask for nothing, and how long that is waited for at most.
const QUIET: Duration = Duration::from_millis(500);
const MOST_QUIET: Duration = Duration::from_secs(5);
/// How long is waited for the last picture of a page that is there.
const MOST_LOAD: Duration = Duration::from_secs(10);
/// After a step: how long the page must be quiet once it has changed, how long it may do nothing at all, and how long it
/// may take.
const SETTLED: Duration = Duration::from_millis(300);
const NOTHING: Duration = Duration::from_secs(2);
const MOST_STEP: Duration = Duration::from_secs(15);

/// Counts the changes of the page's elements and texts.
const CHANGES: &str = "() => { globalThis.seen ??= (() => { const seen = {count: 0}; \
     new MutationObserver(list => { seen.count += list.length; }) \
     .observe(document, {subtree: true, childList: true, characterData: true}); return seen; })(); return globalThis.seen.count; }";

/// Scrolls to the end and gives the height.
const SCROLL: &str = "() => { const page = document.scrollingElement ?? document.documentElement; \
     const height = page.scrollHeight; scrollTo(0, height); return height; }";
const HEIGHT: &str = "() => (document.scrollingElement ?? document.documentElement).scrollHeight";

/// A tab, and until when its page must be done.
pub(super) struct Steps<'a> {
    pub tab: &'a Tab,
    pub rendering: &'a Rendering,
    pub end: Instant,
    /// What is waited for, as the error says it.
    pub stage: Mutex<String>,
}

impl Steps<'_> {
    /// Waits until the page is there, not yet with all that belongs to it.
    pub(super) async fn begin(&self) {
        self.stage("the page to be there");
        // The empty page of a new tab is ready too.
        let holds = |state: &State| {
            let has_come = state.answer().is_some() || state.unreachable.is_some();
            (state.is_ready && has_come) || state.is_crashed || state.refusal.is_some()
        };
        if !self.tab.watch.until(self.end, holds).await {
            // The time is over: whoever waits for this says so.
            std::future::pending::<()>().await;
        }
    }

    /// All steps after that.
    ///
    /// # Errors
    /// [`Code::InvalidSelector`] if the browser does not know a selector; [`Code::BrowserCrashed`]. It ends by itself only
    /// if what is waited for comes.
    pub(super) async fn take(&self) -> Result<()> {
        match &self.rendering.wait_for {
            Some(selector) => self.appear(selector).await?,
            None => self.load().await,
        }
        if let Some(times) = self.rendering.scroll {
            self.scroll(times).await?;
        }
        if let Some((selector, times)) = self.rendering.clicks() {
            self.click(selector, times).await?;
        }
        Ok(())
    }

    pub(super) fn stage(&self, what: impl Into<String>) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = what.into();
    }

    async fn appear(&self, selector: &str) -> Result<()> {
        self.stage(format!("something that matches `{selector}`"));
        let script = format!("() => document.querySelector({}) !== null", json!(selector));
        while self.run(&script).await? != Some(Value::Bool(true)) {
            sleep(LOOK).await;
        }
        Ok(())
    }

    async fn load(&self) {
        self.stage("the page to load");
        let end = self.end.min(Instant::now() + MOST_LOAD);
        self.tab.watch.until(end, |state| state.is_loaded || state.is_crashed).await;
        let end = self.end.min(Instant::now() + MOST_QUIET);
        while self.tab.watch.quiet() < QUIET && Instant::now() < end {
            sleep(LOOK).await;
        }
    }

    async fn scroll(&self, times: u32) -> Result<()> {
        for n in 1..=times {
            self.stage(format!("what comes after scrolling {n} times"));
            let before = self.run(SCROLL).await?;
            let begin = Instant::now();
            let is_longer = loop {
                sleep(LOOK).await;
                let now = self.run(HEIGHT).await?;
                if now.is_some() && height(&now) > height(&before) && self.tab.watch.quiet() >= SETTLED {
                    break true;
                }
                if self.is_idle(begin) {
                    break height(&now) > height(&before);
                }
            };
            if !is_longer {
                break;
            }
        }
        Ok(())
    }

    async fn click(&self, selector: &str, times: u32) -> Result<()> {
        let script = format!(
            "() => {{ const button = document.querySelector({}); \
             if (!button || button.disabled || button.ariaDisabled === 'true' || !button.checkVisibility({{visibilityProperty: true}})) return false; \
             button.scrollIntoView({{block: 'center'}}); button.click(); return true; }}",
            json!(selector)
        );
        for n in 1..=times {
            self.stage(format!("what comes after clicking {n} times on `{selector}`"));
            let before = self.run(CHANGES).await?;
            if self.run(&script).await? != Some(Value::Bool(true)) {
                break;
            }
            let begin = Instant::now();
            let has_changed = loop {
                sleep(LOOK).await;
                // Another page has no changes yet, which is another number too.
                let has_changed = self.run(CHANGES).await? != before;
                if has_changed && self.tab.watch.quiet() >= SETTLED {
                    break true;
                }
                if self.is_idle(begin) {
                    break has_changed;
                }
            };
            if !has_changed {
                break;
            }
        }
        Ok(())
    }

    /// Whether the page does no more after a step.
    fn is_idle(&self, begin: Instant) -> bool {
        let since = begin.elapsed();
        since >= MOST_STEP || (since >= NOTHING && self.tab.watch.quiet() >= QUIET)
    }

    /// Runs a script; `None` while the page is about to become another.
    async fn run(&self, script: &str) -> Result<Option<Value>> {
        match self.tab.run(script).await {
            Ok(value) => Ok(Some(value)),
            Err(Fault::Refused(why)) if why.contains("SyntaxError") => {
                let message = "the browser does not know the selector in `wait_for` or `click`";
                Err(Error::new(Code::InvalidSelector, message))
            }
            Err(Fault::Refused(_)) => Ok(None),
            Err(gone) => Err(tab::fault(gone)),
        }
    }
}

fn height(value: &Option<Value>) -> u64 {
    value.as_ref().and_then(Value::as_f64).map_or(0, |height| height as u64)
}
