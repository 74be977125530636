//! Strict reading of request bodies: every wrong field is named at once, in either spelling.
//!
//! The same JSON Schema that the OpenAPI document shows decides, so the two cannot differ.
use std::{collections::HashSet, fmt};

use jsonschema::error::{TypeKind, ValidationErrorKind};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use crate::{Code, Error, FieldError, Result, error::MAX_FAULTS};

/// The most values in a body: each may be refused with an explanation of its own.
const MAX_VALUES: usize = 100_000;
/// Below it (2^53) a float holds every integer exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads JSON that has no field twice.
///
/// # Errors
/// [`Code::EmptyBody`], [`Code::InvalidJson`] with line and column, [`Code::DuplicateField`].
pub fn read_json(body: &[u8]) -> Result<Value> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::new(Code::EmptyBody, "the body is empty; a JSON object is expected"));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let mut seen = Seen::default();
    let value = Unique { path: Path::Body, seen: &mut seen }.deserialize(&mut reader);
    let value = value
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|e| Error::new(Code::InvalidJson, format!("the body is not valid JSON: {e}")).caused_by(e))?;
    match seen.duplicates.is_empty() {
        true => Ok(value),
        false => Err(Error::fields(seen.duplicates)),
    }
}

/// Reads a request of a known shape: `camelCase` spellings are taken as the `snake_case` ones, then the schema decides, and
/// `check` on what the schema cannot say.
///
/// # Errors
/// Every wrong field at once: [`Code::UnknownField`], [`Code::MissingField`], [`Code::InvalidField`],
/// [`Code::ConflictingFields`].
pub fn read_request<T: DeserializeOwned + JsonSchema>(
    mut value: Value,
    check: impl Fn(&T) -> Vec<FieldError>,
) -> Result<T> {
    let Value::Object(fields) = &mut value else {
        return Err(Error::new(Code::InvalidField, "the body must be a JSON object"));
    };
    let schema = schema_of::<T>();
    let mut wrong = Vec::new();
    fold_spellings(fields, &schema, &mut wrong);
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .map_err(|e| Error::new(Code::Internal, "the request's schema is broken").caused_by(e.to_string()))?;
    for error in validator.iter_errors(&value).take(MAX_FAULTS) {
        describe(&error, &mut wrong);
    }
    refuse_control_characters(&value, Path::Body, &mut wrong);
    if wrong.is_empty() {
        let request = T::deserialize(&value).map_err(|e| refused::<T>(&value, &schema, &e))?;
        wrong = check(&request);
        return if wrong.is_empty() { Ok(request) } else { Err(Error::fields(wrong)) };
    }
    // What the schema has refused is left out, so that the other fields are checked too and all faults told at once; but not
    // that a field is missing, as the one left out may have stood in its place.
    if let Ok(rest) = serde_json::from_value(without(value, &schema, &wrong)) {
        let known: HashSet<String> = wrong.iter().map(|fault| top(&fault.field).to_owned()).collect();
        let left_out = wrong.iter().any(|fault| fault.code != Code::MissingField || fault.field.contains('.'));
        let follows = |fault: &FieldError| left_out && fault.code == Code::MissingField;
        let new = |fault: &FieldError| !follows(fault) && !known.contains(top(&fault.field));
        wrong.extend(check(&rest).into_iter().filter(new));
    }
    Err(Error::fields(wrong))
}

/// What the schema takes and the type does not, under the name of the field without which the type takes it.
fn refused<T: DeserializeOwned>(value: &Value, schema: &Value, error: &serde_json::Error) -> Error {
    let fault = |field: &str| FieldError { field: field.into(), code: Code::InvalidField, detail: error.to_string() };
    let mut names = value.as_object().into_iter().flat_map(Map::keys);
    let name = names.find(|name| T::deserialize(without(value.clone(), schema, &[fault(name)])).is_ok());
    Error::fields(vec![fault(name.map_or("", String::as_str))])
}

/// The name of the body's field in which `path` lies.
fn top(path: &str) -> &str {
    path.split('.').next().unwrap_or_default()
}

/// A body without its wrong fields; required ones get a text that passes.
fn without(mut value: Value, schema: &Value, wrong: &[FieldError]) -> Value {
    if let Value::Object(fields) = &mut value {
        wrong.iter().for_each(|fault| drop(fields.remove(top(&fault.field))));
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            fields.entry(name).or_insert_with(|| "x".into());
        }
    }
    value
}

/// The JSON Schema of a request: one flat object without unknown fields.
pub fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Value::Object(schema) = &mut schema {
        schema.insert("additionalProperties".into(), false.into());
        schema.remove("$schema");
    }
    schema
}

/// Lets a member of a request take no fields but its own.
pub fn closed(schema: &mut schemars::Schema) {
    let Some(schema) = schema.as_object_mut() else { return };
    if schema.contains_key("properties") {
        schema.insert("additionalProperties".into(), false.into());
    }
    let choices = schema.get_mut("anyOf").and_then(Value::as_array_mut).into_iter().flatten();
    for choice in choices.filter_map(|choice| <&mut schemars::Schema>::try_from(choice).ok()) {
        closed(choice);
    }
}

/// Renames `tableName` to `table_name` where the schema knows the latter.
fn fold_spellings(fields: &mut Map<String, Value>, schema: &Value, wrong: &mut Vec<FieldError>) {
    let aliases: Vec<(String, String)> = schema["properties"]
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .map(|name| (camel_case(name), name.clone()))
        .filter(|(camel, name)| camel != name)
        .collect();
    for (camel, name) in aliases {
        let Some(value) = fields.remove(&camel) else { continue };
        match fields.get(&name) {
            Some(other) if *other != value => wrong.push(FieldError {
                detail: format!("`{camel}` and `{name}` are the same field and have different values"),
                field: name,
                code: Code::ConflictingFields,
            }),
            _ => {
                fields.insert(name, value);
            }
        }
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| {
        let mut letters = word.chars();
        let head = letters.next().map(|c| c.to_ascii_uppercase());
        text + &head.into_iter().chain(letters).collect::<String>()
    })
}

fn describe(error: &jsonschema::ValidationError<'_>, wrong: &mut Vec<FieldError>) {
    let at = error.instance_path().to_string().trim_start_matches('/').replace('/', ".");
    let child = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    let mut fault = |field: String, code, detail: String| wrong.push(FieldError { field, code, detail });
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            for name in unexpected.iter().take(MAX_FAULTS) {
                let shown: String = name.chars().take(60).flat_map(char::escape_debug).collect();
                fault(child(&shown), Code::UnknownField, "this field is not known here".into());
            }
        }
        ValidationErrorKind::Required { property } => {
            fault(child(property.as_str().unwrap_or_default()), Code::MissingField, "this field is required".into());
        }
        ValidationErrorKind::Type { kind } => fault(at, Code::InvalidField, format!("must be {}", type_names(kind))),
        ValidationErrorKind::Enum { options } => {
            fault(at, Code::InvalidField, format!("must be one of {}", list(options)))
        }
        ValidationErrorKind::Minimum { limit } => fault(at, Code::InvalidField, format!("must be at least {limit}")),
        ValidationErrorKind::Maximum { limit } => fault(at, Code::InvalidField, format!("must be at most {limit}")),
        ValidationErrorKind::MaxItems { limit } => {
            fault(at, Code::InvalidField, format!("must have at most {limit} items"));
        }
        ValidationErrorKind::Format { format } => fault(at, Code::InvalidField, format!("must be a {format}")),
        ValidationErrorKind::Pattern { pattern } => {
            fault(at, Code::InvalidField, format!("must match the pattern {pattern}"));
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            let mut names = Vec::new();
            constants(context, &mut names);
            let detail = match names.is_empty() {
                true => "has none of the accepted values".to_owned(),
                false => format!("must be one of {}", names.join(", ")),
            };
            fault(at, Code::InvalidField, detail);
        }
        _ => fault(at, Code::InvalidField, "has a wrong value".into()),
    }
}

/// The values that a choice accepts, wherever it is nested (an optional choice is one of null and the choice).
fn constants(context: &[Vec<jsonschema::ValidationError<'_>>], names: &mut Vec<String>) {
    for error in context.iter().flatten() {
        match error.kind() {
            ValidationErrorKind::Constant { expected_value } => names.push(quoted(expected_value)),
            ValidationErrorKind::Enum { options } => names.extend(options.as_array().into_iter().flatten().map(quoted)),
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                constants(context, names);
            }
            _ => {}
        }
    }
}

fn type_names(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => one.to_string(),
        // Null stands for a field that is left out, which is no advice.
        TypeKind::Multiple(several) => {
            let names = several.iter().map(|t| t.to_string()).filter(|name| name != "null");
            names.collect::<Vec<_>>().join(" or ")
        }
    }
}

fn list(options: &Value) -> String {
    let names = options.as_array().into_iter().flatten();
    names.map(quoted).collect::<Vec<_>>().join(", ")
}

fn quoted(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| format!("`{text}`"))
}

/// Where a value lies; it is spelled, with dots, only when something is wrong there.
#[derive(Clone, Copy)]
enum Path<'a> {
    Body,
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parent, part): (_, &dyn fmt::Display) = match self {
            Self::Body => return Ok(()),
            Self::Field(parent, name) => (parent, name),
            Self::Item(parent, n) => (parent, n),
        };
        match parent {
            Self::Body => write!(f, "{part}"),
            _ => write!(f, "{parent}.{part}"),
        }
    }
}

/// NUL and other control characters have no place in any field but a query's line breaks and tabs.
fn refuse_control_characters(value: &Value, at: Path<'_>, wrong: &mut Vec<FieldError>) {
    match value {
        _ if wrong.len() >= MAX_FAULTS => {}
        Value::String(text) if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) => {
            wrong.push(FieldError {
                field: at.to_string(),
                code: Code::InvalidField,
                detail: "must not hold control characters".into(),
            });
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| refuse_control_characters(item, Path::Item(&at, n), wrong));
        }
        Value::Object(fields) => {
            for (name, item) in fields {
                let at = Path::Field(&at, name);
                if name.chars().any(char::is_control) {
                    let field = at.to_string().escape_debug().to_string();
                    let detail = "its name must not hold control characters".into();
                    wrong.push(FieldError { field, code: Code::InvalidField, detail });
                }
                refuse_control_characters(item, at, wrong);
            }
        }
        _ => {}
    }
}

/// What was seen of a body so far.
#[derive(Default)]
struct Seen {
    values: usize,
    duplicates: Vec<FieldError>,
}

/// Builds a [`Value`] and notes each field that is given twice (`serde_json` would keep the last one).
struct Unique<'a> {
    path: Path<'a>,
    seen: &'a mut Seen,
}

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.seen.values += 1;
        if self.seen.values > MAX_VALUES {
            return Err(D::Error::custom(format!("it holds more than {MAX_VALUES} values")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }
    /// `1.0` is the integer 1, as JSON Schema has it.
    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(if v.fract() == 0.0 && v.abs() < EXACT { (v as i64).into() } else { v.into() })
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) =
            seq.next_element_seed(Unique { path: Path::Item(&self.path, items.len()), seen: &mut *self.seen })?
        {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if name.len() > 1024 {
                return Err(A::Error::custom("a field's name is longer than 1024 bytes"));
            }
            let path = Path::Field(&self.path, &name);
            let value = map.next_value_seed(Unique { path, seen: &mut *self.seen })?;
            if fields.contains_key(&name) && self.seen.duplicates.len() < MAX_FAULTS {
                let detail = "this field is given twice".into();
                let field = path.to_string();
                self.seen.duplicates.push(FieldError { field, code: Code::DuplicateField, detail });
            }
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize, JsonSchema)]
    struct Request {
        table_name: String,
        #[serde(default)]
        limit: Option<u32>,
        #[serde(default)]
        priority: Option<crate::spec::Priority>,
    }

    fn read(value: Value) -> Result<Request> {
        read_request(value, |_| Vec::new())
    }

    fn faults(value: Value) -> Vec<(String, Code)> {
        let error = read(value).expect_err("wrong");
        error.field_errors().iter().map(|f| (f.field.clone(), f.code)).collect()
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let found = faults(json!({"tabel": 1, "limit": "ten"}));
        for expected in
            [("tabel", Code::UnknownField), ("limit", Code::InvalidField), ("table_name", Code::MissingField)]
        {
            assert!(found.contains(&(expected.0.to_owned(), expected.1)), "{expected:?} in {found:?}");
        }
    }

    #[test]
    fn a_choice_names_what_it_accepts() {
        let error = read(json!({"table_name": "a", "priority": "urgent"})).expect_err("wrong");
        assert_eq!(error.message(), "priority: must be one of `high`, `normal`, `low`");
        let error = read(json!([])).expect_err("wrong");
        assert_eq!(error.message(), "the body must be a JSON object");
    }

    #[test]
    fn both_spellings_are_one_field() {
        let request = read(json!({"tableName": "a", "limit": null})).expect("right");
        assert_eq!((request.table_name.as_str(), request.limit, request.priority), ("a", None, None));
        assert!(read(json!({"tableName": "a", "table_name": "a"})).is_ok());
        assert_eq!(
            faults(json!({"tableName": "a", "table_name": "b"})),
            [("table_name".into(), Code::ConflictingFields)]
        );
    }

    #[test]
    fn json_is_read_strictly() {
        assert_eq!(read_json(b" \n").expect_err("empty").code(), Code::EmptyBody);
        let error = read_json(b"{\"a\": 1,\n}").expect_err("bad");
        assert_eq!(error.code(), Code::InvalidJson);
        assert!(error.message().contains("line 2"), "{error}");
        let twice = read_json(br#"{"a": {"b": 1, "b": 1}}"#).expect_err("twice");
        assert_eq!((twice.code(), twice.field_errors()[0].field.as_str()), (Code::DuplicateField, "a.b"));
        assert_eq!(read_json("[".repeat(10_000).as_bytes()).expect_err("deep").code(), Code::InvalidJson);
        assert_eq!(read_json(b"{} {}").expect_err("two").code(), Code::InvalidJson);
        let long = format!("[{}0]", "0,".repeat(MAX_VALUES));
        assert_eq!(read_json(long.as_bytes()).expect_err("long").code(), Code::InvalidJson);
        assert_eq!(faults(json!({"table_name": "a\u{0}"})), [("table_name".into(), Code::InvalidField)]);
    }

    #[test]
    fn what_is_told_of_a_body_stays_short() {
        let name = "n".repeat(1000);
        let body = [
            format!("{{\"{name}\":").repeat(60),
            "{".into(),
            "\"a\":1,".repeat(9999),
            "\"a\":1".into(),
            "}".repeat(61),
        ];
        let twice = read_json(body.concat().as_bytes()).expect_err("twice");
        assert_eq!((twice.code(), twice.field_errors().len()), (Code::DuplicateField, 20));
        assert!(twice.message().len() < 5000 && twice.field_errors()[0].field.starts_with("nnn"));

        let unknown: Map<String, Value> = (0..1000).map(|n| (format!("x{n}"), json!(1))).collect();
        assert_eq!(faults(unknown.into()).len(), 20);
        let items = json!({"table_name": "a", "limit": vec!["\u{0}"; 1000]});
        assert_eq!(faults(items).len(), 20);
    }

    #[test]
    fn whole_floats_are_integers_and_a_refused_number_has_a_name() {
        let value = read_json(br#"{"table_name": "a", "limit": 1.0}"#).expect("JSON");
        assert_eq!(read(value).expect("right").limit, Some(1));
        assert_eq!(read_json(b"[1e3, 1.5, 1e300, -0.0]").expect("JSON"), json!([1000, 1.5, 1e300, 0]));
        let large = faults(json!({"table_name": "a", "limit": 5_000_000_000_u64}));
        assert_eq!(large, [("limit".into(), Code::InvalidField)]);
    }
}
