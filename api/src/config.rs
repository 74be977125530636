//! The API's part of the configuration.
use std::{
    net::{SocketAddr, ToSocketAddrs},
    time::Duration,
};

use icehaul_jobs::{Code, Error, config::SecretSource};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// The API's part of the configuration (`api`).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// The address to listen on; its host may be a name.
    #[serde(deserialize_with = "read_address")]
    pub bind: SocketAddr,
    /// The host names that requests may call this service by, beside its address. Empty: on loopback only `localhost` and
    /// loopback addresses, elsewhere any.
    #[serde(deserialize_with = "icehaul_jobs::config::list")]
    pub hosts: Vec<String>,
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
    /// The most rows' JSON in one reply of `/query` or `/preview`, in bytes; the reply says when it was cut.
    pub max_result_bytes: usize,
    /// The most connections at once; more wait to be accepted.
    pub max_connections: usize,
    /// How long a connection may take to send the head of a request, in seconds.
    pub header_timeout_seconds: f64,
    /// How long a request's body may take to arrive, in seconds.
    pub body_timeout_seconds: f64,
    /// How long a peer may take nothing of the answer that it is sent, in seconds.
    pub write_timeout_seconds: f64,
    /// How long counting, reading or fingerprinting a table may take, and the longest `timeout_seconds` of a query.
    pub query_timeout_seconds: f64,
    /// The longest `Prefer: wait=N`, in seconds.
    pub max_wait_seconds: u64,
}

/// A Trino cluster for `POST /query` (`trino`).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrinoConfig {
    /// Its address, such as `http://127.0.0.1:8081`.
    pub url: String,
    /// Who asks; what this user may do there is for Trino to say.
    pub user: String,
    /// The user's password, by value, file or environment; only over https, or to this machine.
    #[serde(default)]
    pub password: Option<SecretSource>,
    /// The catalog that `namespace.table` is looked for in.
    #[serde(default)]
    pub catalog: Option<String>,
}

impl TrinoConfig {
    /// Says what cannot work, without reaching anything.
    ///
    /// # Errors
    /// The key below `trino`, and what would be right.
    pub fn check(&self) -> std::result::Result<(), (&'static str, &'static str)> {
        let url = url::Url::parse(&self.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(url) = url.filter(|url| url.has_host() && url.query().is_none()) else {
            return Err(("trino.url", "must be such as http://trino.internal:8080"));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(("trino.url", "must not hold a user or password: they have keys of their own"));
        }
        let here =
            url.host_str().is_some_and(|host| host == "localhost" || host.starts_with("127.") || host == "[::1]");
        if self.password.is_some() && url.scheme() == "http" && !here {
            return Err(("trino.password", "must not go over the network in the clear: use an https URL"));
        }
        match self.user.is_empty() || self.user.chars().any(char::is_control) {
            true => Err(("trino.user", "must not be empty")),
            false => Ok(()),
        }
    }

    pub(crate) fn base(&self) -> &str {
        self.url.trim_end_matches('/')
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
            hosts: Vec::new(),
            max_body_bytes: 1 << 20,
            max_result_bytes: 32 << 20,
            max_connections: 4096,
            header_timeout_seconds: 15.0,
            body_timeout_seconds: 30.0,
            write_timeout_seconds: 30.0,
            query_timeout_seconds: 300.0,
            max_wait_seconds: 60,
        }
    }
}

impl ApiConfig {
    pub(crate) fn query_timeout(&self) -> Duration {
        seconds(self.query_timeout_seconds)
    }
}

/// Reads an address such as `127.0.0.1:8080` or `localhost:8080`; of several that a name means, IPv4 first.
///
/// # Errors
/// A sentence that repeats it.
pub fn address(text: &str) -> std::result::Result<SocketAddr, String> {
    let wrong = |why: String| format!("`{text}` must be an address and a port, such as 127.0.0.1:8080 ({why})");
    let found: Vec<_> = text.to_socket_addrs().map_err(|e| wrong(e.to_string()))?.collect();
    let first = found.iter().find(|one| one.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| wrong("it has none".into()))
}

fn read_address<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<SocketAddr, D::Error> {
    address(&String::deserialize(from)?).map_err(D::Error::custom)
}

/// Seconds from a configuration or request; nonsense (negative, NaN) is no time at all.
pub(crate) fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}

/// Refuses an address that others can reach, unless that is said to be meant: the API asks for no keys yet.
///
/// # Errors
/// [`Code::InvalidField`], naming the address.
pub fn check_bind(address: SocketAddr, insecure: bool) -> std::result::Result<(), Error> {
    if insecure || address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    let detail = format!(
        "{address} can be reached from other machines and the API asks for no key: bind 127.0.0.1, or say `--insecure`"
    );
    Err(Error::field("api.bind", Code::InvalidField, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_nowhere_in_the_clear() {
        let check = |url: &str, password: bool| {
            let password = password.then(|| SecretSource::Env { env: "X".into() });
            let config = TrinoConfig { url: url.into(), user: "icehaul".into(), password, catalog: None };
            config.check().map_err(|(key, _)| key)
        };
        for fine in ["https://trino:8443", "http://127.0.0.1:8080/", "http://localhost:1"] {
            assert_eq!(check(fine, true), Ok(()), "{fine}");
        }
        assert_eq!(
            (check("http://trino:8080", false), check("http://trino:8080", true)),
            (Ok(()), Err("trino.password"))
        );
        for wrong in ["trino:8080", "ftp://x", "http://u:p@trino:1", "http://trino/?x=1"] {
            assert_eq!(check(wrong, false), Err("trino.url"), "{wrong}");
        }
    }

    #[test]
    fn only_loopback_is_bound_without_a_word() {
        for (address, fine) in [
            ("127.0.0.1:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
        ] {
            let address = address.parse().expect("address");
            assert_eq!(check_bind(address, false).is_ok(), fine, "{address}");
            assert!(check_bind(address, true).is_ok());
        }
    }
}
