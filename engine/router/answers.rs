//! The writing half of a connection: answers in the order of the frames, each in one write.
//!
//! The first answer to a message keeps that order, whatever it waits for. A second one (an
//! application acknowledgement behind an accept acknowledgement) leaves when it is due, in the order
//! of the second ones, and no first one waits for it.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use journal::queue::Ticket;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::budget::Charge;
use crate::event::Event;
use crate::fates::Coming;
use crate::plan::ChannelPlan;
use crate::port::Port;

/// Answers that may wait for one connection, and second ones besides.
pub(crate) const ANSWERS: usize = 256;

/// What the writer sends when its turn comes.
pub(crate) enum Answer {
    /// To a message that is accepted.
    Accepted {
        storing: Storing,
        /// Sent when it is durable; both are absent when the sender asked for no answer.
        stored: Option<Vec<u8>>,
        /// Sent when its fate is known.
        later: Option<(Fate, Vec<u8>)>,
        told: Told,
    },
    /// A refusal.
    Now(Vec<u8>),
}

/// A message on its way to the disk.
pub(crate) enum Storing {
    /// Its charge is held until it is durable.
    Ticket(Ticket, Charge),
    /// A task of its own waits for it; it is durable when the task says so.
    Watched(oneshot::Receiver<()>),
}

/// Whether the answer need not wait any longer.
pub(crate) enum Fate {
    /// It need not wait for more than the disk.
    Stored,
    /// A task of its own waits, and says or lets go when it is over.
    Watched(oneshot::Receiver<()>),
}

/// What is counted of a message.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) channel: Arc<ChannelPlan>,
    pub(crate) received: Timestamp,
    pub(crate) since: Instant,
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
    stream: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Answer>,
    port: Arc<Port>,
) -> Result<(), Failed> {
    let mut writer = Writer { stream, port };
    let mut seconds = VecDeque::new();
    loop {
        let answer = tokio::select! {
            biased;
            second = due(&mut seconds), if !seconds.is_empty() => {
                writer.send(&second).await?;
                continue;
            }
            answer = queue.recv(), if seconds.len() < ANSWERS => answer,
        };
        match answer {
            None => break,
            Some(Answer::Now(frame)) => writer.send(&frame).await?,
            Some(Answer::Accepted { storing, stored, later, told }) => {
                seconds.extend(writer.accepted(storing, stored, later, &told).await?);
            }
        }
    }
    while !seconds.is_empty() {
        let second = due(&mut seconds).await;
        writer.send(&second).await?;
    }
    Ok(())
}

/// Takes the first of these when its time has come; may be asked again if it was not waited for.
async fn due(seconds: &mut VecDeque<(Fate, Vec<u8>)>) -> Vec<u8> {
    if let Some((fate, _)) = seconds.front_mut() {
        fate.known().await;
    }
    seconds.pop_front().map(|(_, frame)| frame).unwrap_or_default()
}

struct Writer<S> {
    stream: S,
    port: Arc<Port>,
}

impl<S: AsyncWrite + Unpin> Writer<S> {
    /// Sends the first answer to a message when its time has come; gives back a second one.
    async fn accepted(
        &mut self,
        storing: Storing,
        stored: Option<Vec<u8>>,
        later: Option<(Fate, Vec<u8>)>,
        told: &Told,
    ) -> Result<Option<(Fate, Vec<u8>)>, Failed> {
        match storing {
            Storing::Ticket(ticket, charge) => {
                // Nothing may be said otherwise: the sender's timeout makes it send again.
                ticket.await.map_err(|_| Failed::NotStored)?;
                drop(charge);
                told.received();
            }
            Storing::Watched(durable) => durable.await.map_err(|_| Failed::NotStored)?,
        }
        let (first, second) = match (stored, later) {
            (Some(first), second) => (first, second),
            (None, Some((mut fate, first))) => {
                fate.known().await;
                (first, None)
            }
            (None, None) => return Ok(None),
        };
        self.send(&first).await?;
        told.channel.meters.acknowledged.increment(1);
        told.channel.meters.acknowledge_seconds.record(told.since.elapsed().as_secs_f64());
        Ok(second)
    }

    async fn send(&mut self, frame: &[u8]) -> Result<(), Failed> {
        let limit = self.port.plan().write_timeout;
        let written = async {
            self.stream.write_all(frame).await?;
            // TLS may have kept a part of it.
            self.stream.flush().await
        };
        match timeout(limit, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Failed::Write),
        }
    }
}

impl Told {
    fn received(&self) {
        self.channel.meters.received.increment(1);
        self.channel.meters.last_received.set(self.received.as_duration().as_secs_f64());
    }
}

impl Fate {
    /// Until the answer need not wait any longer.
    async fn known(&mut self) {
        if let Self::Watched(known) = self {
            // Who waits for it never keeps it for longer than the channel says.
            drop(known.await);
        }
    }
}

/// Waits in a task of its own until the message is durable, and then until its fate is told, the
/// channel's patience ends, or the port does: a stored message is answered positively in any case.
pub(crate) fn watch(
    ticket: Ticket,
    charge: Charge,
    coming: Coming,
    told: Told,
    port: &Port,
) -> (Storing, Fate) {
    let (say_durable, durable) = oneshot::channel();
    let (mut say_known, known) = oneshot::channel::<()>();
    let stop = port.stop.clone();
    let patience = told.channel.acknowledge.published_within.unwrap_or_default();
    tokio::spawn(async move {
        let Ok((id, _)) = ticket.await else { return };
        drop(charge);
        told.received();
        let mut awaited = coming.of(id);
        // Who no longer listens has lost its connection.
        let _unheard = say_durable.send(());
        tokio::select! {
            biased;
            () = awaited.told() => {}
            () = say_known.closed() => {}
            () = stop.cancelled() => {}
            () = tokio::time::sleep_until(told.since + patience) => {
                Event::AnsweredUnpublished { channel: &told.channel.name }.emit();
            }
        }
    });
    (Storing::Watched(durable), Fate::Watched(known))
}
