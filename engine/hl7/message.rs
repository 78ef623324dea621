//! A message: its bytes and where their parts lie.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::charset::Charset;
use crate::delimiters::Delimiters;
use crate::index::{Parts, Tolerated};
use crate::location::Location;
use crate::reading;
pub use crate::reading::{ParseError, Reading};
use crate::segment::Segment;
use crate::transcription::Transcription;
use crate::value::Value;

/// One HL7 v2 message, lossless: [`Message::bytes`] is what was received, to the byte.
///
/// Segments and fields were found in one pass; what lies inside a field is found on demand. A clone
/// shares both. `Debug` shows sizes only, since a message is about a patient.
#[derive(Clone)]
pub struct Message {
    parts: Arc<Parts>,
    reading: Reading,
}

impl Message {
    /// The longest message, in bytes.
    pub const MAX_BYTES: usize = reading::MAX_BYTES;

    /// Finds the segments and fields of a message. What the standard does not allow but can be read
    /// is reported by [`Message::tolerated`].
    pub fn parse(bytes: impl Into<Bytes>, reading: &Reading) -> Result<Self, ParseError> {
        let parts = reading::read(bytes.into(), reading)?;
        Ok(Self { parts: Arc::new(parts), reading: *reading })
    }

    /// What was received, to the byte.
    pub fn bytes(&self) -> &Bytes {
        self.parts.transcribed.as_ref().map_or(&self.parts.bytes, |from| &from.received)
    }

    /// What views and their ranges are of: the bytes received, or, in a character set that cannot be
    /// split before it is decoded, their transcription into UTF-8.
    pub fn readable(&self) -> &Bytes {
        &self.parts.bytes
    }

    /// What separates the parts of this message.
    pub fn delimiters(&self) -> Delimiters {
        self.parts.delimiters
    }

    /// The character set that [`Message::readable`] is read in: MSH-18, else the source's default;
    /// where the bytes contradict that and it is not to be trusted, what they are instead; UTF-8 for
    /// a transcription.
    pub fn charset(&self) -> Charset {
        self.parts.charset
    }

    /// The character set that the message was received in.
    pub fn received_in(&self) -> Charset {
        self.parts.transcribed.as_ref().map_or(self.parts.charset, |from| from.way.charset)
    }

    pub(crate) fn transcription(&self) -> Option<Transcription> {
        self.parts.transcribed.as_ref().map(|from| from.way)
    }

    /// How this message was read.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// What was accepted although the standard does not allow it.
    pub fn tolerated(&self) -> Tolerated {
        self.parts.index.tolerated
    }

    /// Whether nothing that has a segment name follows MSH, as in a message that was cut off.
    pub fn is_header_only(&self) -> bool {
        !self.parts.index.lines.iter().skip(1).any(|line| line.named)
    }

    /// How many bytes of the message its character set cannot decode.
    pub fn undecodable(&self) -> usize {
        let counted = || self.charset().undecodable(&self.readable()[self.tolerated().leading..]);
        self.parts.transcribed.as_ref().map_or_else(counted, |from| from.undecodable)
    }

    /// How many values end in the truncation character of MSH-2: what was longer than its sender may
    /// send (HL7 v2.7 section 2.5.5.2). One that is meant is written `\P\`.
    pub fn truncated(&self) -> usize {
        let delimiters = self.delimiters();
        let Some(mark) = delimiters.truncation else { return 0 };
        let ends = [
            delimiters.field,
            delimiters.component,
            delimiters.repetition,
            delimiters.subcomponent,
        ];
        let within = |segment: Segment<'_>| {
            // MSH-2 is not a value that ends in it.
            let first =
                if segment.index() == 0 { 4 + delimiters.encoding_characters().len() } else { 0 };
            let raw = segment.raw();
            let marks = memchr::memchr_iter(mark, raw).filter(|at| *at >= first);
            marks.filter(|at| raw.get(at + 1).is_none_or(|next| ends.contains(next))).count()
        };
        self.segments().map(within).sum()
    }

    /// How many segments there are, odd lines included.
    pub fn segment_count(&self) -> usize {
        self.parts.index.lines.len()
    }

    /// All segments in order, odd lines included.
    pub fn segments(
        &self,
    ) -> impl DoubleEndedIterator<Item = Segment<'_>> + ExactSizeIterator + Clone {
        (0..self.segment_count()).map(|index| Segment::new(&self.parts, index))
    }

    /// The segment at a position, from 0.
    pub fn segment_at(&self, index: usize) -> Option<Segment<'_>> {
        (index < self.segment_count()).then(|| Segment::new(&self.parts, index))
    }

    /// The segment of that name, `occurrence` counted from 1.
    pub fn segment(&self, name: &str, occurrence: usize) -> Option<Segment<'_>> {
        self.segments_named(name).nth(occurrence.checked_sub(1)?)
    }

    /// All segments of that name in order.
    pub fn segments_named<'m>(&'m self, name: &str) -> impl Iterator<Item = Segment<'m>> {
        let wanted: Option<[u8; 3]> = name.as_bytes().try_into().ok();
        self.segments().filter(move |segment| wanted.is_some_and(|name| segment.is_named(name)))
    }

    /// The bytes at a location as they stand: not decoded, not unescaped.
    ///
    /// Parts of the location that are not given count as the first one, so that `PID-3` is
    /// `PID-3.1.1`; a location without a field is the whole segment.
    pub fn raw(&self, at: &Location) -> Value<&[u8]> {
        self.find(at).map_or(Value::Absent, |segment| segment.raw_at(at))
    }

    /// The text at a location, decoded and unescaped; the parts that are not given count as in
    /// [`Message::raw`].
    pub fn text(&self, at: &Location) -> Value<Cow<'_, str>> {
        self.find(at).map_or(Value::Absent, |segment| segment.text_at(at))
    }

    fn find(&self, at: &Location) -> Option<Segment<'_>> {
        self.segment(at.segment.as_str(), at.occurrence as usize)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Message({} bytes, {} segments)", self.bytes().len(), self.segment_count())
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::{Message, Reading};
    use crate::charset::Charset;
    use crate::value::Value;

    const ADT: &str = "MSH|^~\\&|PAS|RXX01|||20260701||ADT^A01|1|P|2.4\r\
        PID|1||123^^^RXX01^MR~9990000018^^^NHS^NH&x&y||EXAM\\T\\PLE^Ann|||F|||\"\"|&b\r\
        OBX|1|TX|||one\r\
        OBX|2|TX|||two & three^four\\.br\\five\r";

    fn message(text: &str) -> Message {
        Message::parse(text.as_bytes().to_vec(), &Reading::default()).expect("readable")
    }

    fn text(message: &Message, at: &str) -> Value<String> {
        message.text(&at.parse().expect(at)).map(Cow::into_owned)
    }

    #[test]
    fn locations_read_decoded_and_unescaped_text() {
        let adt = message(ADT);
        let cases = [
            ("PID-3", "123"),
            ("PID-3.4", "RXX01"),
            ("PID-3(2)", "9990000018"),
            ("PID-3(2).5", "NH"),
            ("PID-3(2).5.3", "y"),
            ("PID-5.1", "EXAM&PLE"),
            ("PID-8", "F"),
            ("PID-12.1.2", "b"),
            ("OBX(2)-5.2", "four\\.br\\five"),
            ("MSH-1", "|"),
            ("MSH-2", "^~\\&"),
            ("MSH-9.2", "A01"),
            ("OBX", "OBX|1|TX|||one"),
        ];
        for (at, expected) in cases {
            assert_eq!(text(&adt, at), Value::Present(expected.to_owned()), "{at}");
        }
        for at in
            ["PID-2", "PID-3(3)", "PID-3.9", "PID-3.1.2", "PID-40", "OBX(3)-1", "ZZZ-1", "PID-12"]
        {
            assert_eq!(text(&adt, at), Value::Absent, "{at}");
        }
    }

    #[test]
    fn null_reaches_into_the_parts_of_what_is_null() {
        let adt = message(ADT);
        for at in ["PID-11", "PID-11.1", "PID-11.5", "PID-11.5.2"] {
            assert_eq!(text(&adt, at), Value::Null, "{at}");
        }
        assert_eq!(text(&adt, "PID-11(2)"), Value::Absent);
    }

    #[test]
    fn views_walk_the_whole_message() {
        let adt = message(ADT);
        let names: Vec<&str> = adt.segments().map(|segment| segment.name()).collect();
        assert_eq!(names, ["MSH", "PID", "OBX", "OBX"]);
        let pid = adt.segment("PID", 1).expect("there");
        let identifiers = pid.field(3).expect("there");
        let counts: Vec<usize> =
            identifiers.repetitions().map(|repetition| repetition.components().count()).collect();
        assert_eq!(counts, [5, 5]);
        assert_eq!(pid.text(5, 2), Value::Present("Ann".into()));
        assert_eq!(pid.fields().count(), 12);
        let second = adt.segment("OBX", 2).expect("there");
        assert_eq!(second.location().map(|at| at.to_string()).as_deref(), Some("OBX(2)"));
        let value = second.field(5).expect("there");
        assert_eq!(value.whole_text(), Value::Present("two & three^four\\.br\\five".into()));
        assert_eq!(value.whole_rendered(), Value::Present("two & three^four\nfive".into()));
        assert!(adt.segment("OBX", 3).is_none() && adt.segment("OBX", 0).is_none());
        assert!(adt.segment("", 1).is_none());
    }

    #[test]
    fn the_charset_is_msh_18_or_the_default() {
        let with = |msh_18: &str| {
            let mut bytes =
                format!("MSH|^~\\&|||||||ADT|1|P|2.4||||||{msh_18}\rPID|||||ZO").into_bytes();
            bytes.push(0xCB);
            Message::parse(bytes, &Reading::default()).expect("readable")
        };
        assert_eq!(text(&with(""), "PID-5"), Value::Present("ZOË".to_owned()));
        assert_eq!(with("8859/15~ASCII").charset().name(), "ISO-8859-15");
        // Declared wrongly: read as what it is, unless the source is to be believed.
        let wrong = with("UNICODE UTF-8");
        assert!(wrong.tolerated().wrong_charset && !with("").tolerated().wrong_charset);
        assert_eq!(text(&wrong, "PID-5"), Value::Present("ZOË".to_owned()));
        let believing = Reading { trust_charset: true, ..Reading::default() };
        let wrong = Message::parse(wrong.bytes().clone(), &believing).expect("readable");
        assert!(wrong.tolerated().wrong_charset);
        assert_eq!(text(&wrong, "PID-5"), Value::Present("ZO\u{FFFD}".to_owned()));
        assert_eq!(wrong.undecodable(), 1);
        let unknown = with("KLINGON");
        assert_eq!(unknown.charset(), Charset::WINDOWS_1252);
        assert!(unknown.tolerated().unknown_charset && !with("UTF-8").tolerated().unknown_charset);
    }

    #[test]
    fn a_header_alone_is_told_from_an_unreadable_one() {
        for cut in [
            "MSH|^~\\&|PAS|RXX01|||20260701||ADT^A01|1|P|2.4\r",
            "MSH|^~\\&|PAS",
            "MSH|^~\\&|PAS\rPI",
        ] {
            assert!(message(cut).is_header_only(), "{cut}");
        }
        assert!(!message(ADT).is_header_only());
        for garbage in ["", "hello", "PID|1", "MSH|"] {
            let error = Message::parse(garbage.as_bytes().to_vec(), &Reading::default());
            assert!(error.is_err_and(|error| error.is_unreadable()), "{garbage}");
        }
        assert!(!crate::reading::ParseError::TooManyParts.is_unreadable());
    }

    #[test]
    fn what_is_longer_than_the_standard_allows_is_read_whole() {
        let name = "N".repeat(1 << 20);
        let adt = message(&format!("MSH|^~\\&|PAS\rPID|||||{name}^{name}\rZ9A|x\rZU12|y\r"));
        assert_eq!(text(&adt, "PID-5.2"), Value::Present(name));
        assert_eq!(text(&adt, "Z9A-1"), Value::Present("x".to_owned()));
        assert_eq!(adt.tolerated().odd_lines, 1, "a name has three characters");
    }

    #[test]
    fn utf_16_is_read_and_edited_in_its_own_bytes() {
        let wide = |text: &str| -> Vec<u8> {
            [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
        };
        let adt = "MSH|^~\\&|PAS|R|||||ADT|1|P|2.4||||||UNICODE UTF-16\rPID|||||ZOË^\u{1F600}\r";
        let bytes = wide(adt);
        let message = Message::parse(bytes.clone(), &Reading::default()).expect("readable");
        assert_eq!(message.bytes(), &bytes);
        assert_eq!(message.received_in(), Charset::UTF_16LE);
        assert_eq!(text(&message, "PID-5"), Value::Present("ZOË".to_owned()));
        assert!(!message.tolerated().wrong_charset && message.undecodable() == 0);
        let at = "PID-5.1".parse().expect("a place");
        let edited = message.with(&at, Value::Present("Zoë")).expect("set");
        assert_eq!(edited.bytes(), &wide(&adt.replace("ZOË", "Zoë")));
        // Said, but not so.
        let liar = Message::parse(adt.as_bytes().to_vec(), &Reading::default()).expect("readable");
        assert!(liar.tolerated().wrong_charset);
        assert_eq!(text(&liar, "PID-5"), Value::Present("ZOË".to_owned()));
    }

    #[test]
    fn a_set_whose_characters_hold_delimiters_is_read_whole() {
        // GB 18030 and Big5 have characters whose second byte is that of a delimiter.
        for (label, charset) in [("GB 18030-2000", "GB18030"), ("BIG-5", "Big5")] {
            let set = Charset::from_label(label).expect("known");
            assert_eq!(set.name(), charset);
            let adt = format!("MSH|^~\\&|A|B|||||ADT|1|P|2.5||||||{label}\rPID|||||許功蓋^功\r");
            let bytes = set.encode(&adt).expect("in the set");
            let message = Message::parse(bytes.clone(), &Reading::default()).expect("readable");
            assert_eq!(message.bytes(), &bytes);
            assert_eq!(text(&message, "PID-5.1"), Value::Present("許功蓋".to_owned()), "{label}");
            assert_eq!(text(&message, "PID-5.2"), Value::Present("功".to_owned()), "{label}");
        }
    }

    #[test]
    fn three_encoding_characters_leave_ampersands_alone() {
        let adt = message("MSH|^~\\|PAS\rPID|||||SMITH & SONS\r");
        assert_eq!(text(&adt, "PID-5"), Value::Present("SMITH & SONS".to_owned()));
        assert_eq!(text(&adt, "PID-5.1.2"), Value::Absent);
    }

    #[test]
    fn debug_shows_nothing_of_the_message() {
        let adt = message(ADT);
        let pid = adt.segment("PID", 1).expect("there");
        let shown = format!("{adt:?} {pid:?} {:?}", pid.field(5));
        assert!(!shown.contains("EXAM"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_bytes_keep_their_bytes(
            tail in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"|^~\\&\r\nPIDX1\"".to_vec())], 0..300),
            default_charset in prop::sample::select(vec![Charset::UTF_8, Charset::ASCII, Charset::WINDOWS_1252]),
            line_feeds in any::<bool>(),
            trust_charset in any::<bool>(),
        ) {
            let bytes = [b"MSH|^~\\&".as_slice(), &tail].concat();
            let reading = Reading { default_charset, trust_charset, line_feeds };
            let Ok(message) = Message::parse(bytes.clone(), &reading) else { return Ok(()) };
            prop_assert_eq!(message.bytes().as_ref(), bytes.as_slice());
            // Every byte lies in a segment or ends one.
            let mut at = 0;
            for segment in message.segments() {
                prop_assert!(bytes[at..segment.range().start].iter().all(|byte| b"\r\n\0".contains(byte)));
                at = segment.range().end;
                // Fields joined by their delimiter give the segment again.
                let joined: Vec<&[u8]> = segment.fields().skip(usize::from(segment.name() == "MSH")).map(|field| field.raw()).collect();
                if segment.field_count() > 0 {
                    prop_assert_eq!(joined.join(&b'|'), &segment.raw()[4..]);
                }
                for field in segment.fields() {
                    let parts: Vec<&[u8]> = field.repetitions().map(|part| part.raw()).collect();
                    if segment.index() > 0 {
                        prop_assert_eq!(parts.join(&b'~'), field.raw());
                    }
                    for component in field.repetitions().flat_map(|part| part.components()) {
                        for part in component.subcomponents() {
                            prop_assert_eq!(part.text().is_null(), part.rendered().is_null());
                        }
                    }
                }
            }
            prop_assert!(bytes[at..].iter().all(|byte| b"\r\n\0".contains(byte)));
            prop_assert!(message.undecodable() <= bytes.len());
        }
    }
}
