//! The crawl: page after page, as each leads to the next.
use serde::Serialize;

use super::{
    OnEmpty, Partial, fetch::Pages, fetched::Fetched, gather::Gathered, order::Order, spool::Spool, take::Taken,
};
use crate::{
    Code, Ctx, Error, Result,
    crawl::{
        Validators,
        pages::{Answer, Walk},
    },
};

/// How a crawl ended.
pub(super) enum Crawled {
    /// With these rows.
    Rows(Box<Rows>),
    /// The only page is what it was.
    NotModified,
}

pub(super) struct Rows {
    pub gathered: Gathered,
    /// What a later run can ask with whether the only page has changed.
    pub validators: Option<Validators>,
    /// Why there may be more than this, where the request is content with it.
    pub missing: Option<Missing>,
}

/// Where a crawl ended before its end.
#[derive(Debug, Serialize)]
pub(super) struct Missing {
    last_page: u32,
    code: Code,
    pub message: String,
}

/// Fetches all pages.
///
/// # Errors
/// The site's, those of the content, and those of the walk: a loop, too many pages, another host.
pub(super) async fn crawl(
    ctx: &Ctx,
    order: &Order,
    spool: &Spool,
    cursor: Option<String>,
    known: Option<&Validators>,
) -> Result<Crawled> {
    let mut gathered = Gathered::new(order, cursor);
    let mut pages = Pages::begin(ctx, order, spool).await?;
    let mut validators = None;
    let mut walk = order.pagination().map(|pagination| Walk::new(pagination, &order.first));
    let missing = loop {
        let (number, url) = match &walk {
            Some(walk) => (walk.current().0, walk.current().1.clone()),
            None => (1, order.first.clone()),
        };
        let (page, mut taken) = match pages.page(number, &url, known.filter(|_| walk.is_none())).await {
            Ok(Some(page)) => page,
            Ok(None) => return Ok(Crawled::NotModified),
            Err(error) => break Some(missing(ctx, order, &gathered, error)?),
        };
        if walk.is_none() {
            validators = validators_of(&page);
        }
        let is_again = walk.as_ref().is_some_and(|walk| walk.has_read(&taken.digest));
        let goes_on = advance(walk.as_mut(), order, &page, &taken);
        if let Some(nothing) = taken.nothing.take().filter(|_| number == 1 && order.crawl.on_empty == OnEmpty::Fail) {
            return Err(nothing);
        }
        // A page without rows is the end, and one with the rows of another is a fault: no parts of what was read.
        if (taken.rows > 0 || number == 1) && !is_again {
            ctx.progress.add_page();
            gathered.add(&page, taken, &ctx.limits).await?;
        }
        match goes_on {
            Ok(true) => {}
            Ok(false) => break None,
            Err(error) => break Some(missing(ctx, order, &gathered, error)?),
        }
    };
    Ok(Crawled::Rows(Box::new(Rows { gathered, validators, missing })))
}

/// Is content with the pages so far, if the request says so and the job would end with this error.
///
/// # Errors
/// The error itself, if not.
fn missing(ctx: &Ctx, order: &Order, read: &Gathered, error: Error) -> Result<Missing> {
    let ours = matches!(
        error.code(),
        Code::Internal | Code::QueueUnavailable | Code::StorageUnavailable | Code::StorageFull | Code::TooManyColumns
    );
    let is_final = ctx.stop.reason().is_none() && ctx.ends_with(&error);
    let keeps = order.crawl.partial == Partial::Keep && is_final && !ours;
    match read.pages.last().filter(|_| keeps) {
        Some(page) => Ok(Missing { last_page: page.number, code: error.code(), message: error.message().to_owned() }),
        None => Err(error),
    }
}

fn advance(walk: Option<&mut Walk>, order: &Order, page: &Fetched, taken: &Taken) -> Result<bool> {
    let (Some(walk), Some(pagination)) = (walk, order.pagination()) else { return Ok(false) };
    let answer = Answer { rows: taken.rows as u64, digest: taken.digest, next: taken.next.as_deref() };
    walk.advance(pagination, &order.first, &page.url, &answer)
}

fn validators_of(page: &Fetched) -> Option<Validators> {
    const LONGEST: usize = 1024;
    let of = |name: &str| page.header(name).filter(|value| value.len() <= LONGEST).map(str::to_owned);
    let found = Validators { etag: of("etag"), last_modified: of("last-modified") };
    (found != Validators::default()).then_some(found)
}
