//! A statement that another engine is asked to run: it only reads, and it is spelled so that the engine cannot see another one in it.
use datafusion::sql::sqlparser::{
    dialect::GenericDialect,
    tokenizer::{Token, Tokenizer, Whitespace},
};

use crate::{Error, Kind, Result};

/// How a statement may begin.
const READING: [&str; 8] = ["SELECT", "WITH", "VALUES", "TABLE", "SHOW", "DESCRIBE", "DESC", "EXPLAIN"];
/// How one may begin whose rows are explained.
const QUERIES: [&str; 4] = ["SELECT", "WITH", "VALUES", "TABLE"];
/// The table functions that reach nothing but Iceberg's tables. Others hand text to a database, which may do anything with it.
const TABLE_FUNCTIONS: [&str; 3] = ["SEQUENCE", "EXCLUDE_COLUMNS", "TABLE_CHANGES"];

/// The statement as it may be sent: its own tokens, written anew, without comments and without a semicolon at the end.
///
/// # Errors
/// [`Kind::InvalidQuery`] for text that is no SQL, [`Kind::QueryNotAllowed`] for what may do more than read, or is more than one statement.
pub fn read_only(sql: &str) -> Result<String> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize();
    let mut tokens =
        tokens.map_err(|error| Error::new(Kind::InvalidQuery, format!("the SQL cannot be read: {error}")))?;
    let is_end = |token: &Token| matches!(token, Token::Whitespace(_) | Token::SemiColon);
    tokens.truncate(tokens.iter().rposition(|token| !is_end(token)).map_or(0, |last| last + 1));
    let words: Vec<&Token> = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    check_start(&words)?;
    check_table_functions(&words)?;
    tokens.iter().map(written).collect()
}

/// An unquoted word in capitals.
fn word(token: Option<&&Token>) -> Option<String> {
    match token {
        Some(Token::Word(word)) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
        _ => None,
    }
}

fn check_start(tokens: &[&Token]) -> Result<()> {
    let start = tokens.iter().position(|token| **token != Token::LParen).unwrap_or(tokens.len());
    if start == tokens.len() {
        return Err(Error::new(Kind::InvalidQuery, "there is no statement"));
    }
    let verb = word(tokens.get(start)).unwrap_or_default();
    if !READING.contains(&verb.as_str()) || (start > 0 && !QUERIES.contains(&verb.as_str())) {
        let message = format!(
            "`{} …` is not allowed: only SELECT, WITH, VALUES, TABLE, SHOW, DESCRIBE and EXPLAIN are",
            tokens[start]
        );
        return Err(Error::new(Kind::QueryNotAllowed, message));
    }
    if verb != "EXPLAIN" {
        return Ok(());
    }
    // EXPLAIN ANALYZE runs what it explains.
    let mut rest = &tokens[start + 1..];
    while let Some("ANALYZE" | "VERBOSE") = word(rest.first()).as_deref() {
        rest = &rest[1..];
    }
    if rest.first() == Some(&&Token::LParen) && matches!(word(rest.get(1)).as_deref(), Some("TYPE" | "FORMAT")) {
        let end = rest.iter().position(|token| **token == Token::RParen).map_or(rest.len(), |end| end + 1);
        rest = &rest[end..];
    }
    let query = rest.iter().find(|token| ***token != Token::LParen);
    match word(query).is_some_and(|verb| QUERIES.contains(&verb.as_str())) {
        true => Ok(()),
        false => Err(Error::new(Kind::QueryNotAllowed, "EXPLAIN is allowed for queries only")),
    }
}

fn check_table_functions(tokens: &[&Token]) -> Result<()> {
    for at in 0..tokens.len() {
        if word(tokens.get(at)).as_deref() != Some("TABLE") || tokens.get(at + 1) != Some(&&Token::LParen) {
            continue;
        }
        let name: Vec<_> =
            tokens[at + 2..].iter().take_while(|token| matches!(token, Token::Word(_) | Token::Period)).collect();
        let is_table = tokens.get(at + 2 + name.len()) == Some(&&Token::RParen);
        let known = word(name.last().copied()).is_some_and(|last| TABLE_FUNCTIONS.contains(&last.as_str()));
        if !is_table && !known {
            let name: String = name.iter().map(ToString::to_string).collect();
            return Err(Error::new(
                Kind::QueryNotAllowed,
                format!("the table function `{name}` is not allowed: it may do more than read"),
            ));
        }
    }
    Ok(())
}

/// A token as every engine reads it, or none.
fn written(token: &Token) -> Result<String> {
    let refused = |what: &str| {
        Err(Error::new(Kind::InvalidQuery, format!("the SQL cannot be read: {what} is not understood by all engines")))
    };
    Ok(match token {
        Token::Whitespace(Whitespace::Newline) => "\n".to_owned(),
        Token::Whitespace(_) => " ".to_owned(),
        Token::Word(word) => match word.quote_style {
            None => word.value.clone(),
            Some('"') => format!("\"{}\"", word.value.replace('"', "\"\"")),
            Some(quote) => return refused(&format!("a name in {quote}")),
        },
        Token::SingleQuotedString(text) => format!("'{}'", text.replace('\'', "''")),
        Token::HexStringLiteral(hex) => format!("X'{hex}'"),
        Token::SemiColon => return Err(Error::new(Kind::QueryNotAllowed, "only one statement is allowed at a time")),
        Token::Number(digits, false) => digits.clone(),
        Token::Comma | Token::Period | Token::LParen | Token::RParen | Token::LBracket | Token::RBracket => {
            token.to_string()
        }
        Token::Eq | Token::Neq | Token::Lt | Token::Gt | Token::LtEq | Token::GtEq => token.to_string(),
        Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::Mod | Token::StringConcat => token.to_string(),
        Token::Arrow | Token::RArrow | Token::Colon | Token::Pipe | Token::Question => token.to_string(),
        other => return refused(&format!("`{other}`")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_pass_as_they_are() {
        for sql in [
            "SELECT a, \"B c\"\"d\" FROM raw.t FOR VERSION AS OF 12 WHERE x <> 'it''s' AND y >= -1.5e3",
            "WITH q AS (VALUES (1, X'00ff')) SELECT transform(ARRAY[1], x -> x + 1) FROM q",
            "(SELECT 1) UNION ALL (TABLE raw.t)",
            "EXPLAIN (TYPE DISTRIBUTED, FORMAT JSON) (SELECT 1)",
            "EXPLAIN ANALYZE VERBOSE SELECT 1",
            "SHOW CREATE TABLE raw.t",
            "SELECT * FROM TABLE(iceberg.system.table_changes(schema_name => 'a', table_name => 'b'))",
            "select \"t$files\".path from raw.\"t$files\"",
        ] {
            assert_eq!(read_only(sql).as_deref().ok(), Some(sql), "{sql}");
        }
        assert_eq!(read_only(" SELECT 1 -- one\n , 2 /* two */ ; ; ").as_deref().ok(), Some(" SELECT 1   , 2"));
    }

    #[test]
    fn what_may_do_more_is_refused() {
        for sql in [
            "DELETE FROM raw.t",
            "(DELETE FROM raw.t)",
            "EXPLAIN ANALYZE DELETE FROM raw.t",
            "EXPLAIN (TYPE LOGICAL) INSERT INTO raw.t VALUES 1",
            "CALL iceberg.system.rollback_to_snapshot('a', 'b', 1)",
            "SET SESSION x = 1",
            "\"SELECT\" 1",
            "SELECT 1; DROP TABLE raw.t",
            "SELECT * FROM TABLE(postgres.system.query(query => 'DELETE FROM t RETURNING *'))",
            "SELECT * FROM TABLE ( \"postgres\".\"system\".\"query\"(query => 'x'))",
            "SELECT /* /* */ * FROM TABLE(postgres.system.query(query => 'x')) -- */ */",
        ] {
            let kind = read_only(sql).map_err(|error| error.kind());
            assert!(matches!(kind, Err(Kind::QueryNotAllowed)) || sql.contains("/*"), "{sql}: {kind:?}");
        }
        for sql in ["", " -- nothing", "SELECT 'open", "SELECT `a`", "SELECT $$x$$", "SELECT U&'\\0041'", "SELECT N'a'"]
        {
            assert_eq!(read_only(sql).map_err(|error| error.kind()), Err(Kind::InvalidQuery), "{sql}");
        }
    }

    #[test]
    fn a_comment_that_others_end_elsewhere_hides_nothing() {
        let sent = read_only("SELECT 1 /* /* */ , 2 -- */ , 3\n, 4 */").unwrap_or_default();
        assert!(!sent.contains("/*") && !sent.contains("--"), "{sent}");
    }
}
