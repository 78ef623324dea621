//! Who gets sensitive events, and until when: in RabbitMQ's own bindings, and in what the events say.

use serde_json::Value;

use crate::harness::SOON;
use crate::harness::amqp::TestBroker;
use crate::harness::engine::TestEngine;
use crate::harness::message::Adt;
use crate::harness::setup::Setup;
use crate::straight_through::{admission, drained, events};

/// A message with one field set; the segment is added if it is not there.
fn with(text: &str, segment: &str, number: usize, value: &str) -> String {
    let mut lines: Vec<String> =
        text.split('\r').filter(|l| !l.is_empty()).map(str::to_owned).collect();
    if !lines.iter().any(|line| line.starts_with(segment)) {
        lines.push(segment.to_owned());
    }
    for line in lines.iter_mut().filter(|line| line.starts_with(segment)) {
        let mut fields: Vec<&str> = line.split('|').collect();
        // MSH-1 is the separator itself.
        let at = if segment == "MSH" { number - 1 } else { number };
        fields.resize(fields.len().max(at + 1), "");
        fields[at] = value;
        *line = fields.join("|");
    }
    lines.join("\r") + "\r"
}

fn entitled(sees: &str, until: &str) -> String {
    format!(
        "restricted: true, entitlements: [{{sees: {sees}, justification: Direct care after review, \
         approved_by: A Person (Caldicott Guardian), until: {until}}}]"
    )
}

/// One admission of each kind, each of another patient.
fn send(engine: &TestEngine) {
    let mut sender = engine.connect("pas-adt");
    let plain = |control_id, hospital_number, nhs_number: &str| {
        let nhs_number = Some(nhs_number.to_owned());
        Adt { nhs_number, ..admission(control_id, hospital_number) }.text()
    };
    sender.ask(plain("PLAIN", "1000001", "9990000018"));
    sender.ask(with(&plain("PROTECTED", "1000002", "9990000026"), "PV1", 16, "S"));
    sender.ask(with(&plain("DISSENT", "1000003", "9990000034"), "ZU8", 2, "2"));
    sender.ask(with(&plain("ARCHIVE", "1000004", "9990000042"), "MSH", 11, "P^A"));
    drained(engine);
}

/// Which of the admissions an event is of.
fn of(event: &Value) -> String {
    event["correlationid"].as_str().unwrap_or_default().to_owned()
}

/// Which admissions a queue holds, sorted; it must hold so many and no more.
fn admissions(broker: &TestBroker, queue: &str, count: usize) -> Vec<(String, String)> {
    assert_eq!(broker.count(queue) as usize, count, "{queue}");
    let taken = broker.take_all(queue, count, SOON);
    let mut found: Vec<(String, String)> = taken
        .into_iter()
        .map(|delivery| {
            let event: Value = serde_json::from_slice(&delivery.data).expect("an event");
            (of(&event), delivery.routing_key.to_string())
        })
        .collect();
    found.sort();
    found
}

fn row(control_id: &str, word: &str) -> (String, String) {
    (control_id.to_owned(), format!("RXX.encounter.admitted.{word}"))
}

#[test]
fn each_gets_what_it_is_entitled_to_and_nobody_gets_the_whereabouts() {
    let broker = TestBroker::shared();
    let exchange = broker.name("events");
    broker.name("events.restricted");
    broker.name("events.bulk");
    let names = ["portal", "records", "home", "away", "lapsed", "warehouse"];
    let [portal, records, home, away, lapsed, warehouse] = names.map(|name| broker.name(name));
    let all = |name: &str, queue: &str, more: &str| {
        format!("{name}: {{receives: ['encounter.*'], queue: {queue}, {more}}}")
    };
    let later = "2099-12-31";
    let subscribers = [
        all("portal", &portal, "from: [RXX]"),
        all("records", &records, &entitled("protected", later)),
        all("home", &home, &format!("organisation: RXX, {}", entitled("dissent", later))),
        all("away", &away, &format!("organisation: RYY, {}", entitled("dissent", later))),
        all("lapsed", &lapsed, &entitled("protected", "2020-12-31")),
        all("warehouse", &warehouse, "bulk: true"),
    ];
    let engine = Setup::sample()
        .variable("TEST_BROKER_URL", broker.url())
        .set("broker.amqp.url.env=TEST_BROKER_URL")
        .set(&format!("broker.amqp.exchange={exchange}"))
        .set(&format!("subscribers={{{}}}", subscribers.join(", ")))
        .start();
    send(&engine);
    let plain = || row("PLAIN", "normal");
    let wanted = [
        (&portal, vec![plain()]),
        (&records, vec![plain(), row("PROTECTED", "restricted")]),
        (&home, vec![row("DISSENT", "dissent"), plain()]),
        (&away, vec![plain()]),
        (&lapsed, vec![plain()]),
        (&warehouse, vec![row("ARCHIVE", "bulk"), plain()]),
    ];
    for (queue, wanted) in wanted {
        assert_eq!(admissions(&broker, queue, wanted.len()), wanted, "{queue}");
    }
    let protected: Vec<Value> =
        events(&engine).into_iter().filter(|event| of(event) == "PROTECTED").collect();
    assert!(!protected.is_empty());
    for event in protected {
        assert_eq!(
            (&event["sensitivity"], &event["restrictions"]),
            (&"restricted".into(), &"protected".into())
        );
        let text = event.to_string();
        for whereabouts in [
            "SAMPLE STREET",
            "ANYTOWN",
            "ZZ99 9ZZ",
            "WARD1",
            "BED2",
            "generalpractitioner\"",
            "\"site\"",
        ] {
            assert!(!text.contains(whereabouts), "{whereabouts}: {text}");
        }
        let admitted = event["type"] == "uk.nhs.sharedrecord.encounter.admitted.v1";
        assert!(!admitted || (text.contains("EXAMPLE") && text.contains("9990000026")));
    }
    let counted = "tieline_data_quality_total{channel=\"pas-adt\",code=\"redaction.event\"}";
    assert!(engine.get("/metrics").body.contains(counted));
}

#[test]
fn an_entitlement_that_ends_takes_its_bindings_with_it() {
    let broker = TestBroker::shared();
    let exchange = broker.name("events");
    broker.name("events.restricted");
    broker.name("events.bulk");
    let queue = broker.name("records");
    let until = |day: &str| {
        let entitled = entitled("protected", day);
        format!(
            "subscribers={{records: {{receives: ['encounter.*'], queue: {queue}, {entitled}}}}}"
        )
    };
    let mut engine = Setup::sample()
        .variable("TEST_BROKER_URL", broker.url())
        .set("broker.amqp.url.env=TEST_BROKER_URL")
        .set(&format!("broker.amqp.exchange={exchange}"))
        .set(&until("2099-12-31"))
        .start();
    send(&engine);
    assert_eq!(broker.take_all(&queue, 2, SOON).len(), 2);
    assert_eq!(engine.terminate(), Some(0));
    // Whoever lost the data folder lost what was bound, and yet it must go.
    std::fs::remove_file(engine.setup.data().join("bindings.json")).expect("it was there");
    engine.setup.replace_set(&until("2020-12-31"));
    engine.start_again();
    let again = with(
        &Adt { nhs_number: Some("9990000026".to_owned()), ..admission("AGAIN", "1000002") }.text(),
        "PV1",
        16,
        "S",
    );
    engine.connect("pas-adt").ask(again);
    engine.connect("pas-adt").ask(admission("LAST", "1000001").text());
    drained(&engine);
    assert_eq!(admissions(&broker, &queue, 1), [row("LAST", "normal")]);
    crate::harness::until("the alarm", SOON, || {
        let metrics = engine.get("/metrics").body;
        let alarm = "tieline_alarms{kind=\"entitlement-ending\",channel=\"records\"} 1";
        metrics.contains(alarm).then_some(())
    });
}
