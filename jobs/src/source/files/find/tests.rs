//! Patterns find files below a root, and nothing else.
use super::*;
use crate::format::Blob;
use std::{fs, os::unix::fs::symlink};

#[test]
fn patterns_find_files_and_follow_no_link_out() {
    let folder = tempfile::tempdir().expect("folder");
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("2024/07")).expect("folders");
    fs::create_dir_all(folder.path().join("outside")).expect("folders");
    for file in ["root/b.csv", "root/a.csv", "root/c.txt", "root/2024/x.csv", "root/2024/07/y.csv", "outside/z.csv"] {
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
    assert_eq!(found("*.csv", 9), Err(Code::PathNotAllowed), "a link that is meant itself is not left out silently");
}

#[test]
fn no_file_is_left_out_because_it_lies_deep() {
    let root = tempfile::tempdir().expect("folder");
    let found = |depth: usize| {
        let folder = root.path().join(depth.to_string()).join(vec!["d"; depth].join("/"));
        fs::create_dir_all(&folder).expect("folders");
        fs::write(folder.join("a.csv"), "x").expect("file");
        let rest = format!("{depth}/**/*.csv").into();
        find(Beneath { root: root.path().to_owned(), rest }, 9).map(|files| files.len()).map_err(|error| error.code())
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
    for (pattern, first, second) in [("[ab].csv", "`a.csv`", "`b.csv`"), ("{a,latest}.csv", "`a.csv`", "`latest.csv`")]
    {
        let error = found(pattern).err().expect("refused");
        assert_eq!(error.code(), Code::InvalidField);
        assert!(error.message().contains(first) && error.message().contains(second), "{error}");
    }
    assert_eq!(found("l*.csv").expect("a file").len(), 1);
}
