//! Acknowledgements: which one is due, writing it, reading one.
//!
//! HL7 v2 chapter 2, "message acknowledgment", original and enhanced mode.

use std::fmt;

use crate::charset::Charset;
use crate::delimiters::Delimiters;
use crate::escape::unescape;
use crate::header::{AckCondition, Header};
use crate::location::Location;
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

/// The acknowledgement that a message's header asks for; `None` is silence.
///
/// Without MSH-15 and MSH-16 the original mode holds: always an answer. A valued MSH-15 asks for an
/// accept acknowledgement (CA, CE, CR) under its condition. Where only MSH-16 is valued its sender
/// waits for an application acknowledgement alone, and gets it at once. An acknowledgement is never
/// acknowledged.
pub fn due(header: &Header, outcome: Outcome) -> Option<AckCode> {
    if header.is_acknowledgement() {
        return None;
    }
    let condition = header.accept_ack.or(header.application_ack).unwrap_or(AckCondition::Always);
    let wanted = match condition {
        AckCondition::Always => true,
        AckCondition::Never => false,
        AckCondition::OnError => outcome != Outcome::Accept,
        AckCondition::OnSuccess => outcome == Outcome::Accept,
    };
    let code = match (outcome, header.accept_ack.is_some()) {
        (Outcome::Accept, false) => AckCode::AA,
        (Outcome::Error, false) => AckCode::AE,
        (Outcome::Reject, false) => AckCode::AR,
        (Outcome::Accept, true) => AckCode::CA,
        (Outcome::Error, true) => AckCode::CE,
        (Outcome::Reject, true) => AckCode::CR,
    };
    wanted.then_some(code)
}

/// Writes the acknowledgement of a message, in the message's own delimiters and version.
///
/// MSH-3 to MSH-6 are swapped, MSH-11, MSH-12 and MSH-18 echoed, MSA-2 is MSH-10 to the byte (bytes
/// that would end a frame are left out). The trigger stands in MSH-9 from version 2.3.1 on. An error
/// is written as ERR-1 (ELD) up to 2.4, as ERR-2, 3, 4 and 8 from 2.5 on, and never with a positive
/// code. Every segment ends with CR.
pub fn acknowledge(
    header: &Header,
    code: AckCode,
    text: Option<&str>,
    error: Option<&AckError<'_>>,
    ours: &Stamp,
) -> Vec<u8> {
    let mut out = Writer::new(header.delimiters(), header.charset());
    let (component, trigger) = (header.delimiters().component, component(header.raw(9), header, 2));
    out.segment("MSH");
    out.field(header.raw(2));
    out.own_or(ours.application.as_deref(), header.raw(5));
    out.own_or(ours.facility.as_deref(), header.raw(6));
    out.field(header.raw(3));
    out.field(header.raw(4));
    out.text(&ours.time);
    out.field(b"");
    if header.is_at_least([2, 3, 1]) && !trigger.is_empty() {
        out.field(&[b"ACK", &[component][..], trigger, &[component], b"ACK"].concat());
    } else {
        out.field(b"ACK");
    }
    out.text(&ours.control_id);
    out.field(header.raw(11));
    out.field(header.raw(12));
    if !header.raw(18).is_empty() {
        (13..18).for_each(|_| out.field(b""));
        out.field(header.raw(18));
    }
    out.segment("MSA");
    out.field(code.as_str().as_bytes());
    out.field(&header.control_id);
    if let Some(text) = text {
        out.text(text);
    }
    if let Some(error) = error.filter(|_| !code.is_positive()) {
        let coded = header.is_at_least([2, 5, 0]);
        out.error_segment(error.location, error.code, error.message, coded);
    }
    header.as_received(out.finish())
}

/// The best answer to a frame whose MSH cannot be read: AR, with MSA-2 if a control id can be found.
///
/// The caller first makes sure that the frame is not itself an acknowledgement
/// ([`crate::header::is_acknowledgement`]).
pub fn refuse_unreadable(frame: &[u8], text: &str, ours: &Stamp) -> Vec<u8> {
    let window = &frame[..frame.len().min(Header::MAX_BYTES)];
    let found = memchr::memmem::find_iter(window, b"MSH").map(|at| &window[at..]);
    let mut control_id: &[u8] = b"";
    for msh in found {
        if let Ok(header) = Header::from_frame(msh) {
            return acknowledge(&header, AckCode::AR, Some(text), None, ours);
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
    out.field(b"AR");
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
/// a frame without one, or with a code that table 0008 does not know.
pub fn read_acknowledgement(frame: &[u8]) -> Option<ReadAck> {
    let header = Header::from_frame(frame).ok();
    let charset = header.as_ref().map_or(Charset::WINDOWS_1252, Header::charset);
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
    use super::{AckCode, AckError, Outcome, Stamp, acknowledge, due, refuse_unreadable};
    use crate::header::Header;

    fn header(version: &str, tail: &str) -> Header {
        let frame = format!(
            "MSH|^~\\&|PAS^1.2^ISO|RXX01|TIE|RXX|20260701||ADT^A01^ADT_A01|\\T\\7|T|{version}{tail}\rPID|1\r"
        );
        Header::from_frame(frame.as_bytes()).expect("readable")
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
    fn the_code_is_the_one_the_header_asks_for() {
        use AckCode::{AA, AE, AR, CA, CE, CR};
        use Outcome::{Accept, Error, Reject};
        let cases = [
            ("", [Some(AA), Some(AE), Some(AR)]),
            ("|||AL|NE", [Some(CA), Some(CE), Some(CR)]),
            ("|||AL|AL", [Some(CA), Some(CE), Some(CR)]),
            ("|||NE|NE", [None, None, None]),
            ("|||NE|AL", [None, None, None]),
            ("|||ER|", [None, Some(CE), Some(CR)]),
            ("|||SU|", [Some(CA), None, None]),
            ("||||AL", [Some(AA), Some(AE), Some(AR)]),
            ("||||NE", [None, None, None]),
            ("|||\"\"|\"\"", [Some(AA), Some(AE), Some(AR)]),
        ];
        for (tail, codes) in cases {
            let header = header("2.4", tail);
            assert_eq!(
                [Accept, Error, Reject].map(|outcome| due(&header, outcome)),
                codes,
                "{tail}"
            );
        }
    }

    #[test]
    fn an_acknowledgement_is_never_acknowledged() {
        let answer = acknowledge(&header("2.4", ""), AckCode::AA, None, None, &stamp());
        let header = Header::from_frame(&answer).expect("readable");
        assert_eq!(due(&header, Outcome::Accept), None);
        assert_eq!(due(&header, Outcome::Reject), None);
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
