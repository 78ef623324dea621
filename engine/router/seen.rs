//! The window of duplicates: recognises a resend, also after a restart.
//!
//! A resend has the same sender, the same control id and the same exact bytes as an earlier message
//! of the window. What is noted of a copy is its original's id and its own time: so the window goes
//! on with every copy, no copy is ever taken for an original, and when the original is void
//! (discarded, filtered, superseded) none of its copies counts any more.
//!
//! Times come from clocks that jump. The window reaches as far into the future as into the past: a
//! message that came a minute "later" than now is of the window, one that came in a year that has
//! not begun is not. The latter is forgotten when its time has come.

use std::{collections::HashMap, io, path::Path};

use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};

use crate::{
    seen_log::{FileMark, Record, SeenError, SeenLog},
    sightings::{Sighting, Sightings},
};

/// Senders whose preceding message is known; the one that was silent longest makes room.
const SENDERS: usize = 10_000;

/// What is known of a message; of several answers the first that is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It came already: this is the original.
    Copy {
        /// The original's id.
        of: u64,
    },
    /// The same content came, but it is void, or out of the window and not yet forgotten.
    Again {
        /// The latest such message.
        of: u64,
    },
    /// The sender used the control id already for other content.
    Differs {
        /// The latest such message.
        of: u64,
    },
    /// Nothing of its name came.
    New,
}

/// The message that came last from a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preceding {
    /// Sender and control id.
    pub name: u64,
    /// The bytes, without the fields that are ignored for this sender.
    pub content: u64,
    /// The message's id.
    pub id: u64,
}

/// Where the window of duplicates is on disk, as of one moment: part of the checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    files: Vec<FileMark>,
    /// Sender, name, content, id.
    preceding: Vec<(u64, u64, u64, u64)>,
}

/// Messages seen lately, in memory and in the files of a folder.
#[derive(Debug)]
pub struct Seen {
    sightings: Sightings,
    void: RoaringTreemap,
    preceding: HashMap<u64, Preceding>,
    log: SeenLog,
}

impl Seen {
    /// Takes up the window where `mark` was made; what was noted after it must be noted again.
    /// Without a mark, the same as [`Self::empty`]. After an error call that, and read the journal
    /// of the window again.
    pub fn open(folder: &Path, mark: Option<&Mark>) -> Result<Seen, SeenError> {
        let (mut sightings, mut void) = (Sightings::default(), RoaringTreemap::new());
        let files = mark.map_or(&[] as &[FileMark], |mark| &mark.files);
        let log = SeenLog::open(folder, files, |records| {
            let mut noted: Vec<Sighting> = Vec::with_capacity(records.len());
            for record in records {
                match record {
                    Record::Noted(sighting) => noted.push(sighting),
                    Record::Void(id) => _ = void.insert(id),
                }
            }
            // Neighbours in memory one after the other: several times faster than as they came.
            noted.sort_unstable_by_key(|sighting| sighting.name);
            for sighting in &noted {
                sightings.insert(sighting);
            }
        })?;
        let preceding = mark.iter().flat_map(|mark| &mark.preceding);
        let preceding = preceding
            .map(|(sender, name, content, id)| {
                (*sender, Preceding { name: *name, content: *content, id: *id })
            })
            .collect();
        Ok(Seen { sightings, void, preceding, log })
    }

    /// An empty window. Files of earlier marks stay in the folder until newer marks replace them.
    pub fn empty(folder: &Path) -> Result<Seen, SeenError> {
        Self::open(folder, None)
    }

    /// Whether the same, or another of the same name, came before: among messages with smaller ids.
    /// The window is `window_ms` long (0 or less: there is none, and everything is new).
    pub fn look(&self, sighting: &Sighting, window_ms: i64) -> Look {
        let Ok(window) = u64::try_from(window_ms) else { return Look::New };
        if window == 0 {
            return Look::New;
        }
        let (mut copy, mut again, mut differs) = (None, None, None);
        for earlier in self.sightings.of_name(sighting.name).filter(|one| one.id < sighting.id) {
            let id = Some(earlier.id);
            let within = sighting.received_ms.abs_diff(earlier.received_ms) <= window;
            if earlier.content == sighting.content {
                let found =
                    if within && !self.is_void(earlier.id) { &mut copy } else { &mut again };
                *found = id.max(*found);
            } else if within {
                differs = id.max(differs);
            }
        }
        let copy = copy.map(|of| Look::Copy { of });
        let again = again.map(|of| Look::Again { of });
        let differs = differs.map(|of| Look::Differs { of });
        copy.or(again).or(differs).unwrap_or(Look::New)
    }

    /// Remembers a message. Of a copy: `sighting.copy_of(original)`. Twice is once, in any order.
    pub fn note(&mut self, sighting: Sighting) {
        if self.sightings.insert(&sighting) {
            self.log.note(&sighting);
        }
    }

    /// Message `id`, noted before, was not processed after all: copies of it are processed anew.
    pub fn void(&mut self, id: u64) {
        if self.void.insert(id) {
            self.log.void(id);
        }
    }

    /// Whether copies of this message are processed anew.
    pub fn is_void(&self, id: u64) -> bool {
        self.void.contains(id)
    }

    /// Makes durable what was noted since the last time. On an error it can be tried again.
    pub fn save(&mut self) -> io::Result<Mark> {
        let files = self.log.save()?;
        let mut preceding: Vec<_> =
            self.preceding.iter().map(|(sender, p)| (*sender, p.name, p.content, p.id)).collect();
        preceding.sort_unstable();
        Ok(Mark { files, preceding })
    }

    /// Drops what was received before `before_ms`. Goes through everything: not for every message.
    pub fn forget(&mut self, before_ms: i64) {
        self.log.forget(before_ms);
        match self.sightings.forget(before_ms) {
            Some(lowest) => _ = self.void.remove_range(..lowest),
            None => self.void.clear(),
        }
    }

    /// Messages remembered.
    pub fn len(&self) -> usize {
        self.sightings.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The last message of a sender ([`crate::sightings::sender_of`]). After a restart, while the
    /// journal is read again, it may be a later one than that which is looked at: compare the ids.
    pub fn preceding(&self, sender: u64) -> Option<Preceding> {
        self.preceding.get(&sender).copied()
    }

    /// Remembers the last message of a sender; one with a smaller id than is known is not the last.
    pub fn set_preceding(&mut self, sender: u64, preceding: Preceding) {
        let known = self.preceding.get(&sender).map(|known| known.id);
        if known.is_some_and(|known| known > preceding.id) {
            return;
        }
        if known.is_none() && self.preceding.len() >= SENDERS {
            let silent = self.preceding.iter().min_by_key(|(_, p)| p.id).map(|(sender, _)| *sender);
            silent.and_then(|silent| self.preceding.remove(&silent));
        }
        self.preceding.insert(sender, preceding);
    }
}
