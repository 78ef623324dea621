//! The written forms of a time: HL7's DTM, and the ISO forms that some feeds send instead.

use jiff::tz::Offset;

use crate::precision::Precision;

/// The parts of a time as written, not yet checked against a calendar.
pub(crate) struct Written {
    pub(crate) digits: String,
    pub(crate) nanoseconds: Option<i32>,
    pub(crate) offset: Option<Offset>,
}

impl Written {
    pub(crate) fn read(text: &str) -> Option<Written> {
        let bytes = text.as_bytes();
        if bytes.get(4) == Some(&b'-') && bytes.get(5).is_some_and(u8::is_ascii_digit) {
            // `1999-0500` could be read as a year with an offset; no feed sends that, and every
            // ISO date has a month of two digits followed by a hyphen or the end.
            return Written::iso(text);
        }
        let (rest, offset) = split_offset(text)?;
        let (digits, nanoseconds) = split_fraction(rest)?;
        Written::checked(digits.to_owned(), nanoseconds, offset)
    }

    fn iso(text: &str) -> Option<Written> {
        let date_length = text.find([' ', 'T']).unwrap_or(text.len());
        let (date, time) = text.split_at(date_length);
        let mut digits = joined(date, '-')?;
        let time = time.trim_start_matches([' ', 'T']);
        if time.is_empty() {
            return Written::checked(digits, None, None);
        }
        let (rest, offset) = split_offset(time)?;
        let (clock, nanoseconds) = split_fraction(rest)?;
        if digits.len() != 8 {
            return None;
        }
        digits.push_str(&joined(clock, ':')?);
        Written::checked(digits, nanoseconds, offset)
    }

    fn checked(digits: String, nanoseconds: Option<i32>, offset: Option<Offset>) -> Option<Self> {
        let whole = matches!(digits.len(), 4 | 6 | 8 | 10 | 12 | 14);
        let numeric = digits.bytes().all(|byte| byte.is_ascii_digit());
        let fraction_fits = nanoseconds.is_none() || digits.len() == 14;
        (whole && numeric && fraction_fits).then_some(Written { digits, nanoseconds, offset })
    }

    pub(crate) fn number(&self, from: usize, to: usize) -> Option<i8> {
        self.digits.get(from..to)?.parse().ok()
    }

    pub(crate) fn precision(&self) -> Precision {
        match self.digits.len() {
            4 => Precision::Year,
            6 => Precision::Month,
            8 => Precision::Day,
            10 => Precision::Hour,
            12 => Precision::Minute,
            _ if self.nanoseconds.is_some() => Precision::Fraction,
            _ => Precision::Second,
        }
    }
}

/// Splits `+0100`, `-01:00` or `Z` from the end; a text without an offset is itself.
fn split_offset(text: &str) -> Option<(&str, Option<Offset>)> {
    if let Some(rest) = text.strip_suffix('Z') {
        return Some((rest, Some(Offset::UTC)));
    }
    // A sign that stands alone at the end is what one community system writes after every date.
    if let Some(rest) = text.strip_suffix(['+', '-']) {
        return Some((rest, None));
    }
    let Some(at) = text.rfind(['+', '-']) else { return Some((text, None)) };
    let (rest, offset) = text.split_at(at);
    let digits = match offset.len() {
        5 => offset[1..].to_owned(),
        6 if offset.as_bytes()[3] == b':' => format!("{}{}", &offset[1..3], &offset[4..]),
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i32 = digits[..2].parse().ok()?;
    let minutes: i32 = digits[2..].parse().ok()?;
    if hours > 14 || minutes > 59 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    let signed = if offset.starts_with('-') { -seconds } else { seconds };
    Some((rest, Some(Offset::from_seconds(signed).ok()?)))
}

/// Splits parts of a second from the end, as nanoseconds; more than nine digits are cut off.
fn split_fraction(text: &str) -> Option<(&str, Option<i32>)> {
    let Some((rest, fraction)) = text.split_once('.') else { return Some((text, None)) };
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nine: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    Some((rest, Some(nine.parse().ok()?)))
}

/// `2024-07-27` without its hyphens, `14:22:00` without its colons; every later part has two digits.
fn joined(text: &str, by: char) -> Option<String> {
    let mut parts = text.split(by);
    let first = parts.next()?;
    let whole = first.len() == if by == '-' { 4 } else { 2 };
    let mut digits = first.to_owned();
    for part in parts {
        if part.len() != 2 {
            return None;
        }
        digits.push_str(part);
    }
    whole.then_some(digits)
}
