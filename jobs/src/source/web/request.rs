//! The fields of a request about pages and APIs alike.
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    crawl::{Manners, pages::Pagination},
    extract::Extraction,
};

/// What is read from the web, and how.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Crawl {
    /// The address of the page, or of the first one: `http` or `https`, without a user or password in it.
    #[schemars(example = &"https://example.org/rivers")]
    pub url: String,
    /// What is taken from each page.
    #[serde(flatten)]
    pub extraction: Extraction,
    /// How several pages are read; default: only the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
    /// How pages are asked for.
    #[serde(flatten)]
    pub manners: Manners,
    /// Types of columns, instead of those that follow from the values: boolean, int, long, decimal(p, s), float, double,
    /// date, time, timestamp, timestamptz, uuid or string.
    #[schemars(example = example_schema())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<BTreeMap<String, String>>,
    /// What to do with a value that does not fit the type that `schema` gives.
    #[serde(default, skip_serializing_if = "OnBadValue::is_default")]
    pub on_bad_value: OnBadValue,
    /// What becomes of arrays and objects in JSON, and of nested elements in XML.
    #[serde(default)]
    pub nested: Nested,
    /// What the answer is taken for, whatever it says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<Content>,
    /// What to do if the first page has nothing that the selector means.
    #[serde(default)]
    pub on_empty: OnEmpty,
    /// What to do if a page after the first cannot be had, whatever is tried.
    #[serde(default)]
    pub partial: Partial,
    /// Adds a lineage column `body_sha256`: the SHA-256 of the page that the row stood on.
    #[serde(default)]
    pub body_sha256: bool,
    /// Keeps the pages, as WARC files beside the table; the result says where.
    #[serde(default)]
    pub keep_raw: bool,
}

fn example_schema() -> BTreeMap<String, String> {
    BTreeMap::from([("zip".to_owned(), "string".to_owned())])
}

/// What nested values become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Nested {
    /// JSON, as text.
    #[default]
    Json,
    /// Lists and structs, where the values have a common form.
    Struct,
}

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A page.
    Html,
    /// JSON.
    Json,
    /// XML.
    Xml,
}

/// What to do if nothing matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnEmpty {
    /// The job fails.
    #[default]
    Fail,
    /// The job succeeds without a row.
    Ok,
}

/// What to do with a value that does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBadValue {
    /// The job fails, and names the page, the row, the column and the value.
    #[default]
    Fail,
    /// It becomes NULL; the result's `bad_values` says how many did, by column.
    Null,
}

impl OnBadValue {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What to do with the pages before one that cannot be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Partial {
    /// The job fails, and nothing is published.
    #[default]
    Fail,
    /// They are published, and the result's `partial` says which was the last one and why.
    Keep,
}

/// How a page is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Render {
    /// As the server sends it.
    #[default]
    None,
    /// As a browser shows it, once its scripts have run.
    Browser,
}

/// A parameter's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Number(f64),
    /// A text.
    Text(String),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

/// How an API is asked for what is new only.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Since {
    /// The parameter that takes the cursor's last committed value. Rows that are not beyond it are left out all the same.
    #[schemars(example = &"since")]
    pub parameter: String,
}
