//! Acknowledgements: writing one, reading one.
//!
//! HL7 v2 chapter 2, "message acknowledgment", original and enhanced mode.

use std::fmt;

use crate::ack_form::Form;
use crate::charset::Charset;
use crate::delimiters::Delimiters;
use crate::escape::unescape;
use crate::header::Header;
use crate::location::Location;
use crate::transcription::Transcription;
use crate::writer::Writer;

/// Acknowledgement codes (table 0008).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AckCode {
    /// Application accept.
    AA,
    /// Application error.
    AE,
    /// Application reject.
    AR,
    /// Commit accept.
    CA,
    /// Commit error.
    CE,
    /// Commit reject.
    CR,
}

/// What became of a message, as far as its sender is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was accepted: AA or CA.
    Accept,
    /// Its content is at fault: AE or CE.
    Error,
    /// It is refused before its content is looked at: AR or CR.
    Reject,
}

/// What an acknowledgement says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its own MSH-10.
    pub control_id: String,
    /// MSH-7, as in `20260701120000`.
    pub time: String,
    /// MSH-3; `None` gives the application that the message was sent to.
    pub application: Option<String>,
    /// MSH-4; `None` gives the facility that the message was sent to.
    pub facility: Option<String>,
}

/// What is wrong with a message, for its ERR segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckError<'a> {
    /// Where.
    pub location: Option<Location>,
    /// The error code of table 0357, as in 202.
    pub code: u16,
    /// A text for the people who read it; it must not quote the message.
    pub message: &'a str,
}

/// What an acknowledgement says of a message.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// MSA-1.
    pub code: AckCode,
    /// MSA-3.
    pub text: Option<&'a str>,
    /// ERR, of negative answers only.
    pub error: Option<&'a AckError<'a>>,
    /// MSA-4, where the sequence number protocol is in use.
    pub expected: Option<i64>,
    /// Whether it is a second answer, a message of its own that asks for none (MSH-15, MSH-16).
    pub second: bool,
}

/// An acknowledgement that was received. `Debug` shows its code only.
#[derive(Clone, PartialEq, Eq)]
pub struct ReadAck {
    /// MSA-1.
    pub code: AckCode,
    /// MSA-2 as it stands.
    pub control_id: Vec<u8>,
    /// MSA-3; where that is empty, what ERR says about the error.
    pub text: String,
}

impl AckCode {
    /// The code as table 0008 spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AA => "AA",
            Self::AE => "AE",
            Self::AR => "AR",
            Self::CA => "CA",
            Self::CE => "CE",
            Self::CR => "CR",
        }
    }

    /// The accept acknowledgement of an outcome.
    pub fn commit(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Accept => Self::CA,
            Outcome::Error => Self::CE,
            Outcome::Reject => Self::CR,
        }
    }

    /// The application acknowledgement of an outcome.
    pub fn application(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Accept => Self::AA,
            Outcome::Error => Self::AE,
            Outcome::Reject => Self::AR,
        }
    }

    /// Whether it speaks for the application: AA, AE or AR.
    pub fn is_application(self) -> bool {
        matches!(self, Self::AA | Self::AE | Self::AR)
    }

    /// Whether it says that the message was accepted.
    pub fn is_positive(self) -> bool {
        matches!(self, Self::AA | Self::CA)
    }

    /// Reads a code of table 0008.
    pub fn read(code: &[u8]) -> Option<Self> {
        let all = [Self::AA, Self::AE, Self::AR, Self::CA, Self::CE, Self::CR];
        let code = code.trim_ascii();
        all.into_iter().find(|known| known.as_str().as_bytes().eq_ignore_ascii_case(code))
    }
}

impl fmt::Display for AckCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for ReadAck {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ReadAck({})", self.code)
    }
}

impl<'a> Reply<'a> {
    /// One that says no more than its code.
    pub fn new(code: AckCode) -> Self {
        Self { code, text: None, error: None, expected: None, second: false }
    }

    /// One that says what is wrong.
    pub fn refusal(code: AckCode, error: &'a AckError<'a>) -> Self {
        Self { text: Some(error.message), error: Some(error), ..Self::new(code) }
    }
}

/// Writes the acknowledgement of a message in the standard's own form, see [`acknowledge_as`].
pub fn acknowledge(
    header: &Header,
    code: AckCode,
    text: Option<&str>,
    error: Option<&AckError<'_>>,
    ours: &Stamp,
) -> Vec<u8> {
    let reply = Reply { text, error, ..Reply::new(code) };
    acknowledge_as(header, &reply, &Form::STANDARD, ours)
}

/// Writes the acknowledgement of a message, in the message's own delimiters and version.
///
/// MSH-3 to MSH-6 are swapped, MSH-11, MSH-12 and MSH-18 echoed, MSA-2 is MSH-10 to the byte (bytes
/// that would end a frame are left out). The trigger stands in MSH-9 from version 2.3.1 on. An error
/// is written as ERR-1 (ELD) up to 2.4, as ERR-2, 3, 4 and 8 from 2.5 on, and never with a positive
/// code. What `form` says of a field goes before all that. Every segment ends with CR.
pub fn acknowledge_as(header: &Header, reply: &Reply<'_>, form: &Form, ours: &Stamp) -> Vec<u8> {
    let mut out = Writer::new(header.delimiters(), header.charset());
    let code = reply.code;
    out.segment("MSH");
    out.field(header.raw(2));
    let charset = if header.raw(18).is_empty() { 12 } else { 18 };
    let asks_for_none = if reply.second { 16 } else { 12 };
    for number in 3..=form.msh.keys().copied().fold(charset.max(asks_for_none), usize::max) {
        match (form.msh.get(&number), number) {
            (Some(template), _) => out.template(template, header),
            (None, 3) => out.own_or(ours.application.as_deref(), header.raw(5)),
            (None, 4) => out.own_or(ours.facility.as_deref(), header.raw(6)),
            (None, 5) => out.field(header.raw(3)),
            (None, 6) => out.field(header.raw(4)),
            (None, 7) => out.text(&ours.time),
            (None, 9) => out.field(&message_type(header)),
            (None, 10) => out.text(&ours.control_id),
            (None, 15 | 16) if reply.second => out.field(b"NE"),
            (None, 11 | 12 | 18) => out.field(header.raw(number)),
            (None, _) => out.field(b""),
        }
    }
    out.segment("MSA");
    out.field(code.as_str().as_bytes());
    out.field(&header.control_id);
    let said = |number: usize| form.msa.get(&number).filter(|_| number != 3 || code.is_positive());
    let text = if reply.text.is_some() { 3 } else { 2 };
    let expected = if reply.expected.is_some() { 4 } else { 2 };
    let last = form.msa.keys().copied().filter(|number| said(*number).is_some());
    for number in 3..=last.fold(text.max(expected), usize::max) {
        match (said(number), number) {
            (Some(template), _) => out.template(template, header),
            (None, 3) => out.text(reply.text.unwrap_or_default()),
            (None, 4) => out.text(&reply.expected.map(|n| n.to_string()).unwrap_or_default()),
            (None, _) => out.field(b""),
        }
    }
    if let Some(error) = reply.error.filter(|_| form.err && !code.is_positive()) {
        let coded = header.is_at_least([2, 5, 0]);
        out.error_segment(error.location, error.code, error.message, coded);
    }
    header.as_received(out.finish())
}

/// MSH-9 of the acknowledgement of a message.
fn message_type(header: &Header) -> Vec<u8> {
    let (joint, trigger) = (header.delimiters().component, component(header.raw(9), header, 2));
    if header.is_at_least([2, 3, 1]) && !trigger.is_empty() {
        [b"ACK", &[joint][..], trigger, &[joint], b"ACK"].concat()
    } else {
        b"ACK".to_vec()
    }
}

/// The best refusal of a frame whose MSH cannot be read: AR, see [`answer_unreadable`].
pub fn refuse_unreadable(frame: &[u8], text: &str, ours: &Stamp) -> Vec<u8> {
    answer_unreadable(frame, AckCode::AR, text, ours)
}

/// The best answer to a frame whose MSH cannot be read, with MSA-2 if a control id can be found.
///
/// The caller first makes sure that the frame is not itself an acknowledgement
/// ([`crate::header::is_acknowledgement`]).
pub fn answer_unreadable(frame: &[u8], code: AckCode, text: &str, ours: &Stamp) -> Vec<u8> {
    let window = &frame[..frame.len().min(Header::MAX_BYTES)];
    let found = memchr::memmem::find_iter(window, b"MSH").map(|at| &window[at..]);
    let mut control_id: &[u8] = b"";
    for msh in found {
        if let Ok(header) = Header::from_frame(msh) {
            return acknowledge(&header, code, Some(text), None, ours);
        }
        if control_id.is_empty() {
            control_id = guessed_control_id(msh);
        }
    }
    let mut out = Writer::new(Delimiters::default(), Charset::ASCII);
    out.segment("MSH");
    out.field(b"^~\\&");
    out.own_or(ours.application.as_deref(), b"");
    out.own_or(ours.facility.as_deref(), b"");
    out.field(b"");
    out.field(b"");
    out.text(&ours.time);
    out.field(b"");
    out.field(b"ACK");
    out.text(&ours.control_id);
    out.field(b"P");
    out.field(b"2.3");
    out.segment("MSA");
    out.field(code.as_str().as_bytes());
    out.field(control_id);
    out.text(text);
    out.finish()
}

/// MSH-10 of a header whose delimiters make no sense but that separates its fields by a bar.
fn guessed_control_id(msh: &[u8]) -> &[u8] {
    let line = msh.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    if line.get(3) != Some(&b'|') {
        return b"";
    }
    line.split(|&byte| byte == b'|').nth(9).unwrap_or_default()
}

/// Reads an acknowledgement, which is recognised by its MSA segment, whatever MSH-9 says. `None` is
/// a frame without one, or with a code that table 0008 does not know. An answer in UTF-16 is read as well,
/// which is what whoever sends UTF-16 gets; its control id is then in UTF-8, as that of [`Header`] is.
pub fn read_acknowledgement(frame: &[u8]) -> Option<ReadAck> {
    match Transcription::of(frame) {
        Some(way) => read_bytewise(&way.read(frame).0, Some(Charset::UTF_8)),
        None => read_bytewise(frame, None),
    }
}

fn read_bytewise(frame: &[u8], known: Option<Charset>) -> Option<ReadAck> {
    let header = Header::from_frame(frame).ok();
    let declared = || header.as_ref().map_or(Charset::WINDOWS_1252, Header::charset);
    let charset = known.unwrap_or_else(declared);
    let lines = || frame.split(|byte| matches!(byte, b'\r' | b'\n'));
    let msa = lines().find(|line| line.starts_with(b"MSA") && line.len() > 3)?;
    let usual = Delimiters { field: msa[3], ..Delimiters::default() };
    let delimiters = header.as_ref().map_or(usual, Header::delimiters);
    let fields = |line: &'_ [u8], number: usize| -> Vec<u8> {
        line.split(|&byte| byte == delimiters.field).nth(number).unwrap_or_default().to_vec()
    };
    let plain = |raw: &[u8]| charset.decode(&unescape(raw, &delimiters)).text.into_owned();
    let mut text = plain(&fields(msa, 3));
    if text.is_empty()
        && let Some(err) = lines().find(|line| line.starts_with(b"ERR"))
    {
        let described = [8, 7, 3, 1].map(|number| fields(err, number));
        text =
            described.iter().find(|raw| !raw.is_empty()).map(|raw| plain(raw)).unwrap_or_default();
    }
    Some(ReadAck { code: AckCode::read(&fields(msa, 1))?, control_id: fields(msa, 2), text })
}

fn component<'h>(field: &'h [u8], header: &Header, number: usize) -> &'h [u8] {
    let delimiters = header.delimiters();
    let first = field.split(|&byte| byte == delimiters.repetition).next().unwrap_or_default();
    first.split(|&byte| byte == delimiters.component).nth(number - 1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{AckCode, AckError, Stamp, acknowledge, read_acknowledgement, refuse_unreadable};
    use crate::header::Header;

    fn header(version: &str, tail: &str) -> Header {
        let frame = format!(
            "MSH|^~\\&|PAS^1.2^ISO|RXX01|TIE|RXX|20260701||ADT^A01^ADT_A01|\\T\\7|T|{version}{tail}\rPID|1\r"
        );
        Header::from_frame(frame.as_bytes()).expect("readable")
    }

    #[test]
    fn an_answer_in_utf_16_is_read() {
        let message = "MSH|^~\\&|LIMS|RXX01|TIE|RXX|20260701||ORU^R01|C\u{e9}7|P|2.5.1\r";
        for mark in ["", "\u{feff}"] {
            let utf_16: Vec<u8> =
                format!("{mark}{message}").encode_utf16().flat_map(u16::to_le_bytes).collect();
            let header = Header::from_frame(&utf_16).expect("readable");
            let answer =
                header.as_received(acknowledge(&header, AckCode::AA, None, None, &stamp()));
            let read = read_acknowledgement(&answer).expect("an answer");
            assert_eq!((read.code, &read.control_id), (AckCode::AA, &header.control_id));
        }
    }

    fn stamp() -> Stamp {
        Stamp {
            control_id: "OURS1".into(),
            time: "20260701120000".into(),
            application: None,
            facility: None,
        }
    }

    fn written(
        header: &Header,
        code: AckCode,
        text: Option<&str>,
        error: Option<&AckError<'_>>,
    ) -> String {
        String::from_utf8(acknowledge(header, code, text, error, &stamp())).expect("ASCII")
    }

    #[test]
    fn a_positive_one_swaps_and_echoes() {
        assert_eq!(
            written(&header("2.4", ""), AckCode::AA, None, None),
            "MSH|^~\\&|TIE|RXX|PAS^1.2^ISO|RXX01|20260701120000||ACK^A01^ACK|OURS1|T|2.4\rMSA|AA|\\T\\7\r"
        );
        let with_charset =
            written(&header("2.3", "||||||UNICODE UTF-8"), AckCode::AA, Some("a|b"), None);
        assert_eq!(
            with_charset,
            "MSH|^~\\&|TIE|RXX|PAS^1.2^ISO|RXX01|20260701120000||ACK|OURS1|T|2.3||||||UNICODE UTF-8\r\
             MSA|AA|\\T\\7|a\\F\\b\r"
        );
    }

    #[test]
    fn our_own_name_and_the_senders_delimiters_are_used() {
        let odd =
            Header::from_frame(b"MSH#*+!@#PAS#RXX01#####ADT*A01#9#P#2.5\r").expect("readable");
        let ours =
            Stamp { application: Some("TIE*LINE".into()), facility: Some("RXX".into()), ..stamp() };
        let text = acknowledge(&odd, AckCode::AA, None, None, &ours);
        assert_eq!(
            String::from_utf8(text).expect("ASCII"),
            "MSH#*+!@#TIE!S!LINE#RXX#PAS#RXX01#20260701120000##ACK*A01*ACK#OURS1#P#2.5\rMSA#AA#9\r"
        );
    }

    #[test]
    fn errors_are_written_as_the_version_wants() {
        let location = Some("PID-3(2).1".parse().expect("a location"));
        let error = AckError { location, code: 202, message: "processing id not accepted" };
        let old = written(&header("2.4", ""), AckCode::AR, Some("no"), Some(&error));
        assert!(
            old.ends_with(
                "\rMSA|AR|\\T\\7|no\rERR|PID^1^3^202&processing id not accepted&HL70357\r"
            ),
            "{old}"
        );
        let new = written(&header("2.5.1", ""), AckCode::AR, None, Some(&error));
        assert!(
            new.ends_with(
                "\rMSA|AR|\\T\\7\rERR||PID^1^3^2^1|202^Unsupported processing id^HL70357|E||||processing id not accepted\r"
            ),
            "{new}"
        );
        let nowhere = AckError { location: None, ..error };
        let new = written(&header("2.5", ""), AckCode::AE, None, Some(&nowhere));
        assert!(new.contains("\rERR|||202^"), "{new}");
        assert!(!written(&header("2.5", ""), AckCode::AA, None, Some(&error)).contains("ERR"));
    }

    #[test]
    fn an_unreadable_frame_gets_the_best_refusal_there_is() {
        let refused = |frame: &[u8]| {
            let text = refuse_unreadable(frame, "MSH unreadable", &stamp());
            String::from_utf8(text).expect("ASCII")
        };
        let plain = "MSH|^~\\&|||||20260701120000||ACK|OURS1|P|2.3\rMSA|AR|";
        assert_eq!(refused(b"hello"), format!("{plain}|MSH unreadable\r"));
        assert_eq!(refused(b""), format!("{plain}|MSH unreadable\r"));
        assert_eq!(refused(b"MSH|^^|||||||ADT|17|P\r"), format!("{plain}17|MSH unreadable\r"));
        let behind = refused(b"junk MSH|^~\\&|PAS|R||||||18|P|2.4\rPID");
        assert!(
            behind.ends_with("|PAS|R|20260701120000||ACK|OURS1|P|2.4\rMSA|AR|18|MSH unreadable\r"),
            "{behind}"
        );
    }
}
