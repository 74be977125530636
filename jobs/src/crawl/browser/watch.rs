//! What is known of a tab: its document, how far it has loaded, what it still waits for.
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::{sync::Notify, time::Instant};

use crate::Error;

/// The most requests that are remembered as under way.
const MOST_OPEN: usize = 10_000;

/// What is known of a tab.
pub(super) struct Watch {
    state: Mutex<State>,
    changed: Notify,
}

pub(super) struct State {
    /// The document that is there, by the name that the browser gives to each load.
    pub loader: String,
    /// Its scripts that must run first have run.
    pub is_ready: bool,
    /// It has loaded with all that belongs to it.
    pub is_loaded: bool,
    /// The address of the document, if there is only the browser's own page that it could not be had.
    pub unreachable: Option<String>,
    /// The tab's process has crashed.
    pub is_crashed: bool,
    /// The answers of the last two documents, by their load.
    pub answers: HashMap<String, Answer>,
    /// Why a document was not asked for.
    pub refusal: Option<Error>,
    /// The answer with a status other than success that came in place of the page.
    pub unwelcome: Option<Answer>,
    /// How many requests it has made.
    pub requests: u32,
    /// How many pages the tab has gone to.
    pub documents: u32,
    open: HashSet<String>,
    quiet_since: Instant,
}

/// How a document came.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    /// Where from.
    pub url: String,
    /// The status.
    pub status: u16,
    /// What it is, without parameters.
    pub mime: String,
    /// The headers.
    pub headers: HashMap<String, String>,
}

impl Answer {
    /// From the protocol's `Response`.
    pub(super) fn of(response: &Value) -> Self {
        let text = |key: &str| response[key].as_str().unwrap_or_default().to_owned();
        let headers = response["headers"].as_object().into_iter().flatten();
        Self {
            url: text("url"),
            status: response["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or_default(),
            mime: text("mimeType"),
            headers: headers
                .filter_map(|(name, value)| Some((name.to_ascii_lowercase(), value.as_str()?.to_owned())))
                .collect(),
        }
    }
}

impl Watch {
    pub(super) fn new() -> Self {
        let state = State {
            loader: String::new(),
            is_ready: false,
            is_loaded: false,
            unreachable: None,
            is_crashed: false,
            answers: HashMap::new(),
            refusal: None,
            unwelcome: None,
            requests: 0,
            documents: 0,
            open: HashSet::new(),
            quiet_since: Instant::now(),
        };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Looks at what is known.
    pub(super) fn look(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes something; whoever waits looks again.
    pub(super) fn note(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.look());
        self.changed.notify_waiters();
    }

    /// Waits until something holds, or until a time.
    pub(super) async fn until(&self, end: Instant, holds: impl Fn(&State) -> bool) -> bool {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if holds(&self.look()) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout_at(end, wait).await.is_ok()
    }

    /// How long nothing has been asked for or waited for.
    pub(super) fn quiet(&self) -> Duration {
        self.look().quiet(Instant::now())
    }
}

impl State {
    fn quiet(&self, now: Instant) -> Duration {
        if self.open.is_empty() { now.saturating_duration_since(self.quiet_since) } else { Duration::ZERO }
    }

    /// A document begins.
    pub(super) fn begin(&mut self, loader: &str, now: Instant) {
        loader.clone_into(&mut self.loader);
        (self.is_ready, self.is_loaded, self.unreachable) = (false, false, None);
        self.open.clear();
        self.quiet_since = now;
    }

    /// The answer for a document has come, which may begin later.
    pub(super) fn answered(&mut self, loader: &str, answer: Answer) {
        self.answers.retain(|known, _| *known == self.loader);
        self.answers.insert(loader.to_owned(), answer);
    }

    /// How the document that is there came.
    pub(super) fn answer(&self) -> Option<&Answer> {
        self.answers.get(&self.loader)
    }

    /// A request has begun.
    pub(super) fn asked(&mut self, request: &str, now: Instant) {
        if self.open.len() < MOST_OPEN {
            self.open.insert(request.to_owned());
        }
        self.quiet_since = now;
    }

    /// A request has ended.
    pub(super) fn ended(&mut self, request: &str, now: Instant) {
        if self.open.remove(request) {
            self.quiet_since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tab_is_quiet_when_nothing_is_under_way() {
        let watch = Watch::new();
        let begin = Instant::now();
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        let mut state = watch.look();
        state.asked("1", at(0));
        assert_eq!(state.quiet(at(5000)), Duration::ZERO);
        state.ended("1", at(5000));
        state.ended("unknown", at(5600));
        assert_eq!(state.quiet(at(5700)), Duration::from_millis(700));
        state.asked("2", at(6000));
        state.begin("L2", at(6500));
        assert_eq!(state.loader, "L2");
        assert_eq!(state.quiet(at(6510)), Duration::from_millis(10), "what another document waits for does not count");
    }

    #[tokio::test]
    async fn waiting_ends_with_what_is_waited_for_or_with_the_time() {
        let watch = std::sync::Arc::new(Watch::new());
        let (waiting, other) = (watch.clone(), watch.clone());
        let long = Instant::now() + Duration::from_secs(60);
        let ready = tokio::spawn(async move { waiting.until(long, |state| state.is_ready).await });
        tokio::task::yield_now().await;
        other.note(|state| state.is_crashed = true);
        other.note(|state| state.is_ready = true);
        assert!(ready.await.expect("no panic"));
        assert!(!watch.until(Instant::now(), |state| state.is_loaded).await);
    }

    #[test]
    fn the_answer_is_the_documents_own() {
        let watch = Watch::new();
        let response = |status: u16| {
            serde_json::json!({"url": "https://example.org/", "status": status, "mimeType": "text/html",
                "headers": {"ETag": "\"x\""}})
        };
        watch.note(|state| state.answered("A", Answer::of(&response(200))));
        assert!(watch.look().answer().is_none());
        watch.note(|state| state.begin("A", Instant::now()));
        watch.note(|state| state.answered("B", Answer::of(&response(404))));
        let state = watch.look();
        let answer = state.answer().expect("an answer");
        assert_eq!((answer.status, answer.headers["etag"].as_str()), (200, "\"x\""));
    }
}
