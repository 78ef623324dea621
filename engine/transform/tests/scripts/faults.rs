//! Where an error is said to be: the innermost file, line and column.

use crate::{ADMISSION, run_sources, sources};

#[test]
fn an_error_points_to_the_innermost_place() {
    let cases = [
        // (script, library, file, line, column)
        ("fn transform(msg) {\n    throw \"no\";\n}", "", "main.rhai", 2, 5),
        ("fn transform(msg) {\n    let x = 1 / 0;\n}", "", "main.rhai", 2, 15),
        ("fn transform(msg) {\n    msg[\"nonsense\" + 1]\n}", "", "main.rhai", 2, 8),
        ("fn f(x) {\n  x.y\n}\nfn transform(msg) {\n  f(1)\n}", "", "main.rhai", 2, 5),
        (
            "import \"lib/a\" as a;\nfn transform(msg) { a::f(msg) }",
            "fn g(m) {\n\n   throw 1;\n}\nfn f(m) {\n  g(m)\n}",
            "lib/a.rhai",
            3,
            4,
        ),
        (
            "import \"lib/a\" as a;\nfn transform(msg) {\n a::f(|| throw 2)\n}",
            "fn f(callback) { callback.call() }",
            "main.rhai",
            3,
            10,
        ),
    ];
    for (script, library, file, line, column) in cases {
        let mut sources = sources(script);
        sources.scripts.insert("lib/a.rhai".to_owned(), library.to_owned());
        let fault = run_sources(sources, ADMISSION).expect_err(script);
        let place = (fault.file.as_str(), fault.line, fault.column);
        assert_eq!(place, (file, line, column), "{script}\n{}", fault.detail.0);
        assert_eq!(fault.code, "script.error");
    }
}

#[test]
fn a_fault_quotes_the_message_in_its_detail_only() {
    let script = "fn transform(msg) {\n  throw `bad name ${msg[\"PID-5.1\"]}`;\n}";
    let fault = run_sources(sources(script), ADMISSION).expect_err("thrown");
    assert_eq!(fault.detail.0, "bad name MARSH&CO");
    assert_eq!(fault.to_string(), "main.rhai:2:3: script.error");
    assert!(!format!("{fault:?}").contains("MARSH"));
}

#[test]
fn what_was_printed_before_a_fault_is_kept_for_the_tools() {
    let script = "fn transform(msg) { print(\"so far\"); throw \"no\"; }";
    let fault = run_sources(sources(script), ADMISSION).expect_err("thrown");
    assert_eq!(fault.printed, ["so far"]);
}
