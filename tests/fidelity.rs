//! What real systems send is taken as they send it, as far as their source says so, and not a byte of
//! it is altered.

use serde_json::Value;

use crate::command_line::ask;
use crate::harness::sender::Reply;
use crate::harness::setup::Setup;
use crate::harness::{SOON, tieline, until};
use crate::straight_through::{admission, events, messages, settled};

const TOLERATE: &str = "channels.pas-adt.source.tolerate";

fn family(event: &Value) -> &str {
    event["data"]["entry"][0]["resource"]["name"][0]["family"].as_str().unwrap_or_default()
}

fn state_of(message: &[u8], sets: &[String]) -> (String, String) {
    let engine = sets.iter().fold(Setup::sample(), |setup, set| setup.set(set)).start();
    let ack = engine.connect("pas-adt").ask(message);
    assert_eq!(ack.code, "AA", "what can be stored is stored");
    settled(&engine);
    let row = until("its row", SOON, || messages(&engine).pop());
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("reason"))
}

#[test]
fn each_departure_parks_until_the_source_may_make_it() {
    let plain = admission("C1", "1000001").text();
    let with_pointer = plain.replacen("|C1|P|2.4||||", "|C1|P|2.4||77||", 1);
    let cases: [(&str, Vec<u8>); 7] = [
        ("line-feed", plain.replace('\r', "\r\n").into_bytes()),
        ("no-final-return", plain.trim_end().as_bytes().to_vec()),
        ("mark", ["\u{FEFF}", &plain].concat().into_bytes()),
        ("junk", ["0512 ", &plain].concat().into_bytes()),
        ("nul", plain.replacen("EXAMPLE", "EXAM\0PLE", 1).into_bytes()),
        ("odd-line", [&plain, "and so on\r"].concat().into_bytes()),
        ("continuation", with_pointer.into_bytes()),
    ];
    for (name, message) in cases {
        let parked = state_of(&message, &[format!("{TOLERATE}=[]")]);
        assert_eq!(parked, ("parked".to_owned(), format!("structure.{name}")));
        let taken = state_of(&message, &[format!("{TOLERATE}=[{name}]")]);
        assert_eq!(taken, ("published".to_owned(), String::new()), "{name}");
    }
}

#[test]
fn a_message_with_few_delimiters_is_read_where_the_source_sends_such() {
    // Neither repetition nor escape: two identifiers cannot be told apart, so there is one.
    let one = admission("C1", "1000001").text().replacen("9990000018^^^NHS^NH~", "", 1);
    let short = one.replacen("MSH|^~\\&|", "MSH|^|", 1);
    let (state, reason) = state_of(short.as_bytes(), &[]);
    assert_eq!((state.as_str(), reason.as_str()), ("parked", "structure.short-delimiters"));
    let (state, _) = state_of(short.as_bytes(), &[format!("{TOLERATE}=[short-delimiters]")]);
    assert_eq!(state, "published");
}

/// Half a message is never taken for one, and never refused: its sender would send it for ever.
#[test]
fn a_part_of_a_message_parks_whatever_is_tolerated() {
    let part = [&admission("C1", "1000001").text(), "DSC|77|F\r"].concat();
    let parked = state_of(part.as_bytes(), &[format!("{TOLERATE}=[continuation]")]);
    assert_eq!(parked, ("parked".to_owned(), "structure.continuation".to_owned()));
}

#[test]
fn several_messages_in_a_frame_are_answered_each() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    let (one, two) = (admission("C1", "1000001").text(), admission("C2", "1000002").text());
    sender.send([one.as_str(), &two].concat());
    let answers: Vec<_> =
        (0..2).map(|_| sender.ack()).map(|ack| (ack.code, ack.control_id)).collect();
    assert_eq!(answers, [("AA".to_owned(), "C1".to_owned()), ("AA".to_owned(), "C2".to_owned())]);
    assert_eq!(settled(&engine)["total"]["published"], 2);
    assert_eq!((engine.stored(1), engine.stored(2)), (one.into_bytes(), two.into_bytes()));
    assert_eq!(sender.ask(admission("C3", "1000003").text()).control_id, "C3");
}

#[test]
fn several_messages_of_a_source_that_sends_none_park_as_one() {
    let both = [admission("C1", "1000001").text(), admission("C2", "1000001").text()].concat();
    let parked = state_of(both.as_bytes(), &[format!("{TOLERATE}=[]")]);
    assert_eq!(parked, ("parked".to_owned(), "structure.several-messages".to_owned()));
}

fn batch(messages: &[String], count: usize) -> String {
    let head = "FHS|^~\\&|PAS|RXX01\rBHS|^~\\&|PAS|RXX01\r";
    format!("{head}{}BTS|{count}\rFTS|1\r", messages.concat())
}

#[test]
fn a_batch_is_answered_message_by_message_and_counted() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    let mut all: Vec<String> =
        (1..=3).map(|n| admission(&format!("B{n}"), &format!("100000{n}")).text()).collect();
    // One of them is nobody's business here.
    all[1] = all[1].replacen("|PAS|RXX01|", "|EVIL|RXX01|", 1);
    sender.send(batch(&all, 3));
    let answers: Vec<_> =
        (0..3).map(|_| sender.ack()).map(|ack| (ack.code, ack.control_id)).collect();
    let expected = [("AA", "B1"), ("AR", "B2"), ("AA", "B3")];
    assert_eq!(answers, expected.map(|(code, id)| (code.to_owned(), id.to_owned())));
    assert!(!engine.get("/metrics").body.contains("tieline_batch_counts_wrong_total{"));
    sender.send(batch(&[admission("B4", "1000004").text()], 2));
    assert_eq!(sender.ack().control_id, "B4", "what is there is taken");
    assert!(engine.get("/metrics").body.contains("tieline_batch_counts_wrong_total{"));
    assert_eq!(settled(&engine)["total"]["published"], 3);
    let found = "tieline_data_quality_total{channel=\"pas-adt\",code=\"batch.miscounted\"} 1";
    assert!(engine.get("/metrics").body.contains(found), "the message of the wrong batch alone");
    let refused = Setup::sample().set(&format!("{TOLERATE}=[]")).start();
    let ack = refused.connect("pas-adt").ask(batch(&all[..1], 1));
    assert_eq!((ack.code.as_str(), ack.control_id.as_str()), ("AR", "B1"));
}

/// A batch that a crash cut in two is sent again as a whole: what was stored is not stored twice.
#[test]
fn a_batch_survives_a_crash_half_way() {
    let mut engine = Setup::sample().start();
    let all: Vec<String> =
        (0..200).map(|n| admission(&format!("B{n:03}"), &format!("1000{n:03}")).text()).collect();
    let mut sender = engine.connect("pas-adt");
    sender.send(batch(&all, 200));
    let mut answered = 0;
    while answered < 20 {
        assert_eq!(sender.ack().code, "AA");
        answered += 1;
    }
    engine.kill();
    while let Reply::Ack(ack) = sender.reply(SOON) {
        assert_eq!(ack.code, "AA");
        answered += 1;
    }
    engine.start_again();
    let mut sender = engine.connect("pas-adt");
    sender.send(batch(&all, 200));
    for n in 0..200 {
        let ack = sender.ack();
        assert_eq!((ack.code.as_str(), ack.control_id), ("AA", format!("B{n:03}")));
    }
    let total = &settled(&engine)["total"];
    assert_eq!(total["published"], 200, "{total}");
    assert!(total["duplicate"].as_u64().is_some_and(|copies| copies >= answered), "{total}");
}

#[test]
fn a_character_set_that_is_declared_wrongly_is_seen_through_believed_or_parked() {
    let text = admission("C1", "1000001").text();
    let mut old = text.clone().into_bytes();
    let at = old.windows(7).position(|w| w == b"EXAMPLE").unwrap();
    old[at] = 0xC9; // É in Windows-1252, and declared as UTF-8
    let utf_8 = text.replacen("EXAMPLE", "ÉXAMPLE", 1).replacen("UNICODE UTF-8", "8859/1", 1);
    let cases: [(&[u8], &str, &str); 4] = [
        (&old, "fallback", "ÉXAMPLE"),
        (utf_8.as_bytes(), "fallback", "ÉXAMPLE"),
        (&old, "trust", "\u{FFFD}XAMPLE"),
        (utf_8.as_bytes(), "trust", "Ã‰XAMPLE"),
    ];
    for (bytes, policy, expected) in cases {
        let policy = format!("channels.pas-adt.source.wrong_charset={policy}");
        let engine = Setup::sample().set(&policy).start();
        assert_eq!(engine.connect("pas-adt").ask(bytes).code, "AA");
        settled(&engine);
        assert_eq!(family(&events(&engine)[0]), expected, "{policy}");
        assert!(engine.get("/metrics").body.contains("code=\"charset.wrong\""), "{policy}");
        assert_eq!(engine.stored(1), bytes, "stored as it came");
        let parks = state_of(bytes, &["channels.pas-adt.source.wrong_charset=park".to_owned()]);
        assert_eq!(parks, ("parked".to_owned(), "charset.wrong".to_owned()));
    }
}

/// What people are shown is what the script reads, with its lines.
#[test]
fn a_message_is_shown_in_the_set_of_its_source_and_line_by_line() {
    let engine = Setup::sample().set("channels.pas-adt.source.charset=8859/15").start();
    let text = admission("C1", "1000001").text().replacen("|UNICODE UTF-8", "|", 1);
    let mut bytes = format!("{text}NTE|1||\\H\\Owes\\N\\ @5\\.br\\and more\r").into_bytes();
    let at = bytes.iter().rposition(|byte| *byte == b'@').unwrap();
    bytes[at] = 0xA4; // € in 8859/15, and ¤ in what is usual
    assert_eq!(engine.connect("pas-adt").ask(bytes).code, "AA");
    settled(&engine);
    let tree = engine.get("/api/v1/messages/1/tree").json();
    let note = tree["segments"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&tree["charset"], &note["name"]),
        (&"ISO-8859-15".into(), &"Notes and Comments".into())
    );
    assert_eq!(note["fields"].as_array().unwrap().last().unwrap()["value"], "Owes €5\nand more");
    let shown = ask(&engine, &["show", "1"]);
    assert!(shown.out.contains("Owes €5\n") && shown.out.contains("  and more\n"), "{shown:?}");
}

/// What is read by guess is never taken for certain.
#[test]
fn a_set_that_is_not_read_is_counted_guessed_or_parked() {
    for label in ["ISO IR159", "CNS 11643-1992", "KLINGON"] {
        let plain = admission("C1", "1000001").text().replacen("UNICODE UTF-8", label, 1);
        let mut odd = plain.clone().into_bytes();
        let at = odd.windows(7).position(|w| w == b"EXAMPLE").unwrap();
        odd[at] = 0xC9;
        let park = ["channels.pas-adt.source.wrong_charset=park".to_owned()];
        let parked = ("parked".to_owned(), "charset.unknown".to_owned());
        assert_eq!(state_of(&odd, &park), parked, "{label}");
        let (state, _) = state_of(plain.as_bytes(), &park);
        assert_eq!(state, "published", "{label}: ASCII is itself");
        let engine = Setup::sample().start();
        assert_eq!(engine.connect("pas-adt").ask(odd).code, "AA");
        settled(&engine);
        assert_eq!(family(&events(&engine)[0]), "ÉXAMPLE", "as source.charset");
        assert!(engine.get("/metrics").body.contains("code=\"charset.unknown\""), "{label}");
    }
}

#[test]
fn wide_characters_are_read_stored_and_answered_as_they_came() {
    let text = admission("C1", "1000001").text().replacen("EXAMPLE", "ÉXAMPLE", 1);
    let utf_16 = text.replacen("UNICODE UTF-8", "UNICODE UTF-16", 1);
    let utf_32 = text.replacen("UNICODE UTF-8", "UNICODE UTF-32", 1);
    let marked = format!("\u{FEFF}{utf_32}");
    let little = || utf_16.encode_utf16().flat_map(u16::to_le_bytes);
    let big = || utf_16.encode_utf16().flat_map(u16::to_be_bytes);
    let widest = |text: &str| -> Vec<u8> {
        text.chars().flat_map(|character| u32::from(character).to_be_bytes()).collect()
    };
    for (bytes, width) in [
        (little().collect(), 2),
        ([0xFF, 0xFE].into_iter().chain(little()).collect(), 2),
        (big().collect::<Vec<u8>>(), 2),
        (widest(&utf_32), 4),
        (widest(&marked), 4),
    ] {
        let engine = Setup::sample().start();
        let mut sender = engine.connect("pas-adt");
        let mut frame = vec![0x0B];
        frame.extend(&bytes);
        frame.extend([0x1C, 0x0D]);
        sender.send_bytes(&frame).unwrap();
        let answer = sender.frame(SOON).expect("an answer");
        let (characters, rest) = (answer.len() / width, answer.len() % width);
        let zeros = answer.iter().filter(|byte| **byte == 0);
        let zeros = zeros.fold(0, |count, _| count + 1);
        assert_eq!(rest, 0, "in the same width");
        assert!(zeros >= (characters - 1) * (width - 1), "in the same width");
        let plain: Vec<u8> = answer.into_iter().filter(|byte| *byte != 0).collect();
        assert!(plain.windows(9).any(|w| w == b"MSA|AA|C1"));
        settled(&engine);
        assert_eq!(family(&events(&engine)[0]), "ÉXAMPLE");
        assert_eq!(engine.stored(1), bytes);
    }
}

#[test]
fn a_missing_or_doubled_end_block_is_served() {
    let engine = Setup::sample().set("channels.pas-adt.listener.mllp.end_block=optional").start();
    let mut sender = engine.connect("pas-adt");
    let text = |n: &str| admission(n, "1000001").text();
    let bytes = format!("\x0b{}\x0b{}\x0b{}\x1c\x1c\r", text("C1"), text("C2"), text("C3"));
    sender.send_bytes(bytes.as_bytes()).unwrap();
    let ids: Vec<String> = (0..3).map(|_| sender.ack().control_id).collect();
    assert_eq!(ids, ["C1", "C2", "C3"]);
    // Nothing follows: silence ends it.
    sender.send_bytes(format!("\x0b{}", text("C4")).as_bytes()).unwrap();
    assert_eq!(sender.ack().control_id, "C4");
    assert_eq!(settled(&engine)["total"]["published"], 4);
    assert_eq!(engine.stored(3), text("C3").into_bytes());
}

/// The command shows of a folder what the engine would make of it.
#[test]
fn messages_in_files_are_checked() {
    let setup = Setup::sample();
    let text = admission("C1", "1000001").text();
    setup.write("good.hl7", &text);
    let check = |more: &[&str], file: &str| {
        let file = setup.path(file).display().to_string();
        let always = ["check", "--messages", &file];
        tieline(always.into_iter().chain(more.iter().copied()))
    };
    let ran = check(&[], "good.hl7");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let said = "1 files, 1 messages, 1 of them read whole; answered AA 1";
    assert!(ran.out.contains(said), "{ran:?}");
    setup.write("junk.hl7", &["0512 ", &text].concat());
    let ran = check(&["--format", "json"], "junk.hl7");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(found["reasons"]["structure.junk"], 1, "{found}");
    setup.write("other.hl7", &text.replacen("|PAS|RXX01|", "|EVIL|RXX01|", 1));
    let ran = check(&["-n", "pas-adt"], "other.hl7");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("refused or parked: sender"), "{ran:?}");
}
