//! Keeps web pages out: a browser on this machine reaches loopback for whatever site it shows.
use std::net::IpAddr;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, Method, header, uri::Authority},
};
use icehaul_jobs::{Code, Error};

use crate::ApiConfig;

/// Refuses a request that calls this service by a foreign name (DNS rebinding) or that a page of another site makes
/// (cross-site request forgery). That page may lead to this service, as a link does, and nothing else.
///
/// # Errors
/// [`Code::HostNotAllowed`], [`Code::OriginNotAllowed`].
pub(crate) fn check(request: &Request, config: &ApiConfig) -> Result<(), Error> {
    let host = host(request);
    if !host.as_ref().is_some_and(|host| known(host.host(), config)) {
        let message = "call this service by its address, by `localhost`, or by a name listed in `api.hosts`";
        return Err(Error::new(Code::HostNotAllowed, message));
    }
    let headers = request.headers();
    let own = match *request.method() {
        Method::GET | Method::HEAD | Method::OPTIONS => !from_elsewhere(headers) || leads_here(headers),
        _ => same_site(headers, host.as_ref()),
    };
    if !own {
        let message = "a page of another site may not make this request; leave out the header `Origin`";
        return Err(Error::new(Code::OriginNotAllowed, message));
    }
    Ok(())
}

/// The host that the request is meant for (RFC 9112, 3.2): the target's if it has one, else the one header's.
fn host(request: &Request) -> Option<Authority> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.clone());
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?.parse().ok()?;
    hosts.next().is_none().then_some(host)
}

fn known(name: &str, config: &ApiConfig) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let address: Option<IpAddr> = name.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let loopback = name == "localhost" || address.is_some_and(|address| address.to_canonical().is_loopback());
    let listed = config.hosts.iter().any(|host| host.eq_ignore_ascii_case(&name));
    let anyone = config.hosts.is_empty() && !config.bind.ip().to_canonical().is_loopback();
    loopback || listed || anyone || address == Some(config.bind.ip())
}

/// Whether the page that makes the request, if it is one, is this service's own (Fetch standard, `Origin` header).
fn same_site(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    if from_elsewhere(headers) {
        return false;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let origin = origin.to_str().unwrap_or_default();
    let page = origin.split_once("://").and_then(|(_, rest)| rest.parse::<Authority>().ok());
    page.as_ref() == host
}

/// Whether a browser says that a page of another origin makes the request (Fetch Metadata).
fn from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get(HeaderName::from_static("sec-fetch-site")).map(|value| value.as_bytes());
    site.is_some_and(|site| site != b"same-origin" && site != b"none")
}

/// Whether the browser shows the answer instead of the page that led there.
fn leads_here(headers: &HeaderMap) -> bool {
    headers.get(HeaderName::from_static("sec-fetch-mode")).is_some_and(|mode| mode == "navigate")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn verdict(method: &str, headers: &[(&str, &str)], config: &ApiConfig) -> Option<Code> {
        let request = headers
            .iter()
            .fold(Request::builder().method(method).uri("/api/v1/jobs"), |request, (k, v)| request.header(*k, *v));
        check(&request.body(Body::empty()).expect("request"), config).err().map(|e| e.code())
    }

    #[test]
    fn only_own_names_are_answered_on_loopback() {
        let config = ApiConfig { hosts: vec!["lake.test".into()], ..ApiConfig::default() };
        for (host, fine) in [
            ("127.0.0.1:8080", true),
            ("localhost:9", true),
            ("LOCALHOST.", true),
            ("[::1]:8080", true),
            ("Lake.test", true),
            ("evil.test", false),
            ("localhost.evil.test", false),
            ("10.0.0.1", false),
            ("", false),
        ] {
            let expected = (!fine).then_some(Code::HostNotAllowed);
            assert_eq!(verdict("GET", &[("host", host)], &config), expected, "{host}");
        }
        let two = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(verdict("GET", &two, &config), Some(Code::HostNotAllowed));
        let public = ApiConfig { bind: "0.0.0.0:80".parse().expect("address"), ..ApiConfig::default() };
        assert_eq!(verdict("GET", &[("host", "lake.example")], &public), None);
    }

    #[test]
    fn pages_of_other_sites_change_nothing() {
        let config = ApiConfig::default();
        let post = |extra: (&str, &str)| verdict("POST", &[("host", "localhost:8080"), extra], &config);
        assert_eq!(post(("origin", "http://localhost:8080")), None);
        assert_eq!(post(("sec-fetch-site", "same-origin")), None);
        for extra in [
            ("origin", "http://evil.test"),
            ("origin", "http://localhost:9999"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert_eq!(post(extra), Some(Code::OriginNotAllowed), "{extra:?}");
        }
    }

    #[test]
    fn pages_of_other_sites_may_only_lead_here() {
        let get = |extra: &[(&str, &str)]| {
            let headers: Vec<_> = [("host", "localhost:8080")].iter().chain(extra).copied().collect();
            verdict("GET", &headers, &ApiConfig::default())
        };
        assert_eq!(get(&[("origin", "http://evil.test")]), None);
        assert_eq!(get(&[("sec-fetch-site", "none"), ("sec-fetch-mode", "cors")]), None);
        assert_eq!(get(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]), None);
        for mode in ["no-cors", "cors", "websocket"] {
            let headers = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", mode)];
            assert_eq!(get(&headers), Some(Code::OriginNotAllowed), "{mode}");
        }
        assert_eq!(get(&[("sec-fetch-site", "same-site")]), Some(Code::OriginNotAllowed));
    }
}
