//! A look at a page's tags before it is parsed: the parser compares each attribute of a tag with all before it, and keeps
//! long names in a table that does not grow.
//!
//! Whether a `<` begins a tag depends on all that stands before it (comments, scripts, foreign content), and whoever
//! means harm would hide a tag from a simple look. So every `<` is taken as if it began one: this can only overestimate,
//! and the bounds are far above what any page needs.
use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
};

use memchr::{memchr, memchr_iter};

use crate::{Code, Error, Result};

/// The most comparisons of attributes: so many, and this many more for each byte. A tag of ten attributes makes 100.
const COMPARISONS: usize = 50_000_000;
const COMPARISONS_PER_BYTE: usize = 100;
/// How many times the page's length may be read.
const PASSES: usize = 50;
/// The longest name that the parser keeps in place.
const SHORT_NAME: usize = 7;
const MOST_LONG_NAMES: usize = 50_000;

/// Refuses a page whose tags would take the parser long.
///
/// # Errors
/// [`Code::HtmlTooLarge`].
pub(super) fn check(page: &str) -> Result<()> {
    let page = page.as_bytes();
    let mut look = Look { page, names: HashSet::new(), hasher: RandomState::new() };
    let (mut comparisons, mut read) = (0_usize, 0_usize);
    for at in memchr_iter(b'<', page) {
        let name = match page.get(at + 1) {
            Some(b'/') => at + 2,
            _ => at + 1,
        };
        if !page.get(name).is_some_and(u8::is_ascii_alphabetic) {
            continue;
        }
        let (attributes, end) = look.tag(name);
        comparisons = comparisons.saturating_add(attributes.saturating_mul(attributes));
        read += end - at;
        if comparisons > COMPARISONS + COMPARISONS_PER_BYTE * page.len() {
            return Err(Error::new(Code::HtmlTooLarge, "the page has tags with far too many attributes"));
        }
        if read > (1 << 20) + PASSES * page.len() || look.names.len() > MOST_LONG_NAMES {
            return Err(Error::new(Code::HtmlTooLarge, "the page has far too many unfinished tags or names of tags"));
        }
    }
    Ok(())
}

struct Look<'a> {
    page: &'a [u8],
    /// Hashes of the long names.
    names: HashSet<u64>,
    hasher: RandomState,
}

impl Look<'_> {
    /// Reads a tag from its name on: how many attributes it has, and where it ends.
    fn tag(&mut self, start: usize) -> (usize, usize) {
        let mut at = self.name(start, |byte| is_blank(byte) || matches!(byte, b'/' | b'>'));
        let mut attributes = 0;
        loop {
            at = self.skip(at, |byte| is_blank(byte) || byte == b'/');
            match self.page.get(at) {
                None | Some(b'>') => return (attributes, at),
                Some(_) => {}
            }
            attributes += 1;
            // A `=` in the first place is part of the name.
            at = self.name(at, |byte| is_blank(byte) || matches!(byte, b'/' | b'>' | b'='));
            let sign = self.skip(at, is_blank);
            if self.page.get(sign) == Some(&b'=') {
                at = self.value(self.skip(sign + 1, is_blank));
            }
        }
    }

    /// The end of a name, which has at least one byte.
    fn name(&mut self, start: usize, ends: impl Fn(u8) -> bool) -> usize {
        let end = self.skip(start + 1, |byte| !ends(byte));
        if end - start > SHORT_NAME {
            let name = self.page.get(start..end).unwrap_or_default().to_ascii_lowercase();
            self.names.insert(self.hasher.hash_one(name));
        }
        end
    }

    fn value(&self, start: usize) -> usize {
        match self.page.get(start) {
            Some(quote @ (b'"' | b'\'')) => {
                let rest = self.page.get(start + 1..).unwrap_or_default();
                memchr(*quote, rest).map_or(self.page.len(), |length| start + length + 2)
            }
            _ => self.skip(start, |byte| !is_blank(byte) && byte != b'>'),
        }
    }

    fn skip(&self, start: usize, over: impl Fn(u8) -> bool) -> usize {
        let rest = self.page.get(start..).unwrap_or_default();
        rest.iter().position(|byte| !over(*byte)).map_or(self.page.len(), |length| start + length)
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\x0c' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(tag: &str) -> (usize, usize) {
        Look { page: tag.as_bytes(), names: HashSet::new(), hasher: RandomState::new() }.tag(1)
    }

    #[test]
    fn attributes_are_counted_as_the_parser_reads_them() {
        let tags = [
            ("<p>", 0),
            ("<p a b=1 c = '>' d=\"x y\"e/f>g", 6),
            // After a blank a `=` still belongs to the name before it; after a `/` it begins one.
            ("<p =a =>", 1),
            ("<p =a /=>", 2),
            ("<p/>", 0),
            ("<p a=b/c>", 1),
            ("<p a='unfinished > <b>", 1),
            ("<p a", 1),
            ("<p a\u{a0}b>", 1),
        ];
        for (tag, count) in tags {
            let (found, end) = attributes(tag);
            assert_eq!(found, count, "{tag}");
            assert!(end <= tag.len());
        }
    }

    #[test]
    fn tags_that_take_long_are_refused() {
        let many = |n: usize| (0..n).map(|n| format!(" a{n}")).collect::<String>();
        assert!(check(&format!("<p{}>", many(5000))).is_ok());
        assert!(check(&format!("<p{}>", many(100_000))).is_err());
        assert!(check(&format!("<svg><style><p{}>", many(100_000))).is_err(), "wherever it hides");
        assert!(check(&format!("<!-- <a b=\"--><p{}>", many(100_000))).is_err());
        assert!(check(&"<p a='".repeat(100_000)).is_err(), "quotes that end each other");
        assert!(check(&"<p a='<p a=\"".repeat(100_000)).is_err());
        let names = |n: usize| (0..n).map(|n| format!("<custom-{n}></custom-{n}>")).collect::<String>();
        assert!(check(&names(1000)).is_ok() && check(&names(60_000)).is_err());
        assert!(check(&"<p>1 < 2 <a class=x href='/y?z=1'>".repeat(100_000)).is_ok());
        assert!(check("<").is_ok() && check("</").is_ok() && check("").is_ok());
    }
}
