//! A script cannot harm the engine: every bound really stops it, in time and in memory.

use std::time::{Duration, Instant};

use transform::fault::{Fault, FaultClass};
use transform::limits::Limits;
use transform::outcome::Decision;

use crate::{ADMISSION, compile, input, run, sources};

fn fault(body: &str, limits: Limits) -> Fault {
    let script = compile(sources(&format!("fn transform(msg) {{ {body} }}")), limits)
        .unwrap_or_else(|problems| panic!("{problems:?}"));
    let begun = Instant::now();
    let fault = script.run(input(ADMISSION)).expect_err(body);
    assert!(begun.elapsed() < Duration::from_secs(20), "{body}: {:?}", begun.elapsed());
    fault
}

/// Memory and depth are not to be hidden by the clock.
fn unhurried() -> Limits {
    Limits { time: Duration::from_mins(1), ..Limits::default() }
}

#[test]
fn an_endless_loop_ends_by_operations_or_by_time() {
    let endless = "loop { let x = 1; }";
    assert_eq!(fault(endless, unhurried()).class, FaultClass::Operations);
    let hurried =
        Limits { operations: u64::MAX, time: Duration::from_millis(20), ..Limits::default() };
    let stopped = fault(endless, hurried);
    assert_eq!((stopped.class, stopped.code), (FaultClass::Time, "limit.time"));
    assert_eq!(stopped.line, 1);
}

#[test]
fn a_limit_names_the_place_where_the_script_was() {
    let script = "import \"lib/a\" as a;\nfn transform(msg) {\n  let s = \"x\";\n  a::grow(s)\n}";
    let cases = [
        ("fn grow(s) {\n  let t = s;\n  loop {\n    t += t;\n  }\n}", "limit.memory", 4, 5),
        ("fn grow(s) {\n  let n = 1;\n  loop {\n    n = 3 - n;\n  }\n}", "limit.operations", 4, 0),
        ("fn grow(s) {\n  grow(s)\n}", "limit.depth", 2, 8),
    ];
    for (library, code, line, column) in cases {
        let mut sources = sources(script);
        sources.scripts.insert("lib/a.rhai".to_owned(), library.to_owned());
        let script = compile(sources, unhurried()).expect("a script");
        let fault = script.run(input(ADMISSION)).expect_err(library);
        let place = (fault.code, fault.file.as_str(), fault.line);
        assert_eq!(place, (code, "lib/a.rhai", line), "{library}");
        assert!(column == 0 || fault.column == column, "{library}: {}", fault.column);
    }
}

#[test]
fn a_limit_cannot_be_caught() {
    let caught = "loop { try { loop {} } catch { } }";
    assert_eq!(fault(caught, unhurried()).class, FaultClass::Operations);
    let caught = r#"try { let s = "x"; loop { s += s; } } catch { filter("caught") }"#;
    assert_eq!(fault(caught, unhurried()).class, FaultClass::Memory);
}

#[test]
fn recursion_ends_by_depth() {
    let script = "fn down(n) { down(n + 1) } fn transform(msg) { down(0) }";
    let script = compile(sources(script), unhurried()).expect("a script");
    let fault = script.run(input(ADMISSION)).expect_err("endless recursion");
    assert_eq!((fault.class, fault.code), (FaultClass::Depth, "limit.depth"));
}

#[test]
fn bombs_end_by_memory() {
    let mebibyte = r#"let s = "a"; s.pad(1000000, "a");"#;
    for bomb in [
        r#"let s = "0123456789"; loop { s += s; }"#,
        r"let a = [1]; loop { a += a; }",
        r"let a = []; loop { a = [a, a]; }",
        r#"let a = []; loop { a.push("0123456789012345678901234567890123456789"); }"#,
        r"let a = []; a.pad(1000000000, 1);",
        r#"let s = ""; s.pad(1000000000, "ab");"#,
        r#"let s = ""; s.pad(1000000000, 'a');"#,
        &format!(r#"{mebibyte} let b = s; s.replace("a", b);"#),
        &format!(r#"{mebibyte} let b = s; s.replace("", b);"#),
        &format!(r"{mebibyte} let b = s; s.replace('a', b);"),
        &format!(r#"{mebibyte} s.split("")"#),
        &format!(r"{mebibyte} s.split('a')"),
        &format!(r#"{mebibyte} s.split("a", 500000)"#),
        &format!(r#"{mebibyte} s.split_rev("a")"#),
        &format!(r"{mebibyte} s.to_chars()"),
        &format!(r#"{mebibyte} s.replace("a", " "); s.replace(" ", "a "); s.split()"#),
        &format!(r"{mebibyte} let m = #{{ a: s, b: s }}; to_json(m)"),
    ] {
        let stopped = fault(bomb, unhurried());
        assert_eq!(stopped.code, "limit.memory", "{bomb}: {}", stopped.detail.0);
    }
}

#[test]
fn a_script_cannot_wait() {
    for body in ["sleep(3600)", "sleep(3600.0)"] {
        assert_eq!(fault(body, Limits::default()).code, "script.error");
    }
}

#[test]
fn there_is_no_clock_and_no_eval() {
    for body in ["timestamp()", "eval(\"1\")"] {
        let script = format!("fn transform(msg) {{ {body} }}");
        assert!(compile(sources(&script), Limits::default()).is_err(), "{body}");
    }
}

#[test]
fn nothing_outside_the_libraries_can_be_imported() {
    for path in [
        "../secret",
        "/etc/passwd",
        "lib/../main",
        "main",
        "main.rhai",
        "lib/x.rhai",
        "lib//x",
        "./lib/x",
        "lib/x ",
        "LIB/x",
        "",
    ] {
        let mut sources = sources(&format!("import \"{path}\" as x; fn transform(msg) {{ }}"));
        sources.scripts.insert("lib/x.rhai".to_owned(), "fn f() { }".to_owned());
        sources.scripts.insert("secret.rhai".to_owned(), "fn f() { }".to_owned());
        assert!(compile(sources, Limits::default()).is_err(), "{path}");
    }
    // A computed path is no literal, and is refused as well.
    let computed = "fn transform(msg) { let p = \"lib/x\"; import p as x; }";
    let mut sources = sources(computed);
    sources.scripts.insert("lib/x.rhai".to_owned(), "fn f() { }".to_owned());
    assert!(compile(sources, Limits::default()).is_err());
}

#[test]
fn events_and_their_data_are_bounded() {
    let flood = r#"loop { emit("patient.updated", patient(msg)); }"#;
    assert_eq!(fault(flood, unhurried()).code, "limit.memory");

    let limits = Limits { output: 20_000, ..unhurried() };
    let script = compile(
        sources(
            r#"fn transform(msg) {
                let s = "a"; s.pad(9000, "a");
                let r = resource(#{ resourceType: "Basic", text: s });
                for n in 0..10 { emit("patient.updated", r); }
            }"#,
        ),
        limits,
    )
    .expect("a script");
    let outcome = script.run(input(ADMISSION)).expect("a decision");
    assert!(matches!(outcome.decision, Decision::Park { code, .. } if code == "too-large"));
}

#[test]
fn what_is_printed_is_bounded() {
    let body = r#"let s = "a"; s.pad(100000, "a"); print(s); print("more"); filter("done")"#;
    let outcome = run(body, ADMISSION).expect("an outcome");
    let printed: usize = outcome.printed.iter().map(String::len).sum();
    assert_eq!(printed, 64 << 10);
}

#[test]
fn a_run_that_failed_leaves_nothing_to_the_next() {
    let script = compile(
        sources(
            r#"fn transform(msg) {
                quality("seen"); print("seen");
                if msg["MSH-10"] == "M2" { loop { } }
                filter("done")
            }"#,
        ),
        Limits { operations: 10_000, ..unhurried() },
    )
    .expect("a script");
    for _ in 0..3 {
        let outcome = script.run(input(ADMISSION)).expect("an outcome");
        assert_eq!(outcome.quality["seen"], 1);
        assert_eq!(outcome.printed, ["seen"]);
        assert!(script.run(input(crate::RESULTS)).is_err());
    }
}
