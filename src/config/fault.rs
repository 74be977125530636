//! The reader's errors as sentences that name the key as the user has written it.
use figment::error::{Error, Kind, OneOf};

/// One line for each thing that is wrong.
pub(super) fn sentences(errors: Error) -> Vec<String> {
    errors.into_iter().map(|error| sentence(&error)).collect()
}

fn sentence(error: &Error) -> String {
    let mut path = error.path.clone();
    // The reader names the table that holds an unknown or missing key, and at times the key too.
    let named = match &error.kind {
        Kind::UnknownField(name, _) => Some(name.as_str()),
        Kind::MissingField(name) => Some(name.as_ref()),
        _ => None,
    };
    if let Some(name) = named
        && path.last().is_none_or(|last| last != name)
    {
        path.push(name.to_owned());
    }
    let what = what(&error.kind);
    match &error.metadata {
        Some(place) if place.name.contains("environment") => {
            let key = path.join("__").to_ascii_uppercase();
            format!("ICEHAUL_{key}: {what}")
        }
        place => {
            let file = place.as_ref().and_then(|place| place.source.as_ref());
            let file = file.map(|file| format!("{file}: ")).unwrap_or_default();
            let key = if path.is_empty() { String::new() } else { format!("{}: ", path.join(".")) };
            format!("{file}{key}{what}")
        }
    }
}

fn what(kind: &Kind) -> String {
    match kind {
        Kind::UnknownField(_, known) => format!("this key is not known here; known are {}", list(known)),
        Kind::UnknownVariant(found, known) => format!("`{found}` must be {}", OneOf(known)),
        Kind::MissingField(_) => "this key is missing".to_owned(),
        Kind::InvalidType(found, wanted) | Kind::InvalidValue(found, wanted) => {
            format!("must be {}, not {found}", plain(wanted))
        }
        Kind::Message(message) if message.contains("untagged enum SecretSource") => {
            "a secret must be a text (in a variable, one of digits alone needs quotes: `\"12345\"`), { file = \"…\" } or { env = \"…\" }".to_owned()
        }
        Kind::Message(message) if message.contains("untagged enum KeySource") => {
            "`access_key` and `secret_key` must be a text (in a variable, one of digits alone needs quotes: `\"12345\"`), { file = \"…\" } or { env = \"…\" }".to_owned()
        }
        Kind::Message(message) => message.trim().to_owned(),
        other => other.to_string(),
    }
}

/// What was expected, without the names of our types.
fn plain(wanted: &str) -> &str {
    match wanted {
        _ if wanted.contains("enum") || wanted.starts_with("struct") || wanted == "a map" => "a table of keys",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a positive whole number",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a string" | "path string" => "a text",
        "a boolean" => "true or false",
        other => other,
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
