//! Where a database is and who asks it.
use std::{path::PathBuf, time::Duration};

use super::{Dialect, SslMode};
use crate::{Code, Error, Secret, secret::REDACTED};

/// A server, a database and a role, and how to talk to them.
#[derive(Clone, Debug)]
pub(in crate::source) struct Endpoint {
    pub dialect: Dialect,
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub password: Option<Secret>,
    pub sslmode: SslMode,
    pub sslrootcert: Option<PathBuf>,
    pub allow_superuser: bool,
    pub connect_timeout: Duration,
    pub statement_timeout: Duration,
    /// Shown in the server's list of connections.
    pub application: String,
}

/// How often a peer that has gone silent is asked whether it is still there.
pub(in crate::source) const KEEPALIVE: Duration = Duration::from_secs(30);
/// The shortest password that is blanked in errors, in bytes: blanks for a shorter one would tell more than they hide.
const LEAST_SECRET: usize = 4;
/// The longest text of an error, in characters.
const MOST_TOLD: usize = 4000;

impl Endpoint {
    /// `host:port`, an IPv6 address in brackets.
    pub fn address(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Where the rows come from, without credentials.
    pub fn origin(&self) -> String {
        format!("{}://{}/{}", self.dialect.scheme(), self.address(), self.database)
    }

    /// How long the server may be silent in one statement: it ends the statement itself before that.
    pub const fn patience(&self) -> Duration {
        self.statement_timeout.saturating_add(self.connect_timeout)
    }

    /// An error as it may be told: what the server has put into it is cut, and a password that it has repeated is blank.
    pub fn told(&self, error: Error) -> Error {
        let password = self.password.as_ref().map(Secret::expose).filter(|password| password.len() >= LEAST_SECRET);
        error.rewrite(|text| match password {
            Some(password) => shown(&text.replace(password, REDACTED), MOST_TOLD),
            None => shown(text, MOST_TOLD),
        })
    }

    /// Nobody answers, or not in time.
    pub fn unreachable(&self, why: &str) -> Error {
        let (title, address) = (self.dialect.title(), self.address());
        let advice = "check host, port and firewall, and that the server runs";
        Error::new(
            Code::SourceUnreachable,
            format!("{title} at {address} cannot be reached from the worker: {why}; {advice}"),
        )
    }

    /// The connection was not made within its time.
    pub fn no_answer(&self) -> Error {
        self.unreachable(&format!("no answer within {} s", self.connect_timeout.as_secs_f64()))
    }
}

/// A text from elsewhere as it may be shown: not longer than `most` characters, control characters escaped.
pub(in crate::source) fn shown(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let mut rest = text.chars();
    for c in rest.by_ref().take(most) {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}
