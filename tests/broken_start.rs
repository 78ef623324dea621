//! What stops a start says so in one clear line, and nothing was acknowledged.

use std::net::TcpListener;

use crate::harness::setup::Setup;
use crate::straight_through::admission;

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let ran = Setup::sample()
        .set(&format!("channels.pas-adt.listener.mllp.listen={address}"))
        .start_refused();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains(&address.to_string()) && ran.err.contains("pas-adt"), "{}", ran.err);
}

#[test]
fn a_data_folder_that_cannot_be_made_is_named() {
    let setup = Setup::sample();
    setup.write("data", "a file where the folder should be");
    let ran = setup.start_refused();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("data"), "{}", ran.err);
}

#[test]
fn a_second_engine_on_the_same_data_is_refused() {
    let engine = Setup::sample().start();
    let ran = engine.setup.start_refused();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(engine.connect("pas-adt").ask(admission("C1", "1000001").text()).code, "AA");
}

#[test]
fn a_broken_configuration_shows_every_problem_with_its_place() {
    let setup = Setup::sample();
    let text = std::fs::read_to_string(setup.path("channels.yaml")).unwrap();
    let broken = text.replacen("Europe/London", "Europe/Lundon", 1).replacen(
        "RXX01, type",
        "RXX01, kind",
        1,
    );
    assert_ne!(text, broken);
    setup.write("channels.yaml", &broken);
    let ran = setup.start_refused();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("channels.yaml:"), "{}", ran.err);
}

#[test]
fn a_broken_script_stops_the_start_and_names_line_and_column() {
    let setup = Setup::sample();
    setup.write(
        "transforms/pas_adt.rhai",
        "fn transform(msg) {\n    emit(\"encounter.admitted\" encounter(msg));\n}\n",
    );
    let ran = setup.start_refused();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("pas_adt.rhai:2:"), "{}", ran.err);
}

#[test]
fn or_last_good_starts_on_the_activated_copy_and_says_so() {
    let mut engine = Setup::sample().flag("--or-last-good").start();
    assert_eq!(engine.terminate(), Some(0));
    engine.setup.write("transforms/pas_adt.rhai", "fn transform(msg) {");
    engine.start_again();
    assert_eq!(engine.connect("pas-adt").ask(admission("C1", "1000001").text()).code, "AA");
    assert!(engine.written().contains("last good"), "{}", engine.written());
}
