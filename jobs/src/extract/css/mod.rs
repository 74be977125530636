//! CSS selectors (Selectors 4) for a page at rest.
//!
//! Ours, as the crates that match them are under a licence with strings (MPL), tell neither what is wrong nor where, and
//! have no bound on the time that a hostile page can make them take.
mod find;
mod parse;

pub(super) use find::Finder;
pub(super) use parse::parse;

/// Selectors of which one is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct List(pub(super) Vec<Complex>);

/// Compounds from right to left: the element's own, then how each further one stands to the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complex {
    own: Compound,
    further: Vec<(Combinator, Compound)>,
}

/// What one element must be: all of it.
type Compound = Vec<Simple>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Combinator {
    /// ` `: an ancestor.
    Descendant,
    /// `>`: the parent.
    Child,
    /// `+`: the sibling right before.
    Next,
    /// `~`: a sibling before.
    Later,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Simple {
    Any,
    Type(String),
    Id(String),
    Class(String),
    Attribute(Attribute),
    /// Its place among its siblings is `step * n + offset`, from 1.
    Nth(Nth),
    Empty,
    Root,
    /// The element in which is looked.
    Scope,
    /// The element that a `:has()` is about.
    Anchor,
    Not(List),
    Is(List),
    Has(List),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Attribute {
    /// In lower case.
    name: String,
    test: Test,
    value: String,
    any_case: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Equals,
    /// `~=`: one of the words.
    Word,
    /// `|=`: the value, or what it has before a hyphen.
    Language,
    Starts,
    Ends,
    Contains,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Nth {
    step: i64,
    offset: i64,
    /// Counted from the end.
    from_end: bool,
    /// Only siblings of the same name count.
    of_type: bool,
}
