//! Dates and times as text, and what is none.
use super::*;
use chrono::{Datelike, NaiveDate};

#[test]
fn days_of_the_whole_calendar() {
    let first = NaiveDate::from_ymd_opt(1, 1, 1).expect("a day");
    for day in first.iter_days().step_by(17).take_while(|day| day.year() < 10_000) {
        let expected = day.num_days_from_ce() - 719_163;
        assert_eq!(date(day.format("%Y-%m-%d").to_string().as_bytes()), Some(expected), "{day}");
    }
    for wrong in [
        "2024-02-30",
        "2023-02-29",
        "1900-02-29",
        "0000-01-01",
        "2024-13-01",
        "2024-00-10",
        "2024-1-1",
        "20240101",
        "a024-01-01",
        "20\u{7f}4-~1-01",
        "2024-01-01 ",
    ] {
        assert_eq!(date(wrong.as_bytes()), None, "{wrong}");
    }
}

#[test]
fn timestamps_with_and_without_offset() {
    let of = |text: &str| stamp(text.as_bytes()).map(|s| (s.micros, s.offset));
    let base = 1_704_112_496_000_000; // 2024-01-01T12:34:56Z
    assert_eq!(of("2024-01-01T12:34:56"), Some((base, None)));
    assert_eq!(of("2024-01-01 12:34:56.5"), Some((base + 500_000, None)));
    assert_eq!(of("2024-01-01 12:34:56.000001Z"), Some((base + 1, Some(0))));
    assert_eq!(of("2024-01-01 12:34"), Some((base - 56_000_000, None)));
    assert_eq!(of("2024-01-01 14:34:56+02"), Some((base, Some(120))));
    assert_eq!(of("2024-01-01 07:04:56-0530"), Some((base, Some(-330))));
    assert_eq!(of("2024-01-01T07:04:56-05:30"), Some((base, Some(-330))));
    assert_eq!(of("0001-01-01T00:00:00-00:01"), Some((MOMENTS.start + MINUTE, Some(-1))));
    assert_eq!(of("9999-12-31T23:59:59.999999Z"), Some((MOMENTS.end - 1, Some(0))));
    for wrong in [
        "0001-01-01T00:00:00+00:01",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:00-00:01",
        "9999-12-31T23:59:59-23:59",
        "2024-01-01T12:34:60",
        "2024-01-01T24:00:00",
        "2024-01-01T12:60",
        "2024-02-30T00:00",
        "2024-01-01T12:34:56.1234567",
        "2024-01-01T12:34:56.",
        "2024-01-01t12:34:56",
        "2024-01-01T12:34:56 Z",
        "2024-01-01T12:34:56+25",
        "2024-01-01T12",
        "2024-01-01T",
        "2024-01-01T12:34:56*02",
        "2024-01-01T12:34:56+1",
    ] {
        assert_eq!(of(wrong), None, "{wrong}");
    }
    assert_eq!(time(b"23:59:59.999999"), Some(DAY - 1));
    assert_eq!(time(b"12:00:00Z"), None);
}

proptest::proptest! {
    #[test]
    fn every_moment_comes_back(micros in MOMENTS) {
        let moment = chrono::DateTime::from_timestamp_micros(micros).expect("in range");
        let text = moment.format("%Y-%m-%dT%H:%M:%S%.6f").to_string();
        proptest::prop_assert_eq!(stamp(text.as_bytes()), Some(Stamp { micros, offset: None }));
        proptest::prop_assert_eq!(stamp(format!("{text}Z").as_bytes()), Some(Stamp { micros, offset: Some(0) }));
    }
}
