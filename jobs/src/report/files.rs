//! Files of both sides.
use icehaul_lake::Content;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most files that a report lists one by one.
const LISTED: usize = 1000;

/// The files that were copied as they are.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FilesCompared {
    /// `SHA-256`, of each file's bytes.
    pub algorithm: String,
    /// How many were copied.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of these, files with places of deleted rows: they name the files in which those lie, so they were written anew.
    pub rewritten: u64,
    /// Such files that name only files which are gone: nothing of them is left.
    pub left_out: u64,
    /// Whether each copy, read back, has the bytes that were read of its source; null if they were not read back.
    pub matches: Option<bool>,
    /// The files, the first thousand of them, those that differ before all others.
    pub list: Vec<FileCompared>,
    /// Whether all are listed.
    pub complete: bool,
}

/// A file and its copy.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FileCompared {
    /// Its location.
    pub source: String,
    /// The copy's.
    pub destination: String,
    /// `rows`, `positions`, `equality` or `statistics`.
    pub content: String,
    /// The copy's bytes.
    pub bytes: u64,
    /// The SHA-256 of what was written.
    pub sha256: String,
    /// The SHA-256 of what was read back; null if it was not.
    pub sha256_read_back: Option<String>,
    /// Whether it was written anew.
    pub rewritten: bool,
}

impl FileCompared {
    /// Whether the copy is what was written.
    #[must_use]
    pub fn matches(&self) -> bool {
        self.sha256_read_back.as_ref().is_none_or(|there| *there == self.sha256)
    }

    /// The spelling of what a file holds.
    #[must_use]
    pub const fn content_of(content: Content) -> &'static str {
        match content {
            Content::Rows => "rows",
            Content::Positions => "positions",
            Content::Equality => "equality",
            Content::Statistics => "statistics",
        }
    }
}

impl FilesCompared {
    /// Puts files together; `left_out` were not copied.
    #[must_use]
    pub fn of(mut all: Vec<FileCompared>, left_out: u64) -> Self {
        let compared = all.iter().all(|file| file.sha256_read_back.is_some());
        let (files, matches) = (all.len(), all.iter().all(FileCompared::matches));
        let (bytes, rewritten) = (all.iter().map(|file| file.bytes).sum(), all.iter().filter(|f| f.rewritten).count());
        all.sort_by_key(FileCompared::matches);
        all.truncate(LISTED);
        Self {
            algorithm: "SHA-256".into(),
            files: files as u64,
            bytes,
            rewritten: rewritten as u64,
            left_out,
            matches: compared.then_some(matches),
            complete: all.len() == files,
            list: all,
        }
    }

    /// What differs, in words.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let differing = self.list.iter().filter(|file| !file.matches());
        differing.map(|file| format!("`{}` is not what `{}` is", file.destination, file.source)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_listed_first() {
        let file = |n: usize, there: Option<&str>| FileCompared {
            source: format!("a{n}"),
            destination: format!("b{n}"),
            content: "rows".into(),
            bytes: 2,
            sha256: "x".into(),
            sha256_read_back: there.map(str::to_owned),
            rewritten: n == 0,
        };
        let mut all: Vec<_> = (0..1500).map(|n| file(n, Some("x"))).collect();
        all[1400].sha256_read_back = Some("y".into());
        let told = FilesCompared::of(all, 1);
        assert_eq!((told.files, told.bytes, told.rewritten, told.matches), (1500, 3000, 1, Some(false)));
        assert_eq!((told.list.len(), told.complete, told.list[0].source.as_str()), (1000, false, "a1400"));
        assert_eq!(told.differences(), ["`b1400` is not what `a1400` is"]);
        assert_eq!(FilesCompared::of(vec![file(1, None)], 0).matches, None);
    }
}
