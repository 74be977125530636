//! Where pages come from: an earlier attempt's spool, the site, or a browser; some ahead where their numbers allow it.
use std::{
    collections::VecDeque,
    num::NonZero,
    sync::{Arc, LazyLock},
};

use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::{
    fetched::Fetched,
    order::Order,
    spool::{Replay, Spool},
    take::{Taken, take},
};
use crate::{
    Code, Ctx, Error, Result,
    crawl::{Ask, Validators, Visits, browser},
};

/// A page that came, and what it has given.
pub(super) type Page = (Arc<Fetched>, Taken);

/// What was answered; nothing if the page is what the validators were of.
pub(super) type Got = Option<Page>;

/// The pages of one attempt, asked for in their order.
pub(super) struct Pages<'a> {
    ctx: &'a Ctx,
    order: &'a Order,
    spool: &'a Spool,
    replay: Option<Replay>,
    /// Begun when the first page is not in the spool: a login is asked for once, and only if need be.
    visits: Option<Visits>,
    /// Pages that are under way, by number.
    ahead: VecDeque<(u32, AbortOnDropHandle<Result<Got>>)>,
}

impl<'a> Pages<'a> {
    pub(super) async fn begin(ctx: &'a Ctx, order: &'a Order, spool: &'a Spool) -> Result<Self> {
        let replay = Some(spool.replay().await?);
        Ok(Self { ctx, order, spool, replay, visits: None, ahead: VecDeque::new() })
    }

    /// The page of a number, which is at `url`.
    ///
    /// # Errors
    /// The site's, those of the page's content, and those of the spool.
    pub(super) async fn page(&mut self, number: u32, url: &Url, validators: Option<&Validators>) -> Result<Got> {
        if let Some(replay) = &mut self.replay {
            if let Some((page, at)) = replay.page(number).await? {
                self.spool.knows(number, at);
                return read(Arc::new(page), self.order.clone()).await.map(Some);
            }
            self.replay = None;
        }
        let visits = match &self.visits {
            Some(visits) => visits.clone(),
            None => Visits::begin(self.ctx, &self.order.crawl.manners, &self.order.first).await?,
        };
        self.visits = Some(visits.clone());
        let got = match self.order.ahead() {
            1 => self.get(visits, number, url.clone(), validators.cloned()).await?,
            width => self.one_of_many(&visits, width, number, url).await?,
        };
        if let Some((page, _)) = &got {
            self.spool.add(page.clone()).await?;
        }
        Ok(got)
    }

    /// Takes a page while those after it are under way.
    async fn one_of_many(&mut self, visits: &Visits, width: usize, number: u32, url: &Url) -> Result<Got> {
        let mut next = self.ahead.back().map_or(number, |(last, _)| last + 1);
        while self.ahead.len() < width {
            let Some(at) = self.order.page_at(next) else { break };
            let got = self.get(visits.clone(), next, at, None);
            self.ahead.push_back((next, AbortOnDropHandle::new(tokio::spawn(got))));
            next += 1;
        }
        match self.ahead.pop_front() {
            Some((found, got)) if found == number => {
                got.await.map_err(|e| Error::new(Code::Internal, "the fetching of a page panicked").caused_by(e))?
            }
            // Not reached: pages are asked for one after the other.
            _ => self.get(visits.clone(), number, url.clone(), None).await,
        }
    }

    /// Fetches a page and reads it.
    fn get(
        &self,
        visits: Visits,
        number: u32,
        url: Url,
        validators: Option<Validators>,
    ) -> impl Future<Output = Result<Got>> + Send + 'static {
        let (ctx, order) = (self.ctx.clone(), self.order.clone());
        async move {
            // In boxes: all that fetching may come to be would not fit on the stack.
            let page = match &order.rendering {
                Some(rendering) => {
                    let most = order.crawl.manners.page_bytes() as u64;
                    Box::pin(browser::render(&ctx, &visits, &url, rendering, most)).await?
                }
                None => Box::pin(visits.get(&Ask { url: &url, validators: validators.as_ref() })).await?,
            };
            if page.not_modified {
                return Ok(None);
            }
            read(Arc::new(Fetched::new(number, page)), order).await.map(Some)
        }
    }
}

/// As many pages are read at once as there are cores, over all jobs: a page's tree takes many times its bytes.
static READERS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, NonZero::get)));

/// Reads a page on a thread that may take its time.
pub(super) async fn read(page: Arc<Fetched>, order: Order) -> Result<Page> {
    let seat = READERS.acquire().await.map_err(|e| Error::new(Code::Internal, "no page can be read").caused_by(e))?;
    let taking = tokio::task::spawn_blocking(move || {
        let _seat = seat;
        take(&page, &order).map(|taken| (page, taken))
    });
    taking.await.map_err(|e| Error::new(Code::Internal, "the reading of a page panicked").caused_by(e))?
}
