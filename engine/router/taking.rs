//! One message handed to the journal, and the answer that is due once it is there.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hl7::header::Header;
use jiff::Timestamp;
use journal::queue::Ticket;
use tokio::time::Instant;

use crate::answering::Answering;
use crate::answers::{self, Answer, Fate, Storing, Told};
use crate::budget::Charge;
use crate::entry::{self, Accepted};
use crate::intake::Intake;
use crate::plan::ChannelPlan;
use crate::port::Port;

/// A message that its channel takes.
pub(crate) struct Arrival<'a> {
    pub(crate) peer: SocketAddr,
    pub(crate) frame: &'a Bytes,
    pub(crate) header: &'a Header,
    pub(crate) channel: &'a Arc<ChannelPlan>,
    /// Whether it is kept because it was refused again and again.
    pub(crate) refused: bool,
    /// Whether the batch that it came in has other counts than it says.
    pub(crate) miscounted: bool,
    /// When its frame was complete.
    pub(crate) since: Instant,
}

impl Arrival<'_> {
    /// Hands it over: from then on the only answers are positive or none. What is out of sequence is
    /// not handed over, and the number that is waited for is given back.
    pub(crate) fn take(
        &self,
        intake: &Intake,
        port: &Port,
        charge: &mut Charge,
    ) -> Result<Answer, i64> {
        let (header, plan) = (self.header, &self.channel.acknowledge);
        let received = Timestamp::now();
        // Before it is handed over: its fate may be told before its id is known here.
        let expect = |_| intake.fates.expect(intake.journal.next_id());
        let coming = plan.published_within.map(expect);
        let (ticket, expected) = self.append(intake, received)?;
        let answering = Answering { plan, commit_byte: port.plan().commit_byte, expected };
        let zone = &self.channel.source.zone;
        let positive = answering.accepted(header, &|| intake.stamps.next(received, zone));
        let told = Told { channel: self.channel.clone(), received, since: self.since };
        let (storing, fate) = match coming.filter(|_| positive.later.is_some()) {
            Some(coming) => answers::watch(ticket, charge.take(), coming, told.clone(), port),
            None => (Storing::Ticket(ticket, charge.take()), Fate::Stored),
        };
        let later = positive.later.map(|frame| (fate, frame));
        Ok(Answer::Accepted { storing, stored: positive.stored, later, told })
    }

    /// Gives back MSA-4 where the sequence number protocol is in use.
    fn append(&self, intake: &Intake, received: Timestamp) -> Result<(Ticket, Option<i64>), i64> {
        let header = self.header;
        let mut head = Accepted {
            channel: self.channel.name.clone(),
            peer: self.peer.to_string(),
            received: received.as_millisecond(),
            control_id: header.control_id_text(),
            message_type: header.message_type(),
            sender: header.sender(),
            application_ack: header.application_ack.map(|condition| condition.as_str().to_owned()),
            edit: None,
            unmerge: None,
            sequence: None,
            refused: self.refused,
            miscounted: self.miscounted,
        };
        let journal = &intake.journal;
        if !self.channel.acknowledge.sequence_numbers || self.refused {
            return Ok((journal.append(entry::encode(&head, &[self.frame])), None));
        }
        let number = header.sequence_number.as_deref().unwrap_or_default();
        let sender = header.sender();
        intake.sequences.take(&self.channel.name, &sender, number, |numbered| {
            head.sequence = numbered.last();
            (journal.append(entry::encode(&head, &[self.frame])), numbered.expected())
        })
    }
}
