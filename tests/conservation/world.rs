//! The oracle's world: two channels, three subscribers, a script that may change, and its messages.

use std::path::Path;

use super::facts::{Kind, PLAIN, SUBSCRIBERS};
use crate::harness::message::{Adt, test_number};
use crate::harness::setup::Setup;

pub(crate) const CHANNELS: [&str; 2] = ["adt-one", "adt-two"];
pub(crate) const EXCHANGE: &str = "events";
pub(crate) const RESTRICTED: &str = "events.restricted";

/// MSH-3 of each channel.
const SENDERS: [&str; 2] = ["PAS", "PASTWO"];
const SCRIPT: &str = "transforms/conservation.rhai";

/// The engine's folder, with the broker at `url`.
pub(crate) fn setup(url: &str) -> Setup {
    let setup = Setup::with(&configuration()).variable("TEST_BROKER_URL", url);
    change_script(&setup.path(""), 1, false);
    setup
}

/// Small volumes: the journal changes from one to the next every few seconds, and a full disk is
/// soon felt.
fn configuration() -> String {
    let channels: Vec<String> = CHANNELS
        .iter()
        .zip(SENDERS)
        .map(|(channel, sender)| {
            format!(
                "  {channel}:
    listener: {{ mllp: {{ listen: 127.0.0.1:0 }} }}
    accept: {{ senders: [{sender}/RXX01], types: [ADT], processing: [P] }}
    source: {{ preset: itk-2.4, organisation: RXX, zone: Europe/London, test_data: true }}
    identity:
      local: [{{ authority: RXX01, type: MR, default: true }}]
      nhs_number: {{ trust: [\"01\"], if_status_absent: do-not-key }}
      merges: automatic
      may_lower_sensitivity: true
    transform: {{ script: {SCRIPT} }}
    order: patient
"
            )
        })
        .collect();
    let entitled = "restricted: true, entitlements: [{ sees: protected, until: 2099-12-31, \
                    justification: Direct care after review, \
                    approved_by: A Person (Caldicott Guardian) }]";
    let subscribers: Vec<String> = SUBSCRIBERS
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let may = if number == PLAIN { "restricted: false" } else { entitled };
            format!("  {name}: {{ receives: [\"*\"], queue: {name}, {may} }}\n")
        })
        .collect();
    let (channels, subscribers) = (channels.concat(), subscribers.concat());
    format!(
        "engine: {{ environment: test, journal: {{ volume: 1MiB }} }}
broker: {{ amqp: {{ url: {{ env: TEST_BROKER_URL }}, exchange: {EXCHANGE} }} }}
channels:
{channels}subscribers:
{subscribers}"
    )
}

/// Every event says which revision of the script made it: a script that ran twice for one message
/// would give one id two contents. Once it is mended, nothing holds a patient's messages back.
pub(crate) fn change_script(folder: &Path, revision: u32, mended: bool) {
    let (park, fail) = if mended {
        let event = "emit(\"encounter.admitted\", stay)";
        (event, event)
    } else {
        ("park(\"class.unknown\")", "throw \"on purpose\"")
    };
    let script = format!(
        "fn transform(msg) {{
    let stay = encounter(msg);
    stay[\"serviceType.text\"] = \"revision {revision}\";
    switch msg[\"MSH-9.2\"] {{
        \"A01\" => emit(\"encounter.admitted\", stay),
        \"A02\" => {{
            emit(\"encounter.transferred\", stay);
            emit(\"encounter.discharged\", stay);
        }}
        \"A08\" => filter(\"not-used\"),
        \"A40\" => (),
        \"A10\" => {park},
        \"A11\" => {fail},
        _ => park(\"trigger.unknown\"),
    }}
}}
"
    );
    std::fs::write(folder.join(SCRIPT), script).expect("the temporary folder can be written");
}

/// A patient of one connection, which numbers its messages.
#[derive(Clone, Debug)]
pub(crate) struct Patient {
    /// Hospital number.
    pub(crate) number: String,
    pub(crate) channel: usize,
    nhs_number: Option<String>,
}

impl Patient {
    /// The `place`-th patient of a connection; every second one has an NHS Number.
    pub(crate) fn new(connection: usize, place: usize) -> Self {
        let number = format!("{}", 4_000_000 + connection * 10_000 + place);
        let nhs_number = if place.is_multiple_of(2) { test_number(&number) } else { None };
        Self { number, channel: connection % CHANNELS.len(), nhs_number }
    }

    pub(crate) fn label(&self, sequence: u32) -> String {
        format!("V{}S{sequence}", self.number)
    }

    /// Another hospital number of the patient's, which is somebody else's until they are merged.
    pub(crate) fn former(&self, generation: usize) -> String {
        let number: usize = self.number.parse().expect("digits");
        format!("{}", number + 100_000 * (generation + 1))
    }

    /// The bytes of one message, under a `former` number; a merge names it as that of the record that
    /// goes.
    pub(crate) fn message(
        &self,
        kind: Kind,
        control_id: &str,
        sequence: u32,
        former: Option<&str>,
    ) -> String {
        if kind == Kind::Garbled {
            return format!("no HL7 at all, {control_id}");
        }
        let trigger = match kind {
            Kind::Twofold => "A02",
            Kind::Filtered => "A08",
            Kind::Parked => "A10",
            Kind::Thrown => "A11",
            Kind::Unknown => "A60",
            Kind::Merge => "A40",
            _ => "A01",
        };
        let under = former.filter(|_| kind != Kind::Merge);
        let nhs_number = self.nhs_number.clone().filter(|_| under.is_none());
        let number = under.unwrap_or(&self.number);
        let text = Adt { trigger, control_id, hospital_number: number, nhs_number }.text();
        let sender = if kind == Kind::Stranger { "STRANGER" } else { SENDERS[self.channel] };
        let text = text.replacen("|PAS|", &format!("|{sender}|"), 1);
        let label = self.label(sequence);
        let text = text.replacen(&format!("|V{number}|"), &format!("|{label}|"), 1);
        let protection = |code| {
            let (field_16, visit) = ("|".repeat(13), format!("{}{label}", "|".repeat(16)));
            text.replacen(&visit, &format!("{field_16}{code}|||{label}"), 1)
        };
        match (kind, former) {
            (Kind::Raised, _) => return protection("S"),
            (Kind::Lowered, _) => return protection("N"),
            (Kind::Merge, Some(former)) => {
                return text.replacen("PV1|", &format!("MRG|{former}^^^RXX01^MR\rPV1|"), 1);
            }
            (Kind::Nobody, _) => {}
            _ => return text,
        }
        let pid = text.split('\r').find(|line| line.starts_with("PID")).expect("a PID");
        text.replacen(pid, "PID|1||||EXAMPLE^ALEX^^^MX^^L", 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_whose_and_which_it_is() {
        let patient = Patient::new(3, 4);
        assert_eq!(patient.label(7), "V4030004S7");
        let text = patient.message(Kind::Twofold, "C1", 7, None);
        for part in ["|PASTWO|", "ADT^A02^", "|C1|", "4030004^^^RXX01^MR", "|V4030004S7|"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let of = |kind, former| patient.message(kind, "C1", 7, former);
        assert!(!of(Kind::Nobody, None).contains("^^^RXX01^MR"));
        assert!(of(Kind::Stranger, None).contains("|STRANGER|"));
        let former = patient.former(2);
        assert_eq!(former, "4330004");
        let under = of(Kind::Plain, Some(&former));
        assert!(
            under.contains("|4330004^^^RXX01^MR|") && under.contains("|V4030004S7|"),
            "{under}"
        );
        let merge = of(Kind::Merge, Some(&former));
        assert!(
            merge.contains("4030004^^^RXX01^MR|") && merge.contains("\rMRG|4330004^^^RXX01^MR\r")
        );
        let raised = of(Kind::Raised, None);
        let pv1: Vec<&str> =
            raised.rsplit('\r').find(|line| line.starts_with("PV1")).unwrap().split('|').collect();
        assert_eq!((pv1[16], pv1[19]), ("S", "V4030004S7"));
    }
}
