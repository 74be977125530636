//! A web site of one's own, with a log of what it was asked: pages, an API, a login, scripts, and every trap of the web.
//!
//! | address | what is there |
//! |---|---|
//! | `/pages/1` … `/pages/200` | a table of 50 rows (`id`, `name`, `price`, `city`, `added`), `a[rel=next]`, `ETag`, `Last-Modified`; `/zipped/N` the same in gzip |
//! | `/list?page=N` | the same by a parameter; empty after the last page |
//! | `/private/…` | a table that robots.txt forbids |
//! | `/busy?…`, `/flaky?…`, `/slow?ms=`, `/drip?ms=`, `/hang`, `/broken`, `/status/N` | see [`trouble`] |
//! | `/redirect?to=`, `/loop`, `/chain?n=` | redirects |
//! | `/bomb?mb=`, `/endless`, `/large?mb=`, `/typed/…`, `/charset/…` | see [`bodies`] |
//! | `/login`, `/members`, `/basic`, `/bearer`, `/oauth/…`, `/echo` | see [`session`] |
//! | `/api/…` | 5,000 records in all styles of pagination, JSON or XML: see [`api`] |
//! | `/script/…` | pages made by JavaScript: see [`scripts`] |
pub mod api;
pub mod bodies;
mod log;
mod pages;
pub mod scripts;
pub mod session;
pub mod trouble;

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Instant,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::{net::TcpListener, task::AbortHandle};

pub use log::Hit;
pub use pages::{PAGES, ROWS};

/// What robots.txt says by itself.
const ROBOTS: &str = "User-agent: *\nDisallow: /private/\n";

/// A running site; it ends when this is dropped.
pub struct Site {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: AbortHandle,
}

/// What the answers depend on.
pub(crate) struct Shared {
    began: Instant,
    log: Mutex<Vec<Hit>>,
    active: AtomicUsize,
    /// Status and text of robots.txt.
    robots: Mutex<(u16, String)>,
    /// The content's version: it is in every `ETag` and every row.
    version: AtomicUsize,
    /// How often an address was asked for.
    counts: Mutex<HashMap<String, usize>>,
    /// The tokens that hold.
    tokens: Mutex<Vec<String>>,
}

/// A request, as the parts of the site see it.
pub(crate) struct Asked {
    pub method: Method,
    pub path: String,
    pub query: HashMap<String, String>,
    pub headers: HeaderMap,
    pub form: HashMap<String, String>,
    /// How often this address, with its query, was asked for before.
    pub before: usize,
    /// `http://127.0.0.1:port`
    pub origin: String,
}

impl Site {
    /// Starts one on 127.0.0.1.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start() -> Self {
        Self::start_on(IpAddr::V4(Ipv4Addr::LOCALHOST)).await
    }

    /// Starts one on another address of this machine, such as 127.0.0.2: to see that nobody comes.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start_on(ip: IpAddr) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            began: Instant::now(),
            log: Mutex::default(),
            active: AtomicUsize::new(0),
            robots: Mutex::new((200, ROBOTS.to_owned())),
            version: AtomicUsize::new(1),
            counts: Mutex::default(),
            tokens: Mutex::default(),
        });
        let app = Router::new().fallback(answer).with_state((shared.clone(), address));
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async move { axum::serve(listener, service).await }).abort_handle();
        Self { address, shared, server }
    }

    /// A page's address.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Everything that it was asked so far, in order.
    #[must_use]
    pub fn log(&self) -> Vec<Hit> {
        locked(&self.shared.log).clone()
    }

    /// The paths, with their queries, that it was asked for so far; without robots.txt.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.log().into_iter().map(|hit| hit.path).filter(|path| path != "/robots.txt").collect()
    }

    /// Forgets what it was asked, and how often.
    pub fn forget(&self) {
        locked(&self.shared.log).clear();
        locked(&self.shared.counts).clear();
    }

    /// Changes robots.txt.
    pub fn set_robots(&self, status: u16, text: &str) {
        *locked(&self.shared.robots) = (status, text.to_owned());
    }

    /// Changes the content of all pages.
    pub fn set_version(&self, version: usize) {
        self.shared.version.store(version, SeqCst);
    }

    /// Lets no token hold that was given so far.
    pub fn revoke_tokens(&self) {
        locked(&self.shared.tokens).clear();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Surroundings = (Arc<Shared>, SocketAddr);

async fn answer(
    State((shared, address)): State<Surroundings>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let full = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let active = shared.active.fetch_add(1, SeqCst) + 1;
    let _leave = Leave(shared.clone());
    locked(&shared.log).push(Hit::new(shared.began, &parts, &full, from, active));
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let pairs = |text: &[u8]| url::form_urlencoded::parse(text).into_owned().collect();
    let before = {
        let mut counts = locked(&shared.counts);
        let count = counts.entry(full).or_default();
        *count += 1;
        *count - 1
    };
    let asked = Asked {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: pairs(parts.uri.query().unwrap_or_default().as_bytes()),
        headers: parts.headers,
        form: pairs(&body),
        before,
        origin: format!("http://{address}"),
    };
    route(&shared, &asked).await
}

async fn route(shared: &Arc<Shared>, asked: &Asked) -> Response {
    let mut steps = asked.path.trim_matches('/').split('/');
    let (first, second) = (steps.next().unwrap_or_default(), steps.next().unwrap_or_default());
    match first {
        "robots.txt" => {
            let (status, text) = locked(&shared.robots).clone();
            (StatusCode::from_u16(status).expect("a status"), text).into_response()
        }
        "" | "pages" | "zipped" | "list" | "private" => pages::answer(shared, asked, first, second),
        "busy" | "flaky" | "slow" | "drip" | "hang" | "broken" | "status" | "redirect" | "loop" | "chain" => {
            trouble::answer(asked, first, second).await
        }
        "bomb" | "endless" | "large" | "typed" | "charset" => bodies::answer(asked, first, second),
        "login" | "session" | "members" | "basic" | "bearer" | "oauth" | "echo" => {
            session::answer(shared, asked, first, second)
        }
        "api" => api::answer(asked, second),
        "script" => scripts::answer(asked, second),
        _ => (StatusCode::NOT_FOUND, "there is no such page").into_response(),
    }
}

/// Counts a request out, however it ends.
struct Leave(Arc<Shared>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, SeqCst);
    }
}

impl Asked {
    /// A number among the query's parameters.
    pub fn number(&self, name: &str, default: usize) -> usize {
        self.query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    /// A header's text.
    pub fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A page of HTML.
pub(crate) fn html(text: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text.into()).into_response()
}

/// A small table, for pages whose content does not matter.
pub(crate) fn small_table(what: &str) -> String {
    format!(
        "<!doctype html><title>{what}</title><table id=t><tr><th>what<th>n</tr><tr><td>{what}<td>1</tr><tr><td>{what}<td>2</tr></table>"
    )
}
