//! Tables and JSON on the terminal.
use std::{
    fmt::Display,
    io::{ErrorKind, Write},
};

use serde_json::Value;

/// What a shell reports for a program that SIGPIPE has ended.
const READER_GONE: i32 = 128 + 13;

/// Prints a line. When nobody reads any more (`icehaul … | head -1`), the program ends without a word.
pub fn line(text: impl Display) {
    let mut out = std::io::stdout().lock();
    match out.write_all(harmless(text).as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::BrokenPipe => std::process::exit(READER_GONE),
        Err(e) => {
            note(format_args!("icehaul: cannot write the output: {e}"));
            std::process::exit(1);
        }
    }
}

/// Tells a person something that is not part of the output, on the standard error.
pub fn note(text: impl Display) {
    // If that cannot be written either, there is nobody to tell.
    let _ = std::io::stderr().write_all(harmless(text).as_bytes());
}

/// A line without anything that a terminal obeys: messages may quote what a foreign server has said.
fn harmless(text: impl Display) -> String {
    let mut line = String::new();
    for c in text.to_string().chars() {
        match c {
            '\n' | '\t' => line.push(c),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line + "\n"
}

/// Prints JSON for people and programs alike.
pub fn json(value: &Value) {
    line(serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Prints rows in columns.
pub fn table(header: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let one = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    line(one(&mut header.iter().copied()));
    for row in rows {
        line(one(&mut row.iter().map(String::as_str)));
    }
}

/// Prints the rows of a query or preview; what is absent is `NULL`, and an empty text is empty.
pub fn result(answer: &Value) {
    let list = |key: &str| answer[key].as_array().cloned().unwrap_or_default();
    let names: Vec<String> = list("columns").iter().map(|column| cell(&column["name"])).collect();
    let value = |value: &Value| if value.is_null() { "NULL".to_owned() } else { cell(value) };
    let row = |row: &Value| row.as_array().into_iter().flatten().map(value).collect();
    let rows: Vec<Vec<String>> = list("rows").iter().map(row).collect();
    table(&names.iter().map(String::as_str).collect::<Vec<_>>(), &rows);
    if answer["truncated"] == true {
        note(format_args!("(the first {}; more with --limit)", count(rows.len() as u64, "row")));
    } else if rows.is_empty() {
        note("(no rows)");
    }
}

/// Says how to see what did not go on the page.
pub fn more(answer: &Value) {
    if let Some(next) = answer["next_cursor"].as_str() {
        note(format_args!("(there are more: the same command with --cursor {next})"));
    }
}

/// A JSON value as a cell: text without quotes, nothing for null. Line breaks and control characters are escaped.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => {
            text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
        }
        other => other.to_string(),
    }
}

/// A number with what it counts: `1 row`, `1,000 rows`.
pub fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", indicatif::HumanCount(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_that_is_printed() {
        assert_eq!(harmless("a\u{1b}[31mb\rc\td\ne"), "a\\u{1b}[31mb\\rc\td\ne\n");
    }
}
