//! An MLLP client: one connection, and the rule that an answer is credited to its own message
//! (MSA-2 = MSH-10) or to none.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hl7::acknowledgement::{self, Outcome, ReadAck};
use hl7::due::due;
use hl7::header::Header;
use hl7::mllp::{Decoded, FrameDecoder, FrameLimits, encode_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::connection::{Connection, Secure};
use crate::outgoing::Ending;

/// An answer is small; what is longer is not one.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// So many acknowledged messages are remembered for their second answer (enhanced mode).
const REMEMBERED: usize = 1024;

/// One connection, one message in flight.
#[derive(Debug)]
pub(crate) struct Sender {
    stream: TcpStream,
    answers: Answers,
    patience: Duration,
}

impl Sender {
    /// Connects; `patience` bounds this and every wait for an answer.
    pub(crate) async fn connect(to: &str, patience: Duration) -> Result<Self, SendError> {
        let stream = dial(to, patience).await?;
        Ok(Self { stream, answers: Answers::default(), patience })
    }

    /// Sends one message as it is and waits for its answer. After an error the connection is of
    /// no more use: an answer may still be under way, and must not be taken for another's.
    pub(crate) async fn send(&mut self, message: &[u8]) -> Result<ReadAck, SendError> {
        let expected = Expected::by(message);
        let exchange = async {
            self.stream.write_all(&encode_frame(message)).await.map_err(SendError::Lost)?;
            loop {
                if let Some(answer) = self.answers.next()? {
                    return if expected.is_answered_by(&answer) {
                        Ok(answer)
                    } else {
                        Err(SendError::Foreign)
                    };
                }
                let read = self.stream.read_buf(self.answers.room()).await;
                self.answers.received(read)?;
            }
        };
        timeout(self.patience, exchange).await.map_err(|_| SendError::TimedOut(self.patience))?
    }
}

/// A connection, in TLS where that is asked for.
pub(crate) async fn connect(
    to: &str,
    tls: Option<&Secure>,
    patience: Duration,
) -> Result<Box<dyn Connection>, SendError> {
    let stream = dial(to, patience).await?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let secured =
        timeout(patience, tls.over(stream)).await.map_err(|_| SendError::TimedOut(patience))?;
    Ok(Box::new(secured.map_err(SendError::Insecure)?))
}

/// A connection without Nagle's delay, which would add 40 ms to each answer.
async fn dial(to: &str, patience: Duration) -> Result<TcpStream, SendError> {
    let unreachable = |source| SendError::Unreachable { to: to.to_owned(), source };
    let stream = timeout(patience, TcpStream::connect(to))
        .await
        .map_err(|_| SendError::TimedOut(patience))?
        .map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    Ok(stream)
}

/// What a message's own header lets its sender expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// MSH-10; nothing when the header cannot be read: then any answer is its answer.
    pub(crate) control_id: Option<Bytes>,
    /// MSH-15 may ask for no answer on success (`NE`, `ER`).
    pub(crate) answered: bool,
}

impl Expected {
    pub(crate) fn by(message: &[u8]) -> Self {
        match Header::from_frame(message) {
            Ok(header) => Self {
                control_id: Some(header.control_id.clone().into()),
                answered: due(&header, Outcome::Accept).is_some(),
            },
            Err(_) => Self { control_id: None, answered: true },
        }
    }

    /// Whether this is the answer; peers pad MSA-2, so surrounding blanks do not count.
    pub(crate) fn is_answered_by(&self, answer: &ReadAck) -> bool {
        self.control_id
            .as_deref()
            .is_none_or(|id| id.trim_ascii() == answer.control_id.trim_ascii())
    }
}

/// The answers in a stream of bytes.
#[derive(Debug)]
pub(crate) struct Answers {
    decoder: FrameDecoder,
    input: BytesMut,
}

impl Default for Answers {
    fn default() -> Self {
        let limits = FrameLimits { max_frame: LONGEST_ANSWER, ..FrameLimits::default() };
        Self { decoder: FrameDecoder::new(limits), input: BytesMut::with_capacity(16 * 1024) }
    }
}

impl Answers {
    /// Where the socket reads into.
    pub(crate) fn room(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Takes over what one read brought.
    pub(crate) fn received(&mut self, read: io::Result<usize>) -> Result<(), SendError> {
        if read.map_err(SendError::Lost)? == 0 {
            return Err(SendError::Closed);
        }
        self.decoder.push(&self.input);
        self.input.clear();
        Ok(())
    }

    /// The next whole answer; nothing while there is none.
    pub(crate) fn next(&mut self) -> Result<Option<ReadAck>, SendError> {
        loop {
            match self.decoder.next_frame() {
                None => return Ok(None),
                Some(Decoded::Frame(frame)) => {
                    return acknowledgement::read_acknowledgement(&frame)
                        .map(Some)
                        .ok_or(SendError::NotAnAnswer);
                }
                Some(Decoded::Oversize { .. }) => return Err(SendError::NotAnAnswer),
                // Some servers put line ends between their frames.
                Some(Decoded::Junk { .. }) => {}
            }
        }
    }
}

/// Control ids for which a further answer may come: a commit acknowledgement (`CA`) precedes an
/// application acknowledgement, and `ER` asks for an answer only in case of an error.
#[derive(Debug, Default)]
pub(crate) struct Expecting {
    further: VecDeque<Bytes>,
}

impl Expecting {
    pub(crate) fn expect_further(&mut self, control_id: Bytes) {
        if self.further.len() == REMEMBERED {
            self.further.pop_front();
        }
        self.further.push_back(control_id);
    }

    /// Whether this answer is a further one, which is then no longer expected.
    pub(crate) fn takes(&mut self, answer: &ReadAck) -> bool {
        let id = answer.control_id.trim_ascii();
        let at = self.further.iter().position(|expected| expected.trim_ascii() == id);
        at.and_then(|at| self.further.remove(at)).is_some()
    }
}

/// Why a message got no answer of its own. After each of these the connection is closed.
#[derive(Debug)]
pub(crate) enum SendError {
    Unreachable {
        to: String,
        source: io::Error,
    },
    TimedOut(Duration),
    Closed,
    Lost(io::Error),
    /// The two sides of TLS did not come together.
    Insecure(io::Error),
    /// By ourselves, to see what the receiver makes of it.
    OnPurpose(Ending),
    /// An answer to another message, or a late one.
    Foreign,
    NotAnAnswer,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { to, .. } => write!(f, "cannot connect to {to}"),
            Self::TimedOut(patience) => write!(f, "no answer within {patience:?}"),
            Self::Closed => f.write_str("the receiver closed the connection"),
            Self::Lost(_) => f.write_str("the connection was lost"),
            Self::Insecure(_) => f.write_str(
                "no TLS with the receiver: see that it speaks TLS, that --ca signed its certificate and that the certificate names the host of --to",
            ),
            Self::OnPurpose(_) => f.write_str("the connection was broken on purpose"),
            Self::Foreign => f.write_str("the answer belongs to another message"),
            Self::NotAnAnswer => f.write_str("the receiver sent something without an MSA segment"),
        }
    }
}

impl SendError {
    /// In words, down to the first cause.
    pub(crate) fn with_causes(&self) -> String {
        let (mut text, mut cause) = (self.to_string(), self.source());
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreachable { source, .. } | Self::Lost(source) | Self::Insecure(source) => {
                Some(source)
            }
            Self::TimedOut(_)
            | Self::Closed
            | Self::OnPurpose(_)
            | Self::Foreign
            | Self::NotAnAnswer => None,
        }
    }
}
