//! Random admissions, results, merges, changes and withdrawals of many patients: the index says what
//! the model says, and whatever was lost and replayed, it says so again.

use std::collections::BTreeSet;

use identity::fact::Fact;
use identity::index::{Index, Settings};
use identity::rules::Resolution;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::harness::*;
use crate::model::{Model, Step};

const LOCALS: u8 = 5;
const MOST_NUMBERS: u8 = 5;

fn step() -> impl Strategy<Value = Step> {
    let local = || 0..LOCALS;
    let number = || 0..MOST_NUMBERS;
    prop_oneof![
        4 => (local(), prop::option::of(number())).prop_map(|(local, number)| Step::Admit { local, number }),
        4 => (prop::option::of(local()), prop::option::of(number()))
            .prop_filter("names somebody", |(local, number)| local.is_some() || number.is_some())
            .prop_map(|(local, number)| Step::Result { local, number }),
        3 => (local(), local()).prop_map(|(survivor, retired)| Step::Merge { survivor, retired }),
        2 => (local(), number()).prop_map(|(local, number)| Step::ChangeNumber { local, number }),
        1 => local().prop_map(|local| Step::Withdraw { local }),
        1 => (local(), any::<bool>()).prop_map(|(local, protected)| Step::Protect { local, protected }),
    ]
}

fn local_name(local: u8) -> String {
    format!("M{local}")
}

fn number_name(number: u8) -> &'static str {
    NUMBERS[usize::from(number)]
}

/// The message of a step, and who sends it.
fn message(step: Step, model: &Model) -> (Sender, String) {
    let list = |local: Option<u8>, number: Option<u8>| {
        let parts = [local.map(local_name), number.map(|number| number_name(number).to_owned())];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    match step {
        Step::Admit { local, number } => {
            (PAS, adt("A31", &pid(&list(Some(local), number), "", "")))
        }
        Step::Result { local, number } => {
            (LAB, format!("ORU^R01|1|P|2.4\r{}", pid(&list(local, number), "", "")))
        }
        Step::Merge { survivor, retired } => {
            let sides = [pid(&local_name(survivor), "", ""), mrg(&local_name(retired))];
            (PAS, adt("A40", &sides.concat()))
        }
        Step::ChangeNumber { local, number } => {
            // MRG names the number that goes; of a patient without one it says nothing new.
            let old = model.of_local(local).and_then(|group| group.number);
            let gone = old.map_or_else(|| local_name(local), |old| number_name(old).to_owned());
            (PAS, adt("A47", &[pid(&list(Some(local), Some(number)), "", ""), mrg(&gone)].concat()))
        }
        Step::Withdraw { local } => {
            (PAS, adt("A31", &pid(&format!("{} null", local_name(local)), "", "")))
        }
        Step::Protect { local, protected } => {
            let code = if protected { "S" } else { "N" };
            let pv1 = format!("PV1||N{}{code}\r", "|".repeat(14));
            (PAS, adt("A31", &[pid(&local_name(local), "", ""), pv1].concat()))
        }
    }
}

/// The same of index and model, of everything that can be asked.
fn compare(index: &Index, model: &Model) -> Result<(), TestCaseError> {
    let known = |asked: &str| index.show(&asked_for(asked)).expect("asked");
    for local in 0..LOCALS {
        let (known, group) = (known(&local_name(local)), model.of_local(local));
        prop_assert_eq!(known.is_some(), group.is_some(), "M{}", local);
        let (Some(known), Some(group)) = (known, group) else { continue };
        let number = group.number.map(number_name);
        let held = known.number.as_ref().map(|held| held.number.as_str());
        prop_assert_eq!(held, number, "M{}", local);
        prop_assert_eq!(known.protected, group.protected, "M{} protected", local);
        for other in 0..LOCALS {
            let same = index.show(&asked_for(&local_name(other))).expect("asked");
            let same = same.is_some_and(|of| of.patient == known.patient);
            prop_assert_eq!(same, model.are_one(local, other), "M{} and M{}", local, other);
        }
    }
    for number in 0..MOST_NUMBERS {
        let (known, group) = (known(number_name(number)), model.of_number(number));
        prop_assert_eq!(known.is_some(), group.is_some(), "number {}", number);
        let held = known.and_then(|known| known.number).map(|held| held.number.to_string());
        let expected = group.and_then(|group| group.number).map(number_name);
        prop_assert_eq!(held.as_deref(), expected, "number {}", number);
    }
    Ok(())
}

fn dump(index: &Index) -> String {
    let locals = (0..LOCALS).map(local_name);
    let asked = locals.chain((0..MOST_NUMBERS).map(|number| number_name(number).to_owned()));
    let shown = asked.map(|asked| {
        let asked = asked_for(&asked);
        let known = index.show(&asked).expect("asked");
        let history = known.as_ref().map(|_| index.history(&asked).expect("asked"));
        serde_json::to_string(&(known, history)).expect("JSON")
    });
    shown.collect::<Vec<_>>().join("\n")
}

fn replay(index: &Index, entries: &[(u64, &'static str, String)]) {
    for (id, source, facts) in entries {
        let facts: Vec<Fact> = serde_json::from_str(facts).expect("facts");
        index.apply(position(*id), &origin(source, *id), &facts).expect("applied");
        index.reached(position(*id));
    }
}

/// Whatever an identifier finds says that it is its own; no number is two patients'.
fn agrees(index: &Index) -> Result<(), TestCaseError> {
    let known = |asked: &str| index.show(&asked_for(asked)).expect("asked");
    let locals = (0..LOCALS).map(local_name);
    for asked in locals.chain((0..MOST_NUMBERS).map(|number| number_name(number).to_owned())) {
        let Some(known_by) = known(&asked) else { continue };
        let held = known_by.number.as_ref().map(|held| held.number);
        let mut numbers = held.iter().chain(&known_by.former);
        let mut own = known_by.locals.iter().map(|own| own.local.value.as_str());
        let says = own.any(|own| own == asked) || numbers.any(|own| own.as_str() == asked);
        prop_assert!(says, "{} is not its patient's", asked);
        for number in held.iter().chain(&known_by.former) {
            let holder = known(number.as_str()).map(|of| of.patient);
            prop_assert_eq!(holder, Some(known_by.patient), "{} beside {}", number, asked);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn merges_are_undone_in_any_order(
        steps in prop::collection::vec((step(), prop::option::weighted(0.2, 0..LOCALS)), 1..40),
        flushed in 0_u64..40,
    ) {
        let world = World::new();
        let model = Model::default();
        let mut entries = Vec::new();
        for (step, undone) in steps {
            let (sender, body) = message(step, &model);
            // Numbers that differ are merged too: that is where an undone merge has most to undo.
            let decision = world.resolve(sender, &body, Some(Resolution::Message));
            let mut decisions = vec![decision];
            decisions.extend(undone.and_then(|local| world.unmerge(&local_name(local)).ok()));
            for decision in decisions {
                let facts = serde_json::to_string(&decision.facts).expect("JSON");
                entries.push((entries.len() as u64 + 1, sender.name, facts));
            }
            agrees(&world.index)?;
            if entries.len() as u64 >= flushed {
                world.index.flush().expect("flushed");
            }
        }
        let shown = |index: &Index| {
            let asked = (0..LOCALS).map(local_name);
            let asked = asked.chain((0..MOST_NUMBERS).map(|n| number_name(n).to_owned()));
            let shown = asked.map(|asked| index.show(&asked_for(&asked)).expect("asked"));
            // When a number was held is when its source said so first, or a person gave it back.
            shown.map(|known| known.map(|known| (known.patient, known.protected,
                known.number.map(|held| held.number), known.former.into_iter().collect::<BTreeSet<_>>(),
                known.locals.len()))).collect::<Vec<_>>()
        };
        let expected = shown(&world.index);
        for from in [0, entries.len() / 2, entries.len() - 1] {
            replay(&world.index, &entries[from..]);
            prop_assert!(shown(&world.index) == expected, "from {}", from);
            agrees(&world.index)?;
        }
    }

    #[test]
    fn the_index_says_what_the_model_says(
        steps in prop::collection::vec(step(), 1..40),
        flushed in 0_u64..40,
        copied in 0_usize..40,
    ) {
        let world = World::new();
        let mut model = Model::default();
        let mut entries = Vec::new();
        for (step, id) in steps.into_iter().zip(1_u64..) {
            let (sender, body) = message(step, &model);
            // Looking changes nothing, and says the same each time.
            let looked = world.look(sender, &body, None, id);
            let decision = world.send(sender, &body);
            prop_assert_eq!(&looked, &decision);
            let before = model.clone();
            match model.step(step) {
                Ok(number) => {
                    prop_assert_eq!(code(&decision), None, "{:?}", step);
                    let keyed = self::number(&decision);
                    prop_assert_eq!(keyed.as_deref(), number.map(number_name), "{:?}", step);
                }
                Err(expected) => {
                    prop_assert_eq!(code(&decision), Some(expected), "{:?}", step);
                    model = before;
                }
            }
            compare(&world.index, &model)?;
            entries.push((id, sender.name, serde_json::to_string(&decision.facts).expect("JSON")));
            if id == flushed {
                world.index.flush().expect("flushed");
            }
        }
        let expected = dump(&world.index);

        // From scratch.
        let folder = TempDir::new().expect("a folder");
        let settings = Settings { cached: 4 };
        let rebuilt = Index::open(folder.path(), settings).expect("opened").index;
        let copied = copied.min(entries.len());
        replay(&rebuilt, &entries[..copied]);
        let snapshot = rebuilt.snapshot(2).expect("copied");
        replay(&rebuilt, &entries[copied..]);
        prop_assert_eq!(&dump(&rebuilt), &expected);
        drop(rebuilt);

        // From a copy, and the facts behind it.
        std::fs::remove_file(folder.path().join("identity.db")).expect("removed");
        for rest in ["identity.db-wal", "identity.db-shm"] {
            std::fs::remove_file(folder.path().join(rest)).unwrap_or_default();
        }
        let restored = Index::open(folder.path(), settings).expect("opened");
        prop_assert_eq!(restored.position, snapshot.map(|snapshot| snapshot.position));
        replay(&restored.index, &entries[copied..]);
        prop_assert_eq!(&dump(&restored.index), &expected);

        // What was not flushed is lost, and comes again from further back than need be.
        let World { folder, index, .. } = world;
        drop(index);
        let again = Index::open(folder.path(), settings).expect("opened");
        let flushed = again.position.map_or(0, u128::from_le_bytes);
        let from = usize::try_from(flushed / 2).expect("few steps");
        replay(&again.index, &entries[from..]);
        prop_assert_eq!(&dump(&again.index), &expected);
    }
}
