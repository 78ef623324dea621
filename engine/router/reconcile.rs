//! The books checked by anybody: folded once more from the volumes, and compared with the running
//! ledger and with the archive, message by message.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use archive::error::ArchiveError;
use archive::state::State as Archived;
use journal::entry::{Kind, Position};
use journal::journal::Journal;
use journal::reader::ReadError;
use roaring::RoaringTreemap;
use serde::Serialize;

use crate::books::Books;
use crate::chronicle::{self, Chronicle};
use crate::entry::{self, Accepted, State};
use crate::ledger::Ledger;
use crate::sums::Counts;

/// How long the archive may take to catch up before it is left out.
const PATIENCE: Duration = Duration::from_secs(30);
/// Messages named at most; more are counted.
const NAMED: usize = 100;

/// What a reconciliation found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Reconciled {
    /// By channel.
    pub channels: Vec<ChannelSums>,
    /// The sums of all channels.
    #[serde(flatten)]
    pub total: Counts,
    /// Frames answered negatively since the engine started.
    pub refused: u64,
    /// What does not agree; empty when all is well.
    pub differences: Vec<Difference>,
    /// Differences beyond those that are listed.
    pub more: u64,
    /// Entries read from the volumes.
    pub entries: u64,
    /// The first message that the volumes still hold; older ones are compared in sums only.
    pub first: u64,
    /// Whether the archive took part.
    pub archive: bool,
}

/// The sums of one channel.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ChannelSums {
    /// Its name.
    pub name: String,
    /// Its sums.
    #[serde(flatten)]
    pub counts: Counts,
    /// Frames its listener answered negatively since the engine started.
    pub refused: u64,
}

/// Two accounts that do not agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The message; absent when sums differ.
    pub message: Option<u64>,
    /// The channel; absent when a message differs.
    pub channel: Option<String>,
    /// What differs, in words.
    pub text: String,
}

/// What the volumes say.
struct Volumes {
    ledger: Ledger,
    by_state: BTreeMap<State, RoaringTreemap>,
    first: u64,
    /// When that was received.
    first_received: Option<i64>,
    entries: u64,
    /// Damaged places met on the way.
    damage: u64,
    reader: journal::reader::Reader,
}

impl Volumes {
    fn new(journal: &Journal) -> Self {
        Self {
            ledger: Ledger::default(),
            by_state: BTreeMap::new(),
            first: u64::MAX,
            first_received: None,
            entries: 0,
            damage: 0,
            reader: journal.reader(Position::START),
        }
    }

    /// Folds up to `end`.
    fn fold(&mut self, end: Position) -> std::io::Result<()> {
        while self.reader.position() < end {
            let entry = match self.reader.next() {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(ReadError::Disk(error)) => return Err(error),
                Err(ReadError::Corrupt(_)) => {
                    self.damage += 1;
                    continue;
                }
                Err(_) => continue,
            };
            self.entries += 1;
            let id = entry.id.0;
            if entry.kind == Kind::Accepted && !entry.carried && id < self.first {
                self.first = id;
                let head = entry::decode::<Accepted>(&entry.body).ok();
                self.first_received = head.map(|(head, _)| head.received);
            }
            let before = self.ledger.state(id);
            if self.ledger.apply(&entry).is_err() {
                self.damage += 1;
                continue;
            }
            let after = self.ledger.state(id).or_else(|| chronicle::settled_state(&entry));
            if before != after {
                if let Some(before) = before {
                    self.by_state.entry(before).or_default().remove(id);
                }
                if let Some(after) = after
                    && id > 0
                {
                    self.by_state.entry(after).or_default().insert(id);
                }
            }
        }
        Ok(())
    }
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The volumes cannot be read.
    #[error("the journal cannot be read")]
    Journal(#[source] std::io::Error),
    /// The archive cannot be asked.
    #[error("the archive cannot be read: tieline archive rebuild makes it anew")]
    Archive(#[from] ArchiveError),
}

/// Folds the volumes and compares. Hours before `since` are left out of the sums. Blocks for as long
/// as reading the journal takes.
pub fn reconcile(
    journal: &Journal,
    books: &Books,
    chronicle: &Chronicle,
    since_ms: Option<i64>,
) -> Result<Reconciled, ReconcileError> {
    let (ledger, as_of) = books.as_of();
    let mut volumes = Volumes::new(journal);
    volumes.fold(as_of).map_err(ReconcileError::Journal)?;
    let mut found = Found::default();
    compare_books(&ledger, &volumes, since_ms, &mut found);
    let archived = chronicle.catch_up(PATIENCE);
    if archived {
        let at = position(chronicle)?;
        let by_state = chronicle.ask(|archive| archive.ids_by_state(volumes.first))?;
        // It may have taken in a little more meanwhile: the volumes catch up with it.
        let (from, to) = (at, position(chronicle)?);
        volumes.fold(from.max(as_of)).map_err(ReconcileError::Journal)?;
        let mut settled = volumes.by_state.clone();
        // The archive was asked from there on.
        for ids in settled.values_mut() {
            ids.remove_range(..volumes.first);
        }
        let touched = touched(journal, volumes.reader.position(), to)?;
        compare_archive(&settled, &by_state, &touched, &mut found);
    } else {
        found.add(None, None, "the archive has not caught up and was not compared".to_owned());
    }
    if volumes.damage > 0 {
        let text = format!("{} damaged parts of the journal could not be read", volumes.damage);
        found.add(None, None, text);
    }
    let channels = ledger.channels.iter().map(|(name, book)| {
        let counts = match since_ms {
            None => book.total.counts,
            Some(since) => book.since(since),
        };
        ChannelSums { name: name.clone(), counts, refused: 0 }
    });
    let channels: Vec<ChannelSums> = channels.collect();
    let mut total = Counts::default();
    for channel in &channels {
        total.add(&channel.counts);
    }
    Ok(Reconciled {
        channels,
        total,
        refused: 0,
        differences: found.listed,
        more: found.more,
        entries: volumes.entries,
        first: if volumes.first == u64::MAX { 0 } else { volumes.first },
        archive: archived,
    })
}

/// How far the archive has taken in the journal.
fn position(chronicle: &Chronicle) -> Result<Position, ArchiveError> {
    let position = chronicle.ask(|archive| Ok(archive.position()))?;
    Ok(position.and_then(|at| at.parse().ok()).unwrap_or_default())
}

#[derive(Default)]
struct Found {
    listed: Vec<Difference>,
    more: u64,
}

impl Found {
    fn add(&mut self, message: Option<u64>, channel: Option<&str>, text: String) {
        if self.listed.len() < NAMED {
            let channel = channel.map(str::to_owned);
            self.listed.push(Difference { message, channel, text });
        } else {
            self.more += 1;
        }
    }
}

/// The running ledger against the volumes: every hour that lies wholly in them, and every message
/// that is not settled.
fn compare_books(ledger: &Ledger, volumes: &Volumes, since: Option<i64>, found: &mut Found) {
    let whole = volumes.first <= 1;
    for (name, book) in &ledger.channels {
        if !book.total.counts.balance() {
            let text = "its states do not add up to what it received".to_owned();
            found.add(None, Some(name), text);
        }
        let folded = volumes.ledger.channels.get(name);
        if whole && since.is_none() {
            let counted = folded.map(|book| book.total.counts).unwrap_or_default();
            if counted != book.total.counts {
                found.add(None, Some(name), differ(&book.total.counts, &counted));
            }
            continue;
        }
        // The first hour that the volumes hold may have begun before them.
        let first_whole = volumes.first_received.map(|first| first.div_euclid(3_600_000) + 1);
        for (hour, counts) in &book.hours {
            let counted = folded.and_then(|book| book.hours.get(hour)).copied().unwrap_or_default();
            let wanted = since.is_none_or(|since| *hour >= since.div_euclid(3_600_000));
            if wanted && first_whole.is_some_and(|first| *hour >= first) && counted != *counts {
                let text = format!("hour {hour}: {}", differ(counts, &counted));
                found.add(None, Some(name), text);
            }
        }
    }
    let ours: BTreeSet<u64> = ledger.open.keys().copied().chain(ledger.waiting.iter()).collect();
    let theirs: BTreeSet<u64> =
        volumes.ledger.open.keys().copied().chain(volumes.ledger.waiting.iter()).collect();
    for id in ours.symmetric_difference(&theirs) {
        let side = if ours.contains(id) { "ledger" } else { "volumes" };
        found.add(Some(*id), None, format!("only the {side} have it as not settled"));
    }
}

fn differ(books: &Counts, volumes: &Counts) -> String {
    let mut parts = vec![];
    if books.received != volumes.received {
        parts.push(format!("received {} and {}", books.received, volumes.received));
    }
    for state in State::ALL {
        let (ours, theirs) = (books.of(state), volumes.of(state));
        if ours != theirs {
            parts.push(format!("{} {ours} and {theirs}", state.as_str()));
        }
    }
    format!("the ledger and the volumes differ: {}", parts.join(", "))
}

/// Messages that changed while the archive was being read: they may honestly differ.
fn touched(
    journal: &Journal,
    from: Position,
    to: Position,
) -> Result<RoaringTreemap, ReconcileError> {
    let mut touched = RoaringTreemap::new();
    let mut reader = journal.reader(from);
    while reader.position() < to {
        match reader.next() {
            Ok(Some(entry)) => drop(touched.insert(entry.id.0)),
            Ok(None) => break,
            Err(ReadError::Disk(error)) => return Err(ReconcileError::Journal(error)),
            Err(_) => {}
        }
    }
    Ok(touched)
}

fn compare_archive(
    volumes: &BTreeMap<State, RoaringTreemap>,
    archive: &BTreeMap<Archived, RoaringTreemap>,
    touched: &RoaringTreemap,
    found: &mut Found,
) {
    let none = RoaringTreemap::new();
    for state in State::ALL {
        let ours = volumes.get(&state).unwrap_or(&none);
        let theirs = archive.get(&chronicle::state_of(state)).unwrap_or(&none);
        for id in (ours - theirs) - touched {
            let text = format!("{} in the volumes, not in the archive", state.as_str());
            found.add(Some(id), None, text);
        }
        for id in (theirs - ours) - touched {
            let text = format!("{} in the archive, not in the volumes", state.as_str());
            found.add(Some(id), None, text);
        }
    }
}
