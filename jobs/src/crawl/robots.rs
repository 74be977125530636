//! What a site's robots.txt permits (RFC 9309).
//!
//! Our own, as the crates that read it compile a regular expression for each rule, which a hostile file can make many of;
//! here a file costs what it is long.
use memchr::{memmem, memrchr2};
use serde::{Deserialize, Serialize};
use url::Url;

/// How much of the file is read, by the RFC's least.
pub(super) const MOST_BYTES: usize = 500 * 1024;

/// The rules of a site for us.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Robots {
    /// Rules in the order of the file; or one verdict for everything.
    rules: Result<Vec<Rule>, bool>,
    crawl_delay: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rule {
    allows: bool,
    /// Normalized, still with its `*` and `$`.
    pattern: String,
}

impl Robots {
    /// The rules that follow from the answer to `GET /robots.txt`: `status` is `None` if none came. No such file permits
    /// everything; a server that fails, or asks to be left alone, permits nothing.
    #[must_use]
    pub fn of_answer(status: Option<u16>, body: &[u8], agent: &str) -> Self {
        let all = |allows| Self { rules: Err(allows), crawl_delay: None };
        match status {
            Some(200..=299) => Self::parse(body, agent),
            Some(429) | None => all(false),
            // Redirects that were not followed to an end count as no file.
            Some(300..=499) => all(true),
            Some(_) => all(false),
        }
    }

    /// Reads the file; `agent` is our product's token, such as `icehaul`. Groups that name it are combined; without any
    /// those of `*` are.
    #[must_use]
    pub fn parse(body: &[u8], agent: &str) -> Self {
        let body = whole_lines(body);
        let text = String::from_utf8_lossy(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body));
        let (mut own, mut general) = (Group::default(), Group::default());
        let (mut is_own, mut is_general, mut in_agents, mut named) = (false, false, false, false);
        for line in text.split(['\r', '\n']) {
            let line = line.split('#').next().unwrap_or_default();
            let Some((key, value)) = line.split_once(':') else { continue };
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            if key == "user-agent" {
                if !std::mem::replace(&mut in_agents, true) {
                    (is_own, is_general) = (false, false);
                }
                is_own |= token(value).eq_ignore_ascii_case(token(agent));
                is_general |= value.starts_with('*');
                named |= is_own;
                continue;
            }
            if !["allow", "disallow", "crawl-delay"].contains(&key.as_str()) {
                continue; // sitemaps and others belong to no group
            }
            in_agents = false;
            for group in [(is_own, &mut own), (is_general, &mut general)]
                .into_iter()
                .filter_map(|(is, group)| is.then_some(group))
            {
                group.take(&key, value);
            }
        }
        let group = if named { own } else { general };
        Self { rules: Ok(group.rules), crawl_delay: group.crawl_delay }
    }

    /// Whether a page may be asked for: the longest rule that matches decides, `Allow` among equals.
    #[must_use]
    pub fn allows(&self, url: &Url) -> bool {
        let rules = match &self.rules {
            _ if url.path() == "/robots.txt" => return true,
            Ok(rules) => rules,
            Err(verdict) => return *verdict,
        };
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let target = normalized(&format!("{}{query}", url.path()), true);
        let best = rules
            .iter()
            .filter(|rule| matches(&rule.pattern, &target))
            .max_by_key(|rule| (rule.pattern.len(), rule.allows));
        best.is_none_or(|rule| rule.allows)
    }

    /// Whether nothing may be asked because the site could not say what may.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self.rules, Err(false))
    }

    /// The seconds between two requests that the site asks for.
    #[must_use]
    pub const fn crawl_delay(&self) -> Option<f64> {
        self.crawl_delay
    }
}

#[derive(Default)]
struct Group {
    rules: Vec<Rule>,
    crawl_delay: Option<f64>,
}

impl Group {
    fn take(&mut self, key: &str, value: &str) {
        if key == "crawl-delay" {
            let delay = value.parse::<f64>().ok().filter(|delay| delay.is_finite() && *delay >= 0.0);
            self.crawl_delay = delay.or(self.crawl_delay);
        } else if value.starts_with(['/', '*']) {
            // An empty rule permits or forbids nothing.
            self.rules.push(Rule { allows: key == "allow", pattern: normalized(value, false) });
        }
    }
}

/// What is read of a file. Half a rule is another rule: of `Disallow: /*.gif` cut short, `/` would forbid everything.
fn whole_lines(body: &[u8]) -> &[u8] {
    let Some(start) = body.get(..MOST_BYTES).filter(|start| start.len() < body.len()) else { return body };
    memrchr2(b'\r', b'\n', start).and_then(|end| start.get(..end)).unwrap_or_default()
}

/// The product's token: what stands before a version.
fn token(name: &str) -> &str {
    let end = name.find(|c: char| !(c.is_ascii_alphabetic() || matches!(c, '-' | '_'))).unwrap_or(name.len());
    name.get(..end).unwrap_or_default()
}

/// A path as the RFC compares it: what need not be escaped is not, what must is. In an address `*` and `$` are ordinary,
/// in a rule `$` is but at its end.
fn normalized(path: &str, is_address: bool) -> String {
    let mut text = String::with_capacity(path.len());
    let mut bytes = path.as_bytes().iter();
    let escape = |text: &mut String, byte: u8| {
        const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
        text.push('%');
        text.extend([byte >> 4, byte & 15].iter().filter_map(|half| DIGITS.get(usize::from(*half))));
    };
    while let Some(&byte) = bytes.next() {
        let escaped = (byte == b'%').then(|| hex(bytes.as_slice())).flatten();
        if let Some(escaped) = escaped {
            bytes.nth(1);
            if escaped.is_ascii_alphanumeric() || matches!(escaped, b'-' | b'.' | b'_' | b'~') {
                text.push(char::from(escaped));
            } else {
                escape(&mut text, escaped);
            }
        } else if !byte.is_ascii_graphic()
            || is_address && byte == b'*'
            || byte == b'$' && (is_address || !bytes.as_slice().is_empty())
        {
            escape(&mut text, byte);
        } else {
            text.push(char::from(byte));
        }
    }
    text
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

/// Whether a pattern matches the beginning of a path: `*` is any text, `$` at the end the path's end.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, to_end) = match pattern.strip_suffix('$') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| path.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return !to_end || rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if to_end && parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match memmem::find(rest.as_bytes(), part.as_bytes()).and_then(|at| rest.get(at + part.len()..)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(file: &str, agent: &str, path: &str) -> bool {
        let url = Url::parse(&format!("https://example.org{path}")).expect("an address");
        Robots::parse(file.as_bytes(), agent).allows(&url)
    }

    #[test]
    fn the_rfcs_examples_hold() {
        let file = "User-Agent: *\nDisallow: *.gif$\nDisallow: /example/\nAllow: /publications/\n\n\
                    User-Agent: foobot\nDisallow:/\nAllow:/example/page.html\nAllow:/example/allowed.gif\n\n\
                    User-Agent: barbot\nUser-Agent: bazbot\nDisallow: /example/page.html\n\nUser-Agent: quxbot\n";
        let verdicts = [
            ("foobot", "/example/page.html", true),
            ("foobot", "/example/other.html", false),
            ("foobot/2.1", "/x", false),
            ("FOOBOT", "/example/allowed.gif", true),
            ("bazbot", "/example/page.html", false),
            ("bazbot", "/a.gif", true),
            ("quxbot", "/example/", true),
            ("icehaul", "/a.gif", false),
            ("icehaul", "/a.gifx", true),
            ("icehaul", "/example/", false),
            ("icehaul", "/publications/", true),
            ("icehaul", "/robots.txt", true),
        ];
        for (agent, path, verdict) in verdicts {
            assert_eq!(allows(file, agent, path), verdict, "{agent} {path}");
        }
        let longest = "user-agent: x\nallow: /example/page/\ndisallow: /example/page/disallowed.gif\n";
        assert!(allows(longest, "x", "/example/page/") && !allows(longest, "x", "/example/page/disallowed.gif"));
        assert!(allows("user-agent: x\ndisallow: /p\nallow: /p", "x", "/p"), "allow among equals");
        let twice = "user-agent: x\ndisallow: /a\n\nuser-agent: y\ndisallow: /c\n\nuser-agent: x\ndisallow: /b";
        assert!(!allows(twice, "x", "/a") && !allows(twice, "x", "/b") && allows(twice, "x", "/c"));
    }

    #[test]
    fn paths_are_compared_as_escaped() {
        let rules = [
            ("/foo/bar?baz=quz", "/foo/bar?baz=quz", true),
            ("/foo/bar/ツ", "/foo/bar/%E3%83%84", true),
            ("/foo/bar/%E3%83%84", "/foo/bar/ツ", true),
            ("/foo/bar/%62%61%7A", "/foo/bar/baz", true),
            ("/file-with-a-%2A.html", "/file-with-a-*.html", true),
            ("/a%2fb", "/a%2Fb", true),
            ("/a%2fb", "/a/b", false),
            ("/fish*.php", "/fish/salmon.php?id=1", true),
            ("/*/x/*y$", "/a/x/b/x/cy", true),
            ("/*/x/*y$", "/a/x/yz", false),
            ("/*$", "/", true),
            ("/$", "/a", false),
            ("/a$b", "/a$b", true),
            ("/a$b", "/a", false),
            ("/%", "/%25", true),
            ("a", "/a", false),
        ];
        for (rule, path, matched) in rules {
            assert_eq!(!allows(&format!("user-agent: *\ndisallow: {rule}"), "x", path), matched, "{rule} {path}");
        }
    }

    #[test]
    fn files_are_read_leniently() {
        let file = "\u{feff}# hello\r\nUSER-AGENT : * # all\r\rDisallow : /private # no\r\nnonsense\nCrawl-delay: 2.5\nSitemap: https://x/s.xml\nDisallow: /later\nDisallow:\n";
        assert!(!allows(file, "x", "/private/1") && !allows(file, "x", "/later") && allows(file, "x", "/"));
        assert_eq!(Robots::parse(file.as_bytes(), "x").crawl_delay(), Some(2.5));
        assert_eq!(Robots::parse(b"user-agent: *\ncrawl-delay: inf", "x").crawl_delay(), None);
        let junk: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        assert!(Robots::parse(&junk, "x").allows(&Url::parse("https://x/").expect("an address")));
        let many = format!("user-agent: *\n{}", "disallow: /*a*a*a*a*a*a*b$\n".repeat(30_000));
        assert!(allows(&many, "x", &format!("/{}", "a".repeat(2000))), "the rule that is cut in two is none");
        assert!(!allows(&many, "x", "/aaaaaab"));
        let endless = format!("user-agent: *\ndisallow: /{}", "a".repeat(MOST_BYTES));
        assert!(allows(&endless, "x", "/a"));
    }

    #[test]
    fn failures_decide_for_all() {
        let url = Url::parse("https://example.org/x").expect("an address");
        let verdicts = [
            (Some(404), true),
            (Some(403), true),
            (Some(301), true),
            (Some(500), false),
            (Some(503), false),
            (Some(429), false),
            (None, false),
        ];
        for (status, verdict) in verdicts {
            assert_eq!(Robots::of_answer(status, b"", "x").allows(&url), verdict, "{status:?}");
        }
        assert!(!Robots::of_answer(Some(200), b"user-agent: *\ndisallow: /x", "y").allows(&url));
    }
}
