//! No patient data where it does not belong.

use std::fs;

use crate::harness::amqp::TestBroker;
use crate::harness::repository;
use crate::harness::setup::Setup;
use crate::rabbitmq::sample_with_broker;
use crate::straight_through::{admission, at_rest, settled};

/// Words of the samples that identify an invented person.
fn identifying(messages: &[Vec<u8>]) -> Vec<String> {
    let mut words = Vec::new();
    for message in messages {
        let text = String::from_utf8_lossy(message).replace('\n', "\r");
        for segment in text.split('\r').filter(|segment| segment.starts_with("PID|")) {
            let fields: Vec<&str> = segment.split('|').collect();
            for field in [2, 3, 5, 11, 19] {
                let pieces = fields.get(field).copied().unwrap_or_default();
                let pieces = pieces.split(['^', '~', '&']).map(str::trim);
                words.extend(pieces.filter(|piece| piece.len() >= 6).map(str::to_owned));
            }
        }
    }
    words.sort();
    words.dedup();
    words
}

/// Whether a word stands in a text on its own: the placeholder 9999999999 is also a part of floats.
fn holds(text: &str, word: &str) -> bool {
    let apart = |neighbour: Option<char>| neighbour.is_none_or(|c| !c.is_alphanumeric());
    text.match_indices(word).any(|(at, _)| {
        let behind = text[at + word.len()..].chars().next();
        apart(text[..at].chars().next_back()) && apart(behind)
    })
}

#[test]
fn an_event_that_comes_back_from_the_broker_is_not_logged() {
    let broker = TestBroker::shared();
    let (exchange, queue) = (broker.name("events"), broker.name("portal"));
    broker.name("events.restricted");
    let setup = sample_with_broker(broker.url(), &exchange, &queue);
    let engine = setup.variable("TIELINE_LOG", "trace").start();
    let mut sender = engine.connect("pas-adt");
    sender.ask(admission("C1", "1000001").text());
    settled(&engine);
    broker.unbind(&queue, &exchange, "*.*.*.*");
    sender.ask(admission("C2", "1000001").text());
    settled(&engine);
    let written = engine.written();
    assert!(written.contains("unroutable"), "{written}");
    // Neither as text nor as the bytes of `9990000018`.
    assert!(!written.contains("9990000018"));
    assert!(!written.contains("57, 57, 57, 48, 48, 48, 48, 48, 49, 56"));
}

#[test]
fn nothing_that_names_a_patient_reaches_logs_or_metrics() {
    let engine = Setup::sample().variable("TIELINE_LOG", "trace").start();
    let mut all = Vec::new();
    for channel in ["pas-adt", "pathology-oru", "community-adt", "social-care"] {
        let mut sender = engine.connect(channel);
        let mut files: Vec<_> = fs::read_dir(repository(&format!("samples/{channel}")))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        for file in files {
            let message = fs::read(&file).unwrap();
            sender.ask(&message);
            all.push(message);
        }
    }
    at_rest(&engine);
    let words = identifying(&all);
    assert!(words.len() > 50, "the samples name people");
    let outside = engine.written() + &engine.get("/metrics").body;
    // An authority or a site is no patient; it may be named.
    let harmless = ["RXX01", "RYY01", "GBR"];
    for word in words.iter().filter(|word| !harmless.contains(&word.as_str())) {
        assert!(!holds(&outside, word), "a log or a metric holds {word:?}");
    }
}
