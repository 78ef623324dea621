//! Lookup tables and settings.

use transform::outcome::{Decision, Outcome};

use crate::{ADMISSION, run_sources, sources};

fn outcome(body: &str) -> Outcome {
    let mut sources = sources(&format!("fn transform(msg) {{ {body} }}"));
    let wards = "code,value,from,to\nW12,old name,,2026-02-28\nW12,Ward 12,2026-03-01,\n";
    sources.tables.insert("wards".to_owned(), wards.to_owned());
    let sites = "code,name,ods\nA,North,RXX01\n";
    sources.tables.insert("sites".to_owned(), sites.to_owned());
    run_sources(sources, ADMISSION).unwrap_or_else(|fault| panic!("{fault}: {}", fault.detail.0))
}

fn value(expression: &str) -> String {
    match outcome(&format!("park(\"value\", {expression})")).decision {
        Decision::Park { detail, .. } => detail.expect("a detail").0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_table_is_asked_for_the_day_of_the_message() {
    assert_eq!(value(r#"table("wards", msg["PV1-3.1"])"#), "Ward 12");
    assert_eq!(value(r#"table("wards", "W99") ?? "miss""#), "miss");
    assert_eq!(value(r#"table("wards", "W99", "default")"#), "default");
    assert_eq!(value(r#"table("sites", "A").ods"#), "RXX01");
    assert_eq!(value(r#"table_required("wards", "W12")"#), "Ward 12");
}

#[test]
fn misses_are_counted_but_an_absent_code_is_none() {
    let outcome = outcome(
        r#"table("wards", "W98"); table("wards", "W99", ""); table("wards", msg["PV1-30"]);
           table("wards", msg["PID-11"]); table("sites", "A"); filter("done")"#,
    );
    assert_eq!(outcome.table_misses.len(), 1);
    assert_eq!(outcome.table_misses["wards"], 2);
}

#[test]
fn a_required_row_that_is_missing_parks_and_cannot_be_caught() {
    let mut sources = sources(
        "fn transform(msg) {\n try { table_required(\"wards\", \"W99\") } catch { filter(\"x\") } }",
    );
    sources.tables.insert("wards".to_owned(), "code,value\nW12,x\n".to_owned());
    let fault = run_sources(sources, ADMISSION).expect_err("a miss");
    assert_eq!((fault.code, fault.file.as_str()), ("table.miss", "main.rhai"));
    assert!(fault.detail.0.contains("W99"));
    assert!(!fault.to_string().contains("W99"));
}

#[test]
fn a_required_row_that_is_missing_in_a_library_is_placed_there() {
    let mut sources = sources("import \"lib/a\" as a;\nfn transform(msg) { a::f() }");
    let library = "fn g() {\n\n  table_required(\"wards\", \"W99\")\n}\nfn f() { g() }";
    sources.scripts.insert("lib/a.rhai".to_owned(), library.to_owned());
    sources.tables.insert("wards".to_owned(), "code,value\nW12,x\n".to_owned());
    let fault = run_sources(sources, ADMISSION).expect_err("a miss");
    assert_eq!((fault.file.as_str(), fault.line, fault.column), ("lib/a.rhai", 3, 3));
}

#[test]
fn settings_are_the_channel_s() {
    assert_eq!(value(r#"setting("site")"#), "RXX01");
    assert_eq!(value(r#"setting("beds") + 1"#), "13");
    assert_eq!(value(r#"setting("colour", "blue")"#), "blue");
}
