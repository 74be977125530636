//! The statement that gives the rows: the request's query or table, casts, an incremental condition, a range of pages.
use super::{
    ident,
    relation::Part,
    types::{Cast, Way},
};

/// Where the rows come from, before anything is added.
#[derive(Clone, Debug)]
pub(super) enum Base {
    /// One checked statement.
    Query(String),
    /// A table; names are quoted, `condition` is one checked expression.
    Table { name: String, columns: Vec<String>, condition: Option<String> },
}

impl Base {
    /// The statement for a part of the rows.
    pub(super) fn sql(&self, part: Part) -> String {
        match self {
            Self::Query(query) => query.clone(),
            Self::Table { name, columns, condition } => {
                let list = match columns.as_slice() {
                    [] => "*".to_owned(),
                    some => some.join(", "),
                };
                // A line break ends a comment that the condition may end with.
                let condition = condition.as_ref().map(|c| format!("({c}\n)"));
                let all: Vec<_> = condition.into_iter().chain(part.condition()).collect();
                match all.is_empty() {
                    true => format!("SELECT {list} FROM {name}"),
                    false => format!("SELECT {list} FROM {name} WHERE {}", all.join(" AND ")),
                }
            }
        }
    }

    /// The statement in brackets and with a name, to select from.
    pub(super) fn derived(&self, part: Part) -> String {
        format!("({}\n) AS q", self.sql(part))
    }
}

/// The whole statement but for the part.
#[derive(Clone, Debug)]
pub(super) struct Select {
    pub base: Base,
    /// The columns with their casts; empty if none has one.
    outputs: Vec<String>,
    /// A condition on the columns.
    pub filter: Option<String>,
}

impl Select {
    /// The base with the casts that its columns need.
    pub(super) fn new<'a>(base: Base, columns: impl Iterator<Item = (&'a str, &'a Way)> + Clone) -> Self {
        let outputs = match columns.clone().any(|(_, way)| way.cast.is_some()) {
            true => columns.map(|(name, way)| output(name, way.cast)).collect(),
            false => Vec::new(),
        };
        Self { base, outputs, filter: None }
    }

    /// The statement that sends a part of the rows.
    pub(super) fn copy(&self, part: Part) -> String {
        let rows = match (self.outputs.as_slice(), &self.filter) {
            ([], None) if matches!((&self.base, part), (Base::Table { .. }, _) | (_, Part::All)) => self.base.sql(part),
            (outputs, filter) => {
                let list = if outputs.is_empty() { "*".to_owned() } else { outputs.join(", ") };
                let nothing = (part == Part::Nothing).then(|| "false".to_owned());
                let all: Vec<_> = filter.clone().into_iter().chain(nothing).collect();
                let condition = if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) };
                format!("SELECT {list} FROM {}{condition}", self.base.derived(part))
            }
        };
        format!("COPY ({rows}\n) TO STDOUT (FORMAT binary)")
    }
}

fn output(name: &str, cast: Option<Cast>) -> String {
    let name = ident(name);
    match cast {
        None => name,
        Some(Cast::Text) => format!("{name}::pg_catalog.text"),
        Some(Cast::TextArray) => format!("{name}::pg_catalog.text[]"),
        Some(Cast::Inet) => format!("pg_catalog.textin(pg_catalog.inet_out({name}))"),
    }
}
