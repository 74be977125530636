//! Rows that are changed on their way.
use std::collections::{BTreeMap, HashSet};

use icehaul_lake::sql;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Code, Error, FieldError, Result, source::Dialect, spec::MOST_COLUMNS};

/// How rows are changed on their way. Expressions are SQL over the source's columns; each row becomes one row or none.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Transform {
    /// Only these columns, in this order; all if there are none here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MOST_COLUMNS))]
    pub select: Vec<String>,
    /// New names of columns.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rename: BTreeMap<String, String>,
    /// Other types of columns, in SQL's spelling (`BIGINT`, `DECIMAL(12, 2)`). A value that does not fit fails the job.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cast: BTreeMap<String, String>,
    /// More columns: their names, and the expressions that give their values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub computed: BTreeMap<String, String>,
    /// Only rows for which this holds.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// An expression or a type of a transformation.
pub(super) struct Part<'a> {
    /// The field that it is from.
    pub field: String,
    text: &'a str,
    is_type: bool,
    /// A statement of nothing but it.
    pub sql: String,
}

impl Transform {
    /// Finds what is wrong without any I/O.
    pub(super) fn check(&self) -> Vec<FieldError> {
        let fault = |part: Part<'_>| {
            let alone = match part.is_type {
                true => sql::check_type(part.text),
                false => sql::check_expression(part.text),
            };
            let error = Error::from(alone.and_then(|()| sql::check_transform(&part.sql)).err()?);
            Some(FieldError { field: part.field, code: error.code(), detail: error.message().to_owned() })
        };
        self.parts().filter_map(fault).collect()
    }

    /// Each expression and type, with the field that it is from and as a statement of its own.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let one = |item: &str| format!("SELECT {item} FROM {}", sql::SOURCE);
        let part = |field, text, is_type, sql| Part { field, text, is_type, sql };
        let computed = self.computed.iter().map(move |(name, text)| {
            part(format!("transform.computed.{name}"), text.as_str(), false, one(&format!("({text}\n)")))
        });
        let cast = self.cast.iter().map(move |(name, text)| {
            let item = format!("CAST({} AS {text}\n)", Dialect::Postgres.ident(name));
            part(format!("transform.cast.{name}"), text.as_str(), true, one(&item))
        });
        let filter = self.filter.iter().map(move |text| {
            part("transform.where".to_owned(), text.as_str(), false, format!("{} WHERE ({text}\n)", one("1")))
        });
        computed.chain(cast).chain(filter)
    }

    /// The statement over a table with these columns.
    pub(super) fn sql(&self, columns: &[String]) -> Result<String> {
        let named = self.select.iter().map(|name| ("select", name));
        let named = named.chain(self.rename.keys().map(|name| ("rename", name)));
        for (field, name) in named.chain(self.cast.keys().map(|name| ("cast", name))) {
            if !columns.contains(name) {
                let detail = format!("the source has no column `{name}`; its columns are {}", columns.join(", "));
                return Err(Error::field(format!("transform.{field}"), Code::SourceColumnNotFound, detail));
            }
        }
        let chosen = if self.select.is_empty() { columns } else { &self.select };
        let changed =
            self.rename.keys().map(|name| ("rename", name)).chain(self.cast.keys().map(|name| ("cast", name)));
        if let Some((field, name)) = changed.into_iter().find(|(_, name)| !chosen.contains(name)) {
            let detail = format!("`{name}` is not among the columns of `select`");
            return Err(Error::field(format!("transform.{field}.{name}"), Code::ConflictingFields, detail));
        }
        self.check_names(chosen)?;
        let column = |name: &String| {
            let value = match self.cast.get(name) {
                Some(kind) => format!("CAST({} AS {kind}\n)", Dialect::Postgres.ident(name)),
                None => Dialect::Postgres.ident(name),
            };
            format!("{value} AS {}", Dialect::Postgres.ident(self.rename.get(name).unwrap_or(name)))
        };
        let computed =
            self.computed.iter().map(|(name, text)| format!("({text}\n) AS {}", Dialect::Postgres.ident(name)));
        let items: Vec<String> = chosen.iter().map(column).chain(computed).collect();
        let condition = self.filter.as_ref().map(|text| format!(" WHERE ({text}\n)")).unwrap_or_default();
        Ok(format!("SELECT {} FROM {}{condition}", items.join(", "), sql::SOURCE))
    }

    /// Refuses two columns of one name.
    fn check_names(&self, chosen: &[String]) -> Result<()> {
        let mut taken = HashSet::new();
        let named = chosen.iter().map(|name| match self.rename.get(name) {
            Some(new) => (format!("transform.rename.{name}"), new),
            None => ("transform.select".to_owned(), name),
        });
        let computed = self.computed.keys().map(|name| (format!("transform.computed.{name}"), name));
        for (field, name) in named.chain(computed) {
            if !taken.insert(name) {
                let detail = format!("there is another column `{name}`: give one of them another name");
                return Err(Error::field(field, Code::DuplicateColumn, detail));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_says_what_is_asked_for() {
        let text = r#"{"select": ["b", "a"], "rename": {"a": "the \"a\""}, "cast": {"b": "BIGINT"},
                       "computed": {"c": "a + 1 -- more"}, "where": "a > 0"}"#;
        let transform: Transform = serde_json::from_str(text).expect("a transform");
        let columns = ["a", "b", "x"].map(str::to_owned);
        assert_eq!(
            transform.sql(&columns).expect("a statement"),
            "SELECT CAST(\"b\" AS BIGINT\n) AS \"b\", \"a\" AS \"the \"\"a\"\"\", (a + 1 -- more\n) AS \"c\" \
             FROM \"rows\".\"source\" WHERE (a > 0\n)"
        );
        assert!(transform.check().is_empty(), "{:?}", transform.check());
        let wrong = Transform { select: vec!["z".into()], ..Transform::default() };
        assert_eq!(wrong.sql(&columns).map_err(|e| e.code()), Err(Code::SourceColumnNotFound));
        let clash = |text: &str| {
            let transform: Transform = serde_json::from_str(text).expect("a transform");
            transform.sql(&columns).expect_err("a clash").field_errors()[0].field.clone()
        };
        assert_eq!(clash(r#"{"rename": {"b": "a"}}"#), "transform.rename.b");
        assert_eq!(clash(r#"{"computed": {"x": "a + 1"}}"#), "transform.computed.x");
        assert_eq!(clash(r#"{"select": ["a", "a"]}"#), "transform.select");
        for wrong in [
            r#"{"computed": {"c": "1) AS sneaky, (2"}}"#,
            r#"{"cast": {"a": "BIGINT) AS x2, CAST(b AS BIGINT"}}"#,
            r#"{"where": "true) UNION (SELECT 1"}"#,
            r#"{"computed": {"c": "1 AS x"}}"#,
        ] {
            let transform: Transform = serde_json::from_str(wrong).expect("a transform");
            assert_eq!(transform.check().first().map(|fault| fault.code), Some(Code::InvalidQuery), "{wrong}");
        }
        let wrong = Transform { filter: Some("a >".into()), ..Transform::default() };
        assert_eq!(wrong.check()[0].field, "transform.where");
    }
}
