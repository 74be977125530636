//! An element under way, and the value that it becomes.
use std::borrow::Cow;

use super::super::json::{Json, Member};

/// The name of an element's own text beside attributes and elements.
pub(super) const TEXT: &str = "#text";

/// An element whose end was not yet seen.
#[derive(Default)]
pub(super) struct Node {
    members: Vec<Member<'static>>,
    text: String,
}

impl Node {
    pub(super) fn add_text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(super) fn add_attribute(&mut self, name: &str, value: String) {
        self.members.push((Cow::Owned(format!("@{name}")), Json::Text(Cow::Owned(value))));
    }

    /// Adds a child; one of several with the same name becomes an item of a list.
    pub(super) fn add(&mut self, name: String, value: Json<'static>, is_list: bool) {
        let known = self.members.iter_mut().rev().find(|(other, _)| *other == name);
        match known {
            Some((_, Json::List(items))) if is_list => items.push(value),
            Some((_, before)) => *before = Json::List(vec![std::mem::take(before), value]),
            None => self.members.push((Cow::Owned(name), value)),
        }
    }

    /// Whether a child of the name was there before.
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(other, _)| other == name)
    }

    /// The element's value: a text, or an object if it has attributes or elements. Empty text is none.
    pub(super) fn end(self) -> Json<'static> {
        let text = self.text.trim();
        let own = (!text.is_empty()).then(|| Json::Text(Cow::Owned(text.to_owned())));
        let mut members = self.members;
        if members.is_empty() {
            return own.unwrap_or_default();
        }
        members.extend(own.map(|text| (Cow::Borrowed(TEXT), text)));
        Json::Object(members)
    }
}
