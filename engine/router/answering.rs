//! What is answered to a frame, as its channel says, in bytes for the wire.

use hl7::acknowledgement::Outcome;
use hl7::acknowledgement::{AckCode, Reply, Stamp, acknowledge_as, answer_unreadable};
use hl7::due::all_due;
use hl7::header::Header;
use hl7::mllp::encode_frame;

use crate::accept::Refusal;
use crate::config::listener::CommitByte;
use crate::plan::AcknowledgePlan;

/// The commit bytes of MLLP release 2.
const COMMITTED: u8 = 0x06;
const NOT_COMMITTED: u8 = 0x15;

/// The answers to a message that is stored. Once it is, nothing but these or silence is right.
#[derive(Debug, Default)]
pub(crate) struct Positive {
    /// Leaves when the message is durable.
    pub(crate) stored: Option<Vec<u8>>,
    /// Leaves behind that, or alone: when the channel's `when` has come.
    pub(crate) later: Option<Vec<u8>>,
}

/// How one connection answers one message.
pub(crate) struct Answering<'a> {
    pub(crate) plan: &'a AcknowledgePlan,
    pub(crate) commit_byte: CommitByte,
    /// MSA-4.
    pub(crate) expected: Option<i64>,
}

impl Answering<'_> {
    /// The answers to a message that is accepted.
    pub(crate) fn accepted(&self, header: &Header, stamp: &dyn Fn() -> Stamp) -> Positive {
        if header.is_acknowledgement() {
            return Positive::default();
        }
        let write = |code, second| {
            let reply = Reply { expected: self.expected, second, ..Reply::new(code) };
            encode_frame(&acknowledge_as(header, &reply, &self.plan.form, &stamp()))
        };
        let byte = self.byte(COMMITTED);
        if self.commit_byte == CommitByte::Alone {
            return Positive { stored: byte, later: None };
        }
        let due = all_due(header, self.plan.mode, Outcome::Accept);
        let waits = |code: &AckCode| code.is_application() && self.plan.published_within.is_some();
        let second = due.second.filter(|_| self.plan.both).map(|code| write(code, true));
        match due.first {
            Some(code) if waits(&code) => {
                Positive { stored: byte, later: Some(write(code, false)) }
            }
            // One write: some senders read an answer in one piece or not at all.
            first => Positive {
                stored: joined(byte, first.map(|code| write(code, false))),
                later: second,
            },
        }
    }

    /// The answer to a message that is refused; nothing is silence.
    pub(crate) fn refused(
        &self,
        header: &Header,
        refusal: &Refusal,
        stamp: &dyn Fn() -> Stamp,
    ) -> Option<Vec<u8>> {
        if header.is_acknowledgement() {
            return None;
        }
        let outcome = refusal.negative(&self.plan.refusals).outcome()?;
        let byte = self.byte(NOT_COMMITTED);
        if self.commit_byte == CommitByte::Alone {
            return byte;
        }
        let error = refusal.error();
        let due = all_due(header, self.plan.mode, outcome).first;
        let written = due.map(|code| {
            let reply = Reply { expected: self.expected, ..Reply::refusal(code, &error) };
            encode_frame(&acknowledge_as(header, &reply, &self.plan.form, &stamp()))
        });
        joined(byte, written)
    }

    /// The best answer to a frame whose MSH cannot be read.
    pub(crate) fn unreadable(
        &self,
        frame: &[u8],
        refusal: &Refusal,
        stamp: &dyn Fn() -> Stamp,
    ) -> Option<Vec<u8>> {
        let code = AckCode::application(refusal.negative(&self.plan.refusals).outcome()?);
        let byte = self.byte(NOT_COMMITTED);
        if self.commit_byte == CommitByte::Alone {
            return byte;
        }
        joined(byte, Some(encode_frame(&answer_unreadable(frame, code, refusal.text, &stamp()))))
    }

    fn byte(&self, byte: u8) -> Option<Vec<u8>> {
        (self.commit_byte != CommitByte::Never).then(|| encode_frame(&[byte]))
    }
}

fn joined(before: Option<Vec<u8>>, behind: Option<Vec<u8>>) -> Option<Vec<u8>> {
    match (before, behind) {
        (Some(before), Some(behind)) => Some([before, behind].concat()),
        (before, behind) => before.or(behind),
    }
}
