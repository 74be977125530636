//! The guides say what is so: the codes that they name exist, and their links lead somewhere.
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use icehaul_jobs::Code;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the checkout")
}

/// The guides, by their paths from the root.
fn guides() -> Vec<String> {
    let files = crate::files_below(&root().join("docs")).into_iter();
    let docs = files.filter_map(|path| path.split_once("/docs/").map(|(_, name)| format!("docs/{name}")));
    docs.filter(|path| path.ends_with(".md")).chain(["README.md".into()]).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// What stands between two marks, wherever they come.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split_once(close).map(|(inside, _)| inside))
}

#[test]
fn the_codes_of_the_guides_exist() {
    let known: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let text = read("docs/troubleshooting.md");
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.split('|').count() == 5);
    let named: BTreeSet<_> =
        rows.filter_map(|row| row.split('|').nth(2)).flat_map(|cell| between(cell, " `", "`")).collect();
    assert!(named.len() > 15, "only {named:?}");
    let unknown: Vec<_> = named.difference(&known).collect();
    assert!(unknown.is_empty(), "docs/troubleshooting.md names codes that no error has: {unknown:?}");
}

#[test]
fn the_links_of_the_guides_lead_somewhere() {
    let mut broken = Vec::new();
    for guide in guides() {
        let folder = root().join(&guide).parent().expect("a folder").to_owned();
        let text = read(&guide);
        for link in between(&text, "](", ")").filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let path = link.split('#').next().unwrap_or(link);
            if !folder.join(path).exists() {
                broken.push(format!("{guide}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}
