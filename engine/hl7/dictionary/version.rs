//! Versions of the standard, as MSH-12 names them.

use std::fmt;

/// A version of HL7 v2 that the dictionary knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub(super) u8);

/// From the oldest; the order is that of the letters in the data.
const VERSIONS: [&str; 13] = [
    "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1",
    "2.8.2",
];

impl Version {
    /// The version of HL7 UK and the ITK, taken where a message names none.
    pub const UK: Self = Self(4);

    /// The version that a text of MSH-12 means: itself, else the newest that is older, so that 2.9
    /// is read as 2.8.2; HL7 UK's where the text is no version at all.
    pub fn nearest(text: &str) -> Self {
        let wanted = text.trim().trim_start_matches(['V', 'v']);
        let Some(wanted) = numbers(wanted) else { return Self::UK };
        let older = VERSIONS.iter().rposition(|ours| numbers(ours) <= Some(wanted));
        Self(u8::try_from(older.unwrap_or(0)).unwrap_or_default())
    }

    /// As it stands in MSH-12: `2.5.1`.
    pub fn as_str(self) -> &'static str {
        VERSIONS.get(usize::from(self.0)).copied().unwrap_or("2.4")
    }

    /// Every version, from the oldest.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        (0..).take(VERSIONS.len()).map(Self).collect::<Vec<_>>().into_iter()
    }

    /// The version of a letter in the data, from `a`.
    pub(super) fn of_letter(letter: u8) -> Option<Self> {
        let place = letter.checked_sub(b'a')?;
        (usize::from(place) < VERSIONS.len()).then_some(Self(place))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Up to three numbers between full stops.
fn numbers(text: &str) -> Option<[u16; 3]> {
    let mut found = [0; 3];
    let mut parts = text.split('.');
    for (place, part) in found.iter_mut().zip(&mut parts) {
        *place = part.parse().ok()?;
    }
    (parts.next().is_none() && found[0] == 2).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn a_version_is_itself_or_the_nearest_older_one() {
        for (text, version) in [
            ("2.3.1", "2.3.1"),
            (" 2.5.1 ", "2.5.1"),
            ("2.3.2", "2.3.1"),
            ("2.9", "2.8.2"),
            ("2.0", "2.1"),
            ("V2.4", "2.4"),
            ("", "2.4"),
            ("3.0", "2.4"),
            ("two", "2.4"),
            ("2.5.1.9", "2.4"),
        ] {
            assert_eq!(Version::nearest(text).as_str(), version, "{text:?}");
        }
        assert_eq!(Version::all().count(), 13);
    }
}
