//! Histories that never happened: each breaks one promise, and the verdict must say which.

use std::time::Duration;

use super::facts::{Arrival, Harm, History, Kind, PLAIN, Parcel, Row};
use super::verdict::judge;
use super::violation::Violation;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn parcel(patient: &str, sequence: u32, kind: Kind) -> Parcel {
    Parcel {
        label: format!("V{patient}S{sequence}"),
        control_id: format!("{patient}N{sequence}"),
        patient: patient.to_owned(),
        sequence,
        kind,
        joins: None,
        restricted: false,
        first_sent: at(u64::from(sequence)),
        sent: 1,
        accepted: u32::from(!kind.is_refused()),
        refused: u32::from(kind.is_refused()),
    }
}

fn arrivals(parcel: &Parcel) -> impl Iterator<Item = Arrival> + use<> {
    let Parcel { label, restricted, first_sent: moment, .. } = parcel.clone();
    let records = [parcel.patient.clone(), parcel.joins.clone().unwrap_or(parcel.patient.clone())];
    (1..).take(parcel.kind.events()).map(move |position| Arrival {
        event: format!("{label}E{position}"),
        digest: 7,
        label: label.clone(),
        position,
        partition: format!("p{}", records[position as usize - 1]),
        restricted,
        at: moment,
    })
}

/// Two records that become one, and a patient whose whereabouts are protected for a while; all of it sent
/// before anything was harmed.
fn merged_and_protected() -> impl Iterator<Item = Parcel> {
    let merge = Parcel { joins: Some("6".into()), ..parcel("5", 3, Kind::Merge) };
    let raised = Parcel { restricted: true, ..parcel("7", 1, Kind::Raised) };
    let guarded = Parcel { restricted: true, ..parcel("7", 2, Kind::Plain) };
    let all = [
        parcel("5", 1, Kind::Plain),
        parcel("6", 2, Kind::Plain),
        merge,
        parcel("5", 4, Kind::Plain),
        raised,
        guarded,
        parcel("7", 3, Kind::Lowered),
    ];
    all.into_iter().map(|parcel| Parcel { first_sent: at(0), ..parcel })
}

/// Every promise kept: two patients with three messages each, and one of each bad kind.
fn kept() -> History {
    let mut parcels = Vec::new();
    for patient in ["1", "2"] {
        for (sequence, kind) in [(1, Kind::Plain), (2, Kind::Twofold), (3, Kind::Plain)] {
            parcels.push(parcel(patient, sequence, kind));
        }
    }
    let bad = [Kind::Filtered, Kind::Unknown, Kind::Nobody, Kind::Stranger, Kind::Garbled];
    parcels.extend((1..).zip(bad).map(|(sequence, kind)| parcel("9", sequence, kind)));
    parcels.extend([parcel("3", 1, Kind::Parked), parcel("3", 2, Kind::Plain)]);
    parcels.extend(merged_and_protected());
    let mut history = History { parcels, ..History::default() };
    let held = |parcel: &Parcel| parcel.label == "V3S2";
    let events: Vec<Arrival> =
        history.parcels.iter().filter(|parcel| !held(parcel)).flat_map(arrivals).collect();
    let plain = events.iter().filter(|got| !got.restricted).cloned().collect();
    history.arrivals = vec![events.clone(), events, plain];
    for parcel in &history.parcels {
        let Some(state) = parcel.kind.states(false).first() else { continue };
        let state = if held(parcel) { "pending" } else { *state };
        let row = Row {
            id: history.rows.len() as u64 + 1,
            control_id: parcel.control_id.clone(),
            state: state.to_owned(),
            held: held(parcel),
        };
        *history.sums.entry(state.to_owned()).or_default() += 1;
        *history.sums.entry("received".to_owned()).or_default() += 1;
        history.rows.push(row);
    }
    history
}

/// What the verdict says of the kept history after `change`.
fn broken(change: impl FnOnce(&mut History)) -> Vec<Violation> {
    let mut history = kept();
    change(&mut history);
    judge(&history).violations
}

fn lost(label: &str, subscriber: usize) -> Violation {
    Violation::Lost { label: label.to_owned(), subscriber }
}

fn row<'h>(history: &'h mut History, control_id: &str) -> &'h mut Row {
    history.rows.iter_mut().find(|row| row.control_id == control_id).unwrap()
}

fn count(history: &mut History, state: &str, control_id: &str) {
    let row = Row { id: 99, control_id: control_id.into(), state: state.into(), held: false };
    history.rows.push(row);
    *history.sums.entry(state.to_owned()).or_default() += 1;
    *history.sums.get_mut("received").unwrap() += 1;
}

fn sent_again(history: &mut History, label: &str, accepted: bool) {
    let parcel = history.parcels.iter_mut().find(|parcel| parcel.label == label).unwrap();
    parcel.sent += 1;
    parcel.accepted += u32::from(accepted);
}

#[test]
fn nothing_is_broken_when_all_was_kept() {
    assert_eq!(broken(|_| ()), []);
}

#[test]
fn a_redelivery_with_equal_bytes_breaks_nothing() {
    let again = |history: &mut History| {
        let old = history.arrivals[0][0].clone();
        history.arrivals[0].push(Arrival { at: at(9), ..old });
    };
    assert_eq!(broken(again), []);
}

#[test]
fn an_event_that_one_subscriber_never_got_is_lost() {
    let lose = |history: &mut History| history.arrivals[1].retain(|got| got.label != "V2S3");
    assert_eq!(broken(lose), [lost("V2S3", 1)]);
    let half = |history: &mut History| history.arrivals[0].retain(|got| got.position == 1);
    let twofold = ["V1S2", "V2S2", "V5S3", "V7S1", "V7S3"];
    assert_eq!(broken(half), twofold.map(|label| lost(label, 0)));
}

#[test]
fn a_harmed_queue_excuses_what_was_on_its_way_and_no_more() {
    let harm = |from, lose: &'static [&str]| {
        broken(move |history| {
            let harm = Harm { subscriber: 1, from: at(from), done: at(from) };
            history.harms.push(harm);
            history.arrivals[1].retain(|got| !lose.contains(&got.label.as_str()));
        })
    };
    // Done at 1 s: what was sent at 2 s may be lost, and what was sent at 3 s shows it is mended.
    assert_eq!(harm(1, &["V1S2", "V2S2"]), []);
    // Of two things sent at once one came: it was mended by then.
    assert_eq!(harm(1, &["V1S2", "V2S2", "V1S3"]), [lost("V1S3", 1)]);
    // The other subscriber had it before anything was done.
    assert_eq!(harm(2, &["V1S2"]), [lost("V1S2", 1), lost("V1S2", 1)], "both of its events");
    // Nothing new ever came.
    let never = harm(1, &["V1S2", "V2S2", "V1S3", "V2S3"]);
    assert_eq!(never, [Violation::NotMended { subscriber: 1 }]);
    // The harm of one is no excuse for the other.
    let other = broken(|history| {
        history.harms.push(Harm { subscriber: 0, from: at(1), done: at(1) });
        history.arrivals[1].retain(|got| got.label != "V1S1");
    });
    assert_eq!(other, [lost("V1S1", 1)]);
    // Nor are all together: one of the queues always stood.
    let both = broken(|history| {
        for subscriber in [0, 1, 2] {
            history.harms.push(Harm { subscriber, from: at(1), done: at(1) });
            history.arrivals[subscriber].retain(|got| got.label != "V2S2");
        }
    });
    let each = [0, 1, 2].map(|who| lost("V2S2", who));
    assert_eq!(both, [each.clone(), each].concat(), "both of its events");
}

#[test]
fn swapped_deliveries_are_out_of_order() {
    let swap = |history: &mut History| history.arrivals[0].swap(0, 3);
    let swapped = broken(swap);
    assert!(!swapped.is_empty());
    assert!(swapped.iter().all(|one| matches!(one, Violation::OutOfOrder { subscriber: 0, .. })));
    let within = |history: &mut History| history.arrivals[1].swap(1, 2);
    let label = || "V1S2".to_owned();
    let wanted = Violation::OutOfOrder { label: label(), behind: label(), subscriber: 1 };
    assert_eq!(broken(within), [wanted]);
}

#[test]
fn what_was_lost_with_a_queue_may_come_late() {
    let late = |from| {
        broken(move |history| {
            history.harms.push(Harm { subscriber: 1, from: at(from), done: at(from) });
            // Its first event was lost and the second was not; a restart published both again.
            history.arrivals[1].swap(1, 2);
            history.arrivals[1].iter_mut().for_each(|got| got.at += at(1) / 2);
        })
    };
    assert_eq!(late(1), []);
    assert!(late(2).iter().any(|one| matches!(one, Violation::OutOfOrder { .. })));
}

#[test]
fn one_id_with_two_contents_is_seen_wherever_it_is() {
    let wanted = Violation::TwoContents { event: "V1S1E1".into(), label: "V1S1".into() };
    let between = broken(|history| history.arrivals[1][0].digest = 8);
    assert_eq!(between, std::slice::from_ref(&wanted));
    let later = broken(|history| {
        let old = history.arrivals[0][0].clone();
        history.arrivals[0].push(Arrival { digest: 8, ..old });
    });
    assert_eq!(later, [wanted]);
}

#[test]
fn one_event_under_two_ids_was_processed_twice() {
    let twice = broken(|history| {
        let old = history.arrivals[0][0].clone();
        history.arrivals[0].insert(1, Arrival { event: "another".into(), ..old });
    });
    assert_eq!(twice, [Violation::TwoIds { label: "V1S1".into(), position: 1 }]);
}

#[test]
fn what_was_refused_parked_or_filtered_is_never_published() {
    for label in ["V9S1", "V9S2", "V9S3", "V9S4", "V3S1", "V8S1"] {
        let published = broken(|history| {
            let old = history.arrivals[0][0].clone();
            let (label, event) = (label.into(), "x".into());
            history.arrivals[0].push(Arrival { label, event, partition: "px".into(), ..old });
        });
        assert_eq!(published, [Violation::Invented { label: label.into(), subscriber: 0 }]);
    }
}

#[test]
fn nothing_overtakes_a_parked_message_of_its_patient() {
    let overtaken = broken(|history| {
        let late = arrivals(&parcel("3", 2, Kind::Plain));
        history.arrivals[0].extend(late);
    });
    assert_eq!(overtaken, [Violation::Overtook { label: "V3S2".into(), parked: "V3S1".into() }]);
}

/// An operator decided about the parked message; what was held goes on.
fn decided(history: &mut History, state: &str, delivered: &[&str]) {
    history.decided = true;
    row(history, "3N1").state = state.into();
    let held = row(history, "3N2");
    (held.state, held.held) = ("published".into(), false);
    for (label, sequence) in delivered.iter().zip(1..) {
        let made = parcel("3", sequence, Kind::Plain);
        let arrival = Arrival { label: (*label).into(), ..arrivals(&made).next().unwrap() };
        let arrival = Arrival { event: format!("{label}E1"), ..arrival };
        history.arrivals.iter_mut().for_each(|arrivals| arrivals.push(arrival.clone()));
    }
    for (state, change) in [("parked", -1), ("pending", -1), (state, 1), ("published", 1)] {
        let sum = history.sums.entry(state.to_owned()).or_default();
        *sum = sum.strict_add_signed(change);
    }
}

#[test]
fn what_an_operator_decides_is_done_and_in_order() {
    let after = |state: &'static str, delivered: &'static [&'static str]| {
        broken(move |history| decided(history, state, delivered))
    };
    assert_eq!(after("published", &["V3S1", "V3S2"]), []);
    assert_eq!(after("discarded", &["V3S2"]), []);
    assert_eq!(after("published", &["V3S2"]), [0, 1, 2].map(|who| lost("V3S1", who)));
    assert_eq!(after("discarded", &[]), [0, 1, 2].map(|who| lost("V3S2", who)));
    let late = after("published", &["V3S2", "V3S1"]);
    assert_eq!(late.len(), 3);
    assert!(late.iter().all(|one| matches!(one, Violation::OutOfOrder { .. })), "{late:?}");
}

#[test]
fn after_a_merge_there_is_one_patient() {
    let place = |history: &History, label: &str| {
        history.arrivals[0].iter().position(|got| got.label == label).unwrap()
    };
    // What was sent under the other number comes after the merge.
    let late = broken(|history| {
        let at = place(history, "V6S2");
        let arrival = history.arrivals[0].remove(at);
        let after = place(history, "V5S3") + 2;
        history.arrivals[0].insert(after, arrival);
    });
    let behind = || "V5S3".to_owned();
    let wanted = Violation::OutOfOrder { label: "V6S2".into(), behind: behind(), subscriber: 0 };
    assert_eq!(late, [wanted]);
    let half = broken(|history| {
        history.arrivals.iter_mut().for_each(|arrivals| {
            arrivals.retain(|got| (got.label.as_str(), got.position) != ("V5S3", 2));
        });
    });
    assert_eq!(half, [0, 1, 2].map(|who| lost("V5S3", who)), "on both partitions");
}

#[test]
fn every_event_is_on_the_partition_of_its_record() {
    let moved = |label: &'static str, position, partition: &'static str| {
        broken(move |history| {
            let all = history.arrivals.iter_mut().flatten();
            all.filter(|got| got.label == label && got.position == position)
                .for_each(|got| got.partition = partition.into());
        })
    };
    let misfiled = |label: &str| Violation::Misfiled { label: label.into() };
    assert_eq!(moved("V5S4", 1, "p6"), [misfiled("V5S4")]);
    assert_eq!(moved("V5S3", 2, "p5"), [misfiled("V5S3")]);
    let both = broken(|history| {
        let all = history.arrivals.iter_mut().flatten();
        all.filter(|got| got.partition == "p6").for_each(|got| got.partition = "p5".into());
    });
    assert_eq!(both, [misfiled("V5S3")], "two records that were one all along");
}

#[test]
fn what_is_of_somebody_protected_reaches_nobody_who_may_not_have_it() {
    let disclosed = broken(|history| {
        let found = history.arrivals[0].iter().find(|got| got.label == "V7S2").unwrap().clone();
        let before = history.arrivals[PLAIN].iter().position(|got| got.label == "V7S3").unwrap();
        history.arrivals[PLAIN].insert(before, found);
    });
    assert_eq!(disclosed, [Violation::Disclosed { label: "V7S2".into(), subscriber: PLAIN }]);
    let open = broken(|history| {
        let all = history.arrivals[1].iter_mut();
        all.filter(|got| got.label == "V7S2").for_each(|got| got.restricted = false);
    });
    assert_eq!(open, [Violation::WrongExchange { label: "V7S2".into(), subscriber: 1 }]);
    // And everybody has it again once it is said that there is no need.
    let kept_back = broken(|history| history.arrivals[PLAIN].retain(|got| got.label != "V7S3"));
    assert_eq!(kept_back, [lost("V7S3", PLAIN), lost("V7S3", PLAIN)], "both of its events");
}

#[test]
fn what_reconcile_finds_is_told() {
    let words = || "two states".to_owned();
    let found = broken(|history| history.differences.push(words()));
    assert_eq!(found, [Violation::Unreconciled { difference: words() }]);
}

#[test]
fn an_answer_without_a_row_is_unaccounted() {
    let wanted = Violation::Unaccounted { control_id: "1N1".into(), accepted: 1, rows: 0 };
    let forgotten = broken(|history| {
        history.rows.retain(|row| row.control_id != "1N1");
        *history.sums.get_mut("received").unwrap() -= 1;
        *history.sums.get_mut("published").unwrap() -= 1;
    });
    assert!(matches!(&forgotten[..], [first, Violation::Unbalanced { .. }] if *first == wanted));
}

#[test]
fn a_copy_is_a_duplicate_and_counted_once() {
    let well = broken(|history| {
        sent_again(history, "V1S1", true);
        count(history, "duplicate", "1N1");
    });
    assert_eq!(well, []);
    let unanswered = broken(|history| sent_again(history, "V1S1", false));
    assert_eq!(unanswered, [], "what had no answer need not have been received");
    let twice = broken(|history| {
        sent_again(history, "V1S1", true);
        count(history, "published", "1N1");
    });
    assert_eq!(twice, [Violation::CountedTwice { control_id: "1N1".into(), sent: 2, rows: 2 }]);
    let from_nothing = broken(|history| count(history, "duplicate", "1N1"));
    let wanted = Violation::CountedTwice { control_id: "1N1".into(), sent: 1, rows: 2 };
    assert!(matches!(&from_nothing[..], [first, Violation::Unbalanced { .. }] if *first == wanted));
    let refused = broken(|history| count(history, "published", "9N4"));
    assert!(matches!(&refused[..], [Violation::CountedTwice { sent: 0, .. }, ..]), "{refused:?}");
}

#[test]
fn every_message_rests_in_the_state_that_it_must_have() {
    let wrong = broken(|history| row(history, "9N1").state = "parked".into());
    let state = Violation::WrongState { control_id: "9N1".into(), state: "parked".into() };
    assert!(wrong.contains(&state), "{wrong:?}");
    let open = broken(|history| row(history, "3N2").held = false);
    assert_eq!(open, [Violation::Unsettled { control_id: "3N2".into() }]);
}

#[test]
fn sums_that_do_not_balance_are_told() {
    let one_more = broken(|history| *history.sums.get_mut("received").unwrap() += 1);
    assert!(matches!(&one_more[..], [Violation::Unbalanced { .. }]), "{one_more:?}");
}

#[test]
fn every_message_has_its_answer_and_the_right_one() {
    let silent = broken(|history| history.parcels[9].refused = 0);
    assert_eq!(silent, [Violation::Unanswered { label: "V9S4".into() }]);
    let taken = broken(|history| {
        history.parcels[9].refused = 0;
        history.parcels[9].accepted = 1;
    });
    assert_eq!(taken, [Violation::WrongAnswer { label: "V9S4".into() }]);
    let sent_away = broken(|history| history.parcels[0].refused = 1);
    assert_eq!(sent_away, [Violation::WrongAnswer { label: "V1S1".into() }]);
}
