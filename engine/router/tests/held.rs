//! Held messages against a plain model, and their cost at the size that is promised.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod held {
    pub(crate) mod model;
}

use std::{fs, path::Path, sync::Arc};

use held::model::{Model, State};
use proptest::prelude::*;
use router::{
    held::{Held, Place},
    hold::HoldKey,
};

/// What may happen. A message is one of a few, or the one after the highest so far.
#[derive(Clone, Debug)]
enum Action {
    Block {
        id: Option<u64>,
        keys: Vec<usize>,
    },
    Wait {
        id: Option<u64>,
        own: Vec<usize>,
        others: Vec<usize>,
    },
    Unblock {
        id: u64,
    },
    Free {
        id: u64,
        unreadable: bool,
    },
    /// One that runs is done.
    Finish {
        choice: usize,
    },
    Replace {
        old: u64,
        new: u64,
    },
    /// One that runs is parked, and holds back no more than this.
    BlockOnly {
        choice: usize,
        keys: Vec<usize>,
    },
    /// One that runs leaves one chain.
    Pass {
        choice: usize,
        key: usize,
    },
}

fn action() -> impl Strategy<Value = Action> {
    let id = || 0_u64..30;
    let some = || proptest::option::weighted(0.3, id());
    let keys = || proptest::collection::vec(0_usize..6, 0..3);
    prop_oneof![
        3 => (some(), keys()).prop_map(|(id, keys)| Action::Block { id, keys }),
        10 => (some(), keys(), keys()).prop_map(|(id, own, others)| Action::Wait { id, own, others }),
        2 => id().prop_map(|id| Action::Unblock { id }),
        2 => (id(), any::<bool>()).prop_map(|(id, unreadable)| Action::Free { id, unreadable }),
        4 => any::<usize>().prop_map(|choice| Action::Finish { choice }),
        1 => (id(), id()).prop_map(|(old, new)| Action::Replace { old, new }),
        2 => (any::<usize>(), keys()).prop_map(|(choice, keys)| Action::BlockOnly { choice, keys }),
        2 => (any::<usize>(), 0_usize..6).prop_map(|(choice, key)| Action::Pass { choice, key }),
    ]
}

const CHANNEL: usize = 5;

fn key(number: usize) -> HoldKey {
    match number {
        0..3 => HoldKey::Patient(number.to_string().into()),
        3..5 => HoldKey::ChannelPatient("adt".into(), number.to_string().into()),
        _ => HoldKey::Channel("adt".into()),
    }
}

fn keys(numbers: &[usize]) -> Vec<HoldKey> {
    numbers.iter().map(|number| key(*number)).collect()
}

fn place(of: u64) -> Place {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&of.to_le_bytes());
    place
}

/// Frees `id` in both, and gives back what may run now.
fn free(held: &mut Held, model: &mut Model, id: u64) -> Vec<u64> {
    let given: Vec<u64> = held
        .free(id)
        .unwrap()
        .into_iter()
        .map(|(id, at)| {
            assert_eq!(at, place(id));
            id
        })
        .collect();
    assert_eq!(given, model.free(id));
    given
}

/// Tries to free `id` while the file cannot be read.
fn free_unreadable(held: &mut Held, model: &mut Model, id: u64, path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::File::options().write(true).open(path).unwrap().set_len(0).unwrap();
    let freed = held.free(id);
    if let Ok(given) = freed {
        let given: Vec<u64> = given.into_iter().map(|(id, _)| id).collect();
        assert_eq!(given, model.free(id));
    }
    fs::write(path, bytes).unwrap();
}

fn same(held: &Held, model: &Model, highest: u64) {
    let waiting = model.messages.values().filter(|(state, _)| *state == State::Waiting).count();
    assert_eq!(held.waiting(), waiting as u64);
    assert_eq!(held.keys(), model.chains.len());
    for id in 0..=highest {
        assert_eq!(held.is_waiting(id), model.state(id) == Some(State::Waiting), "{id} waits");
        assert_eq!(held.is_blocked(id), model.state(id) == Some(State::Blocked), "{id} is blocked");
    }
    for number in 0..6 {
        assert_eq!(held.occupied(&key(number)), model.chains.contains_key(&number));
    }
}

fn run(actions: Vec<Action>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("held");
    let mut held = Held::create(&path).unwrap();
    let mut model = Model::default();
    let mut highest = 30;
    for action in actions {
        let mut named = |id: Option<u64>| {
            highest += u64::from(id.is_none());
            id.unwrap_or(highest)
        };
        match action {
            Action::Block { id, keys: numbers } => {
                let id = named(id);
                held.block(id, place(id), &keys(&numbers)).unwrap();
                model.block(id, &numbers);
            }
            Action::Wait { id, own, others } => {
                let id = named(id);
                let waits = held.wait(id, place(id), &keys(&own), &keys(&others)).unwrap();
                assert_eq!(waits, model.wait(id, &own, &others));
            }
            Action::Unblock { id } => assert_eq!(held.unblock(id), model.unblock(id)),
            Action::Free { id, unreadable: true } => {
                free_unreadable(&mut held, &mut model, id, &path);
            }
            Action::Free { id, unreadable: false } => {
                free(&mut held, &mut model, id);
            }
            Action::Finish { choice } => {
                let running = model.running();
                if let Some(id) = running.get(choice % running.len().max(1)) {
                    free(&mut held, &mut model, *id);
                }
            }
            Action::BlockOnly { choice, keys: numbers } => {
                let running = model.running();
                if let Some(id) = running.get(choice % running.len().max(1)) {
                    let given = held.block_only(*id, place(*id), &keys(&numbers)).unwrap();
                    let given: Vec<u64> = given.into_iter().map(|(id, _)| id).collect();
                    assert_eq!(given, model.block_only(*id, &numbers));
                }
            }
            Action::Pass { choice, key: number } => {
                let running = model.running();
                if let Some(id) = running.get(choice % running.len().max(1)) {
                    let given = held.pass(*id, &key(number)).unwrap();
                    let given: Vec<u64> = given.into_iter().map(|(id, _)| id).collect();
                    assert_eq!(given, Vec::from_iter(model.pass(*id, number)));
                }
            }
            Action::Replace { old, new } => {
                assert_eq!(held.replace(old, new, place(new)), model.replace(old, new));
            }
        }
        same(&held, &model, highest);
    }
    // Whatever happened, when everything is released and done nothing is left.
    for id in 0..=highest {
        assert_eq!(held.unblock(id), model.unblock(id));
    }
    while let Some(id) = model.running().pop() {
        free(&mut held, &mut model, id);
    }
    assert_eq!((held.waiting(), held.in_memory()), (0, 0), "{model:?}");
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
}

proptest! {
    #[test]
    fn answers_as_the_model_does_and_loses_nothing(actions in proptest::collection::vec(action(), 1..120)) {
        run(actions);
    }
}

/// 10,000 parked patients with 100 messages behind each: a million wait, and memory is that of the
/// parked ones.
#[test]
fn a_million_wait_on_disk_and_come_back_in_order() {
    const PATIENTS: u64 = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let mut held = Held::create(&folder.path().join("held")).unwrap();
    let patients: Vec<Arc<str>> =
        (0..=PATIENTS).map(|patient| patient.to_string().into()).collect();
    let of = |patient: u64| Arc::clone(&patients[usize::try_from(patient).unwrap()]);
    let own = |patient: u64| [HoldKey::ChannelPatient(Arc::clone(&patients[0]), of(patient))];
    let everywhere = |patient: u64| [HoldKey::Patient(of(patient))];
    for patient in 0..PATIENTS {
        held.block(patient, place(patient), &own(patient)).unwrap();
    }
    for id in PATIENTS..PATIENTS * 101 {
        let patient = id % PATIENTS;
        assert!(held.wait(id, place(id), &own(patient), &everywhere(patient)).unwrap());
    }
    assert_eq!(held.waiting(), PATIENTS * 100);
    assert_eq!(held.behind(7), 100);
    assert_eq!(held.keys() as u64, PATIENTS);
    assert_eq!(held.in_memory() as u64, 2 * PATIENTS, "a key and a parked message each");
    assert!(!held.wait(u64::MAX, place(0), &own(PATIENTS), &everywhere(PATIENTS)).unwrap());

    for patient in (0..PATIENTS).step_by(20) {
        assert!(held.unblock(patient));
        let mut done = patient;
        for step in 1..=100 {
            let given = held.free(done).unwrap();
            let next = patient + step * PATIENTS;
            assert_eq!(given, [(next, place(next))]);
            done = next;
        }
        assert!(held.free(done).unwrap().is_empty());
    }
    assert_eq!(held.waiting(), PATIENTS / 20 * 19 * 100);
    assert_eq!(held.in_memory() as u64, PATIENTS / 20 * 19 * 2);
}

#[test]
fn a_full_disk_is_an_error_and_nothing_has_changed() {
    let mut held = Held::create(Path::new("/dev/full")).unwrap();
    let keys = [key(0), key(1)];
    held.block(5, place(5), &keys[..1]).unwrap();
    for _ in 0..3 {
        let error = held.wait(6, place(6), &keys, &[]).unwrap_err();
        assert!(error.to_string().contains("/dev/full"), "{error}");
        assert!(!held.is_waiting(6));
        assert_eq!((held.waiting(), held.keys(), held.behind(5)), (0, 1, 0));
    }
    assert!(held.free(5).unwrap().is_empty());
    assert_eq!(held.in_memory(), 0);
}

/// Merges and late parking: without one order for all chains these two would wait for each other.
#[test]
fn two_messages_never_wait_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut held = Held::create(&folder.path().join("held")).unwrap();
    let keys = [key(0), key(1)];
    held.block(5, place(5), &keys[..1]).unwrap();
    held.block(7, place(7), &keys[1..]).unwrap();
    held.block(7, place(7), &keys).unwrap();
    held.block(5, place(5), &keys).unwrap();
    assert!(!held.unblock(7), "5 comes first");
    assert!(held.unblock(5));
    assert_eq!(held.free(5).unwrap(), [(7, place(7))]);
}

/// An edit takes the place of the parked original: what waited behind it waits still.
#[test]
fn an_edit_stands_where_the_original_stood() {
    let folder = tempfile::tempdir().unwrap();
    let mut held = Held::create(&folder.path().join("held")).unwrap();
    let keys = [key(3)];
    held.block(5, place(5), &keys).unwrap();
    assert!(held.wait(6, place(6), &keys, &[]).unwrap());
    assert!(held.wait(8, place(8), &keys, &[]).unwrap());
    assert!(held.replace(5, 9, place(9)));
    assert!(held.replace(8, 10, place(10)), "one that waits can be edited too");
    assert!(held.free(5).unwrap().is_empty(), "the original stands nowhere");
    assert!(held.unblock(9));
    assert_eq!(held.free(9).unwrap(), [(6, place(6))]);
    assert_eq!(held.free(6).unwrap(), [(10, place(10))]);
}

/// Parked once more, it holds back less than while its events were tried again.
#[test]
fn an_edit_that_parks_again_stays_where_the_original_stood() {
    let folder = tempfile::tempdir().unwrap();
    let mut held = Held::create(&folder.path().join("held")).unwrap();
    held.block(5, place(5), &[key(0), key(3)]).unwrap();
    assert!(held.wait(6, place(6), &[key(3)], &[]).unwrap());
    assert!(held.wait(7, place(7), &[key(4)], &[key(0)]).unwrap());
    assert!(held.replace(5, 9, place(9)) && held.unblock(9));
    assert_eq!(held.block_only(9, place(9), &[key(3)]).unwrap(), []);
    assert!(held.is_waiting(6), "behind the edit, which came later");
    assert!(held.unblock(9));
    assert_eq!(held.free(9).unwrap(), [(6, place(6))]);
    assert_eq!(held.free(6).unwrap(), [(7, place(7))], "both names are of one row since then");
}

/// What a message names together may be one patient by the time it is done.
#[test]
fn what_comes_behind_a_message_of_two_patients_is_one_row() {
    let folder = tempfile::tempdir().unwrap();
    let mut held = Held::create(&folder.path().join("held")).unwrap();
    held.block(1, place(1), &[key(0)]).unwrap();
    assert!(held.wait(2, place(2), &[key(0), key(1)], &[]).unwrap(), "a merge");
    for (id, name) in [(3, 0), (4, 0), (5, 1), (6, 0)] {
        assert!(held.wait(id, place(id), &[key(name)], &[]).unwrap());
    }
    assert!(held.unblock(1));
    for id in 1..6 {
        assert_eq!(held.free(id).unwrap(), [(id + 1, place(id + 1))]);
    }
    assert!(held.free(6).unwrap().is_empty());
    assert!(!held.wait(7, place(7), &[key(1)], &[]).unwrap(), "nobody stands there");
}

/// What waits is read when it comes to the front, not before.
#[test]
fn memory_holds_the_blocked_and_the_first_of_each_chain() {
    let folder = tempfile::tempdir().unwrap();
    let mut held = Held::create(&folder.path().join("held")).unwrap();
    let keys = [key(0)];
    for id in 0..50 {
        held.block(id, place(id), &keys).unwrap();
    }
    for id in 50..100 {
        assert!(held.wait(id, place(id), &keys, &[]).unwrap());
    }
    for id in 0..49 {
        assert!(held.free(id).unwrap().is_empty());
        assert_eq!(held.in_memory() as u64, 1 + 49 - id);
    }
    for id in 49..89 {
        assert_eq!(held.free(id).unwrap(), [(id + 1, place(id + 1))]);
        assert_eq!(held.in_memory(), 2);
    }
    held.block(200, place(200), &keys).unwrap();
    assert!(held.wait(300, place(300), &keys, &[]).unwrap());
    for id in 89..99 {
        assert_eq!(held.free(id).unwrap(), [(id + 1, place(id + 1))]);
        assert_eq!(held.in_memory(), 3);
    }
    assert!(held.free(99).unwrap().is_empty());
    assert_eq!(held.in_memory(), 2);
}

/// Its records are in the file still when it comes back.
#[test]
fn one_that_left_from_the_middle_can_wait_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut held = Held::create(&folder.path().join("held")).unwrap();
    held.block(1, place(1), &[key(0)]).unwrap();
    held.block(2, place(2), &[key(1)]).unwrap();
    assert!(held.wait(3, place(3), &[key(0)], &[]).unwrap());
    assert!(held.free(3).unwrap().is_empty());
    assert!(held.wait(3, place(3), &[key(1)], &[]).unwrap());
    assert_eq!(held.free(2).unwrap(), [(3, place(3))]);
    assert!(held.free(1).unwrap().is_empty());
    assert_eq!(held.keys(), 1);
}
