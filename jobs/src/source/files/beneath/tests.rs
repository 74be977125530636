//! Paths stay below their root.
use super::*;
use std::{fs, os::unix::fs::symlink};

/// A root with links of all sorts, and what lies beside it.
fn stand() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("sub")).expect("folders");
    fs::write(root.join("sub/a"), "a").expect("file");
    fs::write(folder.path().join("secret"), "s").expect("file");
    for (link, to) in [("in", "sub/a"), ("down", "sub"), ("out", "../secret"), ("loop", "loop"), ("gone", "x")] {
        symlink(to, root.join(link)).expect("link");
    }
    symlink(folder.path().join("secret"), root.join("absolute")).expect("link");
    symlink("/proc/self/root", root.join("magic")).expect("link");
    folder
}

fn code(opened: Result<impl Sized>) -> Option<Code> {
    opened.err().map(|error| error.code())
}

#[test]
fn nothing_outside_of_the_root_is_opened() {
    let folder = stand();
    let at = |rest: &str| Beneath { root: folder.path().join("root"), rest: rest.into() };
    for (rest, says) in [
        ("sub/a", None),
        ("in", None),
        ("down/a", None),
        ("out", Some(Code::PathNotAllowed)),
        ("absolute", Some(Code::PathNotAllowed)),
        ("magic/etc/passwd", Some(Code::PathNotAllowed)),
        ("loop", Some(Code::PathNotAllowed)),
        ("../secret", Some(Code::PathNotAllowed)),
        ("gone", Some(Code::SourceNotFound)),
        ("sub/a/b", Some(Code::SourceNotFound)),
        ("sub", Some(Code::NotAFile)),
        ("", Some(Code::NotAFile)),
    ] {
        assert_eq!(code(open_file(&at(rest))), says, "{rest}");
    }
    let mut names: Vec<_> = entries(&at("down")).expect("entries").into_iter().map(|entry| entry.name).collect();
    names.sort();
    assert_eq!(names, ["a"]);
}

#[test]
fn without_the_kernels_help_no_link_is_followed() {
    let folder = stand();
    let root = folder.path().join("root");
    let opened = |rest: &str| {
        let at = Beneath { root: root.clone(), rest: rest.into() };
        let fd = open(&root, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).expect("root");
        step_by_step(&at, fd, Path::new(rest), OFlags::RDONLY)
    };
    assert_eq!(code(opened("sub/a")), None);
    for rest in ["in", "down/a", "out", "absolute", "magic/etc/passwd", "loop", "gone"] {
        assert_eq!(code(opened(rest)), Some(Code::PathNotAllowed), "{rest}");
    }
    assert_eq!(code(opened("../secret")), Some(Code::PathNotAllowed));
    assert_eq!(code(opened("x")), Some(Code::SourceNotFound));
    let (whole, _) = open_file(&Beneath { root: root.clone(), rest: "sub/a".into() }).expect("file");
    assert_eq!(whole.metadata().expect("its size").len(), 1);
}
