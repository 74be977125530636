//! One statement that only reads, and the tables it names.
use std::{
    collections::{BTreeMap, HashSet},
    ops::ControlFlow,
};

use datafusion::{
    common::TableReference,
    sql::{
        parser::Statement as DfStatement,
        resolve::resolve_table_references,
        sqlparser::{
            ast::{SetExpr, Statement as Ast, TableFactor, Visit, Visitor},
            dialect::GenericDialect,
            parser::{Parser, ParserError},
            tokenizer::{Token, Tokenizer},
        },
    },
};

use super::{bounds, case, provider::LakeTable, travel};
use crate::{Error, Kind, Result};

/// What a text says.
pub enum Parsed {
    Query(Box<Statement>),
    ShowTables,
}

/// A parsed query, explanation or description.
pub struct Statement(DfStatement);

/// Reads one statement, and refuses what does more than read.
///
/// # Errors
/// [`Kind::InvalidQuery`] with the place of a mistake, [`Kind::QueryNotAllowed`].
pub fn parse(sql: &str) -> Result<Parsed> {
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location();
    let tokens = travel::pin(tokens.map_err(|error| invalid(&error.into()))?)?;
    bounds::check_length(&tokens)?;
    let mut statements =
        Parser::new(&dialect).with_tokens_with_locations(tokens).parse_statements().map_err(|error| invalid(&error))?;
    let mut statement = match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => statement,
        (None, _) => return Err(Error::new(Kind::InvalidQuery, "there is no statement")),
        (Some(_), false) => return Err(Error::new(Kind::QueryNotAllowed, "only one statement is allowed at a time")),
    };
    if matches!(&statement, Ast::ShowTables { extended: false, full: false, .. }) {
        return Ok(Parsed::ShowTables);
    }
    if !only_reads(&statement) {
        let verb: String = statement.to_string().split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        return Err(Error::new(
            Kind::QueryNotAllowed,
            format!("`{verb} …` is not allowed: only SELECT, WITH, VALUES, EXPLAIN, DESCRIBE and SHOW TABLES are"),
        ));
    }
    bounds::check_tables(&statement)?;
    travel::name(&mut statement);
    Ok(Parsed::Query(Box::new(Statement(DfStatement::Statement(Box::new(statement))))))
}

/// Whether a text is one expression and nothing more: pasted into a statement it stays in its place.
///
/// # Errors
/// [`Kind::InvalidQuery`].
pub fn check_expression(text: &str) -> Result<()> {
    alone(text, |parser| parser.parse_expr().map(drop))
}

/// The same for the name of a type.
///
/// # Errors
/// [`Kind::InvalidQuery`].
pub fn check_type(text: &str) -> Result<()> {
    alone(text, |parser| parser.parse_data_type().map(drop))
}

fn alone(text: &str, read: impl FnOnce(&mut Parser<'_>) -> Result<(), ParserError>) -> Result<()> {
    let parsed = Parser::new(&GenericDialect {}).try_with_sql(text).and_then(|mut parser| {
        read(&mut parser)?;
        parser.expect_token(&Token::EOF).map(drop)
    });
    parsed.map_err(|error| invalid(&error))
}

fn only_reads(statement: &Ast) -> bool {
    match statement {
        Ast::Query(query) => !matches!(
            query.body.as_ref(),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
        ),
        Ast::Explain { statement, .. } => only_reads(statement),
        Ast::ExplainTable { .. } => true,
        _ => false,
    }
}

impl Statement {
    /// The tables named, as they are written; neither those of its own `WITH` nor functions.
    ///
    /// # Errors
    /// [`Kind::InvalidQuery`] for a name of too many parts.
    pub fn tables(&self) -> Result<Vec<TableReference>> {
        let (mut tables, _) = resolve_table_references(&self.0, false).map_err(super::error::ours)?;
        let mut functions = Functions::default();
        if let DfStatement::Statement(statement) = &self.0 {
            let _: ControlFlow<()> = statement.visit(&mut functions);
        }
        tables.retain(|table| !functions.0.contains(table.table()) || table.schema().is_some());
        Ok(tables)
    }

    /// Spells unquoted names that match nothing like the ones that they must mean.
    pub fn mend_case(&mut self, tables: &BTreeMap<TableReference, LakeTable>) {
        if let DfStatement::Statement(statement) = &mut self.0 {
            case::mend(statement, tables.values().map(LakeTable::arrow_schema));
        }
    }

    pub fn into_inner(self) -> DfStatement {
        self.0
    }
}

/// The names called as functions where tables stand (`generate_series(1, 3)`).
#[derive(Default)]
struct Functions(HashSet<String>);

impl Visitor for Functions {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: Some(_), .. } = factor {
            self.0.extend(name.0.last().and_then(|part| part.as_ident()).map(|name| name.value.clone()));
        }
        ControlFlow::Continue(())
    }
}

fn invalid(error: &ParserError) -> Error {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.as_str(),
        ParserError::RecursionLimitExceeded => "it is nested too deeply",
    };
    Error::new(Kind::InvalidQuery, format!("the SQL cannot be read: {message}"))
}
