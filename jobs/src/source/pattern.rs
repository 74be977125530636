//! Paths and keys that mean many: `*`, `?`, `[…]` and `{…,…}` within a name, `**` for any folders.
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

/// The most names that are looked at for one pattern or prefix.
pub(super) const MOST_SEEN: usize = 1_000_000;

/// What makes a text a pattern, or ends the part of one that stands for itself.
const SPECIAL: [char; 5] = ['*', '?', '[', '{', '\\'];

/// A pattern of paths or keys, with `/` between the names. Names that begin with a dot are only meant if the pattern
/// has one that does.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    text: String,
    whole: GlobMatcher,
    /// One for the folders of each level, if the levels can be told apart: without `**`.
    levels: Option<Vec<GlobMatcher>>,
    dots: bool,
}

impl Pattern {
    /// Whether a path or key is a pattern. A `\` alone makes none: it is a letter of some names.
    pub fn is_meant(text: &str) -> bool {
        text.contains(['*', '?', '[', '{'])
    }

    /// Reads a pattern.
    ///
    /// # Errors
    /// A sentence that says why it is none.
    pub fn new(text: &str) -> Result<Self, String> {
        let glob = |text: &str| {
            let built = GlobBuilder::new(text).literal_separator(true).build();
            built.map(|glob| glob.compile_matcher()).map_err(|e| format!("is no pattern: {}", e.kind()))
        };
        let whole = glob(text)?;
        let names: Vec<&str> = text.split('/').collect();
        // A choice that spans folders cannot be cut.
        let cut =
            !text.contains("**") && names.iter().all(|name| name.matches('{').count() == name.matches('}').count());
        let level = |depth: usize| glob(&names[..depth].join("/"));
        let levels = match cut {
            true => Some((1..names.len()).map(level).collect::<Result<_, _>>()?),
            false => None,
        };
        let dots = names.iter().any(|name| name.starts_with('.') || name.starts_with("{."));
        Ok(Self { text: text.to_owned(), whole, levels, dots })
    }

    /// Whether a path is meant.
    pub fn matches(&self, path: &str) -> bool {
        self.whole.is_match(path) && (self.dots || !path.split('/').any(|name| name.starts_with('.')))
    }

    /// Whether files below a folder can be meant.
    pub fn may_lie_below(&self, folder: &str) -> bool {
        match &self.levels {
            Some(levels) => {
                levels.get(Path::new(folder).components().count() - 1).is_some_and(|level| level.is_match(folder))
            }
            None => self.dots || !folder.rsplit('/').next().is_some_and(|name| name.starts_with('.')),
        }
    }

    /// Whether no path can be meant that has more folders than the pattern.
    pub fn is_bounded(&self) -> bool {
        self.levels.is_some()
    }

    /// The beginning that all that is meant has in common.
    pub fn prefix(&self) -> &str {
        &self.text[..self.text.find(SPECIAL).unwrap_or(self.text.len())]
    }

    /// The folder that holds all that is meant, without a slash at its end.
    pub fn folder(&self) -> &str {
        self.prefix().rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_shells_have_taught() {
        for (pattern, meant, not) in [
            ("a/*.csv", &["a/x.csv", "a/_x.csv"][..], &["a/b/x.csv", "a/.x.csv", "a/x.csv.gz", "b/x.csv"][..]),
            ("a/**/*.csv", &["a/x.csv", "a/b/c/x.csv"], &["a/.b/x.csv", "x.csv"]),
            ("a/{x,y}-?.csv*", &["a/x-1.csv", "a/y-2.csv.gz"], &["a/z-1.csv", "a/x-12.csv"]),
            ("a/2024-[01][0-9].csv", &["a/2024-07.csv"], &["a/2024-7.csv"]),
            ("{a/b,c}/*", &["a/b/x", "c/x"], &["a/x"]),
            (".h*/x", &[".hidden/x"], &["h/x"]),
            (r"a/\*?", &["a/*b"], &["a/bb"]),
        ] {
            let read = Pattern::new(pattern).expect(pattern);
            assert!(Pattern::is_meant(pattern));
            assert!(meant.iter().all(|path| read.matches(path)), "{pattern}");
            assert!(!not.iter().any(|path| read.matches(path)), "{pattern}");
            for path in meant {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                assert!(read.may_lie_below(folder), "{pattern} below {folder}");
                assert!(path.starts_with(read.prefix()), "{pattern} {}", read.prefix());
            }
        }
        let days = Pattern::new("a/day=*/b/*.csv").expect("a pattern");
        assert_eq!((days.prefix(), days.folder(), days.is_bounded()), ("a/day=", "a", true));
        assert!(days.may_lie_below("a/day=1") && !days.may_lie_below("a/x") && !days.may_lie_below("a/day=1/b/c"));
        assert!(!Pattern::new("a/**").expect("a pattern").is_bounded());
        for wrong in ["a/[", "a/{b", "a/[z-a]"] {
            assert!(Pattern::new(wrong).is_err_and(|why| why.starts_with("is no pattern: ")), "{wrong}");
        }
    }
}
