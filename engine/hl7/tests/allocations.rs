//! What reading a message may cost: its index and nothing else, however large it is.

use std::hint::black_box;

use allocation_counter::{AllocationInfo, measure};
use bytes::Bytes;
use hl7::charset::Charset;
use hl7::header::is_acknowledgement;
use hl7::message::{Message, Reading};
use hl7::several::several;

const ADT: &[u8] = include_bytes!("../fuzz/corpus/several/one");

/// The segments, the fields, and what holds both.
const INDEX: i64 = 3;
/// How often the two lists may have to grow.
const GROWTH: u64 = 8;

fn cost(run: impl FnOnce()) -> AllocationInfo {
    measure(run)
}

/// A report with a document of so many bytes, every one of them a letter of base64.
fn report(size: usize) -> Bytes {
    let head = b"MSH|^~\\&|LIMS|RXX01|||20260701||ORU^R01|1|P|2.5.1\rOBX|1|ED|1||^PDF^^Base64^";
    Bytes::from([head.as_slice(), &vec![b'Q'; size], b"||||||F\r"].concat())
}

#[test]
fn a_message_costs_its_index_only() {
    let messages =
        [Bytes::from_static(ADT), Bytes::from([ADT, &b"OBX|1|NM|HB||1\r".repeat(500)].concat())];
    for bytes in messages {
        let (mut message, given) = (None, bytes.clone());
        let parsed = cost(|| message = Message::parse(given, &Reading::default()).ok());
        assert_eq!(parsed.count_current, INDEX, "{parsed:?}");
        assert!(parsed.count_total <= INDEX.unsigned_abs() + GROWTH, "{parsed:?}");
        let message = message.expect("readable");
        let read = cost(|| {
            for segment in message.segments() {
                for field in segment.fields() {
                    black_box(field.repetitions().flat_map(|one| one.components()).count());
                    black_box(field.raw());
                }
            }
            black_box(message.undecodable());
            black_box(message.tolerated().deviations().count());
        });
        assert_eq!(read.count_total, 0, "{read:?}");
        let plain = cost(|| {
            let pid = message.segment("PID", 1).expect("there");
            for (field, component) in [(3, 1), (3, 4), (5, 1), (7, 1), (8, 1), (11, 3)] {
                black_box(pid.text(field, component));
            }
        });
        assert_eq!(plain.count_total, 0, "plain text is borrowed: {plain:?}");
        let looked = cost(|| assert!(several(&bytes).is_none()));
        assert_eq!(looked.count_total, 0, "{looked:?}");
    }
}

#[test]
fn a_declared_character_set_costs_nothing() {
    for label in ["UNICODE UTF-8", "ISO_8859-15", "klingon", "8859/1~ASCII"] {
        let text = format!("MSH|^~\\&|A|B|||||ADT^A01|1|P|2.4||||||{label}\rPID|1||ZO\u{cb}\r");
        let bytes = Bytes::from(text);
        let parsed = cost(|| drop(black_box(Message::parse(bytes, &Reading::default()))));
        assert!(parsed.count_total <= INDEX.unsigned_abs(), "{label}: {parsed:?}");
    }
}

#[test]
fn a_document_of_20_mb_stays_where_it_is() {
    let bytes = report(20 << 20);
    let (mut message, given) = (None, bytes.clone());
    let parsed = cost(|| message = Message::parse(given, &Reading::default()).ok());
    assert!(parsed.count_current == INDEX && parsed.bytes_total < 256 << 10, "{parsed:?}");
    let message = message.expect("readable");
    let inside = bytes.as_ptr_range();
    let read = cost(|| {
        let obx = message.segment("OBX", 1).expect("there");
        let document = obx.field(5).and_then(|field| field.repetition(1)).expect("there");
        let data = document.component(5).expect("there");
        assert_eq!(data.raw().len(), 20 << 20);
        assert!(inside.contains(&data.raw().as_ptr()), "a span of what came");
        let text = data.text().into_option().expect("present");
        assert!(inside.contains(&text.as_ptr()), "its text as well");
        assert_eq!(message.undecodable(), 0);
        assert!(!is_acknowledgement(b"") && several(&bytes).is_none());
    });
    assert_eq!(read.count_total, 0, "{read:?}");
}

#[test]
fn to_count_what_cannot_be_decoded_makes_no_text() {
    let bytes = [b"\xE9".repeat(1 << 20), b"\x81\x8D".repeat(100)].concat();
    for (charset, undecodable) in [(Charset::WINDOWS_1252, 200), (Charset::ASCII, (1 << 20) + 200)]
    {
        let counted = cost(|| assert_eq!(charset.undecodable(&bytes), undecodable));
        assert_eq!(counted.count_total, 0, "{counted:?}");
    }
}
