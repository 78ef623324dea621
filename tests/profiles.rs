//! A feed is held against what it usually sends: what it does otherwise is counted and named, never
//! quoted, and holds nothing up unless the channel says so.

use serde_json::Value;

use crate::command_line::ask;
use crate::harness::engine::TestEngine;
use crate::harness::setup::Setup;
use crate::straight_through::{admission, events, settled};

/// Two rules that every admission of the stories breaks.
const PROFILE: &str = "profile: \"pas\"
places:
  PID-5: { length: 2 }
  PID-39: { required: true }
";

fn with_profile(on_breach: &str) -> TestEngine {
    let setup = Setup::sample()
        .set("channels.pas-adt.profile.file=pas.yaml")
        .set(&format!("channels.pas-adt.profile.on_breach={on_breach}"));
    setup.write("pas.yaml", PROFILE);
    setup.start()
}

#[test]
fn breaches_are_counted_named_and_shown_without_what_was_said() {
    let engine = with_profile("report");
    let mut sender = engine.connect("pas-adt");
    for control_id in ["C1", "C2"] {
        assert_eq!(sender.ask(admission(control_id, "1000001").text()).code, "AA");
    }
    let status = settled(&engine);
    assert_eq!(status["total"]["published"], 2);
    let channels = status["channels"].as_array().unwrap();
    let breaching = |name: &str| {
        channels.iter().find(|channel| channel["name"] == name).unwrap()["breaching"].clone()
    };
    assert_eq!((breaching("pas-adt"), breaching("social-care")), (2.into(), Value::Null));
    let ran = ask(&engine, &["profile", "report", "--format", "json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let kept: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(kept[0]["messages"], 2);
    let rules = kept[0]["rules"].as_array().unwrap();
    let places: Vec<_> = rules.iter().map(|rule| (&rule["at"], &rule["class"])).collect();
    assert_eq!(
        places,
        [(&"PID-5".into(), &"length".into()), (&"PID-39".into(), &"missing".into())]
    );
    assert_eq!((&rules[0]["messages"], &rules[0]["example"]), (&2.into(), &2.into()));
    let metrics = engine.get("/metrics").body;
    for code in ["profile.length", "profile.missing"] {
        let line = format!("tieline_data_quality_total{{channel=\"pas-adt\",code=\"{code}\"}} 2");
        assert!(metrics.contains(&line), "{line}");
    }
    let screen = ask(&engine, &["profile", "report", "pas-adt"]);
    assert!(screen.out.contains("2 of 2 messages broke a rule"), "{screen:?}");
    assert!(screen.out.lines().all(|line| line.chars().count() <= 80), "{screen:?}");
    assert_eq!(ask(&engine, &["profile", "report", "social-care"]).code, Some(1));
}

#[test]
fn a_breach_parks_where_the_channel_says_so_and_a_release_delivers() {
    let engine = with_profile("park");
    assert_eq!(engine.connect("pas-adt").ask(admission("C1", "1000001").text()).code, "AA");
    settled(&engine);
    let parked = engine.get("/api/v1/parked").json();
    assert_eq!(parked["parked"][0]["reason"], "profile.length");
    let detail = "against the channel's profile: PID-5 length, PID-39 missing";
    assert_eq!(parked["parked"][0]["detail"], detail);
    let id = parked["parked"][0]["id"].to_string();
    let ran = ask(&engine, &["parked", "release", &id, "--reason", "it is well"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(settled(&engine)["total"]["published"], 1);
    assert_eq!(events(&engine).len(), 1);
}

#[test]
fn a_profile_is_learned_from_what_is_stored_and_drift_is_seen() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    for n in 0..25 {
        sender.ask(admission(&format!("C{n:02}"), "1000001").text());
    }
    settled(&engine);
    let ran = ask(&engine, &["profile", "infer", "-n", "pas-adt"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("messages: 25\n") && ran.err.contains("25 messages"), "{ran:?}");
    for secret in ["9990000018", "1000001", "EXAMPLE"] {
        assert!(!ran.out.contains(secret), "{secret} in {}", ran.out);
    }
    let path = engine.setup.path("learned.yaml");
    std::fs::write(&path, &ran.out).unwrap();
    let path = path.to_str().unwrap();
    let same = ask(&engine, &["profile", "diff", path, "-n", "pas-adt"]);
    assert_eq!(same.code, Some(0), "{same:?}");
    for n in 0..5 {
        let text = admission(&format!("D{n:02}"), "1000001").text();
        sender.ask(format!("{text}ZPI|1|new\r"));
    }
    settled(&engine);
    let drift = ask(&engine, &["profile", "diff", path, "-n", "pas-adt"]);
    assert_eq!(drift.code, Some(1), "{drift:?}");
    assert!(drift.out.contains("new segment") && drift.out.contains("ZPI"), "{drift:?}");
    let broken = ask(&engine, &["profile", "diff", "no-such.yaml", "-n", "pas-adt"]);
    assert_eq!(broken.code, Some(2), "{broken:?}");
}
