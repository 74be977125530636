//! Buckets and keys, as requests name them.
use crate::{Code, FieldError};

/// The longest key, in bytes.
const MAX_KEY: usize = 1024;
const SCHEMES: [&str; 2] = ["s3://", "s3a://"];

/// Parts `s3://bucket/key`.
pub(super) fn parse(path: &str) -> Option<(&str, &str)> {
    SCHEMES.iter().find_map(|scheme| path.strip_prefix(scheme))?.split_once('/')
}

/// What is wrong with a bucket's name.
pub(crate) fn check_bucket(field: &str, bucket: &str) -> Option<FieldError> {
    let letter = |c: char| c.is_ascii_alphanumeric();
    let fine = (3..=255).contains(&bucket.len())
        && bucket.starts_with(letter)
        && bucket.ends_with(letter)
        && bucket.chars().all(|c| letter(c) || "._-".contains(c));
    let detail = "must be a bucket's name: 3 to 63 letters, digits, dots and hyphens";
    (!fine).then(|| FieldError { field: field.into(), code: Code::InvalidField, detail: detail.into() })
}

/// What is wrong with a key; one that means many may end in `/`.
pub(crate) fn check_key(field: &str, key: &str, many: bool) -> Option<FieldError> {
    let fault =
        |detail: &str| Some(FieldError { field: field.into(), code: Code::InvalidField, detail: detail.into() });
    let names = if many { key.strip_suffix('/').unwrap_or(key) } else { key };
    if key.is_empty() || key.len() > MAX_KEY {
        return fault("must be an object's key, of at most 1024 bytes");
    }
    if names.split('/').any(|name| matches!(name, "" | "." | "..")) {
        let advice = if !many && key.ends_with('/') { "; a key that ends in `/` is no object's" } else { "" };
        return fault(&format!("must be names with `/` between them, none of which is empty, `.` or `..`{advice}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        assert_eq!(parse("s3a://datalake/data/products.parquet"), Some(("datalake", "data/products.parquet")));
        assert_eq!(parse("s3://b/"), Some(("b", "")));
        assert!(["s3:/b/k", "http://b/k", "s3://b", "b/k"].iter().all(|path| parse(path).is_none()));
        for (bucket, fine) in
            [("datalake", true), ("a.b-c_1", true), ("ab", false), ("-ab", false), ("a b", false), ("a/b", false)]
        {
            assert_eq!(check_bucket("bucket", bucket).is_none(), fine, "{bucket}");
        }
        for (key, many, fine) in [
            ("a/b c/ü.csv", false, true),
            ("a/", true, true),
            ("a/", false, false),
            ("", true, false),
            ("/a", true, false),
            ("a//b", true, false),
            ("a/../b", false, false),
            ("//", true, false),
        ] {
            assert_eq!(check_key("key", key, many).is_none(), fine, "{key}");
        }
        assert!(check_key("key", &"k".repeat(1025), false).is_some());
    }
}
