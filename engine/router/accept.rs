//! Accept rules: which channel takes a message, or why none does. Decided on MSH alone, before
//! anything is stored; whatever else is wrong with a message becomes a state, never a refusal.

use std::sync::Arc;

use hl7::header::Header;
use hl7::location::{Location, SegmentName};

use crate::config::channel::UnknownType;
use crate::plan::ChannelPlan;

/// Why a frame is refused.
#[derive(Clone, Debug)]
pub struct Refusal {
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
        reason: "unreadable",
        location: None,
        code: 100,
        text: "MSH segment cannot be read: send MSH with its delimiters first",
    };
    /// The frame is over the listener's limit.
    pub const OVERSIZE: Self = Self {
        reason: "oversize",
        location: None,
        code: 207,
        text: "message is larger than this listener takes",
    };

    fn sender() -> Self {
        Self {
            reason: "sender",
            location: Some(msh(3)),
            code: 103,
            text: "sending application and facility are not known here",
        }
    }

    fn processing() -> Self {
        Self {
            reason: "processing-id",
            location: Some(msh(11)),
            code: 202,
            text: "processing id is not accepted here",
        }
    }

    fn message_type() -> Self {
        Self {
            reason: "message-type",
            location: Some(msh(9)),
            code: 200,
            text: "message type is not accepted here",
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
    /// Nobody.
    Refuse(Refusal),
}

/// The first channel whose rules match; one that names the type goes before one that merely
/// tolerates it. When none matches, the rule that left none is what is told.
pub fn decide<'p>(header: &Header, channels: &'p [Arc<ChannelPlan>]) -> Decision<'p> {
    let (application, facility) = (&header.sending_application, &header.sending_facility);
    let mut left: Vec<_> =
        channels.iter().filter(|c| c.accept.sender_allowed(application, facility)).collect();
    if left.is_empty() {
        return Decision::Refuse(Refusal::sender());
    }
    left.retain(|channel| channel.accept.processing_allowed(&header.processing_id));
    if left.is_empty() {
        return Decision::Refuse(Refusal::processing());
    }
    let named = left.iter().find(|c| c.accept.type_expected(&header.message_code, &header.trigger));
    let tolerant = left.iter().find(|c| c.accept.unknown_type == UnknownType::Accept);
    named.or(tolerant).map_or_else(
        || Decision::Refuse(Refusal::message_type()),
        |channel| Decision::Accept(channel),
    )
}
