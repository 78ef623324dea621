//! Which organisations a message names: where it happened and the patient's practice.

use std::borrow::Cow;

use hl7::message::Message;
use hl7::segment::Segment;

use crate::source::Source;
use crate::text::{is_ods_code, meant, stated};

/// The ODS site code of where it happened: PV1-3.4, else the source's site, else MSH-4.
pub fn of(message: &Message, source: &Source) -> Option<String> {
    let code =
        |code: Option<Cow<'_, str>>| code.filter(|code| is_ods_code(code)).map(Cow::into_owned);
    code(facility(message)).or_else(|| source.site.clone()).or_else(|| code(sender(message)))
}

/// The ODS code of the registered practice, PD1-3.3 (XON-10 in later versions), or a practice code
/// among the repetitions of PD1-4, where some feeds mix practices with practitioners.
pub fn practice(message: &Message) -> Option<String> {
    let pd1 = message.segment("PD1", 1)?;
    named_practice(&pd1).or_else(|| {
        let field = pd1.field(4)?;
        let mut codes = field.repetitions().filter_map(|doctor| stated(doctor.text(1, 1)));
        codes.find(|code| is_practice_among_doctors(code))
    })
}

fn named_practice(pd1: &Segment<'_>) -> Option<String> {
    let field = pd1.field(3)?;
    let first = field.repetitions().next()?;
    let code = stated(first.text(3, 1)).or_else(|| stated(first.text(10, 1)))?;
    is_practice_code(&code).then_some(code)
}

/// Whether a code has the form of a practice's ODS code: a letter and five digits, or six letters
/// and digits in the newer form.
pub fn is_practice_code(code: &str) -> bool {
    code.len() == 6 && is_ods_code(code) && code.bytes().any(|byte| byte.is_ascii_digit())
}

/// Whether a code among those of doctors (PD1-4) is a practice's: only a letter and five digits is,
/// since systems have codes of six characters for their own clinicians.
pub fn is_practice_among_doctors(code: &str) -> bool {
    let digits = code.strip_prefix(|first: char| first.is_ascii_uppercase());
    digits.is_some_and(|rest| rest.len() == 5 && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `site.unknown` if MSH-4 or PV1-3.4 names an organisation that is not one of the channel's.
///
/// A site code belongs to an organisation when it begins with the organisation's code, as ODS
/// builds them. A place that says nothing is well.
pub fn unknown(message: &Message, source: &Source) -> Option<&'static str> {
    let known = |code: &str| {
        let configured = source.sites.iter().chain(&source.site);
        code.starts_with(source.organisation.as_str())
            || configured.into_iter().any(|site| site.as_str() == code)
    };
    let named = [sender(message), facility(message)];
    named.into_iter().flatten().any(|code| !known(&code)).then_some("site.unknown")
}

fn sender(message: &Message) -> Option<Cow<'_, str>> {
    message.segment("MSH", 1).and_then(|msh| meant(msh.text(4, 1)))
}

fn facility(message: &Message) -> Option<Cow<'_, str>> {
    message.segment("PV1", 1).and_then(|pv1| meant(pv1.text(3, 4)))
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;

    use super::*;

    fn message(facility: &str, body: &str) -> Message {
        let text = format!("MSH|^~\\&|PAS|{facility}|TIE|RXX|20240110||ADT^A01|1|P|2.4\r{body}");
        Message::parse(text.into_bytes(), &Reading::default()).expect("a message")
    }

    #[test]
    fn the_site_is_where_it_happened() {
        let source = Source::new("pas-adt", "RXX");
        let at = |facility: &str, body: &str| of(&message(facility, body), &source);
        assert_eq!(at("RXX", "PV1|1|I|RXX^W1^B2^RXX02").as_deref(), Some("RXX02"));
        assert_eq!(at("RXX01", "PV1|1|I|RXX^W1^B2^Main site").as_deref(), Some("RXX01"));
        assert_eq!(at("", ""), None);
    }

    #[test]
    fn a_foreign_site_is_unknown() {
        let mut source = Source::new("pas-adt", "RXX");
        source.sites = vec!["RZZ99".to_owned()];
        let at = |facility: &str, body: &str| unknown(&message(facility, body), &source);
        assert_eq!(at("RXX01", "PV1|1|I|A^B^C^RZZ99"), None);
        assert_eq!(at("", "PV1|1|N"), None);
        assert_eq!(at("RYY01", ""), Some("site.unknown"));
        assert_eq!(at("RXX01", "PV1|1|I|A^B^C^RYY01"), Some("site.unknown"));
    }

    #[test]
    fn the_practice_is_found_among_practitioners() {
        let code = |pd1: &str| practice(&message("RXX01", pd1));
        assert_eq!(code("PD1|||THE SURGERY^^Y06601|G5612908").as_deref(), Some("Y06601"));
        assert_eq!(code("PD1|||^^UNK|G5612908~Y06601").as_deref(), Some("Y06601"));
        assert_eq!(code("PD1||||G5612908"), None);
        assert_eq!(code("PD1||||CL1107^OKAFOR^JUNE"), None);
    }
}
