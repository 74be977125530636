//! What the databases have in common: the fields of a request, where the server is, the little SQL that is looked at, and
//! what their plans say.
mod endpoint;
mod request;
mod sql;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) use self::{
    endpoint::{Endpoint, KEEPALIVE, shown},
    request::DatabaseRequest,
    sql::{TableRef, single_statement},
};
use crate::{Code, Error, Result, config::Limits, transform::MarkKind};

/// The lineage columns of a database's rows.
pub(super) const LINEAGE: &[(&str, MarkKind)] = &[("source_system", MarkKind::Text), ("scraped_at", MarkKind::Time)];

/// A batch ends with whichever comes first.
pub(super) const BATCH_ROWS: usize = 16_384;
pub(super) const BATCH_BYTES: usize = 8 << 20;

/// What a database's SQL is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// PostgreSQL's, which is also that of our own queries.
    Postgres,
    /// That of MySQL and MariaDB.
    MySql,
}

impl Dialect {
    /// The product, for messages.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL",
        }
    }

    const fn scheme(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::MySql => 3306,
        }
    }

    /// What stands around a name.
    const fn quote(self) -> char {
        match self {
            Self::Postgres => '"',
            Self::MySql => '`',
        }
    }

    /// The most columns of a table or view.
    const fn most_columns(self) -> usize {
        match self {
            Self::Postgres => 1664,
            Self::MySql => 4096,
        }
    }
}

/// How the connection is encrypted, as in libpq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Never.
    Disable,
    /// If the server offers it; the certificate is not checked.
    #[default]
    Prefer,
    /// Always; the certificate is checked only if root certificates are configured.
    Require,
    /// Always, and the certificate must be signed by a trusted authority.
    VerifyCa,
    /// Always, and the certificate must also be for this host.
    VerifyFull,
}

/// What cannot be read at all.
pub(super) fn not_allowed(why: &str) -> Error {
    Error::new(Code::QueryNotAllowed, why)
}

/// Refuses too few and too many columns, and two of one name.
pub(super) fn check_columns<'a>(names: impl ExactSizeIterator<Item = &'a str>, limits: &Limits) -> Result<()> {
    let (there, most) = (names.len(), limits.max_columns);
    if there == 0 {
        return Err(not_allowed(
            "the statement gives no columns; only a query (SELECT, VALUES, TABLE, WITH) can be read",
        ));
    }
    if there > most {
        return Err(Error::new(Code::TooManyColumns, format!("there are {there} columns; at most {most} are taken")));
    }
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Error::new(
                Code::DuplicateColumn,
                format!("two columns are named `{name}`; give one of them another name with AS"),
            ));
        }
    }
    Ok(())
}
