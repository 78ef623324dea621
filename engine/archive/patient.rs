//! Whom to look for; and what must not be written where others read it.

use std::fmt;

/// An identifier of a patient. It never stands in the text of a query.
#[derive(Clone, PartialEq, Eq)]
pub enum PatientIdentifier {
    /// Ten digits.
    NhsNumber(String),
    /// As in PID-3, or its beginning: `1234567` finds `1234567^^^RXX01^MR` too.
    Local(String),
}

impl PatientIdentifier {
    /// Reads what a person typed: ten digits with the right check digit, bare or grouped, are an
    /// NHS Number; all else is a local identifier.
    pub fn read(text: &str) -> Self {
        let text = text.trim();
        let bare: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        if is_nhs_number(bare.as_bytes()) {
            Self::NhsNumber(bare)
        } else {
            Self::Local(text.to_owned())
        }
    }
}

impl fmt::Debug for PatientIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NhsNumber(_) => "NhsNumber(***)",
            Self::Local(_) => "Local(***)",
        })
    }
}

/// Whether an identifier as in PID-3 is the one asked for: equal, or more precise.
pub(crate) fn is_asked(identifier: &str, asked: &str) -> bool {
    let asked = asked.trim_end_matches('^');
    let rest = identifier.strip_prefix(asked);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['^', '&']))
}

/// Where in a text an NHS Number seems to stand, in bytes: ten digits by themselves, bare or
/// written 3-3-4, with the right check digit.
pub(crate) fn nhs_number_in(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    (0..bytes.len()).filter(|&at| digit(at) && (at == 0 || !digit(at - 1))).find(|&at| {
        let grouped = matches!(bytes.get(at + 3), Some(b' ' | b'-'))
            && bytes.get(at + 3) == bytes.get(at + 7);
        let length = if grouped { 12 } else { 10 };
        let Some(number) = bytes.get(at..at + length) else { return false };
        let number = if grouped {
            [&number[..3], &number[4..7], &number[8..]].concat()
        } else {
            number.to_vec()
        };
        !digit(at + length) && is_nhs_number(&number)
    })
}

fn is_nhs_number(digits: &[u8]) -> bool {
    let weighted = digits.iter().zip((1..=10_u32).rev());
    let sum: u32 =
        weighted.map(|(digit, weight)| u32::from(digit.wrapping_sub(b'0')) * weight).sum();
    // The check digit has weight 1 and completes the sum to a multiple of 11.
    digits.len() == 10 && digits.iter().all(u8::is_ascii_digit) && sum.is_multiple_of(11)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_seen_wherever_it_stands() {
        for text in ["9990000018", "x=999 000 0018 y", "id=1 nhs:999-000-0018", "9 9990000026"] {
            assert!(nhs_number_in(text).is_some(), "{text}");
        }
        for text in ["9990000019", "99900000180", "2026-11-22T10:00", "999 000-0018", "é999000001"]
        {
            assert_eq!(nhs_number_in(text), None, "{text}");
        }
    }

    #[test]
    fn what_was_typed_is_a_number_or_local() {
        let number = PatientIdentifier::NhsNumber("9990000018".into());
        assert_eq!(PatientIdentifier::read(" 999 000 0018\n"), number);
        assert_eq!(
            PatientIdentifier::read("9990000019"),
            PatientIdentifier::Local("9990000019".into())
        );
        assert_eq!(format!("{number:?}"), "NhsNumber(***)");
    }

    #[test]
    fn a_longer_identifier_answers_to_its_beginning() {
        for asked in ["1234", "1234^^^RXX01", "1234^^^RXX01^MR", "1234^^^"] {
            assert!(is_asked("1234^^^RXX01&1.2&ISO^MR", asked) || asked.ends_with("MR"), "{asked}");
        }
        assert!(is_asked("1234^^^RXX01^MR", "1234^^^RXX01^MR"));
        assert!(!is_asked("12345^^^RXX01^MR", "1234"));
        assert!(!is_asked("1234^^^RXX01^MR", "1234^^^RXX02"));
    }
}
