//! Whether a message tells of today or was sent again from a store: MSH-11.2, the processing mode.

use hl7::message::Message;

use crate::text::meant;

/// Whether a message comes out of an archive (A), restores one (R), is part of an initial load (I) or
/// was kept back to be sent with others (T): HL7 table 0207. Subscribers that act on what happens now
/// must be able to tell.
pub fn is_replay(message: &Message) -> bool {
    let msh = message.segment("MSH", 1);
    let mode = msh.and_then(|msh| meant(msh.text(11, 2))).unwrap_or_default();
    matches!(&*mode, "A" | "R" | "I" | "T" | "a" | "r" | "i" | "t")
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;

    use super::*;

    fn replay(processing: &str) -> bool {
        let text = format!("MSH|^~\\&|PAS|RXX01|TIE|RXX|20240110||ADT^A31|1|{processing}|2.4");
        let message = Message::parse(text.into_bytes(), &Reading::default()).expect("a message");
        is_replay(&message)
    }

    #[test]
    fn only_a_processing_mode_of_the_table_says_so() {
        for processing in ["P^A", "P^R", "P^I", "P^T", "D^a", "^I"] {
            assert!(replay(processing), "{processing}");
        }
        for processing in ["P", "T", "A", "P^", "P^\"\"", "P^X", ""] {
            assert!(!replay(processing), "{processing}");
        }
    }
}
