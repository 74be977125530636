//! robots.txt: rules that others wrote, asked about an address that others wrote.
#![no_main]
use icehaul_fuzz::crawl::robots::Robots;
use libfuzzer_sys::fuzz_target;
use url::Url;

fuzz_target!(|input: (u16, &str, &[u8])| {
    let (status, path, text) = input;
    let robots = Robots::of_answer(Some(status % 600), text, "icehaul");
    let address = Url::parse("https://example.org/").and_then(|url| url.join(path));
    if let Ok(url) = address {
        let _ = robots.allows(&url);
    }
    assert!(robots.crawl_delay().is_none_or(|delay| delay >= 0.0), "a delay that is none");
});
