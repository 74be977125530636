//! CSS selectors: checked when the request is made, with a message that says what is wrong and where.
use std::collections::HashSet;

use cssparser::{BasicParseErrorKind, ParseError, ParseErrorKind, Parser};
use scraper::{
    ElementRef, Html,
    selector::{Parser as Grammar, Simple},
};
use selectors::{
    Element,
    context::{
        MatchingContext, MatchingForInvalidation, MatchingMode, NeedsSelectorFlags, QuirksMode, SelectorCaches,
    },
    matching::matches_selector,
    parser::{ParseRelative, SelectorList, SelectorParseErrorKind},
};

/// The longest selector, in bytes.
const LONGEST: usize = 2000;

/// A list of CSS selectors, separated by commas. The crates below it parse and match; our own is only what they lack:
/// where the fault is, and caches that live as long as the search.
#[derive(Clone, Debug)]
pub struct Selector(SelectorList<Simple>);

impl Selector {
    /// Parses a selector.
    ///
    /// # Errors
    /// A sentence that says what is wrong and at which character.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("is empty; give a CSS selector such as `table.wikitable`".to_owned());
        }
        if text.len() > LONGEST {
            return Err(format!("has more than {LONGEST} bytes"));
        }
        let mut input = Parser::new(text);
        match SelectorList::parse(&Grammar, &mut input, ParseRelative::ForScope) {
            Ok(list) => Ok(Self(list)),
            Err(error) => {
                let read = text.get(..input.position().byte_index()).unwrap_or_default();
                Err(foreign(text).unwrap_or_else(|| explain(text, read, &error)))
            }
        }
    }

    /// The elements of a page that match, in its order.
    pub(super) fn select<'a>(&self, page: &'a Html) -> impl Iterator<Item = ElementRef<'a>> {
        let mut caches = SelectorCaches::default();
        page.tree
            .root()
            .descendants()
            .filter_map(ElementRef::wrap)
            .filter(move |element| self.matches(element, None, &mut caches))
    }

    /// The elements within `scope` that match, in the page's order; `scope` itself is `:scope` and does not match.
    pub(super) fn select_in<'a>(&self, scope: ElementRef<'a>) -> impl Iterator<Item = ElementRef<'a>> {
        let mut caches = SelectorCaches::default();
        scope
            .descendants()
            .skip(1)
            .filter_map(ElementRef::wrap)
            .filter(move |element| self.matches(element, Some(scope), &mut caches))
    }

    fn matches(&self, element: &ElementRef<'_>, scope: Option<ElementRef<'_>>, caches: &mut SelectorCaches) -> bool {
        let mut context = MatchingContext::new(
            MatchingMode::Normal,
            None,
            caches,
            QuirksMode::NoQuirks,
            NeedsSelectorFlags::No,
            MatchingForInvalidation::No,
        );
        context.scope_element = scope.map(|scope| scope.opaque());
        self.0.slice().iter().any(|selector| matches_selector(selector, 0, None, element, &mut context))
    }
}

/// Some elements of one page.
#[derive(Default)]
pub(super) struct Elements(HashSet<*const scraper::node::Element>);

impl Elements {
    pub(super) fn contains(&self, element: ElementRef<'_>) -> bool {
        self.0.contains(&std::ptr::from_ref(element.value()))
    }

    pub(super) fn insert(&mut self, element: ElementRef<'_>) -> bool {
        self.0.insert(std::ptr::from_ref(element.value()))
    }
}

impl<'a> Extend<ElementRef<'a>> for Elements {
    fn extend<I: IntoIterator<Item = ElementRef<'a>>>(&mut self, elements: I) {
        self.0.extend(elements.into_iter().map(|element| std::ptr::from_ref(element.value())));
    }
}

impl<'a> FromIterator<ElementRef<'a>> for Elements {
    fn from_iter<I: IntoIterator<Item = ElementRef<'a>>>(elements: I) -> Self {
        Self(elements.into_iter().map(|element| std::ptr::from_ref(element.value())).collect())
    }
}

/// What a column is made of: a selector, and the attribute to take in place of the text.
#[derive(Clone, Debug)]
pub struct FieldSelector {
    /// Where to look within the item; `None`: the item itself.
    pub(super) selector: Option<Selector>,
    /// The attribute; `None`: the text.
    pub(super) attribute: Option<String>,
}

impl FieldSelector {
    /// Parses `h3`, `a@href`, `@data-id` or `> span.price`.
    ///
    /// # Errors
    /// A sentence that says what is wrong and at which character.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (selector, attribute) = match split_attribute(text) {
            Some((selector, attribute)) => (selector, Some(attribute.to_ascii_lowercase())),
            None => (text, None),
        };
        if attribute.as_ref().is_some_and(|name| name.is_empty() || !name.bytes().all(is_name_byte)) {
            return Err("has no attribute's name after `@`; write it as in `a@href`".to_owned());
        }
        let itself = matches!(selector.trim(), "" | "." | ":scope");
        if itself && attribute.is_none() && selector.trim().is_empty() {
            return Err("is empty; give a CSS selector, `@` and an attribute, or `.` for the item's own text".to_owned());
        }
        let selector = if itself { None } else { Some(Selector::parse(selector)?) };
        Ok(Self { selector, attribute })
    }

    /// The first element that is meant within `item`.
    pub(super) fn find<'a>(&self, item: ElementRef<'a>) -> Option<ElementRef<'a>> {
        match &self.selector {
            Some(selector) => selector.select_in(item).next(),
            None => Some(item),
        }
    }
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.')
}

/// Splits at the last `@` that lies outside of brackets and quotes.
fn split_attribute(text: &str) -> Option<(&str, &str)> {
    let (mut depth, mut quote, mut found) = (0_i32, None, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '(') => depth += 1,
            (None, ']' | ')') => depth -= 1,
            (None, '@') if depth <= 0 => found = Some(at),
            _ => {}
        }
    }
    found.map(|at| (&text[..at], text[at + 1..].trim()))
}

/// Another tool's language, told by its own signs.
fn foreign(text: &str) -> Option<String> {
    let text = text.trim();
    if text.starts_with(['/', '$']) || text.starts_with("./") || text.starts_with("(/") || text.contains("[@") {
        let what = if text.starts_with('$') { "a JSON path" } else { "XPath" };
        return Some(format!("is {what}; a CSS selector is expected: XPath's `//table[@id='x']` is `table#x`"));
    }
    if text.contains("::text") {
        return Some("ends with `::text`, which CSS does not have; leave it out, the text is what is taken".to_owned());
    }
    if text.contains("::attr") {
        return Some("has `::attr(…)`, which CSS does not have; in `fields` write `a@href`".to_owned());
    }
    None
}

/// What the parser found; `read` is what it had taken before.
fn explain(text: &str, read: &str, error: &ParseError<SelectorParseErrorKind>) -> String {
    use SelectorParseErrorKind as Fault;
    let ended = read.trim_end().len() == text.trim_end().len();
    let what = match &error.kind {
        ParseErrorKind::Basic(BasicParseErrorKind::EndOfInput) => "ends too early",
        ParseErrorKind::Basic(BasicParseErrorKind::TooManyNestedBlocks) => "is nested too deep",
        ParseErrorKind::Custom(Fault::EmptySelector) => "lacks a selector (beside a comma or in brackets)",
        ParseErrorKind::Custom(Fault::DanglingCombinator) => "ends with a combinator",
        ParseErrorKind::Custom(
            Fault::UnsupportedPseudoClassOrElement | Fault::PseudoElementExpectedIdent | Fault::NoIdentForPseudo,
        ) => "has a pseudo-class or pseudo-element that is not supported on a page at rest",
        ParseErrorKind::Custom(Fault::ClassNeedsIdent) => "lacks the name of a class",
        ParseErrorKind::Custom(Fault::ExpectedNamespace) => "has a namespace, which is not supported",
        ParseErrorKind::Custom(
            Fault::NoQualifiedNameInAttributeSelector
            | Fault::UnexpectedTokenInAttributeSelector
            | Fault::ExpectedBarInAttr
            | Fault::BadValueInAttr
            | Fault::InvalidQualNameInAttr,
        ) => "has a faulty attribute in `[…]`",
        _ if ended => "ends too early",
        _ => "cannot be read",
    };
    format!("is no CSS selector: it {what}, at character {} of `{text}`", read.chars().count().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        Selector::parse(text).err().unwrap_or_default()
    }

    #[test]
    fn faults_say_what_and_where() {
        let faults = [
            ("", "is empty; give"),
            (" ", "is empty; give"),
            ("div[", "at character 4 of `div[`"),
            ("//div", "is XPath"),
            ("./tr[1]", "is XPath"),
            ("table[@id='x']", "is XPath"),
            ("$.data[*]", "is a JSON path"),
            ("td::text", "leave it out"),
            ("a::attr(href)", "`a@href`"),
            ("a:hover", "pseudo-class or pseudo-element that is not supported on a page at rest, at character"),
            ("a:contains('x')", "pseudo-class"),
            ("tr >", "combinator"),
            ("a,,b", "lacks a selector"),
            ("a,", "lacks a selector"),
            ("td.", "ends too early"),
            ("p{color:red}", "cannot be read, at character"),
            ("1a", "cannot be read, at character"),
        ];
        for (text, part) in faults {
            assert!(fault(text).contains(part), "{text:?}: {}", fault(text));
            assert!(!fault(text).contains("developer"));
        }
        assert!(fault(&":not(".repeat(300)).contains("nested too deep"));
        assert!(fault(&"a".repeat(3000)).contains("2000 bytes"));
    }

    #[test]
    fn selectors_match_as_in_a_browser() {
        let page = Html::parse_document(
            "<table id=t><tr class='data-row x'><td>1<td data-id=7>2<tr><td>3<td>4</table><ul><li><a href=/>5</a><li>6</ul>",
        );
        let texts = [
            ("td", vec!["1", "2", "3", "4"]),
            ("td:nth-child(2n)", vec!["2", "4"]),
            (".data-row td", vec!["1", "2"]),
            ("[data-id]", vec!["2"]),
            ("li:has(> a)", vec!["5"]),
            ("#t tr:not(.x) > td:last-child, ul li:is(:last-child)", vec!["4", "6"]),
            ("TABLE TD:first-of-type", vec!["1", "3"]),
            ("data.issues", vec![]),
        ];
        for (text, expected) in texts {
            let selector = Selector::parse(text).unwrap_or_else(|e| panic!("{text} {e}"));
            let found: Vec<_> = selector.select(&page).map(super::super::text::text_of).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn fields_name_an_element_or_an_attribute() {
        let page = Html::parse_document("<div data-id=9 class=c><a href=/x title='a@b'>t</a><p><b>u</b></p><b>v</b></div>");
        let item = Selector::parse(".c").expect("a selector");
        let item = item.select(&page).next().expect("the item");
        let found = |text: &str| {
            let field = FieldSelector::parse(text).unwrap_or_else(|e| panic!("{text} {e}"));
            let element = field.find(item)?;
            match field.attribute {
                Some(name) => element.attr(&name).map(String::from),
                None => Some(super::super::text::text_of(element)),
            }
        };
        assert_eq!(found("a@href").as_deref(), Some("/x"));
        assert_eq!(found("a@HREF").as_deref(), Some("/x"));
        assert_eq!(found("@data-id").as_deref(), Some("9"));
        assert_eq!(found("> b").as_deref(), Some("v"));
        assert_eq!(found("b").as_deref(), Some("u"));
        assert_eq!(found(".").as_deref(), Some("tuv"));
        assert_eq!(found("[title='a@b']").as_deref(), Some("t"));
        assert_eq!(found("i"), None);
        for text in ["", "a@", "@", "a@b c", "a[@", "//a"] {
            assert!(FieldSelector::parse(text).is_err(), "{text}");
        }
    }
}
