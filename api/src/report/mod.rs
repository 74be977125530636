//! Reports as pages: self-contained, so that they can be kept, printed and mailed.
mod bars;
mod batch;
mod page;
mod sections;
mod table;
mod trail;

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

pub(crate) use batch::batch_page;
pub(crate) use page::page;

/// The page's only style. It stands in the page itself, so that one file is all there is.
const STYLE: &str = include_str!("../pages/report.css");

/// What the page may load: nothing, and its style is known by its hash.
pub(crate) fn policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
    });
    &POLICY
}

/// Text as HTML shows it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// A number with commas.
fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_table_becomes_markup() {
        assert_eq!(escaped("<b a=\"1\" c='2'>&\u{1b}"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;\\u{1b}");
    }

    #[test]
    fn numbers_have_commas() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn the_style_is_known_by_its_hash() {
        assert!(policy().contains("style-src 'sha256-") && !STYLE.contains("</style"));
    }
}
