//! Selectors of a request: checked when it is made, with a message that says what is wrong and where.
use super::{
    Limits,
    css::{self, Finder},
    tree::{Element, Tree},
};
use crate::Result as Found;

/// The longest selector, in bytes.
const LONGEST: usize = 2000;

/// A list of CSS selectors, separated by commas.
#[derive(Clone, Debug)]
pub struct Selector(css::List);

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
        css::parse(text).map(Self).map_err(|fault| {
            let told = || format!("is no CSS selector: it {}, at character {} of `{text}`", fault.what, fault.at + 1);
            foreign(text).unwrap_or_else(told)
        })
    }

    /// The elements of a page that match, in its order.
    ///
    /// # Errors
    /// [`crate::Code::HtmlTooLarge`] if that takes too long.
    pub(super) fn select<'t>(&self, tree: &'t Tree, limits: &Limits) -> Found<Vec<Element<'t>>> {
        Finder::new(limits.looks).all(&self.0, tree)
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
            return Err(
                "is empty; give a CSS selector, `@` and an attribute, or `.` for the item's own text".to_owned()
            );
        }
        let selector = if itself { None } else { Some(Selector::parse(selector)?) };
        Ok(Self { selector, attribute })
    }

    /// The first element that is meant within `item`.
    ///
    /// # Errors
    /// [`crate::Code::HtmlTooLarge`] if that takes too long.
    pub(super) fn find<'t>(&self, item: Element<'t>, finder: &mut Finder<'t>) -> Found<Option<Element<'t>>> {
        match &self.selector {
            Some(selector) => finder.first_in(&selector.0, item),
            None => Ok(Some(item)),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Document, text::text_of};
    use super::*;

    fn fault(text: &str) -> String {
        Selector::parse(text).err().unwrap_or_default()
    }

    fn page(html: &str) -> Document {
        Document::parse(html, None, &Limits::default()).expect("a page")
    }

    fn found(page: &Document, selector: &str) -> Vec<String> {
        let selector = Selector::parse(selector).unwrap_or_else(|e| panic!("{selector} {e}"));
        selector.select(&page.tree, &Limits::default()).expect("found").into_iter().map(text_of).collect()
    }

    #[test]
    fn faults_say_what_and_where() {
        let faults = [
            ("", "is empty; give"),
            (" ", "is empty; give"),
            ("div[", "ends too early, at character 5 of `div[`"),
            ("//div", "is XPath"),
            ("./tr[1]", "is XPath"),
            ("table[@id='x']", "is XPath"),
            ("$.data[*]", "is a JSON path"),
            ("td::text", "leave it out"),
            ("a::attr(href)", "`a@href`"),
            ("a:hover", "pseudo-class or pseudo-element that a page at rest does not have, at character 2"),
            ("a:contains('x')", "pseudo-class"),
            ("a:", "ends too early, at character 3"),
            ("tr >", "ends with a combinator"),
            ("tr > , a", "ends with a combinator, at character 6"),
            ("a,,b", "lacks a selector, at character 3"),
            ("a,", "lacks a selector"),
            (":is()", "lacks a selector, at character 5"),
            (":not(> a)", "begins with a combinator"),
            ("td.", "ends too early"),
            ("td.1", "lacks the name of a class"),
            ("p{color:red}", "cannot be read, at character 2"),
            ("1a", "cannot be read, at character 1"),
            ("a[b!=c]", "faulty attribute in `[…]`, at character 4"),
            ("a[b='c]", "ends too early"),
            ("svg|a", "namespace"),
            ("a:nth-child(x)", "faulty place in `(…)`"),
            ("a:nth-child(2", "ends too early"),
            ("ä > é[", "at character 7"),
        ];
        for (text, part) in faults {
            assert!(fault(text).contains(part), "{text:?}: {}", fault(text));
        }
        assert!(fault(&":not(".repeat(300)).contains("nested too deep"));
        assert!(fault(&"a".repeat(3000)).contains("2000 bytes"));
    }

    #[test]
    fn selectors_match_as_in_a_browser() {
        let page = page(
            "<table id=t><tr class='data-row x'><td>1<td data-id=7 lang=en-GB>2<tr><td>3<td>4</table>\
             <ul><li><a href=/a.PDF>5</a><li>6<li class='a:b é'></li></ul><p>7</p><p>8</p><h2>9</h2><p>10</p>",
        );
        let texts: [(&str, &[&str]); 33] = [
            ("td", &["1", "2", "3", "4"]),
            ("TABLE TD:first-of-type", &["1", "3"]),
            ("td:nth-child(2n)", &["2", "4"]),
            ("td:nth-child( EVEN )", &["2", "4"]),
            ("p:nth-of-type(-n + 2)", &["7", "8"]),
            ("p:nth-last-of-type(1)", &["10"]),
            ("li:nth-last-child(n+2)", &["5", "6"]),
            ("p:nth-child(3)", &["7"]),
            (".data-row td", &["1", "2"]),
            (".data-row.x", &["12"]),
            ("#t", &["1234"]),
            ("[data-id]", &["2"]),
            ("[DATA-ID='7']", &["2"]),
            ("td[lang|=en]", &["2"]),
            ("a[href$='.pdf' i]", &["5"]),
            ("a[href$='.pdf']", &[]),
            ("a[href^='/'][href*=PD]", &["5"]),
            ("tr[class~=x]", &["12"]),
            ("li:has(> a)", &["5"]),
            ("ul:has(a) > li + li", &["6", ""]),
            ("p:has(+ h2)", &["8"]),
            ("p:has(~ h2)", &["7", "8"]),
            ("p:not(:has(~ h2))", &["10"]),
            ("h2 ~ p", &["10"]),
            ("h2 + p, ul + p", &["7", "10"]),
            ("#t tr:not(.x) > td:last-child, ul li:is(:first-child)", &["4", "5"]),
            ("li:empty", &[""]),
            (r"li.a\:b", &[""]),
            (r"li.\e9 ", &[""]),
            (":root > body > table, :scope > body > h2", &["1234", "9"]),
            ("li:not(:first-child, :last-child)", &["6"]),
            ("body *:where(h2)", &["9"]),
            ("data.issues", &[]),
        ];
        for (text, expected) in texts {
            assert_eq!(found(&page, text), expected, "{text}");
        }
        assert_eq!(found(&page, "ul /* first */ li:first-child"), ["5"]);
    }

    #[test]
    fn searches_that_take_too_long_end() {
        let html = format!("<ul>{}</ul>", "<li></li>".repeat(4000));
        let limits = Limits { looks: 300_000, ..Limits::default() };
        let page = page(&html);
        let selector = Selector::parse("li.x ~ li").expect("a selector");
        let code = selector.select(&page.tree, &limits).map(|_| ()).map_err(|e| e.code());
        assert_eq!(code, Err(crate::Code::HtmlTooLarge));
        let places = Selector::parse("li:nth-child(3999)").expect("a selector");
        let places = places.select(&page.tree, &limits).map(|found| found.len());
        assert_eq!(places.map_err(|e| e.code()), Ok(1), "places are counted once");
        let deep = format!("{}x{}", "<div>".repeat(500), "</div>".repeat(500));
        let deep = Document::parse(&deep, None, &Limits::default()).expect("a page");
        let nested = Selector::parse("i div div div div div div").expect("a selector");
        let nested = nested.select(&deep.tree, &limits).map(|found| found.len());
        assert_eq!(nested.map_err(|e| e.code()), Ok(0), "what no ancestor is, is not looked for again");
    }

    #[test]
    fn fields_name_an_element_or_an_attribute() {
        let page = page("<div data-id=9 class=c><a href=/x title='a@b'>t</a><p><b>u</b></p><b>v</b></div>");
        let item = page.tree.elements().find(|element| element.name() == "div").expect("the item");
        let found = |text: &str| {
            let field = FieldSelector::parse(text).unwrap_or_else(|e| panic!("{text} {e}"));
            let element = field.find(item, &mut Finder::new(1000)).expect("found")?;
            match field.attribute {
                Some(name) => element.attribute(&name).map(String::from),
                None => Some(text_of(element)),
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

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-c*#.:,>+~ \\[\\]()=\"'|\\\\0-9n\u{e9}-]{0,20}") {
            let page = page("<a class=b id=c><b><c></c></b></a>");
            match Selector::parse(&text) {
                Ok(selector) => drop(selector.select(&page.tree, &Limits::default()).expect("found")),
                Err(fault) => prop_assert!(!fault.is_empty()),
            }
        }
    }
}
