//! Short texts in steps of eight bytes: a field is mostly shorter than a search for each of its
//! delimiters takes to begin.

use std::ops::Range;

const ONES: u64 = u64::MAX / 255;
const LOW: u64 = ONES * 0x7F;

/// The part with so many `delimiter`s before it, if there are as many.
pub(crate) fn nth_part(bytes: &[u8], delimiter: u8, mut before: usize) -> Option<Range<usize>> {
    let mut start = 0;
    let (words, rest) = bytes.as_chunks::<8>();
    for (word, at) in words.iter().zip((0..).step_by(8)) {
        let mut found = equal(u64::from_le_bytes(*word), delimiter);
        while found != 0 {
            let end = at + found.trailing_zeros() as usize / 8;
            if before == 0 {
                return Some(start..end);
            }
            before -= 1;
            start = end + 1;
            found &= found - 1;
        }
    }
    let read = bytes.len() - rest.len();
    for (end, _) in (read..).zip(rest).filter(|(_, byte)| **byte == delimiter) {
        if before == 0 {
            return Some(start..end);
        }
        before -= 1;
        start = end + 1;
    }
    (before == 0).then_some(start..bytes.len())
}

/// The high bit of each byte of the word that is this one.
fn equal(word: u64, byte: u8) -> u64 {
    let other = word ^ (ONES * u64::from(byte));
    !(((other & LOW) + LOW) | other | LOW)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_part_is_what_split_gives(
            bytes in prop::collection::vec(prop::sample::select(b"a^&\x00\x5d\x5f\xde\xff".to_vec()), 0..40),
            before in 0_usize..12,
        ) {
            let expected = bytes.split(|byte| *byte == b'^').nth(before);
            let found = nth_part(&bytes, b'^', before).map(|range| &bytes[range]);
            prop_assert_eq!(found, expected);
        }
    }
}
