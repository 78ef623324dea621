//! What delivery is told by those who decide.

use journal::entry::{MessageId, Position};
use tokio::sync::mpsc;

use crate::work::Released;

/// What the held index is told by those who decide.
#[derive(Debug)]
pub(crate) enum Command {
    /// A waiting message may run.
    Freed { id: MessageId, place: Position },
    /// A parked message is processed again.
    Release { id: MessageId, released: Released },
    /// Of a parked message the events from that place on leave.
    Skip { id: MessageId, from: u32 },
    /// A released message could not be read and is tried again.
    Again { id: MessageId },
    /// A parked message was settled by a person.
    Gone { id: MessageId },
    /// The messages of a channel wait.
    Pause { channel: String },
    /// They run again.
    Resume { channel: String },
}

impl Command {
    /// The parked message that was decided about.
    pub(crate) fn message(&self) -> Option<MessageId> {
        match self {
            Self::Release { id, .. } | Self::Skip { id, .. } | Self::Gone { id } => Some(*id),
            Self::Freed { .. } | Self::Again { .. } | Self::Pause { .. } | Self::Resume { .. } => {
                None
            }
        }
    }
}

/// Tells delivery what operators decided.
#[derive(Clone, Debug)]
pub struct Desk(mpsc::UnboundedSender<Command>);

impl Desk {
    pub(crate) fn new(commands: mpsc::UnboundedSender<Command>) -> Self {
        Self(commands)
    }

    pub(crate) fn tell(&self, command: Command) {
        // Delivery ends only with the engine; what is durable has its effect after the next start.
        drop(self.0.send(command));
    }
}
