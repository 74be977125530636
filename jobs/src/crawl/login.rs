//! A login by form, as a browser does it: fetch the page, keep the form's hidden fields, fill in the rest, send it, and look
//! whether it has worked.
use url::{Url, form_urlencoded};

use super::{
    Ask, Login, Page,
    visit::{Visits, location},
};
use crate::{
    Code, Error, Result,
    extract::{Document, Form, Limits, Selector, encoding},
    http::{header, shown},
};

impl Visits {
    /// Logs in; the cookies that come of it are the session.
    pub(super) async fn log_in(&self, login: &Login) -> Result<()> {
        let wrong = |e| Error::new(Code::InvalidField, "`auth.login.url` is no address").caused_by(e);
        let url = Url::parse(&login.url).map_err(wrong)?;
        let page = self.asked(&Ask { url: &url, validators: None }).await?;
        let selector = login.form.clone();
        let found = on_page(page.clone(), move |document, limits| document.form(selector.as_deref(), limits)).await?;
        let form = found.ok_or_else(|| refused(&page.url, "its page has no form with a field for a password"))?;
        let action = action(&page.url, &form)?;
        let filled = fill(form, login, &page.url)?;
        let turn = self.turn_now(&action).await?;
        let reply = self.send(&action, None, Some(filled)).await;
        drop(turn);
        let reply = reply?;
        let landing = match location(&action, &reply) {
            // 307 and 308 would have the password sent again, elsewhere.
            Some(_) if reply.status > 303 => return Err(refused(&action, "it sends the form on to another address")),
            Some(to) => {
                self.asked(&Ask { url: &to, validators: None }).await.map_err(|error| landed(error, &action))?
            }
            None if (200..300).contains(&reply.status) => Page {
                url: action.clone(),
                status: reply.status,
                headers: reply.headers,
                body: reply.body,
                fetched_at: page.fetched_at,
                not_modified: false,
            },
            None => return Err(refused(&action, &format!("its answer has status {}", reply.status))),
        };
        self.verify(login, landing, &action).await
    }

    async fn verify(&self, login: &Login, landing: Page, action: &Url) -> Result<()> {
        let check = login.check.clone();
        let is_page = landing.content_type().is_none_or(|kind| kind.contains("html") || kind.contains("xml"));
        if !is_page && check.is_none() {
            return Ok(());
        }
        let works = on_page(landing, move |document, limits| match check {
            Some(text) => {
                let selector = Selector::parse(&text)
                    .map_err(|fault| Error::field("auth.login.check", Code::InvalidSelector, fault))?;
                document.has(&selector, limits)
            }
            None => document.form(None, limits).map(|form| form.is_none()),
        });
        match (works.await?, &login.check) {
            (true, _) => Ok(()),
            (false, Some(_)) => Err(refused(action, "the page after it does not match `auth.login.check`")),
            (false, None) => Err(refused(action, "the page after it asks for a password again")),
        }
    }
}

/// Looks at a page on a thread of its own: parsing takes time, and a document stays where it was made.
async fn on_page<T: Send + 'static>(
    page: Page,
    look: impl FnOnce(&Document, &Limits) -> Result<T> + Send + 'static,
) -> Result<T> {
    let looked = tokio::task::spawn_blocking(move || {
        let limits = Limits::default();
        let kind = page.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let decoded = encoding::decode(&page.body, kind);
        look(&Document::parse(&decoded.text, Some(&page.url), &limits)?, &limits)
    });
    looked.await.map_err(|e| Error::new(Code::Internal, "a page was not looked at").caused_by(e))?
}

/// Where the form goes: to the host that it came from, and no less secured.
fn action(page: &Url, form: &Form) -> Result<Url> {
    let action = match form.action.as_deref().filter(|action| !action.is_empty()) {
        None => page.clone(),
        Some(action) => page.join(action).map_err(|_| refused(page, "its form goes to no address"))?,
    };
    let same = action.host() == page.host() && action.port_or_known_default() == page.port_or_known_default();
    let upgraded = action.host() == page.host() && page.scheme() == "http" && action.scheme() == "https";
    if !(same && action.scheme() == page.scheme() || upgraded) {
        return Err(refused(page, "its form would send the password to another host"));
    }
    if !form.is_post {
        return Err(refused(page, "its form would put the password into an address"));
    }
    if !form.is_urlencoded {
        return Err(refused(page, "its form is sent in another encoding than a login's"));
    }
    Ok(action)
}

fn fill(form: Form, login: &Login, page: &Url) -> Result<String> {
    let password = form.password.ok_or_else(|| refused(page, "its form has no field for a password"))?;
    let ours = |name: &str| name == password || login.fields.contains_key(name);
    let mut filled = form_urlencoded::Serializer::new(String::new());
    filled.extend_pairs(form.fields.iter().filter(|(name, _)| !ours(name)));
    filled.extend_pairs(login.fields.iter().map(|(name, value)| (name, value.expose())));
    filled.append_pair(&password, login.password.expose());
    Ok(filled.finish())
}

fn landed(error: Error, action: &Url) -> Error {
    match error.code() {
        Code::Http401 | Code::Http403 => refused(action, "the page after it is not shown to us"),
        _ => error,
    }
}

fn refused(url: &Url, why: &str) -> Error {
    Error::new(Code::AuthFailed, format!("the login at {} has not worked: {why}", shown(url)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn form(action: &str) -> Form {
        let fields = vec![("csrf".to_owned(), "a b".to_owned()), ("user".to_owned(), "guest".to_owned())];
        let password = Some("pw".to_owned());
        Form { action: Some(action.to_owned()), is_post: true, is_urlencoded: true, fields, password }
    }

    #[test]
    fn a_password_goes_where_the_form_came_from() {
        let page = Url::parse("https://example.org/login?next=/").expect("an address");
        let to = |form: &Form| action(&page, form).map(String::from).map_err(|error| error.code());
        assert_eq!(to(&form("/session")).as_deref(), Ok("https://example.org/session"));
        assert_eq!(to(&form("")).as_deref(), Ok("https://example.org/login?next=/"));
        for elsewhere in
            ["https://evil.example/", "http://example.org/session", "//evil.example/x", "https://example.org:444/"]
        {
            assert_eq!(to(&form(elsewhere)), Err(Code::AuthFailed), "{elsewhere}");
        }
        assert_eq!(to(&Form { is_post: false, ..form("/session") }), Err(Code::AuthFailed));
        assert_eq!(to(&Form { is_urlencoded: false, ..form("/session") }), Err(Code::AuthFailed));
        let plain = Url::parse("http://example.org/login").expect("an address");
        let secured = action(&plain, &form("https://example.org/session"));
        assert_eq!(secured.map(String::from).ok().as_deref(), Some("https://example.org/session"));
    }

    #[test]
    fn hidden_fields_are_kept_and_ours_filled_in() {
        let login: Login = serde_json::from_value(json!({
            "url": "https://example.org/login", "fields": {"user": "ä&b"}, "password": "p=q",
        }))
        .expect("a login");
        let page = Url::parse("https://example.org/login").expect("an address");
        let filled = fill(form("/session"), &login, &page).expect("filled");
        assert_eq!(filled, "csrf=a+b&user=%C3%A4%26b&pw=p%3Dq");
    }
}
