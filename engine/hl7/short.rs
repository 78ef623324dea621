//! Short texts in steps of eight bytes: a field is mostly shorter than a search for each of its
//! delimiters takes to begin.

use std::ops::Range;

const ONES: u64 = u64::MAX / 255;
const LOW: u64 = ONES * 0x7F;
const HIGH: u64 = ONES << 7;

/// The part with so many `delimiter`s before it, if there are as many.
pub(crate) fn nth_part(bytes: &[u8], delimiter: u8, mut before: usize) -> Option<Range<usize>> {
    let mut start = 0;
    let (words, rest) = bytes.as_chunks::<8>();
    for (nth, word) in words.iter().enumerate() {
        let mut found = equal(u64::from_le_bytes(*word), delimiter);
        while found != 0 {
            let end = nth * 8 + found.trailing_zeros() as usize / 8;
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

/// Whether all of it is ASCII, and neither a control character nor this byte.
pub(crate) fn is_plain(bytes: &[u8], without: u8) -> bool {
    // The high bit of each byte below the blank; above the first such byte perhaps of others, too.
    let control = |word: u64| word.wrapping_sub(ONES * 0x20) & !word;
    let odd = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        ((word | control(word)) & HIGH) | equal(word, without)
    };
    let (words, rest) = bytes.as_chunks::<8>();
    if words.iter().any(|word| odd(word) != 0) {
        return false;
    }
    match bytes.last_chunk() {
        // Some of it was looked at before: cheaper than one byte after the other.
        Some(last) => rest.is_empty() || odd(last) == 0,
        None => rest.iter().all(|byte| matches!(byte, b' '..=0x7F) && *byte != without),
    }
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

        #[test]
        fn plain_is_what_every_byte_is(
            mut bytes in prop::collection::vec(b' '..=0x7F_u8, 0..40),
            odd in prop::option::of((any::<u8>(), any::<prop::sample::Index>())),
        ) {
            bytes.retain(|byte| *byte != b'\\');
            if let (Some((odd, at)), false) = (odd, bytes.is_empty()) {
                let at = at.index(bytes.len());
                bytes[at] = odd;
            }
            let expected =
                bytes.iter().all(|byte| (b' '..=0x7F).contains(byte) && *byte != b'\\');
            prop_assert_eq!(is_plain(&bytes, b'\\'), expected);
        }
    }
}
