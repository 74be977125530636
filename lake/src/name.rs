//! Checked names of namespaces and tables.
use crate::{Error, Kind, Result};

/// The longest name accepted, in characters.
const MAX_NAME: usize = 128;

/// A checked namespace: one level, `[A-Za-z_][A-Za-z0-9_]*`, at most 128 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Namespace(String);

impl Namespace {
    /// Checks a namespace's name.
    ///
    /// # Errors
    /// [`Kind::InvalidIdentifier`] with the rule it breaks.
    pub fn new(name: &str) -> Result<Self> {
        check("namespace", name)?;
        Ok(Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A checked `namespace.table`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct TableName {
    namespace: Namespace,
    table: String,
}

impl TableName {
    /// Checks both parts.
    ///
    /// # Errors
    /// [`Kind::InvalidIdentifier`] with the rule that one of them breaks.
    pub fn new(namespace: &str, table: &str) -> Result<Self> {
        check("table", table)?;
        Ok(Self { namespace: Namespace::new(namespace)?, table: table.to_owned() })
    }

    /// Reads `namespace.table`.
    ///
    /// # Errors
    /// [`Kind::InvalidIdentifier`] if it is not two checked names and a dot.
    pub fn parse(text: &str) -> Result<Self> {
        match text.split_once('.') {
            Some((namespace, table)) => Self::new(namespace, table),
            None => Err(Error::new(
                Kind::InvalidIdentifier,
                format!("`{}` is not of the form namespace.table", shorten(text)),
            )),
        }
    }

    /// The namespace.
    #[must_use]
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The bare table name.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.namespace, self.table)
    }
}

fn check(what: &str, name: &str) -> Result<()> {
    let start = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if start && rest && name.len() <= MAX_NAME {
        return Ok(());
    }
    Err(Error::new(
        Kind::InvalidIdentifier,
        format!(
            "{what} name `{}` is not accepted: use a letter or `_`, then letters, digits and `_`, at most {MAX_NAME} characters",
            shorten(name)
        ),
    ))
}

/// Cuts a name for a message and shows control characters as escapes.
fn shorten(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_mean_something_else_are_refused() {
        for bad in ["", "a/b", "..", "a\"b", "x; DROP TABLE y", "a b", "é", "1a", "a\0", &"a".repeat(300)] {
            let error = Namespace::new(bad).expect_err(bad);
            assert_eq!(error.kind(), Kind::InvalidIdentifier);
            assert!(TableName::new("raw", bad).is_err());
        }
        assert_eq!(TableName::parse("raw.orders").expect("good").to_string(), "raw.orders");
        assert!(TableName::parse("a.b.c").is_err());
    }
}
