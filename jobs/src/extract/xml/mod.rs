//! XML answers as rows: each element at a path is one, its attributes (`@name`) and child elements are its columns.
//!
//! An element becomes the JSON value that people write for it, so repeated and nested elements are cells like those of
//! JSON answers. Nothing is ever taken from outside of the document, and entities of its own are refused.
mod node;
mod path;
mod read;

use std::borrow::Cow;

pub use path::Path;
pub use read::{Found, Meant, read};

use super::json::Json;

/// The value at a path within an item: `author/name`, `link/@href`, `@id`.
#[must_use]
pub fn within(item: &Json<'static>, path: &str) -> Json<'static> {
    let (steps, attribute) = match path.rsplit_once('@') {
        Some((steps, name)) => (steps.trim_end_matches('/'), Some(format!("@{name}"))),
        None => (path, None),
    };
    let steps = steps.split('/').map(str::trim).filter(|step| !step.is_empty() && *step != ".");
    let names = steps.map(Cow::Borrowed).chain(attribute.map(Cow::Owned));
    let mut found = vec![item];
    for name in names {
        let inner = found.into_iter().filter_map(|value| value.member(&name));
        found = inner
            .flat_map(|value| if let Json::List(items) = value { items.iter().collect() } else { vec![value] })
            .collect();
    }
    match found.as_slice() {
        [] => Json::Null,
        [one] => text_of(one),
        many => Json::List(many.iter().map(|value| text_of(value)).collect()),
    }
}

/// The text of an element that also has attributes, if it has no elements.
fn text_of(value: &Json<'static>) -> Json<'static> {
    match value {
        Json::Object(members) if members.iter().all(|(name, _)| name.starts_with(['@', '#'])) => {
            value.member(node::TEXT).cloned().unwrap_or_default()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
