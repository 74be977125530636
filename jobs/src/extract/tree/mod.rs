//! The tree of a page, as html5ever builds it: small, as a page of 12 MB has more than a million nodes.
mod builder;
mod parser;

use std::iter;

use html5ever::{Attribute, LocalName, Namespace, QualName, tendril::StrTendril, tree_builder::NodeOrText};

use builder::Builder;
pub(super) use parser::Parser;

/// No node.
const NONE: u32 = u32::MAX;
/// The document itself.
const DOCUMENT: u32 = 0;

/// All nodes of a page; the first is the document.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// What the parser is told of a node that is no element; it asks for none.
    nameless: QualName,
}

#[derive(Debug)]
struct Node {
    parent: u32,
    first: u32,
    last: u32,
    previous: u32,
    next: u32,
    data: Data,
}

#[derive(Debug)]
enum Data {
    /// The document, or what is in a `<template>`.
    Root,
    Element {
        name: QualName,
        attributes: Vec<Attribute>,
    },
    Text(StrTendril),
    /// A comment or a processing instruction.
    Other,
}

impl Tree {
    fn new(nodes: usize) -> Self {
        let nameless = QualName::new(None, Namespace::default(), LocalName::default());
        let mut tree = Self { nodes: Vec::with_capacity(nodes), nameless };
        tree.add(Data::Root);
        tree
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The newest element among the nodes from `from` on.
    pub(super) fn newest(&self, from: usize) -> Option<Element<'_>> {
        let newest = self.nodes.iter().skip(from).rposition(|node| matches!(node.data, Data::Element { .. }))?;
        Some(Element { tree: self, id: u32::try_from(from + newest).ok()? })
    }

    /// All elements, in the page's order.
    pub(super) fn elements(&self) -> impl Iterator<Item = Element<'_>> {
        Element { tree: self, id: DOCUMENT }.descendants()
    }

    /// The `<html>` element.
    pub(super) fn root(&self) -> Option<Element<'_>> {
        Element { tree: self, id: DOCUMENT }.child_elements().next()
    }

    fn add(&mut self, data: Data) -> u32 {
        let id = u32::try_from(self.nodes.len()).unwrap_or(NONE);
        self.nodes.push(Node { parent: NONE, first: NONE, last: NONE, previous: NONE, next: NONE, data });
        id
    }

    fn node(&self, id: u32) -> Option<&Node> {
        self.nodes.get(id as usize)
    }

    fn node_mut(&mut self, id: u32) -> Option<&mut Node> {
        self.nodes.get_mut(id as usize)
    }

    fn name(&self, id: u32) -> &QualName {
        match self.node(id) {
            Some(Node { data: Data::Element { name, .. }, .. }) => name,
            _ => &self.nameless,
        }
    }

    fn parent(&self, id: u32) -> u32 {
        self.node(id).map_or(NONE, |node| node.parent)
    }

    fn detach(&mut self, id: u32) {
        let Some(node) = self.node_mut(id) else { return };
        let (parent, previous, next) = (node.parent, node.previous, node.next);
        (node.parent, node.previous, node.next) = (NONE, NONE, NONE);
        match self.node_mut(previous) {
            Some(node) => node.next = next,
            None => self.node_mut(parent).into_iter().for_each(|node| node.first = next),
        }
        match self.node_mut(next) {
            Some(node) => node.previous = previous,
            None => self.node_mut(parent).into_iter().for_each(|node| node.last = previous),
        }
    }

    /// Puts a node under `parent`: before `next`, or as the last.
    fn insert(&mut self, id: u32, parent: u32, next: u32) {
        self.detach(id);
        let previous = match self.node(next) {
            Some(node) => node.previous,
            None => self.node(parent).map_or(NONE, |node| node.last),
        };
        if let Some(node) = self.node_mut(id) {
            (node.parent, node.previous, node.next) = (parent, previous, next);
        }
        match self.node_mut(previous) {
            Some(node) => node.next = id,
            None => self.node_mut(parent).into_iter().for_each(|node| node.first = id),
        }
        match self.node_mut(next) {
            Some(node) => node.previous = id,
            None => self.node_mut(parent).into_iter().for_each(|node| node.last = id),
        }
    }

    /// Puts a node or text under `parent` before `next`; text that follows text becomes one with it.
    fn put(&mut self, child: NodeOrText<u32>, parent: u32, next: u32) {
        let text = match child {
            NodeOrText::AppendNode(id) => return self.insert(id, parent, next),
            NodeOrText::AppendText(text) => text,
        };
        let previous = match self.node(next) {
            Some(node) => node.previous,
            None => self.node(parent).map_or(NONE, |node| node.last),
        };
        if let Some(Node { data: Data::Text(before), .. }) = self.node_mut(previous) {
            before.push_tendril(&text);
        } else {
            let id = self.add(Data::Text(text));
            self.insert(id, parent, next);
        }
    }
}

#[cfg(test)]
impl Tree {
    /// The tree as text.
    fn shown(&self) -> String {
        let mut text = String::new();
        Element { tree: self, id: DOCUMENT }.walk(|visit| {
            match visit {
                Visit::Text(inner) => text.push_str(inner),
                Visit::Enter(element) => {
                    let attributes = element.attributes().map(|(name, value)| format!(" {name}={value:?}"));
                    text.push_str(&format!("<{}{}>", element.name(), attributes.collect::<String>()));
                }
                Visit::Leave(element) => text.push_str(&format!("</{}>", element.name())),
            }
            true
        });
        text
    }
}

/// An element of a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'t> {
    tree: &'t Tree,
    id: u32,
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Element<'_> {}

/// What is directly in an element.
#[derive(Clone, Copy, Debug)]
pub(super) enum Child<'t> {
    Element(Element<'t>),
    Text(&'t str),
}

impl<'t> Element<'t> {
    /// Its place among all nodes of the page.
    pub(super) const fn id(self) -> u32 {
        self.id
    }

    fn node(self) -> Option<&'t Node> {
        self.tree.node(self.id)
    }

    /// Its name, in lower case; of SVG as it is written there.
    pub(super) fn name(self) -> &'t str {
        match self.node() {
            Some(Node { data: Data::Element { name, .. }, .. }) => &name.local,
            _ => "",
        }
    }

    /// The attributes' names and values, in their order.
    pub(super) fn attributes(self) -> impl Iterator<Item = (&'t str, &'t str)> {
        let attributes: &[Attribute] = match self.node() {
            Some(Node { data: Data::Element { attributes, .. }, .. }) => attributes,
            _ => &[],
        };
        attributes.iter().map(|attribute| (&*attribute.name.local, &*attribute.value))
    }

    pub(super) fn attribute(self, name: &str) -> Option<&'t str> {
        self.attributes().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    pub(super) fn classes(self) -> impl Iterator<Item = &'t str> {
        self.attribute("class").unwrap_or_default().split_ascii_whitespace()
    }

    fn nodes(self) -> impl Iterator<Item = u32> + 't {
        let first = self.node().map_or(NONE, |node| node.first);
        iter::successors(self.tree.node(first).map(|_| first), move |id| {
            Some(self.tree.node(*id)?.next).filter(|next| *next != NONE)
        })
    }

    fn child(self, id: u32) -> Option<Child<'t>> {
        match &self.tree.node(id)?.data {
            Data::Element { .. } => Some(Child::Element(Self { id, ..self })),
            Data::Text(text) => Some(Child::Text(text)),
            Data::Root | Data::Other => None,
        }
    }

    fn as_element(self, id: u32) -> Option<Self> {
        match self.child(id) {
            Some(Child::Element(element)) => Some(element),
            _ => None,
        }
    }

    /// The elements and texts in it, not those further down; none of a `<template>`.
    pub(super) fn children(self) -> impl Iterator<Item = Child<'t>> {
        self.nodes().filter_map(move |id| self.child(id))
    }

    pub(super) fn child_elements(self) -> impl Iterator<Item = Self> {
        self.nodes().filter_map(move |id| self.as_element(id))
    }

    pub(super) fn parent(self) -> Option<Self> {
        self.as_element(self.tree.parent(self.id))
    }

    pub(super) fn ancestors(self) -> impl Iterator<Item = Self> {
        iter::successors(self.parent(), |element| element.parent())
    }

    fn sibling(self, step: impl Fn(&Node) -> u32) -> Option<Self> {
        let mut id = step(self.node()?);
        loop {
            let node = self.tree.node(id)?;
            if let Some(element) = self.as_element(id) {
                return Some(element);
            }
            id = step(node);
        }
    }

    pub(super) fn previous_sibling(self) -> Option<Self> {
        self.sibling(|node| node.previous)
    }

    pub(super) fn next_sibling(self) -> Option<Self> {
        self.sibling(|node| node.next)
    }

    /// All that is in it, in the page's order, without recursion: pages are nested as deep as they like. What `enter` says
    /// no to is given, but nothing in it.
    pub(super) fn walk(self, mut visit: impl FnMut(Visit<'t>) -> bool) {
        let mut id = self.node().map_or(NONE, |node| node.first);
        while let Some(node) = self.tree.node(id) {
            let descend = match self.child(id) {
                Some(Child::Text(text)) => {
                    visit(Visit::Text(text));
                    false
                }
                Some(Child::Element(element)) => visit(Visit::Enter(element)),
                None => false,
            };
            if descend && node.first != NONE {
                id = node.first;
                continue;
            }
            if let (true, Some(element)) = (descend, self.as_element(id)) {
                visit(Visit::Leave(element));
            }
            id = self.after(id, &mut visit);
        }
    }

    /// The node that follows `id` and all in it, leaving what ends there; `NONE` at this element's end.
    fn after(self, mut id: u32, visit: &mut impl FnMut(Visit<'t>) -> bool) -> u32 {
        while let Some(node) = self.tree.node(id) {
            if node.next != NONE {
                return node.next;
            }
            if node.parent == self.id {
                break;
            }
            if let Some(parent) = self.as_element(node.parent) {
                visit(Visit::Leave(parent));
            }
            id = node.parent;
        }
        NONE
    }

    /// All elements in it, in the page's order.
    pub(super) fn descendants(self) -> impl Iterator<Item = Self> {
        let first = self.node().map_or(NONE, |node| node.first);
        let ids = iter::successors(self.tree.node(first).map(|_| first), move |id| {
            let node = self.tree.node(*id)?;
            // What is in a template is not in the page.
            let inner = if matches!(node.data, Data::Root) { NONE } else { node.first };
            let next = if inner == NONE { self.after(*id, &mut |_| true) } else { inner };
            Some(next).filter(|next| *next != NONE)
        });
        ids.filter_map(move |id| self.as_element(id))
    }
}

/// A step of a walk.
pub(super) enum Visit<'t> {
    Text(&'t str),
    Enter(Element<'t>),
    Leave(Element<'t>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(page: &str) -> Tree {
        Parser::new(page, 1).finish()
    }

    #[test]
    fn pages_are_built_as_browsers_do() {
        let pages = [
            ("<p>a<p>b", "<html><head></head><body><p>a</p><p>b</p></body></html>"),
            (
                "<table>x<tr><td>1</table>",
                "<html><head></head><body>x<table><tbody><tr><td>1</td></tr></tbody></table></body></html>",
            ),
            (
                "<table>x<b>y</b>z<tr>",
                "<html><head></head><body>x<b>y</b>z<table><tbody><tr></tr></tbody></table></body></html>",
            ),
            ("<b>1<p>2</b>3", "<html><head></head><body><b>1</b><p><b>2</b>3</p></body></html>"),
            ("<a>1<p>2<a>3", "<html><head></head><body><a>1</a><p><a>2</a><a>3</a></p></body></html>"),
            ("<!doctype html><!--c--><title>t</title>", "<html><head><title>t</title></head><body></body></html>"),
            ("<template><td>1</template>x", "<html><head><template></template></head><body>x</body></html>"),
        ];
        for (page, expected) in pages {
            assert_eq!(tree(page).shown(), expected, "{page}");
        }
    }

    #[test]
    fn elements_know_their_neighbours() {
        let tree = tree("<body class='x y' id=b><p>a<b>c</b>d<i data-x=1>e</i></p><template><u></u></template>");
        let names: Vec<_> = tree.elements().map(Element::name).collect();
        assert_eq!(names, ["html", "head", "body", "p", "b", "i", "template"]);
        let find = |name: &str| tree.elements().find(|element| element.name() == name).expect(name);
        let (body, p, b, i) = (find("body"), find("p"), find("b"), find("i"));
        assert_eq!(body.classes().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!((i.attribute("data-x"), i.attribute("x")), (Some("1"), None));
        assert_eq!(
            (b.next_sibling(), i.previous_sibling(), b.previous_sibling(), i.next_sibling()),
            (Some(i), Some(b), None, None)
        );
        assert_eq!(i.ancestors().map(Element::name).collect::<Vec<_>>(), ["p", "body", "html"]);
        assert_eq!(p.descendants().collect::<Vec<_>>(), [b, i]);
        assert_eq!(p.children().filter(|child| matches!(child, Child::Text(_))).count(), 2);
        assert_eq!(tree.root().map(Element::name), Some("html"));
        assert_eq!(tree.newest(0).map(Element::name), Some("u"));
        assert!(tree.newest(tree.len()).is_none());
    }
}
