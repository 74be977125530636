//! Where rows and values stand in JSON: RFC 9535 (`$.data[*]`), or the older system's dotted path (`data.issues`).
use jsonpath_rust::{parser::model::JpQuery, parser::parse_json_path, query::js_path_process};

use super::Json;
use crate::{Code, Error, Result};

/// The longest path, in bytes, and the most `..` in it: each of them looks at every value.
const LONGEST: usize = 2000;
const MOST_DESCENTS: usize = 2;

/// A path, read.
#[derive(Clone, Debug)]
pub struct Path {
    text: String,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    /// Names and places, one after the other: to one value at most.
    Steps(Vec<Step>),
    /// Anything that RFC 9535 has.
    Query(Box<JpQuery>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

impl Path {
    /// Reads a path; the empty one means the whole document.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("has more than {LONGEST} bytes"));
        }
        let path = text.trim();
        let (rest, dotted) = match path.strip_prefix('$') {
            Some(rest) => (rest.to_owned(), false),
            None if path.is_empty() => (String::new(), true),
            None => (format!(".{path}"), true),
        };
        let way = match steps(&rest) {
            Some(steps) => Way::Steps(steps),
            None if dotted => {
                return Err(format!("`{path}` is no path such as `data.issues`; one of RFC 9535 begins with `$`"));
            }
            None => {
                check_cost(path)?;
                Way::Query(Box::new(parse_json_path(path).map_err(|e| told(path, &e.to_string()))?))
            }
        };
        Ok(Self { text: path.to_owned(), way })
    }

    /// The values that are meant, in their order.
    ///
    /// # Errors
    /// [`Code::InvalidSelector`] for a query that cannot be run.
    pub fn select<'v, 'd>(&self, document: &'v Json<'d>) -> Result<Vec<&'v Json<'d>>> {
        match &self.way {
            Way::Steps(steps) => Ok(walk(steps, document).into_iter().collect()),
            Way::Query(query) => {
                let found = js_path_process(query, document);
                let wrong = |what: String| Error::field("selector", Code::InvalidSelector, what);
                Ok(found.map_err(|e| wrong(told(&self.text, &e.to_string())))?.into_iter().map(|v| v.val).collect())
            }
        }
    }

    /// Whether it leads to one value at most.
    #[must_use]
    pub const fn is_singular(&self) -> bool {
        matches!(self.way, Way::Steps(_))
    }

    /// The path as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn walk<'v, 'd>(steps: &[Step], document: &'v Json<'d>) -> Option<&'v Json<'d>> {
    steps.iter().try_fold(document, |value, step| match (step, value) {
        (Step::Name(name), _) => value.member(name),
        (Step::Index(at), Json::List(items)) => items.get(*at),
        (Step::Index(_), _) => None,
    })
}

/// Names and places: `.a.b[0]['c d']`. `None` for anything else.
fn steps(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, next) = after.split_at(end);
            let sound = !name.is_empty()
                && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ' | ':' | '@' | '#' | '$'));
            if !sound || name.trim() != name {
                return None;
            }
            steps.push(Step::Name(name.to_owned()));
            rest = next;
        } else {
            let (inside, next) = rest.strip_prefix('[')?.split_once(']')?;
            let quoted = ['\'', '"'].iter().find_map(|q| inside.strip_prefix(*q)?.strip_suffix(*q));
            steps.push(match quoted {
                Some(name) if !name.contains(['\\', '\'', '"', '[']) => Step::Name(name.to_owned()),
                Some(_) => return None,
                None if inside.len() < 10 && inside.bytes().all(|b| b.is_ascii_digit()) => {
                    Step::Index(inside.parse().ok()?)
                }
                None => return None,
            });
            rest = next;
        }
    }
    Some(steps)
}

/// Refuses what takes far longer than the document is long.
fn check_cost(path: &str) -> Result<(), String> {
    let (before, filter) = path.split_once('?').unwrap_or((path, ""));
    if before.matches("..").count() + filter.matches("..").count() > MOST_DESCENTS {
        return Err(format!("has more than {MOST_DESCENTS} `..`, which takes too long"));
    }
    let wide = filter.contains("..") || filter.contains('*') || filter.contains(':');
    if filter.contains('$') && wide {
        return Err("looks at the whole document (`$`) for each value that it filters, which takes too long".to_owned());
    }
    Ok(())
}

/// What the parser says, in one line.
fn told(path: &str, message: &str) -> String {
    let column = message.split_once("--> ").and_then(|(_, rest)| rest.lines().next()?.split_once(':'));
    let at = column.map(|(_, column)| format!(", at character {}", column.trim())).unwrap_or_default();
    format!("`{path}` is no JSONPath (RFC 9535){at}; write `$.data.items[*]`, or `data.items`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::{Limits, json::parse};

    const DOCUMENT: &str = r#"{"data": {"issues": [{"id": 1, "a b": true}, {"id": 22222222222222222222, "tags": ["x", "y"]}]},
        "n": 2.50, "@type": "list", "none": null}"#;

    fn found(path: &str) -> Vec<String> {
        let document = parse(DOCUMENT, &Limits::default()).expect("JSON");
        let values = Path::parse(path).expect(path).select(&document).expect("values").into_iter().map(|value| {
            let mut text = String::new();
            value.write(&mut text);
            text
        });
        values.collect()
    }

    #[test]
    fn both_languages_find_values() {
        for (path, expected) in [
            ("data.issues[0].id", &["1"][..]),
            ("$.data.issues[0]['a b']", &["true"]),
            ("$.n", &["2.50"]),
            ("@type", &["\"list\""]),
            ("none", &["null"]),
            ("data.nothing", &[]),
            ("data[0]", &[]),
            ("$.data.issues[*].id", &["1", "22222222222222222222"]),
            ("$.data.issues[-1].tags[*]", &["\"x\"", "\"y\""]),
            ("$.data.issues[?@.id == 1].id", &["1"]),
            ("$.data.issues[?@.id > 5].id", &["22222222222222222222"]),
            ("$..tags[1:]", &["\"y\""]),
            ("$.data.issues[?@.tags[0] == 'x'].id", &["22222222222222222222"]),
        ] {
            assert_eq!(found(path), expected, "{path}");
        }
        assert_eq!(found(""), found("$"));
        assert!(Path::parse("data.issues").expect("a path").is_singular());
        assert!(!Path::parse("$.data[*]").expect("a path").is_singular());
    }

    #[test]
    fn what_is_no_path_is_refused_with_its_place() {
        for path in
            ["data..x", "data.", ".data", "data[", "data[x]", "//item", "a/b", "table > tr", "$.", "$[", "$.a[?]"]
        {
            assert!(Path::parse(path).is_err(), "{path}");
        }
        assert!(Path::parse("$.data[").expect_err("wrong").contains("at character"));
        for slow in ["$..*..*..*", "$.a[?$..b == @.c]", "$[?count($.*) > 2]"] {
            assert!(Path::parse(slow).expect_err("slow").contains("too long"), "{slow}");
        }
        assert!(Path::parse(&"a".repeat(2001)).is_err());
    }
}
