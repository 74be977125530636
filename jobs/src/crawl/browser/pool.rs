//! The one browser of a worker: started when it is first needed, shared by its jobs, replaced when it is worn out.
use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{
    memory,
    pipe::Pipe,
    process::{self, Process},
};
use crate::{Code, Error, Result, config::ScrapeConfig};

/// Pages that are open at once.
const TABS: usize = 4;
/// How long a browser may take to come up.
const START: Duration = Duration::from_secs(30);
/// How often it is looked how much memory a browser with pages takes.
const LOOKS: Duration = Duration::from_secs(2);

/// The browser of a worker, if one was needed yet.
pub struct Browsers {
    config: ScrapeConfig,
    current: tokio::sync::Mutex<Option<Arc<Browser>>>,
    tabs: Semaphore,
}

impl Default for Browsers {
    fn default() -> Self {
        Self::new(&ScrapeConfig::default())
    }
}

impl Browsers {
    /// None yet.
    #[must_use]
    pub fn new(config: &ScrapeConfig) -> Self {
        Self { config: config.clone(), current: tokio::sync::Mutex::default(), tabs: Semaphore::new(TABS) }
    }

    /// Whether there is a browser that could be started; a sentence if not.
    ///
    /// # Errors
    /// [`Code::BrowserUnavailable`].
    pub fn check(&self) -> Result<()> {
        process::find(&self.config).map(drop)
    }

    /// A place for one page.
    pub(super) async fn seat(&self) -> Result<SemaphorePermit<'_>> {
        self.tabs.acquire().await.map_err(|e| Error::new(Code::Internal, "the browser has ended").caused_by(e))
    }

    /// The browser for one page. A worn one is let go: it ends with its last page.
    pub(super) async fn get(&self) -> Result<Arc<Browser>> {
        let mut current = self.current.lock().await;
        if let Some(browser) = current.as_ref().filter(|browser| browser.is_good(self.config.browser_pages)) {
            return Ok(browser.clone());
        }
        *current = None;
        let browser = Arc::new(Browser::start(&self.config).await?);
        tokio::spawn(watch(Arc::downgrade(&browser), self.config.browser_memory_mb << 20));
        *current = Some(browser.clone());
        Ok(browser)
    }
}

/// A running browser; it ends when this is dropped.
pub(super) struct Browser {
    pipe: Pipe,
    process: Mutex<Option<Process>>,
    pages: AtomicU32,
    is_worn: AtomicBool,
}

impl Browser {
    async fn start(config: &ScrapeConfig) -> Result<Self> {
        let (process, pipe) = Process::start(config)?;
        let hello = timeout(START, pipe.call("", "Browser.getVersion", json!({}))).await;
        let Ok(Ok(version)) = hello else { return Err(process.why()) };
        tracing::info!(
            product = version["product"].as_str(),
            sandbox = config.browser_sandbox,
            "a browser has started"
        );
        let process = Mutex::new(Some(process));
        Ok(Self { pipe, process, pages: AtomicU32::new(1), is_worn: AtomicBool::new(false) })
    }

    /// Its protocol.
    pub(super) const fn pipe(&self) -> &Pipe {
        &self.pipe
    }

    /// Whether it takes another page, which it then counts.
    fn is_good(&self, most: u32) -> bool {
        !self.pipe.is_closed() && !self.is_worn.load(Relaxed) && self.pages.fetch_add(1, Relaxed) < most
    }

    /// Ends it at once, whatever its pages do.
    pub(super) fn kill(&self) {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The memory of all its processes, in bytes.
    async fn memory(&self) -> Option<u64> {
        let listed = self.pipe.call("", "SystemInfo.getProcessInfo", json!({})).await.ok()?;
        let ids: Vec<_> = listed["processInfo"].as_array()?.iter().filter_map(|one| one["id"].as_u64()).collect();
        tokio::task::spawn_blocking(move || ids.into_iter().map(|id| memory::of(Path::new("/proc"), id)).sum())
            .await
            .ok()
    }
}

/// A browser above its bound takes no more pages; at twice the bound it is ended with those that it has.
async fn watch(browser: std::sync::Weak<Browser>, bound: u64) {
    loop {
        tokio::time::sleep(LOOKS).await;
        let Some(browser) = browser.upgrade() else { return };
        if browser.pipe.is_closed() {
            return browser.kill();
        }
        match timeout(START, browser.memory()).await.ok().flatten().unwrap_or_default() {
            bytes if bytes > bound.saturating_mul(2) => {
                tracing::warn!(mb = bytes >> 20, "a browser takes too much memory and is ended");
                return browser.kill();
            }
            bytes if bytes > bound => browser.is_worn.store(true, Relaxed),
            _ => {}
        }
    }
}
