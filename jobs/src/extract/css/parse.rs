//! Reading selectors, with the place of what is wrong.
use super::{Attribute, Combinator, Complex, Compound, List, Nth, Simple, Test};

/// How deep `:not(:is(…))` may be nested.
const DEEPEST: usize = 8;

/// What is wrong, and before which character, from 0.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Fault {
    pub(in super::super) at: usize,
    pub(in super::super) what: &'static str,
}

type Result<T> = std::result::Result<T, Fault>;

/// Reads a list of selectors. With a combinator in front they begin at `:scope`.
pub(in super::super) fn parse(text: &str) -> Result<List> {
    let mut reader = Reader { text: text.chars().collect(), at: 0, depth: 0 };
    let list = reader.list(Some(Simple::Scope))?;
    match reader.peek() {
        None => Ok(list),
        Some(_) => Err(reader.fault("cannot be read")),
    }
}

struct Reader {
    text: Vec<char>,
    at: usize,
    depth: usize,
}

impl Reader {
    fn fault(&self, what: &'static str) -> Fault {
        let what = if self.at >= self.text.len() { "ends too early" } else { what };
        Fault { at: self.at, what }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn takes(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    fn require(&mut self, c: char, what: &'static str) -> Result<()> {
        if self.takes(c) { Ok(()) } else { Err(self.fault(what)) }
    }

    /// Skips blanks and comments; whether there were any.
    fn blanks(&mut self) -> bool {
        let start = self.at;
        loop {
            while self.peek().is_some_and(|c| c.is_ascii_whitespace()) {
                self.at += 1;
            }
            if self.peek() != Some('/') || self.text.get(self.at + 1) != Some(&'*') {
                return self.at > start;
            }
            self.at += 2;
            while self.at < self.text.len()
                && !(self.text.get(self.at) == Some(&'*') && self.text.get(self.at + 1) == Some(&'/'))
            {
                self.at += 1;
            }
            self.at = (self.at + 2).min(self.text.len());
        }
    }

    /// Selectors between commas. With `start` they may begin with a combinator, which then stands to it.
    fn list(&mut self, start: Option<Simple>) -> Result<List> {
        let mut list = Vec::new();
        loop {
            self.blanks();
            list.push(self.complex(start.as_ref())?);
            self.blanks();
            if !self.takes(',') {
                return Ok(List(list));
            }
        }
    }

    fn complex(&mut self, start: Option<&Simple>) -> Result<Complex> {
        // From left to right: each compound with what leads to it from the one before.
        let mut read: Vec<(Combinator, Compound)> = Vec::new();
        let mut next = Combinator::Descendant;
        if let Some(first) = self.combinator() {
            match start {
                Some(start) => read.push((next, vec![start.clone()])),
                None => return Err(self.fault("begins with a combinator")),
            }
            next = first;
            self.blanks();
        } else if start == Some(&Simple::Anchor) {
            read.push((next, vec![Simple::Anchor]));
        }
        loop {
            read.push((next, self.compound()?));
            let blank = self.blanks();
            match self.peek() {
                None | Some(',' | ')') => break,
                Some(_) => {}
            }
            next = match self.combinator() {
                Some(combinator) => combinator,
                None if blank => Combinator::Descendant,
                None => return Err(self.fault("cannot be read")),
            };
            self.blanks();
            if matches!(self.peek(), None | Some(',' | ')')) {
                return Err(Fault { at: self.at, what: "ends with a combinator" });
            }
        }
        let mut further = Vec::with_capacity(read.len());
        let (mut leads, own) = read.pop().unwrap_or((next, Vec::new()));
        while let Some((before, compound)) = read.pop() {
            further.push((leads, compound));
            leads = before;
        }
        Ok(Complex { own, further })
    }

    fn combinator(&mut self) -> Option<Combinator> {
        let combinator = match self.peek()? {
            '>' => Combinator::Child,
            '+' => Combinator::Next,
            '~' => Combinator::Later,
            _ => return None,
        };
        self.at += 1;
        Some(combinator)
    }

    fn compound(&mut self) -> Result<Compound> {
        let mut compound = Vec::new();
        if self.takes('*') {
            compound.push(Simple::Any);
        } else if self.begins_name() {
            compound.push(Simple::Type(self.name()?.to_ascii_lowercase()));
        }
        if self.peek() == Some('|') {
            return Err(self.fault("has a namespace, which is not supported"));
        }
        loop {
            let simple = match self.peek() {
                Some('#') => {
                    self.at += 1;
                    Simple::Id(self.word("lacks the name of an id after `#`")?)
                }
                Some('.') => {
                    self.at += 1;
                    if !self.begins_name() {
                        return Err(self.fault("lacks the name of a class after `.`"));
                    }
                    Simple::Class(self.name()?)
                }
                Some('[') => Simple::Attribute(self.attribute()?),
                Some(':') => self.pseudo()?,
                _ => break,
            };
            compound.push(simple);
        }
        match (compound.is_empty(), self.peek()) {
            (false, _) => Ok(compound),
            (true, None | Some(',' | ')')) => Err(Fault { at: self.at, what: "lacks a selector" }),
            (true, Some(_)) => Err(self.fault("cannot be read")),
        }
    }

    fn begins_name(&self) -> bool {
        let begins = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '\\' || !c.is_ascii();
        match self.peek() {
            Some('-') => self.text.get(self.at + 1).is_some_and(|c| *c == '-' || begins(*c)),
            Some(c) => begins(c),
            None => false,
        }
    }

    fn name(&mut self) -> Result<String> {
        self.word("lacks a name")
    }

    /// Letters, digits, hyphens and what is escaped.
    fn word(&mut self, what: &'static str) -> Result<String> {
        let mut word = String::new();
        while let Some(c) = self.peek() {
            if c == '\\' {
                word.push(self.escape()?);
            } else if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || !c.is_ascii() {
                word.push(c);
                self.at += 1;
            } else {
                break;
            }
        }
        if word.is_empty() { Err(self.fault(what)) } else { Ok(word) }
    }

    fn escape(&mut self) -> Result<char> {
        self.at += 1;
        let mut value = 0;
        let start = self.at;
        while let Some(digit) = self.peek().filter(|_| self.at < start + 6).and_then(|c| c.to_digit(16)) {
            value = value * 16 + digit;
            self.at += 1;
        }
        if self.at > start {
            if self.peek().is_some_and(|c| c.is_ascii_whitespace()) {
                self.at += 1;
            }
            return Ok(char::from_u32(value).filter(|c| *c != '\0').unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let c = self.peek().ok_or_else(|| self.fault("ends too early"))?;
        self.at += 1;
        Ok(c)
    }

    fn attribute(&mut self) -> Result<Attribute> {
        const FAULTY: &str = "has a faulty attribute in `[…]`";
        self.at += 1;
        self.blanks();
        let name = self.word(FAULTY)?.to_ascii_lowercase();
        self.blanks();
        if self.takes(']') {
            return Ok(Attribute { name, test: Test::Exists, value: String::new(), any_case: false });
        }
        let test = match self.peek() {
            Some('=') => Test::Equals,
            Some('~') => Test::Word,
            Some('|') => Test::Language,
            Some('^') => Test::Starts,
            Some('$') => Test::Ends,
            Some('*') => Test::Contains,
            _ => return Err(self.fault(FAULTY)),
        };
        self.at += usize::from(test != Test::Equals);
        self.require('=', FAULTY)?;
        self.blanks();
        let value = match self.peek() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
            _ => self.word(FAULTY)?,
        };
        self.blanks();
        let any_case = match self.peek() {
            Some('i' | 'I') => true,
            Some('s' | 'S') => false,
            _ => {
                self.require(']', FAULTY)?;
                return Ok(Attribute { name, test, value, any_case: false });
            }
        };
        self.at += 1;
        self.blanks();
        self.require(']', FAULTY)?;
        Ok(Attribute { name, test, value, any_case })
    }

    fn quoted(&mut self, quote: char) -> Result<String> {
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Err(self.fault("has a quote that does not end")),
                Some(c) if c == quote => {
                    self.at += 1;
                    return Ok(text);
                }
                Some('\\') => text.push(self.escape()?),
                Some(c) => {
                    text.push(c);
                    self.at += 1;
                }
            }
        }
    }

    fn pseudo(&mut self) -> Result<Simple> {
        let unknown =
            Fault { at: self.at, what: "has a pseudo-class or pseudo-element that a page at rest does not have" };
        self.at += 1;
        if !self.begins_name() {
            return Err(if self.peek().is_none() { self.fault("") } else { unknown });
        }
        let name = self.name()?.to_ascii_lowercase();
        if !self.takes('(') {
            let nth = |step, offset, from_end, of_type| Simple::Nth(Nth { step, offset, from_end, of_type });
            return Ok(match name.as_str() {
                "first-child" => nth(0, 1, false, false),
                "last-child" => nth(0, 1, true, false),
                "first-of-type" => nth(0, 1, false, true),
                "last-of-type" => nth(0, 1, true, true),
                "only-child" => both(nth(0, 1, false, false), nth(0, 1, true, false)),
                "only-of-type" => both(nth(0, 1, false, true), nth(0, 1, true, true)),
                "empty" => Simple::Empty,
                "root" => Simple::Root,
                "scope" => Simple::Scope,
                _ => return Err(unknown),
            });
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Fault { what: "is nested too deep", ..unknown });
        }
        let simple = match name.as_str() {
            "not" => Simple::Not(self.list(None)?),
            "is" | "where" | "matches" => Simple::Is(self.list(None)?),
            "has" => Simple::Has(self.list(Some(Simple::Anchor))?),
            "nth-child" => Simple::Nth(self.nth(false, false)?),
            "nth-last-child" => Simple::Nth(self.nth(true, false)?),
            "nth-of-type" => Simple::Nth(self.nth(false, true)?),
            "nth-last-of-type" => Simple::Nth(self.nth(true, true)?),
            _ => return Err(unknown),
        };
        self.depth -= 1;
        self.blanks();
        self.require(')', "lacks a `)`")?;
        Ok(simple)
    }

    /// `odd`, `even`, `5`, `2n`, `-n + 3`.
    fn nth(&mut self, from_end: bool, of_type: bool) -> Result<Nth> {
        const FAULTY: &str = "has a faulty place in `(…)`; write it as `2n + 1`, `odd` or `5`";
        self.blanks();
        let start = self.at;
        let mut text = String::new();
        while let Some(c) = self.peek().filter(|c| *c != ')') {
            text.push(c.to_ascii_lowercase());
            self.at += 1;
        }
        let faulty = Fault { at: start, what: FAULTY };
        let compact: String = text.split_ascii_whitespace().collect();
        let number = |text: &str| text.strip_prefix('+').unwrap_or(text).parse::<i32>().ok().map(i64::from);
        let (step, offset) = match compact.as_str() {
            "odd" => (2, 1),
            "even" => (2, 0),
            other => match other.split_once('n') {
                Some((step, offset)) => {
                    let step = match step {
                        "" | "+" => Some(1),
                        "-" => Some(-1),
                        step => number(step),
                    };
                    let signed = offset.is_empty() || offset.starts_with(['+', '-']);
                    let offset = if offset.is_empty() { Some(0) } else { number(offset) };
                    step.zip(offset).filter(|_| signed).ok_or(faulty)?
                }
                None => (0, number(other).ok_or(faulty)?),
            },
        };
        Ok(Nth { step, offset, from_end, of_type })
    }
}

/// Both at once.
fn both(one: Simple, other: Simple) -> Simple {
    Simple::Is(List(vec![Complex { own: vec![one, other], further: Vec::new() }]))
}
