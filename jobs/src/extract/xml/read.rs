//! One pass over a document: its items one by one, and perhaps one value elsewhere.
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::{Path, node::Node};
use crate::{
    Code, Error, Result,
    extract::{Limits, json::Json},
};

/// How deep elements may be nested, and how many attributes one may have.
const DEPTH: usize = 128;
const MOST_ATTRIBUTES: usize = 500;
/// The most children of one element with names that differ: each new one looks at all before.
const MOST_CHILDREN: usize = 2000;

/// What is taken from a document.
pub struct Meant<'p> {
    /// The elements that are rows.
    pub items: &'p Path,
    /// A single value: the first that is there.
    pub value: Option<&'p Path>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// How many items.
    pub items: usize,
    /// The single value.
    pub value: Option<String>,
}

/// Reads a document and gives each item to `take`.
///
/// # Errors
/// [`Code::XmlInvalid`] with the line, also for a document that ends too early; [`Code::XmlEntity`] for entities other than
/// the five that XML has, and for those that the document declares; those of `take`.
pub fn read(
    text: &str,
    meant: &Meant<'_>,
    limits: &Limits,
    take: &mut dyn FnMut(Json<'static>) -> Result<()>,
) -> Result<Found> {
    let mut reader = Reader::from_str(text);
    let found = Found::default();
    let mut walk =
        Walk { meant, take, open: Vec::new(), nodes: Vec::new(), value: None, found, seen: 0, has_root: false };
    loop {
        let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let line = || text.get(..at).unwrap_or(text).matches('\n').count() + 1;
        let event = reader.read_event().map_err(|e| invalid(line(), &e.to_string()).caused_by(e))?;
        if matches!(event, Event::Eof) {
            return walk.end(line());
        }
        walk.seen += 1;
        if walk.seen > limits.nodes / 2 {
            return Err(invalid(line(), "it has too many elements and texts"));
        }
        walk.take(event, &line)?;
    }
}

fn invalid(line: usize, what: &str) -> Error {
    Error::new(Code::XmlInvalid, format!("the answer is no XML: {what}, at line {line}"))
}

struct Walk<'a> {
    meant: &'a Meant<'a>,
    take: &'a mut dyn FnMut(Json<'static>) -> Result<()>,
    /// The names of the open elements.
    open: Vec<String>,
    /// The open elements of the item under way, the item first.
    nodes: Vec<(Node, Vec<String>)>,
    /// The text of the single value, while its element is open, and how deep that lies.
    value: Option<(usize, String)>,
    found: Found,
    /// The events so far.
    seen: usize,
    has_root: bool,
}

impl Walk<'_> {
    fn take(&mut self, event: Event<'_>, line: &dyn Fn() -> usize) -> Result<()> {
        let wrong = |e: quick_xml::Error| invalid(line(), &e.to_string()).caused_by(e);
        match event {
            Event::Start(tag) => self.begin(&tag, line),
            Event::Empty(tag) => {
                self.begin(&tag, line)?;
                self.close()
            }
            Event::End(_) => self.close(),
            Event::Text(text) => self.text(&text.xml10_content().map_err(|e| wrong(e.into()))?, line),
            Event::CData(text) => self.text(&text.xml10_content().map_err(|e| wrong(e.into()))?, line),
            Event::GeneralRef(reference) => {
                let name = reference.decode().map_err(|e| wrong(e.into()))?;
                let resolved = reference.resolve_char_ref().map_err(wrong)?.map(String::from);
                let known = || quick_xml::escape::resolve_xml_entity(&name).map(str::to_owned);
                match resolved.or_else(known) {
                    Some(text) => self.text(&text, line),
                    None => Err(entity(&name, line())),
                }
            }
            Event::DocType(text) if text.contains(&b'[') => {
                let message =
                    format!("the XML declares entities or types of its own, at line {}, which is not accepted", line());
                Err(Error::new(Code::XmlEntity, message))
            }
            Event::DocType(_) | Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::Eof => Ok(()),
        }
    }

    fn begin(&mut self, tag: &BytesStart<'_>, line: &dyn Fn() -> usize) -> Result<()> {
        if self.open.len() >= DEPTH {
            return Err(invalid(line(), &format!("its elements are nested more than {DEPTH} deep")));
        }
        if self.open.is_empty() && std::mem::replace(&mut self.has_root, true) {
            return Err(invalid(line(), "it has a second root"));
        }
        self.open.push(String::from_utf8_lossy(tag.name().as_ref()).into_owned());
        let is_item = self.nodes.is_empty() && self.meant.items.is_at(&self.open);
        let is_value = self.found.value.is_none() && self.value.is_none();
        let value = self.meant.value.filter(|path| is_value && path.is_at(&self.open));
        let wanted = value.and_then(|path| path.attribute.as_deref());
        if value.is_some() && wanted.is_none() {
            self.value = Some((self.open.len(), String::new()));
        }
        if !is_item && self.nodes.is_empty() && wanted.is_none() {
            return Ok(());
        }
        let mut node = Node::default();
        for (n, attribute) in tag.attributes().with_checks(false).enumerate() {
            let attribute = attribute.map_err(|e| invalid(line(), &e.to_string()).caused_by(e))?;
            if n >= MOST_ATTRIBUTES {
                return Err(invalid(line(), "an element has too many attributes"));
            }
            let name = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
            let raw = String::from_utf8_lossy(&attribute.value).into_owned();
            let value = quick_xml::escape::unescape(&raw).map_err(|_| entity(&raw, line()))?.into_owned();
            if wanted == Some(name.as_str()) {
                self.found.value = Some(value.clone());
            }
            node.add_attribute(&name, value);
        }
        if is_item || !self.nodes.is_empty() {
            self.nodes.push((node, Vec::new()));
        }
        Ok(())
    }

    fn text(&mut self, text: &str, line: &dyn Fn() -> usize) -> Result<()> {
        if self.open.is_empty() && !text.trim_matches(['\u{feff}', ' ', '\n', '\r', '\t']).is_empty() {
            return Err(invalid(line(), "there is text outside of its elements"));
        }
        if let Some((node, _)) = self.nodes.last_mut() {
            node.add_text(text);
        }
        if let Some((_, value)) = &mut self.value {
            value.push_str(text);
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        if self.value.as_ref().is_some_and(|(depth, _)| *depth == self.open.len()) {
            self.found.value = self.value.take().map(|(_, text)| text.trim().to_owned());
        }
        let name = self.open.pop().unwrap_or_default();
        let Some((node, _)) = self.nodes.pop() else { return Ok(()) };
        let value = node.end();
        match self.nodes.last_mut() {
            Some((around, lists)) => {
                let is_list = lists.contains(&name);
                if !is_list && around.has(&name) {
                    lists.push(name.clone());
                }
                if lists.len() > MOST_CHILDREN {
                    return Err(Error::new(Code::XmlInvalid, "an element has too many children of different names"));
                }
                around.add(name, value, is_list);
                Ok(())
            }
            None => {
                self.found.items += 1;
                (self.take)(value)
            }
        }
    }

    fn end(self, line: usize) -> Result<Found> {
        match self.open.last() {
            Some(name) => Err(invalid(line, &format!("it ends within `{name}`, as if it was cut off"))),
            None if !self.has_root => Err(invalid(line, "it has no element")),
            None => Ok(self.found),
        }
    }
}

fn entity(name: &str, line: usize) -> Error {
    let shown: String = name.chars().take(40).collect();
    Error::new(Code::XmlEntity, format!("the XML uses the entity `{shown}`, which XML does not have, at line {line}"))
}
