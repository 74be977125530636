//! The browser's protocol (CDP) over two pipes: messages in JSON, a NUL after each. No port is opened that others could use.
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    sync::{mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;

/// The longest message that is read: a page's whole text is one.
const LONGEST: u64 = 512 << 20;
/// Messages that wait to be written, and events of one tab that wait to be looked at.
const QUEUE: usize = 4096;

/// Why the browser did not do what it was told.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is gone, or the tab is.
    Gone,
    /// It says why not.
    Refused(String),
}

/// Something that happened in a session, which is a tab or a part of one.
#[derive(Debug)]
pub(super) struct Event {
    /// The session; empty for the browser itself.
    pub session: String,
    /// What happened.
    pub method: String,
    /// The rest.
    pub params: Value,
}

/// The connection to a browser. It ends with its last clone. Cheap to clone.
#[derive(Clone)]
pub(super) struct Pipe(Arc<Inner>);

struct Inner {
    out: mpsc::Sender<Vec<u8>>,
    next: AtomicU64,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    calls: Mutex<HashMap<u64, oneshot::Sender<Result<Value, String>>>>,
    sessions: Mutex<HashMap<String, mpsc::Sender<Event>>>,
    closed: CancellationToken,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    id: Option<u64>,
    #[serde(default)]
    method: String,
    #[serde(default)]
    session_id: String,
    #[serde(default)]
    params: Value,
    #[serde(default)]
    result: Value,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
}

impl Pipe {
    /// Speaks over the two ends.
    pub(super) fn new(
        to: impl AsyncWrite + Unpin + Send + 'static,
        from: impl AsyncRead + Unpin + Send + 'static,
    ) -> Self {
        let (out, waiting) = mpsc::channel(QUEUE);
        let shared = Arc::<Shared>::default();
        tokio::spawn(write(to, waiting, shared.clone()));
        tokio::spawn(read(from, shared.clone()));
        Self(Arc::new(Inner { out, next: AtomicU64::new(1), shared }))
    }

    /// Tells a session to do something, and waits for its answer.
    pub(super) async fn call(&self, session: &str, method: &str, params: Value) -> Result<Value, Fault> {
        let (tell, told) = oneshot::channel();
        let id = self.0.next.fetch_add(1, Relaxed);
        self.0.shared.calls().insert(id, tell);
        if !self.send(id, session, method, &params) {
            self.0.shared.calls().remove(&id);
            return Err(Fault::Gone);
        }
        told.await.map_err(|_| Fault::Gone)?.map_err(Fault::Refused)
    }

    /// The same without waiting: what becomes of it shows elsewhere.
    pub(super) fn tell(&self, session: &str, method: &str, params: &Value) {
        self.send(self.0.next.fetch_add(1, Relaxed), session, method, params);
    }

    fn send(&self, id: u64, session: &str, method: &str, params: &Value) -> bool {
        let mut message = json!({"id": id, "method": method, "params": params});
        if !session.is_empty() {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let sent = !self.0.shared.closed.is_cancelled() && self.0.out.try_send(bytes).is_ok();
        if !sent {
            // It reads no more.
            self.0.shared.closed.cancel();
        }
        sent
    }

    /// Whether the browser has gone.
    pub(super) fn is_closed(&self) -> bool {
        self.0.shared.closed.is_cancelled()
    }

    /// Waits until the browser has gone.
    pub(super) async fn closed(self) {
        self.0.shared.closed.cancelled().await;
    }

    /// A place for the events of sessions.
    pub(super) fn events() -> (mpsc::Sender<Event>, mpsc::Receiver<Event>) {
        mpsc::channel(QUEUE)
    }

    /// Lets the events of a session come to that place, as long as somebody looks there.
    pub(super) fn listen(&self, session: &str, place: mpsc::Sender<Event>) {
        let mut sessions = self.0.shared.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, place| !place.is_closed());
        sessions.insert(session.to_owned(), place);
    }
}

impl Shared {
    fn calls(&self) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<Result<Value, String>>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, message: Message) {
        if let Some(id) = message.id {
            if let Some(waiting) = self.calls().remove(&id) {
                let _ = waiting.send(message.error.map_or(Ok(message.result), |refusal| Err(refusal.message)));
            }
            return;
        }
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let Message { session_id: session, method, params, .. } = message;
        let Some(place) = sessions.get(&session) else { return };
        if place.try_send(Event { session: session.clone(), method, params }).is_err() {
            // Nobody looks any more, or the page floods us: its requests are then not let go on.
            sessions.remove(&session);
        }
    }

    fn close(&self) {
        self.closed.cancel();
        self.calls().clear();
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

async fn write(mut to: impl AsyncWrite + Unpin, mut waiting: mpsc::Receiver<Vec<u8>>, shared: Arc<Shared>) {
    while let Some(bytes) = waiting.recv().await {
        if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    shared.close();
}

async fn read(from: impl AsyncRead + Unpin, shared: Arc<Shared>) {
    let mut from = BufReader::with_capacity(64 << 10, from);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        // A page's text is let go of.
        bytes.shrink_to(64 << 10);
        let read = (&mut from).take(LONGEST).read_until(0, &mut bytes).await;
        if read.is_err() || bytes.pop() != Some(0) {
            break;
        }
        // What cannot be read is an event that nobody waits for.
        if let Ok(message) = serde_json::from_slice(&bytes) {
            shared.take(message);
        }
    }
    shared.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_find_their_calls_and_events_their_sessions() {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (from, to) = tokio::io::split(ours);
        let pipe = Pipe::new(to, from);
        let (place, mut events) = Pipe::events();
        pipe.listen("S", place);
        let (from, mut to) = tokio::io::split(theirs);
        let browser = tokio::spawn(async move {
            let mut asked = Vec::new();
            BufReader::new(from).read_until(0, &mut asked).await.expect("a message");
            let asked: Value = serde_json::from_slice(&asked[..asked.len() - 1]).expect("JSON");
            let id = asked["id"].as_u64().expect("a number");
            let event = r#"{"method":"Page.x","sessionId":"S","params":{"a":1}}"#;
            let unknown = r#"{"method":"Page.y","sessionId":"T","params":{}}"#;
            let said = format!("{unknown}\0{event}\0nonsense\0{{\"id\":{id},\"result\":{{\"ok\":true}}}}\0");
            to.write_all(said.as_bytes()).await.expect("written");
            (asked, to)
        });
        let result = pipe.call("S", "Page.navigate", json!({"url": "about:blank"})).await.expect("a result");
        assert_eq!(result, json!({"ok": true}));
        let (asked, to) = browser.await.expect("ends");
        assert_eq!(asked["sessionId"], "S");
        assert_eq!(asked["params"], json!({"url": "about:blank"}));
        let event = events.recv().await.expect("an event");
        assert_eq!((event.session.as_str(), event.method.as_str(), &event.params["a"]), ("S", "Page.x", &json!(1)));
        drop(to);
        assert!(matches!(pipe.call("", "Browser.getVersion", json!({})).await, Err(Fault::Gone)));
        assert!(events.recv().await.is_none() && pipe.is_closed());
    }
}
