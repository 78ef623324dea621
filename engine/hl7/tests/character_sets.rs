//! Every name of table 0211 is read, or is known to be unread; and what MSH-2 declares from 2.7 on.

use hl7::acknowledgement::{AckCode, Stamp, acknowledge};
use hl7::charset::Charset;
use hl7::header::Header;
use hl7::message::{Message, Reading};
use hl7::tree::tree;
use hl7::value::Value;

/// The names of table 0211, versions 2.3 to 2.8.2 (2.1 and 2.2 have no such field), each with the set
/// it is read in and a surname in it. `None` is a set that is not read: JIS X 0212 and CNS 11643 have
/// several encodings, and the table does not say which.
const TABLE_0211: [(&str, Option<(&str, &str)>); 24] = [
    ("ASCII", Some(("ASCII", "EXAMPLE"))),
    ("8859/1", Some(("ISO-8859-1", "ÉXÄMPLE"))),
    ("8859/2", Some(("ISO-8859-2", "ŁUKASZ"))),
    ("8859/3", Some(("ISO-8859-3", "ĦELU"))),
    ("8859/4", Some(("ISO-8859-4", "ĖGLĖ"))),
    ("8859/5", Some(("ISO-8859-5", "Иванов"))),
    ("8859/6", Some(("ISO-8859-6", "مثال"))),
    ("8859/7", Some(("ISO-8859-7", "Παράδειγμα"))),
    ("8859/8", Some(("ISO-8859-8", "דוגמה"))),
    ("8859/9", Some(("ISO-8859-9", "ŞAHİN"))),
    ("8859/15", Some(("ISO-8859-15", "ŒUVRE€"))),
    ("ISO IR6", Some(("ASCII", "EXAMPLE"))),
    ("ISO IR14", Some(("Shift_JIS", "ﾔﾏﾀﾞ"))),
    ("ISO IR87", Some(("ISO-2022-JP", "山田"))),
    ("ISO IR159", None),
    ("JAS2020", Some(("ISO-2022-JP", "山田"))),
    ("JIS X 0202", Some(("ISO-2022-JP", "山田"))),
    ("GB 18030-2000", Some(("GB18030", "許功蓋"))),
    ("KS X 1001", Some(("EUC-KR", "홍길동"))),
    ("CNS 11643-1992", None),
    ("BIG-5", Some(("Big5", "許功蓋"))),
    ("UNICODE", Some(("UTF-8", "Zoë 山田"))),
    ("UNICODE UTF-8", Some(("UTF-8", "Zoë 山田"))),
    ("UNICODE UTF-16", Some(("UTF-16LE", "Zoë 山田 \u{1F600}"))),
    // And UNICODE UTF-32, in its own test below.
];

fn admission(msh_18: &str, surname: &str) -> String {
    of(surname, msh_18, surname)
}

fn of(application: &str, msh_18: &str, surname: &str) -> String {
    format!(
        "MSH|^~\\&|{application}|RXX01|||||ADT^A01|C1|P|2.5||||||{msh_18}\r\
        PID|1||7||{surname}^Ann\r"
    )
}

fn read(bytes: &[u8]) -> Message {
    Message::parse(bytes.to_vec(), &Reading::default()).expect("readable")
}

fn text(message: &Message, at: &str) -> String {
    match message.text(&at.parse().expect("a place")) {
        Value::Present(text) => text.into_owned(),
        _ => String::new(),
    }
}

#[test]
fn every_name_of_table_0211_is_read_or_known_to_be_unread() {
    for (label, set) in TABLE_0211 {
        let Some((name, surname)) = set else {
            assert_eq!(Charset::from_label(label), None, "{label}");
            let plain = read(admission(label, "EXAMPLE").as_bytes()).tolerated();
            assert!(plain.unknown_charset && !plain.assumed_charset, "{label}: ASCII is itself");
            let mut bytes = admission(label, "EXAMPLE").into_bytes();
            bytes.splice(10..10, *b"\xC4\xE3");
            let guessed = read(&bytes).tolerated();
            assert!(guessed.unknown_charset && guessed.assumed_charset, "{label}");
            continue;
        };
        let charset = Charset::from_label(label).expect(label);
        assert_eq!(charset.name(), name, "{label}");
        let bytes = charset.encode(&admission(label, surname)).expect(label);
        let message = read(&bytes);
        assert_eq!(message.bytes(), &bytes, "{label}: kept to the byte");
        assert_eq!(
            (text(&message, "PID-5").as_str(), text(&message, "PID-5.2").as_str()),
            (surname, "Ann")
        );
        let tolerated = message.tolerated();
        let doubts = (tolerated.unknown_charset, tolerated.wrong_charset, message.undecodable());
        assert_eq!(doubts, (false, false, 0), "{label}");
        let header = Header::from_frame(&bytes).expect(label);
        assert_eq!(
            (header.sending_application.as_str(), header.control_id_text().as_str()),
            (surname, "C1")
        );
    }
}

#[test]
fn utf_32_is_read_edited_and_answered_in_its_own_bytes() {
    let little =
        |text: &str| text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<u8>>();
    let big =
        |text: &str| text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect::<Vec<u8>>();
    let adt = admission("UNICODE UTF-32", "ZOË \u{1F600}");
    let marked = format!("\u{FEFF}{adt}");
    let cases = [
        (little(&adt), "UTF-32LE", little as fn(&str) -> Vec<u8>, ""),
        (little(&marked), "UTF-32LE", little, "\u{FEFF}"),
        (big(&adt), "UTF-32BE", big, ""),
        (big(&marked), "UTF-32BE", big, "\u{FEFF}"),
    ];
    for (bytes, name, wide, mark) in cases {
        let message = read(&bytes);
        assert_eq!((message.received_in().name(), message.bytes()), (name, &bytes.clone().into()));
        assert_eq!(text(&message, "PID-5"), "ZOË \u{1F600}");
        assert!(!message.tolerated().wrong_charset && message.undecodable() == 0);
        let edited = message.with(&"PID-5.2".parse().expect("a place"), Value::Present("Zoë"));
        let expected = wide(&format!("{mark}{}", adt.replace("Ann", "Zoë")));
        assert_eq!(edited.expect("set").bytes(), &expected);
        let header = Header::from_frame(&bytes).expect("readable");
        assert_eq!(header.control_id_text(), "C1");
        assert_eq!(
            header.as_received(b"MSA|AA|C1\r".to_vec()),
            wide(&format!("{mark}MSA|AA|C1\r"))
        );
        // A byte too few means nothing.
        let cut = read(&bytes[..bytes.len() - 1]);
        assert!(cut.tolerated().wrong_charset && cut.undecodable() == 1);
    }
    // Said, but not so; and the other way round.
    let liar = read(adt.as_bytes());
    assert!(liar.tolerated().wrong_charset);
    assert_eq!(text(&liar, "PID-5"), "ZOË \u{1F600}");
    let silent = read(&little(&admission("UNICODE UTF-16", "ZOË")));
    assert!(silent.tolerated().wrong_charset);
    assert_eq!(text(&silent, "PID-5"), "ZOË");
}

/// In Japan MSH-18 is ASCII and the other set, and escape sequences switch between them. Halves of its
/// characters look like delimiters.
#[test]
fn a_set_that_is_switched_to_is_read_or_at_least_noticed() {
    let japanese = Charset::from_label("ISO IR87").expect("known");
    let surname = "山奥";
    assert!(japanese.encode(surname).expect("in the set").contains(&b'|'));
    for msh_18 in ["ISO IR87", "ASCII~ISO IR87", "ISO IR6~ISO IR87", "~ISO IR87"] {
        let bytes = japanese.encode(&of("山", msh_18, surname)).expect("in the set");
        assert!(bytes.is_ascii());
        let message = read(&bytes);
        let found = (text(&message, "PID-5"), text(&message, "PID-5.2"));
        assert_eq!(found, (surname.to_owned(), "Ann".to_owned()), "{msh_18}");
        assert!(!message.tolerated().wrong_charset, "{msh_18}");
        let header = Header::from_frame(&bytes).expect("readable");
        let found = (header.sending_application.as_str(), header.control_id_text());
        assert_eq!(found, ("山", "C1".to_owned()), "{msh_18}");
        // Before MSH-18 such a half hides where MSH-18 is.
        let hidden = japanese.encode(&of(surname, msh_18, surname)).expect("in the set");
        assert!(read(&hidden).tolerated().wrong_charset, "{msh_18}");
    }
    for msh_18 in ["", "ASCII", "8859/1", "8859/1~ISO IR87", "UNICODE UTF-8"] {
        let bytes = japanese.encode(&of("PAS", msh_18, surname)).expect("in the set");
        assert!(read(&bytes).tolerated().wrong_charset, "{msh_18}");
    }
    // JIS X 0212 is switched to likewise, and not read.
    let supplement = admission("ISO IR87", "\u{1B}$(D\"/\u{1B}(B");
    let message = read(supplement.as_bytes());
    assert!(message.tolerated().wrong_charset && message.undecodable() > 0);
}

#[test]
fn the_truncation_character_is_read_kept_counted_and_echoed() {
    let bytes = b"MSH|^~\\&#|PAS|RXX01|||||ADT^A01|C1|P|2.7\r\
        PID|1||7||EXAMPL#^Ann~EX\\P\\^No #1||||||1 High Stre#&x#^Ward 3\\P\\|||#\r";
    let message = read(bytes);
    let cases = [
        ("MSH-2", "^~\\&#"),
        ("MSH-3", "PAS"),
        ("PID-5", "EXAMPL#"),
        ("PID-5(2)", "EX#"),
        ("PID-5(2).2", "No #1"),
        ("PID-11.1.2", "x#"),
        ("PID-11.2", "Ward 3#"),
    ];
    for (at, expected) in cases {
        assert_eq!(text(&message, at), expected, "{at}");
    }
    assert_eq!(message.truncated(), 4, "\\P\\ is meant, and within a value # is a character");
    let four = read(&bytes.iter().filter(|byte| **byte != b'#').copied().collect::<Vec<u8>>());
    assert_eq!(four.truncated(), 0);
    assert_eq!(message.reassembled(), bytes);
    let names: Vec<usize> = message
        .segments()
        .map(|segment| tree(&segment, message.delimiters(), message.charset()).expect("shown"))
        .map(|tree| tree.fields.len())
        .collect();
    assert_eq!(names, [12, 14]);
    // What is written that is no mark of truncation does not look like one.
    let edited = message.with(&"PID-5.2".parse().expect("a place"), Value::Present("No 2#"));
    let edited = edited.expect("set");
    assert_eq!((text(&edited, "PID-5.2").as_str(), edited.truncated()), ("No 2#", 4));
    let header = Header::from_frame(bytes).expect("readable");
    let ours = Stamp {
        control_id: "1".into(),
        time: "20260701".into(),
        application: None,
        facility: None,
    };
    let answer = acknowledge(&header, AckCode::AA, Some("no. 1#"), None, &ours);
    assert!(answer.starts_with(b"MSH|^~\\&#|||PAS|RXX01|"), "{}", answer.escape_ascii());
    let msa = b"MSA|AA|C1";
    assert!(answer.windows(msa.len()).any(|part| part == msa));
}
