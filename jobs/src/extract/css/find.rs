//! Which elements a selector means.
use std::collections::HashMap;

use super::{
    super::tree::{Element, Tree},
    Attribute, Combinator, Complex, Compound, List, Nth, Simple, Test,
};
use crate::{Code, Error, Result};

/// A search on one page; it remembers the places of siblings, and how long it has taken.
pub(in super::super) struct Finder<'t> {
    scope: Option<Element<'t>>,
    /// How many looks at an element are left.
    looks: u64,
    /// By element: its place from the beginning and from the end, among all siblings and among those of its name.
    places: HashMap<u32, (i64, i64)>,
    places_of_type: HashMap<u32, (i64, i64)>,
}

/// How a compound further to the left was looked for.
#[derive(PartialEq, Eq)]
enum Outcome {
    Found,
    /// Not with this element; another one may do.
    NotHere,
    /// No ancestor does, so that those of an ancestor need not be tried.
    Nowhere,
}

impl<'t> Finder<'t> {
    /// A search that may take so many looks at an element.
    pub(in super::super) fn new(looks: u64) -> Self {
        Self { scope: None, looks, places: HashMap::new(), places_of_type: HashMap::new() }
    }

    /// The elements of a page that match, in its order.
    ///
    /// # Errors
    /// [`Code::HtmlTooLarge`] if the search takes too long.
    pub(in super::super) fn all(&mut self, list: &List, tree: &'t Tree) -> Result<Vec<Element<'t>>> {
        self.scope = tree.root();
        let mut found = Vec::new();
        for element in tree.elements() {
            if self.matches(list, element, None) {
                found.push(element);
            }
            self.check()?;
        }
        Ok(found)
    }

    /// The first element within `scope` that matches.
    ///
    /// # Errors
    /// As for [`Finder::all`].
    pub(in super::super) fn first_in(&mut self, list: &List, scope: Element<'t>) -> Result<Option<Element<'t>>> {
        self.scope = Some(scope);
        let found = scope.descendants().find(|element| self.looks == 0 || self.matches(list, *element, None));
        self.check()?;
        Ok(found)
    }

    fn check(&self) -> Result<()> {
        if self.looks > 0 {
            return Ok(());
        }
        let message =
            "the selector takes too long on this page; one without `~`, `:has` and `:not` of many elements is quicker";
        Err(Error::new(Code::HtmlTooLarge, message))
    }

    fn matches(&mut self, list: &List, element: Element<'t>, anchor: Option<Element<'t>>) -> bool {
        list.0.iter().any(|complex| self.complex(complex, element, anchor))
    }

    fn complex(&mut self, complex: &Complex, element: Element<'t>, anchor: Option<Element<'t>>) -> bool {
        self.compound(&complex.own, element, anchor)
            && self.further(&complex.further, element, anchor) == Outcome::Found
    }

    /// Looks for what stands to the left of `element`.
    fn further(
        &mut self,
        further: &[(Combinator, Compound)],
        element: Element<'t>,
        anchor: Option<Element<'t>>,
    ) -> Outcome {
        let Some(((combinator, compound), rest)) = further.split_first() else { return Outcome::Found };
        let (step, is_one): (fn(Element<'t>) -> Option<Element<'t>>, _) = match combinator {
            Combinator::Descendant => (Element::parent, false),
            Combinator::Child => (Element::parent, true),
            Combinator::Next => (Element::previous_sibling, true),
            Combinator::Later => (Element::previous_sibling, false),
        };
        let mut next = step(element);
        while let Some(candidate) = next {
            if self.looks == 0 {
                return Outcome::Nowhere;
            }
            if self.compound(compound, candidate, anchor) {
                match self.further(rest, candidate, anchor) {
                    Outcome::NotHere => {}
                    outcome => return outcome,
                }
            }
            if is_one {
                return Outcome::NotHere;
            }
            next = step(candidate);
        }
        if *combinator == Combinator::Descendant { Outcome::Nowhere } else { Outcome::NotHere }
    }

    fn compound(&mut self, compound: &Compound, element: Element<'t>, anchor: Option<Element<'t>>) -> bool {
        self.looks = self.looks.saturating_sub(1);
        compound.iter().all(|simple| self.simple(simple, element, anchor))
    }

    fn simple(&mut self, simple: &Simple, element: Element<'t>, anchor: Option<Element<'t>>) -> bool {
        match simple {
            Simple::Any => true,
            Simple::Type(name) => element.name().eq_ignore_ascii_case(name),
            Simple::Id(id) => element.attribute("id") == Some(id),
            Simple::Class(class) => element.classes().any(|other| other == class),
            Simple::Attribute(attribute) => has(attribute, element),
            Simple::Nth(nth) => self.is_nth(*nth, element),
            Simple::Empty => element.children().next().is_none(),
            Simple::Root => element.parent().is_none(),
            Simple::Scope => self.scope == Some(element),
            Simple::Anchor => anchor == Some(element),
            Simple::Not(list) => !self.matches(list, element, anchor),
            Simple::Is(list) => self.matches(list, element, anchor),
            Simple::Has(list) => list.0.iter().any(|complex| self.has(complex, element)),
        }
    }

    /// Whether an element stands to `element` as a relative selector says.
    fn has(&mut self, complex: &Complex, element: Element<'t>) -> bool {
        let beside = matches!(complex.further.last(), Some((Combinator::Next | Combinator::Later, _)));
        let looked =
            |finder: &mut Self, candidate| finder.looks == 0 || finder.complex(complex, candidate, Some(element));
        if !beside {
            return element.descendants().any(|candidate| looked(self, candidate));
        }
        let mut siblings = std::iter::successors(element.next_sibling(), |sibling| sibling.next_sibling());
        siblings.any(|sibling| looked(self, sibling) || sibling.descendants().any(|candidate| looked(self, candidate)))
    }

    fn is_nth(&mut self, nth: Nth, element: Element<'t>) -> bool {
        let (from_start, from_end) = self.place(element, nth.of_type);
        let distance = if nth.from_end { from_end } else { from_start } - nth.offset;
        match nth.step {
            0 => distance == 0,
            step => distance % step == 0 && distance / step >= 0,
        }
    }

    /// An element's place among its siblings; those of all of them are found at once.
    fn place(&mut self, element: Element<'t>, of_type: bool) -> (i64, i64) {
        let places = if of_type { &mut self.places_of_type } else { &mut self.places };
        if let Some(place) = places.get(&element.id()) {
            return *place;
        }
        let siblings: Vec<_> = match element.parent() {
            Some(parent) => parent.child_elements().collect(),
            None => vec![element],
        };
        let mut counts = HashMap::<&str, i64>::new();
        let kind = |sibling: &Element<'t>| if of_type { sibling.name() } else { "" };
        for sibling in &siblings {
            let count = counts.entry(kind(sibling)).or_default();
            *count += 1;
            places.insert(sibling.id(), (*count, 0));
        }
        for sibling in &siblings {
            if let (Some(place), Some(count)) = (places.get_mut(&sibling.id()), counts.get(kind(sibling))) {
                place.1 = count + 1 - place.0;
            }
        }
        self.looks = self.looks.saturating_sub(siblings.len() as u64);
        places.get(&element.id()).copied().unwrap_or((1, 1))
    }
}

fn has(attribute: &Attribute, element: Element<'_>) -> bool {
    let Attribute { name, test, value, any_case } = attribute;
    let Some((_, found)) = element.attributes().find(|(other, _)| other.eq_ignore_ascii_case(name)) else {
        return false;
    };
    if *any_case {
        return holds(*test, &found.to_ascii_lowercase(), &value.to_ascii_lowercase());
    }
    holds(*test, found, value)
}

fn holds(test: Test, found: &str, value: &str) -> bool {
    match test {
        Test::Exists => true,
        Test::Equals => found == value,
        Test::Word => !value.is_empty() && found.split_ascii_whitespace().any(|word| word == value),
        Test::Language => found.strip_prefix(value).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')),
        Test::Starts => !value.is_empty() && found.starts_with(value),
        Test::Ends => !value.is_empty() && found.ends_with(value),
        Test::Contains => !value.is_empty() && found.contains(value),
    }
}
