//! How long and how wide a statement may be: planning takes stack, memory and time by it, before any row is read.
use std::{collections::HashMap, ops::ControlFlow, ptr};

use datafusion::sql::sqlparser::{
    ast::{Query, Statement, TableFactor, Visit, Visitor},
    keywords::Keyword,
    tokenizer::{Token, TokenWithSpan},
};

use crate::{Error, Kind, Result};

/// The most operators and the like: each may make the tree that the statement is one level deeper.
const MAX_LINKS: usize = 500;
/// The deepest nesting of parentheses; types nest without the parser's own limit.
const MAX_DEPTH: usize = 100;
/// The most tables read, where one that a `WITH` names counts each time with all that it reads itself.
const MAX_TABLES: usize = 100;

/// Words that continue an expression, a query or a table, as operators do.
const LINKS: [Keyword; 27] = [
    Keyword::AND,
    Keyword::APPLY,
    Keyword::AT,
    Keyword::BETWEEN,
    Keyword::COLLATE,
    Keyword::DIV,
    Keyword::EXCEPT,
    Keyword::ILIKE,
    Keyword::IN,
    Keyword::INTERSECT,
    Keyword::INTERVAL,
    Keyword::IS,
    Keyword::JOIN,
    Keyword::LIKE,
    Keyword::MATCH_RECOGNIZE,
    Keyword::MEMBER,
    Keyword::MINUS,
    Keyword::NOTNULL,
    Keyword::OR,
    Keyword::OVERLAPS,
    Keyword::PIVOT,
    Keyword::REGEXP,
    Keyword::RLIKE,
    Keyword::SIMILAR,
    Keyword::UNION,
    Keyword::UNPIVOT,
    Keyword::XOR,
];

/// Refuses a chain or a nesting that would be too deep a tree.
///
/// # Errors
/// [`Kind::InvalidQuery`].
pub fn check_length(tokens: &[TokenWithSpan]) -> Result<()> {
    let (mut links, mut depth) = (0_usize, 0_usize);
    for token in tokens {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => links += usize::from(is_link(&token.token)),
        }
        if depth > MAX_DEPTH {
            return Err(too_large(&format!("is nested too deeply (more than {MAX_DEPTH} parentheses)")));
        }
    }
    match links > MAX_LINKS {
        true => Err(too_large(&format!("has {links} operators, joins and the like; at most {MAX_LINKS} are allowed"))),
        false => Ok(()),
    }
}

/// Everything but names, the usual literals and what separates them.
fn is_link(token: &Token) -> bool {
    match token {
        Token::Word(word) => LINKS.contains(&word.keyword),
        Token::Number(..) | Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) => false,
        Token::Comma | Token::Period | Token::SemiColon | Token::EOF => false,
        _ => true,
    }
}

/// Refuses a statement that reads very many tables, or one `WITH` that doubles another again and again.
///
/// # Errors
/// [`Kind::InvalidQuery`].
pub fn check_tables(statement: &Statement) -> Result<()> {
    let mut reads = Reads { counts: vec![0], ..Reads::default() };
    let _: ControlFlow<()> = statement.visit(&mut reads);
    let tables: usize = reads.counts.iter().fold(0, |sum, count| sum.saturating_add(*count));
    match tables > MAX_TABLES {
        true => Err(too_large(&format!(
            "reads more than {MAX_TABLES} tables; those behind a name of its WITH count each time that it is used"
        ))),
        false => Ok(()),
    }
}

fn too_large(why: &str) -> Error {
    Error::new(Kind::InvalidQuery, format!("the statement {why}"))
}

/// Counts the tables that are read; what a `WITH` names is planned anew wherever it is used.
#[derive(Default)]
struct Reads {
    /// Of each query that surrounds the place.
    counts: Vec<usize>,
    /// The queries behind names, by their address.
    named: HashMap<*const Query, String>,
    /// What each name reads; the most if several queries have it.
    behind: HashMap<String, usize>,
}

impl Reads {
    fn add(&mut self, tables: usize) {
        if let Some(count) = self.counts.last_mut() {
            *count = count.saturating_add(tables);
        }
    }
}

impl Visitor for Reads {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.named.insert(ptr::from_ref(cte.query.as_ref()), cte.alias.name.value.to_lowercase());
        }
        self.counts.push(0);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let count = self.counts.pop().unwrap_or_default();
        match self.named.remove(&ptr::from_ref(query)) {
            Some(name) => {
                let most = self.behind.entry(name).or_default();
                *most = count.max(*most);
            }
            None => self.add(count),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let name = match factor {
            TableFactor::Table { name, .. } => name.0.last().and_then(|part| part.as_ident()),
            _ => None,
        };
        let behind = name.and_then(|name| self.behind.get(&name.value.to_lowercase())).copied();
        self.add(behind.unwrap_or(1).max(1));
        ControlFlow::Continue(())
    }
}
