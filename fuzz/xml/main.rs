//! XML answers: items by a path, values elsewhere, entities and depth refused. The first byte chooses the path.
#![no_main]
use icehaul_fuzz::{
    extract::{
        json::{self, Strings},
        xml::{self, Meant, Path},
    },
    limits,
};
use libfuzzer_sys::fuzz_target;

const PATHS: [&str; 6] = ["//item", "channel/item", "/a/b", "//a/b", "item", "//td"];

fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let limits = limits();
    let (Ok(items), value) = (Path::parse(PATHS[usize::from(*choice) % PATHS.len()]), Path::parse("next").ok()) else {
        return;
    };
    let mut rows = json::rows(&limits, Strings::Free, choice % 2 == 0);
    let mut count = 0;
    let meant = Meant { items: &items, value: value.as_ref() };
    let found = xml::read(text, &meant, &limits, &mut |item| {
        count += 1;
        let _ = xml::within(&item, "a/@b");
        rows.push(&item)
    });
    if let Ok(found) = found {
        assert_eq!(found.items, count, "items are counted");
        let _ = rows.finish();
    }
});
