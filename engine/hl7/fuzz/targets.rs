//! What must hold for any bytes whatever: one function a target.
//!
//! Each takes bytes and panics where something does not hold. What it returns is a rough shape of
//! what happened, so that a fuzzer which cannot see coverage can still tell new inputs from old.
//! They are run over the committed corpus by `tests/fuzz.rs`, mutated on stable Rust by `run.rs`, and
//! by cargo-fuzz from the files beside this one.

use bytes::Bytes;
use hl7::acknowledgement::{
    AckCode, Outcome, Stamp, acknowledge, read_acknowledgement, refuse_unreadable,
};
use hl7::charset::Charset;
use hl7::delimiters::Delimiters;
use hl7::due::due;
use hl7::escape::{escape, needs_escape, render, unescape};
use hl7::header::{Header, is_acknowledgement};
use hl7::location::Location;
use hl7::message::{Message, Reading};
use hl7::mllp::{Decoded, FrameDecoder, FrameLimits, Pause, encode_frame};
use hl7::several::several;
use hl7::tree::tree;
use hl7::value::Value;

/// A target: its name, and what it does with some bytes.
pub(crate) type Target = (&'static str, fn(&[u8]) -> u64);

/// Every target.
pub(crate) const TARGETS: [Target; 6] = [
    ("decoder", decoder),
    ("parser", parser),
    ("editor", editor),
    ("acknowledgement", acknowledgement),
    ("charset", charset),
    ("several", several_messages),
];

/// Mixes a few small numbers into one shape; large ones count by their magnitude only.
fn shape(parts: impl IntoIterator<Item = usize>) -> u64 {
    let magnitude = |part: usize| if part < 8 { part as u64 } else { u64::from(part.ilog2()) + 8 };
    parts.into_iter().fold(0, |sum: u64, part| sum.wrapping_mul(67).wrapping_add(magnitude(part)))
}

/// The first two bytes say how the rest is cut and what is allowed.
pub(crate) fn decoder(input: &[u8]) -> u64 {
    let [settings, cuts, bytes @ ..] = input else { return 0 };
    let limits = FrameLimits {
        max_frame: if settings & 1 == 0 { 32 } else { 1 << 20 },
        keep_oversize: usize::from(settings >> 4),
        open_end: settings & 2 != 0,
    };
    let drain = |decoder: &mut FrameDecoder, found: &mut Vec<Decoded>| {
        found.extend(std::iter::from_fn(|| decoder.next_frame()));
    };
    let (mut whole, mut at_once) = (FrameDecoder::new(limits), Vec::new());
    whole.push(bytes);
    drain(&mut whole, &mut at_once);
    let (mut pieces, mut by_piece) = (FrameDecoder::new(limits), Vec::new());
    for piece in bytes.chunks(usize::from(cuts % 31) + 1) {
        pieces.push(piece);
        drain(&mut pieces, &mut by_piece);
        assert!(pieces.buffered() <= bytes.len(), "no byte is made up");
    }
    assert_eq!(at_once, by_piece, "the same frames however the bytes are cut");
    assert_eq!((whole.in_frame(), whole.junk()), (pieces.in_frame(), pieces.junk()));
    assert_eq!(whole.pause(), pieces.pause());
    for found in &at_once {
        let Decoded::Frame(content) = found else { continue };
        assert!(content.len() <= limits.max_frame && content.last() != Some(&0x1C));
        let mut again = FrameDecoder::new(FrameLimits::default());
        again.push(&encode_frame(content));
        let first = again.next_frame();
        // What holds the end of a frame cannot be framed by anybody.
        let framed = content.windows(2).all(|pair| pair != b"\x1C\r" && pair != b"\x1C\x0B");
        assert!(!framed || first.as_ref() == Some(found), "what was framed is found");
    }
    let before = whole.pause();
    whole.end_by_pause();
    assert_eq!(whole.next_frame().is_some(), before != Pause::Nothing, "a pause ends a frame");
    let count = |kind: fn(&Decoded) -> bool| at_once.iter().filter(|found| kind(found)).count();
    shape([
        count(|found| matches!(found, Decoded::Frame(_))),
        count(|found| matches!(found, Decoded::Oversize { .. })),
        count(|found| matches!(found, Decoded::Junk { .. })),
        usize::from(whole.in_frame()),
        before as usize,
    ])
}

/// The first byte says how the source is read.
pub(crate) fn parser(input: &[u8]) -> u64 {
    let [settings, bytes @ ..] = input else { return 0 };
    let reading = Reading {
        default_charset: [Charset::WINDOWS_1252, Charset::UTF_8, Charset::ASCII, Charset::UTF_16LE]
            [usize::from(settings & 3)],
        trust_charset: settings & 4 != 0,
        line_feeds: settings & 8 == 0,
    };
    let received = Bytes::copy_from_slice(bytes);
    let header = Header::from_frame(bytes);
    let Ok(message) = Message::parse(received.clone(), &reading) else {
        return shape([usize::from(header.is_ok())]);
    };
    assert_eq!(message.bytes(), &received, "what was received is kept");
    assert_eq!(message.reassembled(), **message.readable(), "the parts are the whole");
    assert!(message.undecodable() <= message.readable().len());
    let tolerated = message.tolerated();
    assert!(!tolerated.assumed_charset || tolerated.unknown_charset);
    let mut parts = 0;
    for segment in message.segments() {
        parts += look_at(&segment);
        if let Ok(tree) = tree(&segment, message.delimiters(), message.charset()) {
            assert_eq!(tree.fields.len(), segment.field_count(), "{}", segment.name());
            parts += tree.leaves().count();
        }
        if let Some(location) = segment.location() {
            assert_eq!(message.raw(&location), Value::Present(segment.raw()));
        }
    }
    let groups = message.groups(&["ORC", "OBR"]).len();
    let deviations: usize = tolerated.deviations().map(|one| 1 << one as usize).sum();
    assert_eq!(
        tolerated.fragment().is_some(),
        tolerated.continued || tolerated.further_headers > 0
    );
    shape([
        2 + usize::from(header.is_ok()),
        message.segment_count(),
        parts,
        groups,
        deviations % 251,
        deviations / 251,
        usize::from(tolerated.wrong_charset) + 2 * usize::from(tolerated.unknown_charset),
        message.received_in().name().len(),
        message.delimiters().encoding_characters().len(),
        message.truncated(),
    ])
}

/// Reads every value in every way.
fn look_at(segment: &hl7::segment::Segment<'_>) -> usize {
    let repetitions = segment.fields().flat_map(|field| field.repetitions().collect::<Vec<_>>());
    let components = repetitions.flat_map(|part| part.components().collect::<Vec<_>>());
    let mut count = 0;
    for part in components.flat_map(|component| component.subcomponents().collect::<Vec<_>>()) {
        let (text, rendered) = (part.text(), part.rendered());
        assert_eq!(text.is_null(), rendered.is_null());
        assert_eq!(text.is_absent(), part.raw().is_empty());
        count += 1;
    }
    for field in segment.fields() {
        assert_eq!(field.whole_text().is_null(), field.whole_rendered().is_null());
    }
    count
}

/// The first bytes name a place and a text, up to a NUL; the message follows.
pub(crate) fn editor(input: &[u8]) -> u64 {
    let [segment, field, repetition, component, subcomponent, length, rest @ ..] = input else {
        return 0;
    };
    let (text, bytes) = rest.split_at(usize::from(*length % 16).min(rest.len()));
    let reading = Reading { default_charset: Charset::UTF_8, ..Reading::default() };
    let Ok(message) = Message::parse(bytes.to_vec(), &reading) else { return 1 };
    let Some(chosen) = message.segment_at(usize::from(*segment) % message.segment_count().max(1))
    else {
        return 2;
    };
    let Some(place) = chosen.location() else { return 3 };
    let part = |number: u8| (number > 0).then_some(u32::from(number % 6));
    let at = Location {
        field: Some(u32::from(field % 24)),
        repetition: u32::from(repetition % 4),
        component: part(*component),
        subcomponent: part(*component).and(part(*subcomponent)),
        ..place
    };
    let (before, after) = (chosen.range().start, message.readable().len() - chosen.range().end);
    let text = String::from_utf8_lossy(text);
    let mut done = 0;
    for value in [Value::Present(text.as_ref()), Value::Null, Value::Absent] {
        let Ok(changed) = message.with(&at, value) else { continue };
        done += 1;
        let transcribed = |message: &Message| message.readable() != message.bytes();
        if transcribed(&message) != transcribed(&changed) {
            // An edit of MSH-18 says that the same bytes are to be read otherwise.
            continue;
        }
        let (old, new) = (message.readable(), changed.readable());
        assert_eq!(old[..before], new[..before], "what stands before stays");
        assert_eq!(old[old.len() - after..], new[new.len() - after..], "what follows stays");
        if at.segment.as_str() == "MSH" || changed.charset() != message.charset() {
            // An edit of MSH-18, or the first odd byte, may change how everything is read.
            continue;
        }
        let read = changed.text(&at).map(std::borrow::Cow::into_owned);
        match value {
            Value::Present("") => assert!(!read.is_present()),
            Value::Present(text) if !text.contains('\0') => {
                assert_eq!(read, Value::Present(text.to_owned()), "what was set is read");
            }
            Value::Null => assert!(read.is_null(), "null is read as null"),
            _ => {}
        }
    }
    shape([4, done, usize::from(*field % 24), usize::from(repetition % 4), text.len()])
}

/// Any frame may be answered, and any frame may be an answer.
pub(crate) fn acknowledgement(bytes: &[u8]) -> u64 {
    let ours = Stamp {
        control_id: "OURS1".into(),
        time: "20260701120000".into(),
        application: None,
        facility: None,
    };
    let read = read_acknowledgement(bytes);
    if read.is_some() {
        // In UTF-16 and UTF-32 there is NUL between its letters.
        let letters: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
        let msa = letters.windows(3).any(|three| three == b"MSA");
        assert!(msa, "only an MSA makes an acknowledgement");
    }
    let refusal = refuse_unreadable(bytes, "MSH unreadable", &ours);
    check_answer(&refusal, AckCode::AR);
    let Ok(header) = Header::from_frame(bytes) else {
        return shape([usize::from(read.is_some()), usize::from(is_acknowledgement(bytes))]);
    };
    let mut answered = 0;
    for (outcome, code) in [(Outcome::Accept, AckCode::AA), (Outcome::Reject, AckCode::CR)] {
        let answer = acknowledge(&header, code, Some("a|b^c\u{e9}\r"), None, &ours);
        check_answer(&answer, code);
        if header.is_acknowledgement() {
            assert_eq!(due(&header, outcome), None, "an acknowledgement is never acknowledged");
        }
        answered += usize::from(due(&header, outcome).is_some());
    }
    let version: usize = header.version.bytes().map(usize::from).sum();
    shape([
        3 + usize::from(read.is_some()),
        answered,
        header.control_id.len(),
        version % 13,
        usize::from(header.is_acknowledgement()),
        header.charset().name().len(),
    ])
}

fn check_answer(answer: &[u8], code: AckCode) {
    let unframed = |byte: &u8| !matches!(byte, 0x0B | 0x1C);
    if !answer.starts_with(b"MSH") {
        // In UTF-16 and UTF-32 no byte can be told from a part of a character.
        assert!(Header::from_frame(answer).is_ok_and(|header| header.message_code == "ACK"));
        return;
    }
    assert!(answer.iter().all(unframed), "an answer can be framed");
    assert!(answer.ends_with(b"\r") && !answer.contains(&b'\n'));
    assert!(is_acknowledgement(answer), "an answer is recognised");
    let read = read_acknowledgement(answer).expect("an answer is read");
    assert_eq!(read.code, code);
}

/// The first byte is the length of a character set's name, which follows; then come the bytes.
pub(crate) fn charset(input: &[u8]) -> u64 {
    let [length, rest @ ..] = input else { return 0 };
    let (label, bytes) = rest.split_at(usize::from(*length % 24).min(rest.len()));
    let named = str::from_utf8(label).ok().and_then(Charset::from_label);
    let charset = named.unwrap_or(Charset::WINDOWS_1252);
    let decoded = charset.decode(bytes);
    assert_eq!(decoded.undecodable, charset.undecodable(bytes), "both count the same");
    let contradicted = charset.is_contradicted_by(bytes);
    // The Japanese sets write some characters as others.
    if (charset.is_bytewise() || charset.name().starts_with("UTF"))
        && let Ok(encoded) = charset.encode(&decoded.text)
    {
        let again = charset.decode(&encoded);
        assert_eq!(again.text, decoded.text, "what was encoded is decoded");
    }
    let delimiters = Delimiters { truncation: Some(b'#'), ..Delimiters::default() };
    let plain = unescape(bytes, &delimiters);
    assert!(plain.len() <= bytes.len() && render(bytes, &delimiters).len() <= bytes.len() * 100);
    let escaped = escape(&decoded.text, &delimiters);
    assert!(!needs_escape(&escaped.replace('\\', ""), &delimiters), "nothing is left to escape");
    assert_eq!(unescape(escaped.as_bytes(), &delimiters).as_ref(), decoded.text.as_bytes());
    shape([
        usize::from(named.is_some()),
        charset.name().len(),
        decoded.undecodable,
        usize::from(contradicted),
        bytes.len().abs_diff(plain.len()),
        escaped.len().abs_diff(decoded.text.len()),
    ])
}

/// Bytes as a frame of several messages, or a batch.
pub(crate) fn several_messages(bytes: &[u8]) -> u64 {
    let bytes = Bytes::copy_from_slice(bytes);
    let Some(found) = several(&bytes) else { return 0 };
    let inside = bytes.as_ptr_range();
    let mut at = inside.start;
    for message in &found.messages {
        let place = message.as_ptr_range();
        assert!(at <= place.start && place.end <= inside.end, "in order, within what came");
        at = place.end;
    }
    if !found.batch {
        assert!(found.messages.len() > 1);
        assert_eq!(found.messages.concat(), bytes, "nothing is left out");
    }
    shape([
        1 + usize::from(found.batch),
        found.messages.len(),
        found.counts as usize,
        found.messages.iter().filter(|one| Header::from_frame(one).is_ok()).count(),
    ])
}
