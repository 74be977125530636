//! PostgreSQL's `numeric` as sent in binary: groups of four decimal digits.
use super::columns::Fault;

const POWERS: [i128; 39] = {
    let mut powers = [1_i128; 39];
    let mut n = 1;
    while n < 39 {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

/// The smallest number that has more than `precision` digits.
pub(super) const fn limit(precision: u8) -> i128 {
    POWERS[precision as usize]
}

/// The number times 10^`scale`, exactly.
///
/// The header is four 16-bit numbers: how many groups follow, the weight of the first one (its value is multiplied by
/// 10000^weight), the sign, and how many digits are shown after the point (which does not change the value).
///
/// # Errors
/// [`Fault::NotANumber`], [`Fault::Infinite`], [`Fault::TooManyDigits`] if it is not below `limit` or has more than
/// `scale` digits after the point, [`Fault::Malformed`].
#[inline]
pub(super) fn unscaled(cell: &[u8], scale: u8, limit: i128) -> Result<i128, Fault> {
    let (header, groups) = cell.split_first_chunk::<8>().ok_or(Fault::Malformed)?;
    let [c0, c1, w0, w1, s0, s1, _, _] = *header;
    let count = usize::from(u16::from_be_bytes([c0, c1]));
    let negative = match [s0, s1] {
        [0, 0] => false,
        [0x40, 0] => true,
        [0xC0, 0] => return Err(Fault::NotANumber),
        [0xD0 | 0xF0, 0] => return Err(Fault::Infinite),
        _ => return Err(Fault::Malformed),
    };
    if groups.len() != 2 * count {
        return Err(Fault::Malformed);
    }
    let Some((leading, last)) = groups.split_last_chunk::<2>() else { return Ok(0) };
    // The power of ten of the last group once the number is scaled.
    let weight = i32::from(i16::from_be_bytes([w0, w1]));
    let exponent = (weight - (count as i32 - 1)) * 4 + i32::from(scale);
    let last = i128::from(group(last)?);
    let value = match count {
        1..=4 if exponent > -4 => small(leading, last, exponent)?,
        _ => large(leading, last, exponent)?,
    };
    if value >= limit {
        return Err(Fault::TooManyDigits);
    }
    Ok(if negative { -value } else { value })
}

/// Four decimal digits.
#[inline]
fn group(pair: &[u8]) -> Result<u16, Fault> {
    match pair.try_into().map(u16::from_be_bytes) {
        Ok(group @ 0..10_000) => Ok(group),
        _ => Err(Fault::Malformed),
    }
}

/// Up to 16 digits, which fit 64 bits before they are scaled.
#[inline]
fn small(leading: &[u8], last: i128, exponent: i32) -> Result<i128, Fault> {
    let mut sum = 0_u64;
    for pair in leading.chunks_exact(2) {
        sum = sum * 10_000 + u64::from(group(pair)?);
    }
    let sum = sum * 10_000 + last as u64;
    match usize::try_from(exponent) {
        Ok(0) => Ok(i128::from(sum)),
        Ok(up) => i128::from(sum).checked_mul(*POWERS.get(up).ok_or(Fault::TooManyDigits)?).ok_or(Fault::TooManyDigits),
        Err(_) => {
            let down = POWERS[exponent.unsigned_abs() as usize] as u64;
            if sum.is_multiple_of(down) { Ok(i128::from(sum / down)) } else { Err(Fault::TooManyDigits) }
        }
    }
}

/// Any number of digits. The last group is scaled apart, because up to three of its digits may be zeros that would not
/// fit 128 bits.
fn large(leading: &[u8], last: i128, exponent: i32) -> Result<i128, Fault> {
    let mut sum = 0_i128;
    for pair in leading.chunks_exact(2) {
        let group = i128::from(group(pair)?);
        sum = sum.checked_mul(10_000).and_then(|sum| sum.checked_add(group)).ok_or(Fault::TooManyDigits)?;
    }
    let power = |n: i32| usize::try_from(n).ok().and_then(|n| POWERS.get(n)).copied().ok_or(Fault::TooManyDigits);
    let last = match exponent {
        0.. => last.checked_mul(power(exponent)?).ok_or(Fault::TooManyDigits)?,
        -3..0 if last % power(-exponent)? == 0 => last / power(-exponent)?,
        _ => return Err(Fault::TooManyDigits),
    };
    if sum == 0 {
        return Ok(last);
    }
    sum.checked_mul(power(exponent + 4)?).and_then(|sum| sum.checked_add(last)).ok_or(Fault::TooManyDigits)
}

#[cfg(test)]
mod tests;
