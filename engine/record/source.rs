//! How one sending system writes things, as plain data: no logic, no reading of files.

use hl7::charset::Charset;
use hl7::dictionary::names::LocalNames;
use hl7::location::Location;
use hl7::message::Reading;
use hl7::tolerance::Deviation;
use jiff::tz::TimeZone;

use crate::dialect::{Dialect, Placeholders};
use crate::nhs_number::{NhsNumber, Status};

/// One sending system, as its channel describes it.
#[derive(Clone, Debug)]
pub struct Source {
    /// The channel's name, such as `pas-adt`; with the organisation it names the event source.
    pub name: String,
    /// ODS code of the sending organisation, such as `RXX`.
    pub organisation: String,
    /// ODS site code when messages do not say one, such as `RXX01`.
    pub site: Option<String>,
    /// ODS codes that MSH-4 and PV1-3.4 may name besides the organisation and its sites.
    pub sites: Vec<String>,
    /// Beginning of every event type, such as `uk.nhs.sharedrecord`.
    pub namespace: String,
    /// Zone of times without offset.
    pub zone: TimeZone,
    /// Character set of messages whose MSH-18 is empty.
    pub charset: Charset,
    /// What becomes of a message whose bytes cannot be in the character set it declares.
    pub wrong_charset: WrongCharset,
    /// What it may send although the standard does not allow it.
    pub tolerate: Vec<Deviation>,
    /// Where NHS Numbers stand, and which of them may key.
    pub nhs_number: NhsNumberRules,
    /// The source's own identifiers, the most reliable first.
    pub local: Vec<LocalAuthority>,
    /// The order of the parts of a location (data type PL).
    pub point_of_care: PointOfCare,
    /// Words in PID-29 that revoke a death, such as `RESURREC`.
    pub death_revoked: Vec<String>,
    /// Its own codes of sex (PID-8) and what each means, 1, 2, 9 or 0 (NHS Data Dictionary).
    pub sex: Vec<(String, String)>,
    /// What else it writes its own way.
    pub dialect: Dialect,
    /// What the source calls segments of its own, for those who read its messages.
    pub segments: LocalNames,
}

impl Source {
    /// A source with the defaults of an English trust: local time of London, windows-1252,
    /// NHS Numbers that are traced, the location order of HL7 UK.
    pub fn new(name: &str, organisation: &str) -> Source {
        Source {
            name: name.to_owned(),
            organisation: organisation.to_owned(),
            site: None,
            sites: Vec::new(),
            namespace: "uk.nhs.sharedrecord".to_owned(),
            // The zone data is compiled in; without it times would be shown in UTC.
            zone: TimeZone::get("Europe/London").unwrap_or(TimeZone::UTC),
            charset: Charset::WINDOWS_1252,
            wrong_charset: WrongCharset::Fallback,
            tolerate: Deviation::HARMLESS.to_vec(),
            nhs_number: NhsNumberRules::default(),
            local: Vec::new(),
            point_of_care: PointOfCare::Uk,
            death_revoked: vec!["RESURREC".to_owned()],
            sex: Vec::new(),
            dialect: Dialect { placeholders: usual_placeholders(), ..Dialect::default() },
            segments: LocalNames::new(),
        }
    }

    /// How its messages are read.
    pub fn reading(&self) -> Reading {
        Reading {
            default_charset: self.charset,
            trust_charset: self.wrong_charset == WrongCharset::Trust,
            ..Reading::default()
        }
    }

    /// Whether it may depart from the standard in this way.
    pub fn tolerates(&self, deviation: Deviation) -> bool {
        self.tolerate.contains(&deviation)
    }

    /// The `source` attribute of this source's events, a URI.
    pub fn uri(&self) -> String {
        ["urn:tieline:source:", &*self.organisation, ":", &*self.name].concat()
    }
}

/// What systems everywhere write where nothing was known.
fn usual_placeholders() -> Placeholders {
    let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    Placeholders {
        names: texts(&["UNKNOWN", "NOT KNOWN", "UNNAMED", "XXXX", "XXXXX", "XXXXXX"]),
        telecom: texts(&["(000)000-0000", "UNKNOWN", "NOT KNOWN", "NONE", "N/A"]),
        codes: texts(&["UNK", "NA", "N/A", "UNKNOWN"]),
        repeated_digits: true,
    }
}

/// What becomes of a message whose bytes contradict the character set that MSH-18, or else the
/// source's default, names. It is counted in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongCharset {
    /// It is read as declared; what means nothing then shows as U+FFFD.
    Trust,
    /// It is read as what its bytes are: UTF-8, else the default, else Windows-1252.
    Fallback,
    /// It is not read at all until a person has looked.
    Park,
}

/// Where a source writes NHS Numbers, and which of them may key an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NhsNumberRules {
    /// Assigning authorities (CX-4.1) that mark an NHS Number, compared without case.
    pub authorities: Vec<String>,
    /// Identifier types (CX-5) that mark an NHS Number, compared without case. `NI` is also used
    /// for National Insurance numbers, whose letters tell them apart.
    pub types: Vec<String>,
    /// Assigning authorities that are never the NHS Number although their type may say so:
    /// Scotland's CHI and Northern Ireland's H&C number use the same type and check digit.
    pub other_authorities: Vec<String>,
    /// Further places that may hold it, such as PID-2 or PID-19.
    pub fallbacks: Vec<Location>,
    /// Statuses with which a number of this source may key.
    pub trust: Vec<Status>,
    /// What a number without status is worth.
    pub if_status_absent: IfStatusAbsent,
    /// The status stands in CX-2 of the identifier, where HL7 has the check digit.
    pub status_in_check_digit: bool,
    /// The source sends test data: numbers of the test range, which begin with 9, may key.
    pub test_data: bool,
}

impl Default for NhsNumberRules {
    fn default() -> Self {
        let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        NhsNumberRules {
            authorities: texts(&[
                "NHS",
                "NHS Number",
                "NHSNMBR",
                "NHSNBR",
                "2.16.840.1.113883.2.1.4.1",
            ]),
            types: texts(&["NH", "NHS", "NHSNMBR", "NI"]),
            other_authorities: texts(&["CHI", "HSNI"]),
            fallbacks: Vec::new(),
            trust: vec![Status::VERIFIED],
            if_status_absent: IfStatusAbsent::DoNotKey,
            status_in_check_digit: false,
            test_data: false,
        }
    }
}

impl NhsNumberRules {
    /// Whether a valid number may key, by its status alone.
    pub fn trusts(&self, number: NhsNumber, status: Option<Status>) -> bool {
        let is_trusted = match status {
            Some(status) => self.trust.contains(&status),
            None => self.if_status_absent == IfStatusAbsent::Key,
        };
        is_trusted && (self.test_data || !number.is_test())
    }
}

/// Whether a valid NHS Number that came without a status may key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfStatusAbsent {
    /// It may: the source holds traced numbers only, and does not say so in each message.
    Key,
    /// It may not.
    DoNotKey,
}

/// A kind of identifier that a source issues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalAuthority {
    /// Assigning authority (CX-4.1), usually an ODS code.
    pub authority: String,
    /// Identifier type (CX-5, table 0203), such as `MR`.
    pub kind: String,
    /// Identifiers without authority are of this one.
    pub default: bool,
}

/// The order in which a source writes the parts of a location (data type PL).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointOfCare {
    /// HL7 UK and ITK: component 2 is the ward, 3 the bed, 4 the ODS site code.
    Uk,
    /// International: component 1 is the ward, 2 the room, 3 the bed, 4 the facility.
    International,
}
