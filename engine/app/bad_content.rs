//! What a misbehaving peer writes: a message with a wrong time, a wrong control id, or in another
//! character set than it says. A message that cannot be read stays as it is.

use bytes::Bytes;
use fastrand::Rng;
use hl7::charset::Charset;
use hl7::location::Location;
use hl7::message::{Message, Reading};
use hl7::value::Value;
use jiff::ToSpan;
use jiff::civil::Date;

/// How far a clock may be wrong, days.
const FURTHEST: i32 = 366;

/// MSH-7 is up to a year ahead or behind.
pub(crate) fn skewed(message: &Bytes, random: &mut Rng) -> Bytes {
    let days = random.i32(1..=FURTHEST) * if random.bool() { 1 } else { -1 };
    changed(message, "MSH-7", |time| {
        let (date, clock) = time.split_at_checked(8)?;
        let date = Date::strptime("%Y%m%d", date).ok()?.checked_add(days.days()).ok()?;
        Some(format!("{}{clock}", date.strftime("%Y%m%d")))
    })
}

/// MSH-10 is another's.
pub(crate) fn under_control_id(message: &Bytes, control_id: &str) -> Bytes {
    changed(message, "MSH-10", |_| Some(control_id.to_owned()))
}

/// MSH-18 says UTF-8, the bytes are Windows-1252, and at least one of them is no UTF-8.
pub(crate) fn in_wrong_charset(message: &Bytes) -> Bytes {
    const SAID: &str = "UNICODE UTF-8";
    let Ok(read) = Message::parse(message.clone(), &Reading::default()) else {
        return message.clone();
    };
    let text = read.charset().decode(message).text.into_owned();
    let mut utf_8 = changed(&Bytes::from(text), "MSH-18", |_| Some(SAID.to_owned()));
    if utf_8.is_ascii() {
        let place = if read.segment("PID", 1).is_some() { "PID-5.1" } else { "MSA-3" };
        utf_8 = changed(&utf_8, place, |name| Some(format!("{name}\u{c9}")));
    }
    let written = Charset::from_label("WINDOWS-1252")
        .and_then(|charset| charset.encode(std::str::from_utf8(&utf_8).ok()?).ok());
    written.map_or_else(|| message.clone(), Bytes::from)
}

/// The message with one value changed, where it can be.
fn changed(message: &Bytes, at: &str, change: impl FnOnce(&str) -> Option<String>) -> Bytes {
    let change = || {
        let at: Location = at.parse().ok()?;
        let read = Message::parse(message.clone(), &Reading::default()).ok()?;
        let old = match read.text(&at) {
            Value::Present(text) => text.into_owned(),
            Value::Absent | Value::Null => String::new(),
        };
        let new = read.with(&at, Value::Present(&change(&old)?)).ok()?;
        Some(new.bytes().clone())
    };
    change().unwrap_or_else(|| message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMISSION: Bytes = Bytes::from_static(
        b"MSH|^~\\&|PAS|RXX01|R|R|20260115101500||ADT^A01|C1|P|2.4\rPID|1||1^^^RXX01^MR||EXAMPLE^ALEX\r",
    );

    fn field(message: &Bytes, number: usize) -> String {
        let text = String::from_utf8_lossy(message);
        text.split('\r').next().unwrap().split('|').nth(number).unwrap_or_default().to_owned()
    }

    #[test]
    fn a_skewed_clock_is_a_time_and_nothing_else_differs() {
        let skewed = skewed(&ADMISSION, &mut Rng::with_seed(3));
        let time = field(&skewed, 6);
        assert!(time.ends_with("101500") && time != "20260115101500", "{time}");
        assert_eq!(skewed.len(), ADMISSION.len());
        assert_eq!(skewed[60..], ADMISSION[60..]);
    }

    #[test]
    fn the_bytes_are_not_what_is_said() {
        let wrong = in_wrong_charset(&ADMISSION);
        assert_eq!(field(&wrong, 17), "UNICODE UTF-8");
        assert!(std::str::from_utf8(&wrong).is_err());
        assert!(wrong.windows(8).any(|part| part == b"EXAMPLE\xc9"));
        let said = Bytes::from_static(
            b"MSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.4||||||UNICODE UTF-8\rPID|||||ZO\xc3\x8b\r",
        );
        assert!(in_wrong_charset(&said).ends_with(b"ZO\xcb\r"));
    }

    #[test]
    fn what_cannot_be_read_stays() {
        let junk = Bytes::from_static(b"hello");
        assert_eq!(in_wrong_charset(&junk), junk);
        assert_eq!(under_control_id(&junk, "1"), junk);
        assert_eq!(field(&under_control_id(&ADMISSION, "B2"), 9), "B2");
    }
}
