//! The little SQL that we write and read ourselves.
use super::Dialect;

impl Dialect {
    /// Quotes an identifier.
    pub(crate) fn ident(self, name: &str) -> String {
        let quote = self.quote();
        format!("{quote}{}{quote}", name.replace(quote, &format!("{quote}{quote}")))
    }
}

/// A table's name: `table` or `schema.table`, each part optionally in the quotes of its dialect. Letters keep their case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source) struct TableRef {
    /// The schema; MySQL calls it a database.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
}

impl TableRef {
    /// Reads a name; the error says what is wrong with it.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, &'static str> {
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let (part, after) = part(rest, dialect.quote())?;
            parts.push(part);
            match after.strip_prefix('.') {
                Some(more) => rest = more,
                None if after.is_empty() => break,
                None => return Err("must be `table` or `schema.table`"),
            }
        }
        match <[String; 2]>::try_from(parts) {
            Ok([schema, table]) => Ok(Self { schema: Some(schema), table }),
            Err(mut one) if one.len() == 1 => Ok(Self { schema: None, table: one.remove(0) }),
            Err(_) => Err("must be `table` or `schema.table`; quote a name that has a dot"),
        }
    }

    /// The name with every part quoted.
    pub fn quoted(&self, dialect: Dialect) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", dialect.ident(schema), dialect.ident(&self.table)),
            None => dialect.ident(&self.table),
        }
    }
}

fn part(text: &str, quote: char) -> Result<(String, &str), &'static str> {
    let (name, rest) = match text.strip_prefix(quote) {
        Some(quoted) => {
            let mut end = 0;
            loop {
                end += quoted[end..].find(quote).ok_or("a quote is not closed")?;
                match quoted[end + 1..].starts_with(quote) {
                    true => end += 2,
                    false => {
                        break (
                            quoted[..end].replace(&format!("{quote}{quote}"), &quote.to_string()),
                            &quoted[end + 1..],
                        );
                    }
                }
            }
        }
        None => {
            let end = text.find('.').unwrap_or(text.len());
            (text[..end].to_owned(), &text[end..])
        }
    };
    match name.is_empty() {
        true => Err("a part of the name is empty"),
        false => Ok((name, rest)),
    }
}

/// The one statement of a text, without the semicolons and comments after it; `None` if another statement follows, or
/// if there is none.
///
/// This only finds where to cut; that the text *is* one statement is checked by the server, which takes no second one
/// in a prepared statement.
pub(in crate::source) fn single_statement(sql: &str, dialect: Dialect) -> Option<&str> {
    let bytes = sql.as_bytes();
    let (mut at, mut end, mut closed) = (0, 0, false);
    while at < bytes.len() {
        let next = skip_token(sql, at, dialect);
        match &bytes[at..next] {
            [b';'] => closed = end > 0,
            token if is_blank(token, dialect) => {}
            _ if closed => return None,
            _ => end = next,
        }
        at = next;
    }
    (end > 0).then(|| &sql[..end])
}

/// Whether a statement begins as one that reads. What it does within is up to the server's read-only transaction.
pub(super) fn begins_as_query(statement: &str, dialect: Dialect) -> bool {
    let bytes = statement.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let next = skip_token(statement, at, dialect);
        match &bytes[at..next] {
            [b'('] => at = next,
            token if is_blank(token, dialect) => at = next,
            word => {
                return ["select", "with", "values", "table"].iter().any(|w| word.eq_ignore_ascii_case(w.as_bytes()));
            }
        }
    }
    false
}

/// Whether a statement of MySQL asks for locks on the rows that it reads: it would see them as they are now, not as they
/// were at the snapshot, and hold up writers. PostgreSQL refuses that by itself in a transaction that only reads.
pub(super) fn locks_rows(statement: &str) -> bool {
    let (mut at, mut words) = (0, String::new());
    while at < statement.len() {
        let next = skip_token(statement, at, Dialect::MySql);
        let token = &statement.as_bytes()[at..next];
        match token {
            [b'/', b'*', b'!', ..] | [b'/', b'*', b'M', b'!', ..] => {
                let within = statement[at..next].trim_start_matches(['/', '*', 'M', '!']);
                let within = within.trim_start_matches(|c: char| c.is_ascii_digit()).trim_end_matches("*/");
                if locks_rows(within) {
                    return true;
                }
            }
            token if is_blank(token, Dialect::MySql) => {}
            _ => {
                words.push(' ');
                words.push_str(&statement[at..next].to_ascii_lowercase());
            }
        }
        at = next;
    }
    words.push(' ');
    [" lock in share mode ", " for share ", " for update "].iter().any(|lock| words.contains(lock))
}

/// Whether a token is white space or a comment; those with `!` are a part of the statement for MySQL.
fn is_blank(token: &[u8], dialect: Dialect) -> bool {
    match token {
        [b'/', b'*', b'!', ..] | [b'/', b'*', b'M', b'!', ..] => dialect == Dialect::Postgres,
        [b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c] | [b'/', b'*', ..] => true,
        _ => comments_line(token, dialect),
    }
}

/// Whether a comment begins here that ends with the line. MySQL wants a blank after `--`, and knows `#`.
fn comments_line(text: &[u8], dialect: Dialect) -> bool {
    match (dialect, text) {
        (Dialect::Postgres, [b'-', b'-', ..]) | (Dialect::MySql, [b'#', ..] | [b'-', b'-']) => true,
        (Dialect::MySql, [b'-', b'-', next, ..]) => next.is_ascii_whitespace() || next.is_ascii_control(),
        _ => false,
    }
}

/// Where the token that begins at `at` ends: a string, a quoted name, a comment, a word, or one character.
fn skip_token(sql: &str, at: usize, dialect: Dialect) -> usize {
    let bytes = sql.as_bytes();
    let rest = &bytes[at..];
    let to = |found: Option<usize>| found.map_or(bytes.len(), |n| at + n);
    let mysql = dialect == Dialect::MySql;
    match rest {
        _ if comments_line(rest, dialect) => to(rest.iter().position(|b| *b == b'\n')),
        [b'/', b'*', ..] => at + comment(rest, dialect),
        [quote @ (b'\'' | b'"'), ..] => at + quoted(rest, *quote, mysql),
        [b'`', ..] if mysql => at + quoted(rest, b'`', false),
        [b'e' | b'E', b'\'', ..] if !mysql => at + 1 + quoted(&rest[1..], b'\'', true),
        [b'$', ..] if !mysql => match dollar_tag(rest) {
            Some(tag) => to(sql[at + tag.len()..].find(tag).map(|n| n + 2 * tag.len())),
            None => at + 1,
        },
        [first, ..] if is_word(*first) => to(rest.iter().position(|b| !is_word(*b) && *b != b'$')),
        _ => at + 1,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The length of a quoted text, doubled quotes and (if `escapes`) backslashes understood.
fn quoted(bytes: &[u8], quote: u8, escapes: bool) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escapes => at += 2,
            b if b == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            b if b == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The length of a comment; those of PostgreSQL nest.
fn comment(bytes: &[u8], dialect: Dialect) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] if depth == 0 || dialect == Dialect::Postgres => (at, depth) = (at + 2, depth + 1),
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// `$$` or `$tag$` at the begin of `bytes`.
fn dollar_tag(bytes: &[u8]) -> Option<&str> {
    let end = 1 + bytes[1..].iter().position(|b| !is_word(*b))?;
    let starts_well = bytes.get(1).is_some_and(|b| !b.is_ascii_digit());
    (bytes[end] == b'$' && starts_well).then(|| std::str::from_utf8(&bytes[..=end]).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Dialect::{MySql, Postgres};

    #[test]
    fn one_statement_loses_what_comes_after_it() {
        for (sql, one) in [
            ("select 1", Some("select 1")),
            ("select 1 ; \n ; ", Some("select 1")),
            ("-- why\nselect 1; -- done; really", Some("-- why\nselect 1")),
            ("select ';', \";\", $$;$$, $a$ $$; $a$, e'\\';' /* ; /* ; */ */ ;", {
                Some("select ';', \";\", $$;$$, $a$ $$; $a$, e'\\';'")
            }),
            ("select 'it''s; one' from t where a = $1;", Some("select 'it''s; one' from t where a = $1")),
            ("select 1; drop table t", None),
            ("select 1;;select 2", None),
            ("", None),
            (" ; -- nothing", None),
            ("select 'not closed; ", Some("select 'not closed; ")),
            ("select /* not closed; ", Some("select")),
            ("; select 1", Some("; select 1")),
            ("sélect é;", Some("sélect é")),
            ("select $", Some("select $")),
        ] {
            assert_eq!(single_statement(sql, Postgres), one, "{sql}");
        }
        for (sql, one) in [
            ("select '\\';', \"\\\";\", `;` -- ;\n, 1 # ;\n, /* /* ; */ 2 ; # done", {
                Some("select '\\';', \"\\\";\", `;` -- ;\n, 1 # ;\n, /* /* ; */ 2")
            }),
            ("select 1--1; -- one", Some("select 1--1")),
            ("select $$;", Some("select $$")),
            ("select 1 /*! into outfile '/x' */ ; ", Some("select 1 /*! into outfile '/x' */")),
            ("select 1; drop table t", None),
        ] {
            assert_eq!(single_statement(sql, MySql), one, "{sql}");
        }
    }

    #[test]
    fn queries_are_told_from_orders() {
        for query in ["select 1", "/* a */ -- b\n ((SELECT 1))", "With x as (select 1) table x", "VALUES (1)"] {
            assert!(begins_as_query(query, Postgres), "{query}");
        }
        for order in ["delete from t", "selected", "-- select 1", "copy t to stdout", "\"select\"", "begin"] {
            assert!(!begins_as_query(order, Postgres), "{order}");
        }
        assert!(begins_as_query("# a\n-- b\n select 1", MySql));
        for order in ["/*! delete from t */", "--\tselect 1", "--select 1", "call p()", "`select`", "show tables"] {
            assert!(!begins_as_query(order, MySql), "{order}");
        }
    }

    #[test]
    fn locks_are_seen_wherever_they_stand() {
        for sql in [
            "select 1 from t LOCK  in\nshare mode",
            "select * from (select 1 from t for /* x */ update) q",
            "select 1 from t for share skip locked",
            "select 1 from t /*!lock in share mode */",
            "select 1 from t /*!80000 FOR SHARE*/",
        ] {
            assert!(locks_rows(sql), "{sql}");
        }
        for sql in ["select 'for update'", "select `for update` from t", "select 1 -- for update", "select for_update"]
        {
            assert!(!locks_rows(sql), "{sql}");
        }
    }

    #[test]
    fn table_names_are_read_and_quoted() {
        let quoted = |text: &str| TableRef::parse(text, Postgres).map(|t| t.quoted(Postgres));
        let of_mysql = TableRef::parse("`a``.b`.Orders", MySql).map(|t| t.quoted(MySql));
        assert_eq!(of_mysql.as_deref(), Ok("`a``.b`.`Orders`"));
        assert_eq!(quoted("orders").as_deref(), Ok("\"orders\""));
        assert_eq!(quoted("Sales.Orders").as_deref(), Ok("\"Sales\".\"Orders\""));
        assert_eq!(quoted("\"a.b\".\"say \"\"hi\"\"\"").as_deref(), Ok("\"a.b\".\"say \"\"hi\"\"\""));
        assert_eq!(quoted("x; drop table y").as_deref(), Ok("\"x; drop table y\""));
        for bad in ["", ".", "a.", ".a", "a.b.c", "\"a", "\"a\"b", "\"\""] {
            assert!(quoted(bad).is_err(), "{bad}");
        }
    }
}
