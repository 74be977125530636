//! The first address, with the request's parameters in it.
use std::collections::BTreeMap;

use url::Url;

use super::Scalar;
use crate::{Code, Error, Result};

/// The address of a request, with parameters set in place of those of the same names.
pub(super) fn first(url: &str, params: &BTreeMap<String, Scalar>, since: Option<(&str, &str)>) -> Result<Url> {
    let wrong = |e| Error::field("url", Code::InvalidField, "is no address").caused_by(e);
    let mut address = Url::parse(url).map_err(wrong)?;
    address.set_fragment(None);
    let mut set: Vec<(String, String)> = params.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
    if let Some((name, value)) = since {
        set.retain(|(other, _)| other != name);
        set.push((name.to_owned(), value.to_owned()));
    }
    if set.is_empty() {
        return Ok(address);
    }
    let kept: Vec<_> =
        address.query_pairs().into_owned().filter(|(name, _)| set.iter().all(|(n, _)| n != name)).collect();
    address.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(set);
    Ok(address)
}

/// An address as it may be shown and kept: parameters can hold keys.
pub(super) fn bare(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_set() {
        let params = BTreeMap::from([
            ("state".to_owned(), Scalar::Text("a b&c".into())),
            ("per_page".to_owned(), Scalar::Integer(100)),
            ("open".to_owned(), Scalar::Bool(true)),
        ]);
        let of = |url: &str, since| first(url, &params, since).expect("an address").to_string();
        assert_eq!(
            of("https://x.org/a?state=old&z=1#top", None),
            "https://x.org/a?z=1&open=true&per_page=100&state=a+b%26c"
        );
        assert!(
            of("https://x.org/a", Some(("state", "2024-01-01T00:00:00+02:00")))
                .ends_with("&state=2024-01-01T00%3A00%3A00%2B02%3A00")
        );
        let untouched = first("https://x.org/a?q=%20x", &BTreeMap::new(), None).expect("an address");
        assert_eq!(untouched.as_str(), "https://x.org/a?q=%20x");
        assert_eq!(bare(&untouched), "https://x.org/a");
    }
}
