//! A page, parsed within bounds: html5ever takes quadratic time for deep nesting and for tags with very many attributes.
use url::Url;

use super::{
    FieldSelector, Limits,
    css::Finder,
    tags, text,
    tree::{Element, Parser, Tree, Visit},
};
use crate::{Code, Error, Result};

/// The bytes of a page of little but tables for each node of its tree.
const BYTES_PER_NODE: usize = 9;
/// The elements that every page has, whatever its length.
const IMPLIED_NODES: usize = 1000;

/// A parsed page. It cannot leave its thread: parse and extract in one blocking closure.
#[derive(Debug)]
pub struct Document {
    pub(super) tree: Tree,
    links: Links,
}

impl Document {
    /// Parses a page that was found at `address`.
    ///
    /// # Errors
    /// [`Code::HtmlTooDeep`], [`Code::HtmlTooLarge`].
    pub fn parse(page: &str, address: Option<&Url>, limits: &Limits) -> Result<Self> {
        if page.len() > limits.page_bytes {
            return Err(Error::new(
                Code::HtmlTooLarge,
                format!("the page has {} bytes, more than the {} that are parsed", page.len(), limits.page_bytes),
            ));
        }
        tags::check(page)?;
        let tree = grow(page, limits)?;
        if depth(&tree) > limits.depth {
            return Err(too_deep(limits));
        }
        let links = Links::new(address, base_of(&tree));
        Ok(Self { tree, links })
    }

    /// The page's title, for messages: a login page has another than the page that was meant.
    #[must_use]
    pub fn title(&self) -> Option<String> {
        let title = self.tree.elements().find(|element| element.name() == "title").map(text::text_of)?;
        Some(title.chars().take(200).collect()).filter(|title: &String| !title.is_empty())
    }

    /// What the first element that matches has in the attribute that `field` names, or its text: the address of the next
    /// page by `a[rel=next]@href`, say. Addresses are absolute.
    ///
    /// # Errors
    /// [`Code::HtmlTooLarge`] if the search takes too long.
    pub fn value(&self, field: &FieldSelector, limits: &Limits) -> Result<Option<String>> {
        let Some(root) = self.tree.root() else { return Ok(None) };
        let found = field.find(root, &mut Finder::new(limits.looks))?;
        Ok(found.and_then(|element| self.links.value(element, field.attribute.as_deref())))
    }

    pub(super) const fn links(&self) -> &Links {
        &self.links
    }
}

/// Builds the tree, looking now and then at how it grows.
fn grow(page: &str, limits: &Limits) -> Result<Tree> {
    let mut parser = Parser::new(page, page.len() / BYTES_PER_NODE);
    let mut seen = 0;
    loop {
        let (fed, more) = parser.step();
        let tree = parser.tree();
        let known = std::mem::replace(&mut seen, tree.len());
        // Every element takes some bytes of its own, but for formatting that is reopened again and again.
        if seen > limits.nodes || seen > IMPLIED_NODES + fed {
            return Err(Error::new(Code::HtmlTooLarge, format!("the page has more than {seen} elements and texts")));
        }
        // The parser's open elements are the newest element and those around it.
        if tree.newest(known).is_some_and(|element| element.ancestors().nth(limits.depth).is_some()) {
            return Err(too_deep(limits));
        }
        drop(tree);
        if !more {
            return Ok(parser.finish());
        }
    }
}

/// What the page says its addresses are relative to.
fn base_of(tree: &Tree) -> Option<&str> {
    tree.elements().filter(|element| element.name() == "base").find_map(|base| base.attribute("href"))
}

/// How deep the deepest element lies.
fn depth(tree: &Tree) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let Some(root) = tree.root() else { return 0 };
    root.walk(|visit| {
        match visit {
            Visit::Enter(element) if element.children().next().is_some() => depth += 1,
            Visit::Leave(element) if element.children().next().is_some() => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
        true
    });
    deepest
}

fn too_deep(limits: &Limits) -> Error {
    Error::new(Code::HtmlTooDeep, format!("the page's elements are nested more than {} deep", limits.depth))
}

/// What relative addresses of a page are relative to.
#[derive(Clone, Debug, Default)]
pub(super) struct Links(Option<Url>);

impl Links {
    fn new(address: Option<&Url>, base: Option<&str>) -> Self {
        let declared = base.and_then(|base| match address {
            Some(address) => address.join(base).ok(),
            None => Url::parse(base).ok(),
        });
        Self(declared.or_else(|| address.cloned()))
    }

    /// A link's address as an absolute one; `None` if it leads nowhere but into a script.
    pub(super) fn absolute(&self, href: &str) -> Option<String> {
        let resolved = match &self.0 {
            Some(base) => base.join(href).ok(),
            None => Url::parse(href).ok(),
        };
        match resolved {
            Some(url) if ["javascript", "data", "vbscript", "blob"].contains(&url.scheme()) => None,
            Some(url) => Some(url.into()),
            None => Some(href.to_owned()),
        }
    }

    /// The text of an element, or its attribute; addresses are made absolute.
    pub(super) fn value(&self, element: Element<'_>, attribute: Option<&str>) -> Option<String> {
        let Some(name) = attribute else { return Some(text::read(element, |_| false).text) };
        let value = text::clean(element.attribute(name)?);
        match name {
            "href" | "src" | "action" => self.absolute(&value),
            _ => Some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn code(page: &str) -> Option<Code> {
        Document::parse(page, None, &Limits::default()).err().map(|e| e.code())
    }

    #[test]
    fn depth_is_bounded_whatever_makes_it() {
        let deep = Some(Code::HtmlTooDeep);
        let start = Instant::now();
        assert_eq!(code(&"<div>".repeat(50_000)), deep);
        assert_eq!(code(&"<b>".repeat(50_000)), deep);
        assert_eq!(code(&"<table><tr><td>".repeat(20_000)), deep);
        assert_eq!(code(&"<div>x</body><!-- y -->".repeat(20_000)), deep);
        assert_eq!(code(&format!("{}{}", "<div>".repeat(600), "</div>".repeat(600))), deep);
        assert_eq!(code(&"<svg><g>".repeat(20_000)), deep);
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
        assert_eq!(code(&format!("{}{}", "<div>".repeat(500), "</div>".repeat(500))), None);
        assert_eq!(code(&"<div></div>".repeat(20_000)), None);
        assert_eq!(code(&format!("<!-- {} -->", "<div>".repeat(5000))), None, "what is no tag does not count");
        assert_eq!(code(&format!("<script>{}</script>", "<div>".repeat(5000))), None);
        assert_eq!(code(&format!("<p title='{}'>", "<div>".repeat(5000))), None);
    }

    #[test]
    fn formatting_that_is_reopened_makes_no_heap() {
        let open: String = (0..400).map(|n| format!("<b id={n}>")).collect();
        assert_eq!(code(&format!("<p>{open}{}", "</p><p>x".repeat(100_000))), Some(Code::HtmlTooLarge));
    }

    #[test]
    fn a_page_has_at_most_its_bytes() {
        let limits = Limits { page_bytes: 10, ..Limits::default() };
        assert_eq!(Document::parse("01234567890", None, &limits).err().map(|e| e.code()), Some(Code::HtmlTooLarge));
    }

    #[test]
    fn titles_and_values_are_found() {
        let address = Url::parse("https://example.org/a/b?c=1").ok();
        let page =
            "<title> Sign\n in </title><a rel=next href='?page=2'>more</a><a class=x href='javascript:x()'>x</a>";
        let limits = Limits::default();
        let document = Document::parse(page, address.as_ref(), &limits).expect("a page");
        let value = |text: &str| document.value(&FieldSelector::parse(text).expect("a field"), &limits).expect("found");
        assert_eq!(document.title().as_deref(), Some("Sign in"));
        assert_eq!(value("a[rel=next]@href").as_deref(), Some("https://example.org/a/b?page=2"));
        assert_eq!(value("a[rel=next]").as_deref(), Some("more"));
        assert_eq!(value("a.x@href"), None);
        assert_eq!(value("a.y@href"), None);
        let page = format!("<base href='//cdn.example.org/d/'>{page}");
        let document = Document::parse(&page, address.as_ref(), &limits).expect("a page");
        let value =
            document.value(&FieldSelector::parse("a[rel=next]@href").expect("a field"), &limits).expect("found");
        assert_eq!(value.as_deref(), Some("https://cdn.example.org/d/?page=2"));
    }
}
