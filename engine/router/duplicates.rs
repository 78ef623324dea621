//! A message that was sent twice: same sender, same control id, same bytes.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use journal::entry::{Entry, Kind, Position};
use journal::journal::Journal;
use journal::reader::ReadError;

use crate::entry::{self, Accepted, Action, Decision, EntryError, State, StateChange};
use crate::event::Event;
use crate::plan::{DuplicatesPlan, Plan};
use crate::seen::{Look, Mark, Preceding, Seen};
use crate::seen_log::SeenError;
use crate::sightings::{Sighting, content_of, name_of, sender_of};

/// How long a disk that cannot be read is left alone.
const UNREADABLE: Duration = Duration::from_secs(1);

/// What a message is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing like it came before.
    First,
    /// The same bytes came before and nothing of them was delivered, or it was too long ago.
    Anew,
    /// A copy of an earlier message: acknowledged, counted, not processed.
    Copy { of: u64 },
    /// The sender used the control id of an earlier message for other bytes.
    Differs,
}

/// Judges a message and remembers it. Call in the order of the journal.
pub(crate) fn judge(
    seen: &mut Seen,
    journal: &Journal,
    plan: &DuplicatesPlan,
    id: u64,
    head: &Accepted,
    frame: &Bytes,
) -> Verdict {
    remember(seen, plan, id, head, frame, |of| same_bytes(journal, of, frame))
}

/// The same; `is_same` says whether a message of equal content has equal bytes too.
fn remember(
    seen: &mut Seen,
    plan: &DuplicatesPlan,
    id: u64,
    head: &Accepted,
    frame: &Bytes,
    is_same: impl Fn(u64) -> bool,
) -> Verdict {
    if head.control_id.is_empty() {
        return Verdict::First;
    }
    if plan.window.is_zero() {
        // Every copy is processed, each as a message of its own.
        return Verdict::Anew;
    }
    let sighting = sighting(id, head, frame);
    let window = i64::try_from(plan.window.as_millis()).unwrap_or(i64::MAX);
    let found = match seen.look(&sighting, window) {
        Look::Copy { of } if is_same(of) => Verdict::Copy { of },
        Look::Copy { .. } | Look::Differs { .. } => Verdict::Differs,
        Look::Again { .. } => Verdict::Anew,
        Look::New => Verdict::First,
    };
    let sender = sender_of(who(head).as_bytes());
    let content = content_of(&without(frame, plan));
    let before = seen.preceding(sender).filter(|before| before.id < id);
    let follows = !plan.ignore.is_empty()
        && before.is_some_and(|before| before.name == sighting.name && before.content == content);
    let found = match (found, before) {
        (Verdict::Differs, Some(before)) if follows && !seen.is_void(before.id) => {
            Verdict::Copy { of: before.id }
        }
        (found, _) => found,
    };
    let original = match found {
        Verdict::Copy { of } => of,
        _ => id,
    };
    seen.note(sighting.copy_of(original));
    if !plan.ignore.is_empty() {
        seen.set_preceding(sender, Preceding { name: sighting.name, content, id: original });
    }
    found
}

/// Takes up the window where `mark` was made, and reads from `from` what the journal says since.
/// What cannot be taken up is made anew from the whole journal. Blocks.
pub(crate) fn recover(
    journal: &Journal,
    folder: &Path,
    mark: Option<&Mark>,
    from: Position,
    upto: Position,
    plan: &Plan,
) -> Result<Seen, SeenError> {
    let (mut seen, from) = match Seen::open(folder, mark) {
        Ok(seen) => (seen, from),
        Err(error) => {
            tracing::warn!(%error, "the window of duplicates is made anew from the journal");
            (Seen::empty(folder)?, Position::START)
        }
    };
    let mut reader = journal.reader(from);
    while reader.position() < upto {
        match reader.next() {
            // What cannot be understood is told by those who deliver it.
            Ok(Some(entry)) if entry.position < upto => {
                drop(follow(&mut seen, &entry, plan));
            }
            Ok(Some(_) | None) => break,
            // The next call tries the same place again: a window with a gap would deliver twice.
            Err(ReadError::Disk(error)) => {
                Event::DiskUnreadable { error: &error }.emit();
                std::thread::park_timeout(UNREADABLE);
            }
            Err(_) => {}
        }
    }
    Ok(seen)
}

/// Remembers what an entry says of the fate of a message: whether copies of it are processed anew.
pub(crate) fn fate(seen: &mut Seen, entry: &Entry) -> Result<(), EntryError> {
    match entry.kind {
        Kind::State => {
            let (change, _): (StateChange, _) = entry::decode(&entry.body)?;
            // A copy is no original: what is like it is a copy of the same.
            if change.state.is_void() || change.state == State::Duplicate {
                seen.void(entry.id.0);
            }
        }
        Kind::Operator => {
            let (decision, _): (Decision, _) = entry::decode(&entry.body)?;
            if decision.action == Action::Discard {
                seen.void(entry.id.0);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Remembers what the journal says was judged before a restart, by what its channel says now.
fn follow(seen: &mut Seen, entry: &Entry, plan: &Plan) -> Result<(), EntryError> {
    match entry.kind {
        Kind::Accepted if !entry.carried => {
            let (head, frame): (Accepted, _) = entry::decode(&entry.body)?;
            let channel = plan.channels.get(&head.channel).filter(|_| head.edit.is_none());
            if let Some(rules) = channel.map(|channel| &channel.duplicates) {
                // Its bytes were compared when it came: to find them all again would take long.
                remember(seen, rules, entry.id.0, &head, &frame, |_| true);
            }
        }
        _ => fate(seen, entry)?,
    }
    Ok(())
}

fn sighting(id: u64, head: &Accepted, frame: &Bytes) -> Sighting {
    Sighting {
        name: name_of(who(head).as_bytes(), head.control_id.as_bytes()),
        content: content_of(frame),
        id,
        received_ms: head.received,
    }
}

/// A sender as a channel knows it: what is sent to two channels is processed on both.
fn who(head: &Accepted) -> String {
    format!("{}\u{0}{}", head.channel, head.sender)
}

/// Whether the original has these very bytes. One that cannot be read any more is believed to.
fn same_bytes(journal: &Journal, original: u64, frame: &Bytes) -> bool {
    let Ok(Some(entry)) = journal.find(journal::entry::MessageId(original)) else { return true };
    entry::decode::<Accepted>(&entry.body).is_ok_and(|(_, bytes)| bytes == *frame)
}

/// The message without the fields of MSH that may differ.
fn without(frame: &Bytes, plan: &DuplicatesPlan) -> Vec<u8> {
    let end = frame.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(frame.len());
    let (header, rest) = frame.split_at(end);
    let Some(&separator) = header.get(3) else { return frame.to_vec() };
    let passed_over = |number: usize| {
        plan.ignore.iter().any(|place| place.field.is_some_and(|field| field as usize == number))
    };
    let mut kept = Vec::with_capacity(frame.len());
    // What stands before the first separator is the name, and MSH-1 is the separator itself.
    for (index, field) in header.split(|byte| *byte == separator).enumerate() {
        if index > 0 {
            kept.push(separator);
        }
        if index == 0 || !passed_over(index + 1) {
            kept.extend_from_slice(field);
        }
    }
    kept.extend_from_slice(rest);
    kept
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use journal::disk::RealDisk;
    use journal::settings::Settings;

    use super::*;

    struct Desk {
        seen: Seen,
        journal: Journal,
        plan: DuplicatesPlan,
        _folder: tempfile::TempDir,
    }

    fn desk(ignore: &[&str]) -> Desk {
        let folder = tempfile::tempdir().expect("folder");
        let settings = Settings::new(folder.path().join("journal"));
        let (journal, _) = Journal::open(Arc::new(RealDisk), settings).expect("opens");
        let ignore = ignore.iter().map(|place| place.parse().expect("a place")).collect();
        let plan = DuplicatesPlan { window: Duration::from_hours(24), ignore };
        let seen = Seen::empty(&folder.path().join("seen")).expect("empty");
        Desk { seen, journal, plan, _folder: folder }
    }

    impl Desk {
        fn sent(&mut self, id: u64, control_id: &str, text: &str) -> Verdict {
            self.sent_at(id, control_id, text, 1_768_472_100_000)
        }

        fn sent_at(&mut self, id: u64, control_id: &str, text: &str, received: i64) -> Verdict {
            let head = Accepted {
                channel: "pas".into(),
                peer: String::new(),
                received,
                control_id: control_id.into(),
                message_type: "ADT^A01".into(),
                sender: "PAS/RXX01".into(),
                application_ack: None,
                edit: None,
                unmerge: None,
                sequence: None,
                refused: false,
                miscounted: false,
            };
            let frame = Bytes::from(text.to_owned());
            judge(&mut self.seen, &self.journal, &self.plan, id, &head, &frame)
        }
    }

    const ONE: &str = "MSH|^~\\&|PAS|RXX01|R|R|20260115101500||ADT^A01|7|P|2.4\rPID|1\r";
    const LATER: &str = "MSH|^~\\&|PAS|RXX01|R|R|20260115101800||ADT^A01|7|P|2.4\rPID|1\r";

    #[test]
    fn the_same_bytes_are_a_copy_and_other_bytes_are_not() {
        let mut desk = desk(&[]);
        assert_eq!(desk.sent(1, "7", ONE), Verdict::First);
        assert_eq!(desk.sent(2, "7", ONE), Verdict::Copy { of: 1 });
        assert_eq!(desk.sent(3, "7", ONE), Verdict::Copy { of: 1 });
        assert_eq!(desk.sent(4, "7", LATER), Verdict::Differs);
        assert_eq!(desk.sent(5, "8", ONE), Verdict::First);
        assert_eq!(desk.sent(6, "", ONE), Verdict::First);
        assert_eq!(desk.sent(7, "", ONE), Verdict::First, "no control id, no duplicate");
    }

    #[test]
    fn a_copy_of_what_was_not_delivered_or_is_long_past_is_processed_anew() {
        let mut desk = desk(&[]);
        assert_eq!(desk.sent(1, "7", ONE), Verdict::First);
        desk.seen.void(1);
        assert_eq!(desk.sent(2, "7", ONE), Verdict::Anew);
        assert_eq!(desk.sent(3, "7", ONE), Verdict::Copy { of: 2 });
        let next_week = 1_768_472_100_000 + 7 * 86_400_000;
        assert_eq!(desk.sent_at(4, "7", ONE, next_week), Verdict::Anew);
    }

    #[test]
    fn named_fields_may_differ_from_the_preceding_message_only() {
        let mut desk = desk(&["MSH-7"]);
        assert_eq!(desk.sent(1, "7", ONE), Verdict::First);
        assert_eq!(desk.sent(2, "7", LATER), Verdict::Copy { of: 1 });
        assert_eq!(desk.sent(3, "8", ONE), Verdict::First);
        assert_eq!(desk.sent(4, "7", &LATER.replace("1018", "1019")), Verdict::Differs);
    }
}
