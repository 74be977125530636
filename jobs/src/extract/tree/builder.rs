//! What html5ever builds a tree with.
use std::{
    borrow::Cow,
    cell::{Ref, RefCell},
};

use html5ever::{
    Attribute, QualName,
    tendril::StrTendril,
    tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink},
};

use super::{DOCUMENT, Data, NONE, Node, Tree};

/// What the parser builds the tree with.
pub(super) struct Builder(RefCell<Tree>);

impl Builder {
    /// With room for so many nodes.
    pub(super) fn new(nodes: usize) -> Self {
        Self(RefCell::new(Tree::new(nodes)))
    }

    /// The tree as far as it has grown.
    pub(super) fn tree(&self) -> Ref<'_, Tree> {
        self.0.borrow()
    }
}

impl TreeSink for Builder {
    type Handle = u32;
    type Output = Tree;
    type ElemName<'a> = Ref<'a, QualName>;

    fn finish(self) -> Tree {
        self.0.into_inner()
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn get_document(&self) -> u32 {
        DOCUMENT
    }

    fn same_node(&self, x: &u32, y: &u32) -> bool {
        x == y
    }

    fn elem_name<'a>(&'a self, target: &'a u32) -> Ref<'a, QualName> {
        Ref::map(self.0.borrow(), |tree| tree.name(*target))
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, flags: ElementFlags) -> u32 {
        let mut tree = self.0.borrow_mut();
        let id = tree.add(Data::Element { name, attributes });
        if flags.template {
            let contents = tree.add(Data::Root);
            tree.insert(contents, id, NONE);
        }
        id
    }

    fn create_comment(&self, _: StrTendril) -> u32 {
        self.0.borrow_mut().add(Data::Other)
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> u32 {
        self.0.borrow_mut().add(Data::Other)
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    fn append(&self, parent: &u32, child: NodeOrText<u32>) {
        self.0.borrow_mut().put(child, *parent, NONE);
    }

    fn append_before_sibling(&self, sibling: &u32, child: NodeOrText<u32>) {
        let mut tree = self.0.borrow_mut();
        let parent = tree.parent(*sibling);
        if parent != NONE {
            tree.put(child, parent, *sibling);
        }
    }

    fn append_based_on_parent_node(&self, element: &u32, previous: &u32, child: NodeOrText<u32>) {
        let has_parent = self.0.borrow().parent(*element) != NONE;
        if has_parent {
            self.append_before_sibling(element, child);
        } else {
            self.append(previous, child);
        }
    }

    fn remove_from_parent(&self, target: &u32) {
        self.0.borrow_mut().detach(*target);
    }

    fn reparent_children(&self, node: &u32, parent: &u32) {
        let mut tree = self.0.borrow_mut();
        while let Some(first) = tree.node(*node).map(|node| node.first).filter(|first| *first != NONE) {
            tree.insert(first, *parent, NONE);
        }
    }

    fn add_attrs_if_missing(&self, target: &u32, more: Vec<Attribute>) {
        let mut tree = self.0.borrow_mut();
        if let Some(Node { data: Data::Element { attributes, .. }, .. }) = tree.node_mut(*target) {
            for attribute in more {
                if attributes.iter().all(|known| known.name != attribute.name) {
                    attributes.push(attribute);
                }
            }
        }
    }

    fn get_template_contents(&self, target: &u32) -> u32 {
        self.0.borrow().node(*target).map_or(NONE, |node| node.first)
    }
}
