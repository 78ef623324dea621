//! One feed as plain data: where it arrives, what is accepted, how to read it, what becomes of it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Weekday;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::acknowledge::Acknowledge;
use crate::config::dialect::{
    EventRemap, Part, Placeholders, Position, Sex, Telecom, Trigger, Visit,
};
use crate::config::listed::{
    CharsetName, DeviationName, HeaderLocation, MessageLocation, StatusCode, Zone,
};
use crate::config::listener::Listener;
use crate::config::measure::{Hours, Period};
use crate::config::name::{MessageKind, Ods, Sender};
use crate::config::segments::Segments;
use crate::config::setting::Settings;

/// One feed of messages from one kind of system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// What it is, for people.
    #[serde(default)]
    pub description: String,
    /// Where messages arrive. Channels with the same address share one listener.
    pub listener: Listener,
    /// Which messages are taken.
    #[serde(default)]
    pub accept: Accept,
    /// What its senders are answered, and when.
    #[serde(default)]
    pub acknowledge: Acknowledge,
    /// How to read what this system sends.
    pub source: Source,
    /// How to know whom a message is about.
    #[serde(default)]
    pub identity: Identity,
    /// What turns a message into events.
    pub transform: Transform,
    /// What is kept in order.
    #[serde(default)]
    pub order: Order,
    /// What a message that failed holds back.
    #[serde(default)]
    pub on_error: OnError,
    /// How a message sent twice is known.
    #[serde(default)]
    pub duplicates: Duplicates,
    /// When silence is a fault; never unless given.
    pub expect: Option<Expect>,
    /// What its messages are held against after they were acknowledged; nothing unless given.
    pub profile: Option<Profile>,
}

/// Which messages are taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Accept {
    /// Who may send, as MSH-3/MSH-4; anybody unless given. Others are refused with AR.
    pub senders: Vec<Sender>,
    /// The message types the channel is for; all unless given.
    pub types: Vec<MessageKind>,
    /// The processing ids (MSH-11) that are taken; others are refused with AR. Anything but `P`
    /// needs `source.test_data`.
    pub processing: Vec<Processing>,
    /// What becomes of a type not in `types`: kept, acknowledged and parked, or refused.
    pub unknown_type: UnknownType,
    /// What becomes of identical bytes that are refused again and again; refused for ever unless
    /// given.
    pub repeated_reject: Option<RepeatedReject>,
}

/// What becomes of identical bytes that are refused again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepeatedReject {
    /// After so many refusals they are kept, acknowledged with AA and parked as `refused.` and what
    /// is wrong with them, so that a sender that waits for AA goes on. What the channel does not
    /// accept is not delivered when it is released either.
    pub park_after: NonZeroU32,
}

/// A processing id, HL7 table 0103.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Processing {
    /// Production.
    P,
    /// Training.
    T,
    /// Debugging.
    D,
}

/// What becomes of a message of a type the channel is not for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownType {
    /// It is kept, acknowledged with AA and parked as `trigger.unknown`.
    #[default]
    Accept,
    /// It is refused with AR; a sender that waits may send it again for ever.
    Reject,
}

/// How to read what a system sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A set of defaults for the whole channel, each of which may be overridden here: `itk-2.4`,
    /// `welsh-pims`, `cerner-millennium`, `carecast`, `hl7-2.3.1-community` or `generic`.
    #[serde(default = "Source::preset")]
    pub preset: String,
    /// The organisation the events speak for.
    pub organisation: Ods,
    /// Its sites, where their codes do not begin with the organisation's own.
    #[serde(default)]
    pub sites: Vec<Ods>,
    /// The site of messages that name none in PV1-3.4.
    pub site: Option<Ods>,
    /// The clock of times that carry no offset.
    #[serde(default = "Source::zone")]
    pub zone: Zone,
    /// Whether the offset that its times carry means nothing, as `+0000` all the year: they are of
    /// `zone` all the same.
    #[serde(default)]
    pub ignore_offset: bool,
    /// The character set of messages that name none in MSH-18.
    #[serde(default = "Source::charset")]
    pub charset: CharsetName,
    /// What becomes of a message whose bytes cannot be in the character set it declares, or else in
    /// `charset`. It is counted as `charset.wrong` in any case.
    #[serde(default)]
    pub wrong_charset: WrongCharset,
    /// What the system may send although the standard does not allow it: `line-feed`,
    /// `no-final-return`, `mark`, `junk`, `nul`, `short-delimiters`, `odd-line`, `continuation`,
    /// `several-messages`, `batch`. A message that departs otherwise parks as `structure.` and the
    /// name; a batch is refused. The bytes that are stored are never altered.
    #[serde(default = "Source::tolerate")]
    pub tolerate: Vec<DeviationName>,
    /// Whether numbers of the test range, which begin with 9, key events and MSH-11 may be other
    /// than `P`.
    #[serde(default)]
    pub test_data: bool,
    /// Where a ward stands in a person location (PL).
    #[serde(default)]
    pub point_of_care: PointOfCare,
    /// What the system calls its sites in MSH-4 and in locations, where these are no ODS codes, and
    /// the code of each: `{ MAIN BUILDING: RXX01 }`. Case does not matter.
    #[serde(default)]
    pub facilities: BTreeMap<String, Ods>,
    /// Words in PID-29 that revoke a death.
    #[serde(default = "Source::death_revoked")]
    pub death_revoked: Vec<String>,
    /// Its own codes of sex in PID-8, beside 1, 2, 9, 0 and M, F, O, A, U, N, and what each means:
    /// `{ K: female }`. The code as it was sent is kept.
    #[serde(default)]
    pub sex: BTreeMap<String, Sex>,
    /// Trigger events that mean another one, by the one that is sent:
    /// `{ A04: { class: [N, U], as: A28 } }`. `accept.types` is asked before.
    #[serde(default)]
    pub events: BTreeMap<Trigger, EventRemap>,
    /// Where a visit is named, where that is not PV1-19 and, in a merge, MRG-5.
    #[serde(default)]
    pub visit: Visit,
    /// What the repetitions of PID-13 are by their position, where they do not say it themselves:
    /// `[home, mobile, email]`.
    #[serde(default)]
    pub telecom: Vec<Telecom>,
    /// What it writes where nothing was known.
    #[serde(default)]
    pub placeholders: Placeholders,
    /// What it calls segments of its own, and fields that it added to others, by segment name:
    /// `ZPI: { name: Ward band, fields: { 1: Band } }`. Only for reading messages.
    #[serde(default)]
    pub segments: Segments,
}

/// What becomes of a message whose bytes cannot be in the character set it declares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WrongCharset {
    /// It is read as declared; what means nothing there shows as U+FFFD.
    Trust,
    /// It is read as what its bytes are: UTF-8, else `charset`, else Windows-1252.
    #[default]
    Fallback,
    /// It parks as `charset.wrong`; or as `charset.unknown`, if MSH-18 names a set that is not known and
    /// not all bytes are ASCII.
    Park,
}

/// Where a ward stands in a person location (PL), and where its site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PointOfCare {
    /// As HL7 UK and the ITK have it: the ward in PL-2, the site in PL-4.
    #[default]
    Uk,
    /// As HL7 International has it: the ward in PL-1.
    International,
    /// What PL-1, PL-2 and so on hold: `{ components: [ward, room, bed, other, other, other, site] }`.
    Components(Vec<Part>),
}

/// How to know whom a message is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// The system's own identifiers, the most trustworthy first.
    pub local: Vec<LocalIdentifier>,
    /// What the repetitions of PID-3 and MRG-1 are by their position, where they name neither
    /// authority nor type: `[local, nhs-number]`.
    pub positions: Vec<Position>,
    /// The NHS Number: where it stands and when it may key an event.
    pub nhs_number: NhsNumber,
    /// Whether the identity index learns from this channel: which identifiers are one patient's,
    /// what the patient is called, merges and changes of number. Only master systems should.
    pub teaches: bool,
    /// What becomes of a merge, and of a move between patients. Unless said, they are carried out
    /// where the channel teaches and wait for an operator where it does not.
    pub merges: Option<Merges>,
    /// Whether an explicit value from this channel ends a patient's protection or dissent. Any
    /// channel may raise them; silence never lowers them.
    pub may_lower_sensitivity: bool,
}

/// An identifier a system gives its patients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalIdentifier {
    /// Its assigning authority, CX.4.1.
    pub authority: String,
    /// Its identifier type code, CX.5: `MR`, `PI`.
    pub r#type: String,
    /// Whether an identifier of this type that names no authority is one of these. One that names
    /// no type either is, where no identifier beside it says more.
    #[serde(default)]
    pub default: bool,
}

/// The NHS Number: where it stands and when it may key an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NhsNumber {
    /// The statuses with which a number keys; "01" is present and verified.
    pub trust: Vec<StatusCode>,
    /// Whether a number that comes with no status keys.
    pub if_status_absent: IfStatusAbsent,
    /// Assigning authorities (CX.4.1) that mark an NHS Number.
    pub authorities: Vec<String>,
    /// Identifier type codes (CX.5) that mark an NHS Number.
    pub types: Vec<String>,
    /// Assigning authorities that are never the NHS Number although their type may say so:
    /// Scotland's CHI and Northern Ireland's H&C number.
    pub other_authorities: Vec<String>,
    /// Whether the status of a number stands in CX.2, where HL7 has the check digit.
    pub status_in_check_digit: bool,
    /// Where else to look: `PID-2`, `PID-19`. What names an authority or type there counts only if
    /// these mark an NHS Number.
    pub fallbacks: Vec<MessageLocation>,
}

/// Whether an NHS Number that comes with no status keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IfStatusAbsent {
    /// The event is keyed by it.
    Key,
    /// The event goes without `subject`, with the local identifier.
    #[default]
    DoNotKey,
}

/// What becomes of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Merges {
    /// It is carried out.
    Automatic,
    /// It waits for an operator.
    Approve,
}

/// What turns a message into events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    /// The script, a `.rhai` file; `lib/` and `tables/` stand in the folder `transforms` above it.
    pub script: PathBuf,
    /// Values the script reads with `setting("name")`: texts, whole numbers, true or false.
    #[serde(default)]
    pub settings: Settings,
}

/// What is kept in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Messages about one patient; different patients run side by side.
    #[default]
    Patient,
    /// All messages of the channel, one after another.
    Channel,
    /// Nothing, for feeds whose messages stand alone. What changes whom a number belongs to, such
    /// as a merge, still waits for its patients.
    None,
}

/// What a message that failed holds back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// Later messages of its patient, as the class of the reason says.
    #[default]
    HoldPatient,
    /// Nothing. Events of a message that is released later say that they are out of order.
    ParkOnly,
    /// Every later message of the channel, until an operator decides.
    StopChannel,
}

/// How a message sent twice is known: same sender, same control id, same bytes. It is acknowledged
/// and not processed again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Duplicates {
    /// How far back the engine looks, 7 days at most; `0s` processes every copy.
    pub window: Period,
    /// Fields of MSH that may differ between a message and its copy, for systems that write a new
    /// time or sequence number when they send again. They are passed over only when the copy
    /// follows its original directly.
    pub ignore: Vec<HeaderLocation>,
}

/// When silence is a fault: it raises the alarm `silence`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The longest silence.
    pub every: Period,
    /// The hours in which it counts, on the channel's clock; the whole day unless given. Their
    /// beginning starts the count afresh.
    pub between: Option<Hours>,
    /// The days on which it counts; every day unless given. Hours that pass midnight belong to the
    /// day they begin on.
    #[serde(default)]
    pub days: Vec<Day>,
}

/// What a channel's messages are held against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The file, as `tieline profile infer` writes it.
    pub file: PathBuf,
    /// What becomes of a message that breaks a rule.
    #[serde(default)]
    pub on_breach: OnBreach,
}

/// What becomes of a message that breaks a rule of its channel's profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnBreach {
    /// It is delivered, and the breach counted: see `tieline profile report`.
    #[default]
    Report,
    /// It is parked, with a reason such as `profile.missing`. Releasing it delivers it.
    Park,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Default for Accept {
    fn default() -> Self {
        Accept {
            senders: Vec::new(),
            types: Vec::new(),
            processing: vec![Processing::P],
            unknown_type: UnknownType::default(),
            repeated_reject: None,
        }
    }
}

impl Accept {
    /// Whether a message with this MSH-3.1 and MSH-4.1 comes from an allowed sender.
    pub fn sender_allowed(&self, application: &str, facility: &str) -> bool {
        self.senders.is_empty() || self.senders.iter().any(|s| s.matches(application, facility))
    }

    /// Whether the channel is for messages of this MSH-9.1 and MSH-9.2.
    pub fn type_expected(&self, code: &str, trigger: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|t| t.matches(code, trigger))
    }

    /// Whether MSH-11.1 is one the channel takes.
    pub fn processing_allowed(&self, id: &str) -> bool {
        self.processing.iter().any(|ours| ours.code() == id)
    }
}

impl Processing {
    /// As it stands in MSH-11.1.
    pub fn code(self) -> &'static str {
        match self {
            Processing::P => "P",
            Processing::T => "T",
            Processing::D => "D",
        }
    }
}

impl Source {
    fn preset() -> String {
        "generic".to_owned()
    }

    fn zone() -> Zone {
        Zone(defaults().zone)
    }

    fn charset() -> CharsetName {
        CharsetName(defaults().charset)
    }

    fn tolerate() -> Vec<DeviationName> {
        defaults().tolerate.into_iter().map(DeviationName).collect()
    }

    fn death_revoked() -> Vec<String> {
        defaults().death_revoked
    }
}

/// What the record takes for granted of a source. Said there once, so that it cannot differ here.
fn defaults() -> record::source::Source {
    record::source::Source::new("", "")
}

impl Default for Duplicates {
    fn default() -> Self {
        Duplicates { window: Period(Duration::from_hours(24)), ignore: Vec::new() }
    }
}

impl Duplicates {
    /// The longest window: what is remembered of each message must fit in memory.
    pub const LONGEST: Duration = Duration::from_hours(7 * 24);
}

impl Day {
    /// The same day in the words of the calendar.
    pub fn weekday(self) -> Weekday {
        use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
        let week = [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday];
        week[self as usize]
    }
}

impl Default for NhsNumber {
    fn default() -> Self {
        let rules = record::source::NhsNumberRules::default();
        NhsNumber {
            trust: rules.trust.into_iter().map(StatusCode).collect(),
            if_status_absent: IfStatusAbsent::default(),
            authorities: rules.authorities,
            types: rules.types,
            other_authorities: rules.other_authorities,
            status_in_check_digit: rules.status_in_check_digit,
            fallbacks: rules.fallbacks.into_iter().map(MessageLocation).collect(),
        }
    }
}
