//! The values of a cursor, compared as what they are: numbers, moments or texts.
use std::cmp::Ordering;

use arrow_array::{Array, BooleanArray, StringArray};

use crate::transform::infer::moment;

/// Which of two values is the later one.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return a.cmp(&b);
    }
    match (moment(a.as_bytes()), moment(b.as_bytes())) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}

/// The later of a value and the cells.
pub(super) fn newest(before: Option<String>, cells: &StringArray) -> Option<String> {
    let mut newest = before;
    for cell in cells.iter().flatten() {
        if newest.as_deref().is_none_or(|known| compare(cell, known).is_gt()) {
            newest = Some(cell.to_owned());
        }
    }
    newest
}

/// Which cells are beyond a value. Without a value all are that have one themselves; with `nulls` the others too.
pub(super) fn beyond(cells: &StringArray, after: Option<&str>, nulls: bool) -> BooleanArray {
    let is_new = |cell: Option<&str>| match (cell, after) {
        (None, _) => nulls,
        (Some(_), None) => true,
        (Some(cell), Some(after)) => compare(cell, after).is_gt(),
    };
    (0..cells.len()).map(|n| Some(is_new(cells.is_valid(n).then(|| cells.value(n))))).collect()
}

/// A plain number: its sign, digits before the point without zeros before them, digits after it without zeros at their end.
#[derive(PartialEq, Eq)]
struct Number<'t> {
    negative: bool,
    whole: &'t str,
    part: &'t str,
}

impl<'t> Number<'t> {
    fn of(text: &'t str) -> Option<Self> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = !whole.is_empty() && whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit());
        let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
        let negative = negative && !(whole.is_empty() && part.is_empty());
        plain.then_some(Self { negative, whole, part })
    }
}

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = || {
            let whole = (self.whole.len(), self.whole).cmp(&(other.whole.len(), other.whole));
            whole.then_with(|| self.part.cmp(other.part))
        };
        match (self.negative, other.negative) {
            (false, false) => size(),
            (true, true) => size().reverse(),
            (negative, _) => {
                if negative {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
        }
    }
}

impl PartialOrd for Number<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_as_what_they_are() {
        for (smaller, larger) in [
            ("9", "10"),
            ("-10", "-9"),
            ("-1", "0"),
            ("1.25", "1.5"),
            ("99999999999999999999", "100000000000000000000"),
            ("2024-01-02", "2024-01-10"),
            ("2024-01-01T12:00:00+02:00", "2024-01-01T11:00:00Z"),
            ("2024-01-01T12:00:00Z", "2024-01-01T12:00:00.5Z"),
            ("abc", "abd"),
        ] {
            assert_eq!(compare(smaller, larger), Ordering::Less, "{smaller} {larger}");
            assert_eq!(compare(larger, smaller), Ordering::Greater, "{smaller} {larger}");
        }
        assert_eq!(compare("1.50", "01.5"), Ordering::Equal);
        assert_eq!(compare("-0", "0.0"), Ordering::Equal);
    }

    #[test]
    fn only_what_is_beyond_is_new() {
        let cells = StringArray::from(vec![Some("9"), None, Some("10"), Some("11")]);
        let mask =
            |after, nulls| beyond(&cells, after, nulls).iter().map(Option::unwrap_or_default).collect::<Vec<_>>();
        assert_eq!(mask(Some("10"), false), [false, false, false, true]);
        assert_eq!(mask(None, false), [true, false, true, true]);
        assert_eq!(mask(None, true), [true; 4]);
        assert_eq!(newest(None, &cells).as_deref(), Some("11"));
        assert_eq!(newest(Some("12".into()), &cells).as_deref(), Some("12"));
        assert_eq!(newest(None, &StringArray::from(vec![None::<&str>])), None);
    }
}
