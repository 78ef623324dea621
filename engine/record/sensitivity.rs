//! What a message says of protection and dissent.

use hl7::message::Message;
use hl7::segment::Segment;

use crate::text::meant;

/// Whether an event may go where all events go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensitivity {
    /// Ordinary confidential patient data.
    Normal,
    /// The patient's whereabouts are protected or the patient dissents from sharing.
    Restricted,
}

impl Sensitivity {
    /// The word in the `sensitivity` attribute and at the end of the routing key.
    pub fn as_str(self) -> &'static str {
        match self {
            Sensitivity::Normal => "normal",
            Sensitivity::Restricted => "restricted",
        }
    }
}

/// Codes are sent in either case and sometimes with a leading zero.
fn without_zero(code: &str) -> &str {
    code.strip_prefix('0').filter(|rest| !rest.is_empty()).unwrap_or(code)
}

/// What a message says outright of its patient's protection and dissent. Absent is not normal, and
/// neither is null: both say nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stated {
    /// Whereabouts are protected: PV1-16 S, Y or R, ZU8-4 1, 2 or Y; they are not: PV1-16 N, ZU8-4 0
    /// or N.
    pub protected: Option<bool>,
    /// The same of ZU8-4 alone, the flag of PDS. PV1-16 N takes no such flag back: it says no more than
    /// "not stop-noted" (table 0099).
    pub by_flag: Option<bool>,
    /// The patient dissents from sharing: ZU8-2 2; does not: 1 or 3.
    pub dissent: Option<bool>,
    /// Something stands in a place of protection that is none of its codes. The message itself is
    /// treated as if it protected, for who meant to say so must not be overheard because of the
    /// spelling; the patient is not, since nothing could ever lower again what nobody said.
    pub maybe_protected: bool,
    /// The same of dissent.
    pub maybe_dissent: bool,
}

impl Stated {
    /// Reads all segments of those names. Where a message says both, it protects.
    pub fn of(message: &Message) -> Stated {
        Self::read(message.segments())
    }

    /// What a message of several patients says of one of them: what stands between that PID, counted
    /// from 1, and the next one. What stands before any is the first one's.
    pub fn of_person(message: &Message, occurrence: usize) -> Stated {
        let mut seen = 0;
        let is_of_person = |segment: &Segment<'_>| {
            seen += usize::from(segment.name() == "PID");
            seen.max(1) == occurrence
        };
        Self::read(message.segments().filter(is_of_person))
    }

    /// Whether something stands there that nobody can read.
    pub fn is_unclear(&self) -> bool {
        self.maybe_protected || self.maybe_dissent
    }

    /// Whether it says outright that the patient is protected or dissents.
    pub fn raises(&self) -> bool {
        self.protected == Some(true) || self.dissent == Some(true)
    }

    fn read<'m>(segments: impl Iterator<Item = Segment<'m>>) -> Stated {
        let (mut found, mut by_visit) = (Stated::default(), None);
        for segment in segments {
            match segment.name() {
                "PV1" => {
                    let said = read(&segment, 16, &["S", "Y", "R"], &["N"], &["I"]);
                    said.raise(&mut by_visit, &mut found.maybe_protected);
                }
                "ZU8" => {
                    let said = read(&segment, 4, &["1", "2", "Y"], &["0", "N"], &[]);
                    said.raise(&mut found.by_flag, &mut found.maybe_protected);
                    let said = read(&segment, 2, &["2"], &["1", "3"], &[]);
                    said.raise(&mut found.dissent, &mut found.maybe_dissent);
                }
                _ => {}
            }
        }
        let both = [found.by_flag, by_visit];
        found.protected = both.contains(&Some(true)).then_some(true).or(found.by_flag).or(by_visit);
        found
    }
}

/// What a field says: that it is so, that it is not so, something that nobody knows.
#[derive(Default)]
struct Codes {
    yes: bool,
    no: bool,
    unknown: bool,
}

impl Codes {
    fn raise(&self, into: &mut Option<bool>, maybe: &mut bool) {
        *maybe |= self.unknown;
        if self.yes {
            *into = Some(true);
        } else if self.no {
            *into = into.or(Some(false));
        }
    }
}

fn read(segment: &Segment<'_>, field: usize, yes: &[&str], no: &[&str], nothing: &[&str]) -> Codes {
    let mut said = Codes::default();
    let codes = segment.field(field).into_iter().flat_map(|field| field.repetitions());
    for code in codes.filter_map(|code| meant(code.text(1, 1))) {
        let code = without_zero(&code);
        let is_of = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(code));
        if is_of(yes) {
            said.yes = true;
        } else if is_of(no) {
            said.no = true;
        } else {
            said.unknown |= !is_of(nothing);
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;

    use super::*;

    fn stated_by(body: &str) -> Stated {
        let text = format!("MSH|^~\\&|PAS|RXX01|TIE|RXX|20240110||ADT^A31|1|P|2.4\r{body}");
        Stated::of(&Message::parse(text.into_bytes(), &Reading::default()).expect("a message"))
    }

    fn vip(code: &str) -> Option<bool> {
        stated_by(&format!("PV1|1|I{}{code}", "|".repeat(14))).protected
    }

    #[test]
    fn protection_is_raised_lowered_or_not_spoken_of() {
        for code in ["S", "Y", "s", "R"] {
            assert_eq!(vip(code), Some(true), "{code}");
        }
        assert_eq!(vip("N"), Some(false));
        for code in ["", "\"\"", "I"] {
            assert_eq!(vip(code), None, "absent is not normal, nor is invalid: {code}");
        }
        let hidden = |code: &str| stated_by(&format!("ZU8||||{code}")).protected;
        assert_eq!((hidden("1"), hidden("02"), hidden("0")), (Some(true), Some(true), Some(false)));
        let both = format!("PV1|1|I{}N\rZU8||||1", "|".repeat(14));
        assert_eq!(stated_by(&both).protected, Some(true), "where both are said, it protects");
        assert!(!stated_by(&format!("PV1|1|I{}I", "|".repeat(14))).is_unclear());
    }

    #[test]
    fn what_cannot_be_read_may_protect() {
        for body in [&format!("PV1|1|I{}VIP", "|".repeat(14)), "ZU8||||hidden"] {
            let stated = stated_by(body);
            assert_eq!((stated.protected, stated.maybe_protected), (None, true), "{body}");
        }
        let stated = stated_by("ZU8||Dissent||N");
        assert_eq!((stated.dissent, stated.protected), (None, Some(false)));
        assert_eq!((stated.maybe_dissent, stated.maybe_protected), (true, false));
        assert!(!stated_by("ZU8||3||Y").is_unclear());
    }

    #[test]
    fn dissent_is_express() {
        let dissent = |code: &str| stated_by(&format!("ZU8||{code}")).dissent;
        assert_eq!((dissent("2"), dissent("02")), (Some(true), Some(true)));
        assert_eq!((dissent("1"), dissent("3"), dissent("")), (Some(false), Some(false), None));
    }
}
