//! Where rows stand in XML: `channel/item` from the root, `//item` anywhere; as CSS has it, `channel > item` and `item`.

/// The longest path, in bytes, and the most steps.
const LONGEST: usize = 2000;
const MOST_STEPS: usize = 64;

/// A path of elements, and perhaps an attribute at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    steps: Vec<Step>,
    /// The attribute that is meant, not the element.
    pub(super) attribute: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    /// Any number of elements may lie between this one and the one before.
    anywhere: bool,
    /// `*` means any.
    name: String,
}

impl Path {
    /// Reads a path; the empty one means the elements below the root.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = text.trim();
        let wrong = |what: &str| format!("`{path}` is no path of elements such as `channel/item` or `//item`: {what}");
        if text.len() > LONGEST {
            return Err(format!("has more than {LONGEST} bytes"));
        }
        let (path_only, attribute) = match path.rsplit_once('@') {
            Some((before, name)) => (before.trim_end_matches('/'), Some(name.to_owned())),
            None => (path, None),
        };
        let steps = match path_only.contains('/') {
            true => slashed(path_only),
            false => spaced(path_only),
        };
        let steps = steps.ok_or_else(|| wrong("a name is missing"))?;
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'))
        };
        if let Some(step) = steps.iter().find(|step| step.name != "*" && !is_name(&step.name)) {
            return Err(wrong(&format!("`{}` is no element's name", step.name)));
        }
        if attribute.as_deref().is_some_and(|name| !is_name(name)) {
            return Err(wrong("an attribute's name is expected after `@`"));
        }
        if steps.len() > MOST_STEPS {
            return Err(wrong("it has too many steps"));
        }
        Ok(Self { steps, attribute })
    }

    /// Whether the innermost of open elements is meant. The root may be left out: `channel/item` finds `rss/channel/item`.
    pub(super) fn is_at<'n>(&self, open: &[impl AsRef<str> + 'n]) -> bool {
        if self.steps.is_empty() {
            return open.len() == 2;
        }
        fits(&self.steps, open) || open.split_first().is_some_and(|(_, below)| fits(&self.steps, below))
    }
}

/// Whether all open elements are what the steps say, to the last of both.
fn fits(steps: &[Step], open: &[impl AsRef<str>]) -> bool {
    let Some((last, before)) = steps.split_last() else { return open.is_empty() };
    let Some((inner, around)) = open.split_last() else { return false };
    if last.name != "*" && last.name != inner.as_ref() {
        return false;
    }
    match last.anywhere {
        false => fits(before, around),
        // The steps before may end at any of the elements around.
        true => (0..=around.len()).rev().any(|end| fits(before, around.get(..end).unwrap_or_default())),
    }
}

fn slashed(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let (mut anywhere, mut rest) = match path.strip_prefix("//") {
        Some(rest) => (true, rest),
        None => (false, path.strip_prefix('/').unwrap_or(path)),
    };
    loop {
        let (name, after) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if name.trim().is_empty() {
            return None;
        }
        steps.push(Step { anywhere, name: name.trim().to_owned() });
        if after.is_empty() {
            return Some(steps);
        }
        anywhere = after.starts_with("//");
        rest = after.get(if anywhere { 2 } else { 1 }..)?;
    }
}

/// CSS: a blank for anywhere below, `>` for directly below; it begins anywhere.
fn spaced(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut anywhere = true;
    let mut wants_name = false;
    for word in path.replace('>', " > ").split_whitespace() {
        if word == ">" {
            if wants_name || steps.is_empty() {
                return None;
            }
            (anywhere, wants_name) = (false, true);
        } else {
            steps.push(Step { anywhere, name: word.to_owned() });
            (anywhere, wants_name) = (true, false);
        }
    }
    (!wants_name).then_some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str, open: &str) -> bool {
        Path::parse(path).expect(path).is_at(&open.split('/').collect::<Vec<_>>())
    }

    #[test]
    fn elements_are_found_by_their_place() {
        for (path, open, found) in [
            ("channel/item", "rss/channel/item", true),
            ("rss/channel/item", "rss/channel/item", true),
            ("/rss/channel/item", "rss/channel/item", true),
            ("channel/item", "rss/channel/group/item", false),
            ("channel//item", "rss/channel/group/item", true),
            ("//item", "rss/channel/item", true),
            ("//item", "item", true),
            ("//group/item", "rss/channel/item", false),
            ("channel/*", "rss/channel/item", true),
            ("item", "rss/channel/item", true),
            ("channel > item", "rss/channel/item", true),
            ("rss item", "rss/channel/item", true),
            ("rss > item", "rss/channel/item", false),
            ("dc:x", "rss/dc:x", true),
            ("", "rows/row", true),
            ("", "rows/row/cell", false),
        ] {
            assert_eq!(at(path, open), found, "{path} at {open}");
        }
        assert_eq!(Path::parse("next/@href").expect("a path").attribute.as_deref(), Some("href"));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in ["a//", "///a", "a[1]", "$.a", "a > > b", "> a", "a >", "1a", "a/@", "#a"] {
            assert!(Path::parse(path).is_err(), "{path}");
        }
    }
}
