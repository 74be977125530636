//! The names of a file's columns.
use std::collections::HashSet;

use crate::{Code, Error, Result};

/// The longest name, in bytes.
const MOST_BYTES: usize = 1024;

/// The names of the columns: those of the header as they are; a column without one is `column_` and its number, and one
/// whose name others had before it gets `_2`, `_3` and so on. Names that differ by case alone are the same to many engines,
/// and so to this.
///
/// # Errors
/// [`Code::InvalidIdentifier`] for a name of more than 1024 bytes.
pub(super) fn names(file: &str, header: Vec<String>) -> Result<Vec<String>> {
    let named = |(n, name): (usize, String)| if name.is_empty() { format!("column_{}", n + 1) } else { name };
    let header: Vec<String> = header.into_iter().enumerate().map(named).collect();
    if let Some(n) = header.iter().position(|name| name.len() > MOST_BYTES) {
        let message = format!(
            "{file}: the name of column {} has more than {MOST_BYTES} bytes; does the file begin with its header?",
            n + 1
        );
        return Err(Error::new(Code::InvalidIdentifier, message));
    }
    // A name that stands in the header is not given to another column.
    let mut taken: HashSet<String> = header.iter().map(|name| name.to_lowercase()).collect();
    let mut seen = HashSet::new();
    let mut names = Vec::with_capacity(header.len());
    for name in header {
        names.push(match seen.insert(name.to_lowercase()) {
            true => name,
            false => free(&name, &mut taken),
        });
    }
    Ok(names)
}

/// The names of columns without a header.
pub(super) fn numbered(width: usize) -> Vec<String> {
    (1..=width).map(|n| format!("column_{n}")).collect()
}

fn free(name: &str, taken: &mut HashSet<String>) -> String {
    let mut n = 2;
    loop {
        let candidate = format!("{name}_{n}");
        if taken.insert(candidate.to_lowercase()) {
            return candidate;
        }
        n += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_and_made_distinct() {
        let of = |header: &[&str]| names("a.csv", header.iter().map(ToString::to_string).collect());
        let header = ["id", "", "Name ", "id", "ID", "id_2", "", "naïve"];
        let expected = ["id", "column_2", "Name ", "id_3", "ID_4", "id_2", "column_7", "naïve"];
        assert_eq!(of(&header).expect("names"), expected);
        assert_eq!(of(&["column_2", ""]).expect("names"), ["column_2", "column_2_2"]);
        assert_eq!(of(&["x".repeat(1025).as_str()]).expect_err("long").code(), Code::InvalidIdentifier);
        assert_eq!(numbered(2), ["column_1", "column_2"]);
    }
}
