//! Time travel: a version behind a table's name becomes part of the name (`orders@snapshot=1`), which no table has.
use std::ops::ControlFlow;

use arrow_cast::parse::string_to_datetime;
use datafusion::sql::sqlparser::{
    ast::{Ident, ObjectNamePart, Statement, TableAlias, TableFactor, VisitMut, VisitorMut},
    tokenizer::{Token, TokenWithSpan, Word},
};

use crate::{At, Error, Kind, Result};

/// A table's name without, and with, the state that it is pinned to.
pub struct Pinned {
    pub table: String,
    pub at: At,
}

impl Pinned {
    /// # Errors
    /// [`Kind::TableNotFound`] for a name that only looks pinned.
    pub fn parse(name: &str) -> Result<Self> {
        let Some((table, state)) = name.split_once('@') else {
            return Ok(Self { table: name.to_owned(), at: At::Current });
        };
        let at = match state.split_once('=') {
            Some(("snapshot", id)) => id.parse().ok().map(At::Snapshot),
            Some(("ms", ms)) => ms.parse().ok().map(At::Timestamp),
            _ => None,
        };
        let at = at.ok_or_else(|| Error::new(Kind::TableNotFound, format!("there is no table `{name}`")))?;
        Ok(Self { table: table.to_owned(), at })
    }
}

/// Replaces `name [FOR] VERSION AS OF 1` and `name [FOR] TIMESTAMP AS OF '…'` by a pinned name; drops white space.
///
/// # Errors
/// [`Kind::InvalidQuery`] for a version that is no snapshot id or no time.
pub fn pin(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let tokens: Vec<_> = tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let mut pinned: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut next = 0;
    while next < tokens.len() {
        match version(&tokens[next..]) {
            Some((clause, length)) => {
                let state = clause.state()?;
                let Some(Token::Word(name)) = pinned.last_mut().map(|token| &mut token.token) else {
                    return Err(Error::new(Kind::InvalidQuery, "`AS OF` must stand behind the name of a table"));
                };
                *name = Word { value: format!("{}@{state}", name.value), ..quoted(name) };
                next += length;
            }
            None => {
                pinned.push(tokens[next].clone());
                next += 1;
            }
        }
    }
    Ok(pinned)
}

fn quoted(name: &Word) -> Word {
    let Token::Word(word) = Token::make_word(&name.value, Some('"')) else { return name.clone() };
    word
}

enum Clause<'a> {
    Version(&'a str),
    Timestamp(&'a str),
}

/// A version clause at the start of some tokens, and how many tokens it takes.
fn version(tokens: &[TokenWithSpan]) -> Option<(Clause<'_>, usize)> {
    let word = |at: usize, text: &str| match tokens.get(at).map(|token| &token.token) {
        Some(Token::Word(word)) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text),
        _ => false,
    };
    let start = usize::from(word(0, "FOR"));
    if !word(start + 1, "AS") || !word(start + 2, "OF") {
        return None;
    }
    let literal = start + 3;
    let is = |names: [&str; 2]| names.iter().any(|name| word(start, name));
    if is(["VERSION", "SYSTEM_VERSION"]) {
        return match &tokens.get(literal)?.token {
            Token::Number(id, _) | Token::SingleQuotedString(id) => Some((Clause::Version(id), literal + 1)),
            _ => None,
        };
    }
    if is(["TIMESTAMP", "SYSTEM_TIME"]) {
        let literal = literal + usize::from(word(literal, "TIMESTAMP"));
        return match &tokens.get(literal)?.token {
            Token::SingleQuotedString(time) => Some((Clause::Timestamp(time), literal + 1)),
            _ => None,
        };
    }
    None
}

impl Clause<'_> {
    fn state(&self) -> Result<String> {
        match self {
            Self::Version(text) => match text.parse::<i64>() {
                Ok(id) => Ok(format!("snapshot={id}")),
                Err(_) => Err(Error::new(Kind::InvalidQuery, format!("`{text}` is no snapshot id"))),
            },
            // Without a zone it is UTC.
            Self::Timestamp(text) => match string_to_datetime(&chrono::Utc, text) {
                Ok(time) => Ok(format!("ms={}", time.timestamp_millis())),
                Err(_) => {
                    Err(Error::new(Kind::InvalidQuery, format!("`{text}` is no time: write 2026-01-31 12:00:00")))
                }
            },
        }
    }
}

/// Lets columns be qualified with the bare name of a pinned table: it becomes its alias.
pub fn name(statement: &mut Statement) {
    let _: ControlFlow<()> = statement.visit(&mut Namer);
}

struct Namer;

impl VisitorMut for Namer {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias: alias @ None, .. } = factor
            && let Some(ObjectNamePart::Identifier(last)) = name.0.last()
            && let Some((table, _)) = last.value.split_once('@')
        {
            *alias = Some(TableAlias { explicit: true, name: Ident::with_quote('"', table), columns: Vec::new() });
        }
        ControlFlow::Continue(())
    }
}
