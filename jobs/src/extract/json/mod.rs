//! JSON answers as rows: numbers with all their digits, objects as columns by their keys.
mod nested;
mod parse;
mod path;
mod query;
mod rows;
mod value;

pub use nested::Shape;
pub(super) use nested::build;
pub use parse::parse;
pub use path::Path;
pub use rows::Rows;
pub use value::{Json, Member};

use std::borrow::Cow;

use super::{Extracted, Limits};
use crate::{Code, Error, Result};

/// Takes the rows from a document: an array gives one for each of its elements, an object one, and scalars a column
/// `value`. `fields` are columns by their paths within a row.
///
/// # Errors
/// [`Code::JsonPathEmpty`], [`Code::JsonPathNotArray`], and those of the limits.
pub fn extract(document: &Json<'_>, path: &Path, fields: &[(String, Path)], rows: Rows) -> Result<Extracted> {
    let mut rows = rows;
    let found = path.select(document)?;
    if found.is_empty() {
        let what = match document {
            Json::Object(members) => {
                let names: Vec<_> = members.iter().take(10).map(|(name, _)| format!("`{name}`")).collect();
                format!("an object with {}", if names.is_empty() { "no members".into() } else { names.join(", ") })
            }
            other => other.name().to_owned(),
        };
        let message = format!("nothing in the answer is at `{}`; it is {what}", path.as_str());
        return Err(Error::new(Code::JsonPathEmpty, message));
    }
    for value in found {
        match value {
            Json::List(items) => items.iter().try_for_each(|item| push(&mut rows, item, fields))?,
            Json::Null if path.is_singular() => {}
            Json::Object(_) => push(&mut rows, value, fields)?,
            scalar if path.is_singular() => {
                let message = format!("`{}` leads to {}, not to an array or an object", path.as_str(), scalar.name());
                return Err(Error::new(Code::JsonPathNotArray, message));
            }
            scalar => push(&mut rows, scalar, fields)?,
        }
    }
    rows.finish()
}

fn push(rows: &mut Rows, item: &Json<'_>, fields: &[(String, Path)]) -> Result<()> {
    if fields.is_empty() {
        return rows.push(item);
    }
    let member = |(name, path): &(String, Path)| {
        let mut found = path.select(item)?;
        let value = match found.len() {
            0 => Json::Null,
            1 => found.remove(0).clone(),
            _ => Json::List(found.into_iter().cloned().collect()),
        };
        Ok((Cow::Owned(name.clone()), value))
    };
    let members = fields.iter().map(member).collect::<Result<Vec<_>>>()?;
    rows.push(&Json::Object(members))
}

/// The scalar at a path: a token or an address of the next page.
///
/// # Errors
/// See [`Path::select`].
pub fn value(document: &Json<'_>, path: &Path) -> Result<Option<String>> {
    Ok(path.select(document)?.first().and_then(|value| value.scalar()).map(Cow::into_owned))
}

/// Begins rows within limits.
#[must_use]
pub fn rows(limits: &Limits, source: Strings, nested: bool) -> Rows {
    Rows::new(limits, source, nested)
}

/// What texts are: JSON's own, or the text of XML elements, of which everything is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strings {
    /// A text that is meant as one; days and moments aside, for which JSON has nothing else.
    Meant,
    /// Whatever it looks like.
    Free,
}

#[cfg(test)]
mod tests;
