//! Dates and times in texts, as ISO 8601 and RFC 3339 write them.

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 86_400_000_000;
/// The moments of the years 1 to 9999; an offset from UTC may lead out of them.
const MOMENTS: std::ops::Range<i64> = -62_135_596_800_000_000..253_402_300_800_000_000;

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Microseconds since 1970, UTC if there is an offset, else local.
    pub micros: i64,
    /// What was added to UTC, in minutes.
    pub offset: Option<i32>,
}

/// A day or a moment, in microseconds since 1970: to compare them.
#[must_use]
pub fn moment(cell: &[u8]) -> Option<i64> {
    match date(cell) {
        Some(day) => Some(i64::from(day) * DAY),
        None => stamp(cell).map(|stamp| stamp.micros),
    }
}

/// A day of the calendar, `YYYY-MM-DD` from year 1 on: days since 1970.
#[inline]
pub(super) fn date(cell: &[u8]) -> Option<i32> {
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = cell else { return None };
    let (century, rest) = (two(y0, y1)?, two(y2, y3)?);
    let (year, month, day) = (century * 100 + rest, two(m0, m1)?, two(d0, d1)?);
    let valid = year > 0 && (1..=12).contains(&month) && day > 0 && day <= days_in(year, month);
    valid.then(|| days(year, month, day))
}

/// `YYYY-MM-DD`, `T` or a blank, a time, and perhaps an offset: `Z`, `±hh`, `±hhmm` or `±hh:mm`.
#[inline]
pub(super) fn stamp(cell: &[u8]) -> Option<Stamp> {
    let (day, rest) = cell.split_at_checked(10)?;
    let (mark, rest) = rest.split_first()?;
    if !matches!(mark, b'T' | b' ') {
        return None;
    }
    let day = date(day)?;
    let (time, rest) = clock(rest)?;
    let micros = i64::from(day) * DAY + time;
    if rest.is_empty() {
        return Some(Stamp { micros, offset: None });
    }
    let offset = offset(rest)?;
    let micros = micros - i64::from(offset) * MINUTE;
    MOMENTS.contains(&micros).then_some(Stamp { micros, offset: Some(offset) })
}

/// `hh:mm`, `hh:mm:ss` or with up to 6 digits of a second: microseconds since midnight.
pub(super) fn time(cell: &[u8]) -> Option<i64> {
    clock(cell).filter(|(_, rest)| rest.is_empty()).map(|(micros, _)| micros)
}

/// The time at the begin of a text, and what follows.
#[inline]
fn clock(text: &[u8]) -> Option<(i64, &[u8])> {
    let &[h0, h1, b':', m0, m1, ref rest @ ..] = text else { return None };
    let (hour, minute) = (two(h0, h1)?, two(m0, m1)?);
    if hour > 23 || minute > 59 {
        return None;
    }
    let minutes = i64::from(hour * 60 + minute) * MINUTE;
    let &[b':', s0, s1, ref rest @ ..] = rest else { return Some((minutes, rest)) };
    let second = two(s0, s1).filter(|second| *second < 60)?;
    let micros = minutes + i64::from(second) * 1_000_000;
    let [b'.', rest @ ..] = rest else { return Some((micros, rest)) };
    let (fraction, rest) = fraction(rest)?;
    Some((micros + fraction, rest))
}

/// 1 to 6 digits after the point, as microseconds; more would be lost.
#[inline]
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let count = text.iter().take(7).take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 || count > 6 {
        return None;
    }
    let (digits, rest) = text.split_at(count);
    let value = digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    Some(((count..6).fold(value, |value, _| value * 10), rest))
}

/// The whole text as an offset from UTC, in minutes.
fn offset(text: &[u8]) -> Option<i32> {
    let (sign, hours, minutes) = match *text {
        [b'Z'] => return Some(0),
        [sign, h0, h1] => (sign, two(h0, h1)?, 0),
        [sign, h0, h1, m0, m1] | [sign, h0, h1, b':', m0, m1] => (sign, two(h0, h1)?, two(m0, m1)?),
        _ => return None,
    };
    let minutes = (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)?;
    match sign {
        b'+' => Some(minutes),
        b'-' => Some(-minutes),
        _ => None,
    }
}

#[inline]
fn two(tens: u8, ones: u8) -> Option<i32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    // Not before it is known that both are digits: else the product may be too large.
    (tens <= 9 && ones <= 9).then(|| i32::from(tens * 10 + ones))
}

const fn days_in(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a day in the Gregorian calendar; the year begins in March, so that leap days come last.
const fn days(year: i32, month: i32, day: i32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let (era, year) = (year / 400, year % 400);
    let day = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year * 365 + year / 4 - year / 100 + day - 719_468
}

#[cfg(test)]
mod tests;
