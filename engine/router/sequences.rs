//! Where each sender's sequence numbers stand, on channels that keep the protocol.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use hl7::sequence::{self, Numbered};

/// The last number that was accepted, by channel and by sender.
pub type LastNumbers = BTreeMap<String, BTreeMap<String, u64>>;

/// Notes the last number of a sender; none when it begins anew.
pub(crate) fn note(all: &mut LastNumbers, channel: &str, sender: &str, last: Option<u64>) {
    let senders = all.entry(channel.to_owned()).or_default();
    match last {
        Some(last) => drop(senders.insert(sender.to_owned(), last)),
        None => drop(senders.remove(sender)),
    }
}

/// The numbers of the messages that were handed to the journal.
#[derive(Debug, Default)]
pub struct Sequences(Mutex<LastNumbers>);

impl Sequences {
    /// Goes on where the journal ends.
    pub fn take_up(&self, last: LastNumbers) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    /// Judges the number of a sender's message. One that is not refused is handed over by `append`
    /// before another is judged, so that the journal has them in their order; else the number that is
    /// waited for is given back.
    pub(crate) fn take<T>(
        &self,
        channel: &str,
        sender: &str,
        number: &str,
        append: impl FnOnce(Numbered) -> T,
    ) -> Result<T, i64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = all.get(channel).and_then(|senders| senders.get(sender).copied());
        let judged = sequence::judge(last, number);
        match judged {
            Numbered::Refuse { expected } => return Err(expected),
            Numbered::Not => {}
            Numbered::Accept { last, .. } => note(&mut all, channel, sender, last),
        }
        Ok(append(judged))
    }
}
