//! Bytes of a page with a charset of every kind. The first byte chooses the header.
#![no_main]
use icehaul_fuzz::extract::encoding;
use libfuzzer_sys::fuzz_target;

const TYPES: [Option<&str>; 8] = [
    None,
    Some("text/html"),
    Some("text/html; charset=utf-8"),
    Some("text/html;charset=\"ISO-8859-1\""),
    Some("text/html; charset=shift_jis"),
    Some("text/html; charset=utf-16le"),
    Some("text/html; charset=gb18030"),
    Some("text/html; charset=nonsense"),
];

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    let decoded = encoding::decode(bytes, TYPES[usize::from(*choice) % TYPES.len()]);
    assert!(decoded.text.len() <= bytes.len() * 3 + 3, "text far longer than its bytes");
});
