//! What a request for many migrations says.
use icehaul_lake::{Namespace, TableName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Code, Error, FieldError, Result,
    job::migrate::{Manner, MigrateTable, name_faults},
    spec::JobOptions,
};

/// The most tables of one request, and the most that are migrated side by side.
pub(super) const MOST_TABLES: usize = 10_000;
const MOST_SIDE_BY_SIDE: u32 = 64;

/// Many tables, each by a migration of its own.
///
/// Either `migrations` names them one by one, or `tables` chooses among those of `source_catalog` (or `source_catalogs`) and
/// `source_namespace`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MigrateBatch {
    /// The tables one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10_000))]
    pub migrations: Vec<Entry>,
    /// Which tables: `*` for all, a list of names, or a regular expression that a table's whole name must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<Tables>,
    /// The catalog in which they are; default: the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_catalog: Option<String>,
    /// The same for several catalogs at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_catalogs: Vec<String>,
    /// Only those of this namespace; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_namespace: Option<String>,
    /// The catalog into which they go; default: the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dest_catalog: Option<String>,
    /// The namespace into which they go; `{catalog}`, `{namespace}` and `{table}` stand for the source's. Default: `{namespace}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"{catalog}_{namespace}")]
    pub dest_namespace: Option<String>,
    /// Their names there, in the same way. Default: `{table}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dest_table: Option<String>,
    /// How many are migrated side by side.
    #[serde(default = "side_by_side")]
    #[schemars(range(min = 1, max = 64))]
    pub parallelism: u32,
    /// Only says what would be done, with the sizes of the tables.
    #[serde(default)]
    pub dry_run: bool,
    /// How each is done.
    #[serde(flatten)]
    pub manner: Manner,
    /// How the jobs are run, this one and those of the tables.
    #[serde(flatten)]
    pub options: JobOptions,
}

const fn side_by_side() -> u32 {
    4
}

/// Which tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Tables {
    /// `*`, or a regular expression.
    Pattern(String),
    /// Their names.
    Names(Vec<String>),
}

/// One table and where it goes: each by one name, or by its parts as in a request for one table.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Entry {
    /// The table that is read, `[catalog.]namespace.table`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"staging.orders")]
    pub source: Option<String>,
    /// The table that is written, in the same form.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"production.orders")]
    pub dest: Option<String>,
    /// The catalog of the table that is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_catalog: Option<String>,
    /// Its namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_namespace: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_table: Option<String>,
    /// The catalog of the table that is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_catalog: Option<String>,
    /// Its namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_namespace: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_table: Option<String>,
}

impl Entry {
    /// The table that is read; without a catalog of its own in the request's.
    pub(super) fn source_place(&self, catalog: Option<&String>) -> Result<Place> {
        let parts = (&self.source_namespace, &self.source_table);
        Place::of(self.source.as_deref(), parts, self.source_catalog.as_ref().or(catalog))
    }

    /// The table that is written.
    pub(super) fn dest_place(&self, catalog: Option<&String>) -> Result<Place> {
        let parts = (&self.dest_namespace, &self.dest_table);
        Place::of(self.dest.as_deref(), parts, self.dest_catalog.as_ref().or(catalog))
    }

    /// The catalogs that it names by itself.
    pub(super) fn catalogs(&self) -> [(&'static str, Option<&str>); 2] {
        [
            ("source", catalog_of(self.source.as_deref(), self.source_catalog.as_deref())),
            ("dest", catalog_of(self.dest.as_deref(), self.dest_catalog.as_deref())),
        ]
    }
}

/// The catalog that a name begins with, or that is named apart.
fn catalog_of<'a>(name: Option<&'a str>, apart: Option<&'a str>) -> Option<&'a str> {
    let parts = name.and_then(|name| name.split_once('.')).filter(|(_, rest)| rest.contains('.'));
    parts.map(|(catalog, _)| catalog).or(apart)
}

/// A table in a catalog; without a catalog the request's, or the default one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Place {
    pub catalog: Option<String>,
    pub namespace: String,
    pub table: String,
}

impl Place {
    /// By one name, or by its parts.
    fn of(name: Option<&str>, parts: (&Option<String>, &Option<String>), catalog: Option<&String>) -> Result<Self> {
        match (name, parts) {
            (Some(name), (None, None)) => Self::parse(name, catalog),
            (None, (Some(namespace), Some(table))) => {
                TableName::new(namespace, table)?;
                Ok(Self { catalog: catalog.cloned(), namespace: namespace.clone(), table: table.clone() })
            }
            _ => Err(Error::new(Code::InvalidField, "needs one name, or namespace and table")),
        }
    }

    /// Reads `[catalog.]namespace.table`.
    pub fn parse(text: &str, catalog: Option<&String>) -> Result<Self> {
        let parts: Vec<&str> = text.split('.').collect();
        let (catalog, namespace, table) = match parts[..] {
            [namespace, table] => (catalog.cloned(), namespace, table),
            [catalog, namespace, table] => (Some(catalog.to_owned()), namespace, table),
            _ => return Err(Error::new(Code::InvalidIdentifier, "must be `[catalog.]namespace.table`")),
        };
        TableName::new(namespace, table)?;
        Ok(Self { catalog, namespace: namespace.to_owned(), table: table.to_owned() })
    }

    /// Catalog, namespace and table.
    pub fn parts(&self) -> (Option<&str>, &str, &str) {
        (self.catalog.as_deref(), &self.namespace, &self.table)
    }

    /// With the name of its catalog filled in.
    pub fn whole(&self, default: &str) -> String {
        format!("{}.{}.{}", self.catalog.as_deref().unwrap_or(default), self.namespace, self.table)
    }
}

impl MigrateBatch {
    /// The request for one table.
    pub(super) fn single(&self, source: &Place, dest: &Place) -> MigrateTable {
        let mut options = self.options.clone();
        options.run_at = None;
        MigrateTable {
            source_namespace: source.namespace.clone(),
            source_table: source.table.clone(),
            source_catalog: source.catalog.clone(),
            source_snapshot: None,
            dest_namespace: dest.namespace.clone(),
            dest_table: dest.table.clone(),
            dest_catalog: dest.catalog.clone(),
            dry_run: false,
            manner: self.manner.clone(),
            options,
        }
    }

    /// Where a chosen table goes.
    pub(super) fn destination(&self, source: &Place, default: &str) -> Place {
        let filled = |template: Option<&str>, without: &str| {
            let catalog = source.catalog.as_deref().unwrap_or(default);
            let parts = PLACEHOLDERS.iter().zip([catalog, &source.namespace, &source.table]);
            parts.fold(template.unwrap_or(without).to_owned(), |text, (name, part)| text.replace(name, part))
        };
        Place {
            catalog: self.dest_catalog.clone(),
            namespace: filled(self.dest_namespace.as_deref(), "{namespace}"),
            table: filled(self.dest_table.as_deref(), "{table}"),
        }
    }

    /// Finds what is wrong without any I/O.
    pub(super) fn faults(&self) -> Vec<FieldError> {
        let mut wrong = [self.options.check(), self.manner.check()].concat();
        let mut fault =
            |field: &str, code, detail: String| wrong.push(FieldError { field: field.into(), code, detail });
        match (self.migrations.is_empty(), &self.tables) {
            (true, None) => {
                fault("tables", Code::MissingField, "say by `tables` or `migrations` which tables are meant".into());
            }
            (false, Some(_)) => {
                fault("tables", Code::ConflictingFields, "goes without `migrations`: each says which tables".into());
            }
            _ => {}
        }
        if self.source_catalog.is_some() && !self.source_catalogs.is_empty() {
            fault("source_catalogs", Code::ConflictingFields, "goes without `source_catalog`".into());
        }
        for (n, entry) in self.migrations.iter().enumerate() {
            let source = entry.source_place(self.source_catalog.as_ref());
            let dest = entry.dest_place(self.dest_catalog.as_ref());
            for (field, place) in [("source", &source), ("dest", &dest)] {
                if let Err(e) = place {
                    fault(&format!("migrations.{n}.{field}"), e.code(), e.message().into());
                }
            }
            let (Ok(source), Ok(dest)) = (source, dest) else { continue };
            for found in name_faults(source.parts(), dest.parts()) {
                let side = if found.field.starts_with("source") { "source" } else { "dest" };
                fault(&format!("migrations.{n}.{side}"), found.code, found.detail);
            }
        }
        if let Some(Tables::Names(names)) = &self.tables
            && names.is_empty()
        {
            fault("tables", Code::InvalidField, "names no table; `*` means all".into());
        }
        if let Some(Err(e)) = self.source_namespace.as_deref().map(Namespace::new) {
            fault("source_namespace", Code::InvalidIdentifier, e.message().into());
        }
        if let Some(Tables::Pattern(text)) = &self.tables
            && let Err(detail) = pattern(text)
        {
            fault("tables", Code::InvalidField, detail);
        }
        for (field, text) in [("dest_namespace", &self.dest_namespace), ("dest_table", &self.dest_table)] {
            if let Some(unknown) = text.as_deref().and_then(unknown_placeholder) {
                let known = PLACEHOLDERS.map(|name| format!("`{name}`")).join(", ");
                fault(field, Code::InvalidField, format!("`{unknown}` stands for nothing: there are {known}"));
            }
        }
        // What the rules make of a plain name must be a name too.
        let plain = Place { catalog: None, namespace: "n".into(), table: "t".into() };
        let made = self.destination(&plain, "c");
        let fixed = self.dest_namespace.is_some() || self.dest_table.is_some();
        if self.tables.is_some() && fixed && !made.namespace.contains(['{', '}']) && !made.table.contains(['{', '}']) {
            for found in name_faults(plain.parts(), made.parts()) {
                if found.code != Code::SameTable {
                    fault(&found.field, found.code, found.detail);
                }
            }
        }
        if !(1..=MOST_SIDE_BY_SIDE).contains(&self.parallelism) {
            fault("parallelism", Code::InvalidField, format!("must be from 1 to {MOST_SIDE_BY_SIDE}"));
        }
        wrong
    }
}

/// What stands for a part of the source's name.
const PLACEHOLDERS: [&str; 3] = ["{catalog}", "{namespace}", "{table}"];

/// Something in braces that stands for nothing.
fn unknown_placeholder(template: &str) -> Option<String> {
    let rest = PLACEHOLDERS.iter().fold(template.to_owned(), |text, name| text.replace(name, ""));
    let from = rest.find(['{', '}'])?;
    let to = rest[from..].find('}').map_or(rest.len(), |end| from + end + 1);
    Some(rest[from..to].to_owned())
}

/// The expression that a whole name must match; `*` for any.
pub(super) fn pattern(text: &str) -> std::result::Result<regex::Regex, String> {
    let text = if text == "*" { ".*" } else { text };
    let built = regex::RegexBuilder::new(&format!("^(?:{text})$")).size_limit(1 << 20).build();
    built.map_err(|e| format!("is neither `*`, a list of names, nor a regular expression: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(body: serde_json::Value) -> Vec<String> {
        match crate::spec::read_request(body, MigrateBatch::faults) {
            Ok(_) => Vec::new(),
            Err(error) => error.field_errors().iter().map(|f| format!("{} {}", f.field, f.code.as_str())).collect(),
        }
    }

    #[test]
    fn either_names_or_a_choice() {
        let one = serde_json::json!({"source": "a.b", "dest": "far.c.d"});
        assert_eq!(faults(serde_json::json!({"migrations": [one]})), Vec::<String>::new());
        assert_eq!(faults(serde_json::json!({"tables": "*"})), Vec::<String>::new());
        assert_eq!(faults(serde_json::json!({"tables": ["a", "b"], "parallelism": 2})), Vec::<String>::new());
        assert_eq!(faults(serde_json::json!({})), ["tables missing_field"]);
        assert_eq!(faults(serde_json::json!({"tables": "*", "migrations": [one]})), ["tables conflicting_fields"]);
        assert_eq!(faults(serde_json::json!({"tables": "("})), ["tables invalid_field"]);
        let home = serde_json::json!({"source": "a.b", "dest": "a.b"});
        assert_eq!(faults(serde_json::json!({"migrations": [home]})), ["migrations.0.dest same_table"]);
        assert_eq!(faults(serde_json::json!({"migrations": [home], "dest_catalog": "far"})), Vec::<String>::new());
        let into_ours = serde_json::json!({"source": "a.b", "dest": "icehaul.c"});
        assert_eq!(
            faults(serde_json::json!({"migrations": [one, into_ours]})),
            ["migrations.1.dest invalid_identifier"]
        );
        assert_eq!(faults(serde_json::json!({"tables": []})), ["tables invalid_field"]);
        for (field, name) in [
            ("dest_namespace", "a-b"),
            ("dest_namespace", "icehaul"),
            ("source_namespace", "b-1"),
            ("dest_table", "{table} x"),
        ] {
            assert_eq!(
                faults(serde_json::json!({"tables": "*", field: name})),
                [format!("{field} invalid_identifier")],
                "{name}"
            );
        }
        let bad = serde_json::json!({"migrations": [{"source": "a", "dest": "b.c"}]});
        assert_eq!(faults(bad), ["migrations.0.source invalid_identifier"]);
        let rule = |name: &str| faults(serde_json::json!({"tables": "*", "dest_namespace": name}));
        assert_eq!(rule("{catalog}_{namespace}"), Vec::<String>::new());
        assert_eq!(
            (rule("all_{nmespace}"), rule("a}")),
            (vec!["dest_namespace invalid_field".into()], vec!["dest_namespace invalid_field".into()])
        );
        let parts = serde_json::json!({"source_namespace": "a", "source_table": "b", "dest": "c.d"});
        assert_eq!(faults(serde_json::json!({"migrations": [parts]})), Vec::<String>::new());
        let half = serde_json::json!({"source_namespace": "a", "dest": "c.d"});
        assert_eq!(faults(serde_json::json!({"migrations": [half]})), ["migrations.0.source invalid_field"]);
    }

    #[test]
    fn a_pattern_means_the_whole_name() {
        assert!(pattern("*").is_ok_and(|p| p.is_match("orders")));
        assert!(pattern("o.*|x").is_ok_and(|p| p.is_match("orders") && p.is_match("x") && !p.is_match("xo")));
    }
}
