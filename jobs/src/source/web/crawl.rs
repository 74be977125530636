//! The crawl: page after page, as each leads to the next.
use super::{OnEmpty, fetch::Pages, fetched::Fetched, gather::Gathered, order::Order, spool::Spool, take::Taken};
use crate::{
    Ctx, Result,
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
    loop {
        let (number, url) = match &walk {
            Some(walk) => (walk.current().0, walk.current().1.clone()),
            None => (1, order.first.clone()),
        };
        let (page, mut taken) = match pages.page(number, &url, known.filter(|_| walk.is_none())).await? {
            Some(page) => page,
            None => return Ok(Crawled::NotModified),
        };
        if walk.is_none() {
            validators = validators_of(&page);
        }
        let goes_on = advance(walk.as_mut(), order, &page, &taken)?;
        if let Some(nothing) = taken.nothing.take().filter(|_| number == 1 && order.crawl.on_empty == OnEmpty::Fail) {
            return Err(nothing);
        }
        // A page without rows is the end, and no part of what was read.
        if taken.rows > 0 || number == 1 {
            ctx.progress.add_page();
            gathered.add(&page, taken, &ctx.limits).await?;
        }
        if !goes_on {
            return Ok(Crawled::Rows(Box::new(Rows { gathered, validators })));
        }
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
