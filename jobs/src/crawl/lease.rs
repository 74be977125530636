//! A turn as Redis knows it: renewed while it is held, given back when it is dropped, and ended by itself with its worker.
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    task::AbortHandle,
    time::{Instant, sleep},
};

use super::turn::{Host, LEASE};
use crate::queue::{Hosts, Kept};

/// How often it is renewed, and looked whether others want it.
const RENEWAL: Duration = Duration::from_millis(500);

pub(super) struct Lease {
    hosts: Hosts,
    host: String,
    token: String,
    owner: String,
    /// Whether it is for more than one request.
    kept: bool,
    state: Arc<State>,
    renewal: AbortHandle,
}

/// What its renewal tells.
struct State {
    good: AtomicBool,
    held: Mutex<Instant>,
}

impl State {
    /// When it was certainly held.
    fn held(&self) -> MutexGuard<'_, Instant> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// A lease that was just taken.
    pub(super) fn new(hosts: Hosts, of: Weak<Host>, host: String, token: String, owner: String, kept: bool) -> Self {
        let state = Arc::new(State { good: AtomicBool::new(true), held: Mutex::new(Instant::now()) });
        let renewing = renew(hosts.clone(), of, host.clone(), token.clone(), state.clone());
        let renewal = tokio::spawn(renewing).abort_handle();
        Self { hosts, host, token, owner, kept, state, renewal }
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Whether another request may be made under it: it is held, and nobody else wants it. A process that was stopped for
    /// a while finds it too old.
    pub(super) fn is_good(&self) -> bool {
        self.state.good.load(Relaxed) && self.state.held().elapsed() < LEASE / 2
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
        // Without a runtime, or without Redis, it ends by itself.
        let Ok(runtime) = Handle::try_current() else { return };
        let hosts = self.hosts.clone();
        let [host, token, owner] = [&mut self.host, &mut self.token, &mut self.owner].map(std::mem::take);
        let kept = self.kept;
        runtime.spawn(async move {
            if let Err(error) = hosts.give(&host, &token, &owner, kept).await {
                tracing::debug!(host, %error, "a host's turn is not given back; it ends by itself");
            }
        });
    }
}

async fn renew(hosts: Hosts, of: Weak<Host>, host: String, token: String, state: Arc<State>) {
    loop {
        sleep(RENEWAL).await;
        let asked = Instant::now();
        let kept = match hosts.keep(&host, &token, LEASE).await {
            Ok(Kept::Held) => {
                *state.held() = asked;
                continue;
            }
            Ok(kept) => kept,
            Err(_) if state.held().elapsed() < LEASE => continue,
            Err(_) => Kept::Lost,
        };
        state.good.store(false, Relaxed);
        Host::give_up(&of, &token);
        if kept == Kept::Lost {
            return;
        }
    }
}
