//! The numbers of a `DELTA_BINARY_PACKED` block: counted, and decoded where memory depends on them, before the decoder
//! sees them.
use super::{FileError, Result, thrift::Walk};

/// The head of a run of numbers.
struct Head {
    block: u64,
    minis: u64,
    count: u64,
    first: i64,
}

fn broken() -> FileError {
    FileError::invalid("is broken: numbers are not encoded as the format says")
}

fn head(walk: &mut Walk<'_>, most: u32) -> Result<Head> {
    let head = Head { block: walk.varint()?, minis: walk.varint()?, count: walk.varint()?, first: walk.integer()? };
    let sound = head.block > 0
        && head.block <= 1 << 20
        && head.minis > 0
        && head.block.is_multiple_of(head.minis)
        && (head.block / head.minis).is_multiple_of(8)
        && head.count <= u64::from(most);
    if sound { Ok(head) } else { Err(broken()) }
}

/// Checks that no more numbers are claimed than the page has values.
pub(super) fn check(bytes: &[u8], most: u32) -> Result<()> {
    head(&mut Walk::new(bytes), most).map(|_| ())
}

/// All numbers, as 32 bits wrap them, and how many bytes they take.
pub(super) fn decode(bytes: &[u8], most: u32) -> Result<(Vec<i32>, usize)> {
    let mut walk = Walk::new(bytes);
    let head = head(&mut walk, most)?;
    let per_mini = (head.block / head.minis) as usize;
    let mut numbers = Vec::new();
    let mut left = head.count as usize;
    let mut value = head.first as i32;
    if left > 0 {
        numbers.push(value);
        left -= 1;
    }
    let mut at = walk.position();
    while left > 0 {
        let mut walk = Walk::new(bytes.get(at..).ok_or_else(broken)?);
        let least = walk.integer()? as i32;
        at += walk.position();
        let widths = bytes.get(at..at + head.minis as usize).ok_or_else(broken)?;
        at += widths.len();
        for width in widths {
            if left == 0 {
                break;
            }
            let width = usize::from(*width);
            let packed = bytes.get(at..at + width * per_mini / 8).ok_or_else(broken)?;
            at += packed.len();
            for index in 0..per_mini.min(left) {
                value = value.wrapping_add(least).wrapping_add(unpack(packed, index, width)?);
                numbers.push(value);
            }
            left = left.saturating_sub(per_mini);
        }
    }
    Ok((numbers, at))
}

/// The number at a place of packed bits.
fn unpack(packed: &[u8], index: usize, width: usize) -> Result<i32> {
    if width > 32 {
        return Err(broken());
    }
    let bit = index * width;
    let mut word = [0; 8];
    let from = &packed[(bit / 8).min(packed.len())..];
    let taken = from.len().min(8);
    word[..taken].copy_from_slice(&from[..taken]);
    let mask = (1_u64 << width) - 1;
    Ok(((u64::from_le_bytes(word) >> (bit % 8)) & mask) as u32 as i32)
}

/// The bytes that values of `DELTA_BYTE_ARRAY` become, and the longest of them: each begins with a part of the one before.
pub(super) fn byte_arrays(bytes: &[u8], most: u32) -> Result<(u64, u64)> {
    let (prefixes, end) = decode(bytes, most)?;
    let (suffixes, _) = decode(bytes.get(end..).ok_or_else(broken)?, most)?;
    let (mut total, mut longest) = (0, 0);
    for (prefix, suffix) in prefixes.iter().zip(&suffixes) {
        let length = u64::try_from(*prefix).map_err(|_| broken())? + u64::try_from(*suffix).map_err(|_| broken())?;
        total += length;
        longest = longest.max(length);
    }
    Ok((total, longest))
}
