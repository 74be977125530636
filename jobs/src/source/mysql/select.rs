//! The statement that gives the rows: the request's query or table, an incremental condition, a range of keys.
use super::relation::Part;

/// Where the rows come from, before anything is added.
#[derive(Clone, Debug)]
pub(super) enum Base {
    /// One checked statement.
    Query(String),
    /// A table; names are quoted, `condition` is one checked expression.
    Table { name: String, columns: Vec<String>, condition: Option<String>, key: String },
}

impl Base {
    /// The statement for a part of the rows.
    pub(super) fn sql(&self, part: Part) -> String {
        match self {
            Self::Query(query) => query.clone(),
            Self::Table { name, columns, condition, key } => {
                let list = match columns.as_slice() {
                    [] => "*".to_owned(),
                    some => some.join(", "),
                };
                // A line break ends a comment that the condition may end with.
                let condition = condition.as_ref().map(|c| format!("({c}\n)"));
                let all: Vec<_> = condition.into_iter().chain(part.condition(key)).collect();
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
    /// What is selected of the base, if it is not all of it as it is.
    pub outputs: Vec<String>,
    /// A condition on the columns.
    pub filter: Option<String>,
}

impl Select {
    /// The statement that gives a part of the rows.
    pub(super) fn sql(&self, part: Part) -> String {
        let nothing = (part == Part::Nothing).then(|| "false".to_owned());
        let all: Vec<_> = self.filter.clone().into_iter().chain(nothing).collect();
        if self.outputs.is_empty() && all.is_empty() {
            return self.base.sql(part);
        }
        let list = if self.outputs.is_empty() { "*".to_owned() } else { self.outputs.join(", ") };
        let condition = if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) };
        format!("SELECT {list} FROM {}{condition}", self.base.derived(part))
    }
}
