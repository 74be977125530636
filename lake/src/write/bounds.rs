//! Column bounds: from Parquet's statistics to Iceberg's single-value bytes.
use iceberg::spec::PrimitiveType;
use parquet::file::statistics::Statistics;

/// Strings and binaries keep this many characters or bytes of their bounds, as other writers do.
const TRUNCATED: usize = 16;

/// A bound of one column, ordered as its type is.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(super) enum Bound {
    Bool(bool),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    Decimal(i128),
    Bytes(Vec<u8>),
}

/// The lowest and highest value of a column chunk; `None` where the statistics have none.
pub(super) fn of(column: &PrimitiveType, statistics: &Statistics) -> Option<(Bound, Bound)> {
    let decimal = matches!(column, PrimitiveType::Decimal { .. });
    Some(match statistics {
        Statistics::Boolean(s) => (Bound::Bool(*s.min_opt()?), Bound::Bool(*s.max_opt()?)),
        Statistics::Int32(s) if decimal => {
            (Bound::Decimal(i128::from(*s.min_opt()?)), Bound::Decimal(i128::from(*s.max_opt()?)))
        }
        Statistics::Int32(s) => (Bound::Int(*s.min_opt()?), Bound::Int(*s.max_opt()?)),
        Statistics::Int64(s) if decimal => {
            (Bound::Decimal(i128::from(*s.min_opt()?)), Bound::Decimal(i128::from(*s.max_opt()?)))
        }
        Statistics::Int64(s) => (Bound::Long(*s.min_opt()?), Bound::Long(*s.max_opt()?)),
        Statistics::Float(s) => (Bound::Float(*s.min_opt()?), Bound::Float(*s.max_opt()?)),
        Statistics::Double(s) => (Bound::Double(*s.min_opt()?), Bound::Double(*s.max_opt()?)),
        Statistics::FixedLenByteArray(s) if decimal => {
            (Bound::Decimal(big_endian(s.min_bytes_opt()?)), Bound::Decimal(big_endian(s.max_bytes_opt()?)))
        }
        Statistics::ByteArray(_) | Statistics::FixedLenByteArray(_) => {
            (Bound::Bytes(statistics.min_bytes_opt()?.to_vec()), Bound::Bytes(statistics.max_bytes_opt()?.to_vec()))
        }
        Statistics::Int96(_) => return None,
    })
}

/// A lower bound's bytes.
pub(super) fn lower(column: &PrimitiveType, bound: &Bound) -> Vec<u8> {
    match (column, bound) {
        (PrimitiveType::String | PrimitiveType::Binary | PrimitiveType::Fixed(_), Bound::Bytes(bytes)) => {
            bytes[..cut(column, bytes)].to_vec()
        }
        _ => exact(bound),
    }
}

/// An upper bound's bytes; `None` if nothing short is above it.
pub(super) fn upper(column: &PrimitiveType, bound: &Bound) -> Option<Vec<u8>> {
    match (column, bound) {
        (PrimitiveType::String | PrimitiveType::Binary | PrimitiveType::Fixed(_), Bound::Bytes(bytes)) => {
            let end = cut(column, bytes);
            if end == bytes.len() {
                return Some(bytes.clone());
            }
            match column {
                PrimitiveType::String => next_text(std::str::from_utf8(&bytes[..end]).ok()?).map(String::into_bytes),
                _ => next_bytes(&bytes[..end]),
            }
        }
        _ => Some(exact(bound)),
    }
}

fn exact(bound: &Bound) -> Vec<u8> {
    match bound {
        Bound::Bool(value) => vec![u8::from(*value)],
        Bound::Int(value) => value.to_le_bytes().to_vec(),
        Bound::Long(value) => value.to_le_bytes().to_vec(),
        Bound::Float(value) => value.to_le_bytes().to_vec(),
        Bound::Double(value) => value.to_le_bytes().to_vec(),
        Bound::Decimal(value) => shortest(*value),
        Bound::Bytes(bytes) => bytes.clone(),
    }
}

/// Where a string or binary is cut, at a character's start.
fn cut(column: &PrimitiveType, bytes: &[u8]) -> usize {
    match (column, std::str::from_utf8(bytes)) {
        (PrimitiveType::String, Ok(text)) => text.char_indices().nth(TRUNCATED).map_or(bytes.len(), |(at, _)| at),
        _ => bytes.len().min(TRUNCATED),
    }
}

/// The shortest text above all that start with `text`: its last character that has a successor, raised.
fn next_text(text: &str) -> Option<String> {
    let mut head: Vec<char> = text.chars().collect();
    while let Some(last) = head.pop() {
        let above = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(above) = above {
            head.push(above);
            return Some(head.into_iter().collect());
        }
    }
    None
}

fn next_bytes(bytes: &[u8]) -> Option<Vec<u8>> {
    let last = bytes.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut above = bytes[..=last].to_vec();
    above[last] += 1;
    Some(above)
}

fn big_endian(bytes: &[u8]) -> i128 {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    bytes.iter().fold(if negative { -1 } else { 0 }, |value, byte| value << 8 | i128::from(*byte))
}

/// Two's complement, big-endian, in as few bytes as hold the sign.
fn shortest(value: i128) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let fill = if value < 0 { 0xff } else { 0 };
    let redundant = |at: &usize| bytes[*at] == fill && bytes[at + 1] & 0x80 == fill & 0x80;
    let start = (0..bytes.len() - 1).take_while(redundant).count();
    bytes[start..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_take_as_few_bytes_as_hold_the_sign() {
        assert_eq!(shortest(0), [0]);
        assert_eq!(shortest(127), [127]);
        assert_eq!(shortest(128), [0, 128]);
        assert_eq!(shortest(-1), [255]);
        assert_eq!(shortest(-128), [128]);
        assert_eq!(shortest(-129), [255, 127]);
        for value in [0, 1, -1, 1 << 100, -(1 << 100), i128::MAX, i128::MIN] {
            assert_eq!(big_endian(&shortest(value)), value);
        }
    }

    #[test]
    fn long_texts_are_cut_so_that_the_bounds_still_hold() {
        let bytes = |text: &str| Bound::Bytes(text.as_bytes().to_vec());
        let string = PrimitiveType::String;
        assert_eq!(lower(&string, &bytes("äöüäöüäöüäöüäöüäöü")), "äöüäöüäöüäöüäöüä".as_bytes());
        assert_eq!(upper(&string, &bytes("abcdefghijklmnopq")), Some(b"abcdefghijklmnoq".to_vec()));
        assert_eq!(upper(&string, &bytes("short")), Some(b"short".to_vec()));
        assert_eq!(next_text("a\u{d7ff}"), Some("a\u{e000}".to_owned()));
        assert_eq!(upper(&PrimitiveType::Binary, &Bound::Bytes(vec![255; 20])), None);
        assert_eq!(upper(&PrimitiveType::Uuid, &Bound::Bytes(vec![7; 16])), Some(vec![7; 16]));
    }
}
