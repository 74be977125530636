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
mod tests;
