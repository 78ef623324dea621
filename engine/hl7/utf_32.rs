//! UTF-32, which table 0211 has and the web has given up, so that no library here reads it.

/// Which byte of a character comes first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The one of lowest value.
    Little,
    /// The one of highest value.
    Big,
}

impl Order {
    /// The characters, four bytes each; U+FFFD for what is none.
    pub(crate) fn decode(self, bytes: &[u8]) -> impl Iterator<Item = char> {
        let number = match self {
            Self::Little => u32::from_le_bytes,
            Self::Big => u32::from_be_bytes,
        };
        bytes.chunks(4).map(move |unit| {
            let four = <[u8; 4]>::try_from(unit).ok();
            four.and_then(|four| char::from_u32(number(four)))
                .unwrap_or(char::REPLACEMENT_CHARACTER)
        })
    }

    /// The text, four bytes a character.
    pub(crate) fn encode(self, text: &str) -> Vec<u8> {
        let bytes = match self {
            Self::Little => u32::to_le_bytes,
            Self::Big => u32::to_be_bytes,
        };
        text.chars().flat_map(|character| bytes(u32::from(character))).collect()
    }
}
