//! One connection of a peer: frames in, durable, answers out in order.
//!
//! The reader takes the next frame while earlier ones wait for their fsync; the writer sends the
//! answers in the order of the frames, each in one write. Between them stands a bounded queue: a
//! client that never reads its answers stops its own reading, nobody else's.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use hl7::acknowledgement::{self, AckError, Outcome, Stamp};
use hl7::header::{self, Header};
use hl7::mllp::{Decoded, FrameDecoder, FrameLimits, Pause, encode_frame};
use hl7::several::{Counts, Several, several};
use hl7::tolerance::Deviation;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, Interest, Ready};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use crate::accept::{self, Decision, Refusal};
use crate::answers::{self, ANSWERS, Answer, Failed};
use crate::budget::Charge;
use crate::entry::{self, Accepted};
use crate::event::Event;
use crate::intake::Intake;
use crate::plan::{ChannelPlan, ListenerPlan};
use crate::port::Port;
use crate::refused::RefusedFrame;

/// What a connection may buffer without a charge on the budget.
const ALLOWANCE: usize = 64 * 1024;
/// One read from the socket.
const READ: usize = 16 * 1024;
/// How long the CR behind FS may be late before FS alone ends the frame.
const PAUSE: Duration = Duration::from_millis(200);
/// How long nothing may follow a segment before that ends the frame of a peer that leaves out FS.
const LONG_PAUSE: Duration = Duration::from_secs(2);
/// How long a peer may be silent in the middle of a frame.
const MID_FRAME: Duration = Duration::from_secs(30);
/// How much of an oversize frame is kept.
const KEEP_OVERSIZE: usize = 64 * 1024;
/// How long intake may be closed before a waiting connection is closed without an answer.
const GRACE: Duration = Duration::from_secs(30);
/// How often a connection that is not read is looked at: its peer may have gone.
const LOOK: Duration = Duration::from_secs(1);
/// How long a connection that we end waits for its peer to have read the last answers.
const LINGER: Duration = Duration::from_secs(1);

/// Why a connection ended; a word for the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Peer,
    HalfFrame,
    Idle,
    Stopping,
    NotStored,
    Write,
    Error,
}

impl Ended {
    fn word(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::HalfFrame => "half-frame",
            Self::Idle => "idle",
            Self::Stopping => "stopping",
            Self::NotStored => "not-stored",
            Self::Write => "write",
            Self::Error => "error",
        }
    }
}

impl From<Failed> for Ended {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::NotStored => Self::NotStored,
            Failed::Write => Self::Write,
        }
    }
}

/// Serves one connection until it ends.
pub async fn serve(stream: TcpStream, peer: SocketAddr, port: Arc<Port>, intake: Arc<Intake>) {
    let name = port.plan().name.clone();
    Event::Connected { listener: &name, peer }.emit();
    // ACKs are small and awaited: never hold one back.
    let nodelay = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    let (answers, queue) = mpsc::channel(ANSWERS);
    let writing = tokio::spawn(answers::write(write, queue, port.clone()));
    let limits = FrameLimits {
        max_frame: port.plan().max_frame,
        keep_oversize: KEEP_OVERSIZE,
        open_end: port.plan().open_end,
    };
    let mut reader = Reader {
        stream: read,
        peer,
        plans: port.plans(),
        paused: intake.paused(),
        port,
        intake,
        decoder: FrameDecoder::new(limits),
        charge: Charge::default(),
        frame_since: None,
        last: false,
        answers,
    };
    let Err(read) = if nodelay.is_ok() { reader.run().await } else { Err(Ended::Error) };
    let Reader { stream, answers, .. } = reader;
    // With the reader's end of the queue gone, the writer sends what is due and closes.
    drop(answers);
    let why = match writing.await {
        Ok(Ok(())) => read,
        Ok(Err(failed)) => failed.into(),
        Err(_) => Ended::Error,
    };
    if why == Ended::Stopping {
        linger(stream).await;
    }
    Event::Disconnected { listener: &name, peer, why: why.word() }.emit();
}

/// Reads on for a moment and throws away: a socket that is closed with bytes unread is reset, and
/// that would take answers from the peer which it has not read yet.
async fn linger(mut stream: OwnedReadHalf) {
    let mut chunk = vec![0; READ];
    let gone = async { while stream.read(&mut chunk).await.is_ok_and(|count| count > 0) {} };
    drop(timeout(LINGER, gone).await);
}

struct Reader {
    stream: OwnedReadHalf,
    peer: SocketAddr,
    port: Arc<Port>,
    /// News of the port's settings and channels.
    plans: watch::Receiver<Arc<ListenerPlan>>,
    /// News of paused channels.
    paused: watch::Receiver<BTreeSet<String>>,
    intake: Arc<Intake>,
    decoder: FrameDecoder,
    charge: Charge,
    /// When the frame in the making began.
    frame_since: Option<Instant>,
    /// The port takes no more: the frame in the making is the last.
    last: bool,
    answers: mpsc::Sender<Answer>,
}

impl Reader {
    /// Until the connection ends, which is the only way out.
    async fn run(&mut self) -> Result<Infallible, Ended> {
        loop {
            while let Some(decoded) = self.decoder.next_frame() {
                self.frame_since = None;
                let ended = self.last && !matches!(decoded, Decoded::Junk { .. });
                self.decoded(decoded).await?;
                if ended {
                    return Err(Ended::Stopping);
                }
            }
            self.charge_buffered().await?;
            if !self.decoder.in_frame() {
                self.while_all_are_paused().await?;
            }
            // A peer that leaves out the CR behind FS now waits: only the pause tells.
            let pause = self.decoder.pause();
            let limit = self.silence_allowed(pause);
            let ready = tokio::select! {
                () = self.port.cut.cancelled() => return Err(Ended::Stopping),
                () = self.port.stop.cancelled(), if !self.last => {
                    if !self.decoder.in_frame() {
                        return Err(Ended::Stopping);
                    }
                    self.last = true;
                    continue;
                }
                () = self.answers.closed() => return Err(Ended::Write),
                ready = timeout(limit, self.stream.readable()) => ready,
            };
            match ready {
                Err(_) if pause != Pause::Nothing => {
                    self.decoder.end_by_pause();
                    continue;
                }
                Err(_) if self.decoder.in_frame() => return Err(Ended::HalfFrame),
                Err(_) => return Err(Ended::Idle),
                Ok(Err(_)) => return Err(Ended::Error),
                Ok(Ok(())) => {}
            }
            match self.read() {
                Ok(0) if self.decoder.in_frame() => return Err(Ended::HalfFrame),
                Ok(0) => return Err(Ended::Peer),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(Ended::Error),
            }
        }
    }

    /// While nobody behind this port may take anything, nothing is read: TCP tells the sender.
    async fn while_all_are_paused(&mut self) -> Result<(), Ended> {
        loop {
            {
                let (paused, plan) =
                    (self.paused.borrow_and_update(), self.plans.borrow_and_update());
                let open = plan.channels.iter().any(|channel| !paused.contains(&channel.name));
                if open || plan.channels.is_empty() {
                    return Ok(());
                }
            }
            self.until_told().await?;
        }
    }

    /// Until a channel is paused or resumed or the port's channels change, unless the connection has
    /// to end meanwhile. What the peer sends stays unread, and so does its end: that is looked for.
    async fn until_told(&mut self) -> Result<(), Ended> {
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = self.port.stop.cancelled() => return Err(Ended::Stopping),
                () = self.answers.closed() => return Err(Ended::Write),
                _ = self.paused.changed() => return Ok(()),
                _ = self.plans.changed() => return Ok(()),
                _ = look.tick() => {
                    let ready = self.stream.ready(Interest::READABLE).now_or_never();
                    if ready.is_some_and(|ready| ready.is_ok_and(Ready::is_read_closed)) {
                        return Err(Ended::Peer);
                    }
                }
            }
        }
    }

    /// What a frame in the making holds above the allowance is charged, and given back when it is
    /// held no more.
    async fn charge_buffered(&mut self) -> Result<(), Ended> {
        let above = self.decoder.buffered().saturating_sub(ALLOWANCE);
        if above == 0 {
            drop(self.charge.take());
            return Ok(());
        }
        self.raise(above).await
    }

    /// Waits for room in the budget, unless the connection has to end meanwhile.
    async fn raise(&mut self, bytes: usize) -> Result<(), Ended> {
        tokio::select! {
            () = self.port.cut.cancelled() => Err(Ended::Stopping),
            () = self.answers.closed() => Err(Ended::Write),
            () = self.intake.budget.raise(&mut self.charge, bytes) => Ok(()),
        }
    }

    /// How long the peer may say nothing. Within a frame that is shorter, and a frame as a whole has
    /// the idle time to end: a stalled peer holds memory that others wait for.
    fn silence_allowed(&mut self, pause: Pause) -> Duration {
        match pause {
            Pause::Ended => return PAUSE,
            Pause::MayHaveEnded => return LONG_PAUSE,
            Pause::Nothing => {}
        }
        if !self.decoder.in_frame() {
            self.frame_since = None;
            return self.port.plan().idle;
        }
        let since = *self.frame_since.get_or_insert_with(Instant::now);
        let left = self.port.plan().idle.saturating_sub(since.elapsed());
        left.min(MID_FRAME)
    }

    /// Not async, so that the chunk lives on the stack and two thousand idle connections hold none.
    fn read(&mut self) -> io::Result<usize> {
        let mut chunk = [0; READ];
        let count = self.stream.try_read(&mut chunk)?;
        self.decoder.push(chunk.get(..count).unwrap_or_default());
        Ok(count)
    }

    async fn decoded(&mut self, decoded: Decoded) -> Result<(), Ended> {
        match decoded {
            Decoded::Frame(frame) => match several(&frame) {
                None => self.frame(frame).await,
                Some(found) => self.several(frame, found).await,
            },
            Decoded::Oversize { head, size } => {
                let refusal = Refusal::OVERSIZE;
                let answer = match Header::from_frame(&head) {
                    Ok(header) => self.refusal(&header, &refusal),
                    Err(_) => Some(self.unreadable(&head, refusal.text)),
                };
                self.refuse(head, size, &refusal, answer).await
            }
            Decoded::Junk { bytes } => {
                Event::Junk { listener: &self.port.plan().name, bytes }.emit();
                Ok(())
            }
        }
    }

    /// Several messages, or a batch: each is stored, answered and counted on its own. Where their
    /// source may not send such, they are one frame like any other: a batch is refused, the rest
    /// is kept as one message and parks.
    async fn several(&mut self, frame: Bytes, found: Several) -> Result<(), Ended> {
        if !self.may_come_together(&found) {
            return self.frame(frame).await;
        }
        if found.counts == Counts::Wrong {
            let (plan, messages) = (self.port.plan(), found.messages.len());
            Event::BatchCount { listener: &plan.name, messages }.emit();
        }
        // The frame stays in memory until its last message is on its way.
        let held = self.charge.take();
        for message in found.messages {
            self.frame(message).await?;
        }
        drop(held);
        Ok(())
    }

    /// Whether the source of the first message may send several. One that is refused has none, and
    /// each of its messages is told so.
    fn may_come_together(&mut self, found: &Several) -> bool {
        let what = if found.batch { Deviation::Batch } else { Deviation::SeveralMessages };
        let listener = self.plans.borrow_and_update().clone();
        let first = found.messages.first().and_then(|first| Header::from_frame(first).ok());
        let decision = first.as_ref().map(|header| accept::decide(header, &listener.channels));
        !matches!(decision, Some(Decision::Accept(channel)) if !channel.source.tolerates(what))
    }

    async fn frame(&mut self, frame: Bytes) -> Result<(), Ended> {
        let since = Instant::now();
        if header::is_acknowledgement(&frame) {
            Event::StrayAcknowledgement { listener: &self.port.plan().name }.emit();
            drop(self.charge.take());
            return Ok(());
        }
        let Ok(header) = Header::from_frame(&frame) else {
            let refusal = Refusal::UNREADABLE;
            let answer = self.unreadable(&frame, refusal.text);
            let size = frame.len() as u64;
            return self.refuse(frame, size, &refusal, Some(answer)).await;
        };
        loop {
            // The rules of this moment, which a reload may change while the frame waits.
            let listener = self.plans.borrow_and_update().clone();
            match accept::decide(&header, &listener.channels) {
                Decision::Accept(channel) => {
                    if self.paused.borrow_and_update().contains(&channel.name) {
                        self.until_told().await?;
                        continue;
                    }
                    let channel = channel.clone();
                    return self.accept(frame, &header, channel, since).await;
                }
                Decision::Refuse(refusal) => {
                    let answer = self.refusal(&header, &refusal);
                    let size = frame.len() as u64;
                    return self.refuse(frame, size, &refusal, answer).await;
                }
            }
        }
    }

    /// From here on the only answers are positive or none.
    async fn accept(
        &mut self,
        frame: Bytes,
        header: &Header,
        channel: Arc<ChannelPlan>,
        since: Instant,
    ) -> Result<(), Ended> {
        self.room().await?;
        // One small frame a connection is free, so that a spent budget stops nobody's heartbeat.
        let alone = self.answers.capacity() == ANSWERS;
        if frame.len() > ALLOWANCE || !alone {
            self.raise(frame.len()).await?;
        }
        let received = Timestamp::now();
        let head = Accepted {
            channel: channel.name.clone(),
            peer: self.peer.to_string(),
            received: received.as_millisecond(),
            control_id: header.control_id_text(),
            message_type: header.message_type(),
            sender: header.sender(),
            application_ack: header.application_ack.map(|condition| condition.as_str().to_owned()),
            edit: None,
        };
        let frame_out = acknowledgement::due(header, Outcome::Accept).map(|code| {
            encode_frame(&acknowledgement::acknowledge(
                header,
                code,
                None,
                None,
                &self.stamp(&channel, received),
            ))
        });
        let ticket = self.intake.journal.append(entry::encode(&head, &[&frame]));
        let charge = self.charge.take();
        let answer = Answer::Durable { ticket, frame: frame_out, channel, received, since, charge };
        self.answers.send(answer).await.map_err(|_| Ended::Write)
    }

    /// Waits while nothing can be stored; answers nothing and closes when that lasts.
    async fn room(&mut self) -> Result<(), Ended> {
        let mut open = self.intake.journal.intake_open();
        if *open.borrow_and_update() {
            return Ok(());
        }
        let waited = tokio::select! {
            () = self.port.stop.cancelled() => return Err(Ended::Stopping),
            waited = timeout(GRACE, open.wait_for(|open| *open)) => waited,
        };
        match waited {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Ended::NotStored),
        }
    }

    fn stamp(&self, channel: &ChannelPlan, now: Timestamp) -> Stamp {
        self.intake.stamps.next(now, &channel.source.zone)
    }

    fn refusal(&self, header: &Header, refusal: &Refusal) -> Option<Vec<u8>> {
        let code = acknowledgement::due(header, Outcome::Reject)?;
        let error =
            AckError { location: refusal.location, code: refusal.code, message: refusal.text };
        let stamp = self.intake.stamps.next(Timestamp::now(), self.port.plan().zone());
        Some(acknowledgement::acknowledge(header, code, Some(refusal.text), Some(&error), &stamp))
    }

    fn unreadable(&self, frame: &[u8], text: &str) -> Vec<u8> {
        let stamp = self.intake.stamps.next(Timestamp::now(), self.port.plan().zone());
        acknowledgement::refuse_unreadable(frame, text, &stamp)
    }

    async fn refuse(
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
        self.answers.send(Answer::Now(encode_frame(&answer))).await.map_err(|_| Ended::Write)
    }
}
