//! Whether an edit touches whom a message is about.

use bytes::Bytes;
use hl7::message::{Message, Reading};

/// The message in a frame, if it is one.
pub(crate) fn read(frame: &Bytes) -> Option<Message> {
    Message::parse(frame.clone(), &Reading::default()).ok()
}

/// Whether two versions differ in a segment that says whom or what the message is about.
pub(crate) fn touches_identity(original: &Message, edited: &Message) -> bool {
    let named = |message: &Message| -> Vec<Vec<u8>> {
        let segments = message.segments();
        segments
            .filter(|segment| matches!(segment.name(), "MSH" | "PID" | "MRG"))
            .map(|segment| segment.raw().to_vec())
            .collect()
    };
    named(original) != named(edited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_of_who_it_is_about_needs_two_people() {
        let message = |text: &str| read(&Bytes::from(text.to_owned())).expect("reads");
        let original = message("MSH|^~\\&|A|B|C|D|1||ADT^A01|1|P|2.4\rPID|1||77\rPV1|1|I\r");
        let visit = message("MSH|^~\\&|A|B|C|D|1||ADT^A01|1|P|2.4\rPID|1||77\rPV1|1|O\r");
        let person = message("MSH|^~\\&|A|B|C|D|1||ADT^A01|1|P|2.4\rPID|1||78\rPV1|1|I\r");
        let kind = message("MSH|^~\\&|A|B|C|D|1||ADT^A02|1|P|2.4\rPID|1||77\rPV1|1|I\r");
        assert!(!touches_identity(&original, &visit));
        assert!(touches_identity(&original, &person));
        assert!(touches_identity(&original, &kind));
    }
}
