//! A fresh control id (MSH-10) for each repetition of a message, every other byte as it was.

use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};

/// Fields between MSH-1, which *is* the first separator, and MSH-10.
const SEPARATORS_BEFORE_MSH_10: usize = 9;

/// A message that can be sent again and again under new control ids.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    message: Bytes,
    /// Where MSH-10 begins and ends; nothing when the header is too broken to say.
    control_id: Option<(usize, usize)>,
}

impl Template {
    pub(crate) fn new(message: Bytes) -> Self {
        let control_id = find_control_id(&message);
        Self { message, control_id }
    }

    /// The message as it was given.
    pub(crate) fn verbatim(&self) -> Bytes {
        self.message.clone()
    }

    /// The message under another control id; as given when it has no place for one.
    pub(crate) fn with_control_id(&self, control_id: &str) -> Bytes {
        let Some((from, to)) = self.control_id else { return self.verbatim() };
        let mut fresh = BytesMut::with_capacity(self.message.len() + control_id.len());
        fresh.put_slice(&self.message[..from]);
        fresh.put_slice(control_id.as_bytes());
        fresh.put_slice(&self.message[to..]);
        fresh.freeze()
    }
}

/// Makes control ids that no other run of this program makes, within the 20 characters that
/// HL7 before 2.7 allows.
#[derive(Clone, Debug)]
pub(crate) struct ControlIds {
    prefix: String,
}

impl ControlIds {
    pub(crate) fn of_this_run() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let milliseconds = u64::try_from(since_1970.as_millis()).unwrap_or_default();
        let prefix = format!("{}{}", base_36(milliseconds), base_36(process::id().into()));
        Self { prefix }
    }

    /// The control id of the n-th message of this run.
    pub(crate) fn numbered(&self, n: u64) -> String {
        format!("{}-{}", self.prefix, base_36(n))
    }
}

fn base_36(mut number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut text = Vec::new();
    loop {
        let digit = usize::try_from(number % 36).expect("below 36");
        text.push(char::from(DIGITS[digit]));
        number /= 36;
        if number == 0 {
            return text.into_iter().rev().collect();
        }
    }
}

fn find_control_id(message: &[u8]) -> Option<(usize, usize)> {
    let start = message.windows(3).position(|three| three == b"MSH")?;
    let separator = *message.get(start + 3)?;
    let end_of_segment = message[start..]
        .iter()
        .position(|byte| matches!(byte, b'\r' | b'\n'))
        .map_or(message.len(), |length| start + length);
    let mut separators = (start..end_of_segment).filter(|&at| message[at] == separator);
    let from = separators.nth(SEPARATORS_BEFORE_MSH_10 - 1)? + 1;
    Some((from, separators.next().unwrap_or(end_of_segment)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renumbered(message: &'static [u8]) -> Bytes {
        Template::new(Bytes::from_static(message)).with_control_id("NEW")
    }

    #[test]
    fn only_msh_10_changes() {
        assert_eq!(
            renumbered(b"MSH|^~\\&|PAS|RXX01|TIE|RXX|20260101||ADT^A01|OLD|P|2.4\rPID|OLD\r"),
            &b"MSH|^~\\&|PAS|RXX01|TIE|RXX|20260101||ADT^A01|NEW|P|2.4\rPID|OLD\r"[..]
        );
        assert_eq!(renumbered(b"MSH#*+\\@#a#b#c#d#e##f#\r"), &b"MSH#*+\\@#a#b#c#d#e##f#NEW\r"[..]);
    }

    #[test]
    fn a_header_without_msh_10_stays_as_it_is() {
        assert_eq!(
            renumbered(b"MSH|^~\\&|PAS\rPID|||1||||||||\r"),
            &b"MSH|^~\\&|PAS\rPID|||1||||||||\r"[..]
        );
        assert_eq!(renumbered(b"no header"), &b"no header"[..]);
    }

    #[test]
    fn control_ids_differ_and_fit_into_twenty_characters() {
        let ids = ControlIds::of_this_run();
        assert_ne!(ids.numbered(1), ids.numbered(2));
        assert!(ids.numbered(60_000_000).len() <= 20, "{}", ids.numbered(60_000_000));
    }
}
