//! Numerics of the wire as decimals and text.
use super::*;

/// Encodes as `numeric_send` does: aligned at the point, zero groups at both ends left out.
fn sent(text: &str) -> Vec<u8> {
    let (sign, digits) = text.strip_prefix('-').map_or((0_u16, text), |rest| (0x4000, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
    let tail = format!("{part}{}", "0".repeat((4 - part.len() % 4) % 4));
    let mut weight = (whole.len() / 4) as i16 - 1;
    let all = whole + &tail;
    let mut groups: Vec<u16> =
        all.as_bytes().chunks(4).map(|g| std::str::from_utf8(g).expect("ascii").parse().expect("digits")).collect();
    while groups.first() == Some(&0) {
        groups.remove(0);
        weight -= 1;
    }
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    let head = [groups.len() as u16, weight as u16, sign, part.len() as u16];
    head.iter().chain(&groups).flat_map(|n| n.to_be_bytes()).collect()
}

#[test]
fn numbers_are_exact_or_refused() {
    let nines = "9".repeat(38);
    for (text, precision, scale, value) in [
        ("0", 5, 2, Ok(0)),
        ("-12.34", 5, 2, Ok(-1234)),
        ("999999999.99", 11, 2, Ok(99_999_999_999)),
        ("0.0001", 10, 4, Ok(1)),
        ("0.00000001", 10, 8, Ok(1)),
        ("100000000", 9, 0, Ok(100_000_000)),
        ("1234567890123456789.5", 20, 1, Ok(12_345_678_901_234_567_895)),
        (&nines, 38, 0, Ok(limit(38) - 1)),
        (&format!("{}.12", "9".repeat(36)), 38, 2, Ok(limit(38) - 100 + 12)),
        (&format!("-0.{nines}"), 38, 38, Ok(1 - limit(38))),
        ("1e", 0, 0, Err(Fault::Malformed)),
        ("12.345", 5, 2, Err(Fault::TooManyDigits)),
        ("1000", 3, 0, Err(Fault::TooManyDigits)),
        (&format!("1{}", "0".repeat(38)), 38, 0, Err(Fault::TooManyDigits)),
        (&format!("1{}", "0".repeat(4000)), 38, 0, Err(Fault::TooManyDigits)),
        (&format!("0.{}1", "0".repeat(60)), 38, 38, Err(Fault::TooManyDigits)),
    ] {
        let cell = if text == "1e" { vec![0, 1, 0, 0, 0, 0, 0, 0] } else { sent(text) };
        assert_eq!(unscaled(&cell, scale, limit(precision)), value, "{text}");
    }
    assert_eq!(unscaled(&[0, 0, 0, 0, 0xC0, 0, 0, 0], 2, limit(5)), Err(Fault::NotANumber));
    assert_eq!(unscaled(&[0, 0, 0, 0, 0xD0, 0, 0, 0x20], 2, limit(5)), Err(Fault::Infinite));
    assert_eq!(unscaled(&[0, 0], 2, limit(5)), Err(Fault::Malformed));
    for count in [1_u16, 3, 6] {
        for wrong in 0..count {
            let head = [count, count - 1, 0, 0];
            let groups = (0..count).map(|n| if n == wrong { 10_000 } else { 1 });
            let cell: Vec<u8> = head.into_iter().chain(groups).flat_map(u16::to_be_bytes).collect();
            assert_eq!(unscaled(&cell, 2, limit(38)), Err(Fault::Malformed), "group {wrong} of {count}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn every_decimal_comes_back(value in -(limit(38) - 1)..limit(38), scale in 0_u8..=38) {
        let digits = format!("{:0>width$}", value.unsigned_abs(), width = usize::from(scale) + 1);
        let (whole, part) = digits.split_at(digits.len() - usize::from(scale));
        let text = format!("{}{whole}.{part}", if value < 0 { "-" } else { "" });
        proptest::prop_assert_eq!(unscaled(&sent(&text), scale, limit(38)), Ok(value));
    }

    #[test]
    fn no_bytes_make_it_panic(cell in proptest::collection::vec(proptest::num::u8::ANY, 0..64), scale in 0_u8..=38) {
        let _ = unscaled(&cell, scale, limit(38));
    }
}
