//! Visits to sites, as one attempt of a job makes them: politely, safely, and as whoever the request says.
use std::{future::pending, sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep, sleep_until};
use url::Url;

use super::{
    Ask, Manners, Page, Validators,
    egress::Egress,
    judge,
    retries::{Again, Retries},
    rules::Rules,
    session::Session,
    turn::{Turn, Turns, host_of},
};
use crate::{
    Code, Ctx, Error, Result, Retry, Stop,
    http::{Call, HeaderMap, Reply, Web, add_header, header, shown},
    queue::Hosts,
};

/// The visits of one attempt. Cheap to clone.
#[derive(Clone)]
pub struct Visits(Arc<Inner>);

struct Inner {
    stop: Stop,
    deadline: Option<Instant>,
    web: Web,
    egress: Arc<Egress>,
    user_agent: String,
    manners: Manners,
    turns: Turns,
    rules: Rules,
    session: Session,
}

/// An answer and where it was found.
pub(super) struct Found {
    pub(super) url: Url,
    pub(super) reply: Reply,
    at: DateTime<Utc>,
}

impl Visits {
    /// Begins: checks where `first` leads, and logs in if the request says how.
    ///
    /// # Errors
    /// [`Code::EgressBlocked`], [`Code::AuthFailed`], and those of [`Visits::get`].
    pub async fn begin(ctx: &Ctx, manners: &Manners, first: &Url) -> Result<Self> {
        let sites = &ctx.sites;
        sites.egress().check(first)?;
        let time = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        let visits = Self(Arc::new(Inner {
            stop: ctx.stop.clone(),
            deadline: manners.max_seconds.and_then(|seconds| Instant::now().checked_add(time(seconds))),
            web: sites.web(ctx.limits.connect_timeout())?,
            egress: sites.egress().clone(),
            user_agent: sites.config().user_agent.clone(),
            manners: manners.clone(),
            turns: Turns::new(sites.hosts()?, manners.delay(), manners.connections(), ctx.epoch),
            rules: Rules::default(),
            session: Session::new(manners, first),
        }));
        if let Some(login) = manners.auth.as_ref().and_then(|auth| auth.login.as_ref()) {
            visits.within(visits.log_in(login)).await?;
        }
        Ok(visits)
    }

    /// Waits until a page may be asked for: its address is permitted, by us and by the site's robots.txt, and it is the
    /// host's turn, over all workers. Whoever holds the turn makes one request; the next turn begins after it is dropped.
    ///
    /// # Errors
    /// [`Code::EgressBlocked`], [`Code::RobotsDisallowed`], [`Code::QueueUnavailable`], [`Code::Timeout`]; [`Code::Http429`]
    /// if the host wants to be left alone for long; those of the network while robots.txt is fetched.
    pub async fn turn(&self, url: &Url) -> Result<Turn> {
        self.within(self.turn_now(url)).await
    }

    /// Checks what [`Visits::turn`] checks, and waits for no turn.
    ///
    /// # Errors
    /// See there.
    pub async fn permitted(&self, url: &Url) -> Result<()> {
        self.0.egress.check(url)?;
        self.within(self.rules(url)).await.map(drop)
    }

    /// Asks for a page: in its turn, by all redirects, again where that may help, and later where the site says when.
    ///
    /// # Errors
    /// Those of [`Visits::turn`] and of the client ([`Web::call`]), [`Code::TooManyRedirects`], and for other statuses than
    /// success those of [`judge`].
    pub async fn get(&self, ask: &Ask<'_>) -> Result<Page> {
        self.within(self.asked(ask)).await
    }

    /// Where requests may go.
    #[must_use]
    pub fn egress(&self) -> &Arc<Egress> {
        &self.0.egress
    }

    /// How we are known to sites.
    #[must_use]
    pub fn user_agent(&self) -> &str {
        &self.0.user_agent
    }

    /// The request's own headers, and who asks; nothing for other hosts than that of the first page.
    #[must_use]
    pub fn headers_for(&self, url: &Url) -> HeaderMap {
        self.0.session.headers_for(url)
    }

    /// The cookies for an address: names and values.
    #[must_use]
    pub fn cookies_for(&self, url: &Url) -> Vec<(String, String)> {
        self.0.session.cookies_for(url)
    }

    pub(super) fn manners(&self) -> &Manners {
        &self.0.manners
    }

    pub(super) fn session(&self) -> &Session {
        &self.0.session
    }

    pub(super) fn seen(&self) -> &Rules {
        &self.0.rules
    }

    pub(super) fn hosts(&self) -> &Hosts {
        self.0.turns.hosts()
    }

    /// Lets `work` end with the attempt, and with the job's time.
    async fn within<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let over = async {
            match self.0.deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            }
        };
        let bounded = async {
            tokio::select! {
                done = work => done,
                () = over => {
                    let message = "the pages took longer than `max_seconds`; raise it, or leave it out";
                    Err(Error::new(Code::Timeout, message).with_retry(Retry::Never))
                }
            }
        };
        self.0.stop.or(bounded).await
    }

    pub(super) async fn turn_now(&self, url: &Url) -> Result<Turn> {
        self.0.egress.check(url)?;
        let delay = self.rules(url).await?;
        self.renew(url).await?;
        self.turn_of(&host_of(url), delay).await
    }

    /// A turn for what robots.txt is not asked about.
    pub(super) async fn turn_of(&self, host: &str, crawl_delay: Duration) -> Result<Turn> {
        self.0.turns.take(host, crawl_delay).await
    }

    pub(super) async fn pause(&self, host: &str, time: Duration) -> Result<()> {
        self.0.turns.pause(host, time).await
    }

    pub(super) async fn asked(&self, ask: &Ask<'_>) -> Result<Page> {
        let (mut retries, mut renewed) = (Retries::default(), false);
        loop {
            let (error, again, host) = match self.once(ask).await {
                Ok(found) if (200..300).contains(&found.reply.status) => return Ok(found.page(false)),
                Ok(found) if found.reply.status == 304 && ask.validators.is_some() => return Ok(found.page(true)),
                Ok(found) => {
                    let status = found.reply.status;
                    if status == 401 && !renewed && self.0.session.forget_token() {
                        renewed = true;
                        continue;
                    }
                    let Err(error) = judge(status, &found.url) else { return Ok(found.page(false)) };
                    (error, retries.after_status(status, &found.reply.headers), host_of(&found.url))
                }
                Err(error) => {
                    let again = retries.after_fault(error.code());
                    (error, again, String::new())
                }
            };
            match again {
                None => return Err(error),
                Some(Again::After(time)) => sleep(time).await,
                // It holds for all; our own next turn waits for its end.
                Some(Again::Pause(time)) => self.pause(&host, time).await?,
            }
        }
    }

    /// Asks once, by all redirects: each hop is checked, and has its own turn and what may be told to its host.
    async fn once(&self, ask: &Ask<'_>) -> Result<Found> {
        let mut url = ask.url.clone();
        url.set_fragment(None);
        let mut followed = 0;
        loop {
            let turn = self.turn_now(&url).await?;
            let at = Utc::now();
            let reply = self.send(&url, ask.validators, None).await;
            drop(turn);
            let reply = reply?;
            match location(&url, &reply) {
                None => return Ok(Found { url, reply, at }),
                Some(next) => {
                    self.0.egress.check_redirect(&next, followed)?;
                    followed += 1;
                    url = next;
                }
            }
        }
    }

    /// Makes one request as whoever the job is at that host, and keeps its cookies.
    pub(super) async fn send(&self, url: &Url, validators: Option<&Validators>, form: Option<String>) -> Result<Reply> {
        let session = &self.0.session;
        let mut headers = session.headers_for(url);
        session.add_cookies(&mut headers, url);
        if let Some(validators) = validators {
            let pairs =
                [(header::IF_NONE_MATCH, &validators.etag), (header::IF_MODIFIED_SINCE, &validators.last_modified)];
            for (name, value) in pairs.iter().filter_map(|(name, value)| Some((name, value.as_deref()?))) {
                add_header(&mut headers, name.as_str(), value);
            }
        }
        let reply = self.0.web.call(self.call(url, headers, form)).await?;
        session.keep_cookies(url, &reply.headers);
        Ok(reply)
    }

    /// Makes one request as nobody.
    pub(super) async fn send_plain(&self, call: Call<'_>) -> Result<Reply> {
        self.0.web.call(call).await
    }

    pub(super) fn call<'a>(&self, url: &'a Url, headers: HeaderMap, form: Option<String>) -> Call<'a> {
        let manners = &self.0.manners;
        let (timeout, max_bytes) = (manners.page_time(), manners.page_bytes());
        Call { url, headers, form, timeout, max_bytes, cut: false }
    }
}

impl Found {
    fn page(self, not_modified: bool) -> Page {
        let Self { url, reply: Reply { status, headers, body }, at } = self;
        let body = if not_modified { Bytes::new() } else { body };
        Page { url, status, headers, body, fetched_at: at, not_modified }
    }
}

/// Where a redirect leads; `None` if the answer is none.
pub(super) fn location(from: &Url, reply: &Reply) -> Option<Url> {
    if !matches!(reply.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let to = reply.headers.get(header::LOCATION)?;
    let mut to = from.join(std::str::from_utf8(to.as_bytes()).ok()?).ok()?;
    to.set_fragment(None);
    tracing::debug!(from = shown(from), to = shown(&to), "a redirect");
    Some(to)
}
