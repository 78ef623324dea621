//! What became of one attempt to publish, and what follows: a receipt, another attempt, or none.

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::{Confirmation, ErrorKind};

use crate::publish::Trouble;

/// What was said of one attempt, by the broker or by lapin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    /// Confirmed, and no queue gave it back.
    Confirmed,
    /// Confirmed and given back: `Confirmation::Ack(Some(_))` still says `is_ack()`.
    Returned,
    /// Confirmed negatively.
    Nacked,
    /// The broker closed the event's own AMQP channel, and nothing else.
    ChannelClosed { fault: AMQPSoftError, over_size: bool },
    /// The broker closed the connection, and said why.
    ConnectionClosed { fault: AMQPHardError },
    /// lapin cannot put it into frames, or cannot read what came back.
    Unframed,
    /// The connection is gone, or nothing was heard in time.
    Lost,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Receipt,
    /// Comes back to the caller, who tries again later.
    Transient(Trouble),
    /// Comes back to the caller, who parks with this reason.
    Permanent(&'static str),
    /// Stays here, and is sent again on the next connection.
    Again,
    /// The same; one of the events that were under way may be to blame for the end of this one.
    Suspect,
}

/// The event is larger than the broker's `max_message_size`.
const TOO_LARGE: &str = "publish.too-large";
/// The broker will not have these bytes.
const REFUSED: &str = "publish.refused";
/// Twice, the second time alone, a connection ended over this event.
pub(crate) const BREAKS_CONNECTION: &str = "publish.breaks-connection";

/// The one place where it is decided what is tried again and what is not.
pub(crate) fn class(said: &Said) -> Class {
    use AMQPHardError as Hard;
    use AMQPSoftError as Soft;
    match said {
        Said::Confirmed => Class::Receipt,
        Said::Returned => Class::Transient(Trouble::Unroutable),
        Said::Nacked => Class::Transient(Trouble::Refused),
        Said::ChannelClosed { fault, over_size } => match fault {
            Soft::CONTENTTOOLARGE => Class::Permanent(TOO_LARGE),
            // On a channel that only publishes it is always about what was published.
            Soft::PRECONDITIONFAILED if *over_size => Class::Permanent(TOO_LARGE),
            Soft::PRECONDITIONFAILED => Class::Permanent(REFUSED),
            Soft::NOROUTE | Soft::NOCONSUMERS => Class::Transient(Trouble::Unroutable),
            Soft::NOTFOUND => Class::Transient(Trouble::Missing),
            Soft::ACCESSREFUSED => Class::Transient(Trouble::Forbidden),
            Soft::RESOURCELOCKED => Class::Transient(Trouble::Refused),
        },
        Said::ConnectionClosed { fault } => match fault {
            Hard::FRAMEERROR
            | Hard::SYNTAXERROR
            | Hard::COMMANDINVALID
            | Hard::UNEXPECTEDFRAME
            | Hard::NOTIMPLEMENTED => Class::Suspect,
            Hard::CONNECTIONFORCED
            | Hard::INVALIDPATH
            | Hard::CHANNELERROR
            | Hard::RESOURCEERROR
            | Hard::NOTALLOWED
            | Hard::INTERNALERROR => Class::Again,
        },
        Said::Unframed => Class::Suspect,
        Said::Lost => Class::Again,
    }
}

impl From<&lapin::Result<Confirmation>> for Said {
    fn from(confirmed: &lapin::Result<Confirmation>) -> Self {
        match confirmed {
            Ok(Confirmation::Ack(None)) => Self::Confirmed,
            Ok(Confirmation::Ack(Some(_))) => Self::Returned,
            Ok(Confirmation::Nack(_)) => Self::Nacked,
            // Without confirms nothing is known; another connection asks for them again.
            Ok(Confirmation::NotRequested) => Self::Lost,
            Err(error) => Self::from(error),
        }
    }
}

impl From<&lapin::Error> for Said {
    fn from(error: &lapin::Error) -> Self {
        match error.kind() {
            ErrorKind::ProtocolError(said) => match said.kind() {
                AMQPErrorKind::Soft(fault) => Self::ChannelClosed {
                    fault: fault.clone(),
                    over_size: said.get_message().as_str().contains("size"),
                },
                AMQPErrorKind::Hard(fault) => Self::ConnectionClosed { fault: fault.clone() },
            },
            ErrorKind::SerialisationError(_) | ErrorKind::ParsingError(_) => Self::Unframed,
            // lapin may add kinds; whatever they are, a new connection is a new beginning.
            _ => Self::Lost,
        }
    }
}

/// Finds the event that ends connections: after one ended over a fault of the protocol, the events
/// that were under way are sent one at a time, and the one that is alone when it happens again is
/// to blame. All others go on.
#[derive(Debug, Default)]
pub(crate) struct Caution {
    /// How many are still to be sent alone.
    left: usize,
}

impl Caution {
    /// A connection ended over a fault of the protocol; says whether the one event under way did it.
    pub(crate) fn broke(&mut self, under_way: usize) -> bool {
        let blamed = self.left > 0 && under_way == 1;
        if blamed {
            self.left -= 1;
        } else {
            self.left = self.left.max(under_way);
        }
        blamed
    }

    /// An event is through, whatever became of it.
    pub(crate) fn settled(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// Whether events go one at a time.
    pub(crate) fn holds(&self) -> bool {
        self.left > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::protocol::AMQPError;

    fn soft(fault: AMQPSoftError, words: &str) -> lapin::Result<Confirmation> {
        let said = AMQPError::new(AMQPErrorKind::Soft(fault), words.into());
        Err(ErrorKind::ProtocolError(said).into())
    }

    fn hard(fault: AMQPHardError) -> lapin::Result<Confirmation> {
        let said = AMQPError::new(AMQPErrorKind::Hard(fault), "words".into());
        Err(ErrorKind::ProtocolError(said).into())
    }

    #[test]
    fn what_the_broker_says_of_one_event_comes_back_and_what_it_says_of_the_line_does_not() {
        let over = "PRECONDITION_FAILED - message size 16777217 is larger than configured max size";
        let table = [
            (Ok(Confirmation::Ack(None)), Class::Receipt),
            (Ok(Confirmation::Nack(None)), Class::Transient(Trouble::Refused)),
            (Ok(Confirmation::NotRequested), Class::Again),
            (soft(AMQPSoftError::PRECONDITIONFAILED, over), Class::Permanent(TOO_LARGE)),
            (soft(AMQPSoftError::PRECONDITIONFAILED, "user_id"), Class::Permanent(REFUSED)),
            (soft(AMQPSoftError::CONTENTTOOLARGE, ""), Class::Permanent(TOO_LARGE)),
            (soft(AMQPSoftError::NOTFOUND, ""), Class::Transient(Trouble::Missing)),
            (soft(AMQPSoftError::ACCESSREFUSED, ""), Class::Transient(Trouble::Forbidden)),
            (soft(AMQPSoftError::NOROUTE, ""), Class::Transient(Trouble::Unroutable)),
            (soft(AMQPSoftError::RESOURCELOCKED, ""), Class::Transient(Trouble::Refused)),
            (hard(AMQPHardError::CONNECTIONFORCED), Class::Again),
            (hard(AMQPHardError::INTERNALERROR), Class::Again),
            (hard(AMQPHardError::FRAMEERROR), Class::Suspect),
            (hard(AMQPHardError::SYNTAXERROR), Class::Suspect),
            (Err(ErrorKind::MissingHeartbeatError.into()), Class::Again),
            (Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()), Class::Again),
        ];
        for (said, follows) in table {
            assert_eq!(class(&Said::from(&said)), follows, "{said:?}");
        }
        assert_eq!(class(&Said::Returned), Class::Transient(Trouble::Unroutable));
    }

    #[test]
    fn the_event_that_ends_connections_is_found_and_no_other_is_blamed() {
        let mut caution = Caution::default();
        assert!(!caution.broke(5), "any of the five");
        assert!(caution.holds());
        caution.settled();
        caution.settled();
        assert!(caution.broke(1), "the third was alone");
        caution.settled();
        assert!(caution.holds(), "one is left");
        caution.settled();
        assert!(!caution.holds());
        assert!(!caution.broke(1), "once alone proves nothing: it may have been the broker");
        assert!(caution.broke(1));
    }
}
