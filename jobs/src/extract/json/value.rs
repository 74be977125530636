//! A JSON value whose numbers are the digits that were written.
use std::{borrow::Cow, fmt::Write};

/// A JSON value; texts without escapes lie in the document.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Json<'d> {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as it is written.
    Number(Cow<'d, str>),
    /// A text.
    Text(Cow<'d, str>),
    /// An array.
    List(Vec<Json<'d>>),
    /// An object: its members in their order.
    Object(Vec<Member<'d>>),
}

/// A name and its value.
pub type Member<'d> = (Cow<'d, str>, Json<'d>);

impl<'d> Json<'d> {
    /// The member of an object; the first one if several have the name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Json<'d>> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// What it is, for messages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// The text of a scalar; `None` of null, arrays and objects.
    #[must_use]
    pub fn scalar(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Bool(value) => Some(if *value { "true".into() } else { "false".into() }),
            Self::Number(text) | Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Null | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// Appends it as JSON without blanks; numbers as they were written.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(text) => out.push_str(text),
            Self::Text(text) => quote(text, out),
            Self::List(items) => {
                out.push('[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (n, (name, value)) in members.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    quote(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut signs = special.chars();
        match signs.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            // Writing to a string does not fail.
            Some(c) => drop(write!(out, "\\u{:04x}", u32::from(c))),
            None => {}
        }
        rest = signs.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// The most digits that an exponent may add to a number.
const MOST_ZEROS: usize = 80;

/// A JSON number without an exponent and without a minus before zero, exactly; as it is where that would take too many
/// digits.
pub(super) fn plain(number: &str) -> Cow<'_, str> {
    let (negative, unsigned) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let Some(at) = unsigned.find(['e', 'E']) else {
        let is_zero = unsigned.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        return Cow::Borrowed(if negative && is_zero { unsigned } else { number });
    };
    let (mantissa, exponent) = (&unsigned[..at], unsigned[at + 1..].parse::<i64>());
    let Some(exponent) = exponent.ok().filter(|e| e.unsigned_abs() <= MOST_ZEROS as u64) else {
        return Cow::Borrowed(number);
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{part}");
    let point = whole.len() as i64 + exponent;
    let (whole, part) = if point <= 0 {
        ("0".to_owned(), "0".repeat(usize::try_from(-point).unwrap_or_default()) + &digits)
    } else {
        let point = usize::try_from(point).unwrap_or_default();
        let whole = format!("{digits:0<point$}");
        (whole[..point].to_owned(), digits.get(point..).unwrap_or_default().to_owned())
    };
    // The zeros that the exponent made are no digits of the number.
    let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if negative && !(whole == "0" && part.is_empty()) { "-" } else { "" };
    let point = if part.is_empty() { "" } else { "." };
    Cow::Owned(format!("{sign}{whole}{point}{part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_are_written_out_exactly() {
        for (number, expected) in [
            ("12345678901234567890123", "12345678901234567890123"),
            ("1.50", "1.50"),
            ("-0", "0"),
            ("-0.0", "0.0"),
            ("1e3", "1000"),
            ("1.5E+3", "1500"),
            ("-1.25e1", "-12.5"),
            ("1e-3", "0.001"),
            ("-12.5e-4", "-0.00125"),
            ("0e5", "0"),
            ("-0e-2", "0"),
            ("1e400", "1e400"),
            ("1e99999999999999999999", "1e99999999999999999999"),
        ] {
            assert_eq!(plain(number), expected, "{number}");
        }
    }

    #[test]
    fn text_is_quoted_as_json_has_it() {
        let value = Json::Object(vec![
            ("a\"\\".into(), Json::Text("\u{1}\n é\u{1f9ca}".into())),
            ("b".into(), Json::List(vec![Json::Null, Json::Bool(true), Json::Number("1.50".into())])),
        ]);
        let mut text = String::new();
        value.write(&mut text);
        assert_eq!(text, "{\"a\\\"\\\\\":\"\\u0001\\n é\u{1f9ca}\",\"b\":[null,true,1.50]}");
    }
}
