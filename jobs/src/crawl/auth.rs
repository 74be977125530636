//! The fields of a request that say who asks a site.
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{Code, FieldError, Secret, extract::Selector};

/// The most fields of a login form.
const MOST_FIELDS: usize = 50;

/// Who asks: exactly one of these. It is told to the host of `url` and no other.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// A user and a password with every request (RFC 7617).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic: Option<Basic>,
    /// A token with every request (RFC 6750).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Secret>,
    /// A form that is filled in before the first page; the site's cookies do the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<Login>,
    /// A token of OAuth 2 by client credentials (RFC 6749, 4.4); a new one is fetched when it ends or is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2>,
}

/// A user and a password.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The user.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// A form to log in by: it is fetched, its hidden fields are kept, the others are filled in, and it is sent as it says.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The page with the form.
    #[schemars(example = &"https://example.org/login")]
    pub url: String,
    /// A CSS selector of the form; default: the first with a field for a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// The names of form fields and what to fill in: `{"username": "reader"}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Secret>,
    /// What goes into the form's field for a password.
    pub password: Secret,
    /// A CSS selector that the page after the login must match, such as `a.logout`. Without it the login counts as refused
    /// if there is a field for a password again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
}

/// A client of an authorization server.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// Where tokens are given.
    pub token_url: String,
    /// The client's name.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// What the token shall permit, as the server names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Sends name and secret among the form's fields instead of as basic authentication.
    #[serde(default)]
    pub in_body: bool,
}

impl Auth {
    /// Finds what is wrong without any I/O.
    pub(crate) fn check(&self) -> Vec<FieldError> {
        let mut wrong = Vec::new();
        let mut fault = |field: &str, code, detail: String| {
            wrong.push(FieldError { field: format!("auth{field}"), code, detail });
        };
        let given = [self.basic.is_some(), self.bearer.is_some(), self.login.is_some(), self.oauth2.is_some()];
        match given.into_iter().filter(|given| *given).count() {
            0 => fault("", Code::MissingField, "has one of `basic`, `bearer`, `login` and `oauth2`".into()),
            1 => {}
            _ => fault("", Code::ConflictingFields, "has only one of `basic`, `bearer`, `login` and `oauth2`".into()),
        }
        if self.basic.as_ref().is_some_and(|basic| basic.user.contains(':')) {
            fault(".basic.user", Code::InvalidField, "must have no colon".into());
        }
        if self.bearer.as_ref().is_some_and(|token| !is_token(token.expose())) {
            fault(".bearer", Code::InvalidField, "must be plain text without blanks".into());
        }
        if let Some(login) = &self.login {
            if !is_address(&login.url) {
                fault(".login.url", Code::InvalidField, ADDRESS.into());
            }
            for (field, selector) in [("form", &login.form), ("check", &login.check)] {
                if let Some(Err(detail)) = selector.as_deref().map(Selector::parse) {
                    fault(&format!(".login.{field}"), Code::InvalidSelector, detail);
                }
            }
            if login.fields.len() > MOST_FIELDS {
                fault(".login.fields", Code::InvalidField, format!("must be at most {MOST_FIELDS}"));
            }
        }
        if self.oauth2.as_ref().is_some_and(|oauth2| !is_address(&oauth2.token_url)) {
            fault(".oauth2.token_url", Code::InvalidField, ADDRESS.into());
        }
        wrong
    }

    /// The secrets among the fields.
    pub(crate) fn secrets(&mut self) -> Vec<&mut Secret> {
        let mut secrets: Vec<_> = self.basic.iter_mut().map(|basic| &mut basic.password).collect();
        secrets.extend(&mut self.bearer);
        if let Some(login) = &mut self.login {
            secrets.extend(login.fields.values_mut());
            secrets.push(&mut login.password);
        }
        secrets.extend(self.oauth2.iter_mut().map(|oauth2| &mut oauth2.client_secret));
        secrets
    }
}

const ADDRESS: &str = "must be an address such as https://example.org/login, without a user or password";

fn is_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
    })
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}
