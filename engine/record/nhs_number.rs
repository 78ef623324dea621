//! The NHS Number: format, check digit, placeholders, number ranges, verification status.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Ten digits that pass the modulus 11 check and are not a placeholder
/// (NHS Data Dictionary, NHS NUMBER; ISB 0149).
///
/// Valid is not verified: whether the number was traced is the [`Status`], and whether it may key
/// an event is decided by [`crate::identity::Identity`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NhsNumber([u8; 10]);

/// Why a text is not an NHS Number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NhsNumberError {
    /// Not ten digits, bare or written 3-3-4 with blanks or hyphens.
    #[error("an nhs number has ten digits, bare or grouped 3-3-4")]
    Format,
    /// The tenth digit is not the modulus 11 check digit of the first nine.
    #[error("the check digit of the nhs number is wrong")]
    CheckDigit,
    /// A number that stands for "none", such as 9999999999.
    #[error("the nhs number is a placeholder")]
    Placeholder,
}

impl NhsNumberError {
    /// The name under which this is counted as a data-quality finding.
    pub fn quality(self) -> &'static str {
        match self {
            NhsNumberError::Format => "nhs-number.format",
            NhsNumberError::CheckDigit => "nhs-number.check-digit",
            NhsNumberError::Placeholder => "nhs-number.placeholder",
        }
    }
}

/// Numbers that pass the check digit and mean "none": every number of ten equal digits passes
/// modulus 11, and feeds and specifications use them as fillers.
const PLACEHOLDERS: [&str; 13] = [
    "0000000000",
    "1111111111",
    "2222222222",
    "3333333333",
    "4444444444",
    "5555555555",
    "6666666666",
    "7777777777",
    "8888888888",
    "9999999999",
    "0123456789",
    "1234567890",
    "9876543210",
];

impl NhsNumber {
    /// Reads ten digits, bare or written `NNN NNN NNNN` or `NNN-NNN-NNNN`, with blanks around.
    pub fn parse(text: &str) -> Result<Self, NhsNumberError> {
        let digits = ten_digits(text.trim()).ok_or(NhsNumberError::Format)?;
        if PLACEHOLDERS.iter().any(|placeholder| placeholder.bytes().eq(digits.iter().copied())) {
            return Err(NhsNumberError::Placeholder);
        }
        if check_digit(&digits) != Some(digits[9]) {
            return Err(NhsNumberError::CheckDigit);
        }
        Ok(NhsNumber(digits))
    }

    /// The ten digits without blanks, as they travel.
    pub fn as_str(&self) -> &str {
        // The bytes were checked to be ASCII digits when the number was read.
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The ten digits as a number, for indexes; never for people, who need the leading zeros.
    pub fn as_u64(&self) -> u64 {
        self.0.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
    }

    /// The NHS Number that [`NhsNumber::as_u64`] gave; nothing for what is none.
    pub fn from_u64(number: u64) -> Option<Self> {
        NhsNumber::parse(&format!("{number:010}")).ok()
    }

    /// The form people read: `999 000 0018` (ISB 0149).
    pub fn spaced(&self) -> String {
        let digits = self.as_str();
        format!("{} {} {}", &digits[..3], &digits[3..6], &digits[6..])
    }

    /// Whether the number is of the range 900 000 0000 to 999 999 9999, which is for tests: nobody
    /// was ever issued one. What is invented on purpose begins with 999.
    pub fn is_test(&self) -> bool {
        self.range().name == TEST
    }

    /// The part of the UK numbering plan that the number lies in: advice, never a reason to refuse.
    pub fn range(&self) -> &'static Range {
        let digits = self.as_str();
        // They stand in order and leave nothing out.
        let before = RANGES.partition_point(|range| range.last < digits);
        &RANGES[before.min(RANGES.len() - 1)]
    }
}

impl fmt::Display for NhsNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for NhsNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NhsNumber(***)")
    }
}

impl Serialize for NhsNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for NhsNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NhsNumber::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

fn ten_digits(text: &str) -> Option<[u8; 10]> {
    let bytes = text.as_bytes();
    let bare: Vec<u8> = match bytes.len() {
        10 => bytes.to_vec(),
        12 if matches!(bytes[3], b' ' | b'-') && bytes[3] == bytes[7] => {
            [&bytes[..3], &bytes[4..7], &bytes[8..]].concat()
        }
        _ => return None,
    };
    let digits: [u8; 10] = bare.try_into().ok()?;
    digits.iter().all(u8::is_ascii_digit).then_some(digits)
}

/// The tenth digit that belongs to the first nine, as an ASCII digit; none for a base that has no
/// valid check digit and is never issued.
fn check_digit(digits: &[u8; 10]) -> Option<u8> {
    let sum: u32 = (2..=10).rev().zip(digits).map(|(weight, d)| weight * u32::from(d - b'0')).sum();
    match 11 - sum % 11 {
        10 => None,
        11 => Some(b'0'),
        digit => u8::try_from(digit).ok().map(|digit| b'0' + digit),
    }
}

/// One range of the ten-digit numbering plan shared by the health services of these islands.
#[derive(Debug, PartialEq, Eq)]
pub struct Range {
    /// First number, as ten digits.
    pub first: &'static str,
    /// Last number, as ten digits.
    pub last: &'static str,
    /// A short name: `england-wales`, `scotland-chi`, `test` ...
    pub name: &'static str,
    /// Whether NHS Numbers of England, Wales and the Isle of Man are issued from it.
    pub issued: bool,
}

const fn range(first: &'static str, last: &'static str, name: &'static str, issued: bool) -> Range {
    Range { first, last, name, issued }
}

/// The numbering plan, in order and without gaps.
pub const RANGES: [Range; 11] = [
    range("0000000000", "0009999999", "not-in-use", false),
    range("0010000000", "0099999999", "unallocated", false),
    range("0100000000", "3112999999", "scotland-chi", false),
    range("3113000000", "3199999999", "unreserved", false),
    range("3200000000", "3999999999", "northern-ireland-hc", false),
    range("4000000000", "4999999999", "england-wales", true),
    range("5000000000", "5999999999", "not-to-be-issued", false),
    range("6000000000", "7999999999", "england-wales", true),
    range("8000000000", "8599999999", "ireland", false),
    range("8600000000", "8999999999", "spare", false),
    range("9000000000", "9999999999", TEST, false),
];

const TEST: &str = "test";

/// How far an NHS Number is verified: the NHS NUMBER STATUS INDICATOR CODE, `01` to `08`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u8);

const STATUS_CODES: [&str; 8] = ["01", "02", "03", "04", "05", "06", "07", "08"];

impl Status {
    /// `01`: number present and verified, the only status that is safe to key on by itself.
    pub const VERIFIED: Status = Status(1);

    /// Reads the spellings that feeds use for one code: `1`, `01`, `NSTS01`, `NSTS1`, `PDS01`,
    /// in either case and with blanks around. The leading zero is significant and often lost.
    pub fn normalise(text: &str) -> Option<Status> {
        let text = text.trim().to_ascii_uppercase();
        let code = text.strip_prefix("NSTS").or_else(|| text.strip_prefix("PDS")).unwrap_or(&text);
        match code.as_bytes() {
            [digit @ b'1'..=b'8'] | [b'0', digit @ b'1'..=b'8'] => Some(Status(digit - b'0')),
            _ => None,
        }
    }

    /// Whether a text means to be a status, known or not: PID-32 mixes them with other codes.
    pub fn looks_like_one(text: &str) -> bool {
        let text = text.trim().to_ascii_uppercase();
        text.starts_with("NSTS")
            || text.starts_with("PDS")
            || (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// The two characters of the Data Dictionary.
    pub fn code(self) -> &'static str {
        STATUS_CODES[usize::from(self.0 - 1)]
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Status::normalise(&text).ok_or_else(|| D::Error::custom("a status is 01 to 08"))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_with_the_right_check_digit_are_read() {
        for text in ["9990000018", "9990000026", "9990000034", "9990000042", "9990000050"] {
            assert_eq!(NhsNumber::parse(text).expect(text).as_str(), text);
        }
        for text in ["999 000 0018", "999-000-0018", "  9990000018 "] {
            assert_eq!(NhsNumber::parse(text).expect(text).as_str(), "9990000018");
        }
    }

    #[test]
    fn published_examples_with_a_wrong_check_digit_are_refused() {
        for text in ["9999999998", "9219068409", "9999345201", "9990000019"] {
            assert_eq!(NhsNumber::parse(text), Err(NhsNumberError::CheckDigit));
        }
    }

    #[test]
    fn a_base_without_check_digit_has_none_of_the_ten() {
        for last in 0..10 {
            let text = format!("999000000{last}");
            assert_eq!(NhsNumber::parse(&text), Err(NhsNumberError::CheckDigit), "{text}");
        }
    }

    #[test]
    fn equal_digits_are_placeholders() {
        for digit in 0..10 {
            let text = digit.to_string().repeat(10);
            assert_eq!(NhsNumber::parse(&text), Err(NhsNumberError::Placeholder));
        }
    }

    #[test]
    fn other_shapes_are_not_numbers() {
        for text in ["", "999000001", "99900000180", "999 000-0018", "99900 00018", "99900000é8"] {
            assert_eq!(NhsNumber::parse(text), Err(NhsNumberError::Format), "{text}");
        }
    }

    #[test]
    fn ranges_have_no_gap_and_name_the_test_range() {
        for pair in RANGES.windows(2) {
            let last: u64 = pair[0].last.parse().expect("digits");
            let first: u64 = pair[1].first.parse().expect("digits");
            assert_eq!(last + 1, first);
        }
        let number = NhsNumber::parse("9990000018").expect("valid");
        assert_eq!(number.range().name, "test");
        assert!(number.is_test());
        assert_eq!(number.spaced(), "999 000 0018");
        assert_eq!(format!("{number:?}"), "NhsNumber(***)");
    }

    #[test]
    fn every_spelling_of_a_status_is_one_code() {
        for text in ["1", "01", "NSTS01", "nsts1", "PDS01", "01 "] {
            assert_eq!(Status::normalise(text), Some(Status::VERIFIED), "{text}");
        }
        for text in ["", "0", "9", "09", "NSTS", "ED", "US", "001"] {
            assert_eq!(Status::normalise(text), None, "{text}");
        }
        assert_eq!(Status::normalise("NSTS08").map(Status::code), Some("08"));
    }

    proptest! {
        #[test]
        fn one_changed_digit_is_always_noticed(base in 0_u32..999_999_999, at in 0_usize..10, by in 1_u8..10) {
            let mut digits = [b'0'; 10];
            digits[..9].copy_from_slice(format!("{base:09}").as_bytes());
            if let Some(check) = check_digit(&digits) {
                digits[9] = check;
                let mut changed = digits;
                changed[at] = b'0' + (changed[at] - b'0' + by) % 10;
                let text = str::from_utf8(&changed).expect("digits");
                prop_assert!(NhsNumber::parse(text).is_err());
            }
        }

        #[test]
        fn reading_never_panics(text in "\\PC{0,16}") {
            let _read = NhsNumber::parse(&text);
            let _status = Status::normalise(&text);
        }
    }
}
