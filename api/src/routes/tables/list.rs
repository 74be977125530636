//! Namespaces and tables by name.
use axum::{Json, extract::State};
use icehaul_lake::Namespace;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DEFAULT_LIMIT, lake};
use crate::{
    AppState, Result,
    extract::{NamespacePath, Params},
    problem::parameter,
};

/// How the cursor of a list of names begins.
const AFTER: &str = "after-";

/// Which part of a list of names.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Page {
    /// A configured catalog; default: the default one.
    catalog: Option<String>,
    /// How many at most; 50 if not given.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Where to go on: the `next_cursor` of the page before.
    cursor: Option<String>,
}

impl Page {
    /// The page's part of a sorted list. The cursor holds the last name of the page before, which may be gone by now.
    fn cut<T>(&self, mut all: Vec<T>, name: impl Fn(&T) -> String) -> Result<(Vec<T>, Option<String>)> {
        if let Some(cursor) = &self.cursor {
            let last = cursor.strip_prefix(AFTER).ok_or_else(|| parameter("cursor", "is not a cursor of this list"))?;
            all.retain(|item| name(item).as_str() > last);
        }
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT) as usize;
        let more = all.len() > limit;
        all.truncate(limit);
        let next = all.last().filter(|_| more).map(|item| format!("{AFTER}{}", name(item)));
        Ok((all, next))
    }
}

/// A namespace.
#[derive(Debug, Serialize, JsonSchema)]
struct NamespaceEntry {
    /// The name.
    namespace: String,
    /// How many tables are in it.
    tables: u64,
}

/// The namespaces of a catalog.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Namespaces {
    /// The catalog.
    catalog: String,
    /// The namespaces, sorted.
    namespaces: Vec<NamespaceEntry>,
    /// How many namespaces the catalog has.
    count: usize,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

pub(crate) async fn namespaces(State(state): State<AppState>, Params(page): Params<Page>) -> Result<Json<Namespaces>> {
    let (lake, catalog) = lake(&state, page.catalog.as_deref())?;
    let all = lake.namespaces().await?;
    let count = all.len();
    let (part, next_cursor) = page.cut(all, |(name, _)| name.clone())?;
    let namespaces = part.into_iter().map(|(namespace, tables)| NamespaceEntry { namespace, tables }).collect();
    Ok(Json(Namespaces { catalog: catalog.to_owned(), namespaces, count, next_cursor }))
}

/// The tables of a catalog.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Tables {
    /// The catalog.
    catalog: String,
    /// The tables as `namespace.table`, sorted.
    tables: Vec<String>,
    /// How many tables the catalog has.
    count: usize,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

pub(crate) async fn all(State(state): State<AppState>, Params(page): Params<Page>) -> Result<Json<Tables>> {
    let (lake, catalog) = lake(&state, page.catalog.as_deref())?;
    let mut all = Vec::new();
    for (namespace, _) in lake.namespaces().await? {
        // Another engine's namespace may have a name that Icehaul does not take; its tables cannot be addressed.
        let Ok(checked) = Namespace::new(&namespace) else { continue };
        let tables = lake.tables(&checked).await?;
        all.extend(tables.iter().map(|table| format!("{namespace}.{table}")));
    }
    all.sort();
    let count = all.len();
    let (tables, next_cursor) = page.cut(all, String::clone)?;
    Ok(Json(Tables { catalog: catalog.to_owned(), tables, count, next_cursor }))
}

/// The tables of a namespace.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TableNames {
    /// Always `success`.
    status: &'static str,
    /// The namespace.
    namespace: String,
    /// The tables' bare names, sorted.
    tables: Vec<String>,
    /// How many tables the namespace has.
    count: usize,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

pub(crate) async fn tables(
    State(state): State<AppState>,
    NamespacePath(namespace): NamespacePath,
    Params(page): Params<Page>,
) -> Result<Json<TableNames>> {
    let all = lake(&state, page.catalog.as_deref())?.0.tables(&namespace).await?;
    let count = all.len();
    let (tables, next_cursor) = page.cut(all, String::clone)?;
    Ok(Json(TableNames { status: "success", namespace: namespace.to_string(), tables, count, next_cursor }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_make_up_the_whole() {
        let names: Vec<String> = ["a", "b", "c", "d", "e"].map(String::from).into();
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = Page { catalog: None, limit: Some(2), cursor };
            let (part, next) = page.cut(names.clone(), String::clone).expect("a cursor");
            seen.extend(part);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, names);
        let many: Vec<String> = (0..60).map(|n| format!("{n:02}")).collect();
        let (part, next) = Page { catalog: None, limit: None, cursor: None }.cut(many, String::clone).expect("a page");
        assert_eq!((part.len(), next.as_deref()), (50, Some("after-49")));
        assert!(Page { catalog: None, limit: None, cursor: Some("xx".into()) }.cut(names, String::clone).is_err());
    }
}
