//! Finding field delimiters and line ends, eight bytes at a time.

/// The places of field delimiters and line ends. Eight bytes are compared at once, because fields
/// are so short that a search for each of them costs more than it saves.
pub(crate) struct Marks<'b> {
    bytes: &'b [u8],
    field: u8,
    /// The field delimiter, eight times.
    pattern: u64,
    /// Where the eight bytes after the present ones begin.
    next: usize,
    /// The high bit of every byte of the present eight that is a mark.
    found: u64,
}

impl<'b> Marks<'b> {
    pub(crate) fn new(bytes: &'b [u8], field: u8) -> Self {
        Self { bytes, field, pattern: u64::from_le_bytes([field; 8]), next: 0, found: 0 }
    }

    /// Where field delimiters are, and control characters from 8 to 15: both line ends and little
    /// else, for one comparison instead of two.
    fn compare(&self, eight: [u8; 8]) -> u64 {
        const LOW: u64 = u64::from_le_bytes([0x7F; 8]);
        let word = u64::from_le_bytes(eight);
        // A byte of the difference is zero where the bytes are equal; only there does neither the
        // sum nor the byte itself set the high bit.
        let zero = |difference: u64| !(((difference & LOW) + LOW) | difference | LOW);
        let line_ends = (word & u64::from_le_bytes([0xF8; 8])) ^ u64::from_le_bytes([0x08; 8]);
        zero(word ^ self.pattern) | zero(line_ends)
    }
}

impl Iterator for Marks<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            while self.found == 0 {
                let rest = self.bytes.get(self.next..).filter(|rest| !rest.is_empty())?;
                let mut eight = [0; 8];
                match rest.first_chunk::<8>() {
                    Some(whole) => eight = *whole,
                    None => eight[..rest.len()].copy_from_slice(rest),
                }
                self.found = self.compare(eight);
                self.next += 8;
            }
            let at = self.next - 8 + self.found.trailing_zeros() as usize / 8;
            self.found &= self.found - 1;
            let byte = self.bytes[at];
            if byte == self.field || matches!(byte, b'\r' | b'\n') {
                return Some(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Marks;

    proptest! {
        #[test]
        fn every_mark_is_found_and_nothing_else(
            bytes in prop::collection::vec(
                prop_oneof![any::<u8>(), prop::sample::select(b"|{}\r\n\x0B\x0C\x0E\0\xFC".to_vec())],
                0..80,
            ),
            field in prop::sample::select(b"|#!~".to_vec()),
        ) {
            let found: Vec<usize> = Marks::new(&bytes, field).collect();
            let is_mark = |at: &usize| [field, b'\r', b'\n'].contains(&bytes[*at]);
            let expected: Vec<usize> = (0..bytes.len()).filter(is_mark).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
