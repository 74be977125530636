//! Columns of numbers, cleaned for the whole-column rule for types.
//!
//! A column is changed only if every cell of all pages is a number by the same rules, or says that there is none (`n/a`,
//! `–`): so it is surveyed first, page by page, then cleaned. What was taken off is said in a [`Note`].
use std::fmt::Write;

use arrow_array::{Array, StringArray, builder::StringBuilder};

use super::{
    Note,
    numeral::{self, Locale, Marks, Stripped},
};
use crate::transform::infer::Guess;

/// Words that stand for a missing value, in any case.
const MISSING: [&str; 14] =
    ["n/a", "n.a.", "na", "nan", "null", "none", "nil", "-", "--", "\u{2013}", "\u{2014}", "\u{2212}", "…", "..."];

/// What is known about a column after a look at its cells.
#[derive(Clone, Debug)]
pub struct Survey {
    units: Vec<String>,
    locale: Option<Locale>,
    /// Cells that are no numbers say nothing of the others.
    forgives: bool,
    values: usize,
    missing: usize,
    /// Whether all values are numbers, by locale, in the order of [`Locale::ALL`].
    numbers: [bool; 4],
    seen: Seen,
    /// What the cells are as they stand, without the words for missing values, and without the marks.
    raw: Guess,
    filled: Guess,
    plain_numbers: Guess,
    scratch: String,
}

/// The marks of all numbers, as the locale of the request reads them.
#[derive(Clone, Debug, Default)]
struct Seen {
    thousands: bool,
    parentheses: bool,
    footnote: bool,
    sign: bool,
    decimal_comma: bool,
    bare_point: bool,
    currency: Uniform,
    percent: Uniform,
    unit: Uniform,
}

/// Whether all that have a mark have the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Uniform {
    mark: Option<String>,
    differs: bool,
    /// A number that is not zero has none.
    lacks: bool,
}

impl Uniform {
    fn see(&mut self, mark: Option<&str>, is_zero: bool) {
        match (mark, &self.mark) {
            (None, _) => self.lacks |= !is_zero,
            (Some(mark), Some(known)) => self.differs |= mark != known,
            (Some(mark), None) => self.mark = Some(mark.to_owned()),
        }
    }

    /// All or none: `12%` beside `12` would lose its meaning without the sign.
    fn is_on_all_or_none(&self) -> bool {
        !self.differs && (self.mark.is_none() || !self.lacks)
    }
}

/// What is done with a column's cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleaning(Way);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// They stay as they are.
    Keep,
    /// Words for missing values become NULL.
    Missing,
    /// That, and numbers become plain.
    Numbers { locale: Locale, units: Vec<String> },
}

impl Survey {
    /// Begins with no cell seen. Without a locale numbers are read as in English, and what could be another's is told.
    #[must_use]
    pub fn new(locale: Option<Locale>, units: &[String], forgives: bool) -> Self {
        let mut units = units.to_vec();
        // `km` before `m`.
        units.sort_by_key(|unit| std::cmp::Reverse(unit.len()));
        Self {
            units,
            locale,
            forgives,
            values: 0,
            missing: 0,
            numbers: [true; 4],
            seen: Seen::default(),
            raw: Guess::default(),
            filled: Guess::default(),
            plain_numbers: Guess::default(),
            scratch: String::new(),
        }
    }

    /// Looks at cells of the column.
    pub fn see(&mut self, cells: &StringArray) {
        let _ = cells.iter().flatten().all(|cell| self.raw.observe(cell.as_bytes()));
        for cell in cells.iter().flatten() {
            if self.is_text() {
                return;
            }
            if is_missing(cell) {
                self.missing += 1;
                continue;
            }
            let own = self.locale.unwrap_or_default();
            let stripped = Stripped::of(cell, &self.units);
            self.scratch.clear();
            let is_number = |digits: &Stripped<'_, '_>| digits.read(own, &mut self.scratch).is_some();
            if self.forgives && !stripped.as_ref().is_some_and(is_number) {
                continue;
            }
            self.values += 1;
            self.filled.observe(cell.as_bytes());
            for (locale, holds) in Locale::ALL.into_iter().zip(&mut self.numbers) {
                // Other locales matter only for what is told when this one fails.
                let matters = *holds && (locale == own || self.locale.is_none());
                self.scratch.clear();
                let digits = stripped.as_ref().filter(|_| matters);
                let marks = digits.and_then(|digits| digits.read(locale, &mut self.scratch));
                *holds = marks.is_some();
                if let Some(marks) = marks.filter(|_| locale == own) {
                    self.seen.see(&marks);
                    self.plain_numbers.observe(self.scratch.as_bytes());
                }
            }
        }
    }

    /// Nothing that could still be seen makes it anything but text.
    fn is_text(&self) -> bool {
        !self.is_plain() && !self.numbers.contains(&true)
    }

    /// Whether all values are dates, timestamps or booleans.
    const fn is_plain(&self) -> bool {
        !self.filled.is_text() && !self.filled.is_number()
    }

    fn are_numbers(&self, locale: Locale) -> bool {
        Locale::ALL.into_iter().zip(self.numbers).any(|(other, holds)| other == locale && holds)
    }

    /// Decides, once all cells were seen; `name` is the column's, for the note.
    #[must_use]
    pub fn decide(&self, name: &str) -> (Cleaning, Option<Note>) {
        let own = self.locale.unwrap_or_default();
        let numbers = self.values > 0 && self.are_numbers(own);
        let clash = numbers.then(|| self.seen.clash()).flatten();
        let (way, text) = if let Some(clash) = clash {
            (Way::Keep, Some(clash))
        } else if numbers {
            match self.seen.told(self.missing) {
                Some(told) => (Way::Numbers { locale: own, units: self.units.clone() }, Some(told)),
                None => (Way::Keep, None),
            }
        } else if self.values > 0 && self.is_plain() && self.missing > 0 {
            (Way::Missing, Some(missing_told(self.missing)))
        } else {
            let told = self.other_locale().map(|locale| {
                let name = locale.as_str();
                format!("kept as text: these could be numbers as `locale` `{name}` writes them, which is not certain")
            });
            (Way::Keep, told)
        };
        (Cleaning(way), text.map(|text| Note::of(name, text)))
    }

    /// Whether every cell says that there is no value.
    #[must_use]
    pub const fn is_only_missing(&self) -> bool {
        self.values == 0 && self.missing > 0
    }

    /// What the cells have in common once they are cleaned so.
    #[must_use]
    pub const fn guess(&self, cleaning: &Cleaning) -> &Guess {
        match cleaning.0 {
            Way::Keep => &self.raw,
            Way::Missing => &self.filled,
            Way::Numbers { .. } => &self.plain_numbers,
        }
    }

    fn other_locale(&self) -> Option<Locale> {
        let others = Locale::ALL.into_iter().filter(|_| self.locale.is_none() && self.values > 0);
        others.into_iter().find(|locale| self.are_numbers(*locale))
    }
}

impl Seen {
    fn see(&mut self, marks: &Marks<'_>) {
        self.thousands |= marks.thousands;
        self.parentheses |= marks.parentheses;
        self.footnote |= marks.footnote;
        self.sign |= marks.sign;
        self.decimal_comma |= marks.decimal_comma;
        self.bare_point |= marks.bare_point;
        self.currency.see(marks.currency, marks.is_zero);
        self.percent.see(marks.percent.then_some("%"), marks.is_zero);
        self.unit.see(marks.unit, marks.is_zero);
    }

    /// Why numbers must stay text although each is one.
    fn clash(&self) -> Option<String> {
        // Statements write the currency on the first and the last line only, so it may lack.
        if self.currency.differs {
            return Some("kept as text: the numbers are of several currencies".to_owned());
        }
        if !self.percent.is_on_all_or_none() {
            return Some("kept as text: some numbers are percentages and some are not".to_owned());
        }
        if !self.unit.is_on_all_or_none() {
            return Some("kept as text: the numbers are not all of one unit".to_owned());
        }
        None
    }

    /// What is taken off, if anything is.
    fn told(&self, missing: usize) -> Option<String> {
        let mut marks = Vec::new();
        let mut mark = |is: bool, text: &str| marks.extend(is.then(|| text.to_owned()));
        mark(self.thousands, "thousands signs");
        mark(self.decimal_comma, "decimal commas (now points)");
        mark(self.bare_point, "bare decimal points (now `0.`)");
        mark(self.sign, "plus signs and typographic minus signs (now `-`)");
        mark(self.parentheses, "parentheses (now negative)");
        mark(self.percent.mark.is_some(), "percent signs (12.5 means 12.5%)");
        mark(self.footnote, "footnote marks");
        marks.extend(self.currency.mark.iter().map(|sign| format!("the currency `{sign}`")));
        marks.extend(self.unit.mark.iter().map(|unit| format!("the unit `{unit}`")));
        let mut text = String::new();
        if !marks.is_empty() {
            text = format!("taken off: {}", marks.join(", "));
        }
        if missing > 0 {
            // Writing to a string does not fail.
            let _ = write!(text, "{}{}", if text.is_empty() { "" } else { "; " }, missing_told(missing));
        }
        Some(text).filter(|text| !text.is_empty())
    }
}

fn missing_told(missing: usize) -> String {
    format!("{missing} cells say that there is no value (`n/a`, `–`) and are NULL")
}

impl Cleaning {
    /// Cells stay as they are.
    pub const NONE: Self = Self(Way::Keep);
    /// Words for missing values become NULL, and nothing else.
    pub const MISSING: Self = Self(Way::Missing);

    /// Whether cells stay as they are.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0 == Way::Keep
    }

    /// The cells as they go on. A cell that was not surveyed and is no number stays as it is.
    #[must_use]
    pub fn apply(&self, cells: &StringArray) -> StringArray {
        let (locale, units): (_, &[String]) = match &self.0 {
            Way::Keep => return cells.clone(),
            Way::Missing => (None, &[]),
            Way::Numbers { locale, units } => (Some(*locale), units),
        };
        let mut cleaned = StringBuilder::with_capacity(cells.len(), cells.values().len());
        let mut plain = String::new();
        for cell in cells {
            plain.clear();
            match (cell, locale) {
                (None, _) => cleaned.append_null(),
                (Some(cell), _) if is_missing(cell) => cleaned.append_null(),
                (Some(cell), Some(locale)) if numeral::read(cell, locale, units, &mut plain).is_some() => {
                    cleaned.append_value(&plain);
                }
                (Some(cell), _) => cleaned.append_value(cell),
            }
        }
        cleaned.finish()
    }
}

/// Cleans columns whose cells are all at hand.
#[cfg(test)]
pub(super) fn clean(columns: &mut [super::Column], locale: Option<Locale>, units: &[String], notes: &mut Vec<Note>) {
    for column in columns {
        let mut survey = Survey::new(locale, units, false);
        survey.see(&column.cells);
        let (cleaning, note) = survey.decide(&column.name);
        column.cells = cleaning.apply(&column.cells);
        notes.extend(note);
    }
}

fn is_missing(text: &str) -> bool {
    text.len() <= 4 && MISSING.iter().any(|word| word.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(cells: &[&str], locale: Option<Locale>) -> (Vec<Option<String>>, String) {
        let units = ["m".to_owned(), "km".to_owned()];
        let mut columns = [super::super::Column::free("c".into(), cells.iter().map(|cell| Some(*cell)).collect())];
        let mut notes = Vec::new();
        clean(&mut columns, locale, &units, &mut notes);
        let cells = columns[0].cells.iter().map(|cell| cell.map(String::from)).collect();
        (cells, notes.into_iter().map(|note| note.text).collect())
    }

    #[test]
    fn a_column_of_numbers_becomes_plain() {
        /// Cells, what they become, and the note.
        type Case<'a> = (&'a [&'a str], &'a [Option<&'a str>], &'a str);
        let columns: [Case<'_>; 13] = [
            (&["1,234", "5,678"], &[Some("1234"), Some("5678")], "taken off: thousands signs"),
            (&["$1,000.50", "$7"], &[Some("1000.50"), Some("7")], "taken off: thousands signs, the currency `$`"),
            (
                &["12.5%", "-3%", "0"],
                &[Some("12.5"), Some("-3"), Some("0")],
                "taken off: percent signs (12.5 means 12.5%)",
            ),
            (&["42[1]", "43[a]"], &[Some("42"), Some("43")], "taken off: footnote marks"),
            (
                &["(1,200)", "300"],
                &[Some("-1200"), Some("300")],
                "taken off: thousands signs, parentheses (now negative)",
            ),
            (
                &["\u{2212}5", "6"],
                &[Some("-5"), Some("6")],
                "taken off: plus signs and typographic minus signs (now `-`)",
            ),
            (&["1", "n/a"], &[Some("1"), None], "1 cells say that there is no value (`n/a`, `–`) and are NULL"),
            (&["6 km", "7 km"], &[Some("6"), Some("7")], "taken off: the unit `km`"),
            (&["1", "2.5"], &[Some("1"), Some("2.5")], ""),
            (&["$ 5", "6", "7"], &[Some("5"), Some("6"), Some("7")], "taken off: the currency `$`"),
            (
                &["2024-01-02", "–"],
                &[Some("2024-01-02"), None],
                "1 cells say that there is no value (`n/a`, `–`) and are NULL",
            ),
            (
                &["2024-01-02 10:00:00", "n/a"],
                &[Some("2024-01-02 10:00:00"), None],
                "1 cells say that there is no value (`n/a`, `–`) and are NULL",
            ),
            (&["-", "-"], &[Some("-"), Some("-")], ""),
        ];
        for (cells, expected, note) in columns {
            let (cells_now, notes) = cleaned(cells, None);
            assert_eq!(cells_now.iter().map(Option::as_deref).collect::<Vec<_>>(), expected, "{cells:?}");
            assert_eq!(notes, note, "{cells:?}");
        }
    }

    #[test]
    fn what_does_not_agree_stays_text() {
        let columns: [(&[&str], &str); 12] = [
            (&["1,234", "about 5"], ""),
            (&["00501", "10001"], ""),
            (&["1.234,56", "7,5"], "`locale` `de`"),
            (&["1 234", "5"], "`locale` `fr`"),
            (&["$5", "€5"], "several currencies"),
            (&["5%", "5"], "some numbers are percentages"),
            (&["5 km", "5"], "not all of one unit"),
            (&["5 km", "5 m"], "not all of one unit"),
            (&["2024-01-02", "2024-02-30", "-"], ""),
            (&["Chad", "NA", "None"], ""),
            (&["2024-01-02", "true", "-"], ""),
            (&["10^6", "5"], ""),
        ];
        for (cells, note) in columns {
            let (cells_now, notes) = cleaned(cells, None);
            assert_eq!(cells_now.iter().flatten().collect::<Vec<_>>(), cells, "{cells:?}");
            assert!(notes.contains(note) && notes.is_empty() == note.is_empty(), "{cells:?}: {notes}");
        }
    }

    #[test]
    fn a_locale_makes_certain() {
        let (cells, note) = cleaned(&["1.234,56", "7,5", "n.a."], Some(Locale::De));
        assert_eq!(cells, [Some("1234.56".into()), Some("7.5".into()), None]);
        assert!(note.starts_with("taken off: thousands signs, decimal commas"), "{note}");
        assert_eq!(cleaned(&["1,234.56"], Some(Locale::De)), (vec![Some("1,234.56".into())], String::new()));
    }

    #[test]
    fn a_survey_spans_pages() {
        let mut survey = Survey::new(None, &[], false);
        survey.see(&StringArray::from(vec!["1,000"]));
        survey.see(&StringArray::from(vec![Some("$2"), None, Some("-")]));
        let (cleaning, note) = survey.decide("price");
        let cells = cleaning.apply(&StringArray::from(vec![Some("$3,000"), Some("…"), None]));
        assert_eq!(cells.iter().collect::<Vec<_>>(), [Some("3000"), None, None]);
        assert_eq!(note.and_then(|note| note.column).as_deref(), Some("price"));
        survey.see(&StringArray::from(vec!["x"]));
        assert_eq!(survey.decide("price"), (Cleaning(Way::Keep), None));
    }
}
