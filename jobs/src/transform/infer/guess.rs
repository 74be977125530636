//! The type that all cells of a column have in common.
use std::fmt;

use super::{
    kind::{Kind, MAX_DIGITS},
    number::{self, Size},
    time,
};

/// Integers of so many digits are exact as `float` and `double`.
const FLOAT_DIGITS: usize = 7;
const DOUBLE_DIGITS: usize = 15;

/// What the cells of a column have in common so far; NULLs are not among them.
#[derive(Clone, Debug, Default)]
pub struct Guess(Seen);

#[derive(Clone, Copy, Debug, Default)]
enum Seen {
    #[default]
    Nothing,
    Boolean,
    Number(Numbers),
    Date,
    Stamp(Stamps),
    Text(Option<Why>),
}

#[derive(Clone, Copy, Debug)]
struct Numbers {
    whole: usize,
    scale: usize,
    size: Size,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamps {
    /// They have offsets from UTC.
    zone: bool,
    /// Some of these are not zero.
    offsets: bool,
}

/// Why a column is text although a cell of it looks like something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    LeadingZero,
    PlusSign,
    MinusZero,
    Exponent,
    Nanoseconds,
    NoSuchDay,
    TooManyDigits,
    Empty,
    Mixed(&'static str, &'static str),
}

/// A column's type, once all cells were seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The type.
    pub kind: Kind,
    /// What the column looked like, and what that means for its values, where it is not obvious.
    pub note: Option<(String, String)>,
}

impl Guess {
    /// A column that is text without a look at its cells.
    #[must_use]
    pub const fn text() -> Self {
        Self(Seen::Text(None))
    }

    /// Takes a cell. `false` as soon as the column is text: no other cell will change that.
    #[inline]
    pub fn observe(&mut self, cell: &[u8]) -> bool {
        match &mut self.0 {
            Seen::Number(numbers) => {
                if let Some(shape) = number::shape(cell) {
                    numbers.add(shape.whole, shape.scale, shape.size);
                    return true;
                }
            }
            Seen::Date if time::date(cell).is_some() => return true,
            Seen::Stamp(stamps) => {
                if let Some(stamp) = time::stamp(cell)
                    && stamp.offset.is_some() == stamps.zone
                {
                    stamps.offsets |= stamp.offset.unwrap_or(0) != 0;
                    return true;
                }
            }
            Seen::Boolean if boolean(cell).is_some() => return true,
            Seen::Text(_) => return false,
            _ => {}
        }
        self.change(cell)
    }

    /// Takes a cell that is the first or unlike those before it.
    #[cold]
    fn change(&mut self, cell: &[u8]) -> bool {
        let found = Seen::of(cell);
        self.0 = match (self.0, found) {
            (Seen::Nothing, Seen::Text(why)) => Seen::Text(why.filter(|why| *why != Why::Empty)),
            (Seen::Nothing, found) => found,
            (before, Seen::Text(why)) => Seen::Text(why.or(Some(Why::Mixed(before.name(), "texts")))),
            (before, found) => Seen::Text(Some(Why::Mixed(before.name(), found.name()))),
        };
        !self.is_text()
    }

    /// Takes what other cells have in common. `false` if the column is text.
    pub fn merge(&mut self, other: &Self) -> bool {
        self.0 = match (self.0, other.0) {
            (Seen::Nothing, seen) | (seen, Seen::Nothing) => seen,
            (text @ Seen::Text(_), _) => text,
            (before, Seen::Text(None)) => Seen::Text(Some(Why::Mixed(before.name(), "texts"))),
            (_, text @ Seen::Text(_)) => text,
            (Seen::Number(mut a), Seen::Number(b)) => {
                a.add(b.whole, b.scale, b.size);
                Seen::Number(a)
            }
            (Seen::Stamp(a), Seen::Stamp(b)) if a.zone == b.zone => {
                Seen::Stamp(Stamps { offsets: a.offsets || b.offsets, ..a })
            }
            (Seen::Boolean, Seen::Boolean) => Seen::Boolean,
            (Seen::Date, Seen::Date) => Seen::Date,
            (a, b) => Seen::Text(Some(Why::Mixed(a.name(), b.name()))),
        };
        !self.is_text()
    }

    /// Whether the column is text, whatever comes.
    #[must_use]
    pub const fn is_text(&self) -> bool {
        matches!(self.0, Seen::Text(_))
    }

    /// Whether all cells so far are numbers.
    #[must_use]
    pub const fn is_number(&self) -> bool {
        matches!(self.0, Seen::Number(_))
    }

    /// Whether there was no cell.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        matches!(self.0, Seen::Nothing)
    }

    /// The type of a table's column, if every cell has it and is given back as it is; of a decimal perhaps with more
    /// digits before the point, to which the table's can be widened.
    #[must_use]
    pub fn fit(&self, table: Kind) -> Option<Kind> {
        let fits = match (self.0, table) {
            (Seen::Nothing, _) | (_, Kind::String) => true,
            (Seen::Boolean, Kind::Boolean) | (Seen::Date, Kind::Date) => true,
            (Seen::Stamp(stamps), Kind::Timestamp) => !stamps.zone,
            (Seen::Stamp(stamps), Kind::TimestampTz) => stamps.zone,
            (Seen::Number(numbers), _) => return numbers.fit(table),
            _ => false,
        };
        fits.then_some(table)
    }

    /// The type. `place` is where the cell lies that made the column text, if the caller knows: `line 7: "n/a"`.
    #[must_use]
    pub fn decide(&self, place: Option<&str>) -> Decided {
        let plain = |kind| Decided { kind, note: None };
        match self.0 {
            Seen::Nothing | Seen::Text(None) => plain(Kind::String),
            Seen::Boolean => plain(Kind::Boolean),
            Seen::Date => plain(Kind::Date),
            Seen::Stamp(Stamps { zone: false, .. }) => plain(Kind::Timestamp),
            Seen::Stamp(Stamps { offsets: false, .. }) => plain(Kind::TimestampTz),
            Seen::Stamp(_) => {
                let note = "the moments are kept, their offsets from UTC are not".to_owned();
                Decided { kind: Kind::TimestampTz, note: Some(("timestamps with offsets".into(), note)) }
            }
            Seen::Number(numbers) => match numbers.kind() {
                Some(kind) => plain(kind),
                None => text(Why::TooManyDigits, None),
            },
            Seen::Text(Some(why)) => text(why, place),
        }
    }
}

fn text(why: Why, place: Option<&str>) -> Decided {
    let what = match why {
        Why::Mixed(before, found) => format!("{before}, then {found}"),
        Why::Empty => "empty texts among others".into(),
        Why::NoSuchDay => "days".into(),
        Why::Nanoseconds => "timestamps".into(),
        _ => "numbers".into(),
    };
    let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
    Decided { kind: Kind::String, note: Some((what, format!("kept as text: {why}{place}"))) }
}

impl Seen {
    /// What a cell is on its own.
    fn of(cell: &[u8]) -> Self {
        if let Some(shape) = number::shape(cell) {
            return Self::Number(Numbers { whole: shape.whole, scale: shape.scale, size: shape.size });
        }
        if boolean(cell).is_some() {
            return Self::Boolean;
        }
        if time::date(cell).is_some() {
            return Self::Date;
        }
        match time::stamp(cell) {
            Some(stamp) => {
                Self::Stamp(Stamps { zone: stamp.offset.is_some(), offsets: stamp.offset.unwrap_or(0) != 0 })
            }
            None => Self::Text(Why::of(cell)),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Boolean => "booleans",
            Self::Number(_) => "numbers",
            Self::Date => "dates",
            Self::Stamp(Stamps { zone: true, .. }) => "timestamps with offsets",
            Self::Stamp(_) => "timestamps",
            Self::Text(_) => "texts",
        }
    }
}

impl Numbers {
    #[inline]
    fn add(&mut self, whole: usize, scale: usize, size: Size) {
        self.whole = self.whole.max(whole);
        self.scale = self.scale.max(scale);
        self.size = self.size.max(size);
    }

    /// See [`Guess::fit`].
    fn fit(self, table: Kind) -> Option<Kind> {
        let whole = self.scale == 0;
        let fits = match table {
            Kind::Int => whole && self.size == Size::Int,
            Kind::Long => whole && self.size <= Size::Long,
            Kind::Float => whole && self.whole <= FLOAT_DIGITS,
            Kind::Double => whole && self.whole <= DOUBLE_DIGITS,
            Kind::Decimal { precision, scale } if self.scale <= usize::from(scale) => {
                let precision = u8::try_from(self.whole).ok()?.checked_add(scale)?.max(precision);
                return (precision <= MAX_DIGITS).then_some(Kind::Decimal { precision, scale });
            }
            _ => false,
        };
        fits.then_some(table)
    }

    /// The narrowest type that holds all of them with all their digits.
    fn kind(self) -> Option<Kind> {
        match (self.scale, self.size) {
            (0, Size::Int) => return Some(Kind::Int),
            (0, Size::Long) => return Some(Kind::Long),
            _ => {}
        }
        let precision = u8::try_from((self.whole + self.scale).max(1)).ok()?;
        let scale = u8::try_from(self.scale).ok()?;
        (precision <= MAX_DIGITS).then_some(Kind::Decimal { precision, scale })
    }
}

/// `true` or `false`, in small or capital letters or with a capital first one.
#[inline]
pub(super) fn boolean(cell: &[u8]) -> Option<bool> {
    match cell {
        b"true" | b"True" | b"TRUE" => Some(true),
        b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

impl Why {
    /// Why a text is not what it looks like; `None` if it looks like nothing but text.
    fn of(cell: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(cell.get(..cell.len().min(64))?).ok()?;
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let plain = unsigned.bytes().all(|b| b.is_ascii_digit() || b == b'.') && unsigned.parse::<f64>().is_ok();
        if text.is_empty() {
            return Some(Self::Empty);
        }
        if plain {
            return match text.as_bytes() {
                [b'+', ..] => Some(Self::PlusSign),
                [b'-', ..] if text.parse() == Ok(0.0) => Some(Self::MinusZero),
                [b'-', b'0', ..] | [b'0', ..] => Some(Self::LeadingZero),
                _ => None,
            };
        }
        if unsigned.starts_with(|c: char| c.is_ascii_digit())
            && text.contains(['e', 'E'])
            && text.parse::<f64>().is_ok()
        {
            return Some(Self::Exponent);
        }
        let digits = |range| text.get(range).is_some_and(|part: &str| part.bytes().all(|b| b.is_ascii_digit()));
        let day =
            digits(0..4) && digits(5..7) && digits(8..10) && text.get(4..5) == Some("-") && text.get(7..8) == Some("-");
        if day && time::date(&cell[..10]).is_none() {
            return Some(Self::NoSuchDay);
        }
        (day && text.get(19..20) == Some(".") && digits(20..27)).then_some(Self::Nanoseconds)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeadingZero => "a number with leading zeros would lose them; give `schema` if it shall",
            Self::PlusSign => "a number with a plus sign would lose it; give `schema` if it shall",
            Self::MinusZero => "no integer or decimal is -0; give `schema` if it may become 0",
            Self::Exponent => "a number with an exponent has no exact type; give `schema` to have double",
            Self::Nanoseconds => "a second has more than 6 digits after the point, which a timestamp cannot hold",
            Self::NoSuchDay => "the calendar has no such day",
            Self::TooManyDigits => "together the numbers have more than 38 digits, the most that a decimal has",
            Self::Empty => "it also has empty texts in quotes; if these mean NULL, say `null_values`: [\"\"]",
            Self::Mixed(before, found) => {
                return write!(f, "it has {before} and {found}; `null_values` and `schema` can change that");
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(cells: &[&str]) -> Guess {
        let mut guess = Guess::default();
        for cell in cells {
            guess.observe(cell.as_bytes());
        }
        guess
    }

    #[test]
    fn all_cells_decide() {
        let decimal = |precision, scale| Kind::Decimal { precision, scale };
        let long = "9".repeat(38);
        for (cells, kind) in [
            (&[][..], Kind::String),
            (&["true", "False", "TRUE"], Kind::Boolean),
            (&["true", "1"], Kind::String),
            (&["yes"], Kind::String),
            (&["0", "-12", "2147483647"], Kind::Int),
            (&["0", "2147483648"], Kind::Long),
            (&["1", "9223372036854775808"], decimal(19, 0)),
            (&["1.5", "10", "2.25"], decimal(4, 2)),
            (&["0.5", "0.25"], decimal(2, 2)),
            (&["0", "0.0"], decimal(1, 1)),
            (&[long.as_str()], decimal(38, 0)),
            (&[long.as_str(), "0.5"], Kind::String),
            (&["1", "007"], Kind::String),
            (&["1", "-0"], Kind::String),
            (&["1", "+1"], Kind::String),
            (&["1", "1e3"], Kind::String),
            (&["1", " 2"], Kind::String),
            (&["2024-02-29", "1999-12-31"], Kind::Date),
            (&["2024-02-29", "2023-02-29"], Kind::String),
            (&["2024-02-29", "2024-02-29T10:00"], Kind::String),
            (&["2024-02-29 10:00:00", "2024-02-29T10:00:00.123456"], Kind::Timestamp),
            (&["2024-02-29 10:00:00.1234567"], Kind::String),
            (&["2024-02-29T10:00:00Z", "2024-02-29 10:00:00+01:00"], Kind::TimestampTz),
            (&["2024-02-29T10:00:00Z", "2024-02-29T10:00:00"], Kind::String),
            (&["a", "1"], Kind::String),
        ] {
            assert_eq!(guess(cells).decide(None).kind, kind, "{cells:?}");
            // The order, and the place where the cells are cut in two, do not matter.
            let reversed: Vec<_> = cells.iter().rev().copied().collect();
            assert_eq!(guess(&reversed).decide(None).kind, kind, "{reversed:?}");
            for cut in 0..=cells.len() {
                let mut merged = guess(&cells[..cut]);
                merged.merge(&guess(&cells[cut..]));
                assert_eq!(merged.decide(None).kind, kind, "{cells:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_tables_type_is_taken_where_nothing_is_lost() {
        let decimal = |precision, scale| Kind::Decimal { precision, scale };
        for (cells, table, kind) in [
            (&[][..], Kind::Uuid, Some(Kind::Uuid)),
            (&["12345"], Kind::String, Some(Kind::String)),
            (&["a", "1"], Kind::String, Some(Kind::String)),
            (&["a"], Kind::Int, None),
            (&["007"], Kind::Int, None),
            (&["true"], Kind::Boolean, Some(Kind::Boolean)),
            (&["1"], Kind::Boolean, None),
            (&["1"], Kind::Long, Some(Kind::Long)),
            (&["2147483648"], Kind::Int, None),
            (&["9223372036854775808"], Kind::Long, None),
            (&["1.0"], Kind::Long, None),
            (&["2"], decimal(3, 2), Some(decimal(3, 2))),
            (&["2.5", "-9"], decimal(3, 2), Some(decimal(3, 2))),
            (&["12.5"], decimal(3, 2), Some(decimal(4, 2))),
            (&["2.125"], decimal(3, 2), None),
            (&["1234567890"], decimal(38, 30), None),
            (&["999999999999999"], Kind::Double, Some(Kind::Double)),
            (&["9007199254740993"], Kind::Double, None),
            (&["16777217"], Kind::Float, None),
            (&["0.1"], Kind::Double, None),
            (&["2024-02-29"], Kind::Date, Some(Kind::Date)),
            (&["2024-02-29"], Kind::Timestamp, None),
            (&["2024-02-29T10:00"], Kind::Timestamp, Some(Kind::Timestamp)),
            (&["2024-02-29T10:00Z"], Kind::Timestamp, None),
            (&["2024-02-29T10:00Z"], Kind::TimestampTz, Some(Kind::TimestampTz)),
        ] {
            assert_eq!(guess(cells).fit(table), kind, "{cells:?} as {table}");
        }
    }

    #[test]
    fn a_column_that_is_text_after_all_says_why() {
        let note =
            |cells: &[&str]| guess(cells).decide(Some("line 3")).note.map(|(what, note)| format!("{what}: {note}"));
        for (cells, part) in [
            (&["00501"][..], "leading zeros"),
            (&["-007"], "leading zeros"),
            (&["1", "-0.0"], "-0"),
            (&["+49"], "plus sign"),
            (&["1e3"], "exponent"),
            (&["2024-02-30"], "no such day"),
            (&["2024-02-29T10:00:00.123456789Z"], "6 digits"),
            (&["1", "n/a"], "numbers, then texts: kept as text: it has numbers and texts"),
            (&["1", ""], "`null_values`: [\"\"]"),
            (&["1", "2024-01-01"], "numbers and dates"),
            (&["2024-02-29T10:00:00+01:00"], "offsets from UTC are not"),
        ] {
            assert!(note(cells).is_some_and(|note| note.contains(part)), "{cells:?}: {:?}", note(cells));
        }
        assert!(note(&["1", "x"]).is_some_and(|note| note.ends_with("(line 3)")));
        for cells in [&["a", "1"][..], &[""], &["", "a"], &["3.4.5"], &["12", "13"]] {
            assert_eq!(note(cells), None, "{cells:?}");
        }
    }
}
