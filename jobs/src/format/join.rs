//! Files of one load side by side: what they must have in common, and what only some of them have.
use crate::{Code, Error, Result, source::TypeNote};

/// Names that a message lists, and the characters of each that it shows.
const NAMES: usize = 3;
const CHARACTERS: usize = 40;

/// Which files have which columns.
#[derive(Default)]
pub(super) struct Join {
    /// The files that have columns at all.
    files: usize,
    /// The first of them, and its columns as messages show them.
    first: Option<(String, String)>,
}

impl Join {
    /// Takes a file with these columns, of which `known` says whether one is in a file before.
    ///
    /// # Errors
    /// [`Code::SchemaMismatch`] if none is: such files are hardly of one table.
    pub(super) fn add<'a>(
        &mut self,
        file: &str,
        names: impl Iterator<Item = &'a str> + Clone,
        known: impl Fn(&str) -> bool,
        advice: &str,
    ) -> Result<()> {
        let here = listed(names.clone());
        if here.is_empty() {
            return Ok(());
        }
        let (first, there) = self.first.get_or_insert_with(|| (file.to_owned(), here.clone()));
        if self.files > 0 && !names.into_iter().any(known) {
            let message =
                format!("{file}: none of its columns ({here}) is in a file before it ({first} has {there}); {advice}");
            return Err(Error::new(Code::SchemaMismatch, message));
        }
        self.files += 1;
        Ok(())
    }

    /// What the result says of a column that is only in some files.
    pub(super) fn note(&self, column: &str, table_type: &str, files: usize) -> Option<TypeNote> {
        (files < self.files).then(|| TypeNote {
            column: column.to_owned(),
            source_type: table_type.to_owned(),
            table_type: table_type.to_owned(),
            note: format!("column `{column}` is in {files} of {} files; the rows of the others have NULL", self.files),
        })
    }
}

/// The first names.
fn listed<'a>(mut names: impl Iterator<Item = &'a str>) -> String {
    let short =
        |name: &str| format!("`{}`", name.chars().take(CHARACTERS).flat_map(char::escape_debug).collect::<String>());
    let mut listed = names.by_ref().take(NAMES).map(short).collect::<Vec<_>>().join(", ");
    if names.next().is_some() {
        listed += " …";
    }
    listed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_a_common_column_are_refused_by_name() {
        let mut join = Join::default();
        let add = |join: &mut Join, file: &str, names: &[&str]| {
            join.add(file, names.iter().copied(), |name| matches!(name, "a" | "b"), "why?")
        };
        add(&mut join, "1", &["a", "b"]).expect("the first");
        add(&mut join, "empty", &[]).expect("nothing");
        add(&mut join, "2", &["x", "b"]).expect("b is in both");
        let error = add(&mut join, "3", &["u", "v", "w", "x"]).expect_err("nothing in common");
        let message = "3: none of its columns (`u`, `v`, `w` …) is in a file before it (1 has `a`, `b`); why?";
        assert_eq!((error.code(), error.message()), (Code::SchemaMismatch, message));
    }

    #[test]
    fn columns_of_some_files_are_noted() {
        let mut join = Join::default();
        for file in ["1", "2", "3"] {
            join.add(file, ["a"].into_iter(), |_| true, "").expect("common");
        }
        assert_eq!(join.note("a", "int", 3), None);
        let note = join.note("x", "int", 1).expect("a note").note;
        assert!(note.starts_with("column `x` is in 1 of 3 files"), "{note}");
    }
}
