//! Code systems of FHIR and the NHS as data: what a sender writes, what FHIR calls it, and when.
//!
//! A table is a file of rows `sent,code,from,until`: the code as it is sent, the code of the target
//! system if it is another, the first and the last day (`yyyymmdd`) on which senders may use it. The
//! line `system,` names the target. Lines that begin with `#` are for people.

use std::sync::LazyLock;

use hl7::message::Message;

use crate::fhir::coded::system;
use crate::fhir::names::LOCAL_CODES;
use crate::json::{Object, Text, Value, only};
use crate::text::meant;

/// One table.
pub(crate) struct Table {
    name: &'static str,
    content: LazyLock<Content>,
}

struct Content {
    system: &'static str,
    rows: Vec<Row>,
}

struct Row {
    sent: &'static str,
    code: &'static str,
    from: &'static str,
    until: &'static str,
}

macro_rules! tables {
    ($($constant:ident $name:literal),* $(,)?) => {
        $(pub(crate) static $constant: Table = Table {
            name: $name,
            content: LazyLock::new(|| read(include_str!(concat!("tables/", $name, ".csv")))),
        };)*

        #[cfg(test)]
        static ALL: &[&Table] = &[$(&$constant),*];
    };
}

tables! {
    ADMISSION_METHOD "admission-method",
    ADMISSION_SOURCE "admission-source",
    ALLERGY_ABSENCE "allergy-absence",
    ALLERGY_CATEGORY "allergy-category",
    ALLERGY_SEVERITY "allergy-severity",
    APPOINTMENT_STATUS "appointment-status",
    ATTENDANCE_DISPOSAL "attendance-disposal",
    CONFIDENTIALITY "confidentiality",
    DISCHARGE_DESTINATION "discharge-destination",
    DISCHARGE_METHOD "discharge-method",
    DOCUMENT_AVAILABILITY "document-availability",
    DOCUMENT_COMPLETION "document-completion",
    ETHNIC_CATEGORY "ethnic-category",
    LEGAL_STATUS "legal-status",
    MAIN_SPECIALTY "main-specialty",
    MARITAL_STATUS "marital-status",
    ORDER_CONTROL "order-control",
    ORDER_STATUS "order-status",
    OUTCOME_OF_ATTENDANCE "outcome-of-attendance",
    PATIENT_CLASS "patient-class",
    PROFESSIONAL_REGISTER "professional-register",
    RELATIONSHIP "relationship",
    REQUEST_PRIORITY "request-priority",
}

fn read(text: &'static str) -> Content {
    let mut content = Content { system: "", rows: Vec::new() };
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut cells = line.split(',');
        let mut cell = || cells.next().unwrap_or_default();
        match (cell(), cell()) {
            ("" | "sent", _) => {}
            ("system", uri) => content.system = uri,
            (sent, code) => {
                let code = if code.is_empty() { sent } else { code };
                content.rows.push(Row { sent, code, from: cell(), until: cell() });
            }
        }
    }
    content
}

/// What a table says of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The code of the target system.
    pub(crate) code: &'static str,
    /// The day of the message lies outside the days on which senders may use it.
    pub(crate) outdated: bool,
}

impl Table {
    /// The URI of the system that codes are translated into.
    pub(crate) fn system(&self) -> &'static str {
        self.content.system
    }

    /// The row of a code, `day` being `yyyymmdd`, or empty if nobody knows. Where a code has had
    /// several meanings, the one of the day.
    pub(crate) fn find(&self, sent: &str, day: &str) -> Option<Found> {
        let rows = self.content.rows.iter().filter(|row| row.sent == sent);
        let mut outdated = None;
        for row in rows {
            let early = !day.is_empty() && day < row.from;
            let late = !day.is_empty() && !row.until.is_empty() && day > row.until;
            let found = Found { code: row.code, outdated: early || late };
            if !found.outdated {
                return Some(found);
            }
            outdated = outdated.or(Some(found));
        }
        outdated
    }

    /// The target code of a code in whatever case it was sent.
    pub(crate) fn code(&self, sent: &str) -> Option<&'static str> {
        self.find(&sent.to_ascii_uppercase(), "").map(|found| found.code)
    }

    /// A `CodeableConcept` of a code and the text sent beside it, with a finding to be counted.
    ///
    /// A code that the table does not have (`code.unknown`) stays with the system the sender names
    /// for it, else with one of the table's own name: in the national system it would be a code that
    /// says something else. One sent outside its days is `code.outdated`. A number that the table
    /// knows without its leading zero is that one, and what was sent stands beside it.
    pub(crate) fn concept(
        &self,
        sent: &str,
        text: Option<&str>,
        named: Option<&str>,
        day: &str,
    ) -> (Value, Option<&'static str>) {
        let found = self.find(sent, day).or_else(|| self.find(without_zero(sent)?, day));
        let (uri, code) = match found {
            Some(found) => (Text::Borrowed(self.system()), Text::Borrowed(found.code)),
            None => (named.map_or_else(|| self.local(), system).into(), sent.to_owned().into()),
        };
        let mut coding = Object::with_capacity(3);
        coding.insert("system", uri);
        coding.insert("code", code);
        coding.put("display", text.map(str::to_owned));
        let mut concept = Object::with_capacity(2);
        concept.insert("coding", only(Value::Object(coding)));
        let finding = match found {
            None => Some("code.unknown"),
            Some(found) => found.outdated.then_some("code.outdated"),
        };
        if found.is_none_or(|found| found.code != sent) {
            concept.put("text", Some(text.unwrap_or(sent).to_owned()));
        }
        (Value::Object(concept), finding)
    }

    /// The system of codes that only the sender knows.
    pub(crate) fn local(&self) -> String {
        format!("{LOCAL_CODES}{}", self.name)
    }
}

/// `04` as `4`; nothing of what is no number, or has no leading zero.
fn without_zero(sent: &str) -> Option<&str> {
    let number = sent.bytes().all(|byte| byte.is_ascii_digit());
    sent.strip_prefix('0').filter(|rest| number && !rest.is_empty())
}

/// The day of a message by which codes are read, `yyyymmdd`: EVN-2, else MSH-7; else empty.
pub(crate) fn day(message: &Message) -> String {
    let stated_day = |segment: &str, field: usize| {
        let text = meant(message.segment(segment, 1)?.text(field, 1))?;
        let digits: String = text.chars().filter(|c| *c != '-').take(8).collect();
        let whole = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
        whole.then_some(digits)
    };
    stated_day("EVN", 2).or_else(|| stated_day("MSH", 7)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::json::json;

    use super::*;

    #[test]
    fn every_table_is_whole() {
        for table in ALL {
            assert!(table.system().contains(':'), "{}: no system", table.name);
            assert!(!table.content.rows.is_empty(), "{}", table.name);
            let mut seen = BTreeSet::new();
            for row in &table.content.rows {
                assert!(seen.insert((row.sent, row.from)), "{}: {} twice", table.name, row.sent);
                for day in [row.from, row.until] {
                    let digits = day.bytes().all(|byte| byte.is_ascii_digit());
                    assert!(digits && matches!(day.len(), 0 | 8), "{}: {day}", table.name);
                }
            }
        }
    }

    #[test]
    fn an_emergency_admission_by_other_means_has_another_code_since_2013() {
        let found = |code: &str, day: &str| {
            ADMISSION_METHOD.find(code, day).map(|found| (found.code, found.outdated))
        };
        assert_eq!(found("28", "20130331"), Some(("28", false)));
        assert_eq!(found("28", "20240110"), Some(("28", true)));
        assert_eq!(found("2A", "20240110"), Some(("2A", false)));
        assert_eq!(found("2A", "20120110"), Some(("2A", true)));
        assert_eq!(found("28", ""), Some(("28", false)));
        assert_eq!(found("77", "20240110"), None);
    }

    #[test]
    fn a_leading_zero_makes_no_other_code() {
        let (padded, finding) = DISCHARGE_METHOD.concept("04", None, None, "");
        let coding = json!([{ "system": DISCHARGE_METHOD.system(), "code": "4" }]);
        assert_eq!(padded, json!({ "coding": coding, "text": "04" }));
        assert_eq!(finding, None);
        for other in ["0", "00", "004", "02", "04A"] {
            let (unknown, finding) = DISCHARGE_METHOD.concept(other, None, None, "");
            assert_eq!(unknown["coding"][0]["code"], other);
            assert_eq!(finding, Some("code.unknown"), "{other}");
        }
    }

    #[test]
    fn a_code_outside_the_table_keeps_what_was_sent() {
        let (known, finding) = ETHNIC_CATEGORY.concept("A", Some("White"), None, "");
        assert_eq!(
            known,
            json!({ "coding": [{ "system": ETHNIC_CATEGORY.system(), "code": "A", "display": "White" }] })
        );
        assert_eq!(finding, None);
        let (unknown, finding) = ETHNIC_CATEGORY.concept("Q", None, None, "");
        assert_eq!(
            unknown,
            json!({ "coding": [{ "system": "urn:tieline:codes:ethnic-category", "code": "Q" }],
                    "text": "Q" })
        );
        assert_eq!(finding, Some("code.unknown"));
        let (translated, _) = MARITAL_STATUS.concept("A", None, None, "");
        assert_eq!(translated["coding"][0]["code"], "P");
        assert_eq!(translated["text"], "A");
        let (named, _) = ETHNIC_CATEGORY.concept("Q9", None, Some("LOCAL"), "");
        assert_eq!(named["coding"][0]["system"], "urn:tieline:codes:LOCAL");
    }
}
