//! Numbers in texts.

/// A number as it is written plainly: an optional minus, digits without needless zeros before them, and perhaps a point
/// with digits behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Digits before the point that count.
    pub whole: usize,
    /// Digits after it.
    pub scale: usize,
    /// The bits that an integer needs: 32, 64, or more.
    pub size: Size,
}

/// The smallest integer type that holds a number; of no meaning for one with digits after the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Size {
    Int,
    Long,
    Larger,
}

/// The shape of a plain number. Other spellings of numbers are `None`: they would not be given back as they are.
#[inline]
pub(super) fn shape(cell: &[u8]) -> Option<Shape> {
    let (negative, digits) = signed(cell);
    let (value, whole) = leading(digits);
    let zero_first = digits.first() == Some(&b'0');
    if zero_first && whole > 1 {
        return None;
    }
    let significant = whole - usize::from(zero_first);
    let Some((point, fraction)) = digits[whole..].split_first() else {
        let minus_zero = zero_first && negative;
        return (whole > 0 && !minus_zero).then(|| Shape {
            whole: significant,
            scale: 0,
            size: size(negative, value, whole),
        });
    };
    let plain = *point == b'.' && !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit);
    let minus_zero = negative && significant == 0 && fraction.iter().all(|d| *d == b'0');
    (plain && !minus_zero).then_some(Shape { whole: significant, scale: fraction.len(), size: Size::Int })
}

#[inline]
fn signed(cell: &[u8]) -> (bool, &[u8]) {
    match cell {
        [b'-', digits @ ..] => (true, digits),
        _ => (false, cell),
    }
}

/// The digits at the begin: their value (of no meaning beyond 19 of them) and number.
#[inline]
fn leading(text: &[u8]) -> (u64, usize) {
    let (mut value, mut count) = (0_u64, 0);
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        count += 1;
    }
    (value, count)
}

#[inline]
fn size(negative: bool, value: u64, digits: usize) -> Size {
    if digits > 19 || value > i64::MAX as u64 + u64::from(negative) {
        Size::Larger
    } else if value > i32::MAX as u64 + u64::from(negative) {
        Size::Long
    } else {
        Size::Int
    }
}

/// An integer of 64 bits, with a sign and leading zeros if the text has them.
#[inline]
#[must_use]
pub(super) fn integer(cell: &[u8]) -> Option<i64> {
    let (negative, digits) = signed(cell);
    let digits = digits.strip_prefix(b"+").filter(|_| !negative).unwrap_or(digits);
    let (value, count) = leading(digits);
    if count != digits.len() || count == 0 {
        return None;
    }
    if count > 19 || size(negative, value, count) == Size::Larger {
        return if count > 19 { zeros_before(cell, digits) } else { None };
    }
    Some(if negative { (value as i64).wrapping_neg() } else { value as i64 })
}

/// More than 19 digits are a 64-bit integer only with zeros before them.
#[cold]
fn zeros_before(cell: &[u8], digits: &[u8]) -> Option<i64> {
    let zeros = digits.iter().take_while(|d| **d == b'0').count();
    let sign = cell.first().filter(|sign| **sign == b'-').map_or("", |_| "-");
    let rest = std::str::from_utf8(&digits[zeros.min(digits.len() - 1)..]).ok()?;
    format!("{sign}{rest}").parse().ok()
}

/// A decimal's unscaled value, exactly: digits beyond `scale` must be zeros, and the value must stay below `limit`.
#[inline]
#[must_use]
pub(super) fn decimal(cell: &[u8], scale: u8, limit: i128) -> Option<i128> {
    let (negative, digits) = signed(cell);
    let digits = digits.strip_prefix(b"+").filter(|_| !negative).unwrap_or(digits);
    let (value, whole) = leading(digits);
    let fraction = match &digits[whole..] {
        [] if whole > 0 => &[],
        [b'.', fraction @ ..] if whole + fraction.len() > 0 => fraction,
        _ => return None,
    };
    let scale = usize::from(scale);
    let sum = if whole + scale <= 18 && fraction.len() <= scale {
        let (part, count) = leading(fraction);
        if count != fraction.len() {
            return None;
        }
        i128::from((value * POWERS[count] + part) * POWERS[scale - count])
    } else {
        long_decimal(&digits[..whole], fraction, scale)?
    };
    (sum < limit).then_some(if negative { -sum } else { sum })
}

fn long_decimal(whole: &[u8], fraction: &[u8], scale: usize) -> Option<i128> {
    let (kept, beyond) = fraction.split_at(scale.min(fraction.len()));
    if beyond.iter().any(|digit| *digit != b'0') {
        return None;
    }
    let zeros = std::iter::repeat_n(&b'0', scale - kept.len());
    whole.iter().chain(kept).chain(zeros).try_fold(0_i128, |sum, digit| match digit.wrapping_sub(b'0') {
        digit @ 0..=9 => sum.checked_mul(10)?.checked_add(i128::from(digit)),
        _ => None,
    })
}

const POWERS: [u64; 19] = {
    let mut powers = [1; 19];
    let mut n = 1;
    while n < powers.len() {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

/// Ten to the power of a decimal's precision: what all its unscaled values are below.
#[must_use]
pub(super) const fn limit(precision: u8) -> i128 {
    10_i128.pow(precision as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_numbers_have_a_shape() {
        let of = |text: &str| shape(text.as_bytes()).map(|s| (s.whole, s.scale, s.size));
        for (text, expected) in [
            ("0", (0, 0, Size::Int)),
            ("-2147483648", (10, 0, Size::Int)),
            ("2147483648", (10, 0, Size::Long)),
            ("-9223372036854775808", (19, 0, Size::Long)),
            ("9223372036854775808", (19, 0, Size::Larger)),
            ("18446744073709551617", (20, 0, Size::Larger)),
            ("0.50", (0, 2, Size::Int)),
            (".5", (0, 1, Size::Int)),
            ("-12.345", (2, 3, Size::Int)),
        ] {
            assert_eq!(of(text), Some(expected), "{text}");
        }
        for text in
            ["", "-", ".", "007", "00", "-0", "-0.00", "+1", "1e3", "1.", "1,5", "1.2.3", " 1", "1 ", "0x1", "--1", "١"]
        {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn integers_are_read_in_every_spelling() {
        let of = |text: &str| integer(text.as_bytes());
        assert_eq!(of("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(of("9223372036854775807"), Some(i64::MAX));
        assert_eq!(of("+007"), Some(7));
        assert_eq!(of("-00000000000000000000000000012"), Some(-12));
        assert_eq!(of("00000000000000000000000000000"), Some(0));
        for text in
            ["9223372036854775808", "-9223372036854775809", "", "-", "+", "+-1", "-+1", "1.0", "99999999999999999999"]
        {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn decimals_lose_no_digit() {
        let of = |text: &str, scale| decimal(text.as_bytes(), scale, limit(20));
        assert_eq!(of("1.5", 2), Some(150));
        assert_eq!(of("-.5", 2), Some(-50));
        assert_eq!(of("5.", 2), Some(500));
        assert_eq!(of("1.5000", 2), Some(150));
        assert_eq!(of("-0.00", 2), Some(0));
        assert_eq!(of("99999999999999999999", 0), Some(limit(20) - 1));
        for (text, scale) in
            [("1.505", 2), ("100000000000000000000", 0), ("1e3", 2), (".", 1), ("", 1), ("1.x", 2), ("1.000x", 2)]
        {
            assert_eq!(of(text, scale), None, "{text}");
        }
        assert_eq!(decimal(b"12.345", 3, limit(4)), None);
        assert_eq!(decimal("9".repeat(60).as_bytes(), 0, limit(38)), None);
    }

    proptest::proptest! {
        #[test]
        fn every_decimal_comes_back(value in -(limit(38) - 1)..limit(38), scale in 0_u8..=38) {
            let digits = format!("{:0>width$}", value.unsigned_abs(), width = usize::from(scale) + 1);
            let (whole, part) = digits.split_at(digits.len() - usize::from(scale));
            let point = if scale > 0 { "." } else { "" };
            let text = format!("{}{whole}{point}{part}", if value < 0 { "-" } else { "" });
            proptest::prop_assert_eq!(decimal(text.as_bytes(), scale, limit(38)), Some(value));
        }

        #[test]
        fn every_integer_comes_back(value in proptest::num::i64::ANY) {
            let text = value.to_string();
            proptest::prop_assert_eq!(integer(text.as_bytes()), Some(value));
            proptest::prop_assert!(shape(text.as_bytes()).is_some_and(|s| s.size <= Size::Long));
        }
    }
}
