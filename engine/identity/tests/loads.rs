//! Filling the index from files.

use identity::index::{Index, Settings};
use identity::load::{Load, LoadError, Problem};
use record::source::IfStatusAbsent;

use crate::harness::*;

const HEADER: &str = "authority,type,local_id,nhs_number,status,family,given,birth_date,sex\n";

fn csv(rows: &str) -> Load {
    Load::csv(std::io::Cursor::new(format!("{HEADER}{rows}")), source("pas")).expect("a header")
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
        RXX01,MR,M5,9990000019,01,,,,\n");
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
        ]
    );
    assert!(world.show("M2").is_none() && world.show("M5").is_some());
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
    let message = |trigger: &str, body: String| {
        format!("MSH|^~\\&|PAS|RXX01|TIE|RXX|20260701||{}", adt(trigger, &body))
    };
    let vip = format!("{}PV1||N{}S\r", pid("M2", "JONES^BETH", "19700101"), "|".repeat(14));
    let file = [
        "BHS|^~\\&\r".to_owned(),
        message("A28", pid("M1 9990000018", "SMITH^ANN", "19651213")),
        message("A31", vip),
        message("A40", format!("{}{}", pid("M1", "", ""), mrg("M2"))),
        message("A28", pid("", "NOBODY", "")),
        "BTS|4\r".to_owned(),
    ]
    .concat();
    let world = World::new();
    let mut load = Load::messages(file.into_bytes().into(), source("pas")).unwrap();
    run(&world.index, &mut load);
    assert_eq!((load.report().rows, load.report().taken), (4, 2));
    let codes: Vec<_> = load.report().codes.keys().copied().collect();
    assert_eq!(codes, ["identity.none", "merge.approval"]);
    assert!(world.result("M2", "", "").protected);
    // What the source stated is known, so that the next message is a true difference.
    let next = world.admit("M1", "SMITH^ANNA", "");
    assert_eq!(next.previous.expect("loaded")["given"], "ANN");
    assert!(matches!(Load::messages("nothing".into(), source("pas")), Err(LoadError::NoMessage)));
    assert!(matches!(
        Load::csv(std::io::Cursor::new("a,b\n1,2\n"), source("pas")),
        Err(LoadError::Header)
    ));
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
    let codes: Vec<_> = load.report().problems.iter().map(|of| (of.at, of.code)).collect();
    assert_eq!(codes, [(3, unclear), (4, unclear)]);
    assert!(world.show("M1").expect("known").number.is_some());
    assert!(world.show("9990000026").is_none() && world.show("9990000034").is_none());
    assert!(world.show("M2").is_some_and(|known| known.number.is_none()));
}
