//! What survives a crash, a damaged file, and the loss of the journal's beginning.

use std::fs;

use identity::error::IndexError;
use identity::fact::Fact;
use identity::index::{Index, Settings};
use identity::opening::Trouble;
use tempfile::TempDir;

use crate::harness::*;

/// Facts as a journal keeps them: JSON.
struct Journal(Vec<(u64, &'static str, String)>);

impl Journal {
    fn of(world: &World, messages: &[(Sender, String)]) -> Journal {
        let mut entries = Vec::new();
        for (at, (sender, body)) in messages.iter().enumerate() {
            let decision = world.send(*sender, body);
            assert_eq!(code(&decision), None);
            let facts = serde_json::to_string(&decision.facts).expect("no trouble");
            entries.push((at as u64 + 1, sender.name, facts));
        }
        Journal(entries)
    }

    /// Applies what lies behind a position.
    fn replay(&self, index: &Index, behind: Option<[u8; 16]>) {
        for (id, source, facts) in &self.0 {
            if behind.is_none_or(|behind| u128::from_le_bytes(behind) < u128::from(*id)) {
                let facts: Vec<Fact> = serde_json::from_str(facts).expect("no trouble");
                index.apply(position(*id), &origin(source, *id), &facts).expect("no trouble");
                index.reached(position(*id));
            }
        }
    }
}

fn messages() -> Vec<(Sender, String)> {
    let a31 = |ids: &str, name: &str| (PAS, adt("A31", &pid(ids, name, "19651213")));
    let vip = format!("{}PV1|1|I|RCB^W1{}S|||V1\r", pid("M3", "", ""), "|".repeat(13));
    vec![
        a31("M1", "SMITH^ANN"),
        a31("M1 9990000018", "SMITH^ANN"),
        (LAB, format!("ORU^R01|1|P|2.4\r{}", pid("LAB3", "", ""))),
        a31("M2 9990000026", "JONES^BETH"),
        a31("M3", "TAYLOR^ANN"),
        (PAS, adt("A01", &vip)),
        (PAS, adt("A40", &format!("{}{}", pid("M1", "", ""), mrg("M3")))),
        (PAS, adt("A47", &format!("{}{}", pid("M2 9990000034", "", ""), mrg("9990000026")))),
        a31("M2 LAB3", "JONES-BROWN^BETH"),
    ]
}

/// Everything that can be asked.
fn answers(index: &Index) -> String {
    let mut all = String::new();
    for asked in ["M1", "M2", "M3", "LAB3", "9990000018", "9990000026", "9990000034", "9990000042"]
    {
        let asked = asked_for(asked);
        let known = index.show(&asked).expect("no trouble");
        let history = known.as_ref().map(|_| index.history(&asked).expect("no trouble"));
        all += &serde_json::to_string(&(known, history)).expect("no trouble");
        all += "\n";
    }
    all
}

fn open(folder: &TempDir) -> identity::opening::Opened {
    Index::open(folder.path(), Settings { cached: 8 }).expect("no trouble")
}

#[test]
fn facts_from_the_beginning_give_the_same_answers() {
    let world = World::new();
    let journal = Journal::of(&world, &messages());
    let expected = answers(&world.index);
    assert!(expected.contains("JONES-BROWN"));
    let folder = TempDir::new().unwrap();
    let rebuilt = open(&folder);
    assert_eq!((rebuilt.position, rebuilt.findings.len()), (None, 0));
    journal.replay(&rebuilt.index, None);
    assert_eq!(answers(&rebuilt.index), expected);
    // Once more, over what is there.
    journal.replay(&rebuilt.index, None);
    assert_eq!(answers(&rebuilt.index), expected);
}

#[test]
fn whatever_was_flushed_the_rest_comes_again() {
    let world = World::new();
    let journal = Journal::of(&world, &messages());
    let expected = answers(&world.index);
    for flushed in 0..=journal.0.len() {
        let folder = TempDir::new().unwrap();
        let first = open(&folder).index;
        Journal(journal.0[..flushed].to_vec()).replay(&first, None);
        first.flush().unwrap();
        // Applied, and lost with the process.
        journal.replay(&first, Some(position(flushed as u64)));
        assert_eq!(answers(&first), expected);
        drop(first);
        let again = open(&folder);
        let position = (flushed > 0).then(|| position(flushed as u64));
        assert_eq!(again.position, position);
        journal.replay(&again.index, position);
        assert_eq!(answers(&again.index), expected, "flushed {flushed}");
        // And from further back than need be.
        journal.replay(&again.index, Some(crate::harness::position(flushed as u64 / 2)));
        assert_eq!(answers(&again.index), expected, "flushed {flushed}");
    }
}

#[test]
fn a_snapshot_and_what_follows_is_all_that_is_needed() {
    let world = World::new();
    let journal = Journal::of(&world, &messages());
    let expected = answers(&world.index);
    for taken in 1..journal.0.len() {
        let folder = TempDir::new().unwrap();
        let first = open(&folder).index;
        assert_eq!(first.snapshot(2).unwrap(), None);
        Journal(journal.0[..taken].to_vec()).replay(&first, None);
        let snapshot = first.snapshot(2).unwrap().expect("there are facts");
        assert_eq!(snapshot.position, position(taken as u64));
        assert_eq!(first.covered().unwrap(), None);
        journal.replay(&first, Some(snapshot.position));
        first.flush().unwrap();
        drop(first);
        damage(&folder.path().join("identity.db"));
        let again = open(&folder);
        assert_eq!(again.position, Some(snapshot.position));
        let [finding] = &again.findings[..] else { panic!("one finding") };
        assert_eq!((finding.trouble, &finding.restored), (Trouble::Damaged, &Some(snapshot.path)));
        assert!(finding.set_aside.as_ref().unwrap().try_exists().unwrap());
        journal.replay(&again.index, again.position);
        assert_eq!(answers(&again.index), expected, "taken {taken}");
    }
}

/// Overwrites all pages but the first half of the first.
fn damage(path: &std::path::Path) {
    let length = fs::metadata(path).expect("no trouble").len();
    for ending in ["-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        fs::remove_file(name).unwrap_or_default();
    }
    let mut bytes = fs::read(path).expect("no trouble");
    let from = usize::try_from(length.min(2048)).expect("no trouble");
    bytes[from..].fill(0xA5);
    fs::write(path, bytes).expect("no trouble");
}

#[test]
fn a_row_that_names_another_patient_is_not_believed() {
    for (asked, flip) in [
        ("9990000018", "UPDATE numbers SET patient = (SELECT max(patient) FROM numbers)"),
        ("M1", "UPDATE locals SET patient = (SELECT max(patient) FROM locals)"),
    ] {
        let world = World::new();
        let one = world.admit("M1 9990000018", "SMITH^ANN", "19651213");
        world.admit("M2 9990000026", "JONES^BETH", "19700101");
        world.index.snapshot(2).expect("copied");
        let folder = world.folder;
        drop(world.index);
        let file = rusqlite::Connection::open(folder.path().join("identity.db")).unwrap();
        assert_eq!(file.execute(flip, []).unwrap(), 2);
        drop(file);
        let opened = open(&folder);
        let shown = opened.index.show(&asked_for(asked));
        assert!(matches!(shown, Err(IndexError::Damaged { .. })), "{asked}");
        drop(opened);
        // The next start takes what was copied before.
        let again = open(&folder);
        assert_eq!(again.findings[0].trouble, Trouble::Damaged);
        let known = again.index.show(&asked_for(asked)).unwrap();
        assert_eq!(known.map(|known| known.patient), one.patient);
    }
}

#[test]
fn the_older_of_two_snapshots_is_what_the_journal_may_forget() {
    let world = World::new();
    let all = messages();
    let mut positions = Vec::new();
    for (sender, body) in &all[..4] {
        world.send(*sender, body);
        positions.push(world.index.snapshot(2).unwrap().unwrap().position);
    }
    assert_eq!(world.index.covered().unwrap(), Some(positions[2]));
    let kept = fs::read_dir(world.folder.path().join("snapshots")).unwrap().count();
    assert_eq!(kept, 2);
    // The newest one rots: the older one is believed.
    let expected = world.show("9990000018");
    let folder = world.folder;
    drop(world.index);
    damage(&folder.path().join("snapshots/identity-00000000000000000004.db"));
    fs::remove_file(folder.path().join("identity.db")).unwrap();
    let again = open(&folder);
    assert_eq!(again.position, Some(positions[2]));
    assert_eq!(again.findings[0].trouble, Trouble::Missing);
    assert_eq!(again.index.show(&asked_for("9990000018")).unwrap(), expected);
}

/// An index with two snapshots, closed; and what each of them held.
fn two_snapshots() -> (TempDir, Vec<[u8; 16]>) {
    let world = World::new();
    let mut positions = Vec::new();
    for (sender, body) in &messages()[..2] {
        world.send(*sender, body);
        positions.push(world.index.snapshot(2).expect("copied").expect("facts").position);
    }
    (world.folder, positions)
}

fn remove_log(folder: &TempDir) {
    for ending in ["-wal", "-shm"] {
        fs::remove_file(folder.path().join(format!("identity.db{ending}"))).unwrap_or_default();
    }
}

#[test]
fn an_empty_file_beside_snapshots_is_damage_and_no_new_index() {
    let (folder, positions) = two_snapshots();
    remove_log(&folder);
    fs::write(folder.path().join("identity.db"), []).unwrap();
    let opened = open(&folder);
    assert_eq!(opened.position, Some(positions[1]));
    assert_eq!(opened.findings[0].trouble, Trouble::Damaged);
    // One that nothing was ever written to is new.
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("identity.db"), []).unwrap();
    let opened = open(&folder);
    assert_eq!((opened.position, opened.findings.len()), (None, 0));
}

#[test]
fn a_snapshot_that_proves_nothing_gives_way_to_the_older_one() {
    let newest = "snapshots/identity-00000000000000000002.db";
    let altered = |sql: &'static str| {
        move |path: &std::path::Path| {
            rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
        }
    };
    let ruins: [&dyn Fn(&std::path::Path); 6] = [
        &|path| fs::write(path, []).unwrap(),
        &altered("DROP TABLE history"),
        &altered("DELETE FROM meta WHERE key = 'seal'"),
        &altered("UPDATE meta SET value = x'00' WHERE key = 'seal'"),
        &altered("PRAGMA user_version = 99"),
        &altered("PRAGMA application_id = 7"),
    ];
    for (at, ruin) in ruins.into_iter().enumerate() {
        let (folder, positions) = two_snapshots();
        remove_log(&folder);
        ruin(&folder.path().join(newest));
        fs::remove_file(folder.path().join("identity.db")).unwrap();
        let opened = open(&folder);
        assert_eq!(opened.position, Some(positions[0]), "{at}");
    }
}

#[test]
fn snapshots_of_which_none_proves_whole_are_a_finding() {
    let (folder, _) = two_snapshots();
    remove_log(&folder);
    for number in 1..3 {
        damage(&folder.path().join(format!("snapshots/identity-{number:020}.db")));
    }
    fs::remove_file(folder.path().join("identity.db")).unwrap();
    let opened = open(&folder);
    assert_eq!((opened.position, opened.findings.len()), (None, 1));
    assert_eq!(opened.findings[0].restored, None);
}

#[test]
fn a_file_of_somebody_else_is_not_touched() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("identity.db"), "not a database, but something of value").unwrap();
    let opened = open(&folder);
    assert_eq!(opened.findings[0].trouble, Trouble::Damaged);
    let kept = fs::read_to_string(opened.findings[0].set_aside.as_ref().unwrap()).unwrap();
    assert_eq!(kept, "not a database, but something of value");
}

#[test]
fn nothing_shows_a_patient() {
    let world = World::new();
    for (sender, body) in messages() {
        let decision = world.send(sender, &body);
        let known = world.show("9990000018");
        let said = stated(sender.name, &body);
        let shown = format!("{decision:?} {known:?} {said:?} {:?}", world.index);
        for secret in ["9990000018", "9990000026", "SMITH", "ANN", "M1", "M3", "19651213", "V1"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}
