//! Answers read back: ours, those of odd peers, and what only looks like one.

use hl7::acknowledgement::{AckCode, Stamp, acknowledge, read_acknowledgement, refuse_unreadable};
use hl7::header::{Header, is_acknowledgement};
use proptest::prelude::*;

fn stamp() -> Stamp {
    Stamp {
        control_id: "OURS1".into(),
        time: "20260701120000".into(),
        application: None,
        facility: None,
    }
}

#[test]
fn answers_of_odd_peers_are_read_by_their_msa() {
    let cases: [(&[u8], AckCode, &[u8], &str); 5] = [
        (b"MSH|^~\\&|||||||ACK|1|P|2.4\rMSA|AA|X1|fine\r", AckCode::AA, b"X1", "fine"),
        (b"MSH|^~\\&|||||||ADT^A01|1|P|2.4\nMSA|CA|X1", AckCode::CA, b"X1", ""),
        (b"MSA|AE|\xA3|a\\T\\b", AckCode::AE, b"\xA3", "a&b"),
        (b"MSH#*+!@#######ACK#1#P#2.4\rMSA#ar#7\r", AckCode::AR, b"7", ""),
        (
            b"MSH|^~\\&|||||||ACK|1|P|2.5\rMSA|AE|2\rERR||PID^1|101^Missing|E||||no name\r",
            AckCode::AE,
            b"2",
            "no name",
        ),
    ];
    for (frame, code, control_id, text) in cases {
        let read = read_acknowledgement(frame).expect("an acknowledgement");
        assert_eq!(
            (read.code, read.control_id.as_slice(), read.text.as_str()),
            (code, control_id, text)
        );
    }
    for frame in [&b"MSH|^~\\&|||||||ADT\rPID|1"[..], b"MSA|ZZ|1", b"MSA", b"\x06"] {
        assert_eq!(read_acknowledgement(frame), None);
    }
}

proptest! {
    #[test]
    fn any_readable_header_gets_a_readable_answer(tail in "[ -~\\x0B\\x1C]{0,80}") {
        let frame = format!("MSH|^~\\&|{tail}\rPID|1\r");
        let header = Header::from_frame(frame.as_bytes()).expect("readable");
        let answer = acknowledge(&header, AckCode::AR, Some("£ and |"), None, &stamp());
        let read = read_acknowledgement(&answer).expect("an acknowledgement");
        let echoed: Vec<u8> = header.control_id.iter().copied().filter(|byte| !matches!(byte, 0x0B | 0x1C)).collect();
        prop_assert_eq!((read.code, read.control_id), (AckCode::AR, echoed));
        prop_assert!(is_acknowledgement(&answer));
        prop_assert!(!answer.contains(&0x0B) && !answer.contains(&0x1C));
    }

    #[test]
    fn any_bytes_get_a_refusal(frame in prop::collection::vec(any::<u8>(), 0..100), msh in any::<bool>()) {
        let frame = if msh { [b"MSH|".as_slice(), &frame].concat() } else { frame };
        let answer = refuse_unreadable(&frame, "MSH unreadable", &stamp());
        prop_assert_eq!(read_acknowledgement(&answer).map(|read| read.code), Some(AckCode::AR));
        drop(read_acknowledgement(&frame));
    }
}
