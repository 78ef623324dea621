//! The writing half of a connection: answers in the order of the frames, each in one write.

use std::sync::Arc;

use jiff::Timestamp;
use journal::queue::Ticket;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::budget::Charge;
use crate::plan::ChannelPlan;
use crate::port::Port;

/// Answers that may wait for one connection.
pub(crate) const ANSWERS: usize = 256;

/// What the writer sends when its turn comes.
pub(crate) enum Answer {
    /// After the message is durable; `frame` is absent when the sender asked for no answer.
    Durable {
        ticket: Ticket,
        frame: Option<Vec<u8>>,
        channel: Arc<ChannelPlan>,
        received: Timestamp,
        since: Instant,
        /// Held until the frame is durable, then given back.
        charge: Charge,
    },
    /// A refusal.
    Now(Vec<u8>),
}

/// Why no more answers can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// A message did not become durable: nothing may be said of it.
    NotStored,
    /// The peer does not take its answers.
    Write,
}

/// Sends answers in order until the reader is gone, then says that no more will come.
pub(crate) async fn write(
    mut stream: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Answer>,
    port: Arc<Port>,
) -> Result<(), Failed> {
    while let Some(answer) = queue.recv().await {
        let (frame, told) = match answer {
            Answer::Now(frame) => (Some(frame), None),
            Answer::Durable { ticket, frame, channel, received, since, charge } => {
                if ticket.await.is_err() {
                    // Nothing may be said: the sender's timeout makes it send again.
                    return Err(Failed::NotStored);
                }
                drop(charge);
                channel.meters.received.increment(1);
                channel.meters.last_received.set(received.as_duration().as_secs_f64());
                (frame, Some((channel, since)))
            }
        };
        let Some(frame) = frame else { continue };
        let limit = port.plan().write_timeout;
        let written = async {
            stream.write_all(&frame).await?;
            // TLS may have kept a part of it.
            stream.flush().await
        };
        match timeout(limit, written).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(Failed::Write),
        }
        if let Some((channel, since)) = told {
            channel.meters.acknowledged.increment(1);
            channel.meters.acknowledge_seconds.record(since.elapsed().as_secs_f64());
        }
    }
    Ok(())
}
