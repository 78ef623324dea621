//! Any query about any messages gives what a plain walk over all of them gives.

use std::cmp::Ordering;

use archive::archive::Archive;
use archive::page::{Order, Page};
use archive::patient::PatientIdentifier;
use archive::query::Query;
use archive::record::{Accepted, EventRow, Outcome, Record, What};
use archive::state::State;
use archive::when::Clock;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use crate::world::{self, HOUR, MIDNIGHT, change, place, record};

const CHANNELS: [&str; 3] = ["pas-adt", "lab", "x"];
const TYPES: [&str; 3] = ["ADT^A01", "ADT^A40", "ORU^R01"];
const CONTROLS: [&str; 4] = ["A1", "A2", "b(\"3", ""];
const REASONS: [&str; 3] = ["", "identity.conflict", "script"];
const EVENTS: [&str; 3] = ["patient.admitted", "patient.moved", "result"];
const NUMBERS: [&str; 3] = ["", "9990000018", "9990000026"];
const LOCALS: [&str; 4] = ["7^^^RXX01^MR", "7^^^RXX02", "70^^^RXX01^MR", "8"];
/// What expressions are made of; some match a part, some nothing.
const EXPRESSIONS: [&str; 6] = ["^A", "adt|lab", "R?01$", "\\.", "^$", "zzz"];

/// A message as the model knows it.
#[derive(Clone, Debug)]
struct Message {
    id: u64,
    received_ms: i64,
    words: [String; 6],
    state: State,
    decided: bool,
    number: String,
    locals: Vec<String>,
    events: Vec<String>,
}

/// Fields that hold a text, in the order of `Message::words`; then the events.
const FIELDS: [&str; 7] = ["channel", "type", "control", "reason", "peer", "sender", "event"];

#[derive(Clone, Debug)]
enum Condition {
    Is(usize, String, bool),
    Matches(usize, String),
    State(State, bool),
    Id(&'static str, u64),
    Received(&'static str, i64),
    Not(Box<Condition>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
}

impl Condition {
    fn text(&self) -> String {
        let quoted =
            |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let all = |all: &[Self], by| {
            all.iter().map(|it| format!("({})", it.text())).collect::<Vec<_>>().join(by)
        };
        match self {
            Self::Is(field, text, true) => format!("{}={}", FIELDS[*field], quoted(text)),
            Self::Is(field, text, false) => format!("{} != {}", FIELDS[*field], quoted(text)),
            Self::Matches(field, text) => format!("{}~{}", FIELDS[*field], quoted(text)),
            Self::State(state, true) => format!("state={state}"),
            Self::State(state, false) => format!("state!={state}"),
            Self::Id(operator, id) => format!("id{operator}{id}"),
            Self::Received(operator, ms) => {
                format!("received {operator} {}", Timestamp::from_millisecond(*ms).unwrap())
            }
            Self::Not(not) => format!("not ({})", not.text()),
            Self::And(conditions) => all(conditions, " and "),
            Self::Or(conditions) => all(conditions, " or "),
        }
    }

    fn holds(&self, message: &Message) -> bool {
        let words = |field: usize| match message.words.get(field) {
            Some(word) => vec![word.clone()],
            None => message.events.clone(),
        };
        match self {
            Self::Is(field, text, wanted) => words(*field).contains(text) == *wanted,
            Self::Matches(field, text) => {
                let expression = regex::Regex::new(text).unwrap();
                words(*field).iter().any(|word| expression.is_match(word))
            }
            Self::State(state, wanted) => (message.state == *state) == *wanted,
            Self::Id(operator, id) => stands(operator, message.id.cmp(id)),
            Self::Received(operator, ms) => stands(operator, message.received_ms.cmp(ms)),
            Self::Not(not) => !not.holds(message),
            Self::And(conditions) => conditions.iter().all(|it| it.holds(message)),
            Self::Or(conditions) => conditions.iter().any(|it| it.holds(message)),
        }
    }
}

fn stands(operator: &str, order: Ordering) -> bool {
    match operator {
        "=" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    }
}

fn word(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(of).prop_map(str::to_owned)
}

fn message() -> impl Strategy<Value = Message> {
    let words = (word(&CHANNELS), word(&TYPES), word(&CONTROLS), word(&REASONS));
    let found = (word(&NUMBERS), prop::collection::vec(word(&LOCALS), 0..3));
    let state = prop::sample::select(State::ALL.as_slice());
    let events = prop::collection::vec(word(&EVENTS), 0..3);
    // Three days, whose hours go up and down: the clock jumps.
    (words, found, state, events, 0..60_i64, any::<bool>()).prop_map(
        |((channel, kind, control, reason), (number, locals), state, events, hour, decided)| {
            let decided = decided || state == State::Parked;
            let kept = |text: String| if decided { text } else { String::new() };
            Message {
                id: 0,
                received_ms: MIDNIGHT + hour * HOUR,
                words: [channel, kind, control, kept(reason), "p".into(), "s".into()],
                state,
                decided,
                number: kept(number),
                locals: if decided { locals } else { Vec::new() },
                events: if decided { events } else { Vec::new() },
            }
        },
    )
}

fn condition() -> impl Strategy<Value = Condition> {
    let field = 0..FIELDS.len();
    let words: Vec<&'static str> =
        [&CHANNELS[..], &TYPES, &CONTROLS, &REASONS, &EVENTS, &["p", "nowhere"]].concat();
    let word = prop::sample::select(words).prop_map(str::to_owned);
    let orders = prop::sample::select(["=", "!=", "<", "<=", ">", ">="].as_slice());
    let leaf = prop_oneof![
        // A word of the field's own, mostly.
        (field.clone(), any::<prop::sample::Index>(), any::<bool>()).prop_map(
            |(field, at, wanted)| {
                let own: &[&str] =
                    [&CHANNELS[..], &TYPES, &CONTROLS, &REASONS, &["p"], &["s"], &EVENTS][field];
                Condition::Is(field, own[at.index(own.len())].to_owned(), wanted)
            }
        ),
        (field.clone(), word, any::<bool>()).prop_map(|(f, t, w)| Condition::Is(f, t, w)),
        (field, prop::sample::select(EXPRESSIONS.as_slice()))
            .prop_map(|(field, text)| Condition::Matches(field, text.to_owned())),
        (prop::sample::select(State::ALL.as_slice()), any::<bool>())
            .prop_map(|(state, wanted)| Condition::State(state, wanted)),
        (orders, 0..70_000_u64).prop_map(|(operator, id)| Condition::Id(operator, id)),
        (prop::sample::select(["<", "<=", ">", ">="].as_slice()), 0..60_i64)
            .prop_map(|(operator, hour)| Condition::Received(operator, MIDNIGHT + hour * HOUR)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|it| Condition::Not(Box::new(it))),
            prop::collection::vec(inner.clone(), 1..3).prop_map(Condition::And),
            prop::collection::vec(inner, 1..3).prop_map(Condition::Or),
        ]
    })
}

fn records(message: &Message) -> Vec<Record> {
    let (id, at) = (message.id, message.received_ms);
    let [channel, kind, control, reason, peer, sender] = message.words.clone();
    let accepted = Accepted {
        channel,
        received_ms: at,
        peer,
        control_id: control,
        sender,
        message_type: kind,
        ..Accepted::default()
    };
    let event = |event_type: &String| EventRow {
        event_id: "e".into(),
        event_type: event_type.clone(),
        routing_key: "r".into(),
        length: 1,
    };
    let outcome = Outcome {
        received_ms: at,
        state: if message.state == State::Parked { State::Parked } else { State::Published },
        reason: Some(reason),
        detail: None,
        nhs_number: Some(message.number.clone()).filter(|number| !number.is_empty()),
        local_ids: message.locals.clone(),
        configversion: String::new(),
        revision: 0,
        events: message.events.iter().map(event).collect(),
    };
    let mut records = vec![record(id, at, id * 3, What::Accepted(accepted))];
    if message.decided {
        records.push(record(id, at, id * 3 + 1, What::Outcome(outcome)));
    }
    if !message.state.is_unsettled() {
        records.push(record(id, at, id * 3 + 2, What::State(change(at, message.state))));
    }
    records
}

fn archive(folder: &tempfile::TempDir, messages: &mut [Message], gaps: &[u64]) -> Archive {
    let archive = world::open(folder);
    let mut id = 0;
    for (message, gap) in messages.iter_mut().zip(gaps.iter().cycle()) {
        id += gap;
        message.id = id;
        archive.take(&records(message), "p").unwrap();
    }
    archive
}

fn expected(messages: &[Message], page: &Page, holds: impl Fn(&Message) -> bool) -> Vec<u64> {
    let mut ids: Vec<u64> = messages.iter().filter(|it| holds(it)).map(|it| it.id).collect();
    match page.order {
        Order::OldestFirst => ids.retain(|id| page.after.is_none_or(|after| *id > after)),
        Order::NewestFirst => {
            ids.reverse();
            ids.retain(|id| page.after.is_none_or(|after| *id < after));
        }
    }
    ids.truncate(page.limit);
    ids
}

fn page() -> impl Strategy<Value = Page> {
    let order = prop_oneof![Just(Order::NewestFirst), Just(Order::OldestFirst)];
    let after = prop::option::weighted(0.2, 0..70_000_u64);
    (0..12_usize, order, after).prop_map(|(limit, order, after)| Page { limit, order, after })
}

proptest! {
    // A case makes an archive and asks it thirty questions.
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_query_finds_what_a_walk_finds(
        mut messages in prop::collection::vec(message(), 1..25),
        // Some ids are far apart: keys are kept in slots of 32,768.
        gaps in prop::collection::vec(prop_oneof![9 => 1..3_u64, 1 => 20_000..40_000_u64], 1..9),
        questions in prop::collection::vec((condition(), page()), 30),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(&folder, &mut messages, &gaps);
        let clock = Clock { now: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
        for (condition, page) in questions {
            let text = condition.text();
            let query = Query::parse(&text, &clock).unwrap();
            let found = world::ids(&archive.messages(&query, &page).unwrap());
            prop_assert_eq!(
                found,
                expected(&messages, &page, |message| condition.holds(message)),
                "{}, {:?}", text, page
            );
        }
    }

    #[test]
    fn a_patient_is_found_on_all_channels(
        mut messages in prop::collection::vec(message(), 1..25),
        gaps in prop::collection::vec(prop_oneof![1..3_u64, 20_000..40_000_u64], 1..9),
        condition in condition(),
        page in page(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(&folder, &mut messages, &gaps);
        let clock = Clock { now: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
        let also = Query::parse(&condition.text(), &clock).unwrap();
        for number in &NUMBERS[1..] {
            let whom = PatientIdentifier::NhsNumber((*number).to_owned());
            let found = archive.messages(&Query::patient(&whom).and(also.clone()), &page).unwrap();
            let holds = |it: &Message| it.number == **number && condition.holds(it);
            prop_assert_eq!(world::ids(&found), expected(&messages, &page, holds));
        }
        for (asked, answers) in [("7", &LOCALS[..2]), ("7^^^RXX02", &LOCALS[1..2]), ("8", &LOCALS[3..])] {
            let whom = PatientIdentifier::Local(asked.to_owned());
            let found = archive.messages(&Query::patient(&whom), &page).unwrap();
            let holds = |it: &Message| it.locals.iter().any(|local| answers.contains(&local.as_str()));
            prop_assert_eq!(world::ids(&found), expected(&messages, &page, holds));
        }
    }

    #[test]
    fn sums_and_sets_count_every_message_once(
        mut messages in prop::collection::vec(message(), 1..25),
        from in 0..30_u64,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(&folder, &mut messages, &[1]);
        let sums = archive.sums(i64::MIN).unwrap();
        let ids = archive.ids_by_state(from).unwrap();
        for message in &messages {
            let hour = (message.words[0].clone(), message.received_ms / HOUR);
            let same = messages.iter().filter(|other| {
                other.state == message.state && other.words[0] == hour.0 && other.received_ms / HOUR == hour.1
            });
            prop_assert_eq!(sums[&hour][&message.state], same.count() as u64);
            let holding: Vec<State> =
                ids.iter().filter(|(_, ids)| ids.contains(message.id)).map(|(state, _)| *state).collect();
            let wanted = if message.id >= from { vec![message.state] } else { vec![] };
            prop_assert_eq!(holding, wanted);
            prop_assert_eq!(archive.message(message.id).unwrap().unwrap().place, place(message.id * 3));
        }
        prop_assert_eq!(sums.values().flat_map(|it| it.values()).sum::<u64>(), messages.len() as u64);
        let since = MIDNIGHT + from.cast_signed() * HOUR;
        let later = sums.into_iter().filter(|((_, hour), _)| *hour >= since / HOUR).collect();
        prop_assert_eq!(archive.sums(since).unwrap(), later);
    }
}
