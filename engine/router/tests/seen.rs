//! The window of duplicates against a plain model, with restarts and damaged files.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use router::{
    seen::{Look, Mark, Preceding, Seen},
    seen_log::SeenError,
    sightings::{Sighting, content_of, name_of},
};

const WINDOW: i64 = 1000;

#[derive(Clone, Debug)]
enum Action {
    /// A message comes: looked at, then noted as what it is.
    Receive {
        name: u64,
        content: u64,
        after_ms: i64,
    },
    /// One that came earlier is read again.
    Again {
        choice: usize,
    },
    Void {
        choice: usize,
    },
    Save,
    Forget,
    /// The process ends and starts from the newest mark, or from the one before it.
    Restart {
        older: bool,
    },
}

fn action() -> impl Strategy<Value = Action> {
    // Now and then the clock jumps: back by less, forward by more than the window.
    let after = prop_oneof![12 => 0_i64..200, 1 => -500_i64..0, 1 => Just(100_000)];
    prop_oneof![
        12 => (0_u64..4, 0_u64..3, after)
            .prop_map(|(name, content, after_ms)| Action::Receive { name, content, after_ms }),
        2 => any::<usize>().prop_map(|choice| Action::Again { choice }),
        2 => any::<usize>().prop_map(|choice| Action::Void { choice }),
        2 => Just(Action::Save),
        1 => Just(Action::Forget),
        1 => any::<bool>().prop_map(|older| Action::Restart { older }),
    ]
}

/// Everything that was noted, in a list.
#[derive(Clone, Debug, Default)]
struct Model {
    noted: Vec<Sighting>,
    void: BTreeSet<u64>,
}

impl Model {
    /// What there is to find among those received since `forgotten`.
    fn look(&self, sighting: &Sighting, forgotten: i64) -> Look {
        let near = |one: &&Sighting| (one.received_ms - sighting.received_ms).abs() <= WINDOW;
        let noted = self.noted.iter().filter(|one| one.name == sighting.name);
        let noted = noted.filter(|one| one.id < sighting.id && one.received_ms >= forgotten);
        let (equal, other): (Vec<&Sighting>, Vec<&Sighting>) =
            noted.partition(|one| one.content == sighting.content);
        let (valid, others): (Vec<&Sighting>, Vec<&Sighting>) =
            equal.into_iter().partition(|one| near(one) && !self.void.contains(&one.id));
        let latest = |of: &mut dyn Iterator<Item = &Sighting>| of.map(|one| one.id).max();
        let copy = latest(&mut valid.into_iter()).map(|of| Look::Copy { of });
        let again = latest(&mut others.into_iter()).map(|of| Look::Again { of });
        let differs = latest(&mut other.into_iter().filter(near)).map(|of| Look::Differs { of });
        copy.or(again).or(differs).unwrap_or(Look::New)
    }

    /// What is forgotten may be found again after a restart, but never as a copy.
    fn agrees(&self, look: Look, sighting: &Sighting, forgotten: i64) -> bool {
        let wanted = self.look(sighting, forgotten);
        let found = |of: u64| self.noted.iter().find(|one| one.id == of);
        let old = |of: u64| found(of).is_some_and(|one| one.received_ms < forgotten);
        look == wanted
            || matches!((look, wanted), (Look::Again { of }, Look::Again { .. } | Look::Differs { .. } | Look::New) if old(of))
    }

    fn note(&mut self, sighting: Sighting) {
        let same = |one: &&mut Sighting| one.name == sighting.name && one.id == sighting.id;
        match self.noted.iter_mut().find(same) {
            Some(known) => known.received_ms = known.received_ms.max(sighting.received_ms),
            None => self.noted.push(sighting),
        }
    }
}

fn run(actions: Vec<Action>) {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Seen::empty(folder.path()).unwrap();
    let mut model = Model::default();
    let mut marks: Vec<(Option<Mark>, Model)> = vec![(None, Model::default())];
    let (mut now, mut highest, mut forgotten, mut id) = (1_000_000, 0, 0, 0);
    for action in actions {
        match action {
            Action::Receive { name, content, after_ms } => {
                // What is forgotten may be there still: no look reaches so far back.
                now = (now + after_ms).max(forgotten + WINDOW).max(highest - 500);
                highest = highest.max(now);
                id += 1;
                let sighting = Sighting { name, content, id, received_ms: now };
                let look = seen.look(&sighting, WINDOW);
                assert!(model.agrees(look, &sighting, forgotten), "{look:?} for {sighting:?}");
                let noted = match look {
                    Look::Copy { of } => sighting.copy_of(of),
                    Look::New | Look::Again { .. } | Look::Differs { .. } => sighting,
                };
                seen.note(noted);
                model.note(noted);
            }
            Action::Again { choice } => {
                let noted = model.noted.get(choice % model.noted.len().max(1)).copied();
                let kept = |sighting: &Sighting| sighting.received_ms >= forgotten + WINDOW;
                if let Some(sighting) = noted.filter(kept) {
                    let look = seen.look(&sighting, WINDOW);
                    assert!(model.agrees(look, &sighting, forgotten), "{look:?} for {sighting:?}");
                    seen.note(sighting);
                }
            }
            Action::Void { choice } => {
                if let Some(sighting) = model.noted.get(choice % model.noted.len().max(1)) {
                    seen.void(sighting.id);
                    model.void.insert(sighting.id);
                }
            }
            Action::Save => {
                marks.push((Some(seen.save().unwrap()), model.clone()));
                marks.drain(..marks.len().saturating_sub(2));
            }
            Action::Forget => {
                forgotten = now - WINDOW;
                seen.forget(forgotten);
            }
            Action::Restart { older } => {
                marks.truncate(if older { 1 } else { 2 });
                let (mark, then) = marks.last().unwrap().clone();
                seen = Seen::open(folder.path(), mark.as_ref()).unwrap();
                model = then;
            }
        }
    }
}

proptest! {
    #[test]
    fn looks_as_the_model_does(actions in proptest::collection::vec(action(), 1..150)) {
        run(actions);
    }
}

fn sighting(id: u64) -> Sighting {
    let control_id = id.to_string();
    Sighting {
        name: name_of(b"PAS/RXX", control_id.as_bytes()),
        content: content_of(control_id.as_bytes()),
        id,
        received_ms: i64::try_from(id).unwrap(),
    }
}

/// Whether a resend of message `id` is recognised.
fn knows(seen: &Seen, id: u64) -> bool {
    let resend = Sighting { id: u64::MAX, ..sighting(id) };
    seen.look(&resend, WINDOW) == Look::Copy { of: id }
}

fn copy_of_folder(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in files(from) {
        fs::copy(&file, to.path().join(file.file_name().unwrap())).unwrap();
    }
    to
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn both_kept_marks_can_be_used_whatever_was_saved_after_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Seen::empty(folder.path()).unwrap();
    seen.note(sighting(1));
    let older = seen.save().unwrap();
    seen.note(sighting(2));
    let newer = seen.save().unwrap();
    seen.note(sighting(3));
    let unused = seen.save().unwrap();
    let text = serde_json::to_string(&newer).unwrap();
    assert_eq!(serde_json::from_str::<Mark>(&text).unwrap(), newer);

    // The checkpoint after the last save was never written, and this start saves again.
    let copy = copy_of_folder(folder.path());
    let mut again = Seen::open(copy.path(), Some(&newer)).unwrap();
    assert_eq!((again.len(), knows(&again, 2), knows(&again, 3)), (2, true, false));
    again.note(sighting(4));
    let newest = again.save().unwrap();
    let marks = [
        (&older, vec![1]),
        (&newer, vec![1, 2]),
        (&unused, vec![1, 2, 3]),
        (&newest, vec![1, 2, 4]),
    ];
    for (mark, known) in marks {
        let seen = Seen::open(copy.path(), Some(mark)).unwrap();
        assert_eq!(seen.len(), known.len());
        assert!(known.into_iter().all(|id| knows(&seen, id)));
    }
}

#[test]
fn missing_short_and_damaged_files_are_errors_and_the_window_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Seen::empty(folder.path()).unwrap();
    (1..100).for_each(|id| seen.note(sighting(id)));
    seen.void(7);
    let mark = seen.save().unwrap();
    let [file] = files(folder.path()).try_into().unwrap();
    let bytes = fs::read(&file).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        fs::write(&file, damaged).unwrap();
        let error = Seen::open(folder.path(), Some(&mark)).unwrap_err();
        assert!(matches!(&error, SeenError::Corrupt { path } if *path == file), "{error}");
    }
    fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    let error = Seen::open(folder.path(), Some(&mark)).unwrap_err();
    assert!(matches!(error, SeenError::Short { .. }), "{error}");
    fs::remove_file(&file).unwrap();
    let error = Seen::open(folder.path(), Some(&mark)).unwrap_err();
    assert!(matches!(error, SeenError::Unreadable { .. }), "{error}");

    let mut seen = Seen::empty(folder.path()).unwrap();
    seen.note(sighting(5));
    let mark = seen.save().unwrap();
    assert!(knows(&Seen::open(folder.path(), Some(&mark)).unwrap(), 5));
}

#[test]
fn a_save_that_fails_can_be_tried_again() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("seen");
    let mut seen = Seen::empty(&folder).unwrap();
    seen.note(sighting(1));
    fs::remove_dir(&folder).unwrap();
    let error = seen.save().unwrap_err().to_string();
    assert!(error.contains("seen-1") && error.contains("window of duplicates"), "{error}");
    fs::create_dir(&folder).unwrap();
    let mark = seen.save().unwrap();
    assert!(knows(&Seen::open(&folder, Some(&mark)).unwrap(), 1));
}

/// Whole files go when everything in them is old, but not before newer marks took their place.
#[test]
fn old_files_go_and_those_of_the_marks_before_stay() {
    const EACH: u64 = 260_000;
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Seen::empty(folder.path()).unwrap();
    (1..=EACH).for_each(|id| seen.note(sighting(id)));
    seen.void(EACH);
    seen.save().unwrap();
    (EACH + 1..=2 * EACH).for_each(|id| seen.note(sighting(id)));
    seen.void(EACH + 1);
    let before = seen.save().unwrap();
    assert_eq!(files(folder.path()).len(), 2);

    seen.forget(i64::try_from(EACH).unwrap() + 1);
    assert_eq!(seen.len() as u64, EACH);
    assert!(!knows(&seen, EACH + 1), "void still");
    let after = seen.save().unwrap();
    assert!(Seen::open(folder.path(), Some(&before)).is_ok(), "the checkpoint before has it");
    seen.save().unwrap();
    assert_eq!(files(folder.path()).len(), 2);
    seen.save().unwrap();
    assert_eq!(files(folder.path()).len(), 1, "gone");
    let seen = Seen::open(folder.path(), Some(&after)).unwrap();
    assert_eq!(seen.len() as u64, EACH);
    assert!(knows(&seen, EACH + 2) && !knows(&seen, EACH + 1) && !knows(&seen, EACH - 1));
}

/// A file stays while one before it does: it may say what is void there.
#[test]
fn what_is_void_stays_void_when_the_clock_went_back_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let at = |id, received_ms| Sighting { received_ms, ..sighting(id) };
    let mut seen = Seen::empty(folder.path()).unwrap();
    seen.note(at(1, 5000));
    let mut mark = seen.save().unwrap();
    // A save that no checkpoint names makes the next start begin another file.
    let mut in_another_file = |sighting: Sighting, void: Option<u64>| {
        seen.note(at(99, 1));
        seen.save().unwrap();
        seen = Seen::open(folder.path(), Some(&mark)).unwrap();
        seen.note(sighting);
        if let Some(id) = void {
            seen.void(id);
        }
        mark = seen.save().unwrap();
    };
    in_another_file(at(2, 4000), Some(1));
    in_another_file(at(3, 5500), None);
    seen.forget(4500);
    let mark = seen.save().unwrap();
    let seen = Seen::open(folder.path(), Some(&mark)).unwrap();
    let resend = Sighting { id: 9, ..at(1, 5600) };
    assert_eq!(seen.look(&resend, WINDOW), Look::Again { of: 1 });
}

#[test]
fn a_clock_that_jumps_does_not_break_the_window() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Seen::empty(folder.path()).unwrap();
    let year = 365 * 86_400_000;
    let now = |id, received_ms| Sighting { received_ms, ..sighting(id) };
    seen.note(now(1, 10 * year));
    seen.note(now(2, 11 * year));
    seen.note(now(3, 10 * year + 500));
    let resend = |of: u64, received_ms| Sighting { id: 9, received_ms, ..sighting(of) };
    assert_eq!(seen.look(&resend(1, 10 * year + 600), WINDOW), Look::Copy { of: 1 });
    assert_eq!(seen.look(&resend(3, 10 * year + 400), WINDOW), Look::Copy { of: 3 });
    assert_eq!(
        seen.look(&resend(2, 10 * year + 600), WINDOW),
        Look::Again { of: 2 },
        "of next year"
    );
    assert_eq!(seen.look(&resend(1, i64::MIN), WINDOW), Look::Again { of: 1 });
    assert_eq!(seen.look(&resend(1, 10 * year), 0), Look::New, "no window");
    seen.save().unwrap();
    seen.forget(10 * year + 500);
    assert_eq!(seen.len(), 2, "what has a future time waits for it");
    seen.forget(12 * year);
    assert!(seen.is_empty());
}

#[test]
fn the_preceding_message_of_a_sender_is_in_the_mark() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Seen::empty(folder.path()).unwrap();
    let of = |id| Preceding { name: id, content: 1, id };
    for sender in 0..10_001 {
        seen.set_preceding(sender, of(sender + 5));
    }
    seen.set_preceding(77, of(3));
    let seen = Seen::open(folder.path(), Some(&seen.save().unwrap())).unwrap();
    assert_eq!(seen.preceding(77), Some(of(82)), "one read again is not the last");
    assert_eq!(seen.preceding(0), None, "silent longest");
    assert_eq!(seen.preceding(10_000), Some(of(10_005)));
}
