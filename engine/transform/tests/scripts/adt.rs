//! What the repository's own ADT scripts make of the events that are easily mistaken.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use transform::fault::Fault;
use transform::limits::Limits;
use transform::outcome::{Decision, Outcome};
use transform::script::Script;
use transform::sources::Sources;

use crate::{events, input, settings};

/// The scripts and tables as they stand in the repository.
fn sources() -> Sources {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../transforms"));
    let texts = |folder: &str, ending: &str| -> BTreeMap<String, String> {
        let entries = std::fs::read_dir(root.join(folder)).expect("a folder");
        let named = entries.map(|entry| entry.expect("an entry").path());
        named
            .filter(|path| path.extension().is_some_and(|found| found == ending))
            .map(|path| {
                let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
                (name, std::fs::read_to_string(&path).expect("a text"))
            })
            .collect()
    };
    let script = |prefix: &'static str| {
        move |(name, text): (String, String)| (format!("{prefix}{name}.rhai"), text)
    };
    let mut scripts: BTreeMap<_, _> = texts("", "rhai").into_iter().map(script("")).collect();
    scripts.extend(texts("lib", "rhai").into_iter().map(script("lib/")));
    Sources { scripts, tables: texts("tables", "csv") }
}

/// What a script of the repository makes of a trigger event and what stands after PID.
fn of(script: &str, trigger: &str, rest: &str) -> Outcome {
    let outcome = ran(script, trigger, rest);
    outcome.unwrap_or_else(|fault| panic!("{fault}: {}", fault.detail.0))
}

fn ran(script: &str, trigger: &str, rest: &str) -> Result<Outcome, Fault> {
    let script = format!("{script}.rhai");
    let script = Script::compile(&Arc::new(sources()), &script, settings(), Limits::default());
    let message = format!(
        "MSH|^~\\&|PAS|RXX01|TIE|RXX|20251103101500||{trigger}|M1|P|2.4\r\
         EVN||20251103101500|||op|202511031015\r\
         PID|1||9990000018^^^NHS^NH~12345^^^RXX01^MR||MARSH^ELEANOR||19480229|F\r{rest}"
    );
    let script = script.unwrap_or_else(|problems| panic!("{problems:?}"));
    script.run(input(&message))
}

fn pas(trigger: &str, rest: &str) -> Outcome {
    of("pas_adt", &format!("ADT^{trigger}"), rest)
}

/// PV1 with a class, a visit number, a discharge method and destination, and both ends of the stay.
fn visit(class: &str, number: &str) -> String {
    let fields = [(2, class), (3, "RXX^W07^B1^RXX01"), (19, number), (36, "1"), (37, "19")];
    let times = [(44, "202511030950"), (45, "202511031000")];
    let fields: BTreeMap<usize, &str> = fields.into_iter().chain(times).collect();
    let texts = (1..=45).map(|field| *fields.get(&field).unwrap_or(&""));
    format!("PV1|{}\r", texts.collect::<Vec<_>>().join("|"))
}

/// The type of the only event, or the reason why there is none.
fn told(outcome: Outcome) -> String {
    match outcome.decision {
        Decision::Emit(events) if events.len() == 1 => events[0].event_type.name.to_owned(),
        Decision::Emit(events) => format!("{events:?}"),
        Decision::Filter { code } => format!("filtered {code}"),
        Decision::Park { code, .. } => format!("parked {code}"),
    }
}

#[test]
fn the_class_decides_what_an_end_or_a_cancellation_is_about() {
    for (trigger, class, what) in [
        ("A01", "I", "encounter.admitted"),
        ("A01", "i ", "encounter.admitted"),
        ("A01", "n", "patient.updated"),
        ("A03", "I", "encounter.discharged"),
        ("A03", "O", "outpatient.attended"),
        ("A03", "o", "outpatient.attended"),
        ("A11", "I", "encounter.admission-cancelled"),
        ("A11", "O", "outpatient.arrival-cancelled"),
        ("A12", "O", "parked class.unknown"),
        ("A13", "I", "encounter.discharge-cancelled"),
        ("A13", "O", "outpatient.attendance-cancelled"),
        ("A01", "E", "ed.arrived"),
        ("A03", "E", "ed.departed"),
        ("A11", "E", "ed.arrival-cancelled"),
        ("A13", "E", "ed.departure-cancelled"),
        ("A05", "W", "waitinglist.added"),
        ("A38", "W", "waitinglist.removed"),
        ("A04", "N", "patient.registered"),
        ("A08", "U", "patient.updated"),
        ("A03", "W", "parked class.unknown"),
    ] {
        let outcome = pas(trigger, &visit(class, "V1^^^RXX01^VN"));
        assert_eq!(told(outcome), what, "{trigger} {class}");
    }
}

#[test]
fn a_visit_to_which_nobody_came_was_not_attended() {
    let visit = visit("O", "V1");
    for (code, what) in [
        ("5", "outpatient.attended"),
        ("6", "outpatient.attended"),
        ("", "outpatient.attended"),
        ("2", "outpatient.not-attended"),
        ("3", "outpatient.not-attended"),
        ("4", "outpatient.not-attended"),
        ("7", "outpatient.not-attended"),
    ] {
        let outcome = pas("A03", &format!("{visit}ZU3|01||{code}\r"));
        assert_eq!(told(outcome), what, "{code}");
    }
}

#[test]
fn a_cancelled_discharge_leaves_nothing_of_the_discharge() {
    for stated in [visit("I", "V1"), "PV1|1|I|RXX^W07^B1^RXX01||||||||||||||||V1\r".to_owned()] {
        let events = events(pas("A13", &stated));
        let encounter = &events[0].data["entry"][1]["resource"];
        assert_eq!(encounter["status"], "in-progress");
        assert!(encounter["period"].get("end").is_none());
        assert!(encounter.get("extension").is_none() && encounter.get("hospitalization").is_none());
        let cleared = &events[0].cleared;
        assert!(cleared.iter().any(|path| path == "Encounter.period.end"), "{cleared:?}");
        for part in ["hospitalization.dischargeDisposition", "DischargeMethod')"] {
            assert!(cleared.iter().any(|path| path.ends_with(part)), "{part}: {cleared:?}");
        }
    }
}

#[test]
fn a_cancellation_says_which_visit_it_takes_back() {
    for (trigger, class) in [("A11", "I"), ("A11", "O"), ("A12", "I"), ("A13", "I")] {
        let outcome = pas(trigger, &visit(class, ""));
        assert_eq!(told(outcome), "parked encounter.no-number", "{trigger}");
    }
    assert_eq!(told(pas("A01", &visit("I", ""))), "encounter.admitted");
}

#[test]
fn a_stay_that_a_message_about_a_person_states_is_counted() {
    let counted = |rest: &str| {
        let outcome = of("pas_adt", "ADT^A31", rest);
        outcome.quality.get("encounter.not-published").copied().unwrap_or_default()
    };
    assert_eq!(counted(&visit("I", "V1")), 1);
    assert_eq!(counted("PV1|1||RXX^W07^B1^RXX01\r"), 1);
    for pv1 in ["PV1|1|N\r", "PV1|1|NA|RXX^W07^B1^RXX01\r", "PV1|1\r", ""] {
        assert_eq!(counted(pv1), 0, "{pv1}");
    }
}

#[test]
fn who_is_who_is_never_said_by_a_script() {
    for trigger in ["A40", "A34", "A45", "A47", "A24", "A37"] {
        let merge = ran("pas_adt", &format!("ADT^{trigger}"), "MRG|777^^^RXX01^MR\rPV1|1|N\r");
        assert_eq!(merge.expect_err("nothing of its own").code, "script.no-result", "{trigger}");
    }
}

#[test]
fn allergies_that_contradict_each_other_park_the_message() {
    let denied = "AL1|1||716186003^No known allergy^SCT\rAL1|2|DA|7980^Penicillin^SCT\r";
    let stay = visit("I", "V1");
    assert_eq!(told(pas("A01", &format!("{stay}{denied}"))), "parked allergy.contradiction");
    assert_eq!(told(pas("A60", &stay)), "parked allergy.absent");
}
