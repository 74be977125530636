//! The bytes of a text that may part fields and records: found 64 at a time, without a branch per byte.

/// Walks over the places of up to four bytes.
pub(super) struct Marks<'a> {
    text: &'a [u8],
    wanted: [u8; 4],
    /// Where the block at hand begins, and which of its bytes are left.
    block: usize,
    left: u64,
}

impl<'a> Marks<'a> {
    /// From a place on.
    #[inline]
    pub(super) fn new(text: &'a [u8], from: usize, wanted: [u8; 4]) -> Self {
        let mut marks = Self { text, wanted, block: from, left: 0 };
        marks.left = marks.look();
        marks
    }

    /// The next place.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<usize> {
        while self.left == 0 {
            self.block += 64;
            if self.block >= self.text.len() {
                self.block = self.text.len();
                return None;
            }
            self.left = self.look();
        }
        let place = self.block + self.left.trailing_zeros() as usize;
        self.left &= self.left - 1;
        Some(place)
    }

    #[inline(always)]
    fn look(&self) -> u64 {
        match self.text.get(self.block..).and_then(<[u8]>::first_chunk::<64>) {
            Some(block) => places(block, self.wanted),
            None => self.look_at_the_end(),
        }
    }

    #[cold]
    fn look_at_the_end(&self) -> u64 {
        let rest = self.text.get(self.block..).unwrap_or_default();
        let mut block = [0; 64];
        block[..rest.len()].copy_from_slice(rest);
        places(&block, self.wanted) & ((1_u64 << rest.len()) - 1)
    }
}

/// One bit for each byte that is wanted. Written so that the compiler makes vector instructions of it.
#[inline(always)]
fn places(block: &[u8; 64], [a, b, c, d]: [u8; 4]) -> u64 {
    let mut found = [0_u8; 64];
    for (found, byte) in found.iter_mut().zip(block) {
        *found = u8::from((*byte == a) | (*byte == b) | (*byte == c) | (*byte == d));
    }
    let (eights, _) = found.as_chunks::<8>();
    // The product moves the eight lowest bits into the highest byte.
    let bits = eights.iter().map(|eight| u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56);
    bits.enumerate().fold(0, |all, (n, bits)| all | bits << (8 * n))
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn every_place_is_found(text in "[abc,;\n\"é\0]{0,300}", from in 0_usize..50) {
            let text = text.as_bytes();
            let from = from.min(text.len());
            let mut marks = Marks::new(text, from, *b",\n\";");
            let found: Vec<_> = std::iter::from_fn(|| marks.next()).collect();
            let expected: Vec<_> = (from..text.len()).filter(|at| b",\n\";".contains(&text[*at])).collect();
            proptest::prop_assert_eq!(found, expected);
            proptest::prop_assert_eq!(marks.next(), None);
        }
    }
}
