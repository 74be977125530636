//! The folders below which requests may name files.
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};

use super::list;
use crate::{Code, FieldError};

/// The longest path, in bytes (Linux's `PATH_MAX`).
const MAX_PATH: usize = 4096;

/// The folders below which requests may name files (`file_roots`); with none, no file may be named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct FileRoots(Vec<PathBuf>);

/// Where a path lies: a root, and the way down from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beneath {
    /// The root.
    pub root: PathBuf,
    /// The rest of the path: names only.
    pub rest: PathBuf,
}

impl FileRoots {
    /// Adds a folder.
    pub fn add(&mut self, root: PathBuf) {
        self.0.push(root);
    }

    /// The folders.
    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(PathBuf::as_path)
    }

    /// Makes relative folders absolute, from the working directory.
    ///
    /// # Errors
    /// The system's.
    pub fn absolute(&mut self) -> std::io::Result<()> {
        for root in &mut self.0 {
            *root = std::path::absolute(&*root)?;
        }
        Ok(())
    }

    /// Finds the root of a path by its names alone; nothing is opened. A relative path begins in the working directory.
    ///
    /// # Errors
    /// What is wrong with the request's `field`: [`Code::InvalidField`], [`Code::PathNotAllowed`].
    pub fn place(&self, field: &str, path: &str) -> Result<Beneath, FieldError> {
        let fault = |code, detail: String| FieldError { field: field.into(), code, detail };
        if path.is_empty() || path.len() > MAX_PATH || path.contains('\0') {
            return Err(fault(Code::InvalidField, format!("must be a path of at most {MAX_PATH} bytes")));
        }
        if path.ends_with('/') || path.ends_with("/.") {
            return Err(fault(
                Code::NotAFile,
                "names a folder by its end; give a file, or `/*` for the files in it".into(),
            ));
        }
        let whole = Path::new(path);
        if whole.components().any(|part| part == Component::ParentDir) {
            return Err(fault(Code::PathNotAllowed, "must not go up by `..`".into()));
        }
        let whole = std::path::absolute(whole).map_err(|e| fault(Code::InvalidField, format!("is no path: {e}")))?;
        // The outermost of nested roots: links may lead anywhere below it.
        let holders = self.0.iter().filter_map(|root| Some((root, whole.strip_prefix(root).ok()?)));
        match holders.min_by_key(|(root, _)| root.components().count()) {
            Some((root, rest)) => Ok(Beneath { root: root.clone(), rest: rest.to_owned() }),
            None => Err(fault(Code::PathNotAllowed, self.elsewhere())),
        }
    }

    fn elsewhere(&self) -> String {
        let roots: Vec<_> = self.0.iter().map(|root| format!("`{}`", root.display())).collect();
        match roots.is_empty() {
            true => "no folder may be read: list some as `file_roots` in the configuration".into(),
            false => format!("must lie below one of the configured `file_roots`: {}", roots.join(", ")),
        }
    }
}

impl<'de> Deserialize<'de> for FileRoots {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(list(from)?.into_iter().map(PathBuf::from).collect()))
    }
}

impl FromIterator<PathBuf> for FileRoots {
    fn from_iter<I: IntoIterator<Item = PathBuf>>(roots: I) -> Self {
        Self(roots.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_is_placed_by_its_names() {
        let roots: FileRoots = serde_json::from_value(json!("/data, /exports/daily/,/exports")).expect("a list");
        let place = |path: &str| roots.place("file_path", path).map_err(|fault| fault.code);
        let beneath = |root: &str, rest: &str| Ok(Beneath { root: root.into(), rest: rest.into() });
        assert_eq!(place("/data/a.csv"), beneath("/data", "a.csv"));
        assert_eq!(place("//data//./sub/a.csv"), beneath("/data", "sub/a.csv"));
        assert_eq!(place("/exports/daily/a.csv"), beneath("/exports", "daily/a.csv"));
        assert_eq!(place("/data"), beneath("/data", ""));
        for path in ["/etc/passwd", "/data/../etc/passwd", "/database/a", "a.csv", "..", "/data/sub/.."] {
            assert_eq!(place(path), Err(Code::PathNotAllowed), "{path}");
        }
        for path in ["/data/", "/data/a.csv/", "/data/a.csv/.", "/data/*/"] {
            assert_eq!(place(path), Err(Code::NotAFile), "{path}");
        }
        assert_eq!((place(""), place("/data/\0")), (Err(Code::InvalidField), Err(Code::InvalidField)));
        let none = FileRoots::default().place("file_path", "/data/a.csv").expect_err("no roots");
        assert!(none.detail.contains("file_roots"), "{none:?}");
    }
}
