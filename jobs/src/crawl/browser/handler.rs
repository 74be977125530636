//! Answers what a tab asks while it runs: may this be asked for, who are you, what about this dialog.
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    guard::{Guard, USER},
    pipe::{Event, Pipe},
    watch::{Answer, Watch},
};
use crate::{
    Result,
    crawl::{
        egress::MOST_REDIRECTS,
        turn::{Turn, host_of},
        visit::Visits,
    },
};

/// The most requests of one tab.
const MOST_REQUESTS: u32 = 2000;
/// The most pages that lead to the page: each may redirect as often as HTTP may.
const MOST_DOCUMENTS: u32 = 3 * MOST_REDIRECTS as u32;
/// What is not asked for: it holds no data.
const NO_DATA: [&str; 3] = ["Image", "Media", "Font"];
/// Requests that may last as long as the page.
const LASTING: [&str; 3] = ["WebSocket", "EventSource", "Ping"];

/// What runs before a page's own scripts: the ways out that a page has beside requests are gone, and it need not wait for them.
const FIRST: &str = "for (const name of ['RTCPeerConnection', 'webkitRTCPeerConnection', 'SharedWorker', 'WebTransport']) \
                     delete globalThis[name]; delete Navigator.prototype.serviceWorker;";

/// The turn of the host whose page a tab shows.
pub(super) type HeldTurn = Arc<Mutex<Option<Turn>>>;

/// Looks after one tab.
pub(super) struct Handler {
    pub pipe: Pipe,
    pub watch: Arc<Watch>,
    pub guard: Arc<Guard>,
    pub visits: Visits,
    /// The page that is asked for.
    pub first: Url,
    /// The tab's main frame.
    pub frame: String,
    /// Where the events of its parts come.
    pub place: mpsc::Sender<Event>,
    /// The turn of the host where the tab is.
    pub turn: HeldTurn,
    /// The tab's end.
    pub end: CancellationToken,
}

impl Handler {
    /// What a session is told before anything happens in it.
    pub(super) fn commands() -> [(&'static str, Value); 5] {
        let nothing_kept = json!({"maxTotalBufferSize": 0, "maxResourceBufferSize": 0, "maxPostDataSize": 0});
        [
            ("Network.enable", nothing_kept),
            ("Fetch.enable", json!({"handleAuthRequests": true, "patterns": [{"urlPattern": "*"}]})),
            ("Page.enable", json!({})),
            ("Page.addScriptToEvaluateOnNewDocument", json!({"source": FIRST})),
            ("Target.setAutoAttach", json!({"autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true})),
        ]
    }

    /// Runs until the tab is closed.
    pub(super) async fn run(self: Arc<Self>, mut events: mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            self.handle(&event);
        }
    }

    fn handle(self: &Arc<Self>, event: &Event) {
        let Event { session, method, params } = event;
        let text = |key: &str| params[key].as_str().unwrap_or_default();
        let is_main = text("frameId") == self.frame;
        match method.as_str() {
            "Fetch.requestPaused" => self.paused(session, params),
            "Fetch.authRequired" => self.asked_who(session, params),
            "Network.requestWillBeSent" if !LASTING.contains(&text("type")) => {
                self.watch.note(|state| state.asked(text("requestId"), Instant::now()));
            }
            "Network.loadingFinished" | "Network.loadingFailed" => {
                self.watch.note(|state| state.ended(text("requestId"), Instant::now()));
            }
            "Network.responseReceived" if is_main && text("type") == "Document" => {
                self.watch.note(|state| state.answered(text("loaderId"), Answer::of(&params["response"])));
            }
            "Page.lifecycleEvent" if is_main => self.watch.note(|state| match text("name") {
                "init" => state.begin(text("loaderId"), Instant::now()),
                "DOMContentLoaded" if state.loader == text("loaderId") => state.is_ready = true,
                "load" if state.loader == text("loaderId") => state.is_loaded = true,
                _ => {}
            }),
            // A download that a page begins while it loads takes its events away.
            "Page.frameStoppedLoading" if is_main => self.watch.note(|state| {
                let has_come = state.answer().is_some();
                (state.is_ready, state.is_loaded) = (state.is_ready || has_come, state.is_loaded || has_come);
            }),
            "Page.frameNavigated" if params["frame"]["id"] == self.frame.as_str() => {
                let unreachable = params["frame"]["unreachableUrl"].as_str().map(String::from);
                self.watch.note(|state| state.unreachable = unreachable);
            }
            "Page.javascriptDialogOpening" => {
                // Only the question whether to leave is said yes to.
                let answer = json!({"accept": text("type") == "beforeunload"});
                self.pipe.tell(session, "Page.handleJavaScriptDialog", &answer);
            }
            "Inspector.targetCrashed" => self.watch.note(|state| state.is_crashed = true),
            "Target.attachedToTarget" => self.attached(params),
            _ => {}
        }
    }

    /// A part of the page in another process, which waits for us. Others than frames and workers wait for ever.
    fn attached(&self, params: &Value) {
        let Some(session) = params["sessionId"].as_str() else { return };
        let kind = params["targetInfo"]["type"].as_str().unwrap_or_default();
        if !matches!(kind, "iframe" | "worker") {
            return;
        }
        self.pipe.listen(session, self.place.clone());
        for (method, parameters) in Self::commands() {
            // What a worker does not know it refuses.
            self.pipe.tell(session, method, &parameters);
        }
        self.pipe.tell(session, "Runtime.runIfWaitingForDebugger", &json!({}));
    }

    /// Only the guard is told the secret, and only once for each request.
    fn asked_who(&self, session: &str, params: &Value) {
        let is_ours =
            params["authChallenge"]["source"] == "Proxy" && params["authChallenge"]["origin"] == self.guard.url();
        let response = match is_ours {
            true => json!({"response": "ProvideCredentials", "username": USER, "password": self.guard.secret()}),
            false => json!({"response": "CancelAuth"}),
        };
        let answer = json!({"requestId": params["requestId"], "authChallengeResponse": response});
        self.pipe.tell(session, "Fetch.continueWithAuth", &answer);
    }

    /// A request that waits for our word. The guard decides in the end; here is what it cannot see.
    fn paused(self: &Arc<Self>, session: &str, params: &Value) {
        let id = params["requestId"].as_str().unwrap_or_default();
        let kind = params["resourceType"].as_str().unwrap_or_default();
        let count = {
            let mut state = self.watch.look();
            state.requests += 1;
            state.requests
        };
        let url = Url::parse(params["request"]["url"].as_str().unwrap_or_default());
        let Ok(url) = url else { return self.refuse(session, id) };
        let is_document = kind == "Document" && params["frameId"] == self.frame.as_str();
        let permitted = self.visits.egress().check(&url);
        let is_icon = kind == "Other" && url.path() == "/favicon.ico";
        if is_icon || NO_DATA.contains(&kind) || count > MOST_REQUESTS || (permitted.is_err() && !is_document) {
            return self.refuse(session, id);
        }
        let go = self.go(id, &url, &params["request"]["headers"]);
        if !is_document {
            return self.pipe.tell(session, "Fetch.continueRequest", &go);
        }
        let (handler, session, id) = (self.clone(), session.to_owned(), id.to_owned());
        tokio::spawn(self.end.clone().run_until_cancelled_owned(async move {
            let permitted = match permitted {
                Ok(()) => handler.may_visit(&url).await,
                Err(error) => Err(error),
            };
            match permitted {
                Ok(()) => handler.pipe.tell(&session, "Fetch.continueRequest", &go),
                Err(error) => {
                    handler.watch.note(|state| state.refusal = Some(error));
                    handler.refuse(&session, &id);
                }
            }
        }));
    }

    /// Whether the tab may go to a page: where scripts and redirects lead is asked as politely as the first one.
    async fn may_visit(&self, url: &Url) -> Result<()> {
        let documents = {
            let mut state = self.watch.look();
            state.documents += 1;
            state.documents
        };
        if documents == 1 && url == &self.first {
            return Ok(());
        }
        if documents > MOST_DOCUMENTS {
            return self.visits.egress().check_redirect(url, MOST_REDIRECTS);
        }
        let mut turn = self.turn.lock().await;
        if turn.as_ref().is_some_and(|turn| turn.host() == host_of(url)) {
            return self.visits.permitted(url).await;
        }
        // Given back first: two jobs whose pages lead to each other's hosts would wait for each other for ever.
        *turn = None;
        *turn = Some(self.visits.turn(url).await?);
        Ok(())
    }

    /// How a request goes on: with the job's own headers to the page's own host, and without them to others.
    fn go(&self, id: &str, url: &Url, asked: &Value) -> Value {
        let mut go = json!({"requestId": id});
        let own = self.visits.headers_for(&self.first);
        if !own.is_empty() {
            let others = asked.as_object().into_iter().flatten().filter(|(name, _)| !own.contains_key(name.as_str()));
            let others = others.map(|(name, value)| json!({"name": name, "value": value}));
            let given = self.visits.headers_for(url);
            let given = given.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
            go["headers"] = others.chain(given.map(|(name, value)| json!({"name": name, "value": value}))).collect();
        }
        go
    }

    fn refuse(&self, session: &str, id: &str) {
        self.pipe.tell(session, "Fetch.failRequest", &json!({"requestId": id, "errorReason": "BlockedByClient"}));
    }
}
