//! Strict reading of JSON (RFC 8259), within bounds; numbers stay the digits that were written.
use std::borrow::Cow;

use super::Json;
use crate::{Code, Error, Result, extract::Limits};

/// How deep arrays and objects may be nested.
const DEPTH: usize = 128;
/// The bytes that the smallest value takes in memory, against the nodes that a page may have.
const VALUES_PER_NODE: usize = 2;

/// Reads a whole document.
///
/// # Errors
/// [`Code::JsonInvalid`] with line and column: it breaks the grammar, is nested too deep or has too many values.
pub fn parse<'d>(text: &'d str, limits: &Limits) -> Result<Json<'d>> {
    let mut reader = Reader { text, at: 0, values: limits.nodes / VALUES_PER_NODE };
    let read = reader.document();
    read.map_err(|what| {
        let before = text.get(..reader.at.min(text.len())).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Error::new(Code::JsonInvalid, format!("the answer is no JSON: {what}, at line {line}, column {column}"))
    })
}

type Read<T> = std::result::Result<T, &'static str>;

struct Reader<'d> {
    text: &'d str,
    at: usize,
    /// How many values may follow.
    values: usize,
}

impl<'d> Reader<'d> {
    fn document(&mut self) -> Read<Json<'d>> {
        self.blanks();
        let value = self.value(DEPTH)?;
        self.blanks();
        if self.at < self.text.len() { Err("more follows after its end") } else { Ok(value) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is = self.peek() == Some(byte);
        self.at += usize::from(is);
        is
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Read<Json<'d>> {
        self.values = self.values.checked_sub(1).ok_or("it has too many values")?;
        match self.peek() {
            Some(b'"') => self.string().map(Json::Text),
            Some(b'{') => self.object(depth.checked_sub(1).ok_or("it is nested too deep")?),
            Some(b'[') => self.list(depth.checked_sub(1).ok_or("it is nested too deep")?),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err("a value is expected"),
            None => Err("it ends too early"),
        }
    }

    fn word(&mut self, word: &str, value: Json<'d>) -> Read<Json<'d>> {
        let is = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        self.at += if is { word.len() } else { 0 };
        if is { Ok(value) } else { Err("a value is expected") }
    }

    fn list(&mut self, depth: usize) -> Read<Json<'d>> {
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        if self.take(b']') {
            return Ok(Json::List(items));
        }
        loop {
            self.blanks();
            items.push(self.value(depth)?);
            self.blanks();
            if self.take(b']') {
                return Ok(Json::List(items));
            }
            if !self.take(b',') {
                return Err(self.or_end("`,` or `]` is expected"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Read<Json<'d>> {
        self.at += 1;
        let mut members = Vec::new();
        self.blanks();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return Err(self.or_end("a name in quotes is expected"));
            }
            let name = self.string()?;
            self.blanks();
            if !self.take(b':') {
                return Err(self.or_end("`:` is expected"));
            }
            self.blanks();
            members.push((name, self.value(depth)?));
            self.blanks();
            if self.take(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.take(b',') {
                return Err(self.or_end("`,` or `}` is expected"));
            }
        }
    }

    fn or_end(&self, what: &'static str) -> &'static str {
        if self.peek().is_none() { "it ends too early" } else { what }
    }

    fn digits(&mut self) -> bool {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at > start
    }

    fn number(&mut self) -> Read<Json<'d>> {
        let start = self.at;
        self.take(b'-');
        let sound = self.take(b'0') || self.digits();
        let fraction = !self.take(b'.') || self.digits();
        let exponent = !(self.take(b'e') || self.take(b'E')) || {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()
        };
        let text = self.text.get(start..self.at).unwrap_or_default();
        let ends = !matches!(self.peek(), Some(b'0'..=b'9' | b'.'));
        if sound && fraction && exponent && ends {
            Ok(Json::Number(Cow::Borrowed(text)))
        } else {
            Err("a number is written wrongly")
        }
    }

    /// A text in quotes; at the opening one now.
    fn string(&mut self) -> Read<Cow<'d, str>> {
        self.at += 1;
        let start = self.at;
        let mut whole: Option<String> = None;
        let mut begin = start;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let special = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            self.at += special.unwrap_or(rest.len());
            let piece = self.text.get(begin..self.at).unwrap_or_default();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(match whole {
                        Some(mut text) => {
                            text.push_str(piece);
                            Cow::Owned(text)
                        }
                        None => Cow::Borrowed(piece),
                    });
                }
                Some(b'\\') => {
                    let text = whole.get_or_insert_default();
                    text.push_str(piece);
                    let c = self.escape()?;
                    text.push(c);
                    begin = self.at;
                }
                Some(_) => return Err("a text holds a control character"),
                None => return Err("it ends too early"),
            }
        }
    }

    /// An escape; at the backslash now. Half of a surrogate pair is U+FFFD, as it is no character.
    fn escape(&mut self) -> Read<char> {
        self.at += 2;
        Ok(match self.text.as_bytes().get(self.at - 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => self.code_point()?,
            Some(_) => return Err("a text holds an unknown escape"),
            None => return Err("it ends too early"),
        })
    }

    fn code_point(&mut self) -> Read<char> {
        let high = self.unit()?;
        if (0xd800..0xdc00).contains(&high) && self.text.get(self.at..).is_some_and(|rest| rest.starts_with("\\u")) {
            let mark = self.at;
            self.at += 2;
            let low = self.unit()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = mark;
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn unit(&mut self) -> Read<u32> {
        let digits = self.text.get(self.at..self.at + 4).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        unit.ok_or("a text holds an unknown escape")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> std::result::Result<String, String> {
        let value = parse(text, &Limits::default()).map_err(|e| e.message().to_owned())?;
        let mut out = String::new();
        value.write(&mut out);
        Ok(out)
    }

    #[test]
    fn what_is_right_comes_back_and_the_rest_is_refused_with_its_place() {
        for text in [
            "null",
            "[]",
            "{}",
            "[1,-0,1.50,12345678901234567890123,1e-7]",
            r#"{"a":{"b":[true,false,null,"x"]},"a":"é"}"#,
        ] {
            assert_eq!(read(text).as_deref(), Ok(text));
        }
        assert_eq!(read(" [ 1 , \"\\u00e9\\ud83e\\uddca\\ud800x\\/\" ]\n").as_deref(), Ok("[1,\"é🧊\u{fffd}x/\"]"));
        for text in [
            "",
            "nul",
            "[1,]",
            "[1",
            "{\"a\"}",
            "{a:1}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "\"",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12\"",
            "1 2",
            "NaN",
            "[1 2]",
            "{\"a\":1,}",
            "1.2.3",
            "'a'",
            "\"\\u00é\"",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(
            read("[1,\n é]").expect_err("wrong"),
            "the answer is no JSON: a value is expected, at line 2, column 2"
        );
        assert!(read(&"[".repeat(100_000)).expect_err("deep").contains("nested too deep"));
        let limits = Limits { nodes: 20, ..Limits::default() };
        assert_eq!(parse(&format!("[{}0]", "0,".repeat(10)), &limits).map_err(|e| e.code()), Err(Code::JsonInvalid));
    }

    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,6}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::vec((".{0,4}", inner), 0..5)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn another_reader_agrees(value in any_value(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let ours = read(&text.expect("JSON")).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&ours).expect("JSON"), value);
        }

        #[test]
        fn it_takes_what_another_takes_and_nothing_else(text in r#"[\[\]{}:,"0-9eE.+\-a-f\\u ntrl]{0,12}"#) {
            // Half surrogates and huge exponents aside, of which the other makes errors.
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            if let Ok(theirs) = theirs {
                prop_assert!(read(&text).is_ok(), "{theirs}");
            } else if !text.contains("\\u") && !text.contains(['e', 'E']) {
                prop_assert!(read(&text).is_err());
            }
        }
    }
}
