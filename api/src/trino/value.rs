//! Trino's JSON as Icehaul's: the same types and values in the same words as the embedded engine gives.
use arrow_cast::base64::{BASE64_STANDARD, Engine as _};
use icehaul_jobs::{Code, Error};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::rows::{EXACT, ResultColumn, ResultSet};

/// A type as Trino describes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Type {
    raw_type: String,
    #[serde(default)]
    arguments: Vec<Argument>,
}

/// An argument of a type: a number, a type, or a row's field.
#[derive(Debug, Deserialize)]
struct Argument {
    value: Value,
}

/// Rows on their way into an answer.
pub struct Rows {
    columns: Vec<(String, Kind)>,
    json: String,
    count: usize,
}

/// What is to be done with a value, and how its type is spelled.
struct Kind {
    sql: String,
    form: Form,
}

enum Form {
    /// Booleans, texts and whatever has a text.
    Plain,
    Integer,
    Time,
    Timestamp,
    Bytes,
    List(Box<Kind>),
    Row(Vec<(String, Kind)>),
    Map(Box<Kind>, Box<Kind>),
}

impl Kind {
    fn new(of: &Type) -> Self {
        let inner = |place: usize| of.arguments.get(place).and_then(|argument| Type::deserialize(&argument.value).ok());
        let kind = |place| inner(place).map_or(Self { sql: "UNKNOWN".into(), form: Form::Plain }, |of| Self::new(&of));
        let plain = |sql: String, form| Self { sql, form };
        match of.raw_type.as_str() {
            "tinyint" | "smallint" | "bigint" => plain(of.raw_type.to_uppercase(), Form::Integer),
            "integer" => plain("INT".into(), Form::Integer),
            "decimal" => {
                let arguments: Vec<_> = of.arguments.iter().map(|argument| argument.value.to_string()).collect();
                plain(format!("DECIMAL({})", arguments.join(", ")), Form::Plain)
            }
            "varbinary" => plain("VARBINARY".into(), Form::Bytes),
            "time" => plain("TIME".into(), Form::Time),
            // The precision is part of the name there; ours is microseconds unless it is said.
            "timestamp" | "timestamp with time zone" => {
                let nanoseconds =
                    of.arguments.first().and_then(|argument| argument.value.as_u64()).is_some_and(|n| n > 6);
                let name = of.raw_type.to_uppercase();
                plain(if nanoseconds { name.replacen("TIMESTAMP", "TIMESTAMP(9)", 1) } else { name }, Form::Timestamp)
            }
            "array" => {
                let item = kind(0);
                plain(format!("ARRAY({})", item.sql), Form::List(item.into()))
            }
            "map" => {
                let (key, value) = (kind(0), kind(1));
                plain(format!("MAP({}, {})", key.sql, value.sql), Form::Map(key.into(), value.into()))
            }
            "row" => {
                let fields: Vec<_> =
                    of.arguments.iter().enumerate().map(|(n, field)| row_field(n, &field.value)).collect();
                let names: Vec<_> = fields.iter().map(|(name, kind)| format!("{name} {}", kind.sql)).collect();
                plain(format!("ROW({})", names.join(", ")), Form::Row(fields))
            }
            other => plain(other.to_uppercase(), Form::Plain),
        }
    }

    fn json(&self, value: &Value) -> Value {
        match (&self.form, value) {
            (_, Value::Null) => Value::Null,
            (Form::Integer, value) => integer(value),
            (Form::Time, Value::String(text)) => cut(text).into(),
            (Form::Timestamp, Value::String(text)) => timestamp(text).into(),
            (Form::Bytes, Value::String(text)) => bytes(text).into(),
            (Form::List(item), Value::Array(items)) => items.iter().map(|value| item.json(value)).collect(),
            (Form::Row(fields), Value::Array(values)) => {
                let members = fields.iter().zip(values).map(|((name, kind), value)| (name.clone(), kind.json(value)));
                Value::Object(members.collect::<Map<_, _>>())
            }
            // A map is an array of pairs: its keys need not be text.
            (Form::Map(key, of), Value::Object(entries)) => {
                let text = |text: &String| Value::String(text.clone());
                entries.iter().map(|(name, value)| Value::Array(vec![key.json(&text(name)), of.json(value)])).collect()
            }
            (_, other) => other.clone(),
        }
    }
}

fn row_field(place: usize, field: &Value) -> (String, Kind) {
    let name = field["fieldName"]["name"].as_str().map_or_else(|| format!("field{place}"), str::to_owned);
    let of = Type::deserialize(&field["typeSignature"]);
    (name, of.map_or(Kind { sql: "UNKNOWN".into(), form: Form::Plain }, |of| Kind::new(&of)))
}

/// Numbers stay numbers only where every reader keeps all their digits; keys of maps arrive as text.
fn integer(value: &Value) -> Value {
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    match number {
        Some(number) if number.unsigned_abs() <= EXACT => number.into(),
        Some(number) => number.to_string().into(),
        None => value.clone(),
    }
}

/// Seconds with as many digits behind them as are needed: none, 3, 6 or 9.
fn cut(text: &str) -> String {
    let Some((whole, fraction)) = text.split_once('.') else { return text.to_owned() };
    let digits = fraction.trim_end_matches('0').len().next_multiple_of(3);
    match digits {
        0 => whole.to_owned(),
        digits => format!("{whole}.{}", fraction.get(..digits).unwrap_or(fraction)),
    }
}

/// `2024-01-31 12:00:00.000000 UTC` as `2024-01-31T12:00:00Z`; a zone that the query has chosen stays as it is.
fn timestamp(text: &str) -> String {
    let mut parts = text.splitn(3, ' ');
    let (day, time, zone) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next());
    let local = format!("{day}T{}", cut(time));
    match zone {
        None => local,
        Some("UTC") => format!("{local}Z"),
        Some(zone) if zone.starts_with(['+', '-']) => format!("{local}{zone}"),
        Some(zone) => format!("{local} {zone}"),
    }
}

fn bytes(text: &str) -> String {
    let bytes = BASE64_STANDARD.decode(text).unwrap_or_default();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Rows {
    /// No rows yet, of these columns.
    pub fn new(columns: Vec<(String, Type)>) -> Self {
        let columns = columns.into_iter().map(|(name, of)| (name, Kind::new(&of))).collect();
        Self { columns, json: "[".to_owned(), count: 0 }
    }

    /// Whether no more may be added.
    pub fn is_full(&self, limit: usize, max_bytes: usize) -> bool {
        self.count == limit || self.json.len() >= max_bytes
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`Code::EngineFailed`] for a row that does not fit the columns.
    pub fn add(&mut self, row: &[Value]) -> Result<(), Error> {
        if row.len() != self.columns.len() {
            return Err(Error::new(Code::EngineFailed, "Trino sent a row that does not fit its columns"));
        }
        let values: Vec<Value> = self.columns.iter().zip(row).map(|((_, kind), value)| kind.json(value)).collect();
        let separator = if self.count > 0 { "," } else { "" };
        self.json += separator;
        self.json += &Value::Array(values).to_string();
        self.count += 1;
        Ok(())
    }

    /// The answer.
    ///
    /// # Errors
    /// [`Code::Internal`].
    pub fn finish(&mut self, truncated: bool) -> Result<ResultSet, Error> {
        let json = std::mem::take(&mut self.json) + "]";
        let columns = self.columns.drain(..).map(|(name, kind)| ResultColumn::new(name, kind.sql)).collect();
        ResultSet::new(columns, json, self.count, truncated)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(of: Value, value: Value) -> (String, Value) {
        let kind = Kind::new(&Type::deserialize(of).expect("a type"));
        let json = kind.json(&value);
        (kind.sql, json)
    }

    fn simple(name: &str) -> Value {
        json!({"rawType": name, "arguments": []})
    }

    #[test]
    fn values_are_those_of_the_embedded_engine() {
        let parametric = |name: &str, n: u64| json!({"rawType": name, "arguments": [{"kind": "LONG", "value": n}]});
        for (of, value, sql, expected) in [
            (simple("integer"), json!(7), "INT", json!(7)),
            (simple("bigint"), json!(i64::MIN), "BIGINT", json!("-9223372036854775808")),
            (simple("bigint"), json!(9_007_199_254_740_991_u64), "BIGINT", json!(9_007_199_254_740_991_u64)),
            (simple("double"), json!("NaN"), "DOUBLE", json!("NaN")),
            (parametric("varchar", 7), json!("a"), "VARCHAR", json!("a")),
            (simple("varbinary"), json!("AP8="), "VARBINARY", json!("00ff")),
            (parametric("time", 6), json!("01:02:03.000004"), "TIME", json!("01:02:03.000004")),
            (
                parametric("timestamp", 6),
                json!("2024-01-31 12:00:00.500000"),
                "TIMESTAMP",
                json!("2024-01-31T12:00:00.500"),
            ),
            (
                parametric("timestamp with time zone", 6),
                json!("2024-01-31 12:00:00.000000 UTC"),
                "TIMESTAMP WITH TIME ZONE",
                json!("2024-01-31T12:00:00Z"),
            ),
            (simple("bigint"), Value::Null, "BIGINT", Value::Null),
        ] {
            assert_eq!(shown(of, value), (sql.to_owned(), expected));
        }
        let decimal =
            json!({"rawType": "decimal", "arguments": [{"kind": "LONG", "value": 12}, {"kind": "LONG", "value": 2}]});
        assert_eq!(shown(decimal, json!("-0.01")), ("DECIMAL(12, 2)".into(), json!("-0.01")));
    }

    #[test]
    fn nested_values_keep_their_shape() {
        let of = |name: &str| json!({"kind": "TYPE", "value": simple(name)});
        let field = |name: &str, of: &str| json!({"kind": "NAMED_TYPE", "value": {"fieldName": {"name": name}, "typeSignature": simple(of)}});
        let list = json!({"rawType": "array", "arguments": [of("integer")]});
        assert_eq!(shown(list, json!([1, null])), ("ARRAY(INT)".into(), json!([1, null])));
        let map = json!({"rawType": "map", "arguments": [of("bigint"), of("varbinary")]});
        assert_eq!(shown(map, json!({"5": "AP8="})), ("MAP(BIGINT, VARBINARY)".into(), json!([[5, "00ff"]])));
        let row = json!({"rawType": "row", "arguments": [field("x", "integer"), field("y", "varchar")]});
        assert_eq!(shown(row, json!([1, "s"])), ("ROW(x INT, y VARCHAR)".into(), json!({"x": 1, "y": "s"})));
    }
}
