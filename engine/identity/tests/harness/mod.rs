//! An index in a folder of its own, and messages of synthetic people.

use std::cell::Cell;

use hl7::message::{Message, Reading};
use identity::decision::Decision;
use identity::error::IndexError;
use identity::event::EngineEvent;
use identity::index::{Index, Origin, Settings};
use identity::question::{Asked, Known};
use identity::rules::{Merges, Resolution, Rules};
use identity::stated::Stated;
use record::identity::Identity;
use record::local::LocalId;
use record::nhs_number::NhsNumber;
use record::source::{LocalAuthority, Source};
use tempfile::TempDir;

/// NHS Numbers of the range for tests.
pub(crate) const NUMBERS: [&str; 8] = [
    "9990000018",
    "9990000026",
    "9990000034",
    "9990000042",
    "9990000050",
    "9990000069",
    "9990000077",
    "9990000085",
];

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) index: Index,
    pub(crate) next: Cell<u64>,
}

/// Who sends, and what it may do.
#[derive(Clone, Copy)]
pub(crate) struct Sender {
    pub(crate) name: &'static str,
    pub(crate) teaches: bool,
    pub(crate) may_lower: bool,
    pub(crate) merges: Merges,
}

pub(crate) const PAS: Sender =
    Sender { name: "pas", teaches: true, may_lower: true, merges: Merges::Automatic };
pub(crate) const LAB: Sender =
    Sender { name: "lab", teaches: false, may_lower: false, merges: Merges::Approve };

/// The profile of every sender: hospital numbers without authority are RXX01's.
pub(crate) fn source(name: &str) -> Source {
    let mut source = Source::new(name, "RXX");
    source.nhs_number.test_data = true;
    let kind = |authority: &str, kind: &str, default| LocalAuthority {
        authority: authority.to_owned(),
        kind: kind.to_owned(),
        default,
    };
    source.local = vec![kind("RXX01", "MR", true), kind("LAB01", "PI", false)];
    source
}

pub(crate) fn stated(name: &str, body: &str) -> Stated {
    let text = format!("MSH|^~\\&|PAS|RXX01|TIE|RXX|20260701||{body}");
    let message = Message::parse(text.into_bytes(), &Reading::default()).expect("a message");
    let source = source(name);
    let identity = Identity::read(&message, &source).expect("one patient");
    Stated::read(&message, &source, &identity)
}

/// PID: identifiers as `M1`, `LAB-7` or `9990000018`; name as `SMITH^ANN`; birth date.
pub(crate) fn pid(identifiers: &str, name: &str, born: &str) -> String {
    let trusted = if identifiers.contains('?') { "" } else { "NSTS01" };
    format!("PID|1||{}||{name}||{born}{}{trusted}\r", list(identifiers), "|".repeat(25))
}

pub(crate) fn mrg(identifiers: &str) -> String {
    format!("MRG|{}\r", list(identifiers))
}

fn list(identifiers: &str) -> String {
    let each = |id: &str| match id.trim_start_matches('?') {
        number if number.starts_with("999") => format!("{number}^^^NHS^NH"),
        lab if lab.starts_with("LAB") => format!("{lab}^^^LAB01^PI"),
        "null" => "\"\"^^^NHS^NH".to_owned(),
        local => format!("{local}^^^RXX01^MR"),
    };
    identifiers.split_whitespace().map(each).collect::<Vec<_>>().join("~")
}

pub(crate) fn adt(trigger: &str, body: &str) -> String {
    format!("ADT^{trigger}|1|P|2.4\r{body}")
}

impl World {
    pub(crate) fn new() -> World {
        let folder = TempDir::new().expect("a folder");
        let index = Index::open(folder.path(), Settings { cached: 64 }).expect("an index").index;
        World { folder, index, next: Cell::new(1) }
    }

    /// Decides and, as the engine does, applies.
    pub(crate) fn send(&self, sender: Sender, body: &str) -> Decision {
        self.resolve(sender, body, None)
    }

    pub(crate) fn resolve(
        &self,
        sender: Sender,
        body: &str,
        resolution: Option<Resolution>,
    ) -> Decision {
        let id = self.next.replace(self.next.get() + 1);
        let decision = self.look(sender, body, resolution, id);
        let origin = origin(sender.name, id);
        self.index.apply(position(id), &origin, &decision.facts).expect("applied");
        self.index.reached(position(id));
        self.check(&decision);
        decision
    }

    /// Decides and applies nothing.
    pub(crate) fn look(
        &self,
        sender: Sender,
        body: &str,
        resolution: Option<Resolution>,
        id: u64,
    ) -> Decision {
        let rules = Rules {
            source: sender.name,
            teaches: sender.teaches,
            merges: sender.merges,
            may_lower_sensitivity: sender.may_lower,
            resolution,
        };
        let stated = stated(sender.name, body);
        self.index.decide(id, ms(id), &stated, &rules).expect("decided")
    }

    /// What must hold of every decision once it is applied.
    fn check(&self, decision: &Decision) {
        if decision.parked.is_some() {
            assert!(decision.facts.is_empty() && decision.events.is_empty());
            return;
        }
        let holds = |asked: &Asked, number: NhsNumber| {
            let known = self.index.show(asked).expect("asked").expect("known");
            assert_eq!(known.number.map(|held| held.number), Some(number));
        };
        if let Some((number, _)) = decision.number {
            holds(&Asked::Patient(decision.patient.expect("a patient")), number);
        }
        for event in &decision.events {
            if let Some((number, _)) = event.number {
                holds(&Asked::Patient(event.patient), number);
            }
        }
    }

    pub(crate) fn admit(&self, identifiers: &str, name: &str, born: &str) -> Decision {
        self.send(PAS, &adt("A31", &pid(identifiers, name, born)))
    }

    /// A result of the laboratory.
    pub(crate) fn result(&self, identifiers: &str, name: &str, born: &str) -> Decision {
        self.send(LAB, &format!("ORU^R01|1|P|2.4\r{}", pid(identifiers, name, born)))
    }

    pub(crate) fn merge(&self, survivor: &str, retired: &str) -> Decision {
        self.send(PAS, &adt("A40", &format!("{}{}", pid(survivor, "", ""), mrg(retired))))
    }

    /// Undoes the merge of a record and, as the engine does, applies that.
    pub(crate) fn unmerge(&self, retired: &str) -> Result<Decision, IndexError> {
        let id = self.next.get();
        let decision = self.index.unmerge(id, ms(id), &asked_for(retired))?;
        self.next.set(id + 1);
        self.index.apply(position(id), &origin("pas", id), &decision.facts).expect("applied");
        self.index.reached(position(id));
        self.check(&decision);
        Ok(decision)
    }

    pub(crate) fn show(&self, asked: &str) -> Option<Known> {
        self.index.show(&asked_for(asked)).expect("asked")
    }
}

pub(crate) fn ms(id: u64) -> i64 {
    1_780_000_000_000 + id.cast_signed()
}

pub(crate) fn origin(source: &str, id: u64) -> Origin<'_> {
    Origin { at_ms: ms(id), source, message_id: id, actor: None }
}

pub(crate) fn position(id: u64) -> [u8; 16] {
    u128::from(id).to_le_bytes()
}

pub(crate) fn asked_for(text: &str) -> Asked {
    if text.starts_with("999") {
        return Asked::Number(NhsNumber::parse(text).expect("a number"));
    }
    Asked::Local(local_id(text))
}

pub(crate) fn local_id(text: &str) -> LocalId {
    let (authority, kind) = if text.starts_with("LAB") { ("LAB01", "PI") } else { ("RXX01", "MR") };
    LocalId { authority: authority.to_owned(), kind: kind.to_owned(), value: text.to_owned() }
}

/// The reason code, if it parked.
pub(crate) fn code(decision: &Decision) -> Option<&'static str> {
    decision.parked.map(|parked| parked.code)
}

pub(crate) fn number(decision: &Decision) -> Option<String> {
    decision.number.map(|(number, _)| number.to_string())
}

/// Names of the events, in order.
pub(crate) fn events(decision: &Decision) -> Vec<&'static str> {
    decision.events.iter().map(|event| event.what.name()).collect()
}

pub(crate) fn event<'d>(decision: &'d Decision, name: &str) -> &'d EngineEvent {
    decision.events.iter().find(|event| event.what.name() == name).expect(name)
}
