//! What must not be published as if it were ordinary: sensitive patients, dissent, merges.

use hl7::message::Message;
use hl7::segment::Segment;

use crate::text::stated;
use crate::trigger::Kind;

/// Whether an event may go where all events go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensitivity {
    /// Ordinary confidential patient data.
    Normal,
    /// The patient's whereabouts are protected or the patient dissents from sharing.
    Restricted,
}

impl Sensitivity {
    /// Reads PV1-16 (table 0099 in its UK meaning: S sensitive, Y stop-noted), ZU8-4 (location
    /// hiding: 1 local, 2 national) and ZU8-2 (consent to share: 2 express dissent). All segments
    /// of those names count, wherever they stand.
    pub fn of(message: &Message) -> Sensitivity {
        let marks: [(&str, usize, &[&str]); 3] =
            [("PV1", 16, &["S", "Y"]), ("ZU8", 4, &["1", "2"]), ("ZU8", 2, &["2"])];
        let restricted = message.segments().any(|segment| {
            marks.iter().any(|&(name, number, codes)| {
                segment.name() == name
                    && segment.field(number).is_some_and(|field| {
                        field.repetitions().any(|repetition| {
                            stated(repetition.text(1, 1))
                                .is_some_and(|code| codes.contains(&normal(&code).as_str()))
                        })
                    })
            })
        });
        if restricted { Sensitivity::Restricted } else { Sensitivity::Normal }
    }

    /// The word in the `sensitivity` attribute and at the end of the routing key.
    pub fn as_str(self) -> &'static str {
        match self {
            Sensitivity::Normal => "normal",
            Sensitivity::Restricted => "restricted",
        }
    }
}

/// Codes are sent in either case and sometimes with a leading zero.
fn normal(code: &str) -> String {
    let code = code.to_ascii_uppercase();
    code.strip_prefix('0').filter(|rest| !rest.is_empty()).unwrap_or(&code).to_owned()
}

/// The reason code of a message that Tieline cannot publish safely yet: `sensitive.unsupported`,
/// or `merge.unsupported` for A18, A34 to A36 and A40 to A47. Sensitivity is asked first.
pub fn unsupported(message: &Message) -> Option<&'static str> {
    if Sensitivity::of(message) == Sensitivity::Restricted {
        return Some("sensitive.unsupported");
    }
    is_merge(message).then_some("merge.unsupported")
}

/// Whether the message says that two records are of one patient, or no longer are.
pub fn is_merge(message: &Message) -> bool {
    let kind = Kind::of(message);
    kind.is_some_and(|kind| !matches!(kind, Kind::Renumber | Kind::Link | Kind::Unlink))
}

/// What a message says outright of its patient's protection and dissent. Absent is not normal, and
/// neither is null: both say nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stated {
    /// Whereabouts are protected: PV1-16 S, Y or R, ZU8-4 1 or 2; they are not: PV1-16 N or I,
    /// ZU8-4 0.
    pub protected: Option<bool>,
    /// The patient dissents from sharing: ZU8-2 2; does not: 1 or 3.
    pub dissent: Option<bool>,
}

impl Stated {
    /// Reads all segments of those names. Where a message says both, it protects.
    pub fn of(message: &Message) -> Stated {
        let mut found = Stated::default();
        for segment in message.segments() {
            match segment.name() {
                "PV1" => raise(&mut found.protected, &segment, 16, &["S", "Y", "R"], &["N", "I"]),
                "ZU8" => {
                    raise(&mut found.protected, &segment, 4, &["1", "2"], &["0"]);
                    raise(&mut found.dissent, &segment, 2, &["2"], &["1", "3"]);
                }
                _ => {}
            }
        }
        found
    }
}

fn raise(into: &mut Option<bool>, segment: &Segment<'_>, field: usize, yes: &[&str], no: &[&str]) {
    let codes = segment.field(field).into_iter().flat_map(|field| field.repetitions());
    for code in codes.filter_map(|code| stated(code.text(1, 1))) {
        let code = normal(&code);
        if yes.contains(&code.as_str()) {
            *into = Some(true);
        } else if no.contains(&code.as_str()) {
            *into = into.or(Some(false));
        }
    }
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;

    use super::*;

    fn reason(kind: &str, body: &str) -> Option<&'static str> {
        let text = format!("MSH|^~\\&|PAS|RXX01|TIE|RXX|20240110||{kind}|1|P|2.4\r{body}");
        let message = Message::parse(text.into_bytes(), &Reading::default()).expect("a message");
        unsupported(&message)
    }

    #[test]
    fn protected_patients_and_dissent_are_not_published_as_ordinary() {
        let vip = |code: &str| format!("PV1|1|I{}{code}", "|".repeat(14));
        for code in ["S", "Y", "s"] {
            assert_eq!(reason("ADT^A01", &vip(code)), Some("sensitive.unsupported"), "{code}");
        }
        for code in ["", "N", "I", "\"\""] {
            assert_eq!(reason("ADT^A01", &vip(code)), None, "{code}");
        }
        for body in ["ZU8|Z|1|No|1", "ZU8|Z|1|No|2", "ZU8|Z|2|No|0", "ZU8|||No|02"] {
            assert_eq!(reason("ADT^A31", body), Some("sensitive.unsupported"), "{body}");
        }
        assert_eq!(reason("ADT^A31", "ZU8|Z|1|No|0"), None);
    }

    #[test]
    fn merges_are_told_by_their_trigger() {
        for trigger in ["A18", "A34", "A36", "A40", "A47"] {
            assert_eq!(reason(&format!("ADT^{trigger}"), ""), Some("merge.unsupported"));
        }
        for trigger in ["A01", "A37", "A48", ""] {
            assert_eq!(reason(&format!("ADT^{trigger}"), ""), None, "{trigger}");
        }
        assert_eq!(reason("ADT", "EVN|A40"), Some("merge.unsupported"));
    }
}
