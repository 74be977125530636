//! Which files a request means, each pinned as it is now.
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use rustix::fs::FileType;

use super::{
    beneath::{check_kind, entries, look, name},
    local::{LocalFile, Pin},
};
use crate::{
    Code, Error, Result,
    config::Beneath,
    source::pattern::{MOST_SEEN, Pattern},
};

/// The deepest folder that is looked into, below that which the pattern begins with.
const DEEPEST: usize = 64;

/// The files that a path or pattern means, sorted by name; at least one.
///
/// # Errors
/// [`Code::SourceNotFound`], [`Code::TooManyFiles`] (or folders that lie too deep), [`Code::InvalidField`] for a pattern
/// that means one file by two names, and those of opening.
pub(super) fn find(at: Beneath, most: usize) -> Result<Vec<LocalFile>> {
    let text = at.rest.to_string_lossy();
    let places = match Pattern::is_meant(&text) {
        true => {
            let pattern = Pattern::new(&text).map_err(|why| Error::field("file_path", Code::InvalidField, why))?;
            let mut walk = Walk { root: &at.root, pattern: &pattern, found: Vec::new(), seen: 0, most };
            walk.enter(Path::new(pattern.folder()), 0)?;
            walk.found
        }
        false => vec![at.rest.clone()],
    };
    if places.is_empty() {
        return Err(Error::new(Code::SourceNotFound, format!("no file matches `{}`", name(&at))));
    }
    let files = places.into_iter().map(|rest| pinned(Beneath { root: at.root.clone(), rest }));
    let mut files = files.collect::<Result<Vec<_>>>()?;
    files.sort_by(|a, b| a.place().cmp(b.place()));
    check_once(&files)?;
    Ok(files)
}

/// Refuses a file that is meant by two names, as by a link beside its target: its rows would be loaded twice.
fn check_once(files: &[LocalFile]) -> Result<()> {
    let mut seen = HashMap::with_capacity(files.len());
    for file in files {
        if let Some(first) = seen.insert(file.identity(), file.place()) {
            let (first, second) = (first.display(), file.place().display());
            let why =
                format!("means one file twice, as `{first}` and as `{second}`: narrow the pattern to one of the two");
            return Err(Error::field("file_path", Code::InvalidField, why));
        }
    }
    Ok(())
}

/// The file at a place, as it is now.
pub(super) fn pinned(at: Beneath) -> Result<LocalFile> {
    let stat = look(&at)?;
    check_kind(&at, &stat)?;
    Ok(LocalFile::new(at, Pin::of(&stat)))
}

struct Walk<'a> {
    root: &'a Path,
    pattern: &'a Pattern,
    found: Vec<PathBuf>,
    seen: usize,
    most: usize,
}

impl Walk<'_> {
    fn at(&self, rest: &Path) -> Beneath {
        Beneath { root: self.root.to_owned(), rest: rest.to_owned() }
    }

    fn enter(&mut self, folder: &Path, depth: usize) -> Result<()> {
        let found = match entries(&self.at(folder)) {
            // What the pattern begins with is not there: nothing is meant.
            Err(error) if depth == 0 && error.code() == Code::SourceNotFound => return Ok(()),
            found => found?,
        };
        for entry in found {
            self.seen += 1;
            let path = folder.join(&entry.name);
            let text = path.to_string_lossy();
            let (meant, below) = (self.pattern.matches(&text), self.pattern.may_lie_below(&text));
            if !meant && !below {
                continue;
            }
            match self.kind(&path, entry.kind, meant)? {
                Some(FileType::Directory) if below && depth == DEEPEST => return Err(self.too_deep(&path)),
                Some(FileType::Directory) if below => self.enter(&path, depth + 1)?,
                Some(FileType::Directory) | None => {}
                Some(_) if meant => self.found.push(path),
                Some(_) => {}
            }
            if self.found.len() > self.most || self.seen > MOST_SEEN {
                return Err(Error::new(
                    Code::TooManyFiles,
                    format!(
                        "the pattern means more than {} files; load them in parts",
                        self.most.min(self.found.len())
                    ),
                ));
            }
        }
        Ok(())
    }

    fn too_deep(&self, folder: &Path) -> Error {
        let what = name(&self.at(folder));
        let why =
            format!("the pattern means folders more than {DEEPEST} deep, as `{what}`: begin it nearer to the files");
        Error::new(Code::TooManyFiles, why)
    }

    /// What lies at the end of a link; `None` for one that is not followed on the way to other files. A folder behind a
    /// link is only entered by patterns that say how deep.
    fn kind(&self, path: &Path, kind: FileType, meant: bool) -> Result<Option<FileType>> {
        if kind != FileType::Symlink && kind != FileType::Unknown {
            return Ok(Some(kind));
        }
        match look(&self.at(path)) {
            Ok(stat) => {
                let end = FileType::from_raw_mode(stat.st_mode);
                let follow = end != FileType::Directory || kind == FileType::Unknown || self.pattern.is_bounded();
                Ok(follow.then_some(end))
            }
            Err(error) if meant => Err(error),
            Err(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Blob;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn patterns_find_files_and_follow_no_link_out() {
        let folder = tempfile::tempdir().expect("folder");
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("2024/07")).expect("folders");
        fs::create_dir_all(folder.path().join("outside")).expect("folders");
        for file in ["root/b.csv", "root/a.csv", "root/c.txt", "root/2024/x.csv", "root/2024/07/y.csv", "outside/z.csv"]
        {
            fs::write(folder.path().join(file), file).expect("file");
        }
        symlink("../outside", root.join("out")).expect("link");
        symlink("2024", root.join("year")).expect("link");
        symlink(".", root.join("2024/again")).expect("link");
        let found = |pattern: &str, most| {
            let files = find(Beneath { root: root.clone(), rest: pattern.into() }, most);
            let bare = |file: &LocalFile| file.name().strip_prefix(&format!("{}/", root.display())).map(String::from);
            files.map(|files| files.iter().filter_map(bare).collect::<Vec<_>>()).map_err(|error| error.code())
        };
        assert_eq!(found("*.csv", 9).expect("files"), ["a.csv", "b.csv"]);
        assert_eq!(found("**/*.csv", 9).expect("files"), ["2024/07/y.csv", "2024/x.csv", "a.csv", "b.csv"]);
        assert_eq!(found("y*/*.csv", 9).expect("files"), ["year/x.csv"]);
        assert_eq!(found("*/*.csv", 9), Err(Code::InvalidField), "the same file through a link");
        assert_eq!(found("c.txt", 1).expect("files"), ["c.txt"]);
        assert_eq!(found("*.csv", 1), Err(Code::TooManyFiles));
        for (nothing, code) in
            [("*.json", Code::SourceNotFound), ("x/*.csv", Code::SourceNotFound), ("d", Code::SourceNotFound)]
        {
            assert_eq!(found(nothing, 9), Err(code), "{nothing}");
        }
        symlink("../outside/z.csv", root.join("z.csv")).expect("link");
        assert_eq!(
            found("*.csv", 9),
            Err(Code::PathNotAllowed),
            "a link that is meant itself is not left out silently"
        );
    }

    #[test]
    fn no_file_is_left_out_because_it_lies_deep() {
        let root = tempfile::tempdir().expect("folder");
        let found = |depth: usize| {
            let folder = root.path().join(depth.to_string()).join(vec!["d"; depth].join("/"));
            fs::create_dir_all(&folder).expect("folders");
            fs::write(folder.join("a.csv"), "x").expect("file");
            let rest = format!("{depth}/**/*.csv").into();
            find(Beneath { root: root.path().to_owned(), rest }, 9)
                .map(|files| files.len())
                .map_err(|error| error.code())
        };
        assert_eq!(found(DEEPEST), Ok(1));
        assert_eq!(found(DEEPEST + 1), Err(Code::TooManyFiles));
    }

    #[test]
    fn no_file_is_read_by_two_names() {
        let folder = tempfile::tempdir().expect("folder");
        let root = folder.path().to_owned();
        fs::write(root.join("a.csv"), "x").expect("file");
        fs::hard_link(root.join("a.csv"), root.join("b.csv")).expect("link");
        symlink("a.csv", root.join("latest.csv")).expect("link");
        let found = |pattern: &str| find(Beneath { root: root.clone(), rest: pattern.into() }, 9);
        for (pattern, first, second) in
            [("[ab].csv", "`a.csv`", "`b.csv`"), ("{a,latest}.csv", "`a.csv`", "`latest.csv`")]
        {
            let error = found(pattern).err().expect("refused");
            assert_eq!(error.code(), Code::InvalidField);
            assert!(error.message().contains(first) && error.message().contains(second), "{error}");
        }
        assert_eq!(found("l*.csv").expect("a file").len(), 1);
    }
}
