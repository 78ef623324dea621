//! What a connection does with what is refused: it is kept for a look, counted, and answered.

use bytes::Bytes;
use hl7::acknowledgement::Stamp;
use hl7::header::Header;
use jiff::Timestamp;

use crate::accept::Refusal;
use crate::answering::Answering;
use crate::answers::Answer;
use crate::event::Event;
use crate::plan::ChannelPlan;
use crate::refused::RefusedFrame;
use crate::secured::Incoming;
use crate::session::{Ended, Reader};

impl<S: Incoming> Reader<S> {
    /// Whether these bytes were refused so often that the channel keeps them instead.
    pub(crate) fn wears_out(
        &self,
        channel: &ChannelPlan,
        refusal: &Refusal,
        frame: &Bytes,
    ) -> bool {
        channel.accept.repeated_reject.is_some_and(|rule| {
            refusal.parked().is_some() && self.port.repeats.before(frame) >= rule.park_after.get()
        })
    }

    /// What belongs to no channel is answered as the first one says.
    pub(crate) fn refusal(
        &self,
        header: &Header,
        refusal: &Refusal,
        channel: Option<&ChannelPlan>,
        expected: Option<i64>,
    ) -> Option<Vec<u8>> {
        let port = self.port.plan();
        let plan = channel.map_or_else(|| port.acknowledge(), |channel| &channel.acknowledge);
        let answering = Answering { plan, commit_byte: port.commit_byte, expected };
        answering.refused(header, refusal, &|| self.stamp())
    }

    pub(crate) fn unreadable(&self, frame: &[u8], refusal: &Refusal) -> Option<Vec<u8>> {
        let port = self.port.plan();
        let (plan, commit_byte) = (port.acknowledge(), port.commit_byte);
        let answering = Answering { plan, commit_byte, expected: None };
        answering.unreadable(frame, refusal, &|| self.stamp())
    }

    fn stamp(&self) -> Stamp {
        self.intake.stamps.next(Timestamp::now(), self.port.plan().zone())
    }

    pub(crate) async fn refuse(
        &mut self,
        bytes: Bytes,
        size: u64,
        refusal: &Refusal,
        answer: Option<Vec<u8>>,
    ) -> Result<(), Ended> {
        let tell = self.port.refused.keep(RefusedFrame {
            received: Timestamp::now().as_millisecond(),
            peer: self.peer.to_string(),
            reason: refusal.reason,
            size,
            bytes,
        });
        let plan = self.port.plan();
        Event::Refused { listener: &plan.name, reason: refusal.reason, tell }.emit();
        drop(self.charge.take());
        let Some(answer) = answer else { return Ok(()) };
        self.answers.send(Answer::Now(answer)).await.map_err(|_| Ended::Write)
    }
}
