//! Who a job is at a site: its headers, its cookies, its token. Nothing of it is told to other hosts, and it ends with the
//! attempt.
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::{Engine, prelude::BASE64_STANDARD};
use cookie_store::CookieStore;
use tokio::time::Instant;
use url::Url;

use super::{Auth, Basic, Manners};
use crate::{
    Secret,
    http::{HeaderMap, add_header, header},
};

/// The most cookies that a job keeps, and the longest of them: sites set as many as they like.
const MOST_COOKIES: usize = 200;
const LONGEST_COOKIE: usize = 4096;

pub(super) struct Session {
    /// The first page: its host is told what the request says.
    home: Url,
    headers: HeaderMap,
    cookies: Mutex<CookieStore>,
    token: Mutex<Option<Token>>,
    /// Held while a token is fetched, so that one is enough.
    pub(super) renewing: tokio::sync::Mutex<()>,
}

/// A token of OAuth 2.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) secret: Secret,
    /// When another is needed.
    pub(super) ends: Option<Instant>,
}

impl Session {
    pub(super) fn new(manners: &Manners, home: &Url) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in &manners.headers {
            add_header(&mut headers, name, value.expose());
        }
        match &manners.auth {
            Some(Auth { basic: Some(basic), .. }) => authorize(&mut headers, &basic_value(basic)),
            Some(Auth { bearer: Some(token), .. }) => authorize(&mut headers, &bearer_value(token)),
            _ => {}
        }
        let mut cookies = CookieStore::new();
        let secure = if home.scheme() == "https" { "; Secure" } else { "" };
        for (name, value) in &manners.cookies {
            // The request was checked: a cookie that cannot be kept is none that could be sent.
            let _ = cookies.parse(&format!("{name}={}; Path=/{secure}", value.expose()), home);
        }
        Self {
            home: home.clone(),
            headers,
            cookies: Mutex::new(cookies),
            token: Mutex::default(),
            renewing: tokio::sync::Mutex::default(),
        }
    }

    /// Whether an address is of the first page's host: the same name and port, or its better secured one.
    pub(super) fn is_home(&self, url: &Url) -> bool {
        let port = |url: &Url| (url.scheme().to_owned(), url.port_or_known_default());
        let upgraded = self.home.scheme() == "http"
            && self.home.port().is_none()
            && url.scheme() == "https"
            && url.port().is_none();
        self.home.host() == url.host() && (port(&self.home) == port(url) || upgraded)
    }

    pub(super) fn headers_for(&self, url: &Url) -> HeaderMap {
        if !self.is_home(url) {
            return HeaderMap::new();
        }
        let mut headers = self.headers.clone();
        if let Some(token) = &*self.token() {
            authorize(&mut headers, &bearer_value(&token.secret));
        }
        headers
    }

    pub(super) fn cookies_for(&self, url: &Url) -> Vec<(String, String)> {
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        self.cookies().get_request_values(url).map(pair).collect()
    }

    pub(super) fn add_cookies(&self, headers: &mut HeaderMap, url: &Url) {
        let pairs: Vec<_> =
            self.cookies().get_request_values(url).map(|(name, value)| format!("{name}={value}")).collect();
        if !pairs.is_empty() {
            add_header(headers, header::COOKIE.as_str(), &pairs.join("; "));
        }
    }

    pub(super) fn keep_cookies(&self, url: &Url, answer: &HeaderMap) {
        let mut set = answer.get_all(header::SET_COOKIE).iter().peekable();
        if set.peek().is_none() {
            return;
        }
        let mut cookies = self.cookies();
        for cookie in set.filter_map(|value| value.to_str().ok()).filter(|text| text.len() <= LONGEST_COOKIE) {
            if cookies.iter_any().count() < MOST_COOKIES {
                let _ = cookies.parse(cookie, url); // what is no cookie, or is of another host, is left out
            }
        }
    }

    fn cookies(&self) -> MutexGuard<'_, CookieStore> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self) -> MutexGuard<'_, Option<Token>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a token that still holds.
    pub(super) fn has_token(&self) -> bool {
        self.token().as_ref().is_some_and(|token| token.ends.is_none_or(|ends| Instant::now() < ends))
    }

    pub(super) fn set_token(&self, token: Token) {
        *self.token() = Some(token);
    }

    /// Drops a token that was refused, so that another is fetched; `false` if there is none.
    pub(super) fn forget_token(&self) -> bool {
        self.token().take().is_some()
    }
}

fn authorize(headers: &mut HeaderMap, value: &str) {
    add_header(headers, header::AUTHORIZATION.as_str(), value);
}

pub(super) fn basic_value(basic: &Basic) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", basic.user, basic.password.expose())))
}

fn bearer_value(token: &Secret) -> String {
    format!("Bearer {}", token.expose())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("an address")
    }

    fn session(home: &str) -> Session {
        let manners = serde_json::from_value(json!({
            "headers": {"X-Key": "k"}, "cookies": {"own": "1"}, "auth": {"basic": {"user": "u", "password": "p"}},
        }));
        Session::new(&manners.expect("manners"), &url(home))
    }

    #[test]
    fn only_the_first_host_is_told() {
        let one = session("http://example.org/a");
        let told = |session: &Session, to: &str| {
            let headers = session.headers_for(&url(to));
            (headers.len(), session.cookies_for(&url(to)).len())
        };
        assert_eq!(told(&one, "http://example.org/b"), (2, 1));
        assert_eq!(told(&one, "https://example.org/b"), (2, 1), "better secured");
        for other in
            ["http://www.example.org/", "http://example.org:8080/", "http://example.net/", "https://example.org:444/"]
        {
            assert_eq!(told(&one, other).0, 0, "{other}");
        }
        let secured = session("https://example.org/a");
        assert_eq!(told(&secured, "http://example.org/b"), (0, 0), "never worse");
        let header = one.headers_for(&url("http://example.org/"));
        assert_eq!(header.get("authorization").and_then(|value| value.to_str().ok()), Some("Basic dTpw"));
        assert!(!format!("{header:?}").contains("dTpw"));
    }

    #[test]
    fn cookies_are_bounded_and_of_their_host() {
        let session = session("http://example.org/a");
        let set = |value: &str| {
            let mut headers = HeaderMap::new();
            add_header(&mut headers, "set-cookie", value);
            session.keep_cookies(&url("http://example.org/"), &headers);
        };
        set("sid=1; HttpOnly; Path=/a");
        set("sid=2; Domain=example.net");
        set(&format!("big={}", "x".repeat(5000)));
        let names = |to: &str| session.cookies_for(&url(to)).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let mut at_a = names("http://example.org/a/b");
        at_a.sort();
        assert_eq!(at_a, ["own", "sid"]);
        assert_eq!(names("http://example.org/"), ["own"]);
        assert!(names("http://example.net/").is_empty());
        (0..1000).for_each(|n| set(&format!("c{n}=1")));
        assert_eq!(names("http://example.org/a").len(), MOST_COOKIES);
    }
}
