//! The header of a message (MSH), read without the rest: all that intake needs to know.

use std::fmt;

use thiserror::Error;

use crate::charset::{Charset, label};
use crate::delimiters::{Delimiters, DelimitersError, locate};
use crate::escape::unescape;
use crate::message::Message;
use crate::short::{self, nth_part};
use crate::transcription::Transcription;

/// The values of MSH that the engine itself needs.
///
/// Texts are decoded, unescaped, trimmed and empty when absent or null; of a field with components
/// it is the first one unless said otherwise. `Debug` shows the message type only, since some
/// senders build other values from a patient's number.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// MSH-10 as it stands, for MSA-2.
    pub control_id: Vec<u8>,
    /// MSH-9.1, as in `ADT`.
    pub message_code: String,
    /// MSH-9.2, as in `A01`.
    pub trigger: String,
    /// MSH-9.3, as in `ADT_A01`.
    pub structure: String,
    /// MSH-3.1.
    pub sending_application: String,
    /// MSH-4.1.
    pub sending_facility: String,
    /// MSH-5.1.
    pub receiving_application: String,
    /// MSH-6.1.
    pub receiving_facility: String,
    /// MSH-7.1 as it stands.
    pub time: String,
    /// MSH-11.1, table 0103.
    pub processing_id: String,
    /// MSH-11.2, table 0207.
    pub processing_mode: String,
    /// MSH-12.1, table 0104.
    pub version: String,
    /// MSH-13, where the sequence number protocol is in use.
    pub sequence_number: Option<String>,
    /// MSH-15: when the sender wants an accept acknowledgement.
    pub accept_ack: Option<AckCondition>,
    /// MSH-16: when the sender wants an application acknowledgement.
    pub application_ack: Option<AckCondition>,
    /// MSH-18, its first repetition, or the second where that is ASCII.
    pub character_set: String,
    raw: Box<[u8]>,
    delimiters: Delimiters,
    followed_by_msa: bool,
    transcribed: Option<Transcription>,
}

/// When a sender wants an acknowledgement (table 0155).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckCondition {
    /// `AL`; also what an unknown code is taken for, since most senders wait.
    Always,
    /// `NE`.
    Never,
    /// `ER`.
    OnError,
    /// `SU`.
    OnSuccess,
}

/// Why a header could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// There is no MSH, or its delimiters make no sense.
    #[error(transparent)]
    Unreadable(#[from] DelimitersError),
    /// MSH is longer than [`Header::MAX_BYTES`].
    #[error("MSH is longer than {} bytes", Header::MAX_BYTES)]
    TooLong,
}

impl Header {
    /// The longest MSH that is read, in bytes.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Reads the header of a message.
    pub fn read(message: &Message) -> Result<Self, HeaderError> {
        Self::from_frame(message.bytes())
    }

    /// Reads the header of a frame's content; only its first segment is looked at.
    pub fn from_frame(frame: &[u8]) -> Result<Self, HeaderError> {
        // No set takes more bytes for a character, the mark of UTF-32 included.
        let window = &frame[..frame.len().min(4 * Self::MAX_BYTES + 8)];
        if let Some(way) = Transcription::of(frame) {
            return Self::read_bytes(&way.read(window).0, Some(way));
        }
        let header = Self::read_bytes(window, None)?;
        let declared = header.charset();
        if declared.is_bytewise() || is_plain(&header.raw) {
            return Ok(header);
        }
        let way = Transcription::into_utf_8_from(declared);
        Self::read_bytes(&way.read(window).0, Some(way))
    }

    /// Reads the header of bytes, which may be transcribed ones.
    fn read_bytes(frame: &[u8], transcribed: Option<Transcription>) -> Result<Self, HeaderError> {
        let (start, delimiters) = locate(frame)?;
        let frame = &frame[start..];
        let window = &frame[..frame.len().min(Self::MAX_BYTES + 1)];
        let end = memchr::memchr2(b'\r', b'\n', window).unwrap_or(window.len());
        if end > Self::MAX_BYTES {
            return Err(HeaderError::TooLong);
        }
        let known = transcribed.map(|_| Charset::UTF_8);
        let msh = Fields::find(&frame[..end], delimiters, known);
        Ok(Self {
            control_id: msh.raw[10 - 2].to_vec(),
            message_code: msh.text(9, 1),
            trigger: msh.text(9, 2),
            structure: msh.text(9, 3),
            sending_application: msh.text(3, 1),
            sending_facility: msh.text(4, 1),
            receiving_application: msh.text(5, 1),
            receiving_facility: msh.text(6, 1),
            time: msh.text(7, 1),
            processing_id: msh.text(11, 1),
            processing_mode: msh.text(11, 2),
            version: msh.text(12, 1),
            sequence_number: Some(msh.text(13, 1)).filter(|number| !number.is_empty()),
            accept_ack: AckCondition::read(&msh.text(15, 1)),
            application_ack: AckCondition::read(&msh.text(16, 1)),
            character_set: msh.charset_label(),
            raw: frame[..end].into(),
            delimiters,
            followed_by_msa: is_followed_by_msa(&frame[end..]),
            transcribed,
        })
    }

    /// Message code and trigger, as in `ADT^A01`.
    pub fn message_type(&self) -> String {
        if self.trigger.is_empty() {
            self.message_code.clone()
        } else {
            format!("{}^{}", self.message_code, self.trigger)
        }
    }

    /// MSH-10 as text.
    pub fn control_id_text(&self) -> String {
        let plain = unescape(&self.control_id, &self.delimiters);
        self.charset().decode(&plain).text.into_owned()
    }

    /// Sending application and facility, as in `PAS/RXX01`.
    pub fn sender(&self) -> String {
        [&*self.sending_application, "/", &*self.sending_facility].concat()
    }

    /// What separates the parts of the message.
    pub fn delimiters(&self) -> Delimiters {
        self.delimiters
    }

    /// The character set that [`Header::raw`] is in: the one MSH-18 names, else Windows-1252, which
    /// reads any ASCII header; UTF-8 of a message that had to be transcribed to be read.
    pub fn charset(&self) -> Charset {
        let declared = charset(&self.character_set);
        if self.transcribed.is_some() { Charset::UTF_8 } else { declared }
    }

    /// An answer that was written in [`Header::charset`], in the form in which the message came:
    /// whoever sends UTF-16 reads nothing else.
    pub fn as_received(&self, answer: Vec<u8>) -> Vec<u8> {
        self.transcribed.and_then(|way| way.write(&answer)).unwrap_or(answer)
    }

    /// A field of MSH as it stands, counted from 1; empty if absent.
    pub fn raw(&self, field: usize) -> &[u8] {
        match field {
            0 => &[],
            1 => &self.raw[3..4],
            _ => {
                let mut fields = self.raw.split(|&byte| byte == self.delimiters.field);
                fields.nth(field - 1).unwrap_or_default()
            }
        }
    }

    /// Whether the message acknowledges another, so that it must not be acknowledged itself.
    pub fn is_acknowledgement(&self) -> bool {
        self.message_code == "ACK" || self.followed_by_msa
    }

    /// Whether MSH-12 is at least this version; a version that cannot be read is taken as old.
    pub fn is_at_least(&self, version: [u32; 3]) -> bool {
        let mut found = [0; 3];
        for (number, part) in found.iter_mut().zip(self.version.split('.')) {
            let digits = part.trim_end_matches(|end: char| !end.is_ascii_digit());
            *number = digits.parse().unwrap_or(0);
        }
        found >= version
    }
}

impl AckCondition {
    fn read(code: &str) -> Option<Self> {
        match code {
            "" => None,
            "NE" => Some(Self::Never),
            "ER" => Some(Self::OnError),
            "SU" => Some(Self::OnSuccess),
            _ => Some(Self::Always),
        }
    }

    /// The code of table 0155.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "AL",
            Self::Never => "NE",
            Self::OnError => "ER",
            Self::OnSuccess => "SU",
        }
    }
}

/// Whether a frame's content acknowledges a message: MSH-9.1 is `ACK`, an MSA segment follows MSH,
/// or it is the commit byte of MLLP release 2. Works for an unreadable MSH, too: to answer an
/// acknowledgement would start a storm.
pub fn is_acknowledgement(frame: &[u8]) -> bool {
    if let Ok(header) = Header::from_frame(frame) {
        return header.is_acknowledgement();
    }
    matches!(frame, [0x06 | 0x15])
        || frame[..frame.len().min(Header::MAX_BYTES)]
            .split(|byte| matches!(byte, b'\r' | b'\n'))
            .any(is_msa)
}

/// Only software (SFT) and authentication (UAC) segments may stand between MSH and MSA. Little is
/// looked at, because intake reads headers and a message may be long.
fn is_followed_by_msa(rest: &[u8]) -> bool {
    rest[..rest.len().min(4096)]
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .find(|line| !line.is_empty() && !line.starts_with(b"SFT") && !line.starts_with(b"UAC"))
        .is_some_and(is_msa)
}

fn is_msa(line: &[u8]) -> bool {
    line.starts_with(b"MSA") && line.get(3).is_none_or(|next| !next.is_ascii_whitespace())
}

impl fmt::Debug for Header {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Header({} bytes)", self.raw.len())
    }
}

/// Whether every set with ASCII in it reads these bytes alike: none begins a character or switches sets.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| byte.is_ascii() && *byte != 0x1B)
}

/// The set of a header whose MSH-18 says this. One in UTF-16 or UTF-32 would not have been read as bytes.
fn charset(label: &str) -> Charset {
    let declared = Charset::from_label(label).filter(|declared| !declared.is_wide());
    declared.unwrap_or(Charset::WINDOWS_1252)
}

/// The last field of MSH that is read.
const LAST: usize = 18;

/// The fields of an MSH segment, found once: those from MSH-2 on.
struct Fields<'h> {
    raw: [&'h [u8]; LAST - 1],
    delimiters: Delimiters,
    charset: Charset,
}

impl<'h> Fields<'h> {
    fn find(segment: &'h [u8], delimiters: Delimiters, known: Option<Charset>) -> Self {
        let mut raw = [&[][..]; LAST - 1];
        let found = segment.split(|&byte| byte == delimiters.field).skip(1);
        raw.iter_mut().zip(found).for_each(|(field, found)| *field = found);
        let mut fields = Self { raw, delimiters, charset: Charset::WINDOWS_1252 };
        fields.charset = known.unwrap_or_else(|| charset(&fields.charset_label()));
        fields
    }

    fn charset_label(&self) -> String {
        String::from_utf8_lossy(label(self.raw[18 - 2], self.delimiters)).into_owned()
    }

    fn text(&self, field: usize, component: usize) -> String {
        let delimiters = self.delimiters;
        let nth = |raw: &'h [u8], at: u8, number: usize| match at {
            Delimiters::NONE if number == 1 => raw,
            Delimiters::NONE => &[],
            _ => nth_part(raw, at, number - 1).map(|found| &raw[found]).unwrap_or_default(),
        };
        let repetition = nth(self.raw[field - 2], delimiters.repetition, 1);
        let component = nth(repetition, delimiters.component, component);
        if component.is_empty() || component == b"\"\"" {
            return String::new();
        }
        let stated = nth(component, delimiters.subcomponent, 1);
        if short::is_plain(stated, delimiters.escape)
            && self.charset.is_bytewise()
            && let Ok(text) = str::from_utf8(stated.trim_ascii())
        {
            return text.to_owned();
        }
        let plain = unescape(stated, &delimiters);
        self.charset.decode(&plain).text.trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{AckCondition, Header, HeaderError, is_acknowledgement};
    use crate::delimiters::DelimitersError;

    const ADT: &[u8] =
        b"MSH|^~\\&|PAS^1.2.3^ISO|RXX01|TIE|RXX|20260701120000||ADT^A01^ADT_A01|C\\T\\1|\
        P^I|2.4^GBR|7||AL|NE||8859/15~ASCII\rEVN|A01\r";

    #[test]
    fn the_values_of_msh_are_read() {
        let header = Header::from_frame(ADT).expect("readable");
        assert_eq!(header.message_type(), "ADT^A01");
        assert_eq!(header.structure, "ADT_A01");
        assert_eq!(header.sender(), "PAS/RXX01");
        assert_eq!(
            (header.control_id.as_slice(), header.control_id_text().as_str()),
            (&b"C\\T\\1"[..], "C&1")
        );
        assert_eq!((header.processing_id.as_str(), header.processing_mode.as_str()), ("P", "I"));
        assert_eq!((header.version.as_str(), header.time.as_str()), ("2.4", "20260701120000"));
        assert_eq!(header.sequence_number.as_deref(), Some("7"));
        assert_eq!(header.accept_ack, Some(AckCondition::Always));
        assert_eq!(header.application_ack, Some(AckCondition::Never));
        assert_eq!(
            (header.character_set.as_str(), header.charset().name()),
            ("8859/15", "ISO-8859-15")
        );
        assert_eq!(
            (header.raw(1), header.raw(2), header.raw(19)),
            (&b"|"[..], &b"^~\\&"[..], &b""[..])
        );
        assert!(!header.is_acknowledgement());
    }

    #[test]
    fn a_short_header_is_read_and_a_bad_one_says_why() {
        let short = Header::from_frame(b"\xEF\xBB\xBF\nMSH|^~\\&").expect("delimiters suffice");
        assert!(short.control_id.is_empty() && short.version.is_empty());
        let error = Header::from_frame(b"PID|1").expect_err("no MSH");
        assert_eq!(error, HeaderError::Unreadable(DelimitersError::NotMsh));
        let long = [b"MSH|^~\\&|".as_slice(), &vec![b'x'; Header::MAX_BYTES]].concat();
        assert_eq!(Header::from_frame(&long), Err(HeaderError::TooLong));
    }

    #[test]
    fn a_header_in_utf_16_is_read_and_answered_in_kind() {
        let utf_16 = |text: &str| -> Vec<u8> {
            text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
        };
        let text = "MSH|^~\\&|PÂS|RXX01|||||ADT^A01|C1|P|2.4||||||UNICODE UTF-16\rPID|1\r";
        for mark in [&b""[..], b"\xFF\xFE"] {
            let frame = [mark, &utf_16(text)].concat();
            let header = Header::from_frame(&frame).expect("readable");
            assert_eq!((header.sender().as_str(), &*header.control_id), ("PÂS/RXX01", &b"C1"[..]));
            let answer = header.as_received(b"MSA|AA|C1\r".to_vec());
            assert_eq!(answer, [mark, &utf_16("MSA|AA|C1\r")].concat());
        }
        // Who only says so is answered as it writes.
        let header = Header::from_frame(text.as_bytes()).expect("readable");
        assert_eq!(header.as_received(b"MSA".to_vec()), b"MSA");
    }

    #[test]
    fn acknowledgements_are_recognised_by_type_or_msa() {
        let yes: [&[u8]; 6] = [
            b"MSH|^~\\&|||||||RSP^K22|1|P|2.5\rSFT|x\rMSA|AA|1\r",
            b"MSH|^~\\&|||||||ACK|1|P|2.3\rMSA|AA|1\r",
            b"MSH|^~\\&|||||||ADT^A01|1|P|2.3\r\nMSA|AA|1",
            b"MSH|^~\\&|||||||ORR^O02|1|P|2.3\rMSA|AA|1\r",
            b"MSHlo wolld\rMSAlAAl1",
            b"\x06",
        ];
        for frame in yes {
            assert!(is_acknowledgement(frame), "{frame:?}");
        }
        assert!(!is_acknowledgement(ADT));
        assert!(!is_acknowledgement(b"hello"));
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let at_least = |version: &str, wanted| {
            let frame = format!("MSH|^~\\&|||||||ADT|1|P|{version}\r");
            Header::from_frame(frame.as_bytes()).expect("readable").is_at_least(wanted)
        };
        assert!(at_least("2.3.1", [2, 3, 1]) && at_least("2.10", [2, 5, 0]));
        assert!(
            !at_least("2.3", [2, 3, 1]) && !at_least("", [2, 3, 1]) && !at_least("2.4", [2, 5, 0])
        );
    }

    #[test]
    fn debug_shows_nothing_of_the_message() {
        let shown = format!("{:?}", Header::from_frame(ADT));
        assert!(!shown.contains("PAS") && !shown.contains("C\\"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(tail in prop::collection::vec(any::<u8>(), 0..200), msh in any::<bool>()) {
            let frame = if msh { [b"MSH|^~\\&".as_slice(), &tail].concat() } else { tail };
            if let Ok(header) = Header::from_frame(&frame) {
                prop_assert_eq!(header.raw(10), header.control_id.as_slice());
            }
            let _ = is_acknowledgement(&frame);
        }
    }
}
