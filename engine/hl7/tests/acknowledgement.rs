//! Answers read back: ours, those of odd peers, and what only looks like one.

use hl7::ack_form::Form;
use hl7::acknowledgement::{
    AckCode, AckError, Reply, Stamp, acknowledge, acknowledge_as, read_acknowledgement,
    refuse_unreadable,
};
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

fn form(fields: &[(&str, &str)]) -> Form {
    let mut form = Form::default();
    for (place, text) in fields {
        let (segment, number) = place.split_once('-').expect("segment and field");
        let fields = if segment == "MSH" { &mut form.msh } else { &mut form.msa };
        fields.insert(number.parse().expect("a number"), text.parse().expect("a template"));
    }
    form
}

fn written(message: &str, reply: &Reply<'_>, form: &Form) -> String {
    let header = Header::from_frame(message.as_bytes()).expect("readable");
    String::from_utf8(acknowledge_as(&header, reply, form, &stamp())).expect("ASCII")
}

#[test]
fn a_stubborn_sender_gets_the_form_it_wants() {
    let message = "MSH|^~\\&|PAS|RXX01|TIE|RXX|2026||ADT^A01^ADT_A01|77|P|2.4\r";
    let wanted = form(&[
        ("MSH-3", "TIE^1.2&x~|"),
        ("MSH-4", ""),
        ("MSH-9", "ACK"),
        ("MSH-10", "{MSH-10}"),
        ("MSH-12", "2.3"),
        ("MSH-14", "x"),
        ("MSA-3", "Received {MSH-9}"),
    ]);
    assert_eq!(
        written(message, &Reply::new(AckCode::AA), &wanted),
        "MSH|^~\\&|TIE^1.2&x~\\F\\||PAS|RXX01|20260701120000||ACK|77|P|2.3||x\r\
         MSA|AA|77|Received ADT^A01^ADT_A01\r"
    );
    let odd = "MSH#*+!@#PAS#RXX01#####ADT*A01#9#P#2.5\r";
    let text = written(odd, &Reply::new(AckCode::AA), &form(&[("MSH-3", "A^B#~C")]));
    assert!(text.starts_with("MSH#*+!@#A*B!F!+C##PAS#RXX01#"), "{text}");
    let error = AckError { location: None, code: 207, message: "no" };
    let silent = Form { err: false, ..form(&[("MSA-3", "fine"), ("MSA-6", "x")]) };
    let text = written(message, &Reply::refusal(AckCode::AE, &error), &silent);
    assert!(text.ends_with("\rMSA|AE|77|no|||x\r"), "its own words, no ERR: {text}");
}

#[test]
fn a_sequence_number_stands_in_msa_4_and_a_second_answer_asks_for_none() {
    let message = "MSH|^~\\&|PAS|RXX01|TIE|RXX|2026||ADT^A01|77|P|2.4|5||AL|AL\r";
    let reply = Reply { expected: Some(6), ..Reply::new(AckCode::AA) };
    let text = written(message, &reply, &Form::STANDARD);
    assert!(text.ends_with("|OURS1|P|2.4\rMSA|AA|77||6\r"), "{text}");
    let second = Reply { second: true, ..Reply::new(AckCode::AA) };
    let text = written(message, &second, &Form::STANDARD);
    assert!(text.ends_with("|OURS1|P|2.4|||NE|NE\rMSA|AA|77\r"), "{text}");
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
    fn whatever_a_form_says_msa_tells_the_truth(
        tail in "[ -~\\x0B\\x1C]{0,80}",
        text in "[ -z|~£€é]{0,20}",
        msh in 3_usize..=25,
        msa in 3_usize..=8,
    ) {
        let frame = format!("MSH|^~\\&|{tail}\rPID|1\r");
        let header = Header::from_frame(frame.as_bytes()).expect("readable");
        let (msh, msa) = (format!("MSH-{msh}"), format!("MSA-{msa}"));
        let form = form(&[(msh.as_str(), text.as_str()), (msa.as_str(), text.as_str())]);
        let answer = acknowledge_as(&header, &Reply::new(AckCode::CA), &form, &stamp());
        let read = read_acknowledgement(&answer).expect("an acknowledgement");
        let echoed: Vec<u8> = header.control_id.iter().copied().filter(|byte| !matches!(byte, 0x0B | 0x1C)).collect();
        prop_assert_eq!((read.code, read.control_id), (AckCode::CA, echoed));
        prop_assert!(is_acknowledgement(&answer));
    }

    #[test]
    fn any_bytes_get_a_refusal(frame in prop::collection::vec(any::<u8>(), 0..100), msh in any::<bool>()) {
        let frame = if msh { [b"MSH|".as_slice(), &frame].concat() } else { frame };
        let answer = refuse_unreadable(&frame, "MSH unreadable", &stamp());
        prop_assert_eq!(read_acknowledgement(&answer).map(|read| read.code), Some(AckCode::AR));
        drop(read_acknowledgement(&frame));
    }
}
