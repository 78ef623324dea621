//! Accept rules: which channel takes a message, or why none does. Decided on MSH alone, before
//! anything is stored; whatever else is wrong with a message becomes a state, never a refusal.

use std::sync::Arc;

use hl7::acknowledgement::{AckCode, AckError};
use hl7::due::all_due;
use hl7::header::Header;
use hl7::location::{Location, SegmentName};

use crate::config::acknowledge::{Negative, Refusals};
use crate::config::channel::UnknownType;
use crate::plan::{AcknowledgePlan, ChannelPlan};

/// What is wrong with a refused frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// MSH cannot be read.
    Unreadable,
    /// The frame is over the listener's limit.
    Oversize,
    /// Nobody here knows the sender.
    Sender,
    /// Its processing id is not taken.
    ProcessingId,
    /// Its type is not taken.
    MessageType,
    /// Its sequence number is not the one that is waited for.
    SequenceNumber,
}

/// Why a frame is refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What is wrong.
    pub wrong: Wrong,
    /// Reason code for metrics and the ring.
    pub reason: &'static str,
    /// Where, when a field is to blame.
    pub location: Option<Location>,
    /// HL7 table 0357.
    pub code: u16,
    /// What the sender's operator reads in MSA-3 and ERR.
    pub text: &'static str,
}

impl Refusal {
    /// MSH cannot be read.
    pub const UNREADABLE: Self = Self {
        wrong: Wrong::Unreadable,
        reason: "unreadable",
        location: None,
        code: 100,
        text: "MSH segment cannot be read: send MSH with its delimiters first",
    };
    /// The frame is over the listener's limit.
    pub const OVERSIZE: Self = Self {
        wrong: Wrong::Oversize,
        reason: "oversize",
        location: None,
        code: 207,
        text: "message is larger than this listener takes",
    };

    /// MSH-13 is not the number that is waited for.
    pub fn sequence_number() -> Self {
        Self {
            wrong: Wrong::SequenceNumber,
            reason: "sequence-number",
            location: Some(msh(13)),
            code: 207,
            text: "sequence number is not the one expected, which MSA-4 says",
        }
    }

    fn sender() -> Self {
        Self {
            wrong: Wrong::Sender,
            reason: "sender",
            location: Some(msh(3)),
            code: 103,
            text: "sending application and facility are not known here",
        }
    }

    fn processing() -> Self {
        Self {
            wrong: Wrong::ProcessingId,
            reason: "processing-id",
            location: Some(msh(11)),
            code: 202,
            text: "processing id is not accepted here",
        }
    }

    fn message_type() -> Self {
        Self {
            wrong: Wrong::MessageType,
            reason: "message-type",
            location: Some(msh(9)),
            code: 200,
            text: "message type is not accepted here",
        }
    }

    /// The code of the answer to a message with this header, if there is one.
    pub fn answer(&self, header: &Header, plan: &AcknowledgePlan) -> Option<AckCode> {
        let outcome = self.negative(&plan.refusals).outcome()?;
        all_due(header, plan.mode, outcome).first
    }

    /// The same for ERR.
    pub fn error(&self) -> AckError<'static> {
        AckError { location: self.location, code: self.code, message: self.text }
    }

    /// What a channel says is answered to it.
    pub fn negative(&self, refusals: &Refusals) -> Negative {
        match self.wrong {
            Wrong::Unreadable => refusals.unreadable,
            Wrong::Oversize => refusals.oversize,
            Wrong::Sender => refusals.sender,
            Wrong::ProcessingId => refusals.processing_id,
            Wrong::MessageType => refusals.message_type,
            Wrong::SequenceNumber => refusals.sequence_number,
        }
    }

    /// The reason code of a message that was kept although it is refused; none of a frame that cannot
    /// be.
    pub fn parked(&self) -> Option<&'static str> {
        match self.wrong {
            Wrong::Sender => Some("refused.sender"),
            Wrong::ProcessingId => Some("refused.processing-id"),
            Wrong::MessageType => Some("refused.message-type"),
            Wrong::Unreadable | Wrong::Oversize | Wrong::SequenceNumber => None,
        }
    }
}

fn msh(field: u32) -> Location {
    let segment = SegmentName::new(b"MSH").expect("MSH is a segment name");
    Location { field: Some(field), ..Location::segment(segment) }
}

/// Who takes the message.
#[derive(Debug)]
pub enum Decision<'p> {
    /// This channel.
    Accept(&'p Arc<ChannelPlan>),
    /// Nobody; the channel is the one that came nearest, and says what is answered.
    Refuse(Refusal, Option<&'p Arc<ChannelPlan>>),
}

/// The first channel whose rules match; one that names the type goes before one that merely
/// tolerates it. When none matches, the rule that left none is what is told.
pub fn decide<'p>(header: &Header, channels: &'p [Arc<ChannelPlan>]) -> Decision<'p> {
    let (application, facility) = (&header.sending_application, &header.sending_facility);
    let mut left: Vec<_> =
        channels.iter().filter(|c| c.accept.sender_allowed(application, facility)).collect();
    let Some(&nearest) = left.first() else {
        return Decision::Refuse(Refusal::sender(), channels.first());
    };
    left.retain(|channel| channel.accept.processing_allowed(&header.processing_id));
    let Some(&first) = left.first() else {
        return Decision::Refuse(Refusal::processing(), Some(nearest));
    };
    let named = left.iter().find(|c| c.accept.type_expected(&header.message_code, &header.trigger));
    let tolerant = left.iter().find(|c| c.accept.unknown_type == UnknownType::Accept);
    named.or(tolerant).map_or_else(
        || Decision::Refuse(Refusal::message_type(), Some(first)),
        |channel| Decision::Accept(channel),
    )
}
