//! A set of message ids that stays small whatever is in it.

use roaring::RoaringTreemap;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Compressed bitmaps; in a checkpoint they are written as hexadecimal digits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ids(RoaringTreemap);

impl Eq for Ids {}

impl Ids {
    /// Adds an id.
    pub fn insert(&mut self, id: u64) {
        self.0.insert(id);
    }

    /// Takes an id out; whether it was there.
    pub fn remove(&mut self, id: u64) -> bool {
        self.0.remove(id)
    }

    /// Whether the id is there.
    pub fn contains(&self, id: u64) -> bool {
        self.0.contains(id)
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ids, rising.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter()
    }

    /// The bitmaps themselves.
    pub fn bitmap(&self) -> &RoaringTreemap {
        &self.0
    }
}

impl Serialize for Ids {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(self.0.serialized_size());
        self.0.serialize_into(&mut bytes).map_err(serde::ser::Error::custom)?;
        let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
        let text: String = bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let half = |digit: u8| char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let bytes: Option<Vec<u8>> = text
            .as_bytes()
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Some(half(*high)? << 4 | half(*low)?),
                _ => None,
            })
            .collect();
        let bytes = bytes.ok_or_else(|| D::Error::custom("not hexadecimal digits"))?;
        RoaringTreemap::deserialize_from(&bytes[..]).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_survives_its_snapshot() {
        let mut ids = Ids::default();
        for id in [1, 2, 3, 70_000, u64::MAX] {
            ids.insert(id);
        }
        assert!(ids.remove(2) && !ids.remove(2));
        let text = serde_json::to_string(&ids).expect("writes");
        assert_eq!(serde_json::from_str::<Ids>(&text).expect("reads"), ids);
        assert!(serde_json::from_str::<Ids>("\"0g\"").is_err());
    }
}
