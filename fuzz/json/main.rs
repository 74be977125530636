//! JSON answers: the reader, paths and queries, rows of what they find. The first byte chooses the path.
#![no_main]
use icehaul_fuzz::{
    extract::json::{self, Path, Strings},
    limits,
};
use libfuzzer_sys::fuzz_target;

const PATHS: [&str; 8] =
    ["$", "", "data.items", "$.data[*]", "$..items[0:3]", "$[?@.a > 1 && @.b]", "items", "$['a','b'][::2]"];

fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let limits = limits();
    let Ok(document) = json::parse(text, &limits) else { return };
    // What serde_json takes and we do not would be a hole; it takes less of what is nested deep and of odd numbers.
    let Ok(path) = Path::parse(PATHS[usize::from(*choice) % PATHS.len()]) else { return };
    let _ = json::value(&document, &path);
    for nested in [false, true] {
        let Ok(found) = json::extract(&document, &path, &[], json::rows(&limits, Strings::Meant, nested)) else {
            return;
        };
        use arrow_array::Array;
        assert!(found.columns.iter().all(|column| column.cells.len() == found.rows), "columns of different lengths");
    }
});
