//! What people teach the identity index, and what they ask of it. Every lesson is durable before it
//! has an effect, and says who gave it and why.

use std::fs::{self, File};
use std::io::{self, Seek};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, TryLockError};

use identity::error::IndexError;
use identity::fact::Fact;
use identity::forbidden::{Identifier, do_not_link};
use identity::index::{Index, Origin, Settings};
use identity::load::{Load, LoadError, Report};
use identity::question::{Asked, Happened, Known};
use jiff::Timestamp;
use journal::entry::{Kind, MessageId, Position};
use journal::journal::Journal;
use journal::queue::AppendError;
use record::local::LocalId;
use record::nhs_number::NhsNumber;
use record::source::Source;
use serde_json::value::to_raw_value;
use thiserror::Error;

use crate::entry::{self, Accepted, Action, Decision, Lesson};
use crate::event::Event;
use crate::operators::{Actor, reason};
use crate::patients::Patients;
use crate::plan::Current;

/// Where people ask and teach.
#[derive(Debug)]
pub struct Teaching {
    journal: Journal,
    plan: Arc<Current>,
    patients: Arc<Patients>,
    /// Where files to be loaded are kept meanwhile.
    folder: PathBuf,
    loads: AtomicU64,
    /// Held by the load that is under way.
    loading: Mutex<()>,
}

/// Patients whose changes are not on disk yet, after whom a load waits until they are: what it
/// fills in would grow in memory as long as a copy of the index is being made.
const UNWRITTEN: usize = 50_000;

/// A folder that is removed when nobody needs it any more.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A file in it, to be written.
    pub fn file(&self) -> io::Result<File> {
        File::options().read(true).write(true).create_new(true).open(self.0.join("load"))
    }

    fn index(&self) -> PathBuf {
        self.0.join("index")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// How a file to be loaded is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Columns named in the first line.
    Csv,
    /// A28 and A31 messages.
    Messages,
}

/// Why nothing was taught.
#[derive(Debug, Error)]
pub enum TeachingError {
    /// Every lesson says why.
    #[error("a reason is needed, in at most 1000 bytes")]
    Reason,
    /// Neither a number nor an identifier with its authority.
    #[error(
        "that is no patient: give an NHS Number, an identifier with its authority (1234567^^^RXX01^MR), or a partition key (p and 16 digits)"
    )]
    Patient,
    /// channels.yaml names no such channel.
    #[error("there is no channel {0}: see tieline status")]
    NoChannel(String),
    /// It is no master system.
    #[error("channel {0} does not teach: write `teaches: true` below its `identity:`")]
    DoesNotTeach(String),
    /// There is no merge of it.
    #[error("that identifier was not merged into another patient: nothing is to be taken back")]
    NotMerged,
    /// The two are not on the list.
    #[error("the two identifiers are not on the list")]
    NotListed,
    /// The index says no, or cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The identifier is of a kind that no channel issues, so that it would never be met.
    #[error(
        "no channel issues identifiers of that authority and type: write both as below `identity: local:` in channels.yaml"
    )]
    NoSuchKind,
    /// One load at a time.
    #[error("another file is being loaded: wait until it is in, then give this one again")]
    Loading,
    /// What was taught is durable, and not in the index.
    #[error(
        "the index did not take what was loaded, and the load stopped; see the log for the cause, mend it, then give the file again"
    )]
    NotTaken,
    /// The file cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The lesson could not be made durable.
    #[error("it could not be written to the journal: {0}")]
    NotStored(#[from] AppendError),
    /// The file cannot be kept or read back.
    #[error("the file cannot be kept in the data folder: {0}")]
    Scratch(#[source] io::Error),
}

impl Teaching {
    /// Teaches the index of this line.
    pub fn new(journal: Journal, plan: Arc<Current>, patients: Arc<Patients>, data: &Path) -> Self {
        let folder = data.join("identity-loads");
        // A load that a crash broke off.
        fs::remove_dir_all(&folder).ok();
        Self { journal, plan, patients, folder, loads: AtomicU64::new(0), loading: Mutex::new(()) }
    }

    /// A place for a file to be loaded. Blocks.
    pub fn scratch(&self) -> io::Result<Scratch> {
        let number = self.loads.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join(number.to_string());
        fs::create_dir_all(&folder)?;
        Ok(Scratch(folder))
    }

    /// Everything held of a patient; nothing if nobody is known by that. Blocks.
    pub fn show(&self, whom: &str) -> Result<Option<Known>, TeachingError> {
        Ok(self.index().show(&self.asked(whom)?)?)
    }

    /// How it came to be held. Blocks.
    pub fn history(&self, whom: &str) -> Result<Vec<Happened>, TeachingError> {
        Ok(self.index().history(&self.asked(whom)?)?)
    }

    /// Puts two identifiers on the list of those that must never be shown together, or takes them
    /// off it. Gives back whether both are held for one patient: what is linked already the list does
    /// not part. Blocks.
    pub fn do_not_link(
        &self,
        (one, other): (&str, &str),
        undo: bool,
        actor: &Actor,
    ) -> Result<bool, TeachingError> {
        let (one, other) = (identifier(one)?, identifier(other)?);
        let (one, other) = if undo {
            (self.as_issued(one), self.as_issued(other))
        } else {
            // One that is met in another spelling, or never, would protect nobody.
            (self.issued(one)?, self.issued(other)?)
        };
        let fact = if undo {
            self.index().may_link_again(&one, &other).ok_or(TeachingError::NotListed)?
        } else {
            // The salt need not be secret, only different for every pair.
            let salt = fastrand::u128(..).to_le_bytes();
            do_not_link(&one, &other, salt)
        };
        let action = if undo { Action::MayLink } else { Action::DoNotLink };
        let facts = [fact];
        let at = self.decide("", actor, action, Some(&facts))?;
        let now = Timestamp::now().as_millisecond();
        let actor = Some(actor.name.as_str());
        let origin = Origin { at_ms: now, source: "", message_id: 0, actor };
        self.patients.learn(at, &origin, &facts)?;
        Ok(self.index().are_of_one(&one, &other)?)
    }

    /// Fills the index from a file, as the knowledge of a channel that teaches. A dry run changes
    /// nothing. What is held already is passed over, so a load that broke off is begun again. One
    /// at a time: each row is looked at in the light of all before it. Blocks.
    pub fn load(
        &self,
        channel: &str,
        (mut file, form): (File, Form),
        dry_run: Option<&Scratch>,
        actor: &Actor,
    ) -> Result<Report, TeachingError> {
        let plan = self.plan.get();
        let of = plan.channels.get(channel);
        let of = of.ok_or_else(|| TeachingError::NoChannel(channel.to_owned()))?;
        if !of.identity.teaches {
            return Err(TeachingError::DoesNotTeach(channel.to_owned()));
        }
        reason(actor).map_err(|_| TeachingError::Reason)?;
        let _alone = match self.loading.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(TeachingError::Loading),
            // A load that panicked left what is durable and applied, and nothing else.
            Err(TryLockError::Poisoned(of)) => of.into_inner(),
            Ok(alone) => alone,
        };
        file.rewind().map_err(TeachingError::Scratch)?;
        let source = Source::clone(&of.source);
        let mut load = match form {
            Form::Csv => Load::csv(file, source)?,
            Form::Messages => Load::messages(file, source)?,
        };
        if let Some(scratch) = dry_run {
            let scratch = self.index().scratch(&scratch.index(), Settings::default())?;
            while let Some(batch) = load.next_batch(&scratch)? {
                let origin = Origin { at_ms: 0, source: channel, message_id: 0, actor: None };
                scratch.apply(Position::START.to_bytes(), &origin, &batch.facts)?;
                wait_for_disk(&scratch)?;
            }
            return Ok(load.report().clone());
        }
        self.decide(channel, actor, Action::LoadIdentity, None)?;
        while let Some(batch) = load.next_batch(self.index())? {
            if !batch.facts.is_empty() {
                // Rows that follow one that was not taken would be looked at without it.
                self.take_in(channel, actor, &batch.facts)?;
                wait_for_disk(self.index())?;
            }
        }
        Ok(load.report().clone())
    }

    /// Makes facts of a load durable, then known.
    fn take_in(&self, channel: &str, actor: &Actor, facts: &[Fact]) -> Result<(), TeachingError> {
        let at_ms = Timestamp::now().as_millisecond();
        let learned = to_raw_value(facts).map_err(|_| TeachingError::NotTaken)?;
        let (actor, channel) = (actor.name.clone(), channel.to_owned());
        let lesson = Lesson { at: at_ms, actor, channel, learned };
        let body = entry::encode(&lesson, &[]);
        let (_, at) = self.journal.record(Kind::Identity, MessageId::NONE, body, false).wait()?;
        let Lesson { actor, channel, .. } = &lesson;
        let origin = Origin { at_ms, source: channel, message_id: 0, actor: Some(actor) };
        self.patients.learn(at, &origin, facts).map_err(|_| TeachingError::NotTaken)
    }

    /// Takes a merge back: makes a message that says so and goes the way of all messages, in order
    /// with those of both. Gives back its number. Blocks.
    pub fn unmerge(
        &self,
        channel: &str,
        retired: &str,
        actor: &Actor,
    ) -> Result<u64, TeachingError> {
        let plan = self.plan.get();
        let of = plan.channels.get(channel);
        let of = of.ok_or_else(|| TeachingError::NoChannel(channel.to_owned()))?;
        if !of.identity.teaches {
            return Err(TeachingError::DoesNotTeach(channel.to_owned()));
        }
        let (retired, identifier) = match self.as_issued(identifier(retired)?) {
            Identifier::Number(number) => (number.to_string(), format!("{number}^^^NHS^NH")),
            Identifier::Local(local) => (local.to_string(), local.to_string()),
        };
        if identifier.contains(['|', '~', '\\', '&', '\r', '\n']) {
            return Err(TeachingError::Patient);
        }
        // Refused here, where somebody is told, rather than parked.
        match self.index().unmerge(0, 0, &asked(&retired)?) {
            Err(IndexError::NotMerged | IndexError::Nobody) => {
                return Err(TeachingError::NotMerged);
            }
            tried => drop(tried?),
        }
        self.decide(channel, actor, Action::Unmerge, None)?;
        let now = Timestamp::now();
        let (received, time) = (now.as_millisecond(), now.strftime("%Y%m%d%H%M%S+0000"));
        let (organisation, control) = (&of.source.organisation, format!("UNMERGE{received}"));
        let frame = format!(
            "MSH|^~\\&|TIELINE|{organisation}|||{time}||ADT^A37|{control}|P|2.4\rEVN||{time}\rPID|1||{identifier}\r"
        );
        let head = Accepted {
            channel: channel.to_owned(),
            peer: "operator".to_owned(),
            received,
            control_id: control,
            message_type: "ADT^A37".to_owned(),
            sender: format!("TIELINE/{organisation}"),
            application_ack: None,
            edit: None,
            unmerge: Some(retired),
            sequence: None,
            refused: false,
            miscounted: false,
        };
        let (id, _) = self.journal.append(entry::encode(&head, &[frame.as_bytes()])).wait()?;
        Ok(id.0)
    }

    /// A patient by whatever names one, as the index knows it.
    fn asked(&self, text: &str) -> Result<Asked, TeachingError> {
        Ok(match asked(text)? {
            Asked::Local(local) => match self.as_issued(Identifier::Local(local)) {
                Identifier::Local(local) => Asked::Local(local),
                Identifier::Number(number) => Asked::Number(number),
            },
            other => other,
        })
    }

    /// An identifier as messages bring it: authority and type in the spelling of channels.yaml.
    fn issued(&self, identifier: Identifier) -> Result<Identifier, TeachingError> {
        let Identifier::Local(local) = identifier else { return Ok(identifier) };
        let plan = self.plan.get();
        let mut kinds = plan.channels.values().flat_map(|channel| &channel.source.local);
        let of = kinds.find(|of| {
            of.authority.eq_ignore_ascii_case(&local.authority)
                && of.kind.eq_ignore_ascii_case(&local.kind)
        });
        let of = of.ok_or(TeachingError::NoSuchKind)?;
        let (authority, kind) = (of.authority.clone(), of.kind.clone());
        Ok(Identifier::Local(LocalId { authority, kind, ..local }))
    }

    /// The same; as typed if no channel issues such identifiers any more.
    fn as_issued(&self, identifier: Identifier) -> Identifier {
        self.issued(identifier.clone()).unwrap_or(identifier)
    }

    pub(crate) fn index(&self) -> &Index {
        self.patients.index()
    }

    fn decide(
        &self,
        channel: &str,
        actor: &Actor,
        action: Action,
        facts: Option<&[Fact]>,
    ) -> Result<Position, TeachingError> {
        reason(actor).map_err(|_| TeachingError::Reason)?;
        let decision = Decision {
            at: Timestamp::now().as_millisecond(),
            actor: actor.name.clone(),
            reason: actor.reason.clone(),
            channel: channel.to_owned(),
            received: 0,
            action,
            learned: facts.and_then(|facts| to_raw_value(facts).ok()),
        };
        let body = entry::encode(&decision, &[]);
        let (_, at) = self.journal.record(Kind::Operator, MessageId::NONE, body, false).wait()?;
        let (action, actor) = (action.as_str(), actor.name.as_str());
        Event::Decided { action, message: 0, channel, actor }.emit();
        Ok(at)
    }
}

/// Writes what a load filled in once there is much of it; waits for a copy that is being made.
fn wait_for_disk(index: &Index) -> Result<(), IndexError> {
    if index.unflushed() > UNWRITTEN {
        index.flush()?;
    }
    Ok(())
}

/// A patient by whatever names one.
pub fn asked(text: &str) -> Result<Asked, TeachingError> {
    if let Ok(patient) = text.parse() {
        return Ok(Asked::Patient(patient));
    }
    Ok(match identifier(text)? {
        Identifier::Number(number) => Asked::Number(number),
        Identifier::Local(local) => Asked::Local(local),
    })
}

/// An NHS Number, or an identifier as it stands in PID-3.
pub(crate) fn identifier(text: &str) -> Result<Identifier, TeachingError> {
    if let Ok(number) = NhsNumber::parse(text) {
        return Ok(Identifier::Number(number));
    }
    let mut parts = text.trim().split('^');
    let (value, authority, kind) = (parts.next(), parts.nth(2), parts.next());
    match (value, authority, kind) {
        (Some(value), Some(authority), Some(kind)) if !value.is_empty() => {
            let [value, authority, kind] = [value, authority, kind].map(str::to_owned);
            Ok(Identifier::Local(LocalId { authority, kind, value }))
        }
        _ => Err(TeachingError::Patient),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use journal::disk::RealDisk;
    use tempfile::TempDir;

    use super::*;
    use crate::config::load;
    use crate::config::overrides::Overrides;
    use crate::plan::Plan;

    /// With the channels of the sample, in a folder.
    fn teaching(folder: &TempDir) -> Teaching {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let sample =
            load::load(&root.join("channels.yaml"), &Overrides::default()).expect("no trouble");
        let plan = Arc::new(Current::new(Arc::new(Plan::assemble(&sample).expect("no trouble"))));
        let settings = journal::settings::Settings::new(folder.path().join("journal"));
        let (journal, _) = Journal::open(Arc::new(RealDisk), settings).expect("no trouble");
        let patients =
            Patients::open(journal.clone(), &folder.path().join("identity")).expect("no trouble");
        Teaching::new(journal, plan, Arc::new(patients), folder.path())
    }

    fn alex() -> Actor {
        Actor { name: "alex".into(), reason: "go-live".into() }
    }

    fn load_one(teaching: &Teaching) -> Result<Report, TeachingError> {
        let mut file = tempfile::tempfile().expect("no trouble");
        file.write_all(b"authority,type,local_id\nRXX01,MR,1000001\n").expect("no trouble");
        teaching.load("pas-adt", (file, Form::Csv), None, &alex())
    }

    #[test]
    fn one_file_is_loaded_at_a_time_and_again_if_need_be() {
        let folder = TempDir::new().unwrap();
        let teaching = teaching(&folder);
        let other = teaching.loading.lock().unwrap();
        assert!(matches!(load_one(&teaching), Err(TeachingError::Loading)));
        drop(other);
        assert_eq!(load_one(&teaching).unwrap().taken, 1);
        assert_eq!(load_one(&teaching).unwrap().unchanged, 1);
    }

    #[test]
    fn nothing_is_loaded_over_what_the_index_did_not_take() {
        let folder = TempDir::new().unwrap();
        let teaching = teaching(&folder);
        let fact = Fact::Created { patient: "p0000000000000008".parse().unwrap() };
        // More sources than the index can tell apart.
        for at in 0..33_000_u128 {
            let source = at.to_string();
            let origin = Origin { at_ms: 0, source: &source, message_id: 1, actor: None };
            let at = Position::from_bytes(at.to_le_bytes());
            teaching.patients.learn(at, &origin, std::slice::from_ref(&fact)).ok();
        }
        let told = load_one(&teaching).unwrap_err().to_string();
        assert!(told.contains("32767") || told.contains("did not take"), "{told}");
    }

    #[test]
    fn identifiers_that_must_not_be_linked_are_those_that_messages_bring() {
        let folder = TempDir::new().unwrap();
        let teaching = teaching(&folder);
        let two = ("1000001^^^rxx01^mr", "1000012^^^RXX01^Mr");
        teaching.do_not_link(two, false, &alex()).unwrap();
        let [one, other] =
            ["1000001^^^RXX01^MR", "1000012^^^RXX01^MR"].map(|text| identifier(text).unwrap());
        assert!(teaching.index().may_link_again(&one, &other).is_some());
        let unknown = ("1000001^^^RXX01^MR", "7^^^NOBODY^MR");
        let refused = teaching.do_not_link(unknown, false, &alex());
        assert!(matches!(refused, Err(TeachingError::NoSuchKind)));
        teaching.do_not_link((two.1, two.0), true, &alex()).unwrap();
        assert!(teaching.index().may_link_again(&one, &other).is_none());
    }

    #[test]
    fn a_patient_is_asked_for_in_three_ways() {
        assert!(matches!(asked("999 000 0018"), Ok(Asked::Number(_))));
        assert!(matches!(asked("1234567^^^RXX01^MR"), Ok(Asked::Local(_))));
        assert!(matches!(asked("p0000000000000008"), Ok(Asked::Patient(_))));
        for wrong in ["", "1234567", "^^^RXX01^MR", "9990000019"] {
            assert!(matches!(asked(wrong), Err(TeachingError::Patient)), "{wrong}");
        }
    }
}
