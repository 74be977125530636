//! The rules of the house, held by a test: who may import whom, one door per outside crate, small files, no loose ends.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Our crates (their folder; the binary has none) and which of ours each may depend on.
const EDGES: [(&str, &[&str]); 5] = [
    ("", &["api", "jobs", "lake", "worker"]),
    ("api", &["jobs", "lake"]),
    ("jobs", &["lake"]),
    ("lake", &[]),
    ("worker", &["jobs", "lake"]),
];

/// An outside crate, as it is written in code, and the paths (prefixes) that may name it.
const DOORS: [(&str, &[&str]); 10] = [
    ("apalis", &["jobs/src/queue/", "worker/src/"]),
    ("apalis_core", &["jobs/src/queue/", "worker/src/"]),
    ("datafusion", &["lake/src/"]),
    ("iceberg", &["lake/src/"]),
    ("object_store", &["lake/src/s3/"]),
    ("parquet", &["lake/src/"]),
    ("redis", &["jobs/src/queue/", "worker/src/"]),
    ("html5ever", &["jobs/src/extract/"]),
    ("sqlx", &["lake/src/"]),
    ("tokio_postgres", &["jobs/src/source/postgres"]),
];
/// The same for the HTTP client: the command line's, the object store's, and later that of the jobs.
const HTTP_DOORS: [&str; 3] = ["src/client.rs", "jobs/src/http", "lake/src/s3/http.rs"];

/// Crates that must not come in by any way: ring is our only cryptography.
const BANNED: [&str; 5] = ["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl", "openssl-sys"];

const MOST_LINES: usize = 500;
const MEDIAN_LINES: usize = 150;

/// A Rust file: its path from the root, and its lines.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The code that is built into the product: no tests, no comments; with the lines' numbers.
    fn product_code(&self) -> Vec<(usize, &str)> {
        let mut code = Vec::new();
        let mut lines = self.text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            if line.trim() == "#[cfg(test)]" {
                // rustfmt closes an item at the indentation where it began.
                let ends = |other: &str| {
                    indent(other) == indent(line) && (other.trim_start().starts_with('}') || other.ends_with(';'))
                };
                let _ = lines.by_ref().find(|(_, other)| ends(other));
            } else if !line.trim_start().starts_with("//") {
                code.push((number + 1, line));
            }
        }
        code
    }

    /// Whether the whole file is only built for tests.
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the checkout")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Every file of the checkout that git knows or would take, from the root.
fn files() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).expect("names in UTF-8");
    names.split_terminator('\0').filter(|path| root().join(path).is_file()).map(String::from).collect()
}

fn sources() -> Vec<Source> {
    let rust = files().into_iter().filter(|path| path.ends_with(".rs"));
    let sources: Vec<_> = rust.map(|path| Source { text: read(&path), path }).collect();
    assert!(sources.len() > 30, "only {} Rust files found", sources.len());
    sources
}

/// The names in a manifest's `[dependencies]`.
fn dependencies(folder: &str) -> BTreeSet<String> {
    let manifest = read(&Path::new(folder).join("Cargo.toml").to_string_lossy());
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            names.insert(line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned());
        }
    }
    names
}

/// Whether the line names the crate as the start of a path: `redis::…`, not `crate::queue::redis::…` or `"redis::"`.
fn names_crate(line: &str, name: &str) -> bool {
    let part_of_a_name = |c: char| c.is_alphanumeric() || "_:./\"-".contains(c);
    line.match_indices(name).any(|(at, _)| {
        let after = &line[at + name.len()..];
        let imported = line.trim_start().starts_with("use ") && after.starts_with([';', ' ', ',', '}']);
        (after.starts_with("::") || imported) && !line[..at].ends_with(part_of_a_name)
    })
}

fn none(offences: &[String]) {
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

#[test]
fn our_crates_import_one_way() {
    let mut offences = Vec::new();
    for (folder, allowed) in EDGES {
        for name in dependencies(folder).iter().filter_map(|name| name.strip_prefix("icehaul-")) {
            if !allowed.contains(&name) {
                offences.push(format!("{folder}/Cargo.toml: must not depend on icehaul-{name}"));
            }
        }
    }
    none(&offences);
}

#[test]
fn each_outside_crate_has_one_door() {
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let doors = DOORS.iter().copied().chain([("reqwest", HTTP_DOORS.as_slice())]);
        let closed: Vec<_> = doors.filter(|(_, open)| !open.iter().any(|path| source.path.starts_with(path))).collect();
        for (number, line) in source.product_code() {
            for (name, open) in closed.iter().filter(|(name, _)| names_crate(line, name)) {
                offences.push(source.at(number, &format!("{name} belongs to {}", open.join(" and "))));
            }
        }
    }
    none(&offences);
}

#[test]
fn files_are_small() {
    let sources = sources();
    let mut sizes: Vec<_> = sources.iter().map(|source| source.text.lines().count()).collect();
    let long = sources.iter().zip(&sizes).filter(|(_, size)| **size > MOST_LINES);
    none(
        &long.map(|(source, size)| format!("{}: {size} lines, at most {MOST_LINES}", source.path)).collect::<Vec<_>>(),
    );
    sizes.sort_unstable();
    assert!(sizes[sizes.len() / 2] <= MEDIAN_LINES, "half of the files have more than {MEDIAN_LINES} lines");
}

#[test]
fn nothing_is_left_open_and_nothing_panics() {
    let everywhere = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("dbg", "!(")];
    let product = [concat!(".unwrap", "()"), concat!(".expect", "(")];
    let mut offences = Vec::new();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            let found = everywhere.iter().filter(|word| line.contains(**word));
            offences.extend(found.map(|word| source.at(number + 1, word)));
        }
        if !source.is_test() {
            for (number, line) in source.product_code() {
                let found = product.iter().filter(|word| line.contains(**word));
                offences.extend(found.map(|word| source.at(number, &format!("{word} outside of tests"))));
            }
        }
    }
    none(&offences);
}

#[test]
fn every_file_is_a_module() {
    let sources = sources();
    let texts: BTreeMap<_, _> = sources.iter().map(|source| (source.path.as_str(), source.text.as_str())).collect();
    let mut offences = Vec::new();
    for path in texts.keys() {
        let file = Path::new(path);
        let (Some(folder), Some(stem)) = (file.parent(), file.file_stem().and_then(|stem| stem.to_str())) else {
            continue;
        };
        if ["main", "lib", "build"].contains(&stem) || folder.ends_with("examples") {
            continue;
        }
        let (folder, name) = match stem {
            "mod" => (folder.parent(), folder.file_name().and_then(|name| name.to_str()).unwrap_or_default()),
            _ => (Some(folder), stem),
        };
        let folder = folder.unwrap_or(Path::new(""));
        let parents =
            [folder.join("mod.rs"), folder.join("lib.rs"), folder.join("main.rs"), folder.with_extension("rs")];
        let declared = parents.iter().filter_map(|parent| texts.get(parent.to_string_lossy().as_ref())).any(|text| {
            text.lines()
                .any(|line| line.trim_end() == format!("mod {name};") || line.ends_with(&format!(" mod {name};")))
        });
        let by_path = format!("#[path = \"{stem}.rs\"]");
        let named =
            texts.iter().any(|(other, text)| Path::new(other).parent() == file.parent() && text.contains(&by_path));
        if !declared && !named {
            offences.push(format!("{path}: no module declares it, so nothing builds it"));
        }
    }
    none(&offences);
}

#[test]
fn the_readme_maps_every_crate() {
    let readme = read("README.md");
    let missing =
        ["src/", "api/", "jobs/", "lake/", "worker/", "tests/"].into_iter().filter(|folder| !readme.contains(*folder));
    none(&missing.map(|folder| format!("README.md: its map does not name {folder}")).collect::<Vec<_>>());
}

#[test]
fn no_path_of_one_machine_is_committed() {
    let machine = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let mut offences = Vec::new();
    for path in files() {
        let text = String::from_utf8_lossy(&fs::read(root().join(&path)).expect("a listed file")).into_owned();
        for (number, line) in text.lines().enumerate() {
            let found = machine.iter().find(|place| {
                line.match_indices(**place)
                    .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_.}-".contains(c)))
            });
            offences.extend(found.map(|place| format!("{path}:{}: {place}", number + 1)));
        }
    }
    none(&offences);
}

#[test]
fn no_banned_crate_is_locked() {
    let lock = read("Cargo.lock");
    let locked = BANNED.into_iter().filter(|name| lock.contains(&format!("name = \"{name}\"\n")));
    none(&locked.map(|name| format!("Cargo.lock: {name} came in")).collect::<Vec<_>>());
}

#[test]
fn the_checks_see_what_they_look_for() {
    assert!(names_crate("    let c: redis::Client = open()?;", "redis"));
    assert!(names_crate("pub use iceberg::{spec, table};", "iceberg"));
    assert!(names_crate("use reqwest;", "reqwest"));
    assert!(!names_crate("use crate::queue::redis::Queue;", "redis"));
    assert!(!names_crate("use iceberg_like::Thing;", "iceberg"));
    assert!(!names_crate("let url = \"redis://127.0.0.1\";", "redis"));
    let text = "one\n// two\n#[cfg(test)]\nuse three;\nfour {\n    #[cfg(test)]\n    fn five() {\n        six;\n    }\n    seven\n}\n\
                #[cfg(test)]\nmod tests {\n    eight;\n}\nnine\n";
    let source = Source { path: "x.rs".into(), text: text.into() };
    let kept: Vec<_> = source.product_code().into_iter().map(|(number, line)| (number, line.trim())).collect();
    assert_eq!(kept, [(1, "one"), (5, "four {"), (10, "seven"), (11, "}"), (16, "nine")]);
}
