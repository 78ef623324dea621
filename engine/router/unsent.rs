//! Events of a message that the engine made by itself, and that never left.

use bytes::Bytes;
use journal::entry::{Entry, Kind, MessageId};
use journal::journal::Journal;
use record::catalogue;

use crate::entry::{self, Outcome, State, StateChange, StoredEvent};

/// Of the message's outcomes so far. What an event of the engine tells is known to the index since its
/// outcome, and no later outcome says it again.
pub(crate) fn of_the_engine(journal: &Journal, id: MessageId) -> Vec<(StoredEvent, Bytes)> {
    let about = journal.records_about(id, None).unwrap_or_default();
    let (mut unsent, mut latest) = (Vec::new(), Vec::new());
    for entry in &about {
        match entry.kind {
            Kind::Outcome => {
                let events = events(entry);
                // One without events, as of a conflict, has not said it either.
                if !events.is_empty() {
                    (unsent, latest) = (Vec::new(), events);
                }
            }
            Kind::State => {
                let Ok((change, _)) = entry::decode::<StateChange>(&entry.body) else { continue };
                let reason = change.reason.as_deref().unwrap_or_default();
                if change.state == State::Parked && reason.starts_with("publish.") {
                    let left = usize::try_from(change.receipts).unwrap_or(usize::MAX);
                    unsent = latest
                        .iter()
                        .skip(left)
                        .filter(|(event, _)| is_own(event))
                        .cloned()
                        .collect();
                }
            }
            _ => {}
        }
    }
    unsent
}

fn events(entry: &Entry) -> Vec<(StoredEvent, Bytes)> {
    let Ok((outcome, payload)) = entry::decode::<Outcome>(&entry.body) else { return Vec::new() };
    let payload = Bytes::copy_from_slice(&payload);
    entry::events(&outcome, &payload).unwrap_or_default()
}

/// Whether the engine makes events of this type: `<namespace>.<entity>.<verb>.v1`.
fn is_own(event: &StoredEvent) -> bool {
    let mut words = event.event_type.rsplit('.').skip(1);
    let (Some(verb), Some(entity)) = (words.next(), words.next()) else { return false };
    catalogue::lookup(&format!("{entity}.{verb}")).is_some_and(|found| found.engine)
}
