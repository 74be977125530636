//! Where an answer says that the next page is: `Link` headers, addresses, `Retry-After`; and walks along them end.
#![no_main]
use icehaul_fuzz::crawl::{
    pages::{Answer, Pagination, Walk, next_link},
    retry_after,
};
use libfuzzer_sys::fuzz_target;
use url::Url;

const STYLES: [&str; 5] = [
    r#"{"style": "link_header"}"#,
    r#"{"style": "next_url", "path": "$.next"}"#,
    r#"{"style": "cursor", "path": "$.next"}"#,
    r#"{"style": "next_selector", "path": "a@href"}"#,
    r#"{"style": "offset", "size": 1}"#,
];

fuzz_target!(|input: (u8, Vec<&str>)| {
    let (style, told) = input;
    for text in &told {
        let _ = (next_link(text), retry_after::parse(text, std::time::SystemTime::now()));
    }
    let Ok(pagination) = serde_json::from_str::<Pagination>(STYLES[usize::from(style) % STYLES.len()]) else { return };
    let Ok(first) = Url::parse("https://example.org/list?a=b") else { return };
    let mut walk = Walk::new(&pagination, &first);
    for (n, text) in told.iter().enumerate() {
        let (page, at) = (walk.current().0, walk.current().1.clone());
        assert_eq!(usize::try_from(page), Ok(n + 1), "pages are counted");
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&(n as u64).to_le_bytes());
        match walk.advance(&pagination, &first, &at, &Answer { rows: 1, digest, next: Some(text) }) {
            Ok(true) => assert_eq!(walk.current().1.host_str(), first.host_str(), "another host"),
            _ => return,
        }
    }
});
