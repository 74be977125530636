//! OAuth 2 by client credentials (RFC 6749, 4.4): a token for the job, kept in memory, and another when it has ended.
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::{
    Basic, OAuth2, judge,
    session::{Token, basic_value},
    turn::host_of,
    visit::Visits,
};
use crate::{
    Code, Error, Result, Retry, Secret,
    http::{Call, HeaderMap, add_header, header, shown},
};

/// A new token is fetched this long before the old one ends.
const EARLY: Duration = Duration::from_secs(30);
const MOST_BYTES: usize = 64 << 10;

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Option<f64>,
}

impl Visits {
    /// Sees to it that there is a token, if the page is one that is asked for with one.
    pub(super) async fn renew(&self, url: &Url) -> Result<()> {
        let oauth2 = self.manners().auth.as_ref().and_then(|auth| auth.oauth2.as_ref());
        let Some(oauth2) = oauth2.filter(|_| self.session().is_home(url)) else { return Ok(()) };
        let _one = self.session().renewing.lock().await;
        if !self.session().has_token() {
            self.session().set_token(self.granted(oauth2).await?);
        }
        Ok(())
    }

    async fn granted(&self, oauth2: &OAuth2) -> Result<Token> {
        let wrong = |e| Error::new(Code::InvalidField, "`auth.oauth2.token_url` is no address").caused_by(e);
        let url = Url::parse(&oauth2.token_url).map_err(wrong)?;
        self.egress().check(&url)?;
        let (headers, form) = asking(oauth2);
        let turn = self.turn_of(&host_of(&url), Duration::ZERO).await?;
        let asked = Instant::now();
        let call = Call { max_bytes: MOST_BYTES, ..self.call(&url, headers, Some(form)) };
        let reply = self.send_plain(call).await;
        drop(turn);
        let reply = reply?;
        match reply.status {
            400 | 401 | 403 => Err(refused(&url, "refuses the client")),
            status => judge(status, &url).and_then(|()| token(&reply.body, asked, &url)),
        }
    }
}

/// What is sent for a token. (A form under way cannot be held while one waits.)
fn asking(oauth2: &OAuth2) -> (HeaderMap, String) {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    form.extend_pairs(oauth2.scope.iter().map(|scope| ("scope", scope)));
    let mut headers = HeaderMap::new();
    add_header(&mut headers, header::ACCEPT.as_str(), "application/json");
    if oauth2.in_body {
        form.append_pair("client_id", &oauth2.client_id).append_pair("client_secret", oauth2.client_secret.expose());
    } else {
        // The RFC wants both encoded as in a form before they are joined by a colon.
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let secret = Secret::new(encoded(oauth2.client_secret.expose()));
        let value = basic_value(&Basic { user: encoded(&oauth2.client_id), password: secret });
        add_header(&mut headers, header::AUTHORIZATION.as_str(), &value);
    }
    (headers, form.finish())
}

fn token(body: &[u8], asked: Instant, url: &Url) -> Result<Token> {
    let granted: Granted =
        serde_json::from_slice(body).map_err(|_| refused(url, "gives an answer that is no token"))?;
    if granted.token_type.as_ref().is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(refused(url, "gives a token that is no bearer token"));
    }
    if granted.access_token.is_empty() || !granted.access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refused(url, "gives a token that no header can have"));
    }
    let seconds = granted.expires_in.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    // One that hardly lives is used for half of its life.
    let ends = seconds.and_then(|time| asked.checked_add(time.saturating_sub(EARLY).max(time / 2)));
    Ok(Token { secret: Secret::new(granted.access_token), ends })
}

fn refused(url: &Url, what: &str) -> Error {
    Error::new(Code::AuthFailed, format!("{} {what}; look at `auth.oauth2`", shown(url))).with_retry(Retry::Never)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_used_until_shortly_before_its_end() {
        let url = Url::parse("https://example.org/token").expect("an address");
        let asked = Instant::now();
        let ends = |body: &str| token(body.as_bytes(), asked, &url).map(|token| token.ends.map(|at| at - asked));
        let seconds = |n| Some(Duration::from_secs_f64(n));
        assert_eq!(
            ends(r#"{"access_token": "a", "expires_in": 3600, "token_type": "Bearer"}"#).ok(),
            Some(seconds(3570.0))
        );
        assert_eq!(ends(r#"{"access_token": "a", "expires_in": 5}"#).ok(), Some(seconds(2.5)));
        assert_eq!(ends(r#"{"access_token": "a"}"#).ok(), Some(None));
        for wrong in ["", "{}", r#"{"access_token": "a\r\nb"}"#, r#"{"access_token": "a", "token_type": "mac"}"#] {
            assert_eq!(ends(wrong).map_err(|e| e.code()), Err(Code::AuthFailed), "{wrong}");
        }
    }
}
