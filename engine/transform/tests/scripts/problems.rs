//! What compiling finds before any message comes.

use transform::limits::Limits;
use transform::problem::{ScriptProblem, Severity};

use crate::{compile, sources};

fn problems(script: &str) -> Vec<ScriptProblem> {
    let mut sources = sources(script);
    sources.tables.insert("wards".to_owned(), "code,value\nW12,x\n".to_owned());
    let library = "fn admit(msg) { } private fn hidden() { }";
    sources.scripts.insert("lib/uk_adt.rhai".to_owned(), library.to_owned());
    compile(sources, Limits::default()).err().unwrap_or_default()
}

/// One problem in a body whose lines begin at 2.
fn one(body: &str) -> (u32, u32, String) {
    let found =
        problems(&format!("import \"lib/uk_adt\" as adt; fn transform(msg) {{\n{body}\n}}"));
    match found.as_slice() {
        [problem] => (problem.line, problem.column, problem.to_string()),
        other => panic!("{body}: {other:#?}"),
    }
}

#[test]
fn no_two_files_call_functions_of_one_name() {
    let found = |library: &str, script: &str| {
        let mut sources = sources(&format!("import \"lib/uk_adt\" as adt; {script}"));
        sources.scripts.insert("lib/uk_adt.rhai".to_owned(), library.to_owned());
        let found = compile(sources, Limits::default()).err().unwrap_or_default();
        found.iter().map(|problem| (problem.file.clone(), problem.line)).collect::<Vec<_>>()
    };
    let library = "fn admit(msg) {\n update(msg) }\n fn update(msg) { filter(\"done\") }";
    let both = "fn transform(msg) { adt::admit(msg); update(msg) }\nfn update(msg) { }";
    let [entry, file] = ["main.rhai", "lib/uk_adt.rhai"].map(str::to_owned);
    assert_eq!(found(library, both), [(file, 2), (entry.clone(), 1)]);
    // The words of the engine are functions, too.
    let word = "fn transform(msg) { text(msg[\"PID-8\"]); adt::admit(msg) } fn text(value) { }";
    assert_eq!(found("fn admit(msg) { print(text(1)) }", word), [(entry, 1)]);
    // A name with another count of values is another function, and so is one of a library by its name.
    for script in [
        "fn transform(msg) { update(msg, 1) } fn update(msg, n) { adt::update(msg) }",
        "fn transform(msg) { adt::admit(msg) } fn update(msg) { }",
    ] {
        assert_eq!(found(library, script), []);
    }
}

#[test]
fn names_in_literals_are_checked_where_they_stand() {
    let cases = [
        (r#"emit("encounter.admited", 1)"#, 6, "did you mean `encounter.admitted`"),
        (r#"emit("patient.merged", 1)"#, 6, "made by the engine"),
        (r#"filter("Not Used")"#, 8, "is not a code"),
        (r#"park("trigger.unknown2")"#, 6, "is not a code"),
        (r#"let c = "x"; park(c)"#, 19, "must stand here as a literal"),
        (r#"quality("W12")"#, 9, "is not a code"),
        (r#"table("ward", "x")"#, 7, "did you mean `wards`"),
        (r#"table_required("ward", "x")"#, 16, "did you mean `wards`"),
        (r#"setting("sit")"#, 9, "did you mean `site`"),
        (r#"msg["PID5.1"]"#, 5, "PID5.1"),
        (r#"msg["PID-5.0"]"#, 5, "PID-5.0"),
        (r#"let x = msg["PID-3"] + msg["PID-x"];"#, 28, "PID-x"),
        (r#"for obr in msg.groups(["ORC"]) { obr["OBR-"]; }"#, 38, "OBR-"),
        (r#"msg.segments("obx")"#, 14, "not a segment name"),
        (r#"msg.groups(["ORC", "OB"])"#, 20, "not a segment name"),
        (r#"if msg.has("PID-") { }"#, 12, "PID-"),
        (r#"msg["PV1-3."] = "x""#, 5, "PV1-3."),
        (r#"emti("patient.updated", 1)"#, 1, "did you mean `emit`"),
        (r#"emit("patient.updated")"#, 1, "takes 2 or 3 values, not 1"),
        (r"adt::admitt(msg)", 6, "did you mean `admit`"),
        (r"adt::admit()", 6, "takes 1 values, not 0"),
        (r"adt::hidden()", 6, "no function `hidden`"),
        (r#"for o in msg.segments("OBX") { o.nots() }"#, 34, "did you mean `notes`"),
        (r"unknown_variable", 1, "unknown_variable"),
        (r"identty.nhs_number", 1, "did you mean `identity`"),
        (r"let go = 1;", 5, "reserved"),
        (r"let x = ;", 9, ""),
    ];
    for (body, column, text) in cases {
        let (line, at, problem) = one(body);
        assert_eq!((line, at), (2, column), "{body}: {problem}");
        assert!(problem.contains(text), "{body}: {problem}");
    }
}

#[test]
fn good_scripts_have_no_problems() {
    for body in [
        r"let f = |x| x + 1; let y = f.call(1); [1, 2].map(|v| v + y).filter(|v| v > 1);",
        r#"let m = #{ PID: 1 }; m["PID"]; m["some-key"]; m.keys(); type_of(m); "a".to_upper();"#,
        r#"switch msg["MSH-9.2"] { "A01" => adt::admit(msg), _ => park("trigger.unknown") }"#,
        r#"setting("colour", "blue"); table("wards", msg["PV1-3"], "x"); print(identity);"#,
        r"own(msg); msg.own_method();",
    ] {
        let script = format!(
            "import \"lib/uk_adt\" as adt; const WARD = \"W12\";\n\
             fn own(msg) {{ global::WARD }} fn own_method() {{ this[\"PID-3\"] }}\n\
             fn transform(msg) {{ {body} }}"
        );
        let found = problems(&script);
        assert!(found.is_empty(), "{body}: {found:#?}");
    }
}

#[test]
fn all_problems_of_all_files_are_listed() {
    let mut sources = sources(
        "import \"lib/a\" as a;\nimport \"lib/b\" as b;\nimport \"lib/uk\" as c;\nlet x = 1;\n",
    );
    sources.scripts.insert("lib/a.rhai".to_owned(), "fn f() { park(\"X\") }\nfn (".to_owned());
    sources.scripts.insert("lib/b.rhai".to_owned(), "fn f() { park(\"X\") }".to_owned());
    sources.tables.insert("wards".to_owned(), "code\n".to_owned());
    let found = compile(sources, Limits::default()).expect_err("problems");
    let places: Vec<_> = found.iter().map(|p| (p.file.as_str(), p.line)).collect();
    assert_eq!(
        places,
        [
            ("lib/a.rhai", 2),
            ("lib/b.rhai", 1),
            ("main.rhai", 3),
            ("main.rhai", 4),
            ("main.rhai", 0)
        ],
        "{found:#?}"
    );
}

#[test]
fn a_table_that_is_used_and_broken_is_a_problem() {
    for lookup in [r#"table("wards", "x")"#, r#"let t = "wards"; table(t, "x")"#] {
        let mut sources = sources(&format!("fn transform(msg) {{ {lookup}; filter(\"x\") }}"));
        sources.tables.insert("wards".to_owned(), "code,value\nA\n".to_owned());
        let found = compile(sources, Limits::default()).expect_err("a broken table");
        assert_eq!((found[0].file.as_str(), found[0].line), ("tables/wards.csv", 2));
    }
}

#[test]
fn a_default_that_filters_is_a_warning_and_does_not_stand_in_the_way() {
    for default in [r#"filter("x")"#, r#"{ print("y"); filter("x") }"#, r#"{ filter("x"); }"#] {
        let script = format!(
            "fn transform(msg) {{\n switch msg[\"MSH-9.2\"] {{ \"A01\" => park(\"x\"), _ => {default} }}\n}}"
        );
        let script = compile(sources(&script), Limits::default()).expect("a script");
        let [warning] = script.warnings() else { panic!("{:?}", script.warnings()) };
        assert_eq!((warning.severity, warning.line), (Severity::Warning, 2));
    }
    let elsewhere = "fn f(x) { switch x { 1 => 2, _ => filter(\"x\") } }\n\
                     fn transform(msg) { switch 1 { 1 => f(1), _ => park(\"x\") } }";
    let script = compile(sources(elsewhere), Limits::default()).expect("a script");
    assert!(script.warnings().is_empty(), "{:?}", script.warnings());
}

#[test]
fn libraries_that_import_each_other_in_a_circle_are_refused() {
    let mut sources = sources("import \"lib/a\" as a; fn transform(msg) { a::f() }");
    sources.scripts.insert("lib/a.rhai".to_owned(), "import \"lib/b\" as b; fn f() { }".to_owned());
    sources.scripts.insert("lib/b.rhai".to_owned(), "import \"lib/a\" as a; fn f() { }".to_owned());
    let found = compile(sources, Limits::default()).expect_err("a circle");
    assert!(found.iter().any(|p| p.message.contains("circle")), "{found:#?}");
}

#[test]
fn libraries_may_use_libraries() {
    let mut sources =
        sources("import \"lib/a\" as a; fn transform(msg) { a::f(msg); filter(\"not-reached\") }");
    let inner = "const CODE = 3; fn g(msg) { park(\"reached\", global::CODE + msg[\"PV1-2\"]) }";
    sources.scripts.insert("lib/b.rhai".to_owned(), inner.to_owned());
    sources.scripts.insert(
        "lib/a.rhai".to_owned(),
        "import \"lib/b\" as b; fn f(msg) { b::g(msg) }".to_owned(),
    );
    let script = compile(sources, Limits::default()).expect("a script");
    assert_eq!(script.files(), ["main.rhai", "lib/a.rhai", "lib/b.rhai"]);
    let outcome = script.run(crate::input(crate::ADMISSION)).expect("an outcome");
    let transform::outcome::Decision::Park { code, detail } = outcome.decision else {
        panic!("not parked")
    };
    assert_eq!((code.as_str(), detail.expect("a detail").0.as_str()), ("reached", "3I"));
}

#[test]
fn a_script_that_is_not_there_is_a_problem() {
    let sources = std::sync::Arc::new(sources("fn transform(msg) { }"));
    let compiled = transform::script::Script::compile(
        &sources,
        "mian.rhai",
        std::collections::BTreeMap::new(),
        Limits::default(),
    );
    let found = compiled.expect_err("no such script");
    assert!(found[0].to_string().contains("did you mean `main.rhai`"), "{}", found[0]);
}

#[test]
fn every_function_of_the_reference_is_described_in_one_line() {
    let functions = transform::docs::functions();
    assert!(functions.len() > 30);
    for function in functions {
        assert!(function.doc.ends_with('.') && !function.doc.contains('\n'), "{function:?}");
        assert!(!function.doc.contains("  "), "{function:?}");
    }
}
