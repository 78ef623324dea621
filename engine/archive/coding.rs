//! How values stand in the files: small. Change nothing here without raising the version.

use rusqlite::types::{Value, ValueRef};

use crate::record::Place;

/// The largest message id that the files can hold.
pub(crate) const MOST_ID: u64 = (1 << 47) - 1;
/// Events, local identifiers and moments of one message have keys `id << 16 | number`.
const NUMBER_BITS: u32 = 16;
/// Messages that share one part of the keys; see [`Found`].
const SLOT_BITS: u32 = 15;

/// A number for SQLite, whose integers are signed; what is too large is the largest.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The number that [`signed`] stored.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// The key of the event, identifier or moment with that number; none beyond 65,535.
pub(crate) fn part_key(id: u64, number: usize) -> Option<i64> {
    let number = u64::from(u16::try_from(number).ok()?);
    Some(signed(id << NUMBER_BITS | number))
}

/// The first and the last key of a message.
pub(crate) fn part_keys(id: u64) -> (i64, i64) {
    let first = signed(id.min(MOST_ID) << NUMBER_BITS);
    (first, first | i64::from(u16::MAX))
}

/// A place without its zero bytes: most of the sixteen are. Two bytes say which are there.
pub(crate) fn pack(place: &Place) -> Vec<u8> {
    let mut mask = 0_u16;
    let mut packed = vec![0, 0];
    for (bit, byte) in place.iter().enumerate().filter(|(_, byte)| **byte != 0) {
        mask |= 1 << bit;
        packed.push(*byte);
    }
    packed[..2].copy_from_slice(&mask.to_le_bytes());
    packed
}

/// The place that [`pack`] packed.
pub(crate) fn unpack(packed: &[u8]) -> Option<Place> {
    let (mask, bytes) = packed.split_first_chunk::<2>()?;
    let mask = u16::from_le_bytes(*mask);
    let mut bytes = bytes.iter();
    let mut place = [0; 16];
    for (bit, byte) in place.iter_mut().enumerate() {
        if mask & 1 << bit != 0 {
            *byte = *bytes.next()?;
        }
    }
    Some(place)
}

/// An NHS Number as six bytes; anything else as the text it is.
pub(crate) fn nhs_value(text: &str) -> Value {
    let ten_digits = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if ten_digits => Value::Integer(number),
        _ => Value::Text(text.to_owned()),
    }
}

/// The text that [`nhs_value`] stored.
pub(crate) fn nhs_text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Integer(number) => Some(format!("{number:010}")),
        ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    }
}

/// Sixteen bytes for a UUID in its usual form; anything else as the text it is.
pub(crate) fn event_id_value(text: &str) -> Value {
    let number = text
        .split('-')
        .map(str::len)
        .eq([8, 4, 4, 4, 12])
        .then(|| text.replace('-', ""))
        .filter(|hex| hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
        .and_then(|hex| u128::from_str_radix(&hex, 16).ok());
    match number {
        Some(number) => Value::Blob(number.to_be_bytes().to_vec()),
        None => Value::Text(text.to_owned()),
    }
}

/// The text that [`event_id_value`] stored.
pub(crate) fn event_id_text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Blob(bytes) => {
            let number = <[u8; 16]>::try_from(bytes).map(u128::from_be_bytes).unwrap_or_default();
            let hex = format!("{number:032x}");
            let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
            parts.join("-")
        }
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    }
}

/// What a message can be found by, quickly, whatever the number of messages.
///
/// It stands in the table `keys` as a hash of 32 bits, so a hit must be compared with the message.
/// Keys are grouped by *slots* of 32,768 neighbouring messages: hashes lie anywhere, and without
/// slots every message would touch pages all over the file.
#[derive(Clone, Copy)]
pub(crate) enum Found<'t> {
    /// By MSH-10.
    ControlId(&'t str),
    /// By the number that keys its events.
    NhsNumber(&'t str),
    /// By a local identifier, of which the first component counts.
    Local(&'t str),
}

impl Found<'_> {
    /// FNV-1a over kind and text, folded.
    pub(crate) fn hash(self) -> u32 {
        let (kind, text) = match self {
            Self::ControlId(text) => (b'c', text),
            Self::NhsNumber(text) => (b'n', text),
            Self::Local(text) => (b'l', text.split('^').next().unwrap_or_default()),
        };
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in std::iter::once(kind).chain(text.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        u32::try_from((hash >> 32) ^ (hash & u64::from(u32::MAX))).unwrap_or_default()
    }

    /// The two columns of a message's key.
    pub(crate) fn key(self, id: u64) -> (i64, i64) {
        let low = id & ((1 << SLOT_BITS) - 1);
        (signed(slot(id) << 32 | u64::from(self.hash())), signed(low))
    }
}

/// The slot of a message.
pub(crate) fn slot(id: u64) -> u64 {
    id >> SLOT_BITS
}

/// SQL for the ids under a hash in a range of slots, given as numbered parameters.
pub(crate) fn ids_under(first_slot: usize, last_slot: usize, hash: usize) -> String {
    format!(
        "WITH RECURSIVE slot(n) AS (VALUES(?{first_slot}) UNION ALL \
         SELECT n + 1 FROM slot WHERE n < ?{last_slot}) \
         SELECT slot.n << {SLOT_BITS} | keys.low FROM slot CROSS JOIN keys \
         ON keys.key = (slot.n << 32 | ?{hash})"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_read_back(place: [u8; 16]) {
            prop_assert_eq!(unpack(&pack(&place)), Some(place));
        }

        #[test]
        fn texts_read_back(text in "\\PC{0,12}|[0-9]{10}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}") {
            prop_assert_eq!(nhs_text(ValueRef::from(&nhs_value(&text))), Some(text.clone()));
            prop_assert_eq!(event_id_text(ValueRef::from(&event_id_value(&text))), text);
        }

        #[test]
        fn packed_garbage_is_no_panic(bytes: Vec<u8>) {
            let _place = unpack(&bytes);
        }
    }

    #[test]
    fn small_things_are_small() {
        let mut place = [0; 16];
        place[0] = 7;
        place[8..11].copy_from_slice(&[1, 2, 3]);
        assert_eq!(pack(&place).len(), 6);
        assert_eq!(nhs_value("0000000018"), Value::Integer(18));
        let id = "6ba7b810-9dad-51d1-80b4-00c04fd430c8";
        assert!(matches!(event_id_value(id), Value::Blob(bytes) if bytes.len() == 16));
    }

    #[test]
    fn a_local_identifier_is_found_by_its_number() {
        let (short, long) = (Found::Local("1234567"), Found::Local("1234567^^^RXX01^MR"));
        assert_eq!(short.key(40_000), long.key(40_000));
        assert_ne!(Found::ControlId("1234567").hash(), short.hash());
        // Stands in the files.
        assert_eq!(Found::ControlId("MSG00001").hash(), 0x82fe_3bc1);
    }
}
