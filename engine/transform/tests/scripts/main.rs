//! Scripts as people write them, run through the crate's public door.

#![expect(clippy::panic, reason = "what helps a test fails by panicking")]

mod adt;
mod builders;
mod changes;
mod faults;
mod limits;
mod problems;
mod reading;
mod resources;
mod results;
mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;

use hl7::message::{Message, Reading};
use record::identity::Identity;
use record::source::{IfStatusAbsent, LocalAuthority, Source};
use transform::fault::Fault;
use transform::limits::Limits;
use transform::outcome::{Decision, Emitted, Input, Outcome};
use transform::problem::ScriptProblem;
use transform::script::Script;
use transform::sources::{Setting, Sources};

/// An admission of an invented person.
pub(crate) const ADMISSION: &str = "MSH|^~\\&|PAS|RXX01|TIE|RXX|20260301101500||ADT^A01^ADT_A01|M1|P|2.4\r\
     EVN|A01|20260301101500\r\
     PID|1||9990000018^^^NHS^NH~12345^^^RXX01^MR||MARSH\\T\\CO^ELEANOR||19480229|F|||\"\"|||||||||||||||||||\r\
     PV1|1|I|W12^^B3^RXX01\r";

/// Two orders with results and notes.
pub(crate) const RESULTS: &str = "MSH|^~\\&|LIMS|RXX01|TIE|RXX|20260301101500||ORU^R01|M2|P|2.5.1\r\
     PID|1||12345^^^RXX01^MR||MARSH^ELEANOR\r\
     ORC|RE|P1|F1\r\
     OBR|1|P1|F1|FBC^Full blood count|||20260301090000||||||||||||||||||F\r\
     NTE|1||of the order\r\
     OBX|1|NM|HB^Haemoglobin||131|g/L|||||F\r\
     NTE|1||first\\.br\\line\r\
     NTE|2||second\r\
     OBX|2|NM|WBC^White cells||5.1|10*9/L|||||F\r\
     OBR|2|P2|F2|UE^Urea|||20260301091500||||||||||||||||||C\r\
     OBX|1|NM|K^Potassium||4.1|mmol/L|||||C\r";

/// Sources with one script, `main.rhai`.
pub(crate) fn sources(script: &str) -> Sources {
    Sources {
        scripts: BTreeMap::from([("main.rhai".to_owned(), script.to_owned())]),
        tables: BTreeMap::new(),
    }
}

pub(crate) fn settings() -> BTreeMap<String, Setting> {
    BTreeMap::from([
        ("site".to_owned(), Setting::Text("RXX01".to_owned())),
        ("beds".to_owned(), Setting::Whole(12)),
    ])
}

pub(crate) fn compile(sources: Sources, limits: Limits) -> Result<Script, Vec<ScriptProblem>> {
    Script::compile(&Arc::new(sources), "main.rhai", settings(), limits)
}

pub(crate) fn input(message: &str) -> Input {
    let message = Message::parse(message.as_bytes().to_vec(), &Reading::default()).expect("HL7");
    let mut source = Source::new("pas-adt", "RXX");
    source.nhs_number.test_data = true;
    source.nhs_number.if_status_absent = IfStatusAbsent::Key;
    source.local = vec![LocalAuthority {
        authority: "RXX01".to_owned(),
        kind: "MR".to_owned(),
        default: true,
    }];
    let identity = Identity::read(&message, &source).expect("one patient");
    Input {
        message,
        source: Arc::new(source),
        identity: Arc::new(identity),
        previous: None,
        stated: None,
        now: "2026-03-01T10:15:01Z".parse().expect("a time"),
    }
}

pub(crate) fn run_sources(sources: Sources, message: &str) -> Result<Outcome, Fault> {
    let script = compile(sources, Limits::default()).unwrap_or_else(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{problems:#?}")
    });
    script.run(input(message))
}

/// Runs the body of `transform(msg)` on a message.
pub(crate) fn run(body: &str, message: &str) -> Result<Outcome, Fault> {
    run_sources(sources(&format!("fn transform(msg) {{ {body} }}")), message)
}

pub(crate) fn events(outcome: Outcome) -> Vec<Emitted> {
    match outcome.decision {
        Decision::Emit(events) => events,
        other => panic!("{other:?}"),
    }
}

/// What an expression gives, as text: it is parked as the detail.
pub(crate) fn value(expression: &str, message: &str) -> String {
    let outcome = run(&format!("park(\"value\", {expression})"), message);
    match outcome.map(|outcome| outcome.decision) {
        Ok(Decision::Park { detail, .. }) => detail.expect("a detail").0,
        Ok(other) => panic!("{expression}: {other:?}"),
        Err(fault) => panic!("{expression}: {fault} {}", fault.detail.0),
    }
}
