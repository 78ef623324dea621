//! Subscribers to whom the engine itself delivers: each event, in order, however often the other side
//! goes away.

use serde_json::{Value, json};

use crate::command_line::ask;
use crate::finding::asked_with;
use crate::harness::engine::TestEngine;
use crate::harness::hook::TestHook;
use crate::harness::setup::Setup;
use crate::harness::{SOON, until};
use crate::straight_through::{admission, drained, events};

fn sample(hook: &TestHook, more: &str) -> Setup {
    let http = format!("{{http: {{url: '{}'{more}}}}}", hook.url());
    Setup::sample().set(&format!("subscribers={{hub: {{receives: ['*'], deliver: {http}}}}}"))
}

fn bodies(hook: &TestHook, count: usize) -> Vec<Value> {
    hook.take(count).into_iter().map(|posted| posted.body).collect()
}

/// How the engine says it stands with the subscriber.
fn standing(engine: &TestEngine) -> Value {
    engine.get("/api/v1/status").json()["subscribers"][0].clone()
}

#[test]
fn events_are_posted_as_they_stand_on_disk_and_in_order() {
    let hook = TestHook::start();
    let headers = ", headers: [{name: Authorization, value: {env: HUB_TOKEN}}]";
    let engine = sample(&hook, headers).variable("HUB_TOKEN", "Bearer t0ken").start();
    let mut sender = engine.connect("pas-adt");
    for number in 0..30 {
        sender.ask(admission(&format!("C{number:02}"), &format!("10000{:02}", number % 5)).text());
    }
    drained(&engine);
    assert_eq!(bodies(&hook, 30), events(&engine));
    let first = &hook.taken()[0];
    assert_eq!(first.lines[0], "post /events http/1.1");
    let has = |line: &str| first.lines.iter().any(|each| each == line);
    assert!(has("content-type: application/cloudevents+json"), "{:?}", first.lines);
    assert!(has("authorization: bearer t0ken"), "{:?}", first.lines);
    let standing = standing(&engine);
    assert_eq!((&standing["name"], &standing["state"]), (&json!("hub"), &json!("delivering")));
    assert!(!engine.written().contains("t0ken"));
}

#[test]
fn nothing_is_lost_while_nobody_answers_and_the_engine_is_killed() {
    let away = TestHook::start();
    let mut engine = sample(&away, "").start();
    engine.connect("pas-adt").ask(admission("C0", "1000001").text());
    away.take(1);
    away.answer(std::iter::repeat_n("503 Busy", 3));
    for number in 1..6 {
        engine.connect("pas-adt").ask(admission(&format!("C{number}"), "1000001").text());
    }
    until("events after the refusals", SOON, || (away.taken().len() == 6).then_some(()));
    assert_eq!(away.refused(), 3);
    assert_eq!(bodies(&away, 6), events(&engine), "in order, none twice");
    away.answer(std::iter::repeat_n("503 Busy", 1000));
    for number in 6..12 {
        engine.connect("pas-adt").ask(admission(&format!("C{number}"), "1000001").text());
    }
    until("a subscriber that is retried", SOON, || {
        (standing(&engine)["state"] == "retrying").then_some(())
    });
    drained(&engine);
    let attention = engine.get("/api/v1/status").json()["attention"].to_string();
    assert!(attention.contains("delivery to hub is retrying"), "{attention}");
    engine.kill();
    let back = TestHook::start();
    let url = back.url();
    engine.setup.replace_set(&format!(
        "subscribers={{hub: {{receives: ['*'], deliver: {{http: {{url: '{url}'}}}}}}}}"
    ));
    engine.start_again();
    let all = events(&engine);
    assert_eq!(all.len(), 12);
    let second = until("the rest", SOON, || {
        let second: Vec<Value> = back.taken().into_iter().map(|posted| posted.body).collect();
        (second.last() == all.last()).then_some(second)
    });
    // What was taken within the last second before the end may come twice, never too little.
    let from = 12 - second.len();
    assert!(from <= 6, "{from}");
    assert_eq!(second, all[from..]);
}

#[test]
fn what_is_refused_for_good_stops_the_line_until_channels_yaml_says_otherwise() {
    let hook = TestHook::start();
    hook.answer(std::iter::repeat_n("400 No", 100));
    let mut engine = sample(&hook, "").start();
    for number in 0..3 {
        engine.connect("pas-adt").ask(admission(&format!("C{number}"), "1000001").text());
    }
    let paused = until("a paused subscriber", SOON, || {
        let standing = standing(&engine);
        (standing["state"] == "paused").then_some(standing)
    });
    assert!(paused["trouble"].as_str().is_some_and(|text| text.contains("400")), "{paused}");
    until("the alarm", SOON, || {
        let metrics = engine.get("/metrics").body;
        metrics
            .contains("tieline_alarms{kind=\"delivery-refused\",channel=\"hub\"} 1")
            .then_some(())
    });
    assert_eq!(hook.taken().len(), 0, "nothing passes it");
    assert_eq!(engine.terminate(), Some(0));
    hook.answer(["400 No"]);
    engine.setup.replace_set(&format!(
        "subscribers={{hub: {{receives: ['*'], deliver: {{http: {{url: '{}', refused: skip}}}}}}}}",
        hook.url()
    ));
    engine.start_again();
    let all = events(&engine);
    assert_eq!(bodies(&hook, 2), all[1..]);
    let log = engine.said("an event is refused and left out", 1);
    assert!(!log.contains("9990000018"), "{log}");
}

#[test]
fn one_event_that_is_refused_is_left_out_for_one_subscriber_by_a_person() {
    let hook = TestHook::start();
    hook.answer(["400 No"]);
    let engine = sample(&hook, "").start();
    for number in 0..3 {
        engine.connect("pas-adt").ask(admission(&format!("C{number}"), "1000001").text());
    }
    let paused = until("a paused subscriber", SOON, || {
        let standing = standing(&engine);
        (standing["state"] == "paused").then_some(standing)
    });
    assert_eq!(paused["message"], 1, "{paused}");
    let skip = |id: &str, name: &str| {
        let words = ["parked", "skip", id, "--subscriber", name, "--reason", "agreed with the hub"];
        asked_with(&engine, &words, "")
    };
    for (id, name) in [("2", "hub"), ("1", "nobody")] {
        let (code, out, err) = skip(id, name);
        assert!(code == Some(1) && err.contains("refuses no event"), "{out}{err}");
    }
    let (code, out, err) = skip("1", "hub");
    assert_eq!(code, Some(0), "{out}{err}");
    let all = events(&engine);
    assert_eq!(bodies(&hook, 2), all[1..]);
    let audit = engine.get("/api/v1/audit").body;
    assert!(audit.contains("\"skip-for\"") && audit.contains("for hub"), "{audit}");
}

#[test]
fn what_a_paused_channel_made_waits_over_a_kill_and_then_goes_on() {
    let hook = TestHook::start();
    hook.answer(std::iter::repeat_n("503 Busy", 1000));
    let mut engine = sample(&hook, "").start();
    engine.connect("pas-adt").ask(admission("C0", "1000001").text());
    until("a subscriber that is retried", SOON, || {
        (standing(&engine)["state"] == "retrying").then_some(())
    });
    drained(&engine);
    let ran = ask(&engine, &["pause", "pas-adt", "--delivery", "--reason", "wrong ward names"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let waits = |engine: &TestEngine| {
        until("one that waits for its channel", SOON, || {
            let trouble = standing(engine)["trouble"].to_string();
            trouble.contains("channel pas-adt is paused").then_some(())
        });
    };
    waits(&engine);
    // From now on it would be taken.
    hook.answer([]);
    engine.kill();
    engine.start_again();
    waits(&engine);
    assert_eq!(hook.taken().len(), 0);
    let ran = ask(&engine, &["resume", "pas-adt", "--delivery", "--reason", "names are mended"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(bodies(&hook, 1), events(&engine));
}

#[test]
fn a_subscriber_comes_and_goes_with_a_reload() {
    let hook = TestHook::start();
    let engine = Setup::sample().start();
    let yaml = std::fs::read_to_string(engine.setup.path("channels.yaml")).expect("read");
    engine.connect("pas-adt").ask(admission("C0", "1000001").text());
    drained(&engine);
    let (before, after) = yaml.split_once("\nsubscribers:").expect("the section of subscribers");
    let hub =
        format!("  hub: {{ receives: ['*'], deliver: {{ http: {{ url: '{}' }} }} }}", hook.url());
    engine.setup.write("channels.yaml", &format!("{before}\nsubscribers:\n{hub}{after}"));
    engine.hang_up();
    engine.said("configuration reloaded", 1);
    engine.connect("pas-adt").ask(admission("C1", "1000001").text());
    let taken = bodies(&hook, 1);
    assert_eq!(taken[0]["correlationid"], "C1", "from now on, not from the beginning");
    engine.setup.write("channels.yaml", &yaml);
    engine.hang_up();
    engine.said("configuration reloaded", 2);
    engine.connect("pas-adt").ask(admission("C2", "1000001").text());
    drained(&engine);
    assert_eq!(standing(&engine), Value::Null);
    assert_eq!(hook.taken().len(), 1);
}

#[test]
fn the_multicast_service_gets_signals_without_content() {
    let hook = TestHook::start();
    let mns = ", format: {mns: {source: uk.nhs.rxx-tie, producer: rxx, \
        dataref: 'https://tie.rxx.example/events/{id}'}}";
    let engine = sample(&hook, mns).start();
    let mut sender = engine.connect("pas-adt");
    let nobody = crate::harness::message::Adt { nhs_number: None, ..admission("C0", "1000002") };
    sender.ask(nobody.text());
    sender.ask(admission("C1", "1000001").text());
    drained(&engine);
    let signal = &bodies(&hook, 1)[0];
    // Those of different patients leave in any order.
    let events = events(&engine);
    let event = events.iter().find(|event| event["correlationid"] == "C1").expect("published");
    let id = event["id"].as_str().expect("an id");
    assert_eq!(
        *signal,
        json!({
            "specversion": "1.0", "id": id, "source": "uk.nhs.rxx-tie",
            "type": "rxx-encounter-admitted-1", "time": "2026-01-15T10:10:00Z",
            "subject": "9990000018", "dataref": format!("https://tie.rxx.example/events/{id}"),
            "versionid": "W/\"2.1\"",
            "filtering": { "sourceorganisation": "RXX", "action": "CREATE" },
        })
    );
    assert_eq!(standing(&engine)["omitted"], 1, "without a trusted number nobody is told");
}

#[test]
fn a_subscription_notification_is_a_bundle_of_history() {
    let hook = TestHook::start();
    let shape = ", format: {subscription-notification: {subscription: 'https://tie.rxx.example/subscriptions', \
        hydrate: true, signal: {source: uk.nhs.rxx-tie, producer: rxx, dataref: 'https://tie.rxx.example/{id}'}}}";
    let engine = sample(&hook, shape).start();
    engine.connect("pas-adt").ask(admission("C1", "1000001").text());
    let posted = &hook.take(1)[0];
    assert!(posted.lines.iter().any(|line| line == "content-type: application/fhir+json"));
    let event = &events(&engine)[0];
    let body = &posted.body;
    assert_eq!((&body["resourceType"], &body["type"]), (&json!("Bundle"), &json!("history")));
    assert_eq!((&body["id"], &body["timestamp"]), (&event["id"], &json!("2026-01-15T10:10:00Z")));
    let parameters = body["entry"][0]["resource"]["parameter"].as_array().expect("parameters");
    let names: Vec<&str> = parameters.iter().filter_map(|each| each["name"].as_str()).collect();
    let wanted = ["subscription", "status", "type", "notification-event", "additional-context"];
    assert_eq!(names, wanted);
    assert_eq!(body["entry"][1]["resource"], event["data"]);
}
