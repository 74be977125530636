//! How people write numbers: signs, thousands, currencies, percent, footnotes; read exactly, never guessed.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a page writes numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Locale {
    /// `1,234.5`
    #[default]
    En,
    /// `1.234,5`, as in German, Spanish, Italian, Dutch or Turkish.
    De,
    /// `1 234,5`, as in French, Russian, Polish or Swedish.
    Fr,
    /// `1'234.5`, as in Switzerland.
    Ch,
}

impl Locale {
    /// All of them, the default first.
    pub(super) const ALL: [Self; 4] = [Self::En, Self::De, Self::Fr, Self::Ch];

    /// Its name in requests.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Fr => "fr",
            Self::Ch => "ch",
        }
    }

    const fn decimal_sign(self) -> char {
        match self {
            Self::En | Self::Ch => '.',
            Self::De | Self::Fr => ',',
        }
    }

    const fn is_thousands_sign(self, c: char) -> bool {
        match self {
            Self::En => c == ',',
            Self::De => c == '.',
            Self::Fr => c == ' ',
            Self::Ch => matches!(c, '\'' | '’'),
        }
    }
}

/// What stood around a number's digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks<'u> {
    pub(super) thousands: bool,
    pub(super) currency: Option<&'static str>,
    pub(super) percent: bool,
    /// Parentheses that mean a negative number.
    pub(super) parentheses: bool,
    pub(super) footnote: bool,
    /// A plus sign, or a minus that is none of ASCII's.
    pub(super) sign: bool,
    /// A decimal sign that is no point.
    pub(super) decimal_comma: bool,
    /// No digit stands before the decimal sign.
    pub(super) bare_point: bool,
    pub(super) unit: Option<&'u str>,
    /// The number is zero, which means the same in any unit.
    pub(super) is_zero: bool,
}

/// Signs and codes of currencies; what begins like another comes after it.
const CURRENCIES: [&str; 46] = [
    "US$", "C$", "CA$", "A$", "AU$", "HK$", "NZ$", "S$", "R$", "MX$", "NT$", "$", "€", "£", "¥", "₹", "₩", "₽", "₺",
    "₪", "฿", "₫", "₴", "₦", "₱", "zł", "Kč", "USD", "EUR", "GBP", "JPY", "CHF", "CNY", "INR", "AUD", "CAD", "BRL",
    "KRW", "MXN", "SEK", "NOK", "DKK", "PLN", "CZK", "ZAR", "kr",
];
/// The longest mark of a footnote within brackets.
const LONGEST_FOOTNOTE: usize = 8;

/// A text without what stands around a number's digits: whatever the locale, that is the same.
pub(super) struct Stripped<'t, 'u> {
    digits: &'t str,
    negative: bool,
    marks: Marks<'u>,
}

/// Reads a text that is one number and nothing else: [`Stripped::of`] and [`Stripped::read`].
pub(super) fn read<'u>(text: &str, locale: Locale, units: &'u [String], plain: &mut String) -> Option<Marks<'u>> {
    Stripped::of(text, units)?.read(locale, plain)
}

impl<'u> Stripped<'_, 'u> {
    /// Reads the digits and appends them to `plain` as `-1234.50`. `None`, with nothing appended, if they are not certainly
    /// a number: digits that are not grouped in threes, leading zeros.
    pub(super) fn read(&self, locale: Locale, plain: &mut String) -> Option<Marks<'u>> {
        let (digits, mut marks) = (self.digits, self.marks);
        let (whole, fraction) = match digits.split_once(locale.decimal_sign()) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (digits, None),
        };
        if fraction.is_some_and(|digits| digits.is_empty() || !is_digits(digits)) {
            return None;
        }
        marks.decimal_comma = fraction.is_some() && locale.decimal_sign() != '.';
        let start = plain.len();
        if self.negative {
            plain.push('-');
        }
        match thousands(whole, locale, plain) {
            // `.305` is how batting averages are written.
            Some(_) if whole.is_empty() && fraction.is_some() => {
                marks.bare_point = true;
                plain.push('0');
            }
            Some(grouped) if !whole.is_empty() => marks.thousands = grouped,
            _ => {
                plain.truncate(start);
                return None;
            }
        }
        if let Some(fraction) = fraction {
            plain.push('.');
            plain.push_str(fraction);
        }
        marks.is_zero = !plain.get(start..)?.contains(|c: char| ('1'..='9').contains(&c));
        if marks.is_zero && self.negative {
            plain.remove(start);
        }
        Some(marks)
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Appends the digits of a whole number; tells whether they were grouped, `None` if they are no number.
fn thousands(text: &str, locale: Locale, plain: &mut String) -> Option<bool> {
    let mut groups = text.split(|c| locale.is_thousands_sign(c));
    let first = groups.next()?;
    if !is_digits(first) || first.len() > 1 && first.starts_with('0') {
        return None;
    }
    plain.push_str(first);
    let mut grouped = false;
    for group in groups {
        if group.len() != 3 || !is_digits(group) || first.is_empty() || first.len() > 3 || first == "0" {
            return None;
        }
        grouped = true;
        plain.push_str(group);
    }
    Some(grouped)
}

impl<'t, 'u> Stripped<'t, 'u> {
    /// Takes the marks off both ends, each kind once; `None` if that leaves no number: two marks of a kind.
    pub(super) fn of(text: &'t str, units: &'u [String]) -> Option<Self> {
        let mut marks = Marks::default();
        let mut text = text.trim();
        let mut sign: Option<bool> = None;
        loop {
            text = text.trim();
            if let Some(inner) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
                if std::mem::replace(&mut marks.parentheses, true) {
                    return None;
                }
                text = inner;
            } else if let Some((rest, negative, ascii)) = signed(text) {
                if sign.replace(negative).is_some() {
                    return None;
                }
                marks.sign |= !ascii;
                text = rest;
            } else if let Some((rest, currency)) = currency(text) {
                if marks.currency.replace(currency).is_some() {
                    return None;
                }
                text = rest;
            } else if let Some(rest) = text.strip_suffix('%') {
                if std::mem::replace(&mut marks.percent, true) {
                    return None;
                }
                text = rest;
            } else if let Some(rest) = without_footnote(text) {
                marks.footnote = true;
                text = rest;
            } else if let (None, Some((rest, unit))) = (marks.unit, suffix(text, units.iter().map(String::as_str))) {
                marks.unit = Some(unit);
                text = rest;
            } else {
                break;
            }
        }
        // `(5)` is minus five; `(-5)` could be either.
        let negative = marks.parentheses || sign == Some(true);
        (!marks.parentheses || sign.is_none()).then_some(Self { digits: text, negative, marks })
    }
}

/// The rest after a sign, whether that is a minus, and whether it is the plain one of ASCII.
fn signed(text: &str) -> Option<(&str, bool, bool)> {
    let mut letters = text.chars();
    let (negative, ascii) = match letters.next()? {
        '-' => (true, true),
        '\u{2212}' | '\u{2013}' | '\u{fe63}' | '\u{ff0d}' => (true, false),
        '+' => (false, false),
        _ => return None,
    };
    Some((letters.as_str(), negative, ascii))
}

/// The rest beside the first currency that stands at the beginning or at the end. None begins or ends with a digit, so that
/// most numbers need no look at all of them.
fn currency(text: &str) -> Option<(&str, &'static str)> {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let before = |word: &'static str| {
        let rest = text.strip_prefix(word).filter(|rest| !rest.starts_with(char::is_alphabetic))?;
        Some((rest, word))
    };
    let first = || CURRENCIES.into_iter().find_map(before);
    let last = || suffix(text, CURRENCIES.into_iter());
    let (begin, end) = (is_digit(text.as_bytes().first()), is_digit(text.as_bytes().last()));
    (!begin).then(first).flatten().or_else(|| (!end).then(last).flatten())
}

fn suffix<'t, 'w>(text: &'t str, mut words: impl Iterator<Item = &'w str>) -> Option<(&'t str, &'w str)> {
    let after = |word: &'w str| text.strip_suffix(word.trim()).filter(|rest| !rest.ends_with(char::is_alphabetic));
    words.find_map(|word| Some((after(word)?, word)))
}

/// The text before a footnote's mark: `[1]`, `[note 2]`, `*`, `†`.
fn without_footnote(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_suffix(['*', '†', '‡', '§']) {
        return Some(rest);
    }
    let (rest, mark) = text.strip_suffix(']')?.rsplit_once('[')?;
    let is_mark = !mark.is_empty()
        && mark.chars().count() <= LONGEST_FOOTNOTE
        && mark.chars().all(|c| c.is_alphanumeric() || c == ' ');
    (is_mark && !rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(text: &str, locale: Locale) -> Option<String> {
        let mut plain = String::new();
        let units = ["km".to_owned(), "m".to_owned(), "°C".to_owned()];
        let found = read(text, locale, &units, &mut plain).is_some();
        assert!(found || plain.is_empty(), "{text}: {plain}");
        found.then_some(plain)
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        let numbers = [
            ("0", "0"),
            ("1,234", "1234"),
            ("1,234,567.80", "1234567.80"),
            ("$1,000.50", "1000.50"),
            ("$ 7", "7"),
            ("US$7", "7"),
            ("7 €", "7"),
            ("EUR 7", "7"),
            ("-$7", "-7"),
            ("$-7", "-7"),
            ("($7)", "-7"),
            ("$(7)", "-7"),
            ("12.5%", "12.5"),
            ("-3 %", "-3"),
            ("(1,200)", "-1200"),
            ("42[1]", "42"),
            ("42 [note 1][b]*", "42"),
            ("\u{2212}5", "-5"),
            ("\u{2013}5", "-5"),
            ("+5", "5"),
            (".305", "0.305"),
            ("6,650 km", "6650"),
            ("5km", "5"),
            ("-0.0", "0.0"),
            ("(0)", "0"),
            ("12345678901234567890123456789012345678901", "12345678901234567890123456789012345678901"),
        ];
        for (text, number) in numbers {
            assert_eq!(plain(text, Locale::En).as_deref(), Some(number), "{text}");
        }
    }

    #[test]
    fn what_could_be_something_else_is_no_number() {
        let texts = [
            "",
            "-",
            "$",
            "%",
            "()",
            "[1]",
            "00501",
            "0,123",
            "1.234,56",
            "7,5",
            "1,23",
            "1234,567",
            ",5",
            "5.",
            "1 234",
            "1-2",
            "--5",
            "(-5)",
            "((5))",
            "$5$",
            "5%%",
            "5 km 5",
            "1e5",
            "0x1F",
            "NaN",
            "Infinity",
            "１２",
            "٣",
            "5 apples",
            "12:30",
            "2024-01-02",
            "1/2",
            "10^6",
            "~5",
            "<5",
            "5 k",
            "5kmh",
            "a[1]",
            "1.2.3",
            "1'234",
            "€$5",
            "kr",
        ];
        for text in texts {
            assert_eq!(plain(text, Locale::En), None, "{text}");
        }
    }

    #[test]
    fn locales_have_their_own_signs() {
        let numbers = [
            ("1.234,56", Locale::De, Some("1234.56")),
            ("7,5", Locale::De, Some("7.5")),
            ("1.234", Locale::De, Some("1234")),
            ("1,234.5", Locale::De, None),
            ("1 234 567,5", Locale::Fr, Some("1234567.5")),
            ("7,5 %", Locale::Fr, Some("7.5")),
            ("1.234", Locale::Fr, None),
            ("1'234.50", Locale::Ch, Some("1234.50")),
            ("CHF 1’234", Locale::Ch, Some("1234")),
        ];
        for (text, locale, number) in numbers {
            assert_eq!(plain(text, locale).as_deref(), number, "{text} {locale:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[-+−–($€%0-9,. '\\[\\]*)a-z]{0,12}") {
            for locale in Locale::ALL {
                if let Some(number) = plain(&text, locale) {
                    let digits = number.strip_prefix('-').unwrap_or(&number);
                    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
                    prop_assert!(is_digits(whole) && !whole.is_empty() && is_digits(fraction) && !fraction.is_empty());
                    prop_assert!(whole == "0" || !whole.starts_with('0'), "{} {}", text, number);
                }
            }
        }

        #[test]
        fn grouped_numbers_keep_their_value(value in any::<i64>(), cents in 0..100_u8) {
            let digits = value.unsigned_abs().to_string();
            let mut grouped = String::new();
            for (n, digit) in digits.chars().enumerate() {
                if n > 0 && (digits.len() - n) % 3 == 0 {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            let sign = if value < 0 { "-" } else { "" };
            prop_assert_eq!(plain(&format!("{sign}${grouped}.{cents:02}"), Locale::En),
                Some(format!("{}{digits}.{cents:02}", if value < 0 { "-" } else { "" })));
        }
    }
}
