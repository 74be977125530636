//! The fields of a request that say how a site is asked.
use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auth::Auth;
use crate::{Code, FieldError, Secret, http};

/// The most bytes of a page, where the request does not say: the contract's 50 MiB.
const MAX_BYTES: u64 = 50 << 20;
/// How long a page may take, where the request does not say, and at most.
const PAGE_SECONDS: f64 = 60.0;
const MOST_PAGE_SECONDS: f64 = 600.0;
/// The longest delay between two pages, and the longest time of a job, in seconds.
const MOST_DELAY: f64 = 3600.0;
const MOST_SECONDS: f64 = 30.0 * 86_400.0;
/// The most connections to a host, and the most headers and cookies of a request.
const MOST_CONNECTIONS: u32 = 16;
const MOST_FIELDS: usize = 50;
const LONGEST_VALUE: usize = 8192;

/// How a site is asked.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Manners {
    /// Headers of every request to the host of `url`; to no other.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Secret>,
    /// Cookies that the host of `url` gets from the first request on; those that it sets come on top, for this job only.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cookies: BTreeMap<String, Secret>,
    /// Who asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// The least seconds between two requests to a host, of all jobs and workers together; each time up to twice as long, by
    /// chance. Default: 1. Never less than the site's own `Crawl-delay`, unless `respect_robots` is `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_seconds: Option<f64>,
    /// How many requests to a host may be under way at once, those of other jobs included; default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16))]
    pub connections: Option<u32>,
    /// Asks for no page that the site's robots.txt (RFC 9309) forbids.
    pub respect_robots: bool,
    /// The most bytes of a page, decompressed; default: 50 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// How long a page may take, from the connection to its last byte; default: 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_seconds: Option<f64>,
    /// How long all pages together may take: the job ends with `timeout` then, and is not tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_seconds: Option<f64>,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            headers: BTreeMap::new(),
            cookies: BTreeMap::new(),
            auth: None,
            delay_seconds: None,
            connections: None,
            respect_robots: true,
            max_bytes: None,
            page_seconds: None,
            max_seconds: None,
        }
    }
}

impl Manners {
    /// Finds what is wrong without any I/O.
    #[must_use]
    pub fn check(&self) -> Vec<FieldError> {
        let mut wrong = self.auth.as_ref().map(Auth::check).unwrap_or_default();
        let mut fault = |field: String, code, detail: String| wrong.push(FieldError { field, code, detail });
        for (field, map) in [("headers", &self.headers), ("cookies", &self.cookies)] {
            if map.len() > MOST_FIELDS {
                fault(field.into(), Code::InvalidField, format!("must be at most {MOST_FIELDS}"));
            }
        }
        for (name, value) in self.headers.iter().take(MOST_FIELDS) {
            let why = http::refuse_header(name, value.expose());
            let why = why.or((value.expose().len() > LONGEST_VALUE).then_some("is too long"));
            if let Some(why) = why {
                fault(format!("headers.{name}"), Code::InvalidField, why.into());
            }
        }
        let token = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
        let octet = |byte: u8| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte);
        for (name, value) in self.cookies.iter().take(MOST_FIELDS) {
            let value = value.expose();
            if name.is_empty() || !name.bytes().all(token) || !value.bytes().all(octet) || value.len() > LONGEST_VALUE {
                let detail = "names and values have no blanks, quotes, commas, semicolons or backslashes".into();
                fault(format!("cookies.{name}"), Code::InvalidField, detail);
            }
        }
        let authorized = self.headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"));
        if authorized && self.auth.as_ref().is_some_and(|auth| auth.login.is_none()) {
            fault("headers".into(), Code::ConflictingFields, "`authorization` goes not with this `auth`".into());
        }
        let seconds = [
            ("delay_seconds", self.delay_seconds, 0.0, MOST_DELAY),
            ("page_seconds", self.page_seconds, 0.1, MOST_PAGE_SECONDS),
            ("max_seconds", self.max_seconds, 0.1, MOST_SECONDS),
        ];
        for (field, value, least, most) in seconds {
            if value.is_some_and(|value| !(least..=most).contains(&value)) {
                fault(field.into(), Code::InvalidField, format!("must be from {least} to {most} seconds"));
            }
        }
        if self.connections.is_some_and(|count| !(1..=MOST_CONNECTIONS).contains(&count)) {
            fault("connections".into(), Code::InvalidField, format!("must be from 1 to {MOST_CONNECTIONS}"));
        }
        if self.max_bytes.is_some_and(|bytes| !(1..=MAX_BYTES * 20).contains(&bytes)) {
            fault("max_bytes".into(), Code::InvalidField, format!("must be from 1 to {}", MAX_BYTES * 20));
        }
        wrong
    }

    /// The secrets among the fields.
    pub fn secrets(&mut self) -> Vec<&mut Secret> {
        let auth = self.auth.iter_mut().flat_map(Auth::secrets);
        self.headers.values_mut().chain(self.cookies.values_mut()).chain(auth).collect()
    }

    /// The least time between two requests to a host.
    #[must_use]
    pub fn delay(&self) -> Duration {
        Duration::from_secs_f64(self.delay_seconds.unwrap_or(1.0))
    }

    /// How many requests to a host may be under way at once.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.unwrap_or(1) as usize
    }

    /// The most bytes of a page.
    #[must_use]
    pub fn page_bytes(&self) -> usize {
        usize::try_from(self.max_bytes.unwrap_or(MAX_BYTES)).unwrap_or(usize::MAX)
    }

    /// How long a page may take.
    #[must_use]
    pub fn page_time(&self) -> Duration {
        Duration::from_secs_f64(self.page_seconds.unwrap_or(PAGE_SECONDS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn faults(fields: Value) -> Vec<String> {
        let manners: Manners = serde_json::from_value(fields).expect("manners");
        manners.check().into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn faults_are_found_before_anything_is_asked() {
        let login = |more: Value| {
            let mut login = json!({"url": "https://example.org/login", "password": "p", "fields": {"user": "u"}});
            login.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
            json!({"auth": {"login": login}})
        };
        for (fields, wrong) in [
            (json!({}), &[][..]),
            (json!({"headers": {"X-Api-Key": "k", "Authorization": "Token t"}, "cookies": {"a": "b=c"}}), &[]),
            (json!({"auth": {"basic": {"user": "u", "password": "p"}}, "delay_seconds": 0, "connections": 8}), &[]),
            (json!({"auth": {"bearer": "t"}, "headers": {"authorization": "x"}}), &["headers"]),
            (json!({"auth": {}}), &["auth"]),
            (json!({"auth": {"bearer": "a b"}}), &["auth.bearer"]),
            (json!({"auth": {"bearer": "a", "basic": {"user": "a:b", "password": ""}}}), &["auth", "auth.basic.user"]),
            (login(json!({})), &[]),
            (login(json!({"form": "form[", "check": "a.out"})), &["auth.login.form"]),
            (login(json!({"url": "/login"})), &["auth.login.url"]),
            (
                json!({"auth": {"oauth2": {"token_url": "x", "client_id": "c", "client_secret": "s"}}}),
                &["auth.oauth2.token_url"],
            ),
            (
                json!({"headers": {"Host": "x", "a b": "x", "X-A": "a\nb"}}),
                &["headers.Host", "headers.X-A", "headers.a b"],
            ),
            (json!({"headers": {"User-Agent": "x", "Cookie": "a=b"}}), &["headers.Cookie", "headers.User-Agent"]),
            (json!({"cookies": {"a": "b;c", "d e": "f"}}), &["cookies.a", "cookies.d e"]),
            (
                json!({"delay_seconds": -1, "max_bytes": 0, "page_seconds": 601}),
                &["delay_seconds", "page_seconds", "max_bytes"],
            ),
        ] {
            assert_eq!(faults(fields.clone()), wrong, "{fields}");
        }
    }

    #[test]
    fn all_secrets_are_listed() {
        let mut manners: Manners = serde_json::from_value(json!({
            "headers": {"x-key": "s1"}, "cookies": {"c": "s2"},
            "auth": {"basic": {"user": "u", "password": "s3"}, "bearer": "s4",
                "login": {"url": "https://h/", "password": "s6", "fields": {"pin": "s5"}},
                "oauth2": {"token_url": "https://h/", "client_id": "c", "client_secret": "s7"}},
        }))
        .expect("manners");
        let found: Vec<_> = manners.secrets().iter().map(|secret| secret.expose().to_owned()).collect();
        assert_eq!(found, ["s1", "s2", "s3", "s4", "s5", "s6", "s7"]);
        let shown = format!("{manners:?} {}", serde_json::to_string(&manners).expect("JSON"));
        assert!((1..8).all(|n| !shown.contains(&format!("s{n}\""))), "{shown}");
    }
}
