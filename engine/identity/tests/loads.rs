//! Filling the index from files.

use std::sync::atomic::{AtomicUsize, Ordering};

use identity::fact::Fact;
use identity::index::{Index, Settings};
use identity::load::{Batch, Load, LoadError, Problem};
use identity::patient::PatientId;
use record::source::IfStatusAbsent;
use serde_json::json;

use crate::harness::*;

const HEADER: &str = "authority,type,local_id,nhs_number,status,family,given,birth_date,sex\n";

fn csv(rows: &str) -> Load {
    Load::csv(std::io::Cursor::new(format!("{HEADER}{rows}")), source("pas")).expect("a header")
}

fn in_file(trigger: &str, body: &str) -> String {
    format!("MSH|^~\\&|PAS|RXX01|TIE|RXX|20260701||{}", adt(trigger, body))
}

fn messages(file: String) -> Load {
    Load::messages(std::io::Cursor::new(file), source("pas")).expect("messages")
}

fn apply(index: &Index, id: u64, batch: &Batch) {
    index.apply(position(id), &origin("pas", id), &batch.facts).expect("applied");
}

fn codes(load: &Load) -> Vec<(u64, &'static str)> {
    load.report().problems.iter().map(|of| (of.at, of.code)).collect()
}

/// Applies all batches, as a running engine does.
fn run(index: &Index, load: &mut Load) {
    while let Some(batch) = load.next_batch(index).expect("a batch") {
        let origin = origin("pas", 1_000_000 + batch.token);
        index.apply(position(1_000_000 + batch.token), &origin, &batch.facts).expect("applied");
    }
}

#[test]
fn rows_become_patients() {
    let world = World::new();
    let mut load = csv("RXX01,MR,M1,999 000 0018,01,Smith,Ann,19651213,2\n\
        ,,M2,9990000026,,Jones,Beth,19700101,2\n\
        LAB01,PI,LAB7,9990000018,01,Smith,Ann,19651213,2\n\
        RXX01,MR,M1,9990000018,01,Smith,Ann,19651213,2\n");
    run(&world.index, &mut load);
    let report = load.report();
    assert_eq!((report.rows, report.taken, report.unchanged), (4, 3, 1));
    assert_eq!(report.problems, [Problem { at: 3, code: "nhs-number.untrusted" }]);
    let result = world.result("M1", "SMITH^ANN", "");
    assert_eq!(number(&result).as_deref(), Some("9990000018"));
    assert_eq!(world.result("LAB7", "", "").patient, result.patient);
    assert_eq!(number(&world.result("M2", "", "")), None);
    // What was loaded is compared with.
    let other = world.result("9990000018", "JONES^BETH", "19651213");
    assert_eq!(code(&other), Some("identity.demographics"));
}

#[test]
fn rows_that_contradict_are_reported_and_left_out() {
    let world = World::new();
    world.admit("M9 9990000034", "TAYLOR^JOHN", "19500505");
    let mut load = csv("RXX01,MR,M1,9990000018,01,Smith,Ann,19651213,2\n\
        RXX01,MR,M2,9990000018,01,Smith,Ann,19651213,2\n\
        RXX01,MR,M1,9990000026,01,Smith,Ann,19651213,2\n\
        RXX01,MR,M9,9990000034,01,Smith,Ann,19651213,2\n\
        RZZ01,MR,M4,,,,,,\n\
        RXX01,MR,,,,,,,\n\
        RXX01,MR,M5,9990000019,01,,,,\n\
        RXX01,MR,M6,9990000042,01,Smith,Zoe,02/01/1970,2\n\
        RXX01,MR,M7,9990000050,01,Smith,Zoe,19701301,2\n\
        RXX01,MR,M8,9990000069,01,Smith\n\
        RXX01,MR,M10,9990000077,01,Smith,Zoe,1970-01-02,2\n");
    run(&world.index, &mut load);
    let codes: Vec<_> = load.report().problems.iter().map(|of| (of.at, of.code)).collect();
    assert_eq!(
        codes,
        [
            (3, "identity.shared-number"),
            (4, "identity.number-conflict"),
            (5, "identity.demographics"),
            (6, "load.authority"),
            (7, "load.columns"),
            (8, "nhs-number.check-digit"),
            (9, "load.birth-date"),
            (10, "load.birth-date"),
            (11, "load.columns"),
        ]
    );
    assert!(world.show("M2").is_none() && world.show("M5").is_some());
    assert!(world.show("M6").is_none() && world.show("M10").is_some());
}

#[test]
fn a_load_goes_on_where_it_was() {
    let rows: String = (0..2_500)
        .flat_map(|at| [format!("RXX01,MR,R{at},,,F{at},G,19700101,1"), "\n".to_owned()])
        .collect();
    let world = World::new();
    let mut first = csv(&rows);
    let batch = first.next_batch(&world.index).unwrap().expect("rows");
    assert_eq!((batch.token, batch.facts.len()), (1_000, 1_000));
    world.index.apply(position(7), &origin("pas", 7), &batch.facts).unwrap();
    // A crash: the batch that follows was found and never applied.
    first.next_batch(&world.index).unwrap().expect("rows");
    let mut second = csv(&rows);
    second.resume(batch.token).unwrap();
    run(&world.index, &mut second);
    assert_eq!(second.report().taken, 1_500);
    world.index.flush().unwrap();
    assert_eq!(world.index.figures().unwrap().patients, 2_500);
}

#[test]
fn a_dry_run_changes_nothing() {
    let world = World::new();
    world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    let scratch = tempfile::TempDir::new().unwrap();
    let copy = world.index.scratch(scratch.path(), Settings::default()).unwrap();
    let mut load = csv("RXX01,MR,M2,9990000018,01,Smith,Ann,19651213,2\nRXX01,MR,M3,,,,,,\n");
    run(&copy, &mut load);
    assert_eq!((load.report().taken, load.report().problems.len()), (1, 1));
    assert!(world.show("M3").is_none());
    assert!(copy.show(&asked_for("M3")).unwrap().is_some());
}

#[test]
fn a_file_of_messages_fills_it_too() {
    let vip = format!("{}PV1||N{}S\r", pid("M2", "JONES^BETH", "19700101"), "|".repeat(14));
    let file = [
        "BHS|^~\\&\r".to_owned(),
        in_file("A28", &pid("M1 9990000018", "SMITH^ANN", "19651213")),
        in_file("A31", &vip),
        in_file("A40", &format!("{}{}", pid("M1", "", ""), mrg("M2"))),
        in_file("A28", &pid("", "NOBODY", "")),
        "BTS|4\r".to_owned(),
    ]
    .concat();
    let world = World::new();
    let mut load = messages(file);
    run(&world.index, &mut load);
    assert_eq!((load.report().rows, load.report().taken), (4, 2));
    let codes: Vec<_> = load.report().codes.keys().copied().collect();
    assert_eq!(codes, ["identity.none", "merge.approval"]);
    assert!(world.result("M2", "", "").protected);
    // What the source stated is known, so that the next message is a true difference.
    let next = world.admit("M1", "SMITH^ANNA", "");
    assert_eq!(next.previous.expect("loaded")["given"], "ANN");
    let nothing = Load::messages(&b"nothing"[..], source("pas"));
    assert!(matches!(nothing, Err(LoadError::NoMessage)));
    assert!(matches!(
        Load::csv(std::io::Cursor::new("a,b\n1,2\n"), source("pas")),
        Err(LoadError::Header)
    ));
}

#[test]
fn two_loads_at_once_name_their_patients_apart() {
    let world = World::new();
    let (mut one, mut other) =
        (csv("RXX01,MR,M1,9990000018,01,,,,\n"), csv("RXX01,MR,M2,9990000026,01,,,,\n"));
    let first = one.next_batch(&world.index).unwrap().expect("a row");
    let second = other.next_batch(&world.index).unwrap().expect("a row");
    apply(&world.index, 1, &first);
    apply(&world.index, 2, &second);
    for (local, held) in [("M1", "9990000018"), ("M2", "9990000026")] {
        let known = world.show(local).expect("known");
        assert_eq!(known.number.expect("held").number.as_str(), held);
        assert_eq!(known.locals.len(), 1);
    }
}

#[test]
fn a_loaded_record_is_never_taken_for_another_person() {
    let world = World::new();
    let loaded = |number: &str, local: &str| -> Fact {
        let (patient, local) = (PatientId::of_load(1), local_id(local));
        let fact = json!({ "patient": patient, "number": number, "locals": [local] });
        serde_json::from_value(json!({ "loaded": fact })).expect("a fact")
    };
    for (id, fact) in [(1, loaded("9990000018", "M1")), (2, loaded("9990000026", "M2"))] {
        world.index.apply(position(id), &origin("pas", id), &[fact]).unwrap();
    }
    assert!(world.show("M2").is_none() && world.show("9990000026").is_none());
    assert_eq!(world.show("M1").expect("known").locals.len(), 1);
}

#[test]
fn a_load_unites_nobody() {
    let world = World::new();
    world.admit("M1", "SMITH^ANN", "19651213");
    world.result("9990000018", "SMITH^ANN", "19651213");
    let mut load = csv("RXX01,MR,M1,9990000018,01,Smith,Ann,19651213,2\n");
    run(&world.index, &mut load);
    assert_eq!(codes(&load), [(2, "identity.two-patients")]);
    assert_eq!(world.show("M1").expect("known").number, None);
    assert_ne!(
        world.show("M1").expect("known").patient,
        world.show("9990000018").expect("known").patient
    );
}

/// A load looked, then a message came, then what the load found is applied; or the other way round,
/// as when the journal is read again.
fn meanwhile(before: &[(&str, &str)], rows: &str, live: &str) -> [World; 2] {
    [true, false].map(|live_first| {
        let world = World::new();
        for (identifiers, name) in before {
            world.admit(identifiers, name, "");
        }
        let batch = csv(rows).next_batch(&world.index).expect("a batch").expect("rows");
        let decision = world.look(PAS, live, None, 70);
        assert_eq!(code(&decision), None);
        let message = || {
            world.index.apply(position(70), &origin("pas", 70), &decision.facts).expect("applied");
        };
        if live_first {
            message();
        }
        apply(&world.index, 69, &batch);
        if !live_first {
            message();
        }
        world
    })
}

#[test]
fn what_became_known_since_a_load_looked_stays_in_either_order() {
    let rows = "RXX01,MR,M1,9990000018,01,Smith,Anna,19651213,2\n";
    let live = adt("A31", &pid("M2 9990000018", "JONES^BETH", "19700101"));
    for world in meanwhile(&[("M1", "SMITH^ANN")], rows, &live) {
        let holder = world.show("9990000018").expect("known");
        assert_eq!(holder.patient, world.show("M2").expect("known").patient);
        assert_eq!(world.show("M1").expect("known").number, None);
    }
    let live = adt("A31", &pid("M1 9990000026", "SMITH^ANN", ""));
    for world in meanwhile(&[("M1", "SMITH^ANN")], rows, &live) {
        let held = world.show("M1").expect("known").number.expect("held").number;
        assert_eq!(held.as_str(), "9990000026");
    }
}

#[test]
fn protection_that_was_raised_since_a_load_looked_stays() {
    let world = World::new();
    world.admit("M1", "SMITH^ANN", "");
    let dissent = format!("{}ZU8||2\r", pid("M1", "SMITH^ANN", ""));
    let file = in_file("A31", &dissent);
    let mut load = messages(file);
    let batch = load.next_batch(&world.index).unwrap().expect("a message");
    let vip = format!("{}PV1||N{}S\r", pid("M1", "", ""), "|".repeat(14));
    world.send(PAS, &adt("A31", &vip));
    apply(&world.index, 70, &batch);
    let known = world.show("M1").expect("known");
    assert!(known.protected && known.dissent);
}

#[test]
fn what_was_decided_before_a_load_raised_protection_does_not_lower_it() {
    let vip = |code: &str| format!("{}PV1||N{}{code}\r", pid("M1", "", ""), "|".repeat(14));
    let dissent = |code: &str| adt("A31", &format!("{}ZU8||{code}\r", pid("M1", "", "")));
    // The message speaks of dissent alone, or of the protection that was raised in between.
    for (before, then, decided) in [
        (vec![], None, dissent("2")),
        (vec![dissent("2")], None, dissent("1")),
        (vec![], Some(adt("A31", &vip("S"))), adt("A31", &vip("N"))),
    ] {
        let world = World::new();
        world.admit("M1", "SMITH^ANN", "");
        for body in before {
            world.send(PAS, &body);
        }
        let mut load = messages(in_file("A31", &vip("S")));
        let batch = load.next_batch(&world.index).unwrap().expect("a message");
        then.map(|body| world.send(PAS, &body));
        let late = world.look(PAS, &decided, None, 60);
        assert_eq!((code(&late), late.facts.is_empty()), (None, false));
        apply(&world.index, 70, &batch);
        let applied = world.index.apply(position(80), &origin("pas", 60), &late.facts);
        applied.expect("applied");
        assert!(world.show("M1").expect("known").protected);
        // Said again, it is said of what is known by now.
        world.next.set(90);
        world.send(PAS, &adt("A31", &vip("N")));
        assert!(!world.show("M1").expect("known").protected);
    }
}

#[test]
fn rows_with_a_known_number_that_is_not_trusted_are_patients_of_their_own() {
    let world = World::new();
    let mut load = csv("RXX01,MR,M1,9990000018,01,Smith,Ann,19651213,2\n\
        RXX01,MR,M2,9990000018,02,Jones,Beth,19700101,2\n\
        RXX01,MR,M3,9990000018,02,Taylor,Cath,19800101,2\n");
    run(&world.index, &mut load);
    let patients = ["M1", "M2", "M3"].map(|local| world.show(local).expect("known").patient);
    assert!(patients[1] != patients[2] && !patients[1..].contains(&patients[0]));
}

#[test]
fn a_load_takes_no_number_away_and_brings_none_back() {
    let world = World::new();
    world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    let mut load = messages(in_file("A31", &pid("M1 null", "", "")));
    run(&world.index, &mut load);
    assert_eq!(codes(&load), [(1, "identity.number-conflict")]);
    assert!(world.show("M1").expect("known").number.is_some());

    world.send(PAS, &adt("A31", &pid("M1 null", "", "")));
    assert_eq!(world.show("M1").expect("known").number, None);
    let mut load = csv("RXX01,MR,M1,9990000018,01,Smith,Ann,19651213,2\n");
    run(&world.index, &mut load);
    assert_eq!(codes(&load), [(2, "identity.number-conflict")]);
    assert_eq!(world.show("M1").expect("known").number, None);
}

#[test]
fn merges_moves_and_new_numbers_of_visits_are_not_loaded() {
    let world = World::new();
    let mut file = String::new();
    for (trigger, local) in
        [("A50", "M1"), ("A50", "M2"), ("A49", "M3"), ("A44", "M4"), ("A24", "M5")]
    {
        let body = format!(
            "{}MRG|{local}^^^RXX01^MR||||V1\rPV1||I{}V2\r",
            pid(local, "", ""),
            "|".repeat(17)
        );
        file += &in_file(trigger, &body);
    }
    let mut load = messages(file);
    run(&world.index, &mut load);
    assert_eq!((load.report().rows, load.report().taken, load.report().problems.len()), (5, 0, 5));
    world.index.flush().unwrap();
    assert_eq!(world.index.figures().unwrap().patients, 0);
}

#[test]
fn a_status_that_nobody_knows_is_not_an_absent_one() {
    let mut profile = source("pas");
    profile.nhs_number.if_status_absent = IfStatusAbsent::Key;
    let rows = format!(
        "{HEADER},,M1,9990000018,,,,,\n,,M2,9990000026,NSTS99,,,,\n,,M3,9990000034,nn,,,,\n"
    );
    let mut load = Load::csv(std::io::Cursor::new(rows), profile).expect("a header");
    let world = World::new();
    run(&world.index, &mut load);
    let unclear = "nhs-number.status-unclear";
    assert_eq!(codes(&load), [(3, unclear), (4, unclear)]);
    assert!(world.show("M1").expect("known").number.is_some());
    assert!(world.show("9990000026").is_none() && world.show("9990000034").is_none());
    assert!(world.show("M2").is_some_and(|known| known.number.is_none()));
}

fn people(count: usize) -> (String, String) {
    let row = |at: usize| [format!("RXX01,MR,R{at},,,F{at},G,19700101,1"), "\n".to_owned()];
    let pid = |at: usize| pid(&format!("R{at}"), &format!("F{at}^G"), "19700101");
    let message = |at: usize| in_file("A28", &pid(at));
    ((0..count).flat_map(row).collect(), (0..count).map(message).collect())
}

#[test]
fn a_load_that_broke_off_is_given_again() {
    let (rows, file) = people(2_500);
    for begin in [&(|| csv(&rows)) as &dyn Fn() -> Load, &|| messages(file.clone())] {
        let world = World::new();
        let mut first = begin();
        let batch = first.next_batch(&world.index).unwrap().expect("rows");
        apply(&world.index, 7, &batch);
        let before = world.show("R999").expect("loaded").patient;
        // Looked at, and neither durable nor applied.
        first.next_batch(&world.index).unwrap().expect("rows");
        drop(first);
        for (taken, unchanged) in [(1_500, 1_000), (0, 2_500)] {
            let mut again = begin();
            run(&world.index, &mut again);
            let report = again.report();
            assert_eq!((report.taken, report.unchanged), (taken, unchanged));
            assert!(report.problems.is_empty());
        }
        assert_eq!(world.show("R999").expect("loaded").patient, before);
        world.index.flush().unwrap();
        assert_eq!(world.index.figures().unwrap().patients, 2_500);
    }
}

/// Messages that are made while they are read.
struct Endless<'a>(&'a AtomicUsize);

impl std::io::Read for Endless<'static> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let at = self.0.fetch_add(1, Ordering::Relaxed);
        let message = in_file("A28", &pid(&format!("R{at}"), "SMITH^ANN", ""));
        let taken = into.len().min(message.len());
        into[..taken].copy_from_slice(&message.as_bytes()[..taken]);
        Ok(taken)
    }
}

#[test]
fn a_file_of_messages_is_read_as_it_is_loaded() {
    static READ: AtomicUsize = AtomicUsize::new(0);
    let world = World::new();
    let mut load = Load::messages(Endless(&READ), source("pas")).expect("messages");
    for batches in 1..4 {
        let batch = load.next_batch(&world.index).unwrap().expect("messages");
        apply(&world.index, batches, &batch);
        let read = u64::try_from(READ.load(Ordering::Relaxed)).unwrap();
        assert!(read <= batches * 1_000 + 500, "{read} messages after {batches} batches");
    }
}

#[test]
fn a_statement_that_was_made_since_a_load_looked_stays() {
    let world = World::new();
    world.admit("M1", "SMITH^ANN", "19651213");
    let file = in_file("A28", &pid("M1", "SMYTH^ANN", ""));
    let batch = messages(file.clone()).next_batch(&world.index).unwrap().expect("a message");
    world.admit("M1", "SMITH-BROWN^ANN", "");
    apply(&world.index, 70, &batch);
    assert_eq!(world.admit("M1", "", "").previous.expect("stated")["family"], "SMITH-BROWN");
    let batch = messages(file).next_batch(&world.index).unwrap().expect("a message");
    apply(&world.index, 71, &batch);
    assert_eq!(world.admit("M1", "", "").previous.expect("stated")["family"], "SMYTH");
}
